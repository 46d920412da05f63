//! Compression on the fly: what is compressed, what is not, and that nothing is kept back by it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::io::{Read, Write};
use std::time::Duration;

use support::{Appliance, Project, Response};

const APPLICATION: &str = r#"
import time

TEXT = b"the quick brown fox jumps over the lazy dog. " * 400

def application(environ, start_response):
    name = environ["PATH_INFO"].rsplit("/", 1)[-1]
    kind = "text/event-stream" if name == "events" else "text/plain"
    fields = [("Content-Type", kind), ("ETag", '"v1"')]
    if environ.get("HTTP_IF_NONE_MATCH") in ('"v1"', 'W/"v1"'):
        start_response("304 Not Modified", fields)
        return []
    if name == "slow":
        start_response("200 OK", fields)
        return slowly()
    body = b"short" if name == "short" else TEXT
    if name == "encoded":
        fields.append(("Content-Encoding", "x-own"))
    if name == "kept":
        fields.append(("Cache-Control", "no-transform"))
    if name == "blocks":
        start_response("200 OK", fields)
        return (TEXT for _ in range(20))
    if name == "bare":
        start_response("200 OK", fields)
        return [b"short"]
    start_response("200 OK", fields + [("Content-Length", str(len(body)))])
    return [body]

def slowly():
    for number in range(3):
        yield b"line %d\n" % number
        time.sleep(0.5)
"#;

const SITES: &str = r#"
[[site]]
listen = ["127.0.0.1:0"]
compress = true
[site.routes]
"/app" = { wsgi = true }
"/files" = { files = "dist", cache = { "kept.txt" = "no-transform" } }
"/off" = { wsgi = true, compress = false }
"/png" = { files = "dist", compress = ["image/*"] }
"#;

fn text() -> String {
    "the quick brown fox jumps over the lazy dog. ".repeat(400)
}

fn server() -> Appliance {
    Project::with_sites(APPLICATION, "", SITES)
        .file("dist/a.txt", text())
        .file("dist/a.png", text())
        .file("dist/kept.txt", text())
        .file("dist/short.txt", "short")
        .file("dist/own.txt", text())
        .file("dist/own.txt.gz", "not looked into")
        .file("dist/large.txt", text().repeat(100))
        .start()
}

fn ask(server: &Appliance, method: &str, path: &str, fields: &str) -> Response {
    let mut connection = server.connect();
    connection.send(format!(
        "{method} {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"
    ));
    connection.response()
}

fn accepting(codings: &str) -> String {
    format!("Accept-Encoding: {codings}\r\n")
}

fn decoded(response: &Response) -> Vec<u8> {
    let (mut out, body) = (Vec::new(), response.body());
    match response.header("content-encoding") {
        Some("gzip") => flate2::read::GzDecoder::new(body)
            .read_to_end(&mut out)
            .map(drop),
        Some("br") => brotli::Decompressor::new(body, 4096)
            .read_to_end(&mut out)
            .map(drop),
        Some("zstd") => zstd::stream::copy_decode(body, &mut out),
        _ => out.write_all(body),
    }
    .unwrap();
    out
}

#[test]
fn responses_come_in_the_coding_that_the_client_takes() {
    let server = server();
    for (path, accept, coding) in [
        ("/app/a", "gzip, deflate, br, zstd", Some("zstd")),
        ("/app/a", "gzip, deflate, br", Some("br")),
        ("/app/a", "gzip", Some("gzip")),
        ("/app/a", "br;q=0.5, gzip", Some("gzip")),
        ("/app/a", "gzip;q=0", None),
        ("/app/a", "identity", None),
        ("/app/a", "deflate", None),
        ("/files/a.txt", "gzip, deflate, br, zstd", Some("br")),
        ("/files/a.txt", "gzip", Some("gzip")),
        ("/files/a.txt", "identity", None),
    ] {
        let response = ask(&server, "GET", path, &accepting(accept));
        assert_eq!(
            response.header("content-encoding"),
            coding,
            "{path} {accept}"
        );
        assert_eq!(response.all("vary"), ["Accept-Encoding"], "{path} {accept}");
        assert_eq!(decoded(&response), text().as_bytes(), "{path} {accept}");
        assert!(response.complete);
        let is_smaller = response.body().len() < text().len() / 10;
        assert_eq!(is_smaller, coding.is_some(), "{path} {accept}");
        let head = ask(&server, "HEAD", path, &accepting(accept));
        assert_eq!(head.header("content-encoding"), coding, "{path} {accept}");
        assert_eq!(head.header("etag"), response.header("etag"));
        assert_eq!(
            head.header("content-length"),
            response.header("content-length")
        );
    }
    let blocks = ask(&server, "GET", "/app/blocks", &accepting("gzip"));
    assert_eq!(decoded(&blocks), text().repeat(20).as_bytes());
}

#[test]
fn what_would_not_gain_goes_as_it_is() {
    let server = server();
    for path in [
        "/app/short",
        "/app/bare",
        "/app/encoded",
        "/app/kept",
        "/app/events",
        "/off/a",
        "/files/a.png",
        "/files/kept.txt",
        "/files/short.txt",
        "/files/large.txt",
        "/png/a.txt",
    ] {
        let plain = ask(&server, "GET", path, "");
        let offered = ask(&server, "GET", path, &accepting("gzip, br, zstd"));
        assert_eq!(offered.body(), plain.body(), "{path}");
        assert_eq!(
            offered.header("content-length"),
            plain.header("content-length")
        );
    }
    let neighbour = ask(&server, "GET", "/files/own.txt", &accepting("gzip, br"));
    assert_eq!(neighbour.body(), b"not looked into");
    let listed = ask(&server, "GET", "/png/a.png", &accepting("gzip"));
    assert_eq!(listed.header("content-encoding"), Some("gzip"));
}

#[test]
fn what_is_yielded_is_not_kept_back() {
    let server = server();
    for coding in ["gzip", "br", "zstd"] {
        let mut connection = server.connect();
        let fields = accepting(coding);
        connection.send(format!("GET /app/slow HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        let mut stream = connection.stream();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let mut seen = Vec::new();
        // The first line is there while two others, and a second, are still to come.
        while !first_line(coding, &seen) {
            let mut buffer = [0; 4096];
            let read = stream.read(&mut buffer).unwrap();
            assert!(read > 0, "{coding}");
            seen.extend_from_slice(&buffer[..read]);
            assert!(!seen.ends_with(b"0\r\n\r\n"), "{coding}: all came at once");
        }
    }
}

/// Whether these are a head and chunks that hold the first line, and not the last.
fn first_line(coding: &str, bytes: &[u8]) -> bool {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return false;
    };
    let (mut rest, mut body) = (&bytes[end + 4..], Vec::new());
    while let Some(line) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&rest[..line]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        let Some(chunk) = rest.get(line + 2..line + 2 + size) else {
            break;
        };
        body.extend_from_slice(chunk);
        rest = rest.get(line + 4 + size..).unwrap_or_default();
    }
    // What ends early is decoded as far as it goes.
    let mut out = [0; 64];
    let read = match coding {
        "gzip" => flate2::read::GzDecoder::new(&body[..]).read(&mut out),
        "br" => brotli::Decompressor::new(&body[..], 4096).read(&mut out),
        _ => zstd::stream::read::Decoder::new(&body[..]).and_then(|mut it| it.read(&mut out)),
    };
    read.is_ok_and(|read| out[..read].starts_with(b"line 0\n"))
}

#[test]
fn conditions_and_parts_are_about_what_was_sent() {
    let server = server();
    let gzip = accepting("gzip");
    let first = ask(&server, "GET", "/app/a", &gzip);
    assert_eq!(first.header("etag"), Some("W/\"v1\""));
    let again = format!("{gzip}If-None-Match: W/\"v1\"\r\n");
    assert_eq!(ask(&server, "GET", "/app/a", &again).status, 304);
    let plain = ask(&server, "GET", "/files/a.txt", "");
    let small = ask(&server, "GET", "/files/a.txt", &gzip);
    let tags = [&plain, &small].map(|response| response.header("etag").unwrap().to_owned());
    assert_ne!(tags[0], tags[1]);
    let again = format!("{gzip}If-None-Match: {}\r\n", tags[1]);
    let unchanged = ask(&server, "GET", "/files/a.txt", &again);
    assert_eq!(unchanged.status, 304);
    assert_eq!(unchanged.header("etag"), Some(&*tags[1]));
    let other = format!("{gzip}If-None-Match: {}\r\n", tags[0]);
    assert_eq!(ask(&server, "GET", "/files/a.txt", &other).status, 200);
    // What was compressed here has a weak tag and no parts: those are of the original.
    assert!(tags[1].starts_with("W/\"") && !tags[0].starts_with("W/"));
    assert_eq!(small.header("accept-ranges"), None);
    assert_eq!(plain.header("accept-ranges"), Some("bytes"));
    for (condition, status) in [
        (String::new(), 206),
        (format!("If-Range: {}\r\n", tags[0]), 206),
        (format!("If-Range: {}\r\n", tags[1]), 200),
    ] {
        let part = format!("{gzip}Range: bytes=0-9\r\n{condition}");
        let part = ask(&server, "GET", "/files/a.txt", &part);
        assert_eq!(part.header("content-encoding"), None, "{condition}");
        assert_eq!(part.header("vary"), Some("Accept-Encoding"), "{condition}");
        let expected = if status == 206 {
            &plain.body()[..10]
        } else {
            plain.body()
        };
        assert_eq!(
            (part.status, part.body()),
            (status, expected),
            "{condition}"
        );
    }
}

#[test]
fn a_changed_file_is_compressed_anew() {
    let server = server();
    let gzip = accepting("gzip");
    ask(&server, "GET", "/files/a.txt", &gzip);
    let changed = "another text. ".repeat(500);
    std::fs::write(server.project.path("dist/a.txt"), &changed).unwrap();
    support::eventually("the new contents", || {
        let response = ask(&server, "GET", "/files/a.txt", &gzip);
        (decoded(&response) == changed.as_bytes()).then_some(())
    });
}

#[test]
fn whoever_asks_for_many_files_at_once_gets_them_all() {
    const FILES: usize = 48;
    let contents = |number: usize| format!("file {number}. ").repeat(20_000);
    let mut project = Project::with_sites(APPLICATION, "", SITES);
    for number in 0..FILES {
        project = project.file(&format!("dist/{number}.txt"), contents(number));
    }
    let server = project.start();
    let look = |number: usize| {
        let path = format!("/files/{number}.txt");
        let response = ask(&server, "GET", &path, &accepting("br"));
        assert_eq!(response.status, 200);
        assert_eq!(response.all("vary"), ["Accept-Encoding"]);
        assert!(decoded(&response) == contents(number).as_bytes(), "{path}");
        response.header("content-encoding").is_some()
    };
    std::thread::scope(|scope| {
        for number in 0..FILES {
            scope.spawn(move || look(number));
        }
    });
    // What went as it was is compressed when somebody asks again.
    support::eventually("all of them compressed", || {
        (0..FILES).all(look).then_some(())
    });
}
