//! Several applications in the one interpreter, and applications that stand below a path.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::fs;

use serde_json::{Value, json};

use support::{Appliance, Load, Project};

/// `app.py` and the others tell who they are and what they were given; `shared` counts the calls of
/// all of them.
const SHARED: &str = r#"
import json
calls = []

def application(name):
    def application(environ, start_response):
        calls.append(name)
        start_response("200 OK", [("Content-Type", "application/json")])
        names = ("SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "REQUEST_URI")
        answer = {field: environ[field] for field in names}
        return [json.dumps({"name": name, "calls": calls, **answer}).encode()]
    return application
"#;

fn app(name: &str) -> String {
    format!("import shared\napplication = shared.application({name:?})\n")
}

fn project(routes: &str) -> Project {
    let sites = format!("[[site]]\nlisten = [\"127.0.0.1:0\"]\n[site.routes]\n{routes}");
    Project::with_sites(&app("main"), "", &sites)
        .file("shared.py", SHARED)
        .file("admin/__init__.py", "")
        .file("admin/wsgi.py", app("admin"))
        .file("blog.py", app("blog").replace("application =", "site ="))
        .file("dist/a.txt", "a file")
}

#[track_caller]
fn ask(site: &Appliance, path: &str) -> Value {
    let response = site.get(path);
    assert_eq!(response.status, 200, "{path}: {}", response.text());
    serde_json::from_slice(response.body()).unwrap()
}

/// Who answered, with SCRIPT_NAME and PATH_INFO.
#[track_caller]
fn told(site: &Appliance, path: &str) -> [String; 3] {
    let answer = ask(site, path);
    ["name", "SCRIPT_NAME", "PATH_INFO"].map(|key| answer[key].as_str().unwrap().to_owned())
}

const ROUTES: &str = r#"
"/" = { wsgi = true }
"/admin" = { wsgi = "admin.wsgi", mount = true }
"/blog/" = { wsgi = "blog:site", mount = true }
"/plain" = { wsgi = "blog:site" }
"= /one" = { wsgi = "blog:site" }
"/self" = { wsgi = true, mount = true }
"/a/b" = { wsgi = "admin.wsgi:application", mount = true }
"/Grüße" = { wsgi = true, mount = true }
"/files" = { files = "dist", wsgi = "admin.wsgi", mount = true }
"/old" = { rewrite = "/admin/new$rest" }
"#;

#[test]
fn a_mount_is_script_name_and_the_rest_path_info() {
    let site = project(ROUTES).start();
    for (path, name, script_name, path_info) in [
        ("/", "main", "", "/"),
        ("/administration", "main", "", "/administration"),
        ("/admin", "admin", "/admin", ""),
        ("/admin/", "admin", "/admin", "/"),
        ("/admin/x/y", "admin", "/admin", "/x/y"),
        ("/admin?q=/a", "admin", "/admin", ""),
        ("/blog/x", "blog", "/blog", "/x"),
        ("/blog/", "blog", "/blog", "/"),
        ("/plain/x", "blog", "", "/plain/x"),
        ("/one", "blog", "", "/one"),
        ("/self/x", "main", "/self", "/x"),
        ("/a/b/c", "admin", "/a/b", "/c"),
        ("/a/bc", "main", "", "/a/bc"),
        // Decoded once, byte for byte.
        ("/admin/a%2Fb%252F", "admin", "/admin", "/a/b%2F"),
        ("/admin%2Fx", "main", "", "/admin/x"),
        ("/admin//x//", "admin", "/admin", "//x//"),
        ("//admin/x", "admin", "/admin", "/x"),
        ("/%61dmin/%61", "admin", "/admin", "/a"),
        ("/x/../admin/./y", "admin", "/admin", "/./y"),
        ("/admin/../admin/y", "admin", "/admin", "/y"),
        ("/admin/%E9", "admin", "/admin", "/\u{e9}"),
        (
            "/Gr%c3%bc%C3%9Fe/%C3%BC",
            "main",
            "/Gr\u{c3}\u{bc}\u{c3}\u{9f}e",
            "/\u{c3}\u{bc}",
        ),
        ("/files/none", "admin", "/files", "/none"),
        ("/old/x", "admin", "/admin", "/new/x"),
    ] {
        assert_eq!(told(&site, path), [name, script_name, path_info], "{path}");
    }
    assert_eq!(site.get("/files/a.txt").text(), "a file");
    let response = site.get("/blog");
    assert_eq!(response.header("location"), Some("/blog/"));
    assert_eq!(ask(&site, "/old/x?a=b")["REQUEST_URI"], "/old/x?a=b");
    let calls = ask(&site, "/")["calls"].as_array().unwrap().len();
    assert!(calls > 24, "one interpreter runs them all: {calls}");
}

#[test]
fn a_project_may_have_no_application_but_those_of_its_routes() {
    let site = project("\"/\" = { wsgi = \"blog:site\", mount = true }");
    let toml = fs::read_to_string(site.path("project.toml")).unwrap();
    let toml = toml.replace("module = \"app\"\n", "warm_up = [\"/ready\"]\n");
    let site = site.file("project.toml", toml).start();
    assert_eq!(ask(&site, "/x")["calls"], json!(["blog", "blog"]));
    assert_eq!(told(&site, "/x"), ["blog", "", "/x"]);
}

#[test]
fn warm_up_asks_the_application_that_will_answer() {
    let project = project(ROUTES);
    let toml = fs::read_to_string(project.path("project.toml")).unwrap();
    let warm_up = "[python]\nwarm_up = [\"/admin/ready\", \"/x\", \"/blog/ready\"]";
    let toml = toml.replacen("[python]", warm_up, 1);
    let site = project.file("project.toml", toml).start();
    let expected = json!(["admin", "main", "blog", "main"]);
    assert_eq!(ask(&site, "/")["calls"], expected);
}

/// What a start says that an application cannot be imported for.
#[track_caller]
fn fails_to_start(wsgi: &str, blog: &str) -> String {
    let routes = format!("\"/\" = {{ wsgi = true }}\n\"/b\" = {{ wsgi = \"{wsgi}\" }}");
    let project = project(&routes).file("blog.py", blog);
    let finished = project.serve_in_vain();
    assert_eq!(finished.status, 3, "{}", finished.stderr);
    let line = fs::read_to_string(project.path("project.toml")).unwrap();
    let line = line
        .lines()
        .position(|line| line.starts_with("\"/b\""))
        .unwrap()
        + 1;
    let folder = format!("{}/", project.path("").display());
    let message = finished.message().replace(&folder.replace("//", "/"), "");
    // Newer Pythons underline what has raised.
    let is_text = |line: &&str| line.is_empty() || line.contains(|c| !" ~^".contains(c));
    let lines = message.lines().filter(is_text);
    let message = lines.fold(String::new(), |text, line| text + line + "\n");
    message.replace(&format!("project.toml:{line}:"), "project.toml:LINE:")
}

#[test]
fn an_application_that_cannot_be_imported_is_shown_with_its_routes_line() {
    assert_eq!(
        fails_to_start("blgo:site", ""),
        "error: cannot import `blgo:site`: no module named `blgo`\n \
         --> project.toml:LINE: site.0.routes.\"/b\".wsgi = \"blgo:site\"\n\
         hint: `python.chdir` is the folder which holds `blgo`\n"
    );
    assert_eq!(
        fails_to_start("blog", "app = print"),
        "error: module `blog` has no `application` (AttributeError: module 'blog' has no attribute 'application')\n \
         --> project.toml:LINE: site.0.routes.\"/b\".wsgi = \"blog:application\"\n\
         hint: it has a callable `app`: write `wsgi = \"blog:app\"`\n"
    );
    assert_eq!(
        fails_to_start("blog:site", "site = 3"),
        "error: `blog:site` is a `int`, which cannot be called\n \
         --> project.toml:LINE: site.0.routes.\"/b\".wsgi = \"blog:site\"\n\
         hint: `wsgi` names a WSGI callable: `package.module:callable`\n"
    );
    let raises = fails_to_start("blog:site", "import shared\n1 / 0\n");
    assert_eq!(
        raises,
        "Traceback (most recent call last):\n  \
         File \"blog.py\", line 2, in <module>\n    \
         1 / 0\n\
         ZeroDivisionError: division by zero\n\
         error: cannot import `blog:site`: ZeroDivisionError: division by zero\n \
         --> project.toml:LINE: site.0.routes.\"/b\".wsgi = \"blog:site\"\n"
    );
}

#[test]
fn a_reload_takes_new_applications_or_none_at_all() {
    let site = project(ROUTES).start();
    let load = Load::start(site.address(), &[("/files/a.txt", "a file")]);
    fs::write(folder(&site, "blog.py"), "raise ValueError('broken')").unwrap();
    site.signal(libc::SIGHUP);
    site.wait_for_log("cannot import `blog:site`: ValueError: broken");
    assert_eq!(told(&site, "/blog/x"), ["blog", "/blog", "/x"]);
    let renamed = app("another blog").replace("application =", "site =");
    fs::write(folder(&site, "blog.py"), renamed).unwrap();
    site.signal(libc::SIGHUP);
    site.wait_for_log("reloaded generation=");
    assert_eq!(told(&site, "/blog/x"), ["another blog", "/blog", "/x"]);
    let counted = load.stop();
    assert!(counted.failed.is_empty(), "{counted:?}");
}

fn folder(site: &Appliance, name: &str) -> std::path::PathBuf {
    let cwd = fs::read_link(format!("/proc/{}/cwd", site.pid())).unwrap();
    cwd.join(name)
}

const DJANGO: &str = r#"
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import path, reverse

settings.configure(ALLOWED_HOSTS=["*"], SECRET_KEY="only for tests", ROOT_URLCONF=__name__,
                   MIDDLEWARE=["django.middleware.common.CommonMiddleware"], LOGGING_CONFIG=None)

def links(request, name):
    return HttpResponse("%s %s %s" % (reverse("links", args=["ü/"]), request.path,
                                      request.build_absolute_uri()))

urlpatterns = [
    path("go/", lambda request: HttpResponseRedirect(reverse("links", args=["x"]))),
    path("<path:name>", links, name="links"),
]
application = get_wsgi_application()
"#;

const FLASK: &str = r#"
from flask import Flask, request, url_for
application = Flask(__name__)

@application.get("/<path:name>")
def links(name):
    return "%s %s %s" % (url_for("links", name="ü/"), request.path, request.url)

@application.get("/folder/")
def folder():
    return "folder"
"#;

#[test]
fn django_and_flask_build_urls_below_their_mounts() {
    let sites = "[[site]]\nlisten = [\"127.0.0.1:0\"]\n[site.routes]\n\
                 \"/flask\" = { wsgi = \"flask_site\", mount = true }\n\
                 \"/a/django\" = { wsgi = true, mount = true }\n";
    let site = Project::with_sites(DJANGO, "", sites)
        .file("flask_site.py", FLASK)
        .start();
    let host = site.address();
    for (path, expected) in [
        (
            "/flask/x",
            format!("/flask/%C3%BC/ /x http://{host}/flask/x"),
        ),
        (
            "/a/django/x",
            format!("/a/django/%C3%BC/ /a/django/x http://{host}/a/django/x"),
        ),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n");
        let mut connection = site.connect();
        connection.send(request);
        assert_eq!(connection.response().text(), expected);
    }
    let redirected = |path| site.get(path).header("location").map(str::to_owned);
    assert_eq!(redirected("/a/django/go/").as_deref(), Some("/a/django/x"));
    let folder = redirected("/flask/folder").unwrap();
    assert!(folder.ends_with("/flask/folder/"), "{folder}");
}
