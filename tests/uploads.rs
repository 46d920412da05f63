//! What users rely on when they send something: it arrives byte for byte or is refused, and
//! nothing of it is left behind.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use support::{Appliance, Connection, Project};

/// `/echo` sends back what it was sent; everything else says how much that was.
const APP: &str = r#"
def application(environ, start_response):
    body = environ["wsgi.input"].read()
    if environ["PATH_INFO"] != "/echo":
        body = b"%d bytes, CONTENT_LENGTH %s" % (len(body), environ.get("CONTENT_LENGTH", "").encode())
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(body)))])
    return [body]
"#;

const LIMIT: usize = 100_000;

/// Host names choose the limit: `large` 20 MB, `small` [`LIMIT`], `none` 0.
fn site() -> Appliance {
    let named = |name: &str, limit: &str| {
        format!(
            "[[site]]\nlisten = [\"127.0.0.1:0\"]\nserver_name = [\"{name}\"]\nbody_limit = {limit}\n\
             [site.routes]\n\"/\" = {{ wsgi = true }}\n\"/files/\" = {{ files = \"files\" }}\n\n"
        )
    };
    let sites = [
        named("large", "\"20MB\""),
        named("small", &LIMIT.to_string()),
        named("none", "0"),
    ];
    Project::with_sites(
        APP,
        "body_buffer = \"16KB\"\nspool = \"spool\"",
        &sites.concat(),
    )
    .file("files/a.txt", "a")
    .file("spool/kept", "")
    .start()
}

/// Bytes in which no piece is like another.
fn payload(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

fn counted_head(path: &str, host: &str, len: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len}\r\n\r\n")
}

fn chunked_head(path: &str, host: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n\r\n")
}

/// `body` in chunks of ever other sizes, some with extensions, and with a trailer.
fn chunks(body: &[u8], mut size: usize) -> Vec<u8> {
    let mut coded = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let (chunk, tail) = rest.split_at(size.min(rest.len()));
        let extension = if size.is_multiple_of(3) {
            ";a=\"b\""
        } else {
            ""
        };
        coded.extend_from_slice(format!("{:X}{extension}\r\n", chunk.len()).as_bytes());
        coded.extend_from_slice(chunk);
        coded.extend_from_slice(b"\r\n");
        size = (size * 7 + 1) % 9_973 + 1;
        rest = tail;
    }
    coded.extend_from_slice(b"0\r\nchecksum: 1\r\n\r\n");
    coded
}

/// Sends from another thread: the answer may be larger than what both sockets hold.
#[track_caller]
fn echoed(connection: &mut Connection, bytes: Vec<u8>, piece: usize) -> Vec<u8> {
    let mut socket = connection.stream().try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        for piece in bytes.chunks(piece) {
            socket.write_all(piece).unwrap();
        }
    });
    let response = connection.response();
    writer.join().unwrap();
    assert_eq!(response.status, 200);
    assert!(response.complete);
    response.body().to_vec()
}

#[test]
fn a_body_arrives_byte_for_byte() {
    let site = site();
    let mut connection = site.connect();
    // Around the bytes kept in memory, the pieces spooled, and far beyond both.
    for len in [
        0, 1, 16_383, 16_384, 16_385, 262_143, 262_144, 262_145, 600_000, 12_345_678,
    ] {
        let body = payload(len);
        let request = [counted_head("/echo", "large", len).as_bytes(), &body].concat();
        let answer = echoed(&mut connection, request, 100_003);
        assert!(answer == body, "{len} bytes, counted");
    }
    for (len, first_chunk) in [(1, 1), (5_000, 1), (20_000, 16_384), (1_000_003, 77)] {
        let body = payload(len);
        let mut request = chunked_head("/echo", "large").into_bytes();
        request.extend(chunks(&body, first_chunk));
        let answer = echoed(&mut connection, request, 4_099);
        assert!(answer == body, "{len} bytes, chunked");
    }
    assert_eq!(files_in_spool(&site), ["kept"]);
}

#[test]
fn a_body_sent_byte_by_byte_arrives() {
    let site = site();
    let mut connection = site.connect();
    let body = payload(300);
    let request = [counted_head("/echo", "large", 300).as_bytes(), &body].concat();
    assert_eq!(echoed(&mut connection, request, 1), body);
    let mut request = chunked_head("/echo", "large").into_bytes();
    request.extend(chunks(&body, 1));
    assert_eq!(echoed(&mut connection, request, 1), body);
}

fn files_in_spool(site: &Appliance) -> Vec<String> {
    let entries = fs::read_dir(site.project.path("spool")).unwrap();
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    entries.map(|entry| name(entry.unwrap())).collect()
}

#[test]
fn a_body_up_to_the_limit_is_taken() {
    let site = site();
    let mut connection = site.connect();
    for (host, len) in [("small", LIMIT), ("none", 0)] {
        let body = payload(len);
        connection.send(counted_head("/", host, len));
        connection.send(&body);
        let expected = format!("{len} bytes, CONTENT_LENGTH {len}");
        assert_eq!(connection.response().text(), expected);
        connection.send(chunked_head("/", host));
        connection.send(chunks(&body, 1_000));
        let text = connection.response().text().to_owned();
        assert!(text.starts_with(&format!("{len} bytes,")), "{text}");
    }
}

#[test]
fn a_longer_body_is_refused_before_it_is_sent() {
    let site = site();
    for (host, len) in [
        ("small", LIMIT + 1),
        ("small", usize::MAX / 2),
        ("none", 1),
        ("large", (20 << 20) + 1),
    ] {
        let mut connection = site.connect();
        connection.send(counted_head("/", host, len));
        let response = connection.response();
        assert_eq!(response.status, 413, "{host} {len}");
        assert_eq!(response.text(), "413 Payload Too Large\n");
        // What would follow is a body, not a request.
        assert_eq!(response.header("connection"), Some("close"));
        assert_eq!(connection.read_to_end(), b"");
    }
}

#[test]
fn a_longer_chunked_body_is_refused_as_soon_as_it_is_too_long() {
    let site = site();
    for (host, len) in [("small", LIMIT + 1), ("none", 1)] {
        let mut connection = site.connect();
        connection.send(chunked_head("/", host));
        connection.send(chunks(&payload(len), 1_000));
        assert_eq!(connection.response().status, 413, "{host}");
    }
}

/// A browser sends all of it before it reads. If the connection were reset meanwhile, it would
/// show its own error instead of ours.
#[test]
fn the_refusal_reaches_a_client_that_sends_everything_first() {
    let site = site();
    for (path, status) in [("/", 413), ("/files/a.txt", 405), ("/files", 308)] {
        for chunked in [false, true] {
            let body = payload(8_000_000);
            let request = match chunked {
                false => [counted_head(path, "small", body.len()).as_bytes(), &body].concat(),
                true => [chunked_head(path, "small").into_bytes(), chunks(&body, 500)].concat(),
            };
            let mut connection = site.connect();
            let sent = connection.stream().write_all(&request);
            assert!(sent.is_ok(), "{path}, chunked {chunked}: {sent:?}");
            let response = connection.try_response();
            let response = response.unwrap_or_else(|| panic!("{path}, chunked {chunked}: cut"));
            assert_eq!(response.status, status, "{path}");
            assert!(response.complete, "{path}");
        }
    }
}

#[test]
fn a_client_that_asks_first_is_told_to_go_on_or_not() {
    let site = site();
    let mut connection = site.connect();
    let expecting = |host: &str, fields: &str| {
        format!("POST /echo HTTP/1.1\r\nhost: {host}\r\nexpect: 100-continue\r\n{fields}\r\n")
    };
    for _ in 0..2 {
        connection.send(expecting("small", "content-length: 3\r\n"));
        assert_eq!(connection.response().status, 100);
        connection.send("abc");
        assert_eq!(connection.response().text(), "abc");
        connection.send(expecting("small", "transfer-encoding: chunked\r\n"));
        assert_eq!(connection.response().status, 100);
        connection.send("3\r\nabc\r\n0\r\n\r\n");
        assert_eq!(connection.response().text(), "abc");
    }
    connection.send(expecting("small", "content-length: 100001\r\n"));
    assert_eq!(connection.response().status, 413, "and no 100 before it");
}

#[test]
fn a_length_beside_chunks_does_not_count() {
    let site = site();
    for fields in [
        "content-length: 3\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 3\r\n",
    ] {
        let answer = site.exchange(format!(
            "POST / HTTP/1.1\r\nhost: large\r\nconnection: close\r\n{fields}\r\n\
             5\r\nabcde\r\n0\r\n\r\n"
        ));
        let answer = String::from_utf8(answer).unwrap();
        let refused = answer.starts_with("HTTP/1.1 400 ");
        let by_chunks = answer.contains("\r\n\r\n5 bytes, CONTENT_LENGTH ")
            && !answer.ends_with("CONTENT_LENGTH 3");
        assert!(refused || by_chunks, "{answer}");
    }
}

#[test]
fn files_need_no_body_and_get_over_one() {
    let site = site();
    let mut connection = site.connect();
    for body in [payload(10), payload(10_000)] {
        let head = counted_head("/files/a.txt", "large", body.len());
        connection.send(head.replace("POST", "GET"));
        connection.send(&body);
        assert_eq!(connection.response().text(), "a");
        connection.send(head);
        connection.send(&body);
        assert_eq!(connection.response().status, 405);
    }
}

#[test]
fn a_spool_folder_that_fails_is_named_in_the_log() {
    let site = site();
    let spool = site.project.path("spool");
    fs::remove_dir_all(&spool).unwrap();
    let body = payload(500_000);
    let mut connection = site.connect();
    connection.send(counted_head("/echo", "large", body.len()));
    let _ = connection.stream().write_all(&body);
    assert_eq!(connection.response().status, 500);
    site.wait_for_log("cannot spool a request body; `python.spool` names the folder");
    // What fits into memory needs no folder; and once it is back, all is well.
    let mut connection = site.connect();
    connection.send(counted_head("/echo", "large", 5));
    connection.send("abcde");
    assert_eq!(connection.response().text(), "abcde");
    fs::create_dir(&spool).unwrap();
    let request = [counted_head("/echo", "large", body.len()).as_bytes(), &body].concat();
    assert!(echoed(&mut connection, request, 65_536) == body);
}

#[test]
fn a_slow_upload_holds_no_thread() {
    let site = Project::wsgi_with("threads = 1", APP).start();
    let mut slow: Vec<Connection> = (0..20).map(|_| site.connect()).collect();
    for connection in &mut slow {
        connection.send(counted_head("/echo", "test", 100_000));
        connection.send(payload(50_000));
    }
    let begun = Instant::now();
    assert_eq!(site.get("/").text(), "0 bytes, CONTENT_LENGTH ");
    assert!(begun.elapsed() < Duration::from_secs(10));
    for connection in &mut slow {
        connection.send(&payload(100_000)[50_000..]);
        assert!(connection.response().body() == payload(100_000));
    }
}
