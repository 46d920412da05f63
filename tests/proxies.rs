//! Who may connect as whom: proxies that are trusted, everybody else, and the PROXY protocol.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Appliance, Connection, Project};

const APP: &str = include_str!("apps/environ.py");

/// With these settings of `[server]` and of both its sites; one is called `named.test`.
fn start(server: &str, site: &str) -> Appliance {
    let named = |name: &str, routes: &str| {
        format!("[[site]]\nlisten = [\"127.0.0.1:0\"]\n{name}\n{site}\n[site.routes]\n{routes}\n")
    };
    let sites = [
        named("", "\"/\" = { wsgi = true }"),
        named(
            "server_name = \"named.test\"",
            "\"/named\" = { wsgi = true }",
        ),
    ];
    let sites = format!("[server]\n{server}\n\n{}", sites.concat());
    Project::with_sites(APP, "", &sites).start()
}

#[track_caller]
fn ask(connection: &mut Connection, path: &str, fields: &str) -> Value {
    connection.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n{fields}\r\n"));
    let response = connection.response();
    assert_eq!(response.status, 200, "{fields}");
    serde_json::from_slice(response.body()).unwrap()
}

#[track_caller]
fn environ(site: &Appliance, fields: &str) -> Value {
    ask(&mut site.connect(), "/", fields)
}

const VOUCHING: &str = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n\
                        X-Forwarded-Host: named.test\r\nX_Forwarded_For: 192.0.2.2\r\n\
                        Forwarded: for=192.0.2.3;proto=https;host=named.test\r\n\
                        X-Real-IP: 192.0.2.4\r\nRemote-User: root\r\nX-SSL-Client-Verify: SUCCESS\r\n\
                        X-Kept: kept\r\n";

#[test]
fn a_proxy_that_is_not_trusted_is_reported_once() {
    let site = start("", "");
    environ(&site, "X-Kept: kept\r\n");
    assert!(!site.log().contains("trusted_proxies"), "{}", site.log());
    environ(&site, VOUCHING);
    site.wait_for_log("`X-Forwarded-For` came from 127.0.0.1, which is no trusted proxy");
    environ(&site, VOUCHING);
    let trusted = start("trusted_proxies = [\"127.0.0.1\"]", "");
    ask(&mut trusted.connect(), "/named", VOUCHING);
    assert_eq!(site.log().matches("no trusted proxy").count(), 1);
    assert_eq!(trusted.log().matches("no trusted proxy").count(), 0);
}

#[test]
fn a_host_without_a_host_field_is_a_trusted_proxys_or_the_targets() {
    let trusted = start("trusted_proxies = [\"127.0.0.1\"]", "");
    let fields = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Host: named.test\r\n";
    for (site, target, fields, host) in [
        (&trusted, "/named", fields, Some("named.test")),
        (&trusted, "/", "", None),
        (&start("", ""), "/", fields, None),
        (&trusted, "http://named.test/named", "", Some("named.test")),
    ] {
        let mut connection = site.connect();
        connection.send(format!("GET {target} HTTP/1.0\r\n{fields}\r\n"));
        let response = connection.response();
        assert_eq!(response.status, 200, "{target} {fields}");
        let environ: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(environ["HTTP_HOST"].as_str(), host, "{target} {fields}");
    }
}

#[test]
fn by_default_nobody_says_who_it_is() {
    for server in ["", "trusted_proxies = [\"10.0.0.0/8\", \"::1\"]"] {
        let environ = environ(&start(server, ""), VOUCHING);
        assert_eq!(environ["REMOTE_ADDR"], "127.0.0.1");
        assert_eq!(environ["wsgi.url_scheme"], "http");
        assert_eq!(environ["HTTP_HOST"], "test");
        assert_eq!(environ["HTTP_X_KEPT"], "kept");
        for absent in [
            "HTTP_X_FORWARDED_FOR",
            "HTTP_X_FORWARDED_PROTO",
            "HTTP_X_FORWARDED_HOST",
            "HTTP_FORWARDED",
            "HTTP_X_REAL_IP",
            "HTTP_REMOTE_USER",
            "HTTP_X_SSL_CLIENT_VERIFY",
            "REMOTE_USER",
            "HTTPS",
        ] {
            assert_eq!(environ[absent], Value::Null, "{absent}");
        }
    }
}

#[test]
fn a_trusted_proxy_says_who_the_client_is() {
    let site = start("trusted_proxies = \"127.0.0.0/8\"", "");
    let environ = ask(&mut site.connect(), "/named", VOUCHING);
    assert_eq!(environ["REMOTE_ADDR"], "192.0.2.1");
    assert_eq!(environ["wsgi.url_scheme"], "https");
    assert_eq!(environ["HTTP_HOST"], "named.test");
    assert_eq!(environ["HTTP_X_REAL_IP"], "192.0.2.4");
    assert_eq!(environ["HTTP_X_SSL_CLIENT_VERIFY"], "SUCCESS");
    assert_eq!(environ["HTTP_FORWARDED"], Value::Null, "its client's");
    for (value, client) in [
        ("6.6.6.6, 192.0.2.1, 127.0.0.9", "192.0.2.1"),
        ("6.6.6.6, unknown", "127.0.0.1"),
        ("2001:db8::1", "2001:db8::1"),
    ] {
        let environ = self::environ(&site, &format!("X-Forwarded-For: {value}\r\n"));
        assert_eq!(environ["REMOTE_ADDR"], client, "{value}");
        assert_eq!(environ["wsgi.url_scheme"], "http", "{value}");
    }
}

#[test]
fn a_trusted_proxy_may_say_it_by_rfc_7239() {
    let server = "trusted_proxies = \"127.0.0.1\"\nforwarded = \"forwarded\"";
    let environ = ask(&mut start(server, "").connect(), "/named", VOUCHING);
    assert_eq!(environ["REMOTE_ADDR"], "192.0.2.3");
    assert_eq!(environ["wsgi.url_scheme"], "https");
    assert_eq!(environ["HTTP_HOST"], "named.test");
    assert_eq!(environ["HTTP_X_FORWARDED_FOR"], Value::Null, "its client's");
}

/// The header of version 2 for 192.0.2.1:4711, with an extension that nobody knows.
const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x11\xc0\0\x02\x01\x7f\0\0\x01\x12\x67\0\x50\
                        \xee\0\x02hi";

fn speaking() -> Appliance {
    start(
        "trusted_proxies = \"127.0.0.1\"\nhead_timeout = \"2s\"",
        "proxy_protocol = true",
    )
}

#[test]
fn the_proxy_protocol_names_the_client_of_a_connection() {
    let site = speaking();
    for header in [&b"PROXY TCP4 192.0.2.1 127.0.0.1 4711 80\r\n"[..], BINARY] {
        let mut connection = site.connect();
        for byte in header {
            connection.send([*byte]);
        }
        for _ in 0..2 {
            let environ = ask(&mut connection, "/", VOUCHING);
            assert_eq!(environ["REMOTE_ADDR"], "192.0.2.1");
            assert_eq!(environ["HTTP_X_FORWARDED_FOR"], Value::Null);
            assert_eq!(environ["wsgi.url_scheme"], "http");
        }
        let mut at_once = site.connect();
        at_once.send([header, b"GET / HTTP/1.1\r\nhost: test\r\n\r\n"].concat());
        assert_eq!(at_once.response().status, 200);
    }
}

#[test]
fn a_proxy_that_connects_for_itself_is_itself() {
    let site = speaking();
    for (header, trusted) in [
        (&b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"[..], true),
        (b"PROXY UNKNOWN\r\n", false),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\0\0\0", false),
    ] {
        let mut connection = site.connect();
        connection.send(header);
        let environ = ask(&mut connection, "/", "X-Forwarded-For: 192.0.2.9\r\n");
        let client = if trusted { "192.0.2.9" } else { "127.0.0.1" };
        assert_eq!(environ["REMOTE_ADDR"], client, "{header:?}");
    }
}

#[test]
fn without_its_header_a_connection_is_closed() {
    let site = speaking();
    for sent in [
        &b"GET / HTTP/1.1\r\nhost: test\r\n\r\n"[..],
        b"PROXY TCP4 192.0.2.1 127.0.0.1 4711\r\nGET / HTTP/1.1\r\nhost: test\r\n\r\n",
        b"PROXY TCP4 192.0.2.1 127.0.0.1 4711 80\nGET / HTTP/1.1\r\nhost: test\r\n\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0",
    ] {
        assert_eq!(site.exchange(sent), b"", "{sent:?}");
    }
    let begun = Instant::now();
    let mut half = site.connect();
    half.send("PROXY TCP4 192.0");
    assert_eq!(
        half.read_to_end(),
        b"",
        "nobody there who would read an answer"
    );
    assert!(begun.elapsed() < Duration::from_secs(8));
}

#[test]
fn who_is_no_trusted_proxy_cannot_speak_the_proxy_protocol() {
    let site = start("trusted_proxies = \"10.0.0.0/8\"", "proxy_protocol = true");
    for sent in [
        "PROXY TCP4 192.0.2.1 127.0.0.1 4711 80\r\nGET / HTTP/1.1\r\nhost: test\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: test\r\n\r\n",
    ] {
        let mut connection = site.connect();
        // It may be closed before all of it is sent.
        let _ = std::io::Write::write_all(&mut connection.stream(), sent.as_bytes());
        assert_eq!(connection.read_to_end(), b"", "{sent}");
    }
}

#[test]
fn where_it_is_not_expected_the_proxy_protocol_is_no_request() {
    let site = start("trusted_proxies = \"127.0.0.1\"", "");
    for header in [&b"PROXY TCP4 192.0.2.1 127.0.0.1 4711 80\r\n"[..], BINARY] {
        let answer = site.exchange([header, b"GET / HTTP/1.1\r\nhost: test\r\n\r\n"].concat());
        assert!(answer.starts_with(b"HTTP/1.1 400 "), "{header:?}");
    }
}

#[test]
fn requests_are_named_by_trusted_proxies_or_by_us() {
    const NAMED: &str = "X-Request-ID: 7b1c-42\r\n";
    let id = |server: &str, fields: &str| {
        let environ = environ(&start(server, ""), fields);
        environ["HTTP_X_REQUEST_ID"].as_str().unwrap().to_owned()
    };
    let trusting = "trusted_proxies = [\"127.0.0.1\"]";
    assert_eq!(id(trusting, NAMED), "7b1c-42");
    for (server, fields) in [
        ("", NAMED),
        ("", ""),
        (trusting, ""),
        (trusting, "X-Request-ID: a b\r\n"),
    ] {
        let id = id(server, fields);
        assert_eq!(id.len(), 16, "{server} {fields}: {id}");
        assert!(id.bytes().all(|digit| digit.is_ascii_hexdigit()), "{id}");
    }
}

#[test]
fn what_goes_wrong_can_be_found_in_the_log_by_its_id() {
    const FAILS: &str = "def application(environ, start_response):\n    raise ValueError('it')\n";
    let site = Project::wsgi(FAILS).start();
    let response = site.get("/wrong");
    assert_eq!(response.status, 500);
    let id = response.header("x-request-id").unwrap();
    site.wait_for_log(&format!("GET /wrong (request {id})"));
}
