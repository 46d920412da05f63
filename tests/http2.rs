//! HTTP/2 (RFC 9113): requests and responses, many at a time, and how a connection ends; with
//! clients of our own, and with curl and nghttp2.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![allow(unreachable_pub, reason = "modules of a test, not of a library")]

mod support;

#[path = "tls/authority.rs"]
mod authority;
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

type Fields = Vec<(&'static str, &'static str)>;

/// What a request of HTTP/2 may not be (§8).
fn malformed() -> Vec<(&'static str, Fields)> {
    let with = |name, value| [fields("GET", "/n/1", &[]), vec![(name, value)]].concat();
    let without = |name: &str| {
        let mut all = fields("GET", "/n/1", &[]);
        all.retain(|(other, _)| *other != name);
        all
    };
    vec![
        ("no method", without(":method")),
        ("no scheme", without(":scheme")),
        ("no path", without(":path")),
        ("no authority and no host", without(":authority")),
        ("an empty path", fields("GET", "", &[])),
        ("a path without a slash", fields("GET", "echo", &[])),
        ("a URL for a path", fields("GET", "http://test/n/1", &[])),
        ("an asterisk with GET", fields("GET", "*", &[])),
        ("a blank in the path", fields("GET", "/n/ 1", &[])),
        (
            "a line break in the path",
            fields("GET", "/n/1\r\nx: y", &[]),
        ),
        ("two paths", with(":path", "/n/2")),
        ("an unknown pseudo-header", with(":own", "x")),
        ("a response's pseudo-header", with(":status", "200")),
        ("a pseudo-header after a field", {
            [vec![("x-own", "x")], fields("GET", "/n/1", &[])].concat()
        }),
        ("capitals in a name", with("X-Own", "x")),
        ("a blank in a name", with("x own", "x")),
        ("a colon in a name", with("x:own", "x")),
        ("an empty name", with("", "x")),
        ("a line break in a value", with("x-own", "a\r\nb: c")),
        ("a NUL in a value", with("x-own", "a\0b")),
        ("connection", with("connection", "close")),
        ("keep-alive", with("keep-alive", "timeout=5")),
        ("proxy-connection", with("proxy-connection", "close")),
        ("upgrade", with("upgrade", "websocket")),
        ("transfer-encoding", with("transfer-encoding", "chunked")),
        ("te without trailers", with("te", "gzip")),
        ("another host", with("host", "other")),
        ("a user in the authority", {
            [without(":authority"), vec![(":authority", "user@test")]].concat()
        }),
        ("a length that is no number", with("content-length", "1x")),
        ("a signed length", with("content-length", "+1")),
        ("two lengths", {
            [with("content-length", "0"), vec![("content-length", "1")]].concat()
        }),
        ("a length without a body", with("content-length", "5")),
        ("an unknown expectation", with("expect", "200-ok")),
        ("CONNECT with a path", fields("CONNECT", "/n/1", &[])),
    ]
}

#[test]
fn malformed_requests_reach_nobody() {
    let site = start();
    let mut neighbour = Http2::open(site.address());
    let mut client = Http2::open(site.address());
    for (name, fields) in malformed() {
        let stream = client.raw_request(&fields, END_STREAM);
        let answer = client.answer(stream);
        match (answer.reset, client.goaways.last().copied()) {
            (Some(code), _) => assert_eq!(code, PROTOCOL_ERROR, "{name}"),
            // A stream's error may be taken for the connection's (§5.4.1).
            (None, Some((_, code))) => {
                assert_eq!(code, PROTOCOL_ERROR, "{name}");
                client = Http2::open(site.address());
            }
            (None, None) => {
                assert!([400, 417].contains(&answer.status()), "{name}: {answer:?}");
            }
        }
        assert!(!answer.body.starts_with(b"1"), "{name}");
        for client in [&mut client, &mut neighbour] {
            assert_eq!(client.ask("/n/7").text(), "7", "{name}");
        }
    }
    let connect = [(":method", "CONNECT"), (":authority", "test:80")];
    let stream = client.raw_request(&connect, END_STREAM);
    assert_eq!(client.answer(stream).status(), 501);
    assert!(!site.log().contains("panicked"), "{}", site.log());
}

#[test]
fn a_body_of_another_length_than_announced_reaches_nobody() {
    let site = start();
    let mut client = Http2::open(site.address());
    for body in [&b"xxxx"[..], b"xxxxxx"] {
        let stream = client.request("POST", "/called", &[("content-length", "5")], 0);
        client.data(stream, body, END_STREAM);
        let answer = client.answer(stream);
        assert_eq!(answer.reset, Some(PROTOCOL_ERROR), "{answer:?}");
    }
    assert_eq!(client.ask("/calls").text(), "0");
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
        (client.ask("/closed").text() == "1").then_some(())
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

#[test]
fn curl_speaks_it() {
    let site = project("", "body_limit = \"20MB\"", "").start();
    let version = curl(&site, &["-o", "/dev/null", "-w", "%{http_version}"], "/n/1");
    assert_eq!(text(&version), "2");
    for path in ["/files/large.bin", "/large"] {
        let got = curl(&site, &[], path);
        assert!(got.status.success() && got.stdout == large(), "{path}");
    }
    let upload = format!("@{}", site.project.path("files/large.bin").display());
    let sum = large().iter().map(|byte| u64::from(*byte)).sum::<u64>();
    let sent = curl(&site, &["--data-binary", &upload], "/sum");
    assert_eq!(text(&sent), format!("{LARGE} {sum}"));
    let head = text(&curl(&site, &["-I"], "/files/large.bin"));
    assert!(
        head.contains(&format!("content-length: {LARGE}\r\n")),
        "{head}"
    );
}

#[test]
fn curl_reads_why_its_upload_was_refused() {
    let site = project("", "body_limit = \"1MB\"", "").start();
    let upload = format!("@{}", site.project.path("files/large.bin").display());
    let arguments = [
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "--data-binary",
        &upload,
    ];
    let told = text(&curl(&site, &arguments, "/sum"));
    assert!(told.starts_with("413"), "{told}");
}

#[test]
fn nghttp_and_h2load_speak_it() {
    let site = start();
    let url = |path: &str| format!("http://{}{path}", site.address());
    let urls = [url("/n/1"), url("/files/a.txt"), url("/large")];
    let [first, second, third] = urls.each_ref().map(String::as_str);
    let fetched = run("nghttp", &["-nv", "-t", "30", first, second, third]);
    let told = text(&fetched);
    assert!(fetched.status.success(), "{told}");
    assert_eq!(told.matches(":status: 200").count(), 3, "{told}");
    assert!(!told.contains("RST_STREAM"), "{told}");
    for (path, requests) in [("/n/1", "2000"), ("/files/a.txt", "4000"), ("/large", "20")] {
        let load = run(
            "h2load",
            &["-n", requests, "-c", "4", "-m", "20", &url(path)],
        );
        let told = text(&load);
        let all = format!("{requests} succeeded, 0 failed, 0 errored, 0 timeout");
        assert!(told.contains(&all), "{path}: {told}");
        assert!(told.contains(&format!("{requests} 2xx")), "{path}: {told}");
    }
    assert!(!site.log().contains("panicked"), "{}", site.log());
}

/// What §5.1 and §6 do not allow.
fn out_of_order() -> Vec<(&'static str, Vec<u8>)> {
    let get = block(&fields("GET", "/n/1", &[]));
    let whole = END_HEADERS | END_STREAM;
    let padded = 8;
    vec![
        ("DATA on stream 0", frame(DATA, 0, 0, b"x")),
        ("DATA on an idle stream", frame(DATA, 0, 1, b"x")),
        ("HEADERS on stream 0", frame(HEADERS, whole, 0, &get)),
        ("HEADERS on an even stream", frame(HEADERS, whole, 2, &get)),
        (
            "RST_STREAM on an idle stream",
            frame(RST_STREAM, 0, 1, &CANCEL.to_be_bytes()),
        ),
        ("RST_STREAM of three bytes", frame(RST_STREAM, 0, 1, b"abc")),
        ("SETTINGS on a stream", frame(SETTINGS, 0, 1, b"")),
        ("SETTINGS of five bytes", frame(SETTINGS, 0, 0, b"abcde")),
        ("an ACK with a payload", frame(SETTINGS, 1, 0, b"abcdef")),
        (
            "a window that is too large",
            frame(SETTINGS, 0, 0, &[0, 4, 0x80, 0, 0, 0]),
        ),
        (
            "a frame size that is too small",
            frame(SETTINGS, 0, 0, &[0, 5, 0, 0, 0, 1]),
        ),
        (
            "a push of the client",
            frame(5, END_HEADERS, 1, b"\0\0\0\x02"),
        ),
        ("a PING of seven bytes", frame(PING, 0, 0, b"abcdefg")),
        ("a PING on a stream", frame(PING, 0, 1, b"abcdefgh")),
        (
            "a WINDOW_UPDATE of nothing",
            frame(WINDOW_UPDATE, 0, 0, &[0; 4]),
        ),
        (
            "a window beyond the largest",
            frame(WINDOW_UPDATE, 0, 0, &[0x7f, 255, 255, 255]),
        ),
        (
            "a CONTINUATION of nothing",
            frame(CONTINUATION, END_HEADERS, 1, &get),
        ),
        ("a PING before the CONTINUATION", {
            [
                frame(HEADERS, END_STREAM, 1, &get),
                frame(PING, 0, 0, b"abcdefgh"),
            ]
            .concat()
        }),
        (
            "a broken HPACK block",
            frame(HEADERS, whole, 1, &[0xff; 40]),
        ),
        ("an index of no table", frame(HEADERS, whole, 1, &[0xbf])),
        ("a frame that is too long", frame(DATA, 0, 1, &[0; 16_385])),
        (
            "padding longer than its frame",
            frame(HEADERS, padded | whole, 1, &[200, 0]),
        ),
        ("no frame", b"GET / HTTP/1.1\r\nhost: test\r\n\r\n".to_vec()),
    ]
}

#[test]
fn frames_out_of_order_end_their_connection_alone() {
    let site = start();
    let mut neighbour = Http2::open(site.address());
    for (name, bytes) in out_of_order() {
        let mut client = Http2::open_with(site.address(), &[]);
        client.send(&bytes);
        assert!(client.read_to_end(), "{name}");
        let code = client.goaways.last().map(|goaway| goaway.1);
        assert!(
            code.is_some_and(|code| code != NO_ERROR),
            "{name}: {code:?}"
        );
        assert!(client.so_far(1).statuses.is_empty(), "{name}");
        assert_eq!(neighbour.ask("/n/7").text(), "7", "{name}");
    }
    assert!(!site.log().contains("panicked"), "{}", site.log());
}

/// §4.1, §5.5.
#[test]
fn unknown_frames_settings_and_flags_change_nothing() {
    let site = start();
    let mut client = Http2::open_with(site.address(), &[(0xabcd, 7)]);
    client.send(&frame(0xfe, 0xff, 0, b"whatever"));
    let stream = client.stream();
    let get = block(&fields("GET", "/n/7", &[]));
    let (front, back) = get.split_at(10);
    client.send(&frame(HEADERS, END_STREAM | 0x40, stream, front));
    client.send(&frame(CONTINUATION, END_HEADERS | 0x40, stream, back));
    assert_eq!(client.answer(stream).text(), "7");
    // Trailers are not for the application.
    let stream = client.request("POST", "/sum", &[], 0);
    client.data(stream, &[7], 0);
    let trailers = block(&[("x-sum", "7")]);
    client.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &trailers));
    assert_eq!(client.answer(stream).text(), "1 7");
}
