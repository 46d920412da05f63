//! What users rely on for their static files: the right bytes with the right fields, whole or not
//! at all, and a single-page fallback that never stands in for an asset.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::time::Duration;

use support::{Appliance, Connection, Project, Response, eventually};

const SITE: &str = r#"
[[site]]
listen = ["127.0.0.1:0"]

[site.routes]
"/" = { files = "dist", fallback = "/index.html" }
"/plain/" = { files = "plain" }
"/released/" = { files = "current/dist" }
"/api/" = { wsgi = true }
"#;

const INDEX: &str = "<!doctype html><title>index</title>";

/// Larger than what any socket holds, and no two pages of it alike.
fn large() -> Vec<u8> {
    (0..20_000_000_u32 / 4)
        .flat_map(|number| (number.wrapping_mul(2_654_435_761)).to_le_bytes())
        .collect()
}

fn project() -> Project {
    let project = Project::with_sites("def application(environ, start_response): pass", "", SITE)
        .file("dist/index.html", INDEX)
        .file("dist/about.html", "about")
        .file("dist/assets/app-4f9a1c27.js", "let a = 1;")
        .file("dist/assets/app-4f9a1c27.js.br", "brotli")
        .file("dist/assets/app-4f9a1c27.js.gz", "gzip")
        .file("dist/robots.txt", "0123456789")
        .file("dist/.env", "secret")
        .file("dist/.git/config", "secret")
        .file("plain/sub/index.html", "sub")
        .file("outside/secret.txt", "secret")
        .file("release-1/dist/a.txt", "one")
        .file("release-2/dist/a.txt", "two");
    symlink("release-1", project.path("current")).unwrap();
    project
}

fn start() -> Appliance {
    let project = project();
    symlink(project.path("outside"), project.path("dist/out")).unwrap();
    symlink(
        project.path("outside/secret.txt"),
        project.path("dist/link.txt"),
    )
    .unwrap();
    symlink("robots.txt", project.path("dist/inside.txt")).unwrap();
    project.start()
}

#[track_caller]
fn ask(connection: &mut Connection, method: &str, target: &str, fields: &str) -> Response {
    connection.send(format!(
        "{method} {target} HTTP/1.1\r\nhost: test\r\n{fields}\r\n"
    ));
    connection.response()
}

const BROWSER: &str = "accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";

#[test]
fn navigations_get_the_index_and_missing_assets_a_404() {
    let site = start();
    let mut connection = site.connect();
    for method in ["GET", "HEAD"] {
        for target in [
            "/",
            "/deep/link",
            "/users/42/edit?tab=1",
            "/v1.2/notes",
            "/a%20b/",
        ] {
            let response = ask(&mut connection, method, target, BROWSER);
            assert_eq!(response.status, 200, "{method} {target}");
            assert_eq!(
                response.header("content-type"),
                Some("text/html; charset=utf-8")
            );
            assert_eq!(
                response.header("content-length"),
                Some(&*INDEX.len().to_string())
            );
            assert_eq!(response.header("cache-control"), Some("no-cache"));
            let body = if method == "GET" { INDEX } else { "" };
            assert_eq!(response.text(), body);
        }
        for target in [
            "/assets/app-00000000.js",
            "/style.css",
            "/logo.png",
            "/logo.svg",
            "/app.js.map",
            "/font.woff2",
            "/data.json",
            "/favicon.ico",
            "/deep/link/chunk.mjs",
        ] {
            let response = ask(&mut connection, method, target, BROWSER);
            assert_eq!(response.status, 404, "{method} {target}");
            assert_eq!(response.header("cache-control"), Some("no-store"));
        }
        for fields in [
            "accept: application/json\r\n",
            "accept: application/json, text/plain, */*\r\n",
            "accept: image/avif,image/webp,*/*;q=0.8\r\n",
            "accept: */*\r\nsec-fetch-dest: script\r\n",
            "accept: */*\r\nsec-fetch-dest: image\r\n",
        ] {
            let response = ask(&mut connection, method, "/deep/link", fields);
            assert_eq!(response.status, 404, "{method} {fields}");
        }
    }
    // A route without a fallback has none.
    assert_eq!(
        ask(&mut connection, "GET", "/plain/deep", BROWSER).status,
        404
    );
    assert_eq!(ask(&mut connection, "GET", "/plain/", BROWSER).status, 404);
}

#[test]
fn other_methods_are_told_which_are_allowed() {
    let site = start();
    let mut connection = site.connect();
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"] {
        for target in ["/robots.txt", "/deep/link", "/plain/none"] {
            let response = ask(&mut connection, method, target, "");
            assert_eq!(response.status, 405, "{method} {target}");
            assert_eq!(response.header("allow"), Some("GET, HEAD, OPTIONS"));
        }
    }
    let response = ask(&mut connection, "OPTIONS", "/robots.txt", "");
    assert_eq!(response.status, 204);
    assert_eq!(response.header("allow"), Some("GET, HEAD, OPTIONS"));
}

#[test]
fn what_a_client_has_is_not_sent_again() {
    let site = start();
    let mut connection = site.connect();
    for target in ["/robots.txt", "/", "/assets/app-4f9a1c27.js", "/deep/link"] {
        let first = ask(&mut connection, "GET", target, "");
        let etag = first.header("etag").unwrap().to_owned();
        let modified = first.header("last-modified").unwrap().to_owned();
        for (fields, status) in [
            (format!("if-none-match: {etag}\r\n"), 304),
            (format!("if-none-match: W/{etag}\r\n"), 304),
            (format!("if-none-match: \"other\", {etag}\r\n"), 304),
            ("if-none-match: *\r\n".to_owned(), 304),
            (format!("if-modified-since: {modified}\r\n"), 304),
            ("if-none-match: \"other\"\r\n".to_owned(), 200),
            (
                format!("if-none-match: \"other\"\r\nif-modified-since: {modified}\r\n"),
                200,
            ),
            (
                "if-modified-since: Sat, 01 Jan 2000 00:00:00 GMT\r\n".to_owned(),
                200,
            ),
            ("if-match: \"other\"\r\n".to_owned(), 412),
        ] {
            for method in ["GET", "HEAD"] {
                let response = ask(&mut connection, method, target, &fields);
                assert_eq!(response.status, status, "{method} {target} {fields}");
                if status == 304 {
                    assert_eq!(response.header("etag"), Some(&*etag));
                    let kept = response.header("cache-control");
                    assert_eq!(kept, first.header("cache-control"), "{target}");
                    assert_eq!(response.header("vary"), first.header("vary"), "{target}");
                }
            }
        }
    }
}

#[test]
fn a_part_of_a_file_can_be_had() {
    let site = start();
    let mut connection = site.connect();
    let first = ask(&mut connection, "GET", "/robots.txt", "");
    assert_eq!(first.header("accept-ranges"), Some("bytes"));
    let etag = first.header("etag").unwrap().to_owned();
    for (fields, status, body, range) in [
        ("range: bytes=0-0", 206, "0", Some("bytes 0-0/10")),
        ("range: bytes=2-4", 206, "234", Some("bytes 2-4/10")),
        ("range: bytes=7-", 206, "789", Some("bytes 7-9/10")),
        ("range: bytes=7-99", 206, "789", Some("bytes 7-9/10")),
        ("range: bytes=-3", 206, "789", Some("bytes 7-9/10")),
        (
            "range: bytes=10-",
            416,
            "416 Range Not Satisfiable\n",
            Some("bytes */10"),
        ),
        (
            "range: bytes=-0",
            416,
            "416 Range Not Satisfiable\n",
            Some("bytes */10"),
        ),
        ("range: bytes=0-1,3-4", 200, "0123456789", None),
        ("range: bytes=4-2", 200, "0123456789", None),
        ("range: lines=1-2", 200, "0123456789", None),
        (
            "range: bytes=0-1\r\nif-range: \"other\"",
            200,
            "0123456789",
            None,
        ),
    ] {
        let response = ask(
            &mut connection,
            "GET",
            "/robots.txt",
            &format!("{fields}\r\n"),
        );
        assert_eq!(response.status, status, "{fields}");
        assert_eq!(response.text(), body, "{fields}");
        assert_eq!(response.header("content-range"), range, "{fields}");
    }
    let fields = format!("range: bytes=1-2\r\nif-range: {etag}\r\n");
    let response = ask(&mut connection, "GET", "/robots.txt", &fields);
    assert_eq!((response.status, response.text()), (206, "12"));
}

#[test]
fn a_compressed_neighbour_goes_to_those_who_take_it() {
    let site = start();
    let mut connection = site.connect();
    for (fields, body, coding) in [
        ("", "let a = 1;", None),
        ("accept-encoding: gzip\r\n", "gzip", Some("gzip")),
        (
            "accept-encoding: gzip, deflate, br\r\n",
            "brotli",
            Some("br"),
        ),
        ("accept-encoding: br;q=0, gzip\r\n", "gzip", Some("gzip")),
        ("accept-encoding: identity\r\n", "let a = 1;", None),
        ("accept-encoding: zstd\r\n", "let a = 1;", None),
    ] {
        let response = ask(&mut connection, "GET", "/assets/app-4f9a1c27.js", fields);
        assert_eq!(response.text(), body, "{fields}");
        assert_eq!(response.header("content-encoding"), coding, "{fields}");
        let vary = response.header("vary").unwrap_or_default();
        assert_eq!(vary.to_ascii_lowercase(), "accept-encoding", "{fields}");
        let media_type = response.header("content-type");
        assert_eq!(
            media_type,
            Some("text/javascript; charset=utf-8"),
            "{fields}"
        );
    }
    let response = ask(
        &mut connection,
        "GET",
        "/robots.txt",
        "accept-encoding: br\r\n",
    );
    assert_eq!(response.header("vary"), None);
}

#[test]
fn hashed_assets_are_kept_for_good_and_the_rest_is_revalidated() {
    let site = start();
    let mut connection = site.connect();
    for (target, expected) in [
        ("/", "no-cache"),
        ("/about.html", "no-cache"),
        ("/robots.txt", "no-cache"),
        (
            "/assets/app-4f9a1c27.js",
            "public, max-age=31536000, immutable",
        ),
    ] {
        let response = ask(&mut connection, "GET", target, "");
        assert_eq!(response.header("cache-control"), Some(expected), "{target}");
    }
}

#[test]
fn hidden_files_and_links_to_the_outside_do_not_exist() {
    let site = start();
    let mut connection = site.connect();
    for target in [
        "/.env",
        "/.git/config",
        "/.git/",
        "/link.txt",
        "/out/secret.txt",
        "/out/",
        "/out/../out/secret.txt",
        "/plain/../.env",
    ] {
        for fields in ["", BROWSER] {
            let response = ask(&mut connection, "GET", target, fields);
            assert_eq!(response.status, 404, "{target}");
            assert!(!response.text().contains("secret"), "{target}");
        }
    }
    let inside = ask(&mut connection, "GET", "/inside.txt", "");
    assert_eq!(inside.text(), "0123456789", "a link within the folder");
}

#[test]
fn a_release_that_is_switched_by_its_link_becomes_visible() {
    let site = start();
    let mut connection = site.connect();
    assert_eq!(connection.get("/released/a.txt").text(), "one");
    let (next, current) = (site.project.path("next"), site.project.path("current"));
    symlink("release-2", &next).unwrap();
    fs::rename(&next, &current).unwrap();
    eventually("new release", || {
        let response = connection.get("/released/a.txt");
        assert_eq!(response.status, 200);
        (response.text() == "two").then_some(())
    });
}

#[test]
fn a_large_file_arrives_byte_for_byte() {
    let site = project().file("plain/large.bin", large()).start();
    let large = large();
    let mut connection = site.connect();
    for _ in 0..2 {
        let response = connection.get("/plain/large.bin");
        assert!(response.complete && response.body() == large);
        assert_eq!(connection.get("/robots.txt").text(), "0123456789");
    }
    let part = ask(
        &mut connection,
        "GET",
        "/plain/large.bin",
        "range: bytes=4194303-12345678\r\n",
    );
    assert_eq!(part.status, 206);
    assert!(part.body() == &large[4_194_303..=12_345_678]);
    // Three at once on one connection, and something small behind.
    for target in [
        "/plain/large.bin",
        "/plain/large.bin",
        "/plain/large.bin",
        "/robots.txt",
    ] {
        connection.send(format!("GET {target} HTTP/1.1\r\nhost: test\r\n\r\n"));
    }
    for _ in 0..3 {
        assert!(connection.response().body() == large);
    }
    assert_eq!(connection.response().text(), "0123456789");
}

#[test]
fn a_slow_reader_gets_all_of_a_large_file() {
    let site = project().file("plain/large.bin", large()).start();
    let mut connection = site.connect();
    connection.send("GET /plain/large.bin HTTP/1.1\r\nhost: test\r\n\r\n");
    // Both sockets fill, and the server has to wait for this one; nobody else has to.
    assert_eq!(site.get("/robots.txt").text(), "0123456789");
    let mut slow = site.connect();
    slow.send("GET /plain/large.bin HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    let mut all = Vec::new();
    for _ in 0..40 {
        let mut piece = vec![0; 100_000];
        slow.stream().read_exact(&mut piece).unwrap();
        all.extend_from_slice(&piece);
        std::thread::sleep(Duration::from_millis(20));
    }
    all.extend(slow.read_to_end());
    let body = all
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .unwrap()
        + 4;
    assert!(all[body..] == large());
    assert!(connection.response().body() == large());
}

#[test]
fn a_file_truncated_while_it_is_sent_cuts_the_connection() {
    let site = project().file("plain/large.bin", large()).start();
    let mut connection = site.connect();
    connection.send("GET /plain/large.bin HTTP/1.1\r\nhost: test\r\n\r\n");
    connection.stream().read_exact(&mut [0; 1_000]).unwrap();
    let file = fs::File::options()
        .write(true)
        .open(site.project.path("plain/large.bin"))
        .unwrap();
    file.set_len(1_000_000).unwrap();
    let rest = connection.read_to_end();
    assert!(
        rest.len() + 1_000 < large().len(),
        "{} bytes came",
        rest.len()
    );
    let worker = site.workers();
    assert_eq!(site.get("/robots.txt").text(), "0123456789");
    eventually("shorter file", || {
        let response = site.get("/plain/large.bin");
        (response.complete && response.body() == &large()[..1_000_000]).then_some(())
    });
    assert_eq!(site.workers(), worker);
}
