//! What is made of responses: fields, pages for errors, compression, how long files are kept.

use std::path::PathBuf;

use appliance_project::Sources;

use crate::disk::tests::Memory;

/// What lies on the machine.
const PAGES: [&str; 4] = [
    "/usr/share/html/50x.html",
    "/srv/404.html",
    "/srv/e/no.html",
    "/srv/own/404.html",
];

/// The lines of a site and its routes, and the report.
fn import(http: &str, server: &str) -> (Vec<String>, String) {
    let text = format!("{http} server {{ listen 80; root /srv; {server} }}");
    let mut files = vec![("/c/nginx.conf", text.as_str())];
    files.extend(PAGES.map(|page| (page, "")));
    let disk = Memory::with(&files);
    let imported = crate::import(&[PathBuf::from("/c/nginx.conf")], &disk).unwrap();
    let sources = Sources {
        file: "/project.toml".into(),
        ..Sources::default()
    };
    if let Err(report) = appliance_project::load_text(&sources, imported.project.clone()) {
        // The application itself is not what this is about.
        let text = report.to_string();
        let without = text.matches("needs `python.module`").count();
        assert_eq!(report.errors_besides_missing(), without, "{report}");
    }
    let setting = |line: &str| {
        line.split("  # ")
            .next()
            .unwrap_or_default()
            .trim_end()
            .to_owned()
    };
    let lines = imported.project.lines().map(setting).collect();
    (lines, imported.report)
}

/// Whether these are lines of the project, or its report says so.
fn expect(http: &str, server: &str, settings: &[&str], said: &[&str]) {
    let (lines, report) = import(http, server);
    for setting in settings {
        let found = lines.iter().any(|line| line == setting);
        assert!(found, "{setting}\nin {lines:#?}\n{report}");
    }
    for words in said {
        assert!(report.contains(words), "{words}\nin {report}");
    }
}

#[test]
fn fields_are_carried_over() {
    expect(
        "add_header X-A a always;",
        "location /a/ { add_header Link '</x>; rel=preload'; add_header Set-Cookie a=b; add_header X-B ''; \
         add_header Content-Length 3; add_header X-C $host; }
         location /b/ { proxy_pass http://app; proxy_hide_header X-Powered-By; add_header Cache-Control 'no-store'; }
         location /c/ { proxy_hide_header X-D; add_header X-D d; }",
        &[
            "headers = { X-A = \"a\" }",
            "\"/a/\" = { files = \"/srv/a\", headers = { Link = { add = \"</x>; rel=preload\" }, Set-Cookie = { add = \"a=b\" } } }",
            "\"/b/\" = { wsgi = true, headers = { X-Powered-By = false, Cache-Control = \"no-store\" } }",
            "\"/c/\" = { files = \"/srv/c\", headers = { X-D = \"d\" } }",
        ],
        &[
            "an empty field is not sent",
            "`headers` takes no such field",
            "a field has one value",
        ],
    );
}

#[test]
fn pages_for_errors_are_found_where_their_locations_have_them() {
    expect(
        "error_page 404 /404.html;",
        "error_page 500 502 /50x.html; error_page 403 /errors/no.html; uwsgi_intercept_errors on;
         location = /50x.html { root /usr/share/html; internal; }
         location /errors/ { alias /srv/e/; }
         location /app/ { error_page 404 /app/none; proxy_pass http://app; }
         location /own/ { error_page 404 /own/404.html; }",
        &[
            "error_pages = { 500 = \"/usr/share/html/50x.html\", 502 = \"/usr/share/html/50x.html\", 403 = \"/srv/e/no.html\" }",
            "intercept = true",
            "\"/app/\" = { wsgi = true }",
            "\"/own/\" = { files = \"/srv/own\", error_pages = { 404 = \"/srv/own/404.html\" } }",
        ],
        &[
            "`error_pages`, \"/usr/share/html/50x.html\"",
            "no server has it",
            "was answered by the application; here a page is a file",
        ],
    );
    expect(
        "error_page 404 /404.html;",
        "",
        &["error_pages = { 404 = \"/srv/404.html\" }"],
        &[],
    );
    for (server, said) in [
        (
            "error_page 404 =200 /index.html;",
            "an error keeps its status",
        ),
        ("error_page 404 @app;", "`@app` is no file: a page is one"),
        (
            "error_page 404 /gone.html;",
            "there is no file `/srv/gone.html` here",
        ),
        (
            "error_page 497 /x.html;",
            "none of an error that clients see",
        ),
        (
            "uwsgi_intercept_errors on;",
            "there are no pages to send in the place of the application's",
        ),
        (
            "location / { if (-f $document_root/down.html) { return 503; } }",
            "`appliance maintenance on` does it",
        ),
    ] {
        expect("", server, &[], &[said]);
        let (lines, _) = import("", server);
        let mut keys = lines.iter().filter(|line| !line.starts_with('#'));
        assert!(
            !keys.any(|line| line.contains("error_pages") || line.contains("intercept")),
            "{lines:#?}"
        );
    }
}

#[test]
fn compression_is_carried_over_and_left_off() {
    expect(
        "gzip on; gzip_types text/css; brotli off;",
        "location /a/ { gzip off; } location /b/ { }",
        &[
            "compress = true",
            "\"/a/\" = { files = \"/srv/a\", compress = false }",
            "\"/b/\" = { files = \"/srv/b\" }",
        ],
        &[
            "see SECURITY.md",
            "a list in `compress` names the types itself",
        ],
    );
    let (lines, _) = import("gzip on;", "gzip off; location /a/ { gzip off; }");
    assert!(
        !lines.iter().any(|line| line.contains("compress")),
        "{lines:#?}"
    );
}

#[test]
fn files_are_kept_as_long_as_nginx_said() {
    for (location, expected) in [
        ("expires 7d;", "cache = { \"/\" = \"7d\" }"),
        ("expires 1h;", "cache = { \"/\" = \"1h\" }"),
        ("expires max;", "immutable = \"all\""),
        ("expires 365d;", "immutable = \"all\""),
        ("expires -1;", "immutable = \"never\""),
        (
            "expires 7d; add_header Cache-Control \"public, no-transform\";",
            "cache = { \"/\" = \"public, max-age=604800, no-transform\" }",
        ),
        (
            "add_header Cache-Control private; expires 7d;",
            "cache = { \"/\" = \"max-age=604800, private\" }",
        ),
        (
            "expires 1y; add_header Cache-Control public;",
            "immutable = \"all\"",
        ),
        (
            "add_header Cache-Control \"max-age=31536000, immutable\";",
            "immutable = \"all\"",
        ),
        (
            "add_header Cache-Control \"no-cache\";",
            "cache = { \"/\" = \"no-cache\" }",
        ),
        (
            "expires -1; add_header Cache-Control \"no-store, no-cache\";",
            "cache = { \"/\" = \"no-cache, no-store\" }",
        ),
        (
            "charset off; types { application/x-own own; text/x-a a aa; }",
            "charset = false, types = { \".own\" = \"application/x-own\", \".a\" = \"text/x-a\", \".aa\" = \"text/x-a\" }",
        ),
    ] {
        let (lines, report) = import("", &format!("location /a/ {{ {location} }}"));
        let route = lines.iter().find(|line| line.starts_with("\"/a/\""));
        assert!(
            route.is_some_and(|route| route.contains(expected)),
            "{location}: {expected}\nin {lines:#?}\n{report}"
        );
    }
    // Of the level around it, unless the location says otherwise, and never of the application.
    expect(
        "expires 1d;",
        "location /a/ { } location /b/ { expires 2d; } location /c/ { proxy_pass http://app; expires 3d; }",
        &[
            "\"/a/\" = { files = \"/srv/a\", cache = { \"/\" = \"1d\" } }",
            "\"/b/\" = { files = \"/srv/b\", cache = { \"/\" = \"2d\" } }",
            "\"/c/\" = { wsgi = true }",
        ],
        &["the application says how long its responses may be kept"],
    );
}

#[test]
fn files_of_some_extensions_are_patterns_of_the_site() {
    expect(
        "",
        "location ~* \\.(?:jpe?g|ico)$ { expires 30d; access_log off; }
         location ~* \\.(css)$ { expires 7d; add_header Cache-Control public; }
         location ~* \\.(woff)$ { expires max; }
         location ~* \\.(pdf)$ { expires 7d; add_header X-A b; }",
        &[
            "cache = { \"*.jpg\" = \"30d\", \"*.jpeg\" = \"30d\", \"*.ico\" = \"30d\", \"*.css\" = \"public, max-age=604800\" }",
        ],
        &[
            "`cache` of the site: \"30d\" for `*.jpg`, `*.jpeg`, `*.ico`",
            "files with a hash in their name",
        ],
    );
}
