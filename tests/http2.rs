//! HTTP/2 (RFC 9113): requests and responses, many at a time, and how a connection ends; with
//! clients of our own, and with curl and nghttp2.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![allow(unreachable_pub, reason = "modules of a test, not of a library")]

mod support;

#[path = "tls/authority.rs"]
mod authority;
#[path = "http2/broken.rs"]
mod broken;
#[path = "http2/clients.rs"]
mod clients;
#[path = "http2/routes.rs"]
mod routes;
#[path = "http2/tls.rs"]
mod tls;

use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use support::http2::{
    CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, Http2, INITIAL_WINDOW_SIZE,
    INTERNAL_ERROR, NO_ERROR, PING, PROTOCOL_ERROR, REFUSED_STREAM, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, block, fields, frame,
};
use support::{Appliance, Project, eventually};

const APP: &str = include_str!("apps/http2.py");

/// Of the file that does not fit into any buffer.
const LARGE: usize = 8 << 20;

fn large() -> Vec<u8> {
    (0..LARGE).map(|at| (at % 251) as u8).collect()
}

fn project(server: &str, site: &str, python: &str) -> Project {
    let sites = format!(
        "[server]\n{server}\n\n[[site]]\nlisten = [\"127.0.0.1:0\"]\nhttp2 = \"always\"\n{site}\n\
         [site.routes]\n\"/\" = {{ wsgi = true }}\n\"/files/\" = {{ files = \"files\" }}\n\
         \"/n/\" = {{ wsgi = true, methods = [\"GET\"], headers = {{ X-Rule = \"holds\" }} }}\n"
    );
    Project::with_sites(APP, python, &sites)
        .file("files/a.txt", "a file")
        .file("files/empty.txt", "")
        .file("files/large.bin", large())
}

fn start() -> Appliance {
    project("", "", "").start()
}

#[test]
fn requests_of_one_connection_are_answered_each_on_its_own() {
    let site = start();
    let mut client = Http2::open(site.address());
    let streams: Vec<(u32, String)> = (0..100)
        .map(|number| (client.get(&format!("/n/{number}")), number.to_string()))
        .collect();
    for (stream, number) in streams.into_iter().rev() {
        let answer = client.answer(stream);
        assert_eq!((answer.status(), answer.text()), (200, number.as_str()));
    }
    for (path, status, body) in [
        ("/files/a.txt", 200, "a file"),
        ("/files/empty.txt", 200, ""),
        ("/files/none.txt", 404, "404 Not Found\n"),
        ("/empty", 204, ""),
        ("/raise", 500, "500 Internal Server Error\n"),
    ] {
        let answer = client.ask(path);
        assert!(answer.complete, "{path}");
        assert_eq!((answer.status(), answer.text()), (status, body), "{path}");
    }
    let stream = client.request("HEAD", "/files/large.bin", &[], END_STREAM);
    let answer = client.answer(stream);
    assert_eq!((answer.status(), answer.body.len()), (200, 0));
    let stream = client.request("HEAD", "/echo/x", &[], END_STREAM);
    let answer = client.answer(stream);
    assert_eq!((answer.status(), answer.body.len()), (200, 0));
    let known = [("if-none-match", "*")];
    let stream = client.request("GET", "/files/a.txt", &known, END_STREAM);
    let answer = client.answer(stream);
    assert_eq!((answer.status(), answer.body.len()), (304, 0));
    assert!(answer.complete);
    let range = [("range", "bytes=251-253")];
    let stream = client.request("GET", "/files/large.bin", &range, END_STREAM);
    let answer = client.answer(stream);
    assert_eq!((answer.status(), &answer.body[..]), (206, &[0, 1, 2][..]));
    let answer = client.ask("/files/large.bin");
    assert!(answer.complete && answer.body == large());
}

#[test]
fn the_application_sees_the_request_as_it_would_any_other() {
    let site = start();
    let mut client = Http2::open(site.address());
    let more = [
        ("cookie", "a=1"),
        ("x-own", "one"),
        ("cookie", "b=2"),
        ("x-own", "two"),
        ("te", "trailers"),
        ("x-forwarded-for", "1.2.3.4"),
    ];
    let stream = client.request("GET", "/environ/%41b?c=d%20e", &more, END_STREAM);
    let answer = client.answer(stream);
    for line in [
        "SERVER_PROTOCOL=HTTP/2.0",
        "REQUEST_METHOD=GET",
        "PATH_INFO=/environ/Ab",
        "QUERY_STRING=c=d%20e",
        "HTTP_HOST=test",
        "HTTP_COOKIE=a=1; b=2",
        "HTTP_X_OWN=one, two",
        "REMOTE_ADDR=127.0.0.1",
        "wsgi.url_scheme=http",
    ] {
        let has = answer.text().lines().any(|other| other == line);
        assert!(has, "no {line} in\n{}", answer.text());
    }
    for absent in ["HTTP_TE=", "CONTENT_LENGTH=", "HTTP_X_FORWARDED_FOR="] {
        assert!(!answer.text().contains(absent), "{absent}");
    }
}

#[test]
fn rules_hold_for_http_2_as_well() {
    let site = start();
    let mut client = Http2::open(site.address());
    let stream = client.request("POST", "/n/1", &[], END_STREAM);
    assert_eq!(client.answer(stream).status(), 405);
    for arguments in [&["-D-"][..], &["-D-", "-XPOST"]] {
        let told = text(&curl(&site, arguments, "/n/1"));
        assert!(told.contains("x-rule: holds\r\n"), "{told}");
    }
}

#[test]
fn bodies_arrive_with_and_without_a_length_in_any_pieces() {
    let site = project("", "body_limit = \"1MB\"", "body_buffer = \"10KB\"").start();
    let mut client = Http2::open(site.address());
    for (len, piece) in [(0, 1), (1, 1), (70, 7), (900_000, 16_384), (70_000, 16_000)] {
        for with_length in [true, false] {
            let body: Vec<u8> = (0..len).map(|at: u32| (at % 251) as u8).collect();
            let length = len.to_string();
            let more = [("content-length", length.as_str())];
            let more = if with_length { &more[..] } else { &[] };
            let stream = client.request("POST", "/sum", more, 0);
            client.upload(stream, &body, piece);
            let sum: u64 = body.iter().map(|byte| u64::from(*byte)).sum();
            let answer = client.answer(stream);
            assert_eq!(answer.text(), format!("{len} {sum}"), "{len} {with_length}");
        }
    }
}

#[test]
fn a_body_that_is_too_large_is_answered_and_the_connection_goes_on() {
    let site = project("", "body_limit = \"100KB\"", "").start();
    let mut client = Http2::open(site.address());
    client.ping(); // Now it knows its window.
    for length in [Some("200000"), None] {
        let more = length.map(|length| ("content-length", length));
        let stream = client.request("POST", "/sum", more.as_slice(), 0);
        for _ in 0..8 {
            client.data(stream, &[b'x'; 16_000], 0);
        }
        let answer = client.answer(stream);
        assert_eq!(
            (answer.status(), answer.complete),
            (413, true),
            "{length:?}"
        );
        // It need not send the rest, which is no error (§8.1).
        while client.so_far(stream).reset.is_none() {
            client.frame().unwrap();
        }
        assert_eq!(client.so_far(stream).reset, Some(NO_ERROR));
    }
    assert_eq!(client.ask("/n/7").text(), "7");
}

#[test]
fn interim_responses_come_before_the_final_one() {
    let site = start();
    let mut client = Http2::open(site.address());
    let answer = client.ask("/hints");
    assert_eq!(
        (&answer.statuses[..], answer.text()),
        (&[103, 200][..], "hinted")
    );
    let more = [("expect", "100-continue"), ("content-length", "3")];
    let stream = client.request("POST", "/sum", &more, 0);
    while client.so_far(stream).statuses.is_empty() {
        client.frame().unwrap();
    }
    client.data(stream, &[1, 2, 3], END_STREAM);
    let answer = client.answer(stream);
    assert_eq!(
        (&answer.statuses[..], answer.text()),
        (&[100, 200][..], "3 6")
    );
}

#[test]
fn a_response_that_breaks_off_is_reset_and_its_neighbours_are_not() {
    let site = start();
    let mut client = Http2::open(site.address());
    let broken = client.get("/break");
    let other = client.get("/n/7");
    let answer = client.answer(broken);
    // A reset overtakes what waits to be sent.
    assert!(["begun", ""].contains(&answer.text()), "{answer:?}");
    assert_eq!(answer.reset, Some(INTERNAL_ERROR));
    assert_eq!(client.answer(other).text(), "7");
}

#[test]
fn a_stream_that_is_not_read_holds_neither_the_others_nor_a_python_thread() {
    let site = project("", "", "threads = 1").start();
    let mut client = Http2::open_with(site.address(), &[(INITIAL_WINDOW_SIZE, 10)]);
    client.grant(0, 1 << 30);
    let paths = ["/large", "/files/large.bin", "/large", "/files/large.bin"];
    let slow = paths.map(|path| client.get(path));
    for number in 0..20 {
        let answer = client.ask(&format!("/n/{number}"));
        assert_eq!(answer.text(), number.to_string());
    }
    for (path, stream) in paths.into_iter().zip(slow) {
        assert!(client.so_far(stream).body.len() <= 10, "{path}");
        client.grant(stream, LARGE as u32);
        let answer = client.answer(stream);
        assert!(answer.complete && answer.body == large(), "{path}");
    }
}

#[test]
fn a_request_that_is_taken_back_ends_its_work() {
    let site = start();
    let mut client = Http2::open(site.address());
    let stream = client.get("/endless");
    while client.so_far(stream).body.is_empty() {
        client.frame().unwrap();
    }
    client.reset(stream);
    eventually("the end of the response", || {
        (client.ask("/closed").text() == "1 of 1").then_some(())
    });
}

#[test]
fn more_streams_than_allowed_are_refused_to_be_sent_again() {
    let site = project("http2_streams = 3", "", "").start();
    let mut client = Http2::open(site.address());
    client.ping(); // The limit holds once the client knows it.
    let streams: Vec<u32> = (0..5).map(|_| client.get("/slow")).collect();
    let answers: Vec<_> = streams
        .into_iter()
        .map(|stream| client.answer(stream))
        .collect();
    let refused = answers
        .iter()
        .filter(|answer| answer.reset == Some(REFUSED_STREAM));
    assert_eq!(refused.count(), 2, "{answers:?}");
    let answered = answers.iter().filter(|answer| answer.body == b"slow");
    assert_eq!(answered.count(), 3, "{answers:?}");
}

#[test]
fn without_the_key_there_is_no_http_2_without_tls() {
    for key in ["", "http2 = \"off\""] {
        let sites = format!(
            "[[site]]\nlisten = [\"127.0.0.1:0\"]\n{key}\n[site.routes]\n\"/\" = {{ files = \"f\" }}\n"
        );
        let site = Project::with_sites(APP, "", &sites)
            .file("f/a.txt", "a")
            .start();
        let mut connection = site.connect();
        connection.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        assert_eq!(connection.response().status, 505, "{key}");
    }
}

#[test]
fn http_1_is_served_beside_it_and_cannot_turn_into_it() {
    let site = start();
    let mut connection = site.connect();
    assert_eq!(connection.get("/n/7").text(), "7");
    connection.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_eq!(connection.response().status, 505);
    let mut client = Http2::open(site.address());
    let stream = client.stream();
    let block = block(&fields("GET", "/n/8", &[]));
    for byte in frame(HEADERS, END_HEADERS | END_STREAM, stream, &block) {
        client.send(&[byte]);
    }
    assert_eq!(client.answer(stream).text(), "8");
}

#[test]
fn a_connection_ends_after_its_requests_or_its_idle_time_with_a_goaway() {
    let server = "requests_per_connection = 3\nkeep_alive_timeout = \"1s\"";
    let site = project(server, "", "").start();
    let mut client = Http2::open(site.address());
    let streams: Vec<u32> = (0..3).map(|_| client.get("/slow")).collect();
    for stream in &streams {
        assert_eq!(client.answer(*stream).text(), "slow");
    }
    assert!(client.read_to_end());
    // The first says that it ends, the second what was the last.
    assert_eq!(client.goaways.first(), Some(&((1 << 31) - 1, NO_ERROR)));
    assert_eq!(client.goaways.last(), Some(&(streams[2], NO_ERROR)));
    let mut client = Http2::open(site.address());
    let begun = Instant::now();
    assert_eq!(client.ask("/n/7").status(), 200);
    assert!(client.read_to_end());
    assert_eq!(client.goaways.last(), Some(&(1, NO_ERROR)));
    let elapsed = begun.elapsed();
    assert!((900..10_000).contains(&elapsed.as_millis()), "{elapsed:?}");
}

#[test]
fn a_stop_lets_requests_finish_and_says_goodbye() {
    let mut site = start();
    let mut busy = Http2::open(site.address());
    let stream = busy.get("/slow");
    let mut idle = Http2::open(site.address());
    busy.ping();
    idle.ping();
    site.signal(libc::SIGTERM);
    assert_eq!(busy.answer(stream).text(), "slow");
    assert!(busy.read_to_end() && idle.read_to_end());
    assert_eq!(busy.goaways.last(), Some(&(stream, NO_ERROR)));
    assert_eq!(idle.goaways.last(), Some(&(0, NO_ERROR)));
    drop((busy, idle));
    assert_eq!(site.wait(), 0);
}

/// Asks on one connection after another, several requests at a time, until it is stopped. Returns
/// how many were answered, and what went wrong. Requests behind the last one that a GOAWAY names
/// are to be asked again (§6.8).
fn ask(site: std::net::SocketAddr, stop: &AtomicBool) -> (usize, Vec<String>) {
    let (mut answered, mut failed) = (0, Vec::new());
    while !stop.load(Relaxed) {
        let mut client = Http2::open(site);
        while !stop.load(Relaxed) && client.goaways.is_empty() {
            let streams = ["/n/5", "/files/a.txt", "/n/7"].map(|path| (path, client.get(path)));
            for (path, stream) in streams {
                let answer = client.answer(stream);
                let last = client.goaways.last().map_or(u32::MAX, |goaway| goaway.0);
                match answer.text() {
                    "5" | "a file" | "7" => answered += 1,
                    _ if stream > last => {}
                    _ => failed.push(format!("{path}: {answer:?} {:?}", client.goaways)),
                }
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    (answered, failed)
}

#[test]
fn reloads_and_replaced_workers_lose_no_request() {
    let site = project("", "", "processes = 2\nmax_requests = 300").start();
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (address, stop) = (site.address(), Arc::clone(&stop));
            std::thread::spawn(move || ask(address, &stop))
        })
        .collect();
    eventually("replaced workers", || {
        (site.log().matches("reason=max_requests").count() >= 2).then_some(())
    });
    for done in 1..=2 {
        site.signal(libc::SIGHUP);
        eventually("a reload", || {
            (site.log().matches("reloaded").count() >= done).then_some(())
        });
    }
    stop.store(true, Relaxed);
    let (mut answered, mut failed) = (0, Vec::new());
    for client in clients {
        let (more, wrong) = client.join().unwrap();
        answered += more;
        failed.extend(wrong);
    }
    assert!(failed.is_empty(), "{answered} answered, {failed:?}");
    assert!(answered > 300, "{answered}");
}

fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).output();
    output.unwrap_or_else(|error| {
        panic!("`{program}`: {error}; tests/run installs it (Debian: curl, nghttp2-client)")
    })
}

fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

fn curl(site: &Appliance, arguments: &[&str], path: &str) -> Output {
    let url = format!("http://{}{path}", site.address());
    let usual = ["-sS", "-m", "30", "--http2-prior-knowledge", url.as_str()];
    run("curl", &[&usual, arguments].concat())
}
