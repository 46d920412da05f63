//! Limits and clocks of project.toml: each holds where it was set, and hurts nobody within it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use support::{Appliance, Connection, Project, Response, eventually};

/// Answers with the length of the body it was sent.
const APP: &str = r#"
def application(environ, start_response):
    body = b"%d" % len(environ["wsgi.input"].read())
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"#;

/// Larger than what the sockets between server and client hold.
const LARGE: usize = 20_000_000;

/// With these settings of `[server]` and of its one site.
fn project(server: &str, site: &str) -> Project {
    let sites = format!(
        "[server]\n{server}\n\n[[site]]\nlisten = [\"127.0.0.1:0\"]\n{site}\n[site.routes]\n\
         \"/\" = {{ files = \"files\" }}\n\"/up\" = {{ wsgi = true }}\n\
         \"/up/small\" = {{ wsgi = true, body_limit = \"1KB\" }}\n\
         \"/up/large\" = {{ wsgi = true, body_limit = \"1MB\" }}\n"
    );
    Project::with_sites(APP, "", &sites)
        .file("files/a.txt", "a")
        .file("files/large.bin", vec![b'x'; LARGE])
}

fn start(server: &str, site: &str) -> Appliance {
    project(server, site).start()
}

/// Asserts that `begun` is about so many seconds ago: the clocks tick once a second.
#[track_caller]
fn assert_about(seconds: u64, begun: Instant) {
    let (elapsed, about) = (begun.elapsed(), Duration::from_secs(seconds));
    assert!(elapsed > about - Duration::from_millis(500), "{elapsed:?}");
    assert!(elapsed < about + Duration::from_secs(4), "{elapsed:?}");
}

#[track_caller]
fn ask(connection: &mut Connection, head: &str) -> Response {
    connection.send(head);
    connection.response()
}

#[test]
fn a_head_up_to_its_limit_is_taken() {
    let site = start("head_limit = \"2KB\"", "");
    let head = |target: &str, field: &str| {
        format!("GET {target} HTTP/1.1\r\nhost: test\r\na: {field}\r\n\r\n")
    };
    let free = 2048 - head("/a.txt", "").len();
    let mut connection = site.connect();
    let response = ask(&mut connection, &head("/a.txt", &"b".repeat(free)));
    assert_eq!((response.status, response.text()), (200, "a"));
    let query = format!("/a.txt?{}", "q".repeat(free - 1));
    let response = ask(&mut connection, &head(&query, ""));
    assert_eq!((response.status, response.text()), (200, "a"));
    let response = ask(&mut connection, &head("/a.txt", &"b".repeat(free + 1)));
    assert_eq!(response.status, 431);
    let query = format!("/a.txt?{}", "q".repeat(2048));
    assert_eq!(ask(&mut site.connect(), &head(&query, "")).status, 414);
}

#[test]
fn as_many_fields_as_are_allowed_are_taken() {
    let site = start("head_fields = 10", "");
    let head = |fields: usize| {
        let fields = "a: b\r\n".repeat(fields - 1);
        format!("GET /a.txt HTTP/1.1\r\nhost: test\r\n{fields}\r\n")
    };
    let mut connection = site.connect();
    assert_eq!(ask(&mut connection, &head(10)).text(), "a");
    assert_eq!(ask(&mut connection, &head(11)).status, 431);
}

#[test]
fn a_head_that_does_not_arrive_gets_408() {
    let site = start("head_timeout = \"1s\"", "");
    let begun = Instant::now();
    let mut silent = site.connect();
    let mut half = site.connect();
    half.send("GET /a.txt HTTP/1.1\r\nhos");
    let response = half.response();
    assert_eq!(response.status, 408);
    assert_eq!(response.header("connection"), Some("close"));
    assert_eq!(half.read_to_end(), b"");
    assert_about(1, begun);
    // Who has sent nothing has asked for nothing.
    assert_eq!(silent.read_to_end(), b"");
    assert_about(1, begun);
}

#[test]
fn a_connection_idles_as_long_as_it_may() {
    let site = start("keep_alive_timeout = \"3s\"\nhead_timeout = \"30s\"", "");
    let mut connection = site.connect();
    let begun = Instant::now();
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(800));
        assert_eq!(connection.get("/a.txt").text(), "a");
    }
    let idle = Instant::now();
    assert_eq!(connection.read_to_end(), b"");
    assert_about(3, idle);
    assert!(begun.elapsed() > Duration::from_secs(3));
}

#[test]
fn a_connection_takes_as_many_requests_as_it_may() {
    let site = start("requests_per_connection = 3", "");
    let request = "GET /a.txt HTTP/1.1\r\nhost: test\r\n\r\n";
    let mut connection = site.connect();
    connection.send(request.repeat(5));
    for number in 1..=3 {
        let response = connection.response();
        assert_eq!(response.text(), "a");
        let close = response.header("connection") == Some("close");
        assert_eq!(close, number == 3, "{number}");
    }
    assert!(connection.try_response().is_none());
}

#[test]
fn an_address_has_as_many_connections_as_it_may() {
    let site = start("connections_per_address = 2", "");
    let (mut first, mut second) = (site.connect(), site.connect());
    assert_eq!(first.get("/a.txt").text(), "a");
    assert_eq!(second.get("/a.txt").text(), "a");
    assert_eq!(site.connect().read_to_end(), b"");
    assert_eq!(first.get("/a.txt").text(), "a");
    drop(second);
    eventually("place for another", || {
        let mut third = site.connect();
        let sent = third
            .stream()
            .write_all(b"GET /a.txt HTTP/1.1\r\nhost: test\r\n\r\n");
        sent.ok().and_then(|()| third.try_response())
    });
}

#[test]
fn the_longest_idle_connection_makes_room_for_another() {
    let site = start("connections = 2", "");
    let (mut first, mut second) = (site.connect(), site.connect());
    assert_eq!(first.get("/a.txt").text(), "a");
    // The clocks tick once a second.
    std::thread::sleep(Duration::from_millis(2100));
    assert_eq!(second.get("/a.txt").text(), "a");
    let mut third = site.connect();
    assert_eq!(third.get("/a.txt").text(), "a");
    assert_eq!(first.read_to_end(), b"");
    assert_eq!(second.get("/a.txt").text(), "a");
}

#[test]
fn when_no_connection_is_idle_a_new_one_waits() {
    let site = start("connections = 1", "");
    let mut busy = site.connect();
    busy.send("POST /up HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\na");
    let mut waiting = site.connect();
    waiting.send("GET /a.txt HTTP/1.1\r\nhost: test\r\n\r\n");
    let pause = Some(Duration::from_millis(700));
    waiting.stream().set_read_timeout(pause).unwrap();
    assert!(
        waiting.stream().read(&mut [0; 1]).is_err(),
        "it has to wait"
    );
    waiting
        .stream()
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    busy.send("b");
    assert_eq!(busy.response().text(), "2");
    assert_eq!(waiting.response().text(), "a");
}

#[test]
fn a_route_has_its_own_body_limit() {
    let site = start("", "body_limit = \"10KB\"");
    for (path, limit) in [
        ("/up", 10 << 10),
        ("/up/small", 1 << 10),
        ("/up/large/x", 1 << 20),
    ] {
        for (len, status) in [(limit, 200), (limit + 1, 413)] {
            let mut connection = site.connect();
            connection.send(format!(
                "POST {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {len}\r\n\r\n"
            ));
            // Whoever reads 413 before has sent nothing in vain.
            if status == 200 {
                connection.send("x".repeat(len));
            }
            assert_eq!(connection.response().status, status, "{path} {len}");
            let mut connection = site.connect();
            let body = "x".repeat(len);
            let chunked = format!(
                "POST {path} HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n\
                 {len:x}\r\n{body}\r\n0\r\n\r\n"
            );
            let _ = connection.stream().write_all(chunked.as_bytes());
            assert_eq!(
                connection.response().status,
                status,
                "{path} {len} in chunks"
            );
        }
    }
}

#[test]
fn a_body_may_pause_as_long_as_it_may() {
    let site = start("", "body_timeout = \"3s\"");
    for framing in ["content-length: 9", "transfer-encoding: chunked"] {
        let mut connection = site.connect();
        connection.send(format!(
            "POST /up HTTP/1.1\r\nhost: test\r\n{framing}\r\n\r\n"
        ));
        let begun = Instant::now();
        let response = connection.response();
        assert_eq!(response.status, 408, "{framing}");
        assert_eq!(response.header("connection"), Some("close"));
        assert_about(3, begun);
    }
    let mut slow = site.connect();
    slow.send("POST /up HTTP/1.1\r\nhost: test\r\ncontent-length: 6\r\n\r\n");
    for _ in 0..6 {
        std::thread::sleep(Duration::from_millis(800));
        slow.send("x");
    }
    assert_eq!(slow.response().text(), "6");
}

#[test]
fn a_response_that_nobody_takes_is_cut() {
    let site = start("", "send_timeout = \"1s\"");
    let mut stalled = site.connect();
    stalled.send("GET /large.bin HTTP/1.1\r\nhost: test\r\n\r\n");
    // As long as somebody reads, however slowly, it goes on.
    let mut slow = site.connect();
    slow.send("GET /large.bin HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    let (mut read, mut piece) = (0, vec![0; LARGE / 10]);
    loop {
        match slow.stream().read(&mut piece).unwrap() {
            0 => break,
            len => read += len,
        }
        if read < LARGE / 2 {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    assert!(read > LARGE, "{read}");
    std::thread::sleep(Duration::from_secs(3));
    assert!(stalled.read_to_end().len() < LARGE);
}
