//! `wsgi.early_hints` (RFC 8297): a 103 before the response.

use std::io::Read;

use crate::support::{Appliance, Project};

const HINT: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload; as=style\r\n\r\n";

fn site(threads: u8) -> Appliance {
    let python = format!("threads = {threads}");
    Project::wsgi_with(&python, include_str!("../apps/early_hints.py")).start()
}

/// All that comes in answer to a GET, up to the connection's end.
fn answer(site: &Appliance, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    String::from_utf8(site.exchange(request)).unwrap()
}

#[test]
fn a_hint_arrives_while_the_application_works() {
    let site = site(2);
    let mut connection = site.connect();
    connection.send("GET /hint-then-wait HTTP/1.1\r\nhost: test\r\n\r\n");
    let mut hint = vec![0; HINT.len()];
    connection.stream().read_exact(&mut hint).unwrap();
    assert_eq!(String::from_utf8_lossy(&hint), HINT);
    // Only this lets it go on.
    site.get("/let-go");
    assert_eq!(connection.response().text(), "done");
    assert_eq!(connection.get("/let-go").status, 200);
}

#[test]
fn a_hint_behind_the_head_is_dropped() {
    let answer = answer(&site(1), "/too-late");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\none two"), "{answer}");
}

#[test]
fn no_hint_reaches_another_request() {
    let site = site(1);
    assert_eq!(site.get("/keep").text(), "kept");
    let answer = answer(&site, "/from-another-thread");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[test]
fn hints_beyond_what_the_client_takes_are_dropped() {
    let answer = answer(&site(1), "/many");
    let hints = answer.matches(HINT).count();
    assert!((1..100_000).contains(&hints), "{hints}");
    let response = answer.trim_start_matches(HINT);
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
}

#[test]
fn what_no_response_may_hold_no_hint_may() {
    let answer = answer(&site(1), "/refused");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let errors = "\r\n\r\nValueError ValueError ValueError ValueError TypeError TypeError";
    assert!(answer.ends_with(errors), "{answer}");
}
