//! `close()` of what an application returned is called once, however the response ends
//! (PEP 3333, "Specification Details").

use crate::support::{Appliance, Project, eventually};

const CLOSE: &str = include_str!("../apps/close.py");

/// How often each was closed is known once the next request is answered: threads = 1.
fn site() -> Appliance {
    Project::wsgi_with("threads = 1", CLOSE).start()
}

#[test]
fn close_is_called_once_when_the_server_is_through() {
    let site = site();
    let mut expected = Vec::new();
    for name in [
        "normal",
        "generator",
        "raising",
        "raising-at-once",
        "raising-close",
        "raising-iter",
        "never-started",
        "not-bytes",
        "too-many",
        "too-few",
        "file",
        "file-in-memory",
    ] {
        site.get(&format!("/{name}"));
        expected.push(name);
        assert_eq!(site.get("/closed").text(), expected.join(" "));
    }
}

#[test]
fn close_is_called_once_after_head() {
    let site = site();
    let mut expected = Vec::new();
    for name in [
        "normal",
        "endless",
        "abandoned-generator",
        "file",
        "file-in-memory",
    ] {
        let mut connection = site.connect();
        connection.send(format!("HEAD /{name} HTTP/1.1\r\nhost: test\r\n\r\n"));
        assert_eq!(connection.response().status, 200, "{name}");
        expected.push(name);
        assert_eq!(site.get("/closed").text(), expected.join(" "));
    }
}

#[test]
fn close_is_called_once_when_the_client_leaves() {
    let site = site();
    let mut expected = Vec::new();
    for name in ["endless", "abandoned-generator"] {
        let mut connection = site.connect();
        connection.send(format!("GET /{name} HTTP/1.1\r\nhost: test\r\n\r\n"));
        assert_eq!(connection.stream().peek(&mut [0]).unwrap(), 1);
        drop(connection);
        expected.push(name);
        assert_eq!(site.get("/closed").text(), expected.join(" "));
    }
    assert!(!site.log().contains("ERROR"), "{}", site.log());
}

#[test]
fn a_client_that_leaves_while_the_application_waits_is_noticed_with_the_next_chunk() {
    let site = Project::wsgi_with("threads = 2", CLOSE).start();
    let mut connection = site.connect();
    connection.send("GET /waiting HTTP/1.1\r\nhost: test\r\n\r\n");
    assert_eq!(connection.stream().peek(&mut [0]).unwrap(), 1);
    drop(connection);
    site.get("/go-on");
    eventually("close of the first response", || {
        let closed = site.get("/closed").text().to_owned();
        closed.contains("waiting").then_some(())
    });
}

#[test]
fn an_exception_in_close_spoils_no_response() {
    let site = site();
    let response = site.get("/raising-close");
    assert_eq!(response.text(), "body");
    assert!(response.complete);
    site.wait_for_log(" ERROR worker 1: close() of the response raised an exception: GET /raising-close (request ");
    site.wait_for_log("ValueError: while closing\n");
}
