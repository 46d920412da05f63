//! Routes that other servers answer.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "proxy/choice.rs"]
mod choice;
mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use support::{Appliance, Project, eventually};

/// Another server: each connection is handled request by request, with the request's head and the
/// bytes that have come behind it, until the handler says that it ends.
struct Backend {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

type Handler = dyn Fn(&str, &mut TcpStream) -> Goes + Send + Sync;

#[derive(PartialEq)]
enum Goes {
    On,
    Ends,
}

impl Backend {
    fn start(handler: impl Fn(&str, &mut TcpStream) -> Goes + Send + Sync + 'static) -> Backend {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let (counted, handler): (_, Arc<Handler>) = (Arc::clone(&requests), Arc::new(handler));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (counted, handler) = (Arc::clone(&counted), Arc::clone(&handler));
                std::thread::spawn(move || serve(stream.unwrap(), &counted, &*handler));
            }
        });
        Backend { address, requests }
    }

    /// One that answers every request with this text.
    fn saying(text: &'static str) -> Backend {
        Backend::start(move |_, stream| {
            respond(stream, text);
            Goes::On
        })
    }

    fn count(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn serve(mut stream: TcpStream, counted: &AtomicUsize, handler: &Handler) {
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            match stream.read(&mut byte) {
                Ok(1..) => head.push(byte[0]),
                _ => return,
            }
        }
        counted.fetch_add(1, Ordering::SeqCst);
        if handler(&String::from_utf8_lossy(&head), &mut stream) == Goes::Ends {
            return;
        }
    }
}

fn respond(stream: &mut TcpStream, text: &str) {
    let len = text.len();
    let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n{text}");
    let _ = stream.write_all(response.as_bytes());
}

/// Reads a body of the length that the head tells.
fn body(head: &str, stream: &mut TcpStream) -> Vec<u8> {
    let head = head.to_ascii_lowercase();
    let len = head
        .split("content-length: ")
        .nth(1)
        .map_or("0", |rest| rest.lines().next().unwrap());
    let mut body = vec![0; len.parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    body
}

fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// The project has an application, which no route leads to.
const UNUSED: &str = "application = print";

/// `"/"` is answered by what `proxy` says.
fn passing_to(proxy: &str) -> Appliance {
    let sites = format!(
        "[[site]]\nlisten = [\"127.0.0.1:0\"]\nbody_limit = \"20MB\"\n[site.routes]\n\"/\" = {{ proxy = {proxy} }}\n"
    );
    Project::with_sites(UNUSED, "", &sites).start()
}

fn url(backend: &Backend) -> String {
    format!("\"http://{}\"", backend.address)
}

/// An address that nobody listens on.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("\"http://{}\"", listener.local_addr().unwrap())
}

#[test]
fn a_request_arrives_with_who_asks_and_the_answer_comes_back() {
    let backend = Backend::start(|head, stream| {
        let text = head.replace("\r\n", "\n");
        let len = text.len();
        let head = format!(
            "HTTP/1.1 201 Created\r\nContent-Length: {len}\r\nX-Own: a\r\nX-Own: b\r\n\
             Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n"
        );
        stream.write_all((head + &text).as_bytes()).unwrap();
        Goes::On
    });
    let server = passing_to(&url(&backend));
    let mut connection = server.connect();
    connection.send(
        "GET /a%2Fb?x=1 HTTP/1.1\r\nHost: site.test\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\n\
         Connection: X-Drop\r\nX-Drop: 1\r\nCookie: a=b\r\n\r\n",
    );
    let response = connection.response();
    assert_eq!((response.status, response.complete), (201, true));
    assert_eq!(response.all("x-own"), ["a", "b"]);
    assert_eq!(response.all("date"), ["Thu, 01 Jan 1970 00:00:00 GMT"]);
    for gone in ["x-hop", "keep-alive"] {
        assert_eq!(response.header(gone), None, "{gone}");
    }
    let seen = response.text();
    assert!(seen.starts_with("GET /a%2Fb?x=1 HTTP/1.1\n"), "{seen}");
    for (name, value) in [
        ("host", Some("site.test")),
        ("cookie", Some("a=b")),
        ("x-forwarded-for", Some("127.0.0.1")),
        ("x-forwarded-proto", Some("http")),
        ("x-forwarded-host", Some("site.test")),
        ("x-real-ip", Some("127.0.0.1")),
        ("forwarded", None),
        ("x-drop", None),
    ] {
        assert_eq!(field(seen, name), value, "{name}: {seen}");
    }
    assert_eq!(connection.get("/again").status, 201);
    assert_eq!(backend.count(), 2);
}

#[test]
fn bodies_are_passed_on_while_they_come_in_both_directions() {
    let (told, heard) = std::sync::mpsc::channel::<()>();
    let heard = Mutex::new(heard);
    let backend = Backend::start(move |head, stream| {
        if head.starts_with("GET") {
            let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n";
            stream.write_all(chunked.as_bytes()).unwrap();
            heard
                .lock()
                .unwrap()
                .recv_timeout(Duration::from_secs(20))
                .unwrap();
            stream.write_all(b"6\r\nsecond\r\n0\r\n\r\n").unwrap();
            return Goes::On;
        }
        let sum: u64 = body(head, stream).iter().map(|byte| u64::from(*byte)).sum();
        respond(stream, &sum.to_string());
        Goes::On
    });
    let server = passing_to(&url(&backend));

    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    let mut seen = Vec::new();
    while !seen.windows(5).any(|part| part == b"first") {
        let mut bytes = [0; 1024];
        let len = stream.read(&mut bytes).unwrap();
        assert!(len > 0, "{}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&bytes[..len]);
    }
    told.send(()).unwrap();
    drop(stream);

    let large: Vec<u8> = (0..8 << 20).map(|at: u32| (at % 251) as u8).collect();
    let sum: u64 = large.iter().map(|byte| u64::from(*byte)).sum();
    let mut connection = server.connect();
    connection.send(format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        large.len()
    ));
    connection.send(&large);
    assert_eq!(connection.response().text(), sum.to_string());
    connection
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(connection.response().status, 100);
    connection.send([1, 2, 3]);
    assert_eq!(connection.response().text(), "6");
}

#[test]
fn a_body_of_unknown_length_is_passed_on_in_chunks() {
    let backend = Backend::start(|head, stream| {
        assert_eq!(field(head, "transfer-encoding"), Some("chunked"), "{head}");
        let mut seen = Vec::new();
        while !seen.ends_with(b"0\r\n\r\n") {
            let mut bytes = [0; 100];
            let len = stream.read(&mut bytes).unwrap();
            assert!(len > 0);
            seen.extend_from_slice(&bytes[..len]);
        }
        respond(stream, &String::from_utf8_lossy(&seen).replace("\r\n", "|"));
        Goes::On
    });
    let server = passing_to(&url(&backend));
    let mut connection = server.connect();
    connection.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    connection.send("0\r\nX-Trailer: 1\r\n\r\n");
    assert_eq!(connection.response().text(), "3|abc|0||");
}

#[test]
fn a_body_beyond_the_limit_is_refused() {
    let backend = Backend::start(|head, stream| {
        body(head, stream);
        respond(stream, "taken");
        Goes::On
    });
    let server = passing_to(&url(&backend));
    let mut connection = server.connect();
    connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30000000\r\n\r\n");
    assert_eq!(connection.response().status, 413);
    assert_eq!(backend.count(), 0);
}

#[test]
fn an_answer_before_the_end_of_the_body_reaches_the_client() {
    let backend = Backend::start(|_, stream| {
        let answer = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
        stream.write_all(answer.as_bytes()).unwrap();
        // What is unread would reset the connection, and its answer with it.
        std::thread::sleep(Duration::from_millis(300));
        Goes::Ends
    });
    let server = passing_to(&url(&backend));
    let mut connection = server.connect();
    connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc");
    let response = connection.response();
    assert_eq!((response.status, response.text()), (403, "no"));
    assert_eq!(response.header("connection"), Some("close"));
}

#[test]
fn a_websocket_passes_through() {
    let backend = Backend::start(|head, stream| {
        assert_eq!(field(head, "upgrade"), Some("websocket"), "{head}");
        assert_eq!(field(head, "sec-websocket-key"), Some("abc"), "{head}");
        let switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                        Sec-WebSocket-Accept: def\r\n\r\nhello";
        stream.write_all(switched.as_bytes()).unwrap();
        let mut bytes = [0; 65536];
        while let Ok(len @ 1..) = stream.read(&mut bytes) {
            stream.write_all(&bytes[..len]).unwrap();
        }
        Goes::Ends
    });
    let server = passing_to(&url(&backend));
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let asked = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Key: abc\r\n\r\nearly";
    stream.write_all(asked.as_bytes()).unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"early") {
        let mut bytes = [0; 1024];
        let len = stream.read(&mut bytes).unwrap();
        assert!(len > 0, "{}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&bytes[..len]);
    }
    let head = String::from_utf8_lossy(&seen).to_ascii_lowercase();
    assert!(
        head.starts_with("http/1.1 101 switching protocols\r\nconnection: upgrade\r\n"),
        "{head}"
    );
    assert!(
        head.contains("upgrade: websocket\r\nsec-websocket-accept: def\r\n\r\nhello"),
        "{head}"
    );
    let large = vec![7; 3 << 20];
    let mut writer = stream.try_clone().unwrap();
    let sent = large.clone();
    let writing = std::thread::spawn(move || writer.write_all(&sent).unwrap());
    let mut echoed = vec![0; large.len()];
    stream.read_exact(&mut echoed).unwrap();
    writing.join().unwrap();
    assert!(echoed == large);
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn a_server_that_is_gone_costs_no_request_while_there_is_another() {
    let backend = Backend::start(|head, stream| {
        body(head, stream);
        respond(stream, "here");
        Goes::On
    });
    let server = passing_to(&format!("[{}, {}]", nobody(), url(&backend)));
    for _ in 0..10 {
        assert_eq!(server.get("/").text(), "here");
        let mut connection = server.connect();
        connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        assert_eq!(connection.response().text(), "here");
    }
    assert_eq!(backend.count(), 20);
    server.wait_for_log("is left out for 10s");
}

#[test]
fn with_no_server_left_the_answer_is_502_and_the_log_says_why() {
    let server = passing_to(&nobody());
    let response = server.get("/x");
    assert_eq!(response.status, 502);
    let id = response.header("x-request-id").unwrap().to_owned();
    server.wait_for_log(&format!(
        "Connection refused (os error 111): GET /x (request {id}"
    ));
}

#[test]
fn a_server_that_does_not_answer_in_time_is_a_504() {
    let backend = Backend::start(|_, _| {
        std::thread::sleep(Duration::from_secs(5));
        Goes::Ends
    });
    let to = url(&backend);
    let server = passing_to(&format!("{{ to = {to}, response_timeout = \"1s\" }}"));
    let begun = Instant::now();
    assert_eq!(server.get("/").status, 504);
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(
        backend.count(),
        1,
        "it may have begun: nobody else is asked"
    );
}

#[test]
fn what_may_have_been_done_is_not_done_twice() {
    let backend = Backend::start(|head, stream| {
        body(head, stream);
        Goes::Ends
    });
    let other = Backend::saying("other");
    let both = format!("[{}, {}]", url(&backend), url(&other));
    let server = passing_to(&both);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let mut connection = server.connect();
        connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        statuses.push(connection.response().status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 502, 502]);
    assert_eq!((backend.count(), other.count()), (2, 2));
    // A GET may be.
    for _ in 0..4 {
        assert_eq!(server.get("/").text(), "other");
    }
}

#[test]
fn a_connection_that_was_closed_meanwhile_costs_no_request() {
    let backend = Backend::start(|head, stream| {
        body(head, stream);
        respond(stream, "once");
        Goes::Ends
    });
    let server = passing_to(&url(&backend));
    for _ in 0..20 {
        let mut connection = server.connect();
        connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        assert_eq!(connection.response().text(), "once");
        assert_eq!(server.get("/").text(), "once");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(backend.count(), 40);
}

#[test]
fn an_answer_that_lies_about_its_length_is_seen_to_be_cut() {
    let backend = Backend::start(|head, stream| {
        let response: &[u8] = match head.split(' ').nth(1).unwrap() {
            "/short" => b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
            "/long" => b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef",
            "/both" => b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "/two" => b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
            "/chunk" => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            _ => b"garbage\r\n\r\n",
        };
        stream.write_all(response).unwrap();
        Goes::Ends
    });
    let server = passing_to(&url(&backend));
    for (path, status, complete) in [
        ("/short", 200, false),
        ("/long", 200, true),
        ("/both", 200, true),
        ("/two", 502, true),
        ("/chunk", 200, false),
        ("/garbage", 502, true),
    ] {
        let response = server.get(path);
        assert_eq!(
            (response.status, response.complete),
            (status, complete),
            "{path}"
        );
    }
    assert_eq!(server.get("/long").text(), "abc");
}

#[test]
fn a_client_that_leaves_takes_its_request_with_it() {
    let (told, heard) = std::sync::mpsc::channel();
    let told = Mutex::new(told);
    let backend = Backend::start(move |_, stream| {
        // Nothing is answered; the connection's end is what is waited for.
        let end = stream.read(&mut [0; 1]);
        let is_end = match end {
            Ok(len) => len == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        };
        told.lock().unwrap().send(is_end).unwrap();
        Goes::Ends
    });
    let server = passing_to(&url(&backend));
    let mut connection = server.connect();
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the request", || (backend.count() == 1).then_some(()));
    drop(connection);
    assert!(heard.recv_timeout(Duration::from_secs(20)).unwrap());
}

#[test]
fn a_path_in_the_url_stands_in_the_routes_place_and_a_unix_socket_will_do() {
    let backend = Backend::start(|head, stream| {
        respond(stream, head.lines().next().unwrap());
        Goes::On
    });
    let sites = format!(
        "[[site]]\nlisten = [\"127.0.0.1:0\"]\n[site.routes]\n\"/api\" = {{ proxy = \"http://{}/v2\" }}\n\
         \"/socket\" = {{ proxy = \"unix:/nowhere/at/all.sock\" }}\n",
        backend.address
    );
    let server = Project::with_sites(UNUSED, "", &sites).start();
    assert_eq!(
        server.get("/api/x%20y?q=1").text(),
        "GET /v2/x%20y?q=1 HTTP/1.1"
    );
    assert_eq!(server.get("/api").text(), "GET /v2 HTTP/1.1");
    assert_eq!(server.get("/socket").status, 502);
    server.wait_for_log("no answer from unix:/nowhere/at/all.sock: No such file or directory");
}

#[test]
fn a_slow_upload_is_no_fault_of_the_server() {
    let backend = Backend::start(|head, stream| {
        let len = body(head, stream).len();
        respond(stream, &len.to_string());
        Goes::On
    });
    let to = url(&backend);
    let server = passing_to(&format!("{{ to = {to}, response_timeout = \"1s\" }}"));
    let mut connection = server.connect();
    connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n");
    for byte in ["a", "b", "c", "d"] {
        std::thread::sleep(Duration::from_millis(900));
        connection.send(byte);
    }
    assert_eq!(connection.response().text(), "4");
}

#[test]
fn what_a_server_did_not_take_of_a_body_is_no_request() {
    // It closes its connection under the upload: nobody takes the rest.
    let backend = Backend::start(|_, stream| {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
        stream.write_all(answer.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Both).unwrap();
        Goes::Ends
    });
    let server = passing_to(&url(&backend));
    for _ in 0..10 {
        let mut connection = server.connect();
        let inner = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
        // More than the kernel keeps for the server.
        let filling = vec![b'x'; 20_000_000];
        let len = filling.len() + inner.len();
        connection.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {len}\r\n\r\n"
        ));
        if connection.try_send(filling).is_some() && connection.try_send(inner).is_some() {
            connection.finish_sending();
        }
        let answers = connection.read_to_end();
        let answers = String::from_utf8_lossy(&answers)
            .matches("HTTP/1.1 ")
            .count();
        assert!(answers <= 1, "{answers} answers to one request");
    }
}

#[test]
fn the_rules_of_the_route_hold_for_what_other_servers_answer() {
    let text = "the quick brown fox ".repeat(400);
    let sent = text.clone();
    let backend = Backend::start(move |head, stream| {
        let status = match head.contains(" /missing ") {
            true => "404 Not Found",
            false => "200 OK",
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nServer: other\r\nETag: \"a\"\r\nContent-Length: {}\r\n\r\n",
            sent.len()
        );
        stream.write_all((head + &sent).as_bytes()).unwrap();
        Goes::On
    });
    let sites = format!(
        "[[site]]\nlisten = [\"127.0.0.1:0\"]\n[site.routes]\n\"/\" = {{ proxy = {}, compress = true, \
         intercept = true, error_pages = {{ 404 = \"404.txt\", 502 = \"502.txt\" }}, \
         headers = {{ X-Own = \"1\", Server = false }} }}\n\"/none\" = {{ proxy = {}, \
         error_pages = {{ 502 = \"502.txt\" }} }}\n",
        url(&backend),
        nobody(),
    );
    let server = Project::with_sites(UNUSED, "", &sites)
        .file("404.txt", "nothing here\n")
        .file("502.txt", "nobody there\n")
        .start();
    let mut connection = server.connect();
    let mut ask = |path: &str, coding: &str| {
        connection.send(format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {coding}\r\n\r\n"
        ));
        connection.response()
    };

    let response = ask("/", "gzip");
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    assert_eq!(response.header("etag"), Some("W/\"a\""));
    assert_eq!(response.header("content-length"), None);
    let mut plain = String::new();
    let mut decoder = flate2::read::GzDecoder::new(response.body());
    decoder.read_to_string(&mut plain).unwrap();
    assert!(plain == text, "{} bytes", plain.len());
    for response in [response, ask("/", "identity")] {
        assert_eq!(response.header("vary"), Some("Accept-Encoding"));
        assert_eq!(response.header("x-own"), Some("1"));
        assert_eq!(response.header("server"), None);
    }
    assert_eq!(ask("/", "identity").text(), text);

    let response = ask("/missing", "gzip");
    assert_eq!((response.status, response.text()), (404, "nothing here\n"));
    assert_eq!(response.header("x-own"), Some("1"));
    assert_eq!(response.header("etag"), None);
    let response = ask("/none", "gzip");
    assert_eq!((response.status, response.text()), (502, "nobody there\n"));
    assert_eq!(ask("/", "identity").text(), text);
}
