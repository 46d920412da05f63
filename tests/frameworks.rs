//! Django and Flask, and everything together under the eyes of wsgiref's validator.
//!
//! `APPLIANCE_TEST_PYTHON` must be an interpreter that has `tests/requirements.txt`; `tests/run`
//! makes five.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use serde_json::{Value, json};

use support::{Appliance, Project, Response};

/// A site of one framework, with a file to download.
fn site(application: &str) -> Appliance {
    Project::wsgi(include_str!("apps/validated.py"))
        .file("served.py", application)
        .file("data.bin", data())
        .start()
}

fn django() -> Appliance {
    site(include_str!("apps/django_site.py"))
}

fn flask() -> Appliance {
    site(include_str!("apps/flask_site.py"))
}

/// 5 MB, no part of it like another.
fn data() -> Vec<u8> {
    (0..5_000_000_u32 / 4)
        .flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect()
}

/// As `sha256sum` tells it.
const DATA_SHA256: &str = "adb8bb247b123a380330359bc68b0bad2d763716efa6e576bbe78b100db2263d";

/// With these header fields, and a body if there is one.
#[track_caller]
fn respond(site: &Appliance, request: &str, fields: &[&str], body: &[u8]) -> Response {
    let mut head = format!("{request} HTTP/1.1\r\nhost: test\r\n");
    for field in fields {
        head += &format!("{field}\r\n");
    }
    if !body.is_empty() {
        head += &format!("content-length: {}\r\n", body.len());
    }
    let mut connection = site.connect();
    connection.send([head.as_bytes(), b"\r\n", body].concat());
    connection.response()
}

/// The field that has a request validated.
const VALIDATED: &str = "x-validate: yes";
const EITHER_WAY: [&str; 2] = ["x-validate: no", VALIDATED];

const FORM: &str = "content-type: application/x-www-form-urlencoded";
const MULTIPART: &str = "content-type: multipart/form-data; boundary=limit";

/// A field `note` and `data()` as a file.
fn multipart() -> Vec<u8> {
    let head = "--limit\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\na note\r\n\
                --limit\r\nContent-Disposition: form-data; name=\"file\"; filename=\"data.bin\"\r\n\
                Content-Type: application/octet-stream\r\n\r\n";
    [head.as_bytes(), &data(), b"\r\n--limit--\r\n"].concat()
}

fn lines() -> String {
    (0..1000).map(|number| format!("line {number}\n")).collect()
}

/// The `name=value` of a cookie that was set.
fn cookie(response: &Response) -> &str {
    let set = response.header("set-cookie").unwrap();
    set.split(';').next().unwrap()
}

/// What both frameworks serve alike.
#[track_caller]
fn serves_pages_streams_and_files(site: &Appliance, validate: &str) {
    for method in ["GET", "HEAD"] {
        let request = format!("{method} /page?name=J%C3%BCrgen");
        let response = respond(site, &request, &[validate], b"");
        assert_eq!(response.status, 200);
        let body = "<h1>Grüße, Jürgen</h1>";
        let length = body.len().to_string();
        assert_eq!(response.header("content-length"), Some(length.as_str()));
        assert_eq!(response.text(), if method == "GET" { body } else { "" });
    }
    let response = respond(site, "GET /page/na%C3%AFve%20%25", &[validate], b"");
    assert_eq!(response.text(), "naïve %");
    let response = respond(site, "GET /stream", &[validate], b"");
    assert_eq!(response.text(), lines());
    assert!(response.complete);
    let response = respond(site, "GET /file", &[validate], b"");
    assert_eq!(response.header("content-length"), Some("5000000"));
    let disposition = response.header("content-disposition").unwrap();
    assert!(
        disposition.contains("filename*=utf-8''na%C3%AFve.bin")
            || disposition.contains("UTF-8''na%C3%AFve.bin"),
        "{disposition}"
    );
    assert!(response.body() == data(), "other bytes arrived");
    let response = respond(site, "GET /memory", &[validate], b"");
    assert_eq!(response.text(), "from memory");
    let response = respond(site, "GET /nowhere", &[validate], b"");
    assert_eq!(response.status, 404);
}

#[track_caller]
fn keeps_a_session(site: &Appliance, validate: &str) {
    let first = respond(site, "GET /count", &[validate], b"");
    assert_eq!(first.text(), "1");
    let kept = format!("cookie: {}", cookie(&first));
    let second = respond(site, "GET /count", &[validate, &kept], b"");
    assert_eq!(second.text(), "2");
}

/// An upload's answer, as JSON.
#[track_caller]
fn takes_an_upload(site: &Appliance, validate: &str) -> Value {
    let response = respond(site, "POST /upload", &[validate, MULTIPART], &multipart());
    assert_eq!(response.status, 200, "{}", response.text());
    let answer: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(answer["name"], "data.bin");
    assert_eq!(answer["type"], "application/octet-stream");
    assert_eq!(answer["size"], 5_000_000);
    assert_eq!(answer["sha256"], DATA_SHA256);
    assert_eq!(answer["note"], "a note");
    answer
}

/// No complaint of the validator's, nor of anybody else's.
#[track_caller]
fn nothing_was_wrong(site: &Appliance) {
    // Tests that root runs are told what that means; it is no trouble of the application's.
    let log: String = (site.log().lines())
        .filter(|line| !line.contains("WARN supervisor: the workers run as root: "))
        .fold(String::new(), |log, line| log + line + "\n");
    for trouble in [
        " ERROR ",
        " WARN ",
        "AssertionError",
        "Iterator garbage collected",
    ] {
        assert!(!log.contains(trouble), "{log}");
    }
}

#[test]
fn django_serves_pages_streams_and_files() {
    let site = django();
    for validate in EITHER_WAY {
        serves_pages_streams_and_files(&site, validate);
    }
    nothing_was_wrong(&site);
}

#[test]
fn django_keeps_a_session_in_a_cookie() {
    let site = django();
    for validate in EITHER_WAY {
        keeps_a_session(&site, validate);
    }
    nothing_was_wrong(&site);
}

#[test]
fn django_takes_a_form_with_its_token_and_none_without() {
    let site = django();
    for validate in EITHER_WAY {
        let page = respond(&site, "GET /form", &[validate], b"");
        let kept = format!("cookie: {}", cookie(&page));
        let body = format!(
            "csrfmiddlewaretoken={}&text=gr%C3%BCn+%26+blau",
            page.text()
        );
        let answer = respond(
            &site,
            "POST /form",
            &[validate, &kept, FORM],
            body.as_bytes(),
        );
        assert_eq!(answer.text(), "grün & blau from test");
        let answer = respond(&site, "POST /form", &[validate, FORM], body.as_bytes());
        assert_eq!(answer.status, 403);
    }
    nothing_was_wrong(&site);
}

#[test]
fn django_takes_a_large_upload() {
    let site = django();
    for validate in EITHER_WAY {
        let answer = takes_an_upload(&site, validate);
        assert_eq!(answer["kept"], "TemporaryUploadedFile");
    }
    nothing_was_wrong(&site);
}

#[test]
fn djangos_own_500_arrives() {
    let site = django();
    let response = respond(&site, "GET /fail", &[VALIDATED], b"");
    assert_eq!(response.status, 500);
    assert!(response.text().contains("Server Error (500)"));
}

#[test]
fn flask_serves_pages_streams_and_files() {
    let site = flask();
    for validate in EITHER_WAY {
        serves_pages_streams_and_files(&site, validate);
    }
    nothing_was_wrong(&site);
}

#[test]
fn flask_keeps_a_session_in_a_cookie() {
    let site = flask();
    for validate in EITHER_WAY {
        keeps_a_session(&site, validate);
    }
    nothing_was_wrong(&site);
}

#[test]
fn flask_takes_and_gives_json() {
    let site = flask();
    let fields = ["content-type: application/json"];
    let body = json!({ "numbers": (0..20_000).collect::<Vec<u32>>() }).to_string();
    let response = respond(&site, "POST /json", &fields, body.as_bytes());
    assert_eq!(
        (response.status, response.reason.as_str()),
        (201, "CREATED")
    );
    assert_eq!(response.header("x-own"), Some("yes"));
    let answer: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(answer, json!({ "sum": 199_990_000, "text": "é" }));
    let response = respond(&site, "POST /json", &fields, b"{broken");
    assert_eq!(response.status, 400);
    nothing_was_wrong(&site);
}

#[test]
fn flask_takes_forms_and_uploads() {
    let site = flask();
    let form = respond(&site, "POST /form", &[FORM], b"text=gr%C3%BCn+%26+blau");
    assert_eq!(form.text(), "grün & blau");
    takes_an_upload(&site, EITHER_WAY[0]);
    nothing_was_wrong(&site);
}

#[test]
fn flasks_own_500_arrives() {
    let site = flask();
    let response = respond(&site, "GET /fail", &[VALIDATED], b"");
    assert_eq!(response.status, 500);
    assert_eq!(response.reason, "INTERNAL SERVER ERROR");
    site.wait_for_log("ValueError: in a view\n");
}

#[test]
fn the_validator_finds_nothing_wrong_with_a_bare_application() {
    let site = site(
        r#"
def application(environ, start_response):
    stream = environ["wsgi.input"]
    read = [stream.read(3), stream.readline(), stream.readline(2), *stream.readlines(1), *stream]
    environ["wsgi.errors"].flush()
    body = b"|".join(read)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return iter([b"", body])
"#,
    );
    let body = b"one\ntwo\nthree\nfour\nfive";
    let response = respond(
        &site,
        "POST /any%20path?and=query",
        &[VALIDATED, FORM],
        body,
    );
    assert_eq!(response.text(), "one|\n|tw|o\n|three\n|four\n|five");
    for method in ["GET", "HEAD", "OPTIONS", "DELETE"] {
        let response = respond(&site, &format!("{method} /"), &[VALIDATED], b"");
        assert_eq!(response.status, 200, "{method}");
    }
    nothing_was_wrong(&site);
}

#[test]
fn a_project_of_files_alone_needs_no_application() {
    let site = Project::files(&[("assets/app.js", "let app;")]).start();
    assert_eq!(site.get("/assets/app.js").text(), "let app;");
    let response = respond(&site, "GET /deep/link", &["accept: text/html"], b"");
    assert_eq!(response.text(), "<!doctype html>");
    nothing_was_wrong(&site);
}
