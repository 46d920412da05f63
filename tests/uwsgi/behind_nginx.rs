//! The article's nginx.conf in front, as it stands, with a real nginx.

use std::io::Read;
use std::time::Duration;

use serde_json::Value;

use super::gateway_address;
use super::support::{Appliance, Connection, Finished, Load, Nginx, Project, Question, eventually};

const APP: &str = r#"
import hashlib, json, threading

go_on = threading.Event()
closed = threading.Event()

class Endless:
    def __iter__(self):
        return self
    def __next__(self):
        return b"x" * 100_000
    def close(self):
        closed.set()

def step_by_step():
    yield b"first"
    go_on.wait(30)
    yield b"second"

def application(environ, start_response):
    path = environ["PATH_INFO"]
    fields = [("Content-Type", "application/octet-stream")]
    if path == "/api/upload":
        body = environ["wsgi.input"].read()
        answer = [environ.get("CONTENT_LENGTH"), len(body), hashlib.sha256(body).hexdigest()]
    elif path == "/api/download":
        start_response("200 OK", fields)
        return (bytes([number % 251]) * 100_000 for number in range(200))
    elif path == "/api/stream":
        start_response("200 OK", fields + [("X-Accel-Buffering", "no")])
        return step_by_step()
    elif path == "/api/endless":
        start_response("200 OK", fields)
        return Endless()
    elif path == "/api/closed":
        answer = closed.is_set()
    elif path == "/api/go-on":
        answer = go_on.set()
    elif path == "/api/hello":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]
    else:
        answer = {name: value for name, value in environ.items() if type(value) is str}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
"#;

/// Both, and what the article has as `dist` and `django_static`.
fn both(python: &str, further: &str) -> (Appliance, Nginx) {
    let sites = "[[site]]\nlisten = [\"127.0.0.1:0\", \"uwsgi://127.0.0.2:0\"]\n\
                 [site.routes]\n\"/\" = { wsgi = true }\n";
    let project = Project::with_sites(APP, python, sites)
        .file("dist/index.html", "<!doctype html>the front")
        .file("django_static/static/a.css", "a {}");
    let site = project.start();
    let uwsgi = gateway_address(&site).to_string();
    let nginx = Nginx::of_the_article(&site.project.path(""), &uwsgi, further);
    (site, nginx)
}

#[track_caller]
fn json(connection: &mut Connection, request: &[u8]) -> Value {
    connection.send(request);
    let response = connection.response();
    assert_eq!(response.status, 200, "{response:?}");
    serde_json::from_slice(response.body()).unwrap()
}

/// Reads until what has come ends so.
#[track_caller]
fn read_until(client: &Connection, end: &str) {
    let (mut stream, mut seen) = (client.stream(), String::new());
    while !seen.ends_with(end) {
        let mut buffer = [0; 1000];
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
}

#[test]
fn the_application_is_asked_as_behind_uwsgi() {
    let (site, nginx) = both("", "");
    assert_eq!(
        Connection::open(nginx.site).get("/a/deep/link").text(),
        "<!doctype html>the front"
    );
    // One connection for all: nginx keeps its clients'.
    let mut client = Connection::open(nginx.backend);
    assert_eq!(client.get("/static/a.css").text(), "a {}");
    let told = json(
        &mut client,
        b"GET /admin/caf%C3%A9/?q=%20 HTTP/1.1\r\nHost: site.test\r\nRemote-User: evil\r\nProxy: evil\r\n\
          X-Forwarded-For: 6.6.6.6\r\nwsgi.input: evil\r\nREMOTE_USER: evil\r\nX-Own: 1\r\n\r\n",
    );
    let port = nginx.backend.port().to_string();
    for (name, value) in [
        ("REQUEST_METHOD", "GET"),
        ("SCRIPT_NAME", ""),
        ("PATH_INFO", "/admin/caf\u{c3}\u{a9}/"),
        ("QUERY_STRING", "q=%20"),
        ("REQUEST_URI", "/admin/caf%C3%A9/?q=%20"),
        ("SERVER_NAME", "192.168.2.101"),
        ("SERVER_PORT", &port),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("HTTP_HOST", "site.test"),
        ("HTTP_X_OWN", "1"),
        ("wsgi.url_scheme", "http"),
    ] {
        assert_eq!(told[name], value, "{name}");
    }
    assert!(told["REMOTE_PORT"].as_str().unwrap().parse::<u16>().is_ok());
    let text = told.to_string();
    assert!(
        !text.contains("evil") && !text.contains("6.6.6.6"),
        "{text}"
    );
    let told = json(&mut client, b"GET /api HTTP/1.1\r\nHost: b.test\r\n\r\n");
    assert_eq!(told["HTTP_HOST"], "b.test");
    let cookie = format!("a={}", "x".repeat(20_000));
    let request = format!("GET /api/x HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n");
    assert_eq!(
        json(&mut client, request.as_bytes())["HTTP_COOKIE"],
        cookie.as_str()
    );
    client.send("HEAD /api/hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().status, 200);
    assert_eq!(client.get("/api/hello").text(), "hello");
    assert!(!site.log().contains("WARN worker"), "{}", site.log());
}

#[test]
fn bodies_pass_both_ways() {
    let unbuffered = "location /unbuffered/ { include uwsgi_params; uwsgi_request_buffering off;\n\
                      uwsgi_param PATH_INFO /api/upload; uwsgi_pass 127.0.0.1:8080; }";
    let (_site, nginx) = both("", unbuffered);
    let mut client = Connection::open(nginx.backend);
    let body = vec![b'x'; 5_000_000];
    let mut answers = Vec::new();
    for path in ["/api/upload", "/unbuffered/"] {
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n");
        answers.push(json(&mut client, &[head.as_bytes(), &body].concat()));
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        let chunks = [&b"4c4b40\r\n"[..], &body, b"\r\n0\r\n\r\n"].concat();
        answers.push(json(&mut client, &[head.as_bytes(), &chunks].concat()));
    }
    for answer in &answers {
        assert_eq!(answer[0], "5000000", "{answer}");
        assert_eq!(answer, &answers[0]);
    }
    let large = client.get("/api/download");
    assert!(large.complete, "it breaks off");
    let right = |(at, byte): (usize, &u8)| usize::from(*byte) == at / 100_000 % 251;
    assert_eq!(large.body().len(), 20_000_000);
    assert!(
        large.body().iter().enumerate().all(right),
        "other bytes arrived"
    );
}

#[test]
fn responses_stream_and_a_client_that_leaves_ends_them() {
    let (_site, nginx) = both("threads = 4", "");
    let mut client = Connection::open(nginx.backend);
    client.send("GET /api/stream HTTP/1.1\r\nHost: a\r\n\r\n");
    read_until(&client, "first\r\n");
    let mut other = Connection::open(nginx.backend);
    assert_eq!(other.get("/api/go-on").status, 200);
    read_until(&client, "second\r\n0\r\n\r\n");
    let mut leaving = Connection::open(nginx.backend);
    leaving.send("GET /api/endless HTTP/1.1\r\nHost: a\r\n\r\n");
    read_until(&leaving, "x");
    drop(leaving);
    eventually("end of a response that nobody reads", || {
        (other.get("/api/closed").text() == "true").then_some(())
    });
}

#[test]
fn reloads_and_an_upgrade_lose_no_request() {
    const QUESTIONS: [Question; 2] = [("/api/hello", "hello"), ("/admin/", "REQUEST_URI")];
    let (site, nginx) = both("processes = 2\nthreads = 2", "");
    let load = Load::start(nginx.backend, &QUESTIONS);
    for generation in 2..=7 {
        site.signal(libc::SIGHUP);
        site.wait_for_log(&format!("reloaded generation={generation} "));
    }
    let mut upgrade = site.project.command("upgrade");
    upgrade.arg("--binary").arg(env!("CARGO_BIN_EXE_appliance"));
    let upgraded = Finished::of(upgrade);
    assert_eq!(upgraded.status, 0, "{}", upgraded.stderr);
    std::thread::sleep(Duration::from_millis(500));
    let counted = load.stop();
    assert!(counted.failed.is_empty(), "{counted:?}");
    assert_eq!(counted.asked_again, 0, "{counted:?}");
    assert!(counted.answered > 100, "{counted:?}");
    assert_eq!(
        nginx.log("error.log").matches("[error]").count(),
        0,
        "{}",
        nginx.log("error.log")
    );
}
