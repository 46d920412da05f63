//! Files that the application decides about: `X-Accel-Redirect`, `X-Sendfile`, `internal` routes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use support::{Appliance, Project};

/// Hands over to what the query names, with the fields that are usual beside it.
const APPLICATION: &str = r#"
from urllib.parse import unquote
def application(environ, start_response):
    field, _, target = unquote(environ["QUERY_STRING"]).partition("=")
    headers = [
        ("Content-Type", ""), ("Content-Disposition", 'attachment; filename="a.pdf"'),
        ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Vary", "Cookie"), ("ETag", '"app"'),
        ("X-Frame-Options", "DENY"), ("X-Accel-Buffering", "no"), ("X-Accel-Expires", "60"),
    ]
    if field == "typed":
        field, headers[0] = "X-Accel-Redirect", ("Content-Type", "application/x-own")
        headers.append(("Cache-Control", "max-age=60"))
    if field:
        headers.append((field, target.replace("ROOT", environ["HTTP_X_ROOT"])))
    else:
        headers[0] = ("Content-Type", "text/plain")
    start_response("200 OK", headers)
    return [b"from the application"]
"#;

fn serve() -> (Appliance, String) {
    let sites = r#"
[[site]]
listen = ["127.0.0.1:0"]
sendfile_roots = ["private"]
[site.routes]
"/" = { wsgi = true }
"/protected/" = { files = "media", internal = true }
"/moved/" = { rewrite = "/protected$rest" }
"/public" = { files = "public" }
"#;
    let project = Project::with_sites(APPLICATION, "", sites)
        .file("media/a b.pdf", "0123456789")
        .file("media/large.bin", vec![b'x'; 3 << 20])
        .file("media/index.html", "index")
        .file("public/a.txt", "public")
        .file("private/s.txt", "sent");
    let root = project.path("").display().to_string();
    (project.start(), root)
}

fn ask(server: &Appliance, method: &str, query: &str, fields: &str) -> support::Response {
    let mut connection = server.connect();
    connection.send(format!(
        "{method} /x?{query} HTTP/1.1\r\nHost: a\r\nX-Root: none\r\n{fields}\r\n"
    ));
    connection.response()
}

#[test]
fn a_protected_file_answers_with_the_applications_fields() {
    let (server, _) = serve();
    let whole = ask(
        &server,
        "GET",
        "X-Accel-Redirect=/protected/a%2520b.pdf",
        "",
    );
    assert_eq!((whole.status, whole.text()), (200, "0123456789"));
    assert_eq!(whole.header("content-type"), Some("application/pdf"));
    assert_eq!(
        whole.header("content-disposition"),
        Some("attachment; filename=\"a.pdf\"")
    );
    assert_eq!(whole.all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(whole.header("x-frame-options"), Some("DENY"));
    assert_eq!(whole.header("cache-control"), Some("private, no-cache"));
    assert_eq!(whole.all("vary"), ["Cookie"]);
    let etag = whole.header("etag").unwrap().to_owned();
    assert_ne!(etag, "\"app\"");
    for (name, _) in &whole.headers {
        assert!(!name.starts_with("x-accel"), "{name}");
    }
    let query = "X-Accel-Redirect=/protected/a%2520b.pdf";
    let part = ask(&server, "GET", query, "Range: bytes=2-4\r\n");
    assert_eq!((part.status, part.text()), (206, "234"));
    assert_eq!(part.header("content-range"), Some("bytes 2-4/10"));
    let known = ask(&server, "GET", query, &format!("If-None-Match: {etag}\r\n"));
    assert_eq!((known.status, known.header("content-type")), (304, None));
    let head = ask(&server, "HEAD", query, "");
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("10"))
    );
    let posted = ask(&server, "POST", query, "Content-Length: 0\r\n");
    assert_eq!((posted.status, posted.text()), (200, "0123456789"));
    let large = ask(&server, "GET", "X-Accel-Redirect=/protected/large.bin", "");
    assert_eq!(large.body().len(), 3 << 20);
    let moved = ask(&server, "GET", "X-Accel-Redirect=/moved/a%2520b.pdf", "");
    assert_eq!(moved.text(), "0123456789");
    let public = ask(&server, "GET", "X-Accel-Redirect=/public/a.txt", "");
    assert_eq!(public.text(), "public");
}

#[test]
fn what_the_application_says_of_type_and_caching_holds() {
    let (server, _) = serve();
    let typed = ask(&server, "GET", "typed=/protected/a%2520b.pdf", "");
    assert_eq!(typed.all("content-type"), ["application/x-own"]);
    assert_eq!(typed.all("cache-control"), ["max-age=60"]);
}

#[test]
fn what_cannot_be_handed_over_is_an_error_without_the_applications_fields() {
    let (server, _) = serve();
    for (query, status) in [
        ("X-Accel-Redirect=/protected/none.pdf", 404),
        ("X-Accel-Redirect=/protected/../../project.toml", 500),
        ("X-Accel-Redirect=/protected/%252e%252e/project.toml", 500),
        ("X-Accel-Redirect=/x", 500),
        ("X-Accel-Redirect=", 500),
        ("X-Accel-Redirect=@named", 500),
        ("X-Sendfile=/etc/passwd", 500),
        ("X-Sendfile=s.txt", 500),
    ] {
        let response = ask(&server, "GET", query, "");
        assert_eq!(response.status, status, "{query}");
        assert_eq!(response.header("content-disposition"), None, "{query}");
        assert_eq!(response.header("x-accel-redirect"), None, "{query}");
        assert_eq!(response.header("x-sendfile"), None, "{query}");
        assert!(!response.text().contains("from the application"), "{query}");
    }
    server.wait_for_log("the application handed over (x-accel-redirect) to `/x`");
}

#[test]
fn internal_routes_are_not_there_from_outside() {
    let (server, _) = serve();
    assert_eq!(server.get("/protected/a%20b.pdf").status, 404);
    assert_eq!(server.get("/protected/").status, 404);
    assert_eq!(server.get("/moved/a%20b.pdf").text(), "0123456789");
    let plain = server.get("/x");
    assert_eq!((plain.status, plain.text()), (200, "from the application"));
    assert_eq!(plain.header("x-accel-buffering"), None);
}

#[test]
fn x_sendfile_sends_from_its_roots_alone() {
    let (server, root) = serve();
    let ask = |query: &str| {
        let mut connection = server.connect();
        let root = root.trim_end_matches('/');
        connection.send(format!(
            "GET /x?{query} HTTP/1.1\r\nHost: a\r\nX-Root: {root}\r\n\r\n"
        ));
        connection.response()
    };
    let sent = ask("X-Sendfile=ROOT/private/s.txt");
    assert_eq!((sent.status, sent.text()), (200, "sent"));
    assert_eq!(sent.header("x-sendfile"), None);
    assert_eq!(ask("X-Sendfile=ROOT/private/none.txt").status, 404);
    assert_eq!(ask("X-Sendfile=ROOT/private/../project.toml").status, 404);
    assert_eq!(ask("X-Sendfile=ROOT/project.toml").status, 500);
}

#[test]
fn without_internal_routes_the_field_still_does_not_leave() {
    let server = Project::wsgi(
        r#"
def application(environ, start_response):
    start_response("200 OK", [("X-Accel-Redirect", "/secret/place"), ("X-Accel-Buffering", "no")])
    return [b""]
"#,
    )
    .start();
    let response = server.get("/");
    assert_eq!(
        (response.status, response.header("x-accel-redirect")),
        (500, None)
    );
    server.wait_for_log("no route of the site is `internal`");
}

/// Another server, which hands over to what the query names.
fn other() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || while hand_over(&mut stream).is_some() {});
        }
    });
    address
}

fn hand_over(stream: &mut TcpStream) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let (field, target) = head.split_once('?')?.1.split_once('=')?;
    let target = target.split(' ').next()?;
    let response = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Type: text/plain\r\nSet-Cookie: a=1\r\n\
         ETag: \"other\"\r\n{field}: {target}\r\n\r\nbody"
    );
    stream.write_all(response.as_bytes()).ok()
}

#[test]
fn other_servers_hand_over_where_their_route_lets_them() {
    let other = other();
    let sites = format!(
        "[[site]]\nlisten = [\"127.0.0.1:0\"]\nsendfile_roots = [\"private\"]\n[site.routes]\n\
         \"/may\" = {{ proxy = {{ to = \"http://{other}\", hand_off = true }} }}\n\
         \"/may-not\" = {{ proxy = \"http://{other}\" }}\n\
         \"/protected/\" = {{ files = \"media\", internal = true }}\n"
    );
    let project = Project::with_sites("application = print", "", &sites)
        .file("media/a.txt", "0123456789")
        .file("private/s.txt", "sent");
    let root = project.path("private").display().to_string();
    let server = project.start();
    let ask = |target: &str, fields: &str| {
        let mut connection = server.connect();
        connection.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        connection.response()
    };
    let handed = "?X-Accel-Redirect=/protected/a.txt";
    for _ in 0..3 {
        let whole = ask(&format!("/may{handed}"), "");
        assert_eq!((whole.status, whole.text()), (200, "0123456789"));
        assert_eq!(whole.all("set-cookie"), ["a=1"]);
        assert_ne!(whole.header("etag"), Some("\"other\""));
        assert_eq!(whole.header("x-accel-redirect"), None);
    }
    let part = ask(&format!("/may{handed}"), "Range: bytes=2-4\r\n");
    assert_eq!((part.status, part.text()), (206, "234"));
    let sent = ask(&format!("/may?X-Sendfile={root}/s.txt"), "");
    assert_eq!((sent.status, sent.text()), (200, "sent"));
    for target in ["?X-Sendfile=/etc/passwd", "?X-Accel-Redirect=/may-not"] {
        let lost = ask(&format!("/may{target}"), "");
        assert_eq!((lost.status, lost.header("x-sendfile")), (500, None));
    }
    let passed_on = ask(&format!("/may-not{handed}"), "");
    assert_eq!((passed_on.status, passed_on.text()), (200, "body"));
    let field = passed_on.header("x-accel-redirect");
    assert_eq!(field, Some("/protected/a.txt"));
}
