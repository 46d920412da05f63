//! A real uWSGI with a bare application.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::passing_to;
use super::support::{Connection, eventually, free_address};

const APP: &str = r#"
import hashlib, json, threading

go_on = threading.Event()

def step_by_step():
    yield b"first"
    go_on.wait(30)
    yield b"second"

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/upload":
        body = environ["wsgi.input"].read()
        answer = [environ["CONTENT_LENGTH"], len(body), hashlib.sha256(body).hexdigest()]
    elif path == "/download":
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return (bytes([number % 251]) * 100_000 for number in range(200))
    elif path == "/stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return step_by_step()
    elif path == "/empty":
        start_response("204 No Content", [])
        return []
    elif path == "/missing":
        start_response("404 Not Found", [("X-Own", "a"), ("X-Own", "b"), ("Content-Length", "4")])
        return [b"none"]
    else:
        if path == "/go-on":
            go_on.set()
        answer = {name: value for name, value in environ.items() if type(value) is str}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
"#;

/// A running uWSGI: one process, so that it can be killed.
struct Uwsgi {
    child: Child,
    _folder: TempDir,
    target: String,
}

impl Uwsgi {
    fn start(by_socket: bool) -> Uwsgi {
        let folder = tempfile::Builder::new()
            .prefix("appliance-uwsgi-")
            .tempdir()
            .unwrap();
        fs::write(folder.path().join("app.py"), APP).unwrap();
        let socket = match by_socket {
            true => folder.path().join("u.sock").display().to_string(),
            false => free_address().to_string(),
        };
        let child = Command::new("uwsgi")
            .args([
                "--plugin",
                "python3",
                "--wsgi-file",
                "app.py",
                "--threads",
                "4",
            ])
            .args(["--need-app", "--buffer-size", "65535", "--socket", &socket])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("uWSGI is installed (uwsgi-core, uwsgi-plugin-python3)");
        let mut uwsgi = Uwsgi {
            child,
            _folder: folder,
            target: match by_socket {
                true => format!("\"uwsgi://unix:{socket}\""),
                false => format!("\"uwsgi://{socket}\""),
            },
        };
        eventually("uWSGI", || {
            let ended = uwsgi.child.try_wait().unwrap();
            assert!(ended.is_none(), "it did not start: {ended:?}");
            match by_socket {
                true => UnixStream::connect(&socket).is_ok().then_some(()),
                false => TcpStream::connect(&socket).is_ok().then_some(()),
            }
        });
        uwsgi
    }
}

impl Drop for Uwsgi {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn json(connection: &mut Connection, request: impl AsRef<[u8]>) -> Value {
    connection.send(request);
    let response = connection.response();
    assert_eq!(response.status, 200, "{response:?}");
    serde_json::from_slice(response.body()).unwrap()
}

#[test]
fn its_application_is_asked_as_by_nginx() {
    for by_socket in [false, true] {
        let uwsgi = Uwsgi::start(by_socket);
        let site = passing_to(&uwsgi.target);
        // The client's connection is kept, whatever becomes of those to uWSGI.
        let mut client = site.connect();
        let told = json(
            &mut client,
            "GET /a%20b/caf%C3%A9?q=%20 HTTP/1.1\r\nHost: site.test:8000\r\nX-Real-IP: 6.6.6.6\r\nProxy: evil\r\n\
             X_Own: evil\r\nRemote_Port: evil\r\nX-Own: 1\r\nConnection: X-Hop\r\nX-Hop: evil\r\n\r\n",
        );
        for (name, value) in [
            ("REQUEST_METHOD", "GET"),
            ("PATH_INFO", "/a b/caf\u{c3}\u{a9}"),
            ("QUERY_STRING", "q=%20"),
            ("REQUEST_URI", "/a%20b/caf%C3%A9?q=%20"),
            ("REMOTE_ADDR", "127.0.0.1"),
            ("SERVER_NAME", "site.test"),
            ("SERVER_PORT", "8000"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("HTTP_HOST", "site.test:8000"),
            ("HTTP_X_OWN", "1"),
            ("HTTP_X_FORWARDED_FOR", "127.0.0.1"),
            ("wsgi.url_scheme", "http"),
        ] {
            assert_eq!(told[name], value, "{name}");
        }
        let mut stream = TcpStream::connect(site.address()).unwrap();
        let port = stream.local_addr().unwrap().port();
        stream
            .write_all(b"GET /port HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let remote_port = format!("\"REMOTE_PORT\": \"{port}\"");
        assert!(answer.contains(&remote_port), "{answer}");
        let text = told.to_string();
        assert!(
            !text.contains("evil") && !text.contains("6.6.6.6"),
            "{text}"
        );
        let missing = client.get("/missing");
        assert_eq!((missing.status, missing.text()), (404, "none"));
        assert_eq!(missing.all("x-own"), ["a", "b"]);
        assert_eq!(client.get("/empty").status, 204);
        client.send("HEAD /missing HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.response().status, 404);
        let cookie = format!("a={}", "x".repeat(20_000));
        let request = format!("GET /c HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n");
        assert_eq!(json(&mut client, request)["HTTP_COOKIE"], cookie.as_str());
    }
}

#[test]
fn bodies_pass_both_ways() {
    let uwsgi = Uwsgi::start(false);
    let site = passing_to(&uwsgi.target);
    let mut client = site.connect();
    let body = vec![b'x'; 5_000_000];
    let head = "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n";
    let counted = json(&mut client, [head.as_bytes(), &body].concat());
    assert_eq!(counted[0], "5000000");
    // The protocol wants a length: what comes in chunks is received first.
    let head = "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunks = [&b"4c4b40\r\n"[..], &body, b"\r\n0\r\n\r\n"].concat();
    assert_eq!(
        json(&mut client, [head.as_bytes(), &chunks].concat()),
        counted
    );
    let small = "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
    assert_eq!(json(&mut client, small)[0], "2");
    let large = client.get("/download");
    assert!(
        large.complete && large.body().len() == 20_000_000,
        "{}",
        large.body().len()
    );
    let right = |(at, byte): (usize, &u8)| usize::from(*byte) == at / 100_000 % 251;
    assert!(
        large.body().iter().enumerate().all(right),
        "other bytes arrived"
    );
}

#[test]
fn a_response_is_passed_on_while_it_comes() {
    let uwsgi = Uwsgi::start(true);
    let site = passing_to(&uwsgi.target);
    let mut client = site.connect();
    client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    let read_until = |end: &str| {
        let (mut stream, mut seen) = (client.stream(), String::new());
        while !seen.ends_with(end) {
            let mut buffer = [0; 1000];
            let count = stream.read(&mut buffer).unwrap();
            assert!(count > 0, "{seen}");
            seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    };
    read_until("first\r\n");
    assert_eq!(site.get("/go-on").status, 200);
    read_until("second\r\n0\r\n\r\n");
}
