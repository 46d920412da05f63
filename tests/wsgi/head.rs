//! `start_response` (PEP 3333, "The start_response() Callable").

use crate::support::{Appliance, Project, Response};
use crate::{post, respond};

const ANY_HEAD: &str = include_str!("../apps/head.py");

/// The response to a `start_response` with these arguments, in Python.
#[track_caller]
fn head(site: &Appliance, path: &str, arguments: &str) -> Response {
    respond(site, post(path, arguments))
}

#[test]
fn status_and_fields_arrive_as_given() {
    let site = Project::wsgi(ANY_HEAD).start();
    for (status, code, reason) in [
        ("200 OK", 200, "OK"),
        ("200 Fine by me", 200, "Fine by me"),
        ("299 Own code", 299, "Own code"),
        ("404 Not Found", 404, "Not Found"),
        ("418 I'm a teapot", 418, "I'm a teapot"),
        ("599 ", 599, ""),
        ("999 Far out", 999, "Far out"),
    ] {
        let response = head(&site, "/", &format!("\"{status}\", []"));
        assert_eq!(response.status, code);
        if !reason.is_empty() {
            assert_eq!(response.reason, reason);
        }
        assert_eq!(response.text(), "body");
    }
    let fields = r#""200 OK", [
        ("Set-Cookie", "a=1"), ("X-One", "1"), ("Set-Cookie", "b=2"), ("X-Latin", chr(0xe9)),
        ("Set-Cookie", "a=1"), ("X-Tab", "a" + chr(9) + "b"), ("X-Empty", ""), ("Server", "mine"),
    ]"#;
    let response = head(&site, "/", fields);
    assert_eq!(response.all("set-cookie"), ["a=1", "b=2", "a=1"]);
    assert_eq!(response.header("x-one"), Some("1"));
    assert_eq!(response.header("x-latin"), Some("\u{e9}"));
    assert_eq!(response.header("x-tab"), Some("a\tb"));
    assert_eq!(response.header("x-empty"), Some(""));
    assert_eq!(response.all("server"), ["mine"]);
    assert_eq!(response.all("date").len(), 1);
}

/// Arguments of `start_response`, and the exception that they raise.
const REFUSED: [(&str, &str); 36] = [
    (r#"200, []"#, "TypeError: status must be a str, not int"),
    (
        r#"b"200 OK", []"#,
        "TypeError: status must be a str, not bytes",
    ),
    (
        r#"None, []"#,
        "TypeError: status must be a str, not NoneType",
    ),
    (
        r#""", []"#,
        "ValueError: status must be like '200 OK', with a code from 200 to 999, not ''",
    ),
    (
        r#""OK", []"#,
        "ValueError: status must be like '200 OK', with a code from 200 to 999, not 'OK'",
    ),
    (
        r#""20", []"#,
        "ValueError: status must be like '200 OK', with a code from 200 to 999, not '20'",
    ),
    (
        r#""2000 OK", []"#,
        "ValueError: status must be like '200 OK', with a code from 200 to 999, not '2000 OK'",
    ),
    (
        r#""200OK", []"#,
        "ValueError: status must be like '200 OK', with a code from 200 to 999, not '200OK'",
    ),
    (
        r#"" 200 OK", []"#,
        "ValueError: status must be like '200 OK', with a code from 200 to 999, not ' 200 OK'",
    ),
    (
        r#""-20 OK", []"#,
        "ValueError: status must be like '200 OK', with a code from 200 to 999, not '-20 OK'",
    ),
    (
        r#""099 OK", []"#,
        "ValueError: status must be like '200 OK', with a code from 200 to 999, not '099 OK'",
    ),
    (
        r#""100 Continue", []"#,
        "ValueError: status must be like '200 OK', with a code from 200 to 999, not '100 Continue'",
    ),
    (
        r#""101 Switching", []"#,
        "ValueError: status must be like '200 OK', with a code from 200 to 999, not '101 Switching'",
    ),
    (
        r#""200 OK" + chr(13) + chr(10) + "X: y", []"#,
        r"ValueError: status must be like '200 OK', with a code from 200 to 999, not '200 OK\r\nX: y'",
    ),
    (
        r#""200 a" + chr(10) + "b", []"#,
        r"ValueError: status must be like '200 OK', with a code from 200 to 999, not '200 a\nb'",
    ),
    (
        r#""200 a" + chr(0), []"#,
        r"ValueError: status must be like '200 OK', with a code from 200 to 999, not '200 a\x00'",
    ),
    (
        r#""200 " + chr(0x20ac), []"#,
        "ValueError: status holds a character that is not latin-1: '200 €'",
    ),
    (
        r#""200 " + chr(0xd800), []"#,
        r"ValueError: status holds a character that is not latin-1: '200 \ud800'",
    ),
    (
        r#""200 OK", (("a", "b"),)"#,
        "TypeError: headers must be a list of tuples, not tuple",
    ),
    (
        r#""200 OK", {"a": "b"}"#,
        "TypeError: headers must be a list of tuples, not dict",
    ),
    (
        r#""200 OK", None"#,
        "TypeError: headers must be a list of tuples, not NoneType",
    ),
    (
        r#""200 OK", [["a", "b"]]"#,
        "TypeError: headers must hold tuples (name, value), not ['a', 'b']",
    ),
    (
        r#""200 OK", [("a", "b", "c")]"#,
        "TypeError: headers must hold tuples (name, value), not ('a', 'b', 'c')",
    ),
    (
        r#""200 OK", ["a: b"]"#,
        "TypeError: headers must hold tuples (name, value), not 'a: b'",
    ),
    (
        r#""200 OK", [(b"a", "b")]"#,
        "TypeError: a header name must be a str, not bytes",
    ),
    (
        r#""200 OK", [("a", 5)]"#,
        "TypeError: a header value must be a str, not int",
    ),
    (
        r#""200 OK", [("", "b")]"#,
        "ValueError: '' is not a header name",
    ),
    (
        r#""200 OK", [("a b", "c")]"#,
        "ValueError: 'a b' is not a header name",
    ),
    (
        r#""200 OK", [("a:", "c")]"#,
        "ValueError: 'a:' is not a header name",
    ),
    (
        r#""200 OK", [("a" + chr(13) + chr(10) + "b", "c")]"#,
        r"ValueError: 'a\r\nb' is not a header name",
    ),
    (
        r#""200 OK", [("x-a", "b" + chr(13) + chr(10) + "c: d")]"#,
        r"ValueError: the value of header 'x-a' holds a control character: 'b\r\nc: d'",
    ),
    (
        r#""200 OK", [("X-A", chr(0))]"#,
        r"ValueError: the value of header 'X-A' holds a control character: '\x00'",
    ),
    (
        r#""200 OK", [("X-A", chr(0x20ac))]"#,
        "ValueError: a header value holds a character that is not latin-1: '€'",
    ),
    (
        r#""200 OK", [("Content-Length", "five")]"#,
        "ValueError: Content-Length must be one whole number, not 'five'",
    ),
    (
        r#""200 OK", [("Content-Length", "+4")]"#,
        "ValueError: Content-Length must be one whole number, not '+4'",
    ),
    (
        r#""200 OK", [("Content-Length", "4"), ("Content-Length", "4")]"#,
        "ValueError: Content-Length must be one whole number, not '4'",
    ),
];

#[test]
fn a_head_that_http_cannot_carry_is_a_500_with_its_reason_in_the_log() {
    let site = Project::wsgi(ANY_HEAD).start();
    for (number, (arguments, exception)) in REFUSED.into_iter().enumerate() {
        let response = head(&site, &format!("/{number}"), arguments);
        assert_eq!(response.status, 500, "{arguments}");
        assert_eq!(response.text(), "500 Internal Server Error\n");
        assert_eq!(traceback(&site, &format!("POST /{number}")), exception);
    }
}

#[test]
fn fields_of_the_connection_are_the_servers() {
    let site = Project::wsgi(ANY_HEAD).start();
    for name in [
        "Connection",
        "Keep-Alive",
        "Proxy-Authenticate",
        "Proxy-Connection",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
    ] {
        let arguments = format!("\"200 OK\", [(\"{name}\", \"close\")]");
        assert_eq!(head(&site, &format!("/{name}"), &arguments).status, 500);
        assert_eq!(
            traceback(&site, &format!("POST /{name}")),
            format!(
                "ValueError: header '{name}' is hop-by-hop: it belongs to the \
                 server, not to the application"
            )
        );
    }
}

/// The last line of the traceback which the log has for a request.
#[track_caller]
fn traceback(site: &Appliance, request: &str) -> String {
    let begin = format!("the application raised an exception: {request} (request ");
    site.wait_for_log(&begin);
    let log = site.log();
    let (_, entry) = log.split_once(&begin).unwrap();
    // What the gateway itself has found wrong comes without frames of Python.
    let mut lines = entry.lines().skip(1);
    let exception = lines.find(|line| !line.starts_with(' ') && !line.starts_with("Traceback"));
    exception.unwrap().to_owned()
}

/// What `start_response` and `write` allow, and what they do not: a path for each.
const CALLS: &str = include_str!("../apps/calls.py");

#[test]
fn start_response_may_be_called_late_and_again_with_exc_info() {
    let site = Project::wsgi(CALLS).start();
    for (path, status, body) in [
        ("/lazily", 201, "first second"),
        ("/none-as-exc-info", 200, "body"),
        ("/replaced", 503, "sorry"),
        ("/replaced-after-empty-chunk", 503, "sorry"),
        ("/refused-then-good", 500, "own error page"),
        ("/keywords", 200, "body"),
    ] {
        let response = site.get(path);
        assert_eq!((response.status, response.text()), (status, body), "{path}");
        assert!(response.complete);
        assert_eq!(response.header("x-first"), None, "{path}");
    }
}

#[test]
fn start_response_wants_to_be_called_once_and_in_time() {
    let site = Project::wsgi(CALLS).start();
    let twice = "AssertionError: start_response() was called twice; a second call needs exc_info";
    let never =
        "AssertionError: the application sent its response before it called start_response()";
    for (path, exception) in [
        ("/twice", twice),
        ("/never", never),
        ("/never-in-generator", never),
        ("/never-and-empty", never),
        (
            "/str",
            "TypeError: the response must consist of bytes, not str",
        ),
        (
            "/bytearray",
            "TypeError: the response must consist of bytes, not bytearray",
        ),
        (
            "/bare-bytes",
            "TypeError: the response must consist of bytes, not int",
        ),
        ("/none", "TypeError: 'NoneType' object is not iterable"),
        (
            "/write-str",
            "TypeError: the response must consist of bytes, not str",
        ),
    ] {
        let response = site.get(path);
        assert_eq!(response.status, 500, "{path}");
        assert_eq!(traceback(&site, &format!("GET {path}")), exception);
    }
}

#[test]
fn exc_info_after_the_head_raises_it_again_and_cuts_the_response() {
    let site = Project::wsgi(CALLS).start();
    let response = site.get("/too-late");
    assert_eq!((response.status, response.text()), (200, "begun"));
    assert!(!response.complete);
    assert_eq!(traceback(&site, "GET /too-late"), "KeyError: 'the cause'");
    // With the frames of where it came from.
    assert!(site.log().contains("in the_cause\n"), "{}", site.log());
}

#[test]
fn what_is_written_comes_before_what_is_returned() {
    let site = Project::wsgi(CALLS).start();
    for path in ["/write", "/write-counted"] {
        let response = site.get(path);
        assert_eq!(response.text(), "written, returned", "{path}");
        assert!(response.complete);
    }
}
