//! `wsgi.file_wrapper` (PEP 3333, "Optional Platform-Specific File Handling").

use crate::support::{Appliance, Project};

fn project() -> Project {
    Project::wsgi_with("threads = 1", include_str!("../apps/files.py"))
        .file("small.txt", "0123456789")
}

fn site() -> Appliance {
    project().start()
}

#[test]
fn files_arrive_from_where_they_stand() {
    let site = site();
    let mut connection = site.connect();
    for (path, status, length, body) in [
        ("/whole", 200, Some("10"), "0123456789"),
        ("/from-offset", 200, Some("6"), "456789"),
        ("/after-read", 200, Some("6"), "456789"),
        ("/counted", 200, Some("10"), "0123456789"),
        ("/part", 206, Some("3"), "234"),
        ("/deleted", 200, Some("10"), "0123456789"),
        ("/past-the-end", 200, Some("0"), ""),
        ("/empty", 200, Some("0"), ""),
        ("/own-block-size", 200, None, "0123456789"),
        // Its descriptor holds the compressed bytes, which are not its content.
        ("/compressed", 200, None, "0123456789"),
        ("/temporary", 200, Some("10"), "0123456789"),
        ("/memory", 200, None, "0123456789"),
        ("/pipe", 200, None, "0123456789"),
        ("/bare", 200, None, "0123456789"),
        ("/after-write", 200, None, "written 0123456789"),
        ("/middleware", 200, None, "0123456789"),
    ] {
        let response = connection.get(path);
        assert_eq!((response.status, response.text()), (status, body), "{path}");
        assert!(response.complete, "{path}");
        if length.is_some() {
            assert_eq!(response.header("content-length"), length, "{path}");
        }
    }
    assert!(!site.log().contains("ERROR"), "{}", site.log());
}

#[test]
fn a_part_of_a_file_is_a_part_of_what_is_wrapped() {
    let site = site();
    let mut connection = site.connect();
    for (path, range, status, content_range, body) in [
        ("/whole", "bytes=2-4", 206, Some("bytes 2-4/10"), "234"),
        ("/from-offset", "bytes=0-1", 206, Some("bytes 0-1/6"), "45"),
        ("/from-offset", "bytes=-2", 206, Some("bytes 4-5/6"), "89"),
        ("/part", "bytes=0-0", 206, None, "234"),
        ("/memory", "bytes=2-4", 200, None, "0123456789"),
    ] {
        connection.send(format!(
            "GET {path} HTTP/1.1\r\nhost: test\r\nrange: {range}\r\n\r\n"
        ));
        let response = connection.response();
        assert_eq!(
            (response.status, response.text()),
            (status, body),
            "{path} {range}"
        );
        if content_range.is_some() {
            assert_eq!(
                response.header("content-range"),
                content_range,
                "{path} {range}"
            );
        }
    }
    connection.send("GET /from-offset HTTP/1.1\r\nhost: test\r\nrange: bytes=6-\r\n\r\n");
    let response = connection.response();
    assert_eq!(response.status, 416);
    assert_eq!(response.header("content-range"), Some("bytes */6"));
    assert_eq!(
        connection.get("/whole").header("accept-ranges"),
        Some("bytes")
    );
}

#[test]
fn head_of_a_file_tells_its_length() {
    let site = site();
    let mut connection = site.connect();
    connection.send("HEAD /from-offset HTTP/1.1\r\nhost: test\r\n\r\n");
    assert_eq!(connection.response().header("content-length"), Some("6"));
    assert_eq!(connection.get("/hello").text(), "hello");
}

#[test]
fn a_file_shorter_than_promised_cuts_the_connection() {
    let site = site();
    let response = site.get("/promised-too-much");
    assert_eq!(response.text(), "0123456789");
    assert!(!response.complete);
    site.wait_for_log("ValueError: the response ended after 10 of the 20 bytes");
}

#[test]
fn a_text_file_is_a_type_error() {
    let site = site();
    assert_eq!(site.get("/text-file").status, 500);
    site.wait_for_log("TypeError: the response must consist of bytes, not str\n");
}

/// No part of it is like another.
fn large() -> Vec<u8> {
    (0..30_000_000_u32 / 4)
        .flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect()
}

#[test]
fn a_large_file_to_a_slow_client_holds_no_thread() {
    let content = large();
    // The only thread.
    let site = project().file("large.bin", &content).start();
    let mut slow = site.connect();
    slow.send("GET /large HTTP/1.1\r\nhost: test\r\n\r\n");
    // It has begun.
    assert_eq!(slow.stream().peek(&mut [0]).unwrap(), 1);
    for _ in 0..3 {
        assert_eq!(site.get("/hello").text(), "hello");
    }
    let response = slow.response();
    assert_eq!(response.header("content-length"), Some("30000000"));
    assert!(response.body() == content, "other bytes arrived");
}
