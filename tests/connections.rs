//! What users rely on for their connections: idle ones cost little and lose nothing, clients that
//! leave take nothing with them, and a stop cuts nobody off who may still be served.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::fs;
use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use support::{Appliance, Connection, Project, eventually};

/// `/slow`: an answer after a while; `/stream`: one without end. Each leaves a file with its name
/// when it begins. Everything else: what was asked and sent.
const APP: &str = r#"
import time

def application(environ, start_response):
    path, body = environ["PATH_INFO"], environ["wsgi.input"].read()
    if path in ("/slow", "/stream"):
        with open(path[1:], "w"):
            pass
        time.sleep(1 if path == "/slow" else 0)
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/stream":
        return (b"x" * 65536 for _ in iter(int, 1))
    return [("%s?%s %d" % (path, environ["QUERY_STRING"], len(body))).encode()]
"#;

const SITE: &str = r#"
[[site]]
listen = ["127.0.0.1:0"]

[site.routes]
"/" = { wsgi = true }
"/files/" = { files = "files" }
"#;

/// Larger than what both ends of a connection hold.
const LARGE: usize = 30_000_000;

fn project(server: &str) -> Project {
    let sites = format!("[server]\n{server}\n{SITE}");
    Project::with_sites(
        APP,
        "spool = \"spool\"\nbody_buffer = \"4KB\"\nthreads = 4\nqueue = 4096",
        &sites,
    )
    .file("files/small.txt", "small")
    .file("files/large.bin", vec![b'x'; LARGE])
    .file("spool/kept", "")
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: test\r\n\r\n")
}

/// What the server's worker has open.
fn descriptors(worker: i32) -> usize {
    fs::read_dir(format!("/proc/{worker}/fd")).unwrap().count()
}

#[test]
fn two_thousand_idle_connections_lose_nothing() {
    let site = project("").start();
    let mut connections: Vec<Connection> = (0..2_000).map(|_| site.connect()).collect();
    // Before it idles, each sends something else.
    for (number, connection) in connections.iter_mut().enumerate() {
        let first = get(&format!("/first?{number}"));
        let second = get(&format!("/second?{number}"));
        let half = &second[..1 + number % (second.len() - 1)];
        match number % 5 {
            0 => connection.send(first),
            1 => connection.send(first + half),
            2 => connection.send(get("/files/small.txt") + half),
            3 => connection.send(first.clone() + &first),
            // One that has not asked for anything yet.
            _ => {}
        }
    }
    for (number, connection) in connections.iter_mut().enumerate() {
        let first = format!("/first?{number} 0");
        match number % 5 {
            0 | 1 => assert_eq!(connection.response().text(), first),
            2 => assert_eq!(connection.response().text(), "small"),
            3 => {
                assert_eq!(connection.response().text(), first);
                assert_eq!(connection.response().text(), first);
            }
            _ => {}
        }
    }
    // Connections are parked after one to three seconds.
    std::thread::sleep(Duration::from_millis(3_500));
    for (number, connection) in connections.iter_mut().enumerate() {
        let second = get(&format!("/second?{number}"));
        let sent = match number % 5 {
            1 | 2 => 1 + number % (second.len() - 1),
            _ => 0,
        };
        connection.send(&second[sent..]);
        if number % 7 == 0 {
            connection.send(get("/files/small.txt") + &get("/third"));
        }
    }
    for (number, connection) in connections.iter_mut().enumerate() {
        let response = connection.response();
        assert_eq!(response.text(), format!("/second?{number} 0"));
        if number % 7 == 0 {
            assert_eq!(connection.response().text(), "small");
            assert_eq!(connection.response().text(), "/third? 0");
        }
    }
}

#[test]
fn a_parked_connection_takes_an_upload() {
    let site = project("").start();
    let mut connections: Vec<Connection> = (0..20).map(|_| site.connect()).collect();
    let upload = "POST /up HTTP/1.1\r\nhost: test\r\ncontent-length: 50000\r\n\r\n".to_owned()
        + &"y".repeat(50_000);
    for (number, connection) in connections.iter_mut().enumerate() {
        connection.send(get("/") + &upload[..number]);
        assert_eq!(connection.response().text(), "/? 0");
    }
    std::thread::sleep(Duration::from_millis(3_500));
    for (number, connection) in connections.iter_mut().enumerate() {
        connection.send(&upload[number..]);
        assert_eq!(connection.response().text(), "/up? 50000");
    }
}

#[test]
fn half_a_head_is_not_waited_for_forever() {
    let site = project("").start();
    let begun = Instant::now();
    let mut waiting = site.connect();
    waiting.send("GET / HTTP/1.1\r\nhost");
    let mut trickling = site.connect();
    trickling.send("GET / HTTP/1.1\r\n");
    // A byte now and then is no reason to wait longer.
    eventually("end of the trickle", || {
        std::thread::sleep(Duration::from_millis(200));
        let sent = trickling.stream().write_all(b"a: b\r\n");
        sent.is_err().then_some(())
    });
    assert!(begun.elapsed() > Duration::from_secs(18));
    assert!(begun.elapsed() < Duration::from_secs(28));
    waiting.read_to_end();
    assert!(begun.elapsed() < Duration::from_secs(29));
}

/// Ways to leave: what is sent before the connection is dropped.
fn departures() -> [(&'static str, String); 6] {
    let upload = "POST /up HTTP/1.1\r\nhost: test\r\n";
    [
        ("in a head", "GET / HTTP/1.1\r\nhos".to_owned()),
        (
            "in an upload",
            format!(
                "{upload}content-length: 900000\r\n\r\n{}",
                "y".repeat(300_000)
            ),
        ),
        (
            "in a chunk",
            format!(
                "{upload}transfer-encoding: chunked\r\n\r\nfffff\r\n{}",
                "y".repeat(300_000)
            ),
        ),
        ("in a file", get("/files/large.bin")),
        ("in a stream", get("/stream")),
        (
            "among many requests",
            get("/files/large.bin").repeat(20) + &get("/"),
        ),
    ]
}

#[test]
fn clients_that_leave_leave_nothing_behind() {
    let site = project("").start();
    let worker = site.workers()[0];
    let leave = |times: usize| {
        for (what, request) in departures() {
            let all: Vec<Connection> = (0..times)
                .map(|number| {
                    let mut connection = site.connect();
                    connection.send(&request);
                    // Some leave in the middle of an answer, some before it. (No more streams
                    // than there are threads are answered at a time.)
                    if number < 4 && matches!(what, "in a file" | "in a stream") {
                        let mut begin = [0; 100_000];
                        let mut socket = connection.stream();
                        std::io::Read::read_exact(&mut socket, &mut begin).unwrap();
                    }
                    connection
                })
                .collect();
            drop(all);
            assert_eq!(site.get("/files/small.txt").text(), "small", "{what}");
        }
    };
    // What the first requests open for good (cached files) does not count.
    leave(1);
    let mut before = descriptors(worker);
    eventually("end of the first", || {
        let now = descriptors(worker);
        std::thread::sleep(Duration::from_millis(200));
        let same = now == before;
        before = now;
        same.then_some(())
    });
    leave(35);
    eventually("as few open descriptors as before", || {
        std::thread::sleep(Duration::from_millis(50));
        (descriptors(worker) <= before).then_some(())
    });
    assert_eq!(site.get("/after").text(), "/after? 0");
    assert_eq!(fs::read_dir(site.project.path("spool")).unwrap().count(), 1);
    assert_eq!(site.workers(), [worker]);
    let log = site.log();
    assert!(!log.contains("panicked"), "{log}");
}

/// Starts `path` and returns when the application is in it.
fn begin(site: &Appliance, path: &str) -> Connection {
    let mut connection = site.connect();
    connection.send(get(path));
    let marker = site.project.path(&path[1..]);
    eventually("running request", || marker.exists().then_some(()));
    connection
}

#[test]
fn a_stop_lets_running_requests_finish_and_closes_idle_connections() {
    let mut site = project("").start();
    let mut parked = site.connect();
    parked.get("/");
    let mut half = site.connect();
    half.send(get("/") + "GET /ha");
    half.response();
    std::thread::sleep(Duration::from_millis(3_200));
    let mut idle = site.connect();
    idle.get("/files/small.txt");
    let mut fresh = site.connect();
    let mut download = site.connect();
    download.send(get("/files/large.bin"));
    let mut upload = site.connect();
    upload.send("POST /up HTTP/1.1\r\nhost: test\r\ncontent-length: 10000\r\n\r\n");
    upload.send("y".repeat(5_000));
    let mut slow = begin(&site, "/slow");

    site.signal(libc::SIGTERM);
    for connection in [&mut parked, &mut idle, &mut fresh] {
        assert_eq!(connection.read_to_end(), b"");
    }
    let half = String::from_utf8(half.read_to_end()).unwrap();
    assert!(half.starts_with("HTTP/1.1 408 "), "{half}");
    let response = slow.response();
    assert_eq!(response.text(), "/slow? 0");
    assert_eq!(response.header("connection"), Some("close"));
    upload.send("y".repeat(5_000));
    assert_eq!(upload.response().text(), "/up? 10000");
    let response = download.response();
    assert!(response.complete);
    assert_eq!(response.body().len(), LARGE);
    let begun = Instant::now();
    assert_eq!(site.wait(), 0);
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(!site.log().contains("unfinished"), "{}", site.log());
}

#[test]
fn a_stop_answers_requests_that_have_already_arrived() {
    let mut site = project("").start();
    // More than tokio hears of at once.
    let mut connections: Vec<Connection> = (0..1_500).map(|_| site.connect()).collect();
    for connection in &mut connections {
        connection.get("/files/small.txt");
    }
    let worker = site.workers()[0];
    // While the worker is held, the order to stop and requests arrive.
    site.signal_worker(worker, libc::SIGSTOP);
    site.signal(libc::SIGTERM);
    site.wait_for_log("stopping");
    for connection in &mut connections {
        connection.send(get("/files/small.txt"));
    }
    site.signal_worker(worker, libc::SIGCONT);
    for connection in &mut connections {
        assert_eq!(connection.response().text(), "small");
        assert_eq!(connection.read_to_end(), b"");
    }
    assert_eq!(site.wait(), 0);
}

#[test]
fn a_stop_that_takes_too_long_cuts_requests_off_and_says_so() {
    for (path, reads) in [("/stream", false), ("/files/large.bin", true)] {
        let mut site = project("stop_timeout = \"1s\"").start();
        let mut connection = match reads {
            true => {
                let mut connection = site.connect();
                connection.send(get(path));
                let mut socket = connection.stream();
                std::io::Read::read_exact(&mut socket, &mut [0; 1_000]).unwrap();
                connection
            }
            false => begin(&site, path),
        };
        let begun = Instant::now();
        site.signal(libc::SIGTERM);
        assert_eq!(site.wait(), 4, "{path}");
        assert!(begun.elapsed() >= Duration::from_secs(1), "{path}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{path}");
        connection.read_to_end();
    }
}

fn limit_descriptors(pid: i32, soft: usize) {
    let status = Command::new("prlimit")
        .args([format!("--pid={pid}"), format!("--nofile={soft}:")])
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn a_worker_out_of_descriptors_recovers() {
    let site = project("").start();
    let worker = site.workers()[0];
    limit_descriptors(worker, descriptors(worker) + 5);
    // Sent at once: one that has sent nothing when room is short may be closed for it.
    let ask = |_| {
        let mut connection = site.connect();
        connection.send(get("/waited"));
        connection
    };
    let waiting: Vec<Connection> = (0..30).map(ask).collect();
    site.wait_for_log("cannot accept connections");
    // As clients leave, others get their turn.
    for (number, mut connection) in waiting.into_iter().enumerate() {
        assert_eq!(
            connection.response().text(),
            "/waited? 0",
            "client {number}"
        );
    }
    assert_eq!(site.get("/files/small.txt").text(), "small");
    assert_eq!(site.workers(), [worker]);
}
