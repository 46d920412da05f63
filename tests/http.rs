//! What users rely on between socket and route: HTTP/1.1 to the letter, the right site, the right
//! route, and no request, however broken, that does harm.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use support::{Appliance, Connection, Project};

/// Answers with the body it was sent, or else with what it was asked.
const ECHO: &str = r#"
def application(environ, start_response):
    body = environ["wsgi.input"].read()
    if not body:
        names = "REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING"
        body = " ".join("%s" % environ[name] for name in names).encode("latin-1")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"#;

const ROUTES: &str = r#"
[[site]]
listen = ["127.0.0.1:0"]

[site.routes]
"/" = { files = "dist", fallback = "/index.html" }
"/api" = { wsgi = true }
"/api/files" = { files = "public" }
"= /api/health" = { files = "health.txt" }
"/admin/" = { wsgi = true }
"/static/" = { files = "static" }
"/Grüße" = { wsgi = true }
"#;

fn routes() -> Appliance {
    Project::with_sites(ECHO, "", ROUTES)
        .file("dist/index.html", "<!doctype html>index")
        .file("public/a.txt", "public a")
        .file("health.txt", "healthy")
        .file("secret.txt", "secret")
        .file("static/a.txt", "static a")
        .file("static/large.bin", [b'x'; 100_000])
        .file("static/sub/index.html", "static sub")
        .file("static/.env", "secret")
        .start()
}

#[test]
fn the_host_chooses_the_site() {
    let site = Project::with_sites(
        ECHO,
        "",
        r#"
[[site]]
listen = ["127.0.0.1:0", "127.0.0.2:0"]
server_name = ["one.test", "www.one.test"]
[site.routes]
"= /" = { files = "one.txt" }

[[site]]
listen = ["127.0.0.1:0"]
server_name = ["two.test"]
[site.routes]
"= /" = { files = "two.txt" }

[[site]]
listen = ["127.0.0.2:0"]
server_name = ["three.test"]
[site.routes]
"= /" = { files = "three.txt" }
"#,
    )
    .file("one.txt", "one")
    .file("two.txt", "two")
    .file("three.txt", "three")
    .start();
    let listener = |ip: &str| -> SocketAddr {
        let ip: std::net::IpAddr = ip.parse().unwrap();
        let mut addresses = site.addresses().iter();
        *addresses.find(|address| address.ip() == ip).unwrap()
    };
    let mut first = Connection::open(listener("127.0.0.1"));
    for (host, expected) in [
        ("one.test", "one"),
        ("www.one.test", "one"),
        ("two.test", "two"),
        ("TWO.Test", "two"),
        ("two.test:8080", "two"),
        ("two.test.", "two"),
        ("Two.Test.:80", "two"),
        ("www.two.test", "one"),
        ("three.test", "one"),
        ("nobody.test", "one"),
        ("127.0.0.1", "one"),
        ("[::1]:80", "one"),
        ("", "one"),
    ] {
        first.send(format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n"));
        assert_eq!(first.response().text(), expected, "{host}");
    }
    first.send("GET http://two.test/ HTTP/1.1\r\nhost: one.test\r\n\r\n");
    assert_eq!(first.response().text(), "two", "an absolute target counts");
    first.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(first.response().text(), "one", "HTTP/1.0 needs no host");

    let mut second = Connection::open(listener("127.0.0.2"));
    for (host, expected) in [("three.test", "three"), ("two.test", "one"), ("x", "one")] {
        second.send(format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n"));
        assert_eq!(second.response().text(), expected, "{host}");
    }
}

#[test]
fn a_request_without_a_proper_host_is_refused() {
    let site = routes();
    for fields in [
        "",
        "host: a\r\nhost: a\r\n",
        "host: a\r\nhost: b\r\n",
        "host: a b\r\n",
        "host: a/b\r\n",
        "host: user@a\r\n",
        "host: a:port\r\n",
        "host: a:1:2\r\n",
        "host: [::1\r\n",
        "host: \u{e9}\r\n",
    ] {
        for target in ["/", "/api", "/nothing"] {
            let mut connection = site.connect();
            connection.send(format!("GET {target} HTTP/1.1\r\n{fields}\r\n"));
            assert_eq!(connection.response().status, 400, "{fields}");
        }
    }
}

#[test]
fn the_longest_prefix_answers() {
    let site = routes();
    let mut connection = site.connect();
    for (target, status, body) in [
        ("/", 200, "<!doctype html>index"),
        ("/apix", 200, "<!doctype html>index"),
        ("/api", 200, "GET  /api "),
        ("/api/", 200, "GET  /api/ "),
        ("/api?a=%2F&b", 200, "GET  /api a=%2F&b"),
        ("/api/v1", 200, "GET  /api/v1 "),
        ("/api/filesystem", 200, "GET  /api/filesystem "),
        ("/api/files/a.txt", 200, "public a"),
        ("/api/files/b.txt", 404, "404 Not Found\n"),
        ("/api/health", 200, "healthy"),
        ("/api/health/", 200, "GET  /api/health/ "),
        ("/admin/x", 200, "GET  /admin/x "),
        ("/administration", 200, "<!doctype html>index"),
        (
            "/Gr%C3%BC%C3%9Fe/x",
            200,
            "GET  /Gr\u{c3}\u{bc}\u{c3}\u{9f}e/x ",
        ),
        (
            "/Gr%c3%bc%c3%9fe",
            200,
            "GET  /Gr\u{c3}\u{bc}\u{c3}\u{9f}e ",
        ),
        ("/%61pi", 200, "GET  /api "),
        ("/static/../api/x", 200, "GET  /static/../api/x "),
    ] {
        let response = connection.get(target);
        assert_eq!(response.status, status, "{target}");
        let text: String = response
            .body()
            .iter()
            .map(|byte| char::from(*byte))
            .collect();
        assert_eq!(text, body, "{target}");
    }
}

#[test]
fn a_path_never_leaves_its_folder() {
    let site = routes();
    let mut connection = site.connect();
    for (target, status) in [
        ("/static/a.txt", 200),
        ("/static//a.txt", 200),
        ("/static/./a%2Etxt", 200),
        ("/static/sub/../a.txt", 200),
        ("/static/%2e%2e/secret.txt", 404),
        ("/static/.%2e/secret.txt", 404),
        ("/static/../secret.txt", 404),
        ("/static/..%2fsecret.txt", 404),
        ("/static/%2e%2e%2fsecret.txt", 404),
        ("/static/..%5csecret.txt", 404),
        ("/static/..\\secret.txt", 404),
        ("/static/%252e%252e/secret.txt", 404),
        ("/static/a.txt/../../../secret.txt", 400),
        ("/static/../../secret.txt", 400),
        ("/../secret.txt", 400),
        ("/%2e%2e/secret.txt", 400),
        ("/api/../../x", 400),
        ("/static/a.txt%00", 400),
        ("/api/%00", 400),
        ("/static/%", 400),
        ("/static/%4", 400),
        ("/static/%zz", 400),
        ("/static/.env", 404),
        ("/static/%2eenv", 404),
        ("/static/%2Eenv/", 404),
        ("/.git/config", 404),
        ("//etc/passwd.txt", 404),
        ("*", 400),
    ] {
        let response = connection.get(target);
        assert_eq!(response.status, status, "{target}");
        assert_ne!(response.text(), "secret", "{target}");
    }
}

#[test]
fn a_missing_slash_is_added_and_nobody_is_sent_elsewhere() {
    let site = routes();
    let mut connection = site.connect();
    for (method, target, status, location) in [
        ("GET", "/admin", 301, "/admin/"),
        ("HEAD", "/admin", 301, "/admin/"),
        ("POST", "/admin", 308, "/admin/"),
        ("GET", "/admin?next=%2Fx&y", 301, "/admin/?next=%2Fx&y"),
        ("GET", "/%61dmin?", 301, "/admin/?"),
        ("GET", "//admin", 301, "/admin/"),
        ("GET", "//evil.test/%2e%2e/admin", 301, "/admin/"),
        (
            "GET",
            "http://evil.test//evil.test/../admin",
            301,
            "/admin/",
        ),
        ("GET", "/static/sub", 301, "/static/sub/"),
        ("GET", "/static/sub?a=b", 301, "/static/sub/?a=b"),
        ("GET", "//static//sub", 301, "/static//sub/"),
    ] {
        connection.send(format!("{method} {target} HTTP/1.1\r\nhost: test\r\n\r\n"));
        let response = connection.response();
        assert_eq!(response.status, status, "{method} {target}");
        assert_eq!(response.header("location"), Some(location), "{target}");
    }
    // Browsers take `//` and `/\` at the start for a host, wherever the path leads afterwards.
    for target in [
        "//evil.test/",
        "//evil.test/..//static/sub",
        "//evil.test/%2e%2e/static/sub",
        "/.//evil.test/../static/sub",
        "///evil.test/%2e%2e/static/sub",
        "/\\evil.test/%2e%2e/static/sub",
    ] {
        if let Some(location) = connection.get(target).header("location") {
            assert!(location.starts_with('/'), "{target} → {location}");
            assert!(
                !location[1..].starts_with(['/', '\\']),
                "{target} → {location}"
            );
        }
    }
}

#[test]
fn the_head_of_head_is_that_of_get() {
    let site = routes();
    let mut connection = site.connect();
    for target in [
        "/",
        "/deep/link",
        "/missing.js",
        "/static/a.txt",
        "/static/large.bin",
        "/static/sub",
        "/static/%00",
        "/api/files/a.txt",
        "/admin",
    ] {
        let get = connection.get(target);
        connection.send(format!("HEAD {target} HTTP/1.1\r\nhost: test\r\n\r\n"));
        // The next response would not be understood if a body had come.
        let head = connection.response();
        assert_eq!(head.status, get.status, "{target}");
        let fields = |headers: &[(String, String)]| -> Vec<(String, String)> {
            let lasting = headers.iter().filter(|(name, _)| name != "date");
            lasting.cloned().collect()
        };
        assert_eq!(fields(&head.headers), fields(&get.headers), "{target}");
        assert_eq!(
            get.header("content-length"),
            Some(&*get.body().len().to_string()),
            "{target}"
        );
    }
    connection.send("HEAD /api HTTP/1.1\r\nhost: test\r\n\r\n");
    let response = connection.response();
    assert_eq!(response.header("content-length"), Some("11"), "HEAD  /api ");
    assert_eq!(connection.get("/api").text(), "GET  /api ");
}

#[test]
fn a_connection_is_kept_as_long_as_its_client_wants() {
    let site = routes();
    for (request, kept) in [
        ("GET /static/a.txt HTTP/1.1\r\nhost: test\r\n\r\n", true),
        ("GET /api HTTP/1.1\r\nhost: test\r\n\r\n", true),
        ("GET /nothing.js HTTP/1.1\r\nhost: test\r\n\r\n", true),
        ("GET /static/%zz HTTP/1.1\r\nhost: test\r\n\r\n", true),
        (
            "GET /api HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n",
            false,
        ),
        (
            "GET /static/a.txt HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n",
            false,
        ),
        ("GET /api HTTP/1.0\r\n\r\n", false),
        ("GET /static/a.txt HTTP/1.0\r\n\r\n", false),
        ("GET /api HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", true),
        (
            "GET /static/a.txt HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
            true,
        ),
        (
            "GET /static/large.bin HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
            true,
        ),
        (
            "POST /static/a.txt HTTP/1.1\r\nhost: test\r\ncontent-length: 3\r\n\r\nabc",
            true,
        ),
        (
            "POST /admin HTTP/1.1\r\nhost: test\r\ncontent-length: 3\r\n\r\nabc",
            true,
        ),
    ] {
        let mut connection = site.connect();
        connection.send(request);
        let first = connection.response();
        assert!(first.complete, "{request}");
        if kept {
            assert_eq!(
                connection.get("/static/a.txt").text(),
                "static a",
                "{request}"
            );
        } else {
            assert_eq!(connection.read_to_end(), b"", "{request}");
        }
    }
}

/// What the `number`th of many pipelined requests asks, and what it must get.
fn pipelined(number: usize) -> (String, u16, Vec<u8>) {
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nhost: test\r\n\r\n");
    match number % 6 {
        _ if number.is_multiple_of(97) => (get("/static/large.bin"), 200, vec![b'x'; 100_000]),
        0 => (get("/static/a.txt"), 200, b"static a".to_vec()),
        1 | 3 => {
            let body = format!("GET  /api n={number}");
            (get(&format!("/api?n={number}")), 200, body.into_bytes())
        }
        2 => (get("/missing.js"), 404, b"404 Not Found\n".to_vec()),
        4 => {
            let body = format!("body {number}");
            let request = format!(
                "POST /api HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            (request, 200, body.into_bytes())
        }
        _ => {
            let body = format!("chunk {number}");
            let request = format!(
                "POST /api HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n\
                 {:x}\r\n{body}\r\n0\r\n\r\n",
                body.len()
            );
            (request, 200, body.into_bytes())
        }
    }
}

#[test]
fn ten_thousand_pipelined_requests_are_answered_in_order() {
    const REQUESTS: usize = 10_000;
    let site = routes();
    let mut connection = site.connect();
    let mut socket = connection.stream().try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        let all: String = (0..REQUESTS).map(|number| pipelined(number).0).collect();
        // In pieces that end anywhere.
        for piece in all.as_bytes().chunks(7_919) {
            socket.write_all(piece).unwrap();
        }
    });
    for number in 0..REQUESTS {
        let (_, status, body) = pipelined(number);
        let response = connection.response();
        assert!(response.complete, "response {number} is cut off");
        assert_eq!(response.status, status, "response {number}");
        assert!(
            response.body() == body,
            "response {number} has another's body"
        );
    }
    writer.join().unwrap();
    assert_eq!(connection.get("/static/a.txt").text(), "static a");
}

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
