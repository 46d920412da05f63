//! Whatever the file holds: a report or a project, never a panic, and never a message that
//! points outside the file.

use super::fixture::Shop;

/// A project with something of everything, to be damaged.
const SEED: &str = r#"# é
[server]
stop_timeout = "1m30s"
[python]
module = "config.wsgi:app"
env = { A = "1", "B C" = 'two' }
processes = "auto"
queue = 0x10
[hooks]
before_start = ["""
true""", 'x']
[[site]]
listen = ["[::1]:8080", 80, ":0"]
server_name = ["bücher.example", "*"]
body_limit = "20MB"
[site.routes]
"/" = { files = "dist", fallback = "/index.html" }
"= /x" = { wsgi = true }
site.0.listen = 1979-05-27
"#;

/// Pieces that make sense somewhere.
const PIECES: [&str; 16] = [
    "[", "]", "[[", "=", "\"", "'", "\n", ".", "{", "}", "0", "site", "\u{0}", "\u{feff}", "é", "#",
];

/// xorshift64: the same sequence in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound.max(1) as u64).unwrap_or(0)
    }
}

fn survives(shop: &Shop, bytes: &[u8], overrides: &[&str]) -> bool {
    match shop.load(bytes, &[], overrides) {
        Ok(loaded) => loaded.warnings.is_empty(),
        Err(report) => {
            let text = report.to_string();
            assert!(!report.is_empty(), "an empty report for {bytes:?}");
            assert!(text.lines().all(|line| !line.contains('\u{1b}')), "{text}");
            false
        }
    }
}

#[test]
fn damaged_files_never_panic() {
    let (shop, mut random) = (Shop::new(), Random(0x9E37_79B9_7F4A_7C15));
    for _ in 0..3000 {
        let mut bytes = SEED.as_bytes().to_vec();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            let until = (at + random.below(12)).min(bytes.len());
            match random.below(3) {
                0 => drop(bytes.drain(at..until)),
                1 => drop(bytes.splice(at..at, PIECES[random.below(PIECES.len())].bytes())),
                _ => bytes[at] = u8::try_from(random.below(256)).unwrap_or(0),
            }
        }
        survives(&shop, &bytes, &[]);
    }
}

#[test]
fn random_bytes_never_panic() {
    let (shop, mut random) = (Shop::new(), Random(88_172_645_463_325_252));
    for _ in 0..1000 {
        let length = random.below(80);
        let bytes: Vec<u8> = (0..length)
            .map(|_| u8::try_from(random.below(256)).unwrap_or(0))
            .collect();
        survives(&shop, &bytes, &[]);
    }
}

#[test]
fn random_flags_never_panic() {
    let (shop, mut random) = (Shop::new(), Random(0x0DDB_1A5E_5BAD_5EED));
    let words = [
        "site", "0", "listen", "routes", "\"/\"", "python", "env", "9", "=", ".", "[", "\"", "\n",
    ];
    for _ in 0..2000 {
        let flag: String = (0..random.below(9))
            .map(|_| words[random.below(words.len())])
            .collect();
        survives(&shop, SEED.as_bytes(), &[&flag]);
    }
}

#[test]
fn deep_nesting_and_long_keys_are_reported_in_time() {
    let shop = Shop::new();
    let long = "k".repeat(1 << 20);
    for text in [
        "[".repeat(20_000),
        format!("a = {}", "[".repeat(20_000)),
        format!("{long} = 1"),
        "a.".repeat(20_000),
    ] {
        assert!(!survives(&shop, text.as_bytes(), &[]));
    }
}
