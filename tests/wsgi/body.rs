//! What an application returns, as it arrives: framing, lengths, and responses without a body.

use crate::respond;
use crate::support::Project;

const BODIES: &str = include_str!("../apps/bodies.py");

#[test]
fn a_body_arrives_whole_whatever_iterates_it() {
    let site = Project::wsgi(BODIES).start();
    let mut connection = site.connect();
    for (path, length) in [
        ("/one", Some("8")),
        ("/tuple", Some("8")),
        ("/many", None),
        ("/generator", None),
        ("/counted-generator", Some("8")),
        ("/subclass", None),
        ("/sequence", None),
    ] {
        let response = connection.get(path);
        assert!(response.complete, "{path}");
        assert_eq!(response.text(), "one body", "{path}");
        // Whether a body of several chunks is counted or chunked is timing: never both.
        let chunked = response.header("transfer-encoding") == Some("chunked");
        assert_ne!(chunked, response.header("content-length").is_some());
        if length.is_some() {
            assert_eq!(response.header("content-length"), length, "{path}");
        }
    }
}

#[test]
fn a_body_without_chunks_is_empty() {
    let site = Project::wsgi(BODIES).start();
    let mut connection = site.connect();
    for path in ["/empty-list", "/empty-generator", "/empty-chunks"] {
        let response = connection.get(path);
        assert_eq!((response.status, response.text()), (200, ""), "{path}");
        assert_eq!(response.header("content-length"), Some("0"), "{path}");
    }
}

#[test]
fn http_1_0_gets_a_body_that_ends_with_the_connection() {
    let site = Project::wsgi(BODIES).start();
    for path in ["/generator", "/many", "/one", "/counted-generator"] {
        let response = respond(&site, format!("GET {path} HTTP/1.0\r\nhost: test\r\n\r\n"));
        assert_eq!(response.header("transfer-encoding"), None, "{path}");
        assert_eq!(response.text(), "one body", "{path}");
        assert!(response.complete);
    }
}

#[test]
fn what_exceeds_content_length_is_cut_and_the_connection_lives() {
    let site = Project::wsgi(BODIES).start();
    let mut connection = site.connect();
    for path in ["/too-many", "/too-many-at-once", "/too-many-written"] {
        let response = connection.get(path);
        assert_eq!(response.text(), "one body", "{path}");
        assert_eq!(connection.get("/one").text(), "one body", "after {path}");
        let warning = format!(
            " WARN worker 1: the application sent more than its Content-Length of 8 bytes, and \
             the rest was dropped: GET {path} (request "
        );
        site.wait_for_log(&warning);
        assert_eq!(site.log().matches(&warning).count(), 1);
    }
}

#[test]
fn a_body_shorter_than_content_length_cuts_the_connection() {
    let site = Project::wsgi(BODIES).start();
    // Whatever was sent arrives, however soon the end came: a connection that ends without a head
    // would have some clients send the request again.
    for path in ["/too-few", "/too-few-generated", "/counted-then-raising"] {
        let mut connection = site.connect();
        let response = connection.get(path);
        assert_eq!((response.status, response.text()), (200, "one body"));
        assert!(!response.complete, "{path}");
        assert_eq!(connection.read_to_end(), b"");
        site.wait_for_log(&format!(
            "the application raised an exception: GET {path} (request "
        ));
    }
    site.wait_for_log(
        "ValueError: the response ended after 8 of the 20 bytes that its Content-Length promised\n",
    );
    // Nothing has been sent yet: the client can still be told.
    assert_eq!(site.get("/none-of-twenty").status, 500);
    site.wait_for_log("ValueError: the response ended after 0 of the 20 bytes");
}

#[test]
fn responses_without_a_body_have_none() {
    let site = Project::wsgi(BODIES).start();
    let mut connection = site.connect();
    for (method, path, status, length) in [
        ("GET", "/no-content", 204, None),
        ("GET", "/no-content-with-body", 204, None),
        ("GET", "/not-modified", 304, None),
        ("GET", "/not-modified-with-body", 304, None),
        ("GET", "/not-modified-with-length", 304, None),
        ("HEAD", "/one", 200, Some("8")),
        ("HEAD", "/counted-generator", 200, Some("8")),
        ("HEAD", "/length-alone", 200, Some("1234")),
        ("HEAD", "/endless", 200, None),
        ("HEAD", "/not-modified", 304, None),
    ] {
        connection.send(format!("{method} {path} HTTP/1.1\r\nhost: test\r\n\r\n"));
        let response = connection.response();
        assert_eq!(response.status, status, "{method} {path}");
        assert_eq!(response.header("content-length"), length, "{method} {path}");
        // Had a body been sent, it would be read as the next response.
        assert_eq!(connection.get("/one").text(), "one body", "{method} {path}");
    }
    assert!(!site.log().contains("ERROR"), "{}", site.log());
}
