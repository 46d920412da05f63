//! Which route answers, and routes that answer by themselves.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use support::{Appliance, Project};

/// Tells what it was given.
const APPLICATION: &str = r#"
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    names = ("SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "REQUEST_URI")
    return ["|".join(environ[name] for name in names).encode("latin-1")]
"#;

fn site(routes: &str) -> Appliance {
    let sites = format!("[[site]]\nlisten = [\"127.0.0.1:0\"]\n[site.routes]\n{routes}");
    Project::with_sites(APPLICATION, "", &sites)
        .file("dist/index.html", "index")
        .file("dist/a.txt", "text")
        .file("dist/img/a.PNG", "image")
        .start()
}

fn location(server: &Appliance, path: &str) -> (u16, String) {
    let response = server.get(path);
    let location = response.header("location").unwrap_or_default().to_owned();
    (response.status, location)
}

#[test]
fn redirects_keep_the_query_and_what_they_name_of_the_path() {
    let server = site(
        r#"
"= /about-us" = { redirect = "/about", status = 301 }
"/blog" = { redirect = "/news$rest", status = 308 }
"/docs/" = { redirect = "https://docs.example$rest" }
"/bare" = { redirect = "/bar?" }
"/more" = { redirect = "/m?a=1#end" }
"/top" = { redirect = "/$rest" }
"/host" = { redirect = "https://$host$request_uri", status = 307 }
'~ ^/(?<year>\d{4})/(.+)\.html$' = { redirect = "/archive/$2?year=$year", status = 301 }
"#,
    );
    for (path, status, to) in [
        ("/about-us", 301, "/about"),
        ("/about-us?a=b", 301, "/about?a=b"),
        ("/blog", 308, "/news"),
        ("/blog/", 308, "/news/"),
        ("/blog/x/y%20z?q", 308, "/news/x/y%20z?q"),
        (
            "/docs/.evil.example/",
            302,
            "https://docs.example/.evil.example/",
        ),
        ("/bare/x?a=b", 302, "/bar"),
        ("/bare", 302, "/bar"),
        ("/more?b=2", 302, "/m?a=1&b=2#end"),
        ("/more", 302, "/m?a=1#end"),
        ("/top/evil.example/", 302, "/evil.example/"),
        ("/top//evil.example", 302, "/evil.example"),
        ("/2024/a%2Fb.html", 301, "/archive/a%2Fb?year=2024"),
        ("/2024/x.html?p=1", 301, "/archive/x?year=2024&p=1"),
    ] {
        assert_eq!(location(&server, path), (status, to.to_owned()), "{path}");
    }
    let host = |head: &str| {
        let mut connection = server.connect();
        connection.send(head);
        let response = connection.response();
        (
            response.status,
            response.header("location").map(str::to_owned),
        )
    };
    assert_eq!(
        host("POST /host/x?a HTTP/1.1\r\nHost: Shop.example:8080\r\nContent-Length: 2\r\n\r\nhi"),
        (307, Some("https://Shop.example/host/x?a".to_owned()))
    );
    assert_eq!(host("GET /host HTTP/1.0\r\n\r\n"), (400, None));
}

#[test]
fn a_redirect_ends_neither_connection_nor_cache() {
    let server =
        site(r#""/" = { redirect = "https://a.example/", status = 301, methods = ["GET"] }"#);
    let mut connection = server.connect();
    for _ in 0..3 {
        connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let response = connection.response();
        assert_eq!(response.status, 301);
        assert_eq!(response.header("cache-control"), None);
        assert_eq!(response.text(), "301 Moved Permanently\n");
    }
    connection.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(connection.response().status, 405);
}

#[test]
fn expressions_win_over_prefixes_that_are_not_firm() {
    let server = site(
        r#"
"= /img/exact.png" = { respond = "exact" }
'~* ^/img/.*\.png$' = { files = "dist" }
'~ \.txt$' = { respond = "first" }
'~ ^/a' = { respond = "second" }
"/" = { respond = "prefix" }
"/img/" = { respond = "images" }
"^~ /firm" = { respond = "firm" }
'~ ^/straße/[^/]+$' = { respond = "decoded" }
"#,
    );
    for (path, body) in [
        ("/img/exact.png", "exact"),
        ("/img/a.PNG", "image"),
        ("/img/a.gif", "images"),
        ("/a.txt", "first"),
        ("/a.html", "second"),
        ("/b.html", "prefix"),
        ("/firm/a.txt", "firm"),
        ("/stra%C3%9Fe/a%2Fb", "decoded"),
        ("/stra%c3%9fe/a%20b", "decoded"),
        ("/stra%C3%9Fe/a/b", "prefix"),
        ("/%61", "second"),
        ("/x/../a", "second"),
    ] {
        assert_eq!(server.get(path).text(), body, "{path}");
    }
    assert_eq!(location(&server, "/img"), (301, "/img/".to_owned()));
}

#[test]
fn rewrites_lead_on_and_the_application_sees_both_paths() {
    let server = site(
        r#"
'~ ^/u/(\d+)$' = { rewrite = "/users?id=$1" }
'~ ^/search/(.+)$' = { rewrite = "/users?q=$1?" }
"/users" = { wsgi = true, headers = { X-Route = "users" } }
"/short" = { rewrite = "/u/7" }
"/static" = { rewrite = "/files$rest" }
"/files/" = { files = "dist" }
"/none" = { rewrite = "/nowhere" }
"#,
    );
    for (path, body) in [
        ("/u/42", "|/users|id=42|/u/42"),
        ("/u/42?a=b", "|/users|id=42&a=b|/u/42?a=b"),
        ("/short?x", "|/users|id=7&x|/short?x"),
        (
            "/search/a&b+c%26",
            "|/users|q=a%26b%2Bc%26|/search/a&b+c%26",
        ),
        ("/static/a.txt", "text"),
        ("/static/", "index"),
    ] {
        assert_eq!(server.get(path).text(), body, "{path}");
    }
    assert_eq!(server.get("/u/42").header("x-route"), Some("users"));
    assert_eq!(server.get("/none").status, 404);
    let mut connection = server.connect();
    connection.send("POST /u/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    assert_eq!(connection.response().text(), "|/users|id=1|/u/1");
}

#[test]
fn rewrites_without_end_are_a_500_and_a_line_in_the_log() {
    let server = site("'~ ^/a(.*)$' = { rewrite = \"/a$1$1x\" }\n\"/\" = { respond = 204 }\n");
    assert_eq!(server.get("/ab").status, 500);
    assert_eq!(server.get("/b").status, 204);
    server.wait_for_log("10 rewrites did not lead to an end");
}

#[test]
fn fixed_answers_have_status_and_text() {
    let server = site(
        r#"
"= /favicon.ico" = { respond = 204 }
"= /robots.txt" = { respond = "User-agent: *\n" }
"/v1" = { respond = "gone\n", status = 410, headers = { Content-Type = "text/x-old" } }
"/" = { respond = 404 }
"#,
    );
    let robots = server.get("/robots.txt");
    assert_eq!((robots.status, robots.text()), (200, "User-agent: *\n"));
    assert_eq!(
        robots.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(robots.header("content-length"), Some("14"));
    let old = server.get("/v1/x");
    assert_eq!((old.status, old.text()), (410, "gone\n"));
    assert_eq!(old.header("content-type"), Some("text/x-old"));
    assert_eq!(server.get("/x").text(), "404 Not Found\n");
    let icon = server.get("/favicon.ico");
    assert_eq!((icon.status, icon.header("content-length")), (204, None));
}

#[test]
fn a_file_answers_if_it_is_there_and_the_application_otherwise() {
    let server =
        site(r#""/" = { files = "dist", wsgi = true, index = "none.html", body_limit = "4B" }"#);
    assert_eq!(server.get("/a.txt").text(), "text");
    assert_eq!(server.get("/a.txt").header("etag").map(|_| ()), Some(()));
    for path in [
        "/", "/b.txt", "/img", "/img/", "/.hidden", "/a%2Fb", "/a.txt/",
    ] {
        let response = server.get(path);
        assert!(
            response.text().ends_with(&format!("|{path}")),
            "{path}: {}",
            response.text()
        );
    }
    let post = |body: &str| {
        let mut connection = server.connect();
        let len = body.len();
        connection.send(format!(
            "POST /a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: {len}\r\n\r\n{body}"
        ));
        connection.response()
    };
    assert_eq!(post("abc").text(), "|/a.txt||/a.txt");
    assert_eq!(post("abcde").status, 413);
}

#[test]
fn pages_need_no_extension_where_it_is_named() {
    let sites = "[[site]]\nlisten = [\"127.0.0.1:0\"]\n[site.routes]\n\
                 \"/\" = { files = \"out\", extensions = \".html\" }\n";
    let server = Project::with_sites(APPLICATION, "", sites)
        .file("out/index.html", "home")
        .file("out/about.html", "about")
        .file("out/about/team.html", "team")
        .file("out/posts/index.html", "posts")
        .file("out/both.html", "page")
        .file("out/both/index.html", "folder")
        .start();
    for (path, status, body) in [
        ("/", 200, "home"),
        ("/about", 200, "about"),
        ("/about.html", 200, "about"),
        ("/about/team", 200, "team"),
        ("/posts/", 200, "posts"),
        ("/posts", 301, ""),
        ("/both", 200, "page"),
        ("/both/", 200, "folder"),
        ("/none", 404, "404 Not Found\n"),
        ("/about/", 404, "404 Not Found\n"),
    ] {
        // Twice: from the disk and from memory.
        for _ in 0..2 {
            let response = server.get(path);
            assert_eq!((response.status, response.text()), (status, body), "{path}");
        }
    }
}

#[test]
fn sites_are_told_apart_by_name_wildcard_and_default() {
    let site = |names: &str, more: &str, body: &str| {
        format!(
            "[[site]]\nlisten = [\"127.0.0.1:0\"]\nserver_name = {names}\n{more}\n\
             routes.\"/\" = {{ respond = \"{body}\" }}\n"
        )
    };
    let sites = [
        site("[\"shop.example\"]", "", "exact"),
        site("[\"*.example\"]", "", "end"),
        site("[\"*.deep.example\"]", "", "longer end"),
        site("[\"www.*\"]", "", "beginning"),
        site("[\"www.shop.*\"]", "", "longer beginning"),
        site("[\".dotted.test\"]", "", "dotted"),
        site("[\"other.test\"]", "default = true", "default"),
    ];
    let server = Project::with_sites(APPLICATION, "", &sites.concat()).start();
    for (host, body) in [
        ("shop.example", "exact"),
        ("SHOP.example.:80", "exact"),
        ("a.example", "end"),
        ("a.b.Example", "end"),
        ("a.deep.example", "longer end"),
        ("deep.example", "end"),
        ("www.example", "end"),
        ("www.test", "beginning"),
        ("www.shop.test", "longer beginning"),
        ("dotted.test", "dotted"),
        ("a.b.dotted.test", "dotted"),
        ("xdotted.test", "default"),
        ("example", "default"),
        ("[::1]", "default"),
        ("other.test", "default"),
    ] {
        let mut connection = server.connect();
        connection.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(connection.response().text(), body, "{host}");
    }
}
