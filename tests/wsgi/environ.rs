//! `environ` (PEP 3333, "environ Variables").

use serde_json::{Value, json};

use crate::support::{Appliance, Project};
use crate::{post, post_chunked, respond};

const APP: &str = include_str!("../apps/environ.py");

#[track_caller]
fn environ(site: &Appliance, request: impl AsRef<[u8]>) -> Value {
    let response = respond(site, request);
    assert_eq!(response.status, 200);
    serde_json::from_slice(response.body()).unwrap()
}

/// With these header fields.
#[track_caller]
fn with_fields(site: &Appliance, fields: &str) -> Value {
    environ(
        site,
        format!("GET / HTTP/1.1\r\nhost: test\r\n{fields}\r\n"),
    )
}

#[test]
fn the_target_becomes_path_and_query() {
    let site = Project::wsgi(APP).start();
    for (target, path, query) in [
        ("/", "/", ""),
        ("/?", "/", ""),
        ("/a%20b", "/a b", ""),
        ("/a%2Fb%2fc", "/a/b/c", ""),
        ("/a%25b+c", "/a%b+c", ""),
        ("/caf%C3%A9", "/caf\u{c3}\u{a9}", ""),
        ("/%E9%ff", "/\u{e9}\u{ff}", ""),
        ("/café?ö", "/caf\u{c3}\u{a9}", "\u{c3}\u{b6}"),
        ("//a//b/", "//a//b/", ""),
        ("/a;b=1,c/d:e@f", "/a;b=1,c/d:e@f", ""),
        ("/q?a=%20+&b=%2F?/&%C3%A9", "/q", "a=%20+&b=%2F?/&%C3%A9"),
        ("http://test/absolute?form", "/absolute", "form"),
        ("http://test", "/", ""),
        ("http://test?q", "/", "q"),
    ] {
        let environ = environ(
            &site,
            format!("GET {target} HTTP/1.1\r\nhost: test\r\n\r\n"),
        );
        assert_eq!(environ["SCRIPT_NAME"], "", "{target}");
        assert_eq!(environ["PATH_INFO"], path, "{target}");
        assert_eq!(environ["QUERY_STRING"], query, "{target}");
    }
}

#[test]
fn the_applications_prefix_stays_in_path_info() {
    let site = "[[site]]\nlisten = [\"127.0.0.1:0\"]\n\
                [site.routes]\n\"/api\" = { wsgi = true }\n";
    let site = Project::with_sites(APP, "", site).start();
    let environ = environ(&site, "GET /api/notes HTTP/1.1\r\nhost: test\r\n\r\n");
    assert_eq!(environ["SCRIPT_NAME"], "");
    assert_eq!(environ["PATH_INFO"], "/api/notes");
}

#[test]
fn methods_arrive_as_they_are() {
    let site = Project::wsgi(APP).start();
    for method in [
        "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE", "get",
    ] {
        let environ = environ(
            &site,
            format!("{method} / HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\r\n"),
        );
        assert_eq!(environ["REQUEST_METHOD"], method);
    }
}

#[test]
fn a_body_has_a_length_however_it_is_framed() {
    let site = Project::wsgi_with("body_buffer = \"1KB\"", APP).start();
    let body = vec![b'x'; 5000];
    for (what, request, length) in [
        (
            "none",
            b"GET / HTTP/1.1\r\nhost: test\r\n\r\n".to_vec(),
            Value::Null,
        ),
        ("empty", post("/", ""), json!("0")),
        ("counted", post("/", "12345"), json!("5")),
        ("spooled", post("/", &body), json!("5000")),
        ("chunked", post_chunked("/", b"12345", 2), json!("5")),
        (
            "chunked, spooled",
            post_chunked("/", &body, 999),
            json!("5000"),
        ),
        ("chunked, empty", post_chunked("/", b"", 1), json!("0")),
    ] {
        let environ = environ(&site, request);
        assert_eq!(environ["CONTENT_LENGTH"], length, "{what}");
        for absent in ["HTTP_CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING"] {
            assert_eq!(environ[absent], Value::Null, "{what}: {absent}");
        }
        assert_eq!(environ["wsgi.input_terminated"], true, "{what}");
    }
}

#[test]
fn a_content_type_is_there_if_it_was_sent() {
    let site = Project::wsgi(APP).start();
    assert_eq!(with_fields(&site, "")["CONTENT_TYPE"], Value::Null);
    let environ = with_fields(&site, "Content-Type: text/plain; charset=\"x\"\r\n");
    assert_eq!(environ["CONTENT_TYPE"], "text/plain; charset=\"x\"");
    assert_eq!(environ["HTTP_CONTENT_TYPE"], Value::Null);
}

#[test]
fn the_ends_of_the_connection_are_told() {
    let site = Project::wsgi(APP).start();
    let mut connection = site.connect();
    let environ: Value = serde_json::from_slice(connection.get("/").body()).unwrap();
    let local = connection.stream().local_addr().unwrap();
    assert_eq!(environ["SERVER_NAME"], "127.0.0.1");
    assert_eq!(environ["SERVER_PORT"], site.address().port().to_string());
    assert_eq!(environ["REMOTE_ADDR"], "127.0.0.1");
    assert_eq!(environ["REMOTE_PORT"], local.port().to_string());
    // From another connection, another port: nothing of the first is kept.
    let mut second = site.connect();
    let environ: Value = serde_json::from_slice(second.get("/").body()).unwrap();
    let local = second.stream().local_addr().unwrap();
    assert_eq!(environ["REMOTE_PORT"], local.port().to_string());
}

#[test]
fn the_protocol_is_the_clients() {
    let site = Project::wsgi(APP).start();
    for protocol in ["HTTP/1.0", "HTTP/1.1"] {
        let environ = environ(&site, format!("GET / {protocol}\r\nhost: test\r\n\r\n"));
        assert_eq!(environ["SERVER_PROTOCOL"], protocol);
    }
}

#[test]
fn header_fields_become_variables() {
    let site = Project::wsgi(APP).start();
    let environ = with_fields(
        &site,
        "X-One: 1\r\naCCept: a/b\r\nACCEPT: c/d\r\nCookie: a=1\r\nx-LONG-name: spaces  within\r\n\
         Cookie: b=2\r\nX-Empty:\r\nX-Latin: caf\u{e9}\r\nX-Same: 1\r\nX-Same: \r\nX-Same: 1\r\n",
    );
    for (name, value) in [
        ("HTTP_HOST", "test"),
        ("HTTP_X_ONE", "1"),
        ("HTTP_ACCEPT", "a/b, c/d"),
        ("HTTP_COOKIE", "a=1; b=2"),
        ("HTTP_X_LONG_NAME", "spaces  within"),
        ("HTTP_X_EMPTY", ""),
        // The source file is UTF-8, and each of its bytes is a character to WSGI.
        ("HTTP_X_LATIN", "caf\u{c3}\u{a9}"),
        ("HTTP_X_SAME", "1, , 1"),
    ] {
        assert_eq!(environ[name], value, "{name}");
    }
}

#[test]
fn fields_that_could_deceive_the_application_are_dropped() {
    let site = Project::wsgi(APP).start();
    let environ = with_fields(
        &site,
        "X-Real: yes\r\nX_Real: no\r\nREMOTE_USER: root\r\nProxy: http://evil\r\n\
         Content_Length: 5\r\nHTTP_HOST: evil\r\n",
    );
    assert_eq!(environ["HTTP_X_REAL"], "yes");
    assert_eq!(environ["HTTP_HOST"], "test");
    for absent in [
        "HTTP_PROXY",
        "HTTP_REMOTE_USER",
        "REMOTE_USER",
        "HTTP_CONTENT_LENGTH",
        "CONTENT_LENGTH",
        "HTTP_HTTP_HOST",
    ] {
        assert_eq!(environ[absent], Value::Null, "{absent}");
    }
}

#[test]
fn the_server_tells_what_it_is() {
    for (settings, multithread, multiprocess) in [
        ("threads = 1", false, false),
        ("threads = 3", true, false),
        ("threads = 1\nprocesses = 2", false, true),
    ] {
        let site = Project::wsgi_with(settings, APP).start();
        let environ = with_fields(&site, "");
        assert_eq!(environ["wsgi.multithread"], multithread, "{settings}");
        assert_eq!(environ["wsgi.multiprocess"], multiprocess, "{settings}");
        assert_eq!(environ["wsgi.run_once"], false);
        assert_eq!(environ["wsgi.version"], json!([1, 0]));
        assert_eq!(environ["wsgi.url_scheme"], "http");
        let version = concat!("appliance/", env!("CARGO_PKG_VERSION"));
        assert_eq!(environ["SERVER_SOFTWARE"], version);
        assert_eq!(environ["types"]["wsgi.version"], "tuple");
        for present in ["wsgi.input", "wsgi.errors", "wsgi.file_wrapper"] {
            assert_ne!(environ["types"][present], Value::Null, "{present}");
        }
    }
}

#[test]
fn every_environ_is_a_fresh_dictionary() {
    let site = Project::wsgi_with("threads = 1", APP).start();
    for _ in 0..2 {
        let environ = with_fields(&site, "");
        assert_eq!(environ["environ"], "dict");
        assert_eq!(environ["left.behind"], Value::Null);
    }
}

#[test]
fn an_absolute_target_overrules_the_host_field() {
    let site = Project::wsgi(APP).start();
    let request = "GET http://shop.test:81/ HTTP/1.1\r\nhost: evil.test\r\n\r\n";
    assert_eq!(environ(&site, request)["HTTP_HOST"], "shop.test:81");
}
