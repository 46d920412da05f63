//! What is no request.

use super::*;

/// Sooner than any of the server's own time limits.
const SOON: Duration = Duration::from_secs(10);

/// Requests no client means, each to end with an error status or a closed connection.
fn broken_requests() -> Vec<(&'static str, Vec<u8>)> {
    let with_field =
        |field: &[u8]| [b"GET /api HTTP/1.1\r\nhost: test\r\n", field, b"\r\n\r\n"].concat();
    let post = |fields: &str| format!("POST /api HTTP/1.1\r\nhost: test\r\n{fields}").into_bytes();
    let tls_hello = b"\x16\x03\x01\x00\xf8\x01\x00\x00\xf4\x03\x03random bytes\r\n\r\n";
    vec![
        ("TLS", tls_hello.to_vec()),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("HTTP/0.9", b"GET /\r\n\r\n".to_vec()),
        ("HTTP/3.1", b"GET / HTTP/3.1\r\nhost: test\r\n\r\n".to_vec()),
        (
            "lower case",
            b"GET / http/1.1\r\nhost: test\r\n\r\n".to_vec(),
        ),
        (
            "two spaces",
            b"GET  / HTTP/1.1\r\nhost: test\r\n\r\n".to_vec(),
        ),
        (
            "no slash",
            b"GET api HTTP/1.1\r\nhost: test\r\n\r\n".to_vec(),
        ),
        (
            "CONNECT",
            b"CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n".to_vec(),
        ),
        ("NULs", vec![0; 5_000]),
        ("high bytes", vec![0xff; 5_000]),
        (
            "NUL in the target",
            b"GET /\0 HTTP/1.1\r\nhost: test\r\n\r\n".to_vec(),
        ),
        ("NUL in a field", with_field(b"a: \0")),
        ("no colon", with_field(b"field")),
        ("space before the colon", with_field(b"a : b")),
        ("empty name", with_field(b": b")),
        ("line folding", with_field(b"a: b\r\n c")),
        (
            "long field",
            with_field(&[b"a: ", [b'b'; 1_000_000].as_slice()].concat()),
        ),
        ("many fields", with_field(&b"a: b\r\n".repeat(1_000))),
        (
            "long target",
            format!(
                "GET /{} HTTP/1.1\r\nhost: test\r\n\r\n",
                "a".repeat(100_000)
            )
            .into_bytes(),
        ),
        ("negative length", post("content-length: -1\r\n\r\n")),
        ("signed length", post("content-length: +1\r\n\r\na")),
        ("no length", post("content-length: a\r\n\r\n")),
        ("list of lengths", post("content-length: 1, 2\r\n\r\nab")),
        (
            "two lengths",
            post("content-length: 1\r\ncontent-length: 2\r\n\r\nab"),
        ),
        (
            "huge length",
            post("content-length: 99999999999999999999\r\n\r\n"),
        ),
        ("unknown coding", post("transfer-encoding: gzip\r\n\r\nabc")),
        (
            "chunked not last",
            post("transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
        ),
        (
            "no chunk size",
            post("transfer-encoding: chunked\r\n\r\nzz\r\n\r\n"),
        ),
        (
            "huge chunk",
            post("transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n\r\n"),
        ),
        (
            "no chunk end",
            post("transfer-encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n"),
        ),
        (
            "chunked in HTTP/1.0",
            b"POST /api HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
        ),
    ]
}

#[test]
fn what_is_no_request_gets_an_error_or_the_end() {
    let site = routes();
    for (what, request) in broken_requests() {
        let mut connection = site.connect();
        let begun = Instant::now();
        // The server may be gone before all of it is sent.
        let _ = connection.stream().write_all(&request);
        if let Some(response) = connection.try_response() {
            assert!(
                (400..=505).contains(&response.status),
                "{what}: {}",
                response.status
            );
        }
        assert!(begun.elapsed() < SOON, "{what} kept the server waiting");
        assert_eq!(site.get("/static/a.txt").text(), "static a", "after {what}");
    }
    let long_field = format!(
        "GET /api HTTP/1.1\r\nhost: test\r\nconnection: close\r\na: {}\r\n\r\n",
        "b".repeat(100_000)
    );
    let status = String::from_utf8(site.exchange(&long_field)[..12].to_vec()).unwrap();
    assert_eq!(status, "HTTP/1.1 431");
}

/// A generator of numbers that every run repeats.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

const SEEDS: [&str; 8] = [
    "GET /static/a.txt HTTP/1.1\r\nhost: test\r\nrange: bytes=1-3\r\nif-range: \"x\"\r\n\r\n",
    "GET /deep/%C3%BC/link?q=1#x HTTP/1.1\r\nhost: test\r\naccept: text/html,*/*;q=0.8\r\n\r\n",
    "HEAD /static/large.bin HTTP/1.0\r\nconnection: keep-alive\r\naccept-encoding: gzip, br;q=0.5\r\n\r\n",
    "POST /api HTTP/1.1\r\nhost: test\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\nabcde",
    "POST /api/x HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\na: b\r\n\r\n",
    "OPTIONS http://[::1]:80/static/ HTTP/1.1\r\nhost: test\r\nif-modified-since: Sat, 01 Jan 2000 00:00:00 GMT\r\n\r\n",
    "GET /static/../static/%2e/sub?a=b HTTP/1.1\r\nhost: test\r\ncookie: a=b; c=d\r\n\r\n",
    "PUT /admin HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\nif-none-match: \"a\", W/\"b\"\r\n\r\nab",
];

const SPLINTERS: [&str; 20] = [
    "\r\n",
    "\r\n\r\n",
    "\0",
    "%00",
    "%2e%2e/",
    "/",
    "//",
    "%",
    " ",
    ":",
    "\u{e9}",
    "\t",
    "-",
    "99999999999999999999",
    "bytes=-0",
    "\"",
    ",",
    "chunked",
    "HTTP/1.1",
    "0\r\n\r\n",
];

fn mutated(numbers: &mut Numbers) -> Vec<u8> {
    let mut request = SEEDS[numbers.below(SEEDS.len())].as_bytes().to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(request.len() + 1);
        let end = at + numbers.below(9).min(request.len() - at);
        match numbers.below(5) {
            0 => drop(request.drain(at..end)),
            1 => {
                let splinter = SPLINTERS[numbers.below(SPLINTERS.len())];
                drop(request.splice(at..at, splinter.bytes()));
            }
            2 => {
                let piece = request[at..end].to_vec();
                drop(request.splice(at..at, piece));
            }
            3 if at < request.len() => request[at] = u8::try_from(numbers.below(256)).unwrap(),
            _ => {
                let other = SEEDS[numbers.below(SEEDS.len())].as_bytes();
                request.truncate(at);
                request.extend_from_slice(&other[numbers.below(other.len())..]);
            }
        }
    }
    request
}

#[test]
fn no_mutated_request_breaks_the_server() {
    let site = routes();
    let worker = site.workers();
    let mut numbers = Numbers(2);
    let mut answered = 0;
    for _ in 0..4_000 {
        let request = mutated(&mut numbers);
        let mut connection = site.connect();
        let _ = connection.stream().write_all(&request);
        let ended = connection.stream().shutdown(std::net::Shutdown::Write);
        let answer = connection.read_to_end();
        answered += usize::from(answer.starts_with(b"HTTP/1."));
        let shown = String::from_utf8_lossy(&request);
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1."),
            "{shown}"
        );
        assert!(ended.is_ok() || !answer.is_empty(), "{shown}");
    }
    assert!(answered > 1_000, "only {answered} were requests at all");
    assert_eq!(site.get("/static/a.txt").text(), "static a");
    assert_eq!(site.get("/api").text(), "GET  /api ");
    assert_eq!(site.workers(), worker, "it was replaced");
    let log = site.log();
    assert!(!log.contains("panicked") && !log.contains("ERROR"), "{log}");
}
