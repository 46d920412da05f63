//! From plain HTTP to HTTPS, once and for good.

use std::io::{BufRead, Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use crate::client::Client;
use crate::{Authority, project, server, with_listen};

const BOTH: &str = "\"127.0.0.1:0\", \"https://127.0.0.2:0\"";

#[test]
fn plain_requests_are_redirected_to_the_same_place() {
    let authority = Authority::new();
    let server = with_listen(&authority, BOTH, "", "").start();
    let https = server.addresses()[1].port();
    for (request, status, location) in [
        (
            "GET /a%20b?c=/d&e HTTP/1.1\r\nHost: localhost:8080\r\n\r\n",
            301,
            "/a%20b?c=/d&e",
        ),
        (
            "GET http://localhost/x HTTP/1.1\r\nHost: other\r\n\r\n",
            301,
            "/x",
        ),
        ("HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n", 301, "/"),
        (
            "GET //elsewhere/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
            301,
            "//elsewhere/",
        ),
        (
            "POST /form HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi",
            308,
            "/form",
        ),
    ] {
        let mut connection = server.connect();
        connection.send(request);
        let response = connection.response();
        assert_eq!(response.status, status, "{request}");
        let expected = format!("https://localhost:{https}{location}");
        assert_eq!(
            response.header("location"),
            Some(expected.as_str()),
            "{request}"
        );
        // Whom nobody has vouched for may not say so (RFC 6797 §7.2).
        assert_eq!(response.header("strict-transport-security"), None);
    }
    let client = Client::trusting(&authority);
    assert_eq!(client.get(server.addresses()[1], "/").status, 200);
}

#[test]
fn the_port_may_be_another_one_from_outside() {
    let authority = Authority::new();
    for (port, location) in [
        (443, "https://localhost/x"),
        (8443, "https://localhost:8443/x"),
    ] {
        let tls = format!("https_port = {port}");
        let server = with_listen(&authority, BOTH, "", &tls).start();
        let mut connection = server.connect();
        connection.send("GET /x HTTP/1.1\r\nHost: localhost:1\r\n\r\n");
        assert_eq!(connection.response().header("location"), Some(location));
    }
}

#[test]
fn without_a_redirect_and_for_a_trusted_proxys_https_both_serve() {
    let authority = Authority::new();
    let server = with_listen(&authority, BOTH, "", "redirect_to_https = false").start();
    assert_eq!(server.get("/files/small.txt").status, 200);
    drop(server);
    let trusted = "[server]\ntrusted_proxies = \"127.0.0.1\"";
    let server = with_listen(&authority, BOTH, trusted, "").start();
    for (scheme, status) in [("https", 200), ("http", 301)] {
        let mut connection = server.connect();
        connection.send(format!(
            "GET /files/small.txt HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 10.0.0.1\r\n\
             X-Forwarded-Proto: {scheme}\r\n\r\n"
        ));
        assert_eq!(connection.response().status, status, "{scheme}");
    }
}

#[test]
fn hsts_is_on_every_response_that_has_none_of_its_own() {
    let (server, client) = server("hsts = \"1y\"\nhsts_subdomains = true\nhsts_preload = true");
    let whole = "max-age=31536000; includeSubDomains; preload";
    for (path, value) in [
        ("/", whole),
        ("/files/small.txt", whole),
        ("/files/none.txt", whole),
        ("/own-hsts", "max-age=1"),
    ] {
        let answer = client.get(server.address(), path);
        assert_eq!(
            answer.header("strict-transport-security"),
            Some(value),
            "{path}"
        );
        let count = answer
            .head
            .to_lowercase()
            .matches("strict-transport")
            .count();
        assert_eq!(count, 1, "{}", answer.head);
    }
}

#[test]
fn hsts_is_on_a_connection_that_changes_its_protocol() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let backend = listener.local_addr().unwrap();
    let echo = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        let switched = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        stream.write_all(switched).unwrap();
        let mut ping = [0; 4];
        stream.read_exact(&mut ping).unwrap();
        stream.write_all(&ping).unwrap();
    });
    let authority = Authority::new();
    let project = project(&authority, "hsts = \"1h\"");
    let toml = std::fs::read_to_string(project.path("project.toml")).unwrap();
    let ws = format!("{toml}\"/ws\" = {{ proxy = \"http://{backend}\" }}\n");
    let server = project.file("project.toml", ws).start();
    let mut socket = Client::trusting(&authority).open(server.address());
    socket.send(
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(socket.reader.read_line(&mut head).unwrap() > 0, "{head}");
    }
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let lower = head.to_lowercase();
    assert_eq!(
        lower
            .matches("strict-transport-security: max-age=3600\r\n")
            .count(),
        1,
        "{head}"
    );
    socket.send("ping");
    let mut echoed = [0; 4];
    socket.reader.read_exact(&mut echoed).unwrap();
    assert_eq!(&echoed, b"ping");
    echo.join().unwrap();
}
