//! Attacks that other servers have fallen for and that no other test tries: SECURITY.md says
//! which test covers which.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::time::{Duration, Instant};

use support::{Appliance, Project};

/// Raises below `/raise`, lists its child's descriptors below `/child`, or else echoes.
const APP: &str = r#"
import subprocess

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/raise"):
        raise ValueError("as asked")
    if path.startswith("/child"):
        run = subprocess.run(["ls", "-l", "/proc/self/fd"], close_fds=False, capture_output=True)
        body = run.stdout
    else:
        body = path.encode("latin-1")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
"#;

const SITES: &str = r#"
[[site]]
listen = ["127.0.0.1:0"]

[site.routes]
"/static/" = { files = "static" }
"/assets" = { files = "assets" }
"/raise" = { wsgi = true }
"/child" = { wsgi = true }
"#;

/// Of the file that is asked for in parts.
const FILE_BYTES: usize = 100_000;

fn site() -> Appliance {
    Project::with_sites(APP, "", SITES)
        .file("static/a.bin", [b'x'; FILE_BYTES])
        .file("static/sub/index.html", "sub")
        .file("static-secret.txt", "secret")
        .file("secret.txt", "secret")
        .file("assets/a.txt", "a")
        .file("assets-secret/secret.txt", "secret")
        .start()
}

#[test]
fn a_prefix_is_no_way_beside_its_folder() {
    let site = site();
    let mut connection = site.connect();
    assert_eq!(connection.get("/assets/a.txt").text(), "a");
    for target in [
        "/static../secret.txt",
        "/static..%2fsecret.txt",
        "/static%2e%2e/secret.txt",
        "/static-secret.txt",
        "/static/..;/secret.txt",
        "/static/.../secret.txt",
        "/assets../secret.txt",
        "/assets..%2fsecret.txt",
        "/assets%2f..%2fsecret.txt",
        "/assets/..%00/secret.txt",
        "/assets-secret/secret.txt",
        "/assets/%2e%2e%5csecret.txt",
        "/assets/%c0%ae%c0%ae/secret.txt",
        "/assets//etc/passwd",
        "/assets/%2fetc%2fpasswd",
        "/proc/self/environ",
    ] {
        let response = connection.get(target);
        assert!([400, 404].contains(&response.status), "{target}");
        assert!(!response.text().contains("secret"), "{target}");
    }
}

#[test]
fn many_parts_cost_no_more_than_the_file() {
    let site = site();
    let overlapping: String = (0..4000).map(|end| format!(",0-{end}")).collect();
    for range in [
        format!("0-{overlapping}"),
        format!("5-0{overlapping}"),
        "0-,".repeat(4000),
        "0-18446744073709551615".to_owned(),
        "18446744073709551616-".to_owned(),
        "9223372036854775807-9223372036854775808".to_owned(),
        "-18446744073709551616".to_owned(),
        "-9223372036854775608,-9223372036854775608".to_owned(),
    ] {
        let mut connection = site.connect();
        let begun = Instant::now();
        connection.send(format!(
            "GET /static/a.bin HTTP/1.1\r\nhost: test\r\nrange: bytes={range}\r\n\r\n"
        ));
        let response = connection.response();
        let shown = &range[..range.len().min(40)];
        assert!([200, 206, 416].contains(&response.status), "{shown}");
        assert!(response.complete, "{shown}");
        assert!(response.body().len() <= FILE_BYTES, "{shown}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{shown}");
    }
}

#[test]
fn long_fields_are_read_in_time_that_grows_with_their_length() {
    let site = site();
    let mut connection = site.connect();
    let begun = Instant::now();
    for name in [
        "accept",
        "accept-encoding",
        "connection",
        "cookie",
        "expect",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "range",
        "te",
        "x-forwarded-for",
    ] {
        for piece in [
            ",",
            " ",
            "\"",
            "\\",
            "a",
            "q=0.0;",
            "*/*,",
            "gzip;q=1,",
            "W/\"a\", ",
            "1-,",
        ] {
            let value = piece.repeat(40_000 / piece.len());
            connection.send(format!(
                "GET /static/sub/ HTTP/1.1\r\nhost: test\r\n{name}: {value}\r\n\r\n"
            ));
            let Some(response) = connection.try_response() else {
                connection = site.connect();
                continue;
            };
            assert!(
                response.status < 500,
                "{name}: {piece}: {}",
                response.status
            );
            if response.header("connection") == Some("close") || response.status == 417 {
                connection = site.connect();
            }
        }
    }
    // 120 requests of 40 KB: 0.2 s without optimisation. Quadratic in the length: a minute.
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn nobody_writes_fields_or_responses_through_a_path() {
    let site = site();
    for target in [
        "/static/sub%0d%0aset-cookie:%20a=b",
        "/static/sub?%0d%0aset-cookie:%20a=b",
        "/static/sub%0aset-cookie:%20a=b/",
        "/static%0d%0a%0d%0aHTTP/1.1%20200%20OK",
        "/static?%0d%0a%0d%0aHTTP/1.1%20200%20OK",
        "/static/sub?\u{10d}\u{10a}set-cookie:a=b",
        "/static/sub%E5%98%8A%E5%98%8Dset-cookie:a=b",
    ] {
        let mut connection = site.connect();
        connection.send(format!("GET {target} HTTP/1.1\r\nhost: test\r\n\r\n"));
        let response = connection.response();
        assert!(response.status < 500, "{target}");
        assert_eq!(response.header("set-cookie"), None, "{target}");
        if response.status != 400 {
            assert_eq!(
                connection.get("/static/sub/").text(),
                "sub",
                "after {target}"
            );
        }
    }
}

#[test]
fn a_request_writes_one_line_of_its_own_into_the_log() {
    let site = site();
    for target in [
        "/raise/%0aINFO%20forged",
        "/raise/%1b]0;forged%07",
        "/raise/%0d%1b[2Kforged",
        "/raise/%c2%9b2Jforged",
    ] {
        assert_eq!(site.get(target).status, 500, "{target}");
        site.wait_for_log(target);
    }
    for raw in [
        "/raise/\u{1b}[2Jforged",
        "/raise/\u{7f}forged",
        "/raise/\rforged",
    ] {
        let answer = site.exchange(format!(
            "GET {raw} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n"
        ));
        assert!(answer.starts_with(b"HTTP/1.1 400 "), "{raw:?}");
    }
    let log = site.log();
    assert!(
        log.lines().all(|line| !line.starts_with("INFO forged")),
        "{log}"
    );
    assert!(!log.contains(['\u{7}', '\u{9b}', '\u{7f}', '\r']), "{log}");
    // The log is no terminal here, so that no escape sequence is its own either.
    assert!(!log.contains('\u{1b}'), "{log}");
}

#[test]
fn a_child_of_the_application_inherits_no_socket() {
    let site = site();
    let _idle = site.connect();
    let open = site.get("/child");
    let open = open.text();
    assert!(open.contains("/proc/"), "{open}");
    assert!(!open.contains("socket:"), "{open}");
}

/// A test's name and the file it stands in, as a link of SECURITY.md.
fn link(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.strip_prefix("[`")?.split_once("`](")?;
    Some((name, rest.split_once(')')?.0))
}

#[test]
fn every_test_that_security_md_names_is_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let links: Vec<_> = text
        .match_indices("[`")
        .filter_map(|(at, _)| link(&text[at..]))
        .collect();
    for (name, path) in &links {
        let file = std::fs::read_to_string(root.join(path))
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        let there = match path.ends_with(".rs") {
            true => file.contains(&format!("fn {name}()")),
            false => file.contains(name),
        };
        assert!(there, "there is no {name} in {path}");
    }
    for row in text.lines().filter(|line| line.contains("CVE-")) {
        assert!(
            link(&row[row.find("[`").unwrap_or(0)..]).is_some(),
            "no test: {row}"
        );
    }
    assert!(links.len() > 40, "{}", links.len());
}
