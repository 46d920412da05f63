//! From plain HTTP to HTTPS, once and for good.

use crate::client::Client;
use crate::{Authority, server, with_listen};

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
