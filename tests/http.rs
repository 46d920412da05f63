//! What users rely on between socket and route: HTTP/1.1 to the letter, the right site, the right
//! route, and no request, however broken, that does harm.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

#[path = "http/broken.rs"]
mod broken;

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
