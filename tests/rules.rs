//! What site and route rule whoever answers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use support::Project;

const APPLICATION: &str = r#"
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Frame-Options", "SAMEORIGIN")])
    return [b"answered"]
"#;

const SITES: &str = r#"
[[site]]
listen = ["127.0.0.1:0"]
headers = { X-Frame-Options = "DENY", X-Served-By = "us" }
[site.routes]
"/app" = { wsgi = true, methods = ["GET", "HEAD"] }
"/free" = { wsgi = true, headers = { X-Served-By = "the application" } }
"/files" = { files = "dist" }
"#;

#[test]
fn the_fields_of_site_and_route_are_on_every_response() {
    let server = Project::with_sites(APPLICATION, "", SITES)
        .file("dist/a.txt", "a")
        .start();
    for (path, status, by) in [
        ("/app", 200, "us"),
        ("/free", 200, "the application"),
        ("/files/a.txt", 200, "us"),
        ("/files/none.txt", 404, "us"),
        ("/nowhere", 404, "us"),
    ] {
        let response = server.get(path);
        assert_eq!(response.status, status, "{path}");
        assert_eq!(response.header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(response.header("x-served-by"), Some(by), "{path}");
    }
}

#[test]
fn a_method_that_is_not_listed_gets_a_405() {
    let server = Project::with_sites(APPLICATION, "", SITES)
        .file("dist/a.txt", "a")
        .start();
    let post = |path: &str| {
        let mut connection = server.connect();
        connection.send(format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
        ));
        connection.response()
    };
    let refused = post("/app");
    assert_eq!(refused.status, 405);
    assert_eq!(refused.header("allow"), Some("GET, HEAD"));
    assert_eq!(post("/free").status, 200);
}
