//! Good packets and bad ones, over a raw socket.

use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::support::{Appliance, Connection, Project};
use super::{exchange, gateway_address, packet, request};

const ENVIRON: &str = include_str!("../apps/environ.py");

const APP: &str = r#"
import time

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/empty":
        start_response("204 No Content", [])
        return []
    if path == "/unchanged":
        start_response("304 Not Modified", [("ETag", '"a"')])
        return []
    if path == "/hand-over":
        start_response("200 OK", [("X-Accel-Redirect", "/private/a"), ("X-Accel-Buffering", "no")])
        return []
    if path == "/hints":
        environ["wsgi.early_hints"]([("Link", "</a.css>; rel=preload")])
    if path == "/echo":
        body = environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Type", "text/plain"), ("X-Length", environ.get("CONTENT_LENGTH", "none"))])
        return [body]
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/cut":
        return cut()
    return (piece for piece in [b"one ", b"two"])

def cut():
    yield b"x" * 100
    raise ValueError("in the middle")
"#;

fn site_with(app: &str, server: &str, site: &str) -> Appliance {
    let sites = format!(
        "[server]\n{server}\n\n[[site]]\nlisten = [\"127.0.0.1:0\", \"uwsgi://127.0.0.2:0\"]\n{site}\n\
         [site.routes]\n\"/\" = {{ wsgi = true }}\n\"/files/\" = {{ files = \"files\" }}\n\
         \"/mounted\" = {{ wsgi = true, mount = true }}\n\"/locked\" = {{ wsgi = true, allow = [\"192.0.2.7\"] }}\n"
    );
    let project = Project::with_sites(app, "", &sites);
    project.file("files/a.txt", "a file").start()
}

fn site(app: &str) -> Appliance {
    site_with(app, "", "body_limit = \"1MB\"")
}

#[track_caller]
fn environ(site: &Appliance, method: &str, path: &str, further: &[(&str, &str)]) -> Value {
    let response = exchange(site, request(method, path, further));
    assert_eq!(response.status, 200, "{response:?}");
    serde_json::from_slice(response.body()).unwrap()
}

#[track_caller]
fn assert_told(told: &Value, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(told[name], *value, "{name}");
    }
}

#[test]
fn the_environ_is_the_gateways() {
    let site = site(ENVIRON);
    let told = environ(
        &site,
        "GET",
        "/a/b?q=1",
        &[("HTTPS", "on"), ("HTTP_X_OWN", "1")],
    );
    assert_told(
        &told,
        &[
            ("REQUEST_METHOD", "GET"),
            ("SCRIPT_NAME", ""),
            ("PATH_INFO", "/a/b"),
            ("QUERY_STRING", "q=1"),
            ("REQUEST_URI", "/a/b?q=1"),
            ("SERVER_NAME", "gateway.test"),
            ("SERVER_PORT", "8000"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("REMOTE_ADDR", "192.0.2.7"),
            ("REMOTE_PORT", "40000"),
            ("HTTP_HOST", "site.test"),
            ("HTTP_X_OWN", "1"),
            ("HTTPS", "on"),
            ("wsgi.url_scheme", "https"),
        ],
    );
    let told = environ(
        &site,
        "GET",
        "/caf%C3%A9",
        &[("PATH_INFO", "/café"), ("SERVER_PROTOCOL", "HTTP/2.0")],
    );
    // PEP 3333: bytes as latin-1.
    assert_told(
        &told,
        &[
            ("PATH_INFO", "/caf\u{c3}\u{a9}"),
            ("SERVER_PROTOCOL", "HTTP/2.0"),
        ],
    );
    assert_eq!(told["wsgi.url_scheme"], "http");
}

#[test]
fn what_the_gateway_adds_reaches_the_application_and_what_its_client_adds_does_not() {
    let site = site(ENVIRON);
    let told = environ(
        &site,
        "GET",
        "/",
        &[
            ("REMOTE_USER", "ada"),
            ("X-Real-IP", "192.0.2.7"),
            ("SSL_CLIENT_S_DN", "CN=Ada"),
            ("UWSGI_SCRIPT", "evil"),
            ("wsgi.url_scheme", "evil"),
            ("SERVER_SOFTWARE", "evil"),
            ("HTTP_REMOTE_USER", "evil"),
            ("HTTP_X_FORWARDED_FOR", "6.6.6.6"),
            ("HTTP_X_FORWARDED_PROTO", "https"),
            ("HTTP_PROXY", "http://evil"),
            ("HTTP_TRANSFER_ENCODING", "chunked"),
            ("HTTP_CONTENT_LENGTH", "7"),
            ("HTTP_CONNECTION", "upgrade"),
        ],
    );
    assert_told(
        &told,
        &[
            ("REMOTE_USER", "ada"),
            ("X-Real-IP", "192.0.2.7"),
            ("SSL_CLIENT_S_DN", "CN=Ada"),
            ("wsgi.url_scheme", "http"),
            ("REMOTE_ADDR", "192.0.2.7"),
        ],
    );
    let text = told.to_string();
    assert!(
        !text.contains("evil") && !text.contains("6.6.6.6"),
        "{text}"
    );
    for absent in [
        "CONTENT_LENGTH",
        "HTTP_CONTENT_LENGTH",
        "HTTP_CONNECTION",
        "HTTP_TRANSFER_ENCODING",
    ] {
        assert_eq!(told.get(absent), None, "{absent}");
    }
}

#[test]
fn a_trusted_gateway_may_set_the_fields_of_proxies() {
    let forwarded = [
        ("HTTP_X_FORWARDED_PROTO", "https"),
        ("HTTP_X_FORWARDED_FOR", "198.51.100.1, 192.0.2.7"),
    ];
    let trusted = site_with(ENVIRON, "trusted_proxies = [\"127.0.0.0/8\"]", "");
    let told = environ(&trusted, "GET", "/", &forwarded);
    assert_told(
        &told,
        &[
            ("HTTP_X_FORWARDED_PROTO", "https"),
            ("REMOTE_ADDR", "192.0.2.7"),
        ],
    );
    let behind = site_with(ENVIRON, "trusted_proxies = [\"192.0.2.7\"]", "");
    let told = environ(&behind, "GET", "/", &forwarded);
    assert_told(
        &told,
        &[
            ("REMOTE_ADDR", "198.51.100.1"),
            ("wsgi.url_scheme", "https"),
        ],
    );
}

#[test]
fn places_are_the_routes_or_the_gateways() {
    let site = site(ENVIRON);
    let told = environ(&site, "GET", "/shop/cart", &[("SCRIPT_NAME", "/shop")]);
    assert_told(&told, &[("SCRIPT_NAME", "/shop"), ("PATH_INFO", "/cart")]);
    let inner = [("SCRIPT_NAME", "/shop"), ("PATH_INFO", "/cart")];
    let told = environ(&site, "GET", "/shop/cart", &inner);
    assert_told(&told, &[("SCRIPT_NAME", "/shop"), ("PATH_INFO", "/cart")]);
    let told = environ(&site, "GET", "/mounted/x", &[]);
    assert_told(&told, &[("SCRIPT_NAME", "/mounted"), ("PATH_INFO", "/x")]);
    let rewritten = [("PATH_INFO", "/mounted/y"), ("QUERY_STRING", "z")];
    let told = environ(&site, "GET", "/old?a", &rewritten);
    assert_told(
        &told,
        &[
            ("PATH_INFO", "/y"),
            ("QUERY_STRING", "z"),
            ("REQUEST_URI", "/old?a"),
        ],
    );
}

#[test]
fn a_response_is_http_to_the_connections_end() {
    let site = site(APP);
    let raw = |method, path| {
        let mut connection = Connection::open(gateway_address(&site));
        connection.send(request(method, path, &[]));
        String::from_utf8(connection.read_to_end()).unwrap()
    };
    let streamed = raw("GET", "/");
    assert!(streamed.starts_with("HTTP/1.1 200 OK\r\n"), "{streamed}");
    assert!(streamed.ends_with("\r\n\r\none two"), "{streamed}");
    assert!(
        !streamed.to_lowercase().contains("transfer-encoding"),
        "{streamed}"
    );
    for (method, path, status) in [
        ("HEAD", "/", "200 OK"),
        ("GET", "/empty", "204 No Content"),
        ("GET", "/unchanged", "304 Not Modified"),
        ("HEAD", "/files/a.txt", "200 OK"),
    ] {
        let response = raw(method, path);
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{response}"
        );
        assert!(
            response.ends_with("\r\n\r\n"),
            "{method} {path}: {response}"
        );
    }
    let hinted = raw("GET", "/hints");
    assert!(
        hinted.starts_with("HTTP/1.1 200 OK\r\n"),
        "no 103: {hinted}"
    );
    let file = exchange(
        &site,
        request("GET", "/files/a.txt", &[("HTTP_RANGE", "bytes=2-3")]),
    );
    assert_eq!((file.status, file.text()), (206, "fi"));
    let handed = raw("GET", "/hand-over");
    assert!(
        handed.contains("x-accel-redirect: /private/a\r\n")
            || handed.contains("X-Accel-Redirect: /private/a\r\n"),
        "{handed}"
    );
    assert!(
        handed.to_lowercase().contains("x-accel-buffering: no\r\n"),
        "{handed}"
    );
}

#[test]
fn a_response_that_breaks_off_does_not_end_in_an_orderly_way() {
    use std::io::Read;
    let site = site(APP);
    let mut connection = Connection::open(gateway_address(&site));
    connection.send(request("GET", "/cut", &[]));
    let mut bytes = Vec::new();
    let error = connection.stream().read_to_end(&mut bytes).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn bodies_have_the_length_that_the_packet_says() {
    let site = site(APP);
    let post = |further: &[(&str, &str)], body: &[u8]| {
        let bytes = [&request("POST", "/echo", further)[..], body].concat();
        exchange(&site, bytes)
    };
    let echoed = post(&[("CONTENT_LENGTH", "5")], b"hello, and no more");
    assert_eq!((echoed.status, echoed.text()), (200, "hello"));
    let echoed = post(&[], b"unannounced");
    assert_eq!(
        (echoed.text(), echoed.header("x-length")),
        ("", Some("none"))
    );
    let large = vec![b'x'; 1_000_000];
    let echoed = post(
        &[
            ("CONTENT_LENGTH", "1000000"),
            ("HTTP_EXPECT", "100-continue"),
        ],
        &large,
    );
    assert!(
        echoed.status == 200 && echoed.body() == large,
        "{}",
        echoed.status
    );
    let refused = post(&[("CONTENT_LENGTH", "2000000")], b"");
    assert_eq!(refused.status, 413);
    for length in ["-1", "5, 5", "x"] {
        assert_eq!(
            post(&[("CONTENT_LENGTH", length)], b"hello").status,
            400,
            "{length}"
        );
    }
    let mut short = Connection::open(gateway_address(&site));
    short.send(
        [
            &request("POST", "/echo", &[("CONTENT_LENGTH", "5")])[..],
            b"he",
        ]
        .concat(),
    );
    short.finish_sending();
    assert_eq!(short.read_to_end(), b"", "nobody is left to answer");
}

#[test]
fn what_is_no_packet_is_answered_and_said_in_the_log() {
    let get = packet(&[("REQUEST_METHOD", "GET"), ("PATH_INFO", "/")]);
    let mut long_name = get.clone();
    long_name[4..6].copy_from_slice(&[0xff, 0xff]);
    let mut modifier = get.clone();
    modifier[0] = 5;
    for (bytes, reason) in [
        (
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
            "that is HTTP, and no uwsgi packet",
        ),
        (
            b"\x16\x03\x01\x02\0".to_vec(),
            "that is TLS, and no uwsgi packet",
        ),
        (modifier, "the packet's modifier1 is not 0"),
        (long_name, "a name is longer than the packet"),
        (packet(&[("PATH_INFO", "/")]), "there is no REQUEST_METHOD"),
        (
            request("GET", "/", &[("REMOTE_ADDR", "here")]),
            "REMOTE_ADDR is no address",
        ),
        (get[..20].to_vec(), "the request is not whole"),
    ] {
        let site = site(APP);
        let mut connection = Connection::open(gateway_address(&site));
        connection.send(&bytes);
        connection.finish_sending();
        let response = connection.response();
        assert_eq!(response.status, 400, "{reason}");
        let line = format!("a request to a `uwsgi://` address was refused: {reason}");
        site.wait_for_log(&line);
        assert_eq!(exchange(&site, request("GET", "/", &[])).status, 200);
    }
}

#[test]
fn a_packet_beyond_the_limit_is_431() {
    let site = site_with(APP, "head_limit = \"2KB\"", "");
    let cookie = "x".repeat(3000);
    let refused = exchange(&site, request("GET", "/", &[("HTTP_COOKIE", &cookie)]));
    assert_eq!(refused.status, 431);
    let many = vec![("HTTP_A", "b"); 101];
    assert_eq!(exchange(&site, request("GET", "/", &many)).status, 431);
    assert_eq!(exchange(&site, request("GET", "/", &[])).status, 200);
}

#[test]
fn a_packet_that_dawdles_is_408() {
    let site = site_with(APP, "head_timeout = \"1s\"", "");
    let mut connection = Connection::open(gateway_address(&site));
    let began = Instant::now();
    let bytes = request("GET", "/", &[]);
    connection.send(&bytes[..30]);
    assert_eq!(connection.response().status, 408);
    assert!(began.elapsed() >= Duration::from_secs(1));
    let mut silent = Connection::open(gateway_address(&site));
    assert_eq!(silent.response().status, 408);
}

#[test]
fn the_uwsgi_protocol_at_an_http_address_is_said_in_the_log() {
    let site = site(APP);
    let answer = site.exchange(request("GET", "/", &[]));
    assert!(answer.starts_with(b"HTTP/1.1 400 "), "{answer:?}");
    let http = site.address();
    site.wait_for_log(&format!(
        "a gateway speaks the uwsgi protocol to {http}, which is for HTTP"
    ));
}

#[test]
fn rules_and_the_access_log_see_the_gateways_client() {
    let site = site_with(
        APP,
        "",
        "access_log = \"access.log\"\naccess_log_format = '$remote_addr $remote_user \"$request\" $status $server_port'",
    );
    assert_eq!(exchange(&site, request("GET", "/locked", &[])).status, 200);
    let other = [("REMOTE_ADDR", "192.0.2.8"), ("REMOTE_USER", "ada")];
    assert_eq!(
        exchange(&site, request("GET", "/locked", &other)).status,
        403
    );
    let mut site = site;
    assert_eq!(site.stop(), 0);
    let log = fs::read_to_string(site.project.path("access.log")).unwrap();
    assert!(
        log.contains("192.0.2.7 - \"GET /locked HTTP/1.1\" 200 8000\n"),
        "{log}"
    );
    assert!(
        log.contains("192.0.2.8 ada \"GET /locked HTTP/1.1\" 403 8000\n"),
        "{log}"
    );
}

#[test]
fn a_unix_socket_takes_packets() {
    let sites = "[[site]]\nlisten = \"uwsgi://unix:run/uwsgi.sock\"\n[site.routes]\n\"/\" = { wsgi = true }\n";
    let project = Project::with_sites(ENVIRON, "", sites).file("run/kept", "");
    let site = project.start();
    let socket = site.project.path("run/uwsgi.sock");
    site.wait_for_log(&format!("listening on uwsgi://unix:{}", socket.display()));
    let mut connection = Connection::open_unix(&socket);
    connection.send(request("GET", "/a", &[]));
    let told: Value = serde_json::from_slice(connection.response().body()).unwrap();
    assert_told(
        &told,
        &[("REMOTE_ADDR", "192.0.2.7"), ("SERVER_PORT", "8000")],
    );
}

/// A gateway that gets no answer has no other way to ask than to tell its client 502.
#[test]
fn who_has_connected_before_the_end_is_answered() {
    let mut site = site(APP);
    let mut connection = Connection::open(gateway_address(&site));
    let bytes = request("GET", "/", &[]);
    connection.send(&bytes[..10]);
    let mut silent = Connection::open(gateway_address(&site));
    // Both are accepted, since they came before this one, which is answered.
    assert_eq!(exchange(&site, &bytes).status, 200);
    site.signal(libc::SIGTERM);
    site.wait_for_log("stopping");
    connection.stream().write_all(&bytes[10..]).unwrap();
    silent.send(&bytes);
    assert_eq!(connection.response().text(), "one two");
    assert_eq!(silent.response().text(), "one two");
    assert_eq!(site.wait(), 0);
}
