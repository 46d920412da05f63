//! What is made of responses, whoever answers: fields, other sites' scripts, pages for errors,
//! maintenance.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::process::Command;

use support::{Appliance, Finished, Project, Response, eventually};

const APPLICATION: &str = r#"
def application(environ, start_response):
    status = environ["QUERY_STRING"] or "200 OK"
    start_response(status.replace("%20", " "), [
        ("Content-Type", "application/json"),
        ("Server", "application"),
        ("X-Frame-Options", "DENY"),
        ("Access-Control-Allow-Origin", "*"),
        ("Set-Cookie", "a=b"),
        ("ETag", '"1"'),
    ])
    return [b"{", environ["REQUEST_METHOD"].encode(), b"}"]
"#;

fn ask(server: &Appliance, method: &str, path: &str, fields: &str) -> Response {
    let mut connection = server.connect();
    connection.send(format!(
        "{method} {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"
    ));
    connection.response()
}

#[test]
fn fields_are_set_added_and_removed() {
    let sites = r#"
[[site]]
listen = ["127.0.0.1:0"]
security_headers = true
headers = { Server = false, X-One = "1", X-Two = { add = "b" }, X-Frame-Options = { if_absent = "NEVER" } }
[site.routes]
"/app" = { wsgi = true }
"/files" = { files = "dist", headers = { Content-Security-Policy = "default-src 'self'", X-One = "2" } }
"/bare" = { files = "dist", security_headers = false }
"#;
    let server = Project::with_sites(APPLICATION, "", sites)
        .file("dist/a.txt", "a")
        .start();
    let app = server.get("/app");
    let file = server.get("/files/a.txt");
    let missing = server.get("/files/none");
    let nowhere = server.get("/");
    for response in [&app, &file, &missing, &nowhere] {
        assert_eq!(response.header("server"), None);
        assert_eq!(response.all("x-content-type-options"), ["nosniff"]);
        assert_eq!(
            response.header("referrer-policy"),
            Some("strict-origin-when-cross-origin")
        );
        assert_eq!(response.header("x-two"), Some("b"));
    }
    assert_eq!(app.all("x-frame-options"), ["DENY"]);
    assert_eq!(file.all("x-frame-options"), ["SAMEORIGIN"]);
    assert_eq!(app.header("x-one"), Some("1"));
    assert_eq!(file.all("x-one"), ["2"]);
    assert!(missing.header("content-security-policy").is_some());
    let bare = server.get("/bare/a.txt");
    assert_eq!(bare.header("referrer-policy"), None);
    assert_eq!(bare.header("x-one"), Some("1"));
}

#[test]
fn scripts_of_listed_sites_may_read_and_others_may_not() {
    let sites = r#"
[[site]]
listen = ["127.0.0.1:0"]
[site.cors]
origins = ["https://app.example", "https://*.partner.example"]
credentials = true
methods = ["GET", "PUT"]
expose = ["X-Total"]
max_age = "10m"
[site.routes]
"/app" = { wsgi = true, password_file = "staff" }
"/public" = { wsgi = true, cors = "*" }
"/free" = { wsgi = true, methods = ["GET"] }
"#;
    let staff = "ann:$2y$10$zC5YoR6WsWXm.J9kGG7Uq.Krwc5v2EOl/WazJ6szxlOXFFI33JmE.\n";
    let server = Project::with_sites(APPLICATION, "", sites)
        .file("staff", staff)
        .start();
    let origin = |response: &Response| {
        let all = response.all("access-control-allow-origin");
        assert!(all.len() <= 1, "{all:?}");
        all.first().map(|one| (*one).to_owned())
    };
    for (sent, named) in [
        ("https://app.example", Some("https://app.example")),
        (
            "https://a.partner.example",
            Some("https://a.partner.example"),
        ),
        ("https://evil.example", None),
        ("https://app.example.evil.example", None),
        ("null", None),
    ] {
        let response = ask(&server, "GET", "/free", &format!("Origin: {sent}\r\n"));
        assert_eq!(response.status, 200);
        assert_eq!(origin(&response).as_deref(), named, "{sent}");
        assert!(response.all("vary").contains(&"Origin"));
        assert_eq!(
            response.header("access-control-allow-credentials"),
            named.map(|_| "true")
        );
        assert_eq!(
            response.header("access-control-expose-headers"),
            named.map(|_| "X-Total")
        );
        // Answered here: no password, no method, and not by the application.
        for path in ["/app", "/free"] {
            let asks = format!(
                "Origin: {sent}\r\nAccess-Control-Request-Method: PUT\r\n\
                 Access-Control-Request-Headers: content-type, x-own\r\n"
            );
            let preflight = ask(&server, "OPTIONS", path, &asks);
            assert_eq!(preflight.status, 204);
            assert_eq!(origin(&preflight).as_deref(), named, "{sent}");
            assert_eq!(
                preflight.header("access-control-allow-methods"),
                named.map(|_| "GET, PUT")
            );
            assert_eq!(
                preflight.header("access-control-allow-headers"),
                named.map(|_| "content-type, x-own")
            );
            assert_eq!(
                preflight.header("access-control-max-age"),
                named.map(|_| "600")
            );
        }
    }
    let without = ask(&server, "GET", "/free", "");
    assert_eq!(origin(&without), None);
    let public = ask(&server, "GET", "/public", "Origin: https://any.example\r\n");
    assert_eq!(origin(&public).as_deref(), Some("*"));
    assert_eq!(public.header("vary"), None);
    // Who may read is not who may come in.
    let refused = ask(&server, "GET", "/app", "Origin: https://app.example\r\n");
    assert_eq!(refused.status, 401);
    assert!(origin(&refused).is_some());
    let options = ask(
        &server,
        "OPTIONS",
        "/public",
        "Origin: https://a.example\r\n",
    );
    assert_eq!(options.text(), "{OPTIONS}");
}

const BROWSER: &str = "Accept: text/html,*/*\r\n";

fn with_pages() -> Appliance {
    let sites = r#"
[[site]]
listen = ["127.0.0.1:0"]
error_pages = { 404 = ["404.html", "404.json"], "5xx" = "error.html" }
[site.routes]
"/files" = { files = "dist" }
"/app" = { wsgi = true }
"/shown" = { wsgi = true, intercept = true }
"#;
    Project::with_sites(APPLICATION, "", sites)
        .file("dist/a.txt", "a")
        .file("404.html", "<h1>lost</h1>")
        .file("404.json", "{\"lost\":true}")
        .file("error.html", "<h1>broken</h1>")
        .start()
}

#[test]
fn errors_have_the_pages_of_the_project() {
    let server = with_pages();
    for (path, fields, status, media_type, body) in [
        (
            "/files/x",
            BROWSER,
            404,
            "text/html; charset=utf-8",
            "<h1>lost</h1>",
        ),
        (
            "/",
            BROWSER,
            404,
            "text/html; charset=utf-8",
            "<h1>lost</h1>",
        ),
        (
            "/files/x",
            "",
            404,
            "application/json; charset=utf-8",
            "{\"lost\":true}",
        ),
        (
            "/app?404%20Not%20Found",
            BROWSER,
            404,
            "application/json",
            "{GET}",
        ),
        ("/app?500%20Oh", BROWSER, 500, "application/json", "{GET}"),
        (
            "/shown?404%20Lost",
            BROWSER,
            404,
            "text/html; charset=utf-8",
            "<h1>lost</h1>",
        ),
        (
            "/shown?503%20Oh",
            BROWSER,
            503,
            "text/html; charset=utf-8",
            "<h1>broken</h1>",
        ),
        // A script wants what the application says.
        ("/shown?503%20Oh", "", 503, "application/json", "{GET}"),
        ("/shown?403%20No", BROWSER, 403, "application/json", "{GET}"),
        ("/shown", BROWSER, 200, "application/json", "{GET}"),
        // A head that HTTP cannot carry: our own 500.
        (
            "/app?none",
            BROWSER,
            500,
            "text/html; charset=utf-8",
            "<h1>broken</h1>",
        ),
    ] {
        let response = ask(&server, "GET", path, fields);
        assert_eq!(response.status, status, "{path}");
        assert_eq!(response.header("content-type"), Some(media_type), "{path}");
        assert_eq!(response.text(), body, "{path}");
        let head = ask(&server, "HEAD", path, fields);
        assert_eq!(head.status, status, "{path}");
        assert_eq!(head.header("content-type"), Some(media_type), "{path}");
        assert_eq!(head.body(), b"", "{path}");
        if head.header("content-length").is_some() && media_type != "application/json" {
            let length = Some(body.len().to_string());
            assert_eq!(head.header("content-length"), length.as_deref(), "{path}");
        }
    }
    let shown = ask(&server, "GET", "/shown?404%20Lost", BROWSER);
    assert_eq!(shown.header("set-cookie"), Some("a=b"));
    assert_eq!(shown.header("etag"), None);
}

#[test]
fn an_intercepted_error_leaves_the_connection_as_it_was() {
    let server = with_pages();
    let mut connection = server.connect();
    for _ in 0..3 {
        connection.send(format!(
            "GET /shown?503%20Oh HTTP/1.1\r\nHost: a\r\n{BROWSER}\r\n"
        ));
        let response = connection.response();
        assert_eq!(response.text(), "<h1>broken</h1>");
        assert_eq!(connection.get("/app").text(), "{GET}");
    }
    assert!(!server.log().contains("BrokenPipe"), "{}", server.log());
}

#[test]
fn files_are_served_as_the_project_says() {
    let sites = r#"
[[site]]
listen = ["127.0.0.1:0"]
cache = { "*.woff2" = "1y", "/" = "no-store", "/down/*" = "public, max-age=60" }
types = { ".webmanifest" = "application/x-own" }
charset = "iso-8859-1"
[site.routes]
"/a" = { files = "dist" }
"/b" = { files = "dist", charset = false, cache = { "*.txt" = "30d" }, types = { txt = "text/x-own" } }
"#;
    let server = Project::with_sites(APPLICATION, "", sites)
        .file("dist/a.txt", "a")
        .file("dist/a.woff2", "a")
        .file("dist/down/a.woff2", "a")
        .file("dist/down/a.txt", "a")
        .file("dist/a.webmanifest", "a")
        .start();
    for (path, media_type, cached) in [
        ("/a/a.txt", "text/plain; charset=iso-8859-1", "no-store"),
        ("/a/a.woff2", "font/woff2", "public, max-age=31536000"),
        (
            "/a/down/a.txt",
            "text/plain; charset=iso-8859-1",
            "public, max-age=60",
        ),
        ("/a/a.webmanifest", "application/x-own", "no-store"),
        ("/b/a.txt", "text/x-own", "public, max-age=2592000"),
        ("/b/down/a.txt", "text/x-own", "public, max-age=2592000"),
        ("/b/a.woff2", "font/woff2", "public, max-age=31536000"),
    ] {
        let response = server.get(path);
        assert_eq!(response.header("content-type"), Some(media_type), "{path}");
        assert_eq!(response.header("cache-control"), Some(cached), "{path}");
        // From memory, too.
        assert_eq!(server.get(path).header("cache-control"), Some(cached));
    }
}

fn maintain(server: &Appliance, word: &str) {
    let like = server.project.command("maintenance");
    let mut command = Command::new(like.get_program());
    command
        .args(["maintenance", word, "project.toml"])
        .current_dir(like.get_current_dir().unwrap());
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && text.starts_with("maintenance"),
        "{text}"
    );
}

#[test]
fn maintenance_is_everywhere_until_it_is_over() {
    let sites = r#"
[[site]]
listen = ["127.0.0.1:0"]
maintenance_page = "maintenance.html"
maintenance_allow = "10.0.0.0/8"
[site.routes]
"/app" = { wsgi = true }
"/files" = { files = "dist" }

[[site]]
listen = ["127.0.0.1:0"]
server_name = "bare"
[site.routes]
"/" = { files = "dist" }
"#;
    let server = Project::with_sites(APPLICATION, "processes = 2", sites)
        .file("dist/a.txt", "a")
        .file("maintenance.html", "<h1>back soon</h1>")
        .also("[server]\ntrusted_proxies = \"127.0.0.1\"\n")
        .start();
    // Some of them are bound to meet each worker.
    let all = |path: &str, fields: &str, status: u16| {
        for _ in 0..10 {
            let response = ask(&server, "GET", path, fields);
            assert_eq!(response.status, status, "{path} {fields}");
        }
    };
    let bare = || {
        let mut connection = server.connect();
        connection.send("GET /a.txt HTTP/1.1\r\nHost: bare\r\n\r\n");
        connection.response()
    };
    assert_eq!(bare().status, 200);
    maintain(&server, "on");
    all("/app", "", 503);
    all("/files/a.txt", "", 503);
    all("/app", "X-Forwarded-For: 10.0.0.1\r\n", 200);
    let page = ask(&server, "GET", "/app", BROWSER);
    assert_eq!(page.text(), "<h1>back soon</h1>");
    assert_eq!(page.header("retry-after"), Some("300"));
    let head = ask(&server, "HEAD", "/files/a.txt", BROWSER);
    assert_eq!((head.status, head.body()), (503, &b""[..]));
    // A worker that starts meanwhile knows it too.
    let before = server.workers();
    server.signal_worker(before[0], libc::SIGKILL);
    eventually("another worker", || {
        let now = server.workers();
        (now.len() == 2 && !now.contains(&before[0])).then_some(())
    });
    all("/app", "", 503);
    assert_eq!(bare().status, 503);
    server.signal(libc::SIGHUP);
    server.wait_for_log("reloaded generation=2 ");
    all("/app", "", 503);
    // And a server that has become another binary.
    let upgraded = Finished::of(server.project.command("upgrade"));
    assert_eq!(upgraded.status, 0, "{upgraded:?}");
    all("/app", "", 503);
    all("/app", "X-Forwarded-For: 10.0.0.1\r\n", 200);
    maintain(&server, "off");
    all("/app", "", 200);
    all("/files/a.txt", "", 200);
}
