//! Whatever a file holds: a project file or a refusal, never a panic, and in time.

use std::path::PathBuf;

use crate::disk::tests::Memory;

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

/// A configuration of each kind with something of everything, to be damaged.
const SEEDS: [(&str, &str); 7] = [
    (
        "/c/nginx.conf",
        "user a; # é\nevents { worker_connections 10; }\nhttp { include conf.d/*.conf; root 'a b';\n map $a $b { default \"x\"; }\n upstream app { server unix:/run/a.sock; }\n server { listen [::]:80 default_server ipv6only=off; server_name _ *.x;\n location ~* \\.(js|css)$ { expires max; }\n location ^~ /static/ { alias /srv/static; }\n location / { try_files $uri ${x}/ @app; }\n location @app { proxy_pass http://app/; } error_page 500 /50x.html; location = /50x.html { root html; } return 301 https://$host; content_by_lua_block { } } } }",
    ),
    (
        "/c/uwsgi.ini",
        "[uwsgi]\nbase = /srv\nchdir = %(base)/x\nmodule = a.b:c\nenv = A=$(HOME)\nprocesses = 4\nif-env = X\nthreads = 2\nendif =\nlimit-as = 256\nini = :other\nsocket = %d%n.sock\nstatic-map = /s=/x\n[other]\nharakiri = 60\n",
    ),
    (
        "/c/uwsgi.xml",
        "<?xml version='1.0'?><uwsgi><!-- c --><chdir>/srv&amp;</chdir><master/><module><![CDATA[a]]></module></uwsgi>",
    ),
    (
        "/c/uwsgi.yaml",
        "uwsgi:\n  module: 'a:b'\n  env:\n    - A=1\n  http: \":80\" # c\n  exec-asap: [a, \"b\"]\n",
    ),
    (
        "/c/uwsgi.json",
        "{\"uwsgi\": {\"module\": \"a\", \"env\": [\"A=1\", \"B=2\"], \"processes\": 4}}",
    ),
    (
        "/c/app.service",
        "[Unit]\n[Service]\nWorkingDirectory=/srv\nEnvironment=A=1 \"B=2 3\"\nExecStartPre=/bin/true x\nExecStart=/srv/venv/bin/gunicorn -w 4 --bind unix:/run/a.sock \\\n  --timeout=30 a.wsgi:app\n",
    ),
    (
        "/c/config.json",
        "{\"listeners\": {\"*:80\": {\"pass\": \"routes\"}}, /* c */ \"routes\": [{\"match\": {\"uri\": [\"/s/*\", \"/x\"], \"host\": \"a.b\"}, \"action\": {\"share\": \"/srv$uri\", \"fallback\": {\"pass\": \"applications/a\"}}}, {\"action\": {\"pass\": \"applications/a\"}}], \"applications\": {\"a\": {\"type\": \"python\", \"module\": \"x\", \"path\": \"/srv\", \"processes\": {\"max\": 3}, \"limits\": {\"timeout\": 3}}}}",
    ),
];

/// Pieces that make sense somewhere.
const PIECES: [&str; 30] = [
    "{",
    "}",
    ";",
    "\"",
    "'",
    "\\",
    "\n",
    " ",
    "#",
    "$",
    "${",
    "%(",
    "%(base)",
    "$(",
    "%",
    "@(",
    "<",
    ">",
    "</",
    "/>",
    "[",
    "]",
    ":",
    "- ",
    "=",
    "é",
    "\u{feff}",
    "/*",
    "0",
    "include nginx.conf;",
];

fn survives(path: &str, bytes: &[u8]) -> bool {
    let disk = Memory::default()
        .bytes(path, bytes)
        .variable("HOME", "/root");
    match crate::import(&[PathBuf::from(path)], &disk) {
        Ok(imported) => {
            let parsed = imported.project.parse::<toml_edit::DocumentMut>();
            assert!(parsed.is_ok(), "{parsed:?}\n{}", imported.project);
            true
        }
        Err(refused) => {
            let text = refused.render(false);
            assert!(text.starts_with("error: "), "{text}");
            false
        }
    }
}

#[test]
fn each_seed_is_read_to_its_end() {
    for (path, text) in SEEDS {
        // nginx's ends with a brace too many, so that damage may mend it.
        let text = if path.ends_with("nginx.conf") {
            &text[..text.len() - 2]
        } else {
            text
        };
        assert!(survives(path, text.as_bytes()), "{path}");
    }
}

#[test]
fn damaged_files_never_panic() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let (mut fine, mut refused) = (0, 0);
    for round in 0..7000 {
        let (path, seed) = SEEDS[round % SEEDS.len()];
        let mut bytes = seed.as_bytes().to_vec();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len() + 1);
            match random.below(4) {
                0 => bytes.truncate(at),
                1 => {
                    let piece = PIECES[random.below(PIECES.len())];
                    bytes.splice(at..at, piece.bytes());
                }
                2 => {
                    let end = (at + random.below(20)).min(bytes.len());
                    bytes.drain(at..end);
                }
                _ => {
                    let byte = u8::try_from(random.below(256)).unwrap();
                    if let Some(old) = bytes.get_mut(at) {
                        *old = byte;
                    }
                }
            }
        }
        match survives(path, &bytes) {
            true => fine += 1,
            false => refused += 1,
        }
    }
    // Both ways out are taken often, or the damage shows nothing.
    assert!(
        fine > 1000 && refused > 1000,
        "{fine} fine, {refused} refused"
    );
}

#[test]
fn noise_is_refused_or_read() {
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    for round in 0..3000 {
        let (path, _) = SEEDS[round % SEEDS.len()];
        let text: String = (0..random.below(60))
            .map(|_| PIECES[random.below(PIECES.len())])
            .collect();
        survives(path, text.as_bytes());
    }
}

#[test]
fn depth_and_length_are_bounded() {
    for (path, text) in [
        ("/c/nginx.conf", "a{".repeat(200_000)),
        ("/c/nginx.conf", "\"".repeat(999_999)),
        (
            "/c/nginx.conf",
            "server { listen 80; location / { root /x; } }".repeat(2000),
        ),
        ("/c/config.json", "[".repeat(999_999)),
        ("/c/uwsgi.xml", "<a>".repeat(99_999)),
        (
            "/c/uwsgi.ini",
            format!("[uwsgi]\na = {}\n", "%(a)".repeat(50_000)),
        ),
        (
            "/c/uwsgi.ini",
            format!(
                "[uwsgi]\n{}",
                "a = %(b)%(b)%(b)\nb = %(c)%(c)%(c)\nc = %(a)%(a)%(a)\n"
            ),
        ),
        (
            "/c/app.service",
            format!(
                "[Service]\nExecStart=/bin/sh -c '{}'\n",
                "sh -c ".repeat(9999)
            ),
        ),
        ("/c/uwsgi.ini", "[uwsgi]\nini = uwsgi.ini\n".to_owned()),
    ] {
        survives(path, text.as_bytes());
    }
}
