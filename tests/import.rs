//! `appliance import` over the real binary: what it makes of nginx.conf and uwsgi.ini serves the
//! site, and what it cannot read it refuses with a place.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::{Appliance, Finished, Project, test_virtualenv};

/// A front on one port and, behind another one, an application with an admin and static files whose
/// `root` should be an `alias`: as a widespread tutorial has it.
const NGINX: &str = r#"
worker_processes 2;
error_log logs/error.log notice;
events { use epoll; worker_connections 2048; }
http {
    include mime.types;
    log_format short '$remote_addr "$request" '
                     '$status';
    access_log logs/access.log short;
    client_max_body_size 30M;
    client_body_temp_path {root}/spool/bodies;
    large_client_header_buffers 4 16k;
    keepalive_timeout 45;
    sendfile on;
    client_header_timeout 15;
    server {
        listen 18080 default_server;
        server_name shop.test;
        charset utf-8;
        location / {
            root {root}/front;
            index index.html;
            try_files $uri $uri/ /index.html;
        }
        error_page 500 502 /oops.html;
        location = /oops.html { root html; }
    }
    server {
        listen 18081;
        server_name shop.test;
        location ^~ /admin/ { include uwsgi_params; uwsgi_pass 127.0.0.1:3031; }
        location /static/ { root {root}/collected_static; }
        location /api { include uwsgi_params; uwsgi_pass 127.0.0.1:3031; }
    }
}
"#;

const UWSGI: &str = "[uwsgi]
base = {root}
chdir = %(base)/backend
module = shop.wsgi
{virtualenv}
master = true
processes = 1
threads = 2
socket = 127.0.0.1:3031
vacuum = true
disable-logging = true
pidfile = {root}/shop.pid
buffer-size = 65535
max-requests = 4000
harakiri = 30
";

const APPLICATION: &str = "def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [('application: ' + environ['PATH_INFO']).encode()]
";

/// A folder with that site and its two configurations.
fn shop() -> Project {
    let project = Project::new("")
        .file("front/index.html", "<!doctype html>the front")
        .file("front/app.js", "run()")
        .file("html/oops.html", "<h1>oops</h1>")
        .file("collected_static/site.css", "a {}")
        .file("backend/shop/__init__.py", "")
        .file("backend/shop/wsgi.py", APPLICATION)
        .file("spool/keep", "")
        .file("logs/keep", "");
    fs::remove_file(project.path("project.toml")).unwrap();
    let root = project.path("").display().to_string();
    let root = root.trim_end_matches('/');
    let virtualenv = test_virtualenv().map(|folder| format!("virtualenv = {}", folder.display()));
    let uwsgi = UWSGI.replace("{root}", root);
    let uwsgi = uwsgi.replace("{virtualenv}", &virtualenv.unwrap_or_default());
    project
        .file("nginx.conf", NGINX.replace("{root}", root))
        .file("uwsgi.ini", uwsgi)
}

/// `appliance import` in this folder.
fn import(folder: &Path, arguments: &[&str]) -> Finished {
    let mut command = Command::new(env!("CARGO_BIN_EXE_appliance"));
    command.arg("import").args(arguments).current_dir(folder);
    Finished::of(command)
}

#[test]
fn the_tutorials_site_is_served_from_what_is_imported() {
    let project = shop();
    let folder = project.path("");
    let done = import(
        &folder,
        &["nginx.conf", "uwsgi.ini", "--output", "project.toml"],
    );
    assert_eq!(done.status, 0, "{}", done.stderr);
    assert!(
        done.stderr.contains("`root` where `alias` was meant"),
        "{}",
        done.stderr
    );
    assert!(!done.stderr.contains("warning"), "{}", done.stderr);

    let mut command = project.command("serve");
    // Two addresses, since both sites are to answer any name; a log that is read here.
    for setting in [
        "site.0.listen=127.0.0.1:0",
        "site.1.listen=127.0.0.2:0",
        "server.log=stderr",
    ] {
        command.args(["--set", setting]);
    }
    command.args([
        "--set",
        "site.0.server_name=[]",
        "--set",
        "site.1.server_name=[]",
    ]);
    let mut site = Appliance::spawn(project, command);
    site.wait_until_ready();
    let [front, back] = site.addresses() else {
        panic!("{:?}", site.addresses());
    };
    let get = |address, path: &str| support::Connection::open(address).get(path);
    assert_eq!(get(*front, "/").body(), b"<!doctype html>the front");
    assert_eq!(
        get(*front, "/deep/link").body(),
        b"<!doctype html>the front"
    );
    assert_eq!(get(*front, "/missing.js").status, 404);
    assert_eq!(get(*back, "/api/notes").body(), b"application: /api/notes");
    assert_eq!(get(*back, "/admin/x").body(), b"application: /admin/x");
    // Under nginx this was a 404: the trap of the tutorial.
    assert_eq!(get(*back, "/static/site.css").body(), b"a {}");
    assert_eq!(site.stop(), 0);
}

#[test]
fn every_setting_arrives_where_it_belongs() {
    let project = shop();
    let done = import(&project.path(""), &["uwsgi.ini", "nginx.conf"]);
    let text: Vec<_> = done
        .stdout
        .lines()
        .map(|line| {
            let setting = line.split("  #").next().unwrap_or_default();
            setting.trim_end().replace(
                project.path("").to_str().unwrap().trim_end_matches('/'),
                "ROOT",
            )
        })
        .collect();
    for expected in [
        "chdir = \"ROOT/backend\"",
        "module = \"shop.wsgi\"",
        "threads = 2",
        "max_requests = 4000",
        "request_timeout = \"30s\"",
        "pidfile = \"ROOT/shop.pid\"",
        "log = \"ROOT/logs/error.log\"",
        "spool = \"ROOT/spool\"",
        "connections = 2048",
        "head_limit = \"65535B\"",
        "head_timeout = \"15s\"",
        "keep_alive_timeout = \"45s\"",
        "body_limit = \"30MB\"",
        "error_pages = { 500 = \"ROOT/html/oops.html\", 502 = \"ROOT/html/oops.html\" }",
        "listen = \"0.0.0.0:18080\"",
        "server_name = \"shop.test\"",
        "\"/\" = { files = \"ROOT/front\", fallback = \"/index.html\" }",
        "\"/admin/\" = { wsgi = true }",
        "\"/static/\" = { files = \"ROOT/collected_static\" }",
    ] {
        assert!(
            text.iter().any(|line| line == expected),
            "{expected}\n{}",
            done.stdout
        );
    }
}

#[test]
fn every_directive_has_a_line_in_the_report() {
    let project = shop();
    let done = import(&project.path(""), &["nginx.conf", "uwsgi.ini"]);
    for (name, text) in [("nginx.conf", NGINX), ("uwsgi.ini", UWSGI)] {
        for (number, line) in text.lines().enumerate() {
            let is_directive = line.trim_end().ends_with([';', '{']) || line.contains(" = ");
            // A word that goes on from the line before.
            if is_directive && !line.trim().starts_with('\'') {
                let place = format!("{name}:{}:", number + 1);
                assert!(
                    done.stderr.contains(&place),
                    "{place} {line}\n{}",
                    done.stderr
                );
            }
        }
    }
}

#[test]
fn a_project_file_that_is_there_stays() {
    let project = shop().file("project.toml", "mine");
    let folder = project.path("");
    let arguments = ["nginx.conf", "uwsgi.ini", "-o", "project.toml"];
    let refused = import(&folder, &arguments);
    assert_eq!(refused.status, 1);
    assert_eq!(
        refused.stderr,
        "error: `project.toml` is there already: `--force` replaces it, `--output` takes another name\n"
    );
    assert_eq!(
        fs::read_to_string(project.path("project.toml")).unwrap(),
        "mine"
    );
    let forced = import(&folder, &[&arguments[..], &["--force"]].concat());
    assert_eq!(forced.status, 0, "{}", forced.stderr);
    let checked = Finished::of(project.command("check"));
    assert_eq!(checked.status, 0, "{}", checked.stderr);
}

#[test]
fn paths_of_another_machine_are_named_and_no_failure() {
    let project = shop().file(
        "elsewhere.conf",
        "server { listen 80; root /srv/elsewhere/front; }",
    );
    let done = import(&project.path(""), &["elsewhere.conf"]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    let expected = "warning: not on this machine: `/srv/elsewhere/front`\n";
    assert!(done.stderr.ends_with(expected), "{}", done.stderr);
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place() {
    let project = shop()
        .file("broken.conf", "http {\n  server {\n    listen 80\n  }\n}\n")
        .file("loop.conf", "include loop.conf;\n")
        .file("binary.conf", b"\x7fELF\x01\x02")
        .file("huge.conf", vec![b'#'; 5 << 20])
        .file("empty.ini", "\n")
        .file("broken.json", "{\"listeners\": [}");
    let folder = project.path("");
    let made = Command::new("mkfifo")
        .arg(project.path("pipe.conf"))
        .status();
    assert!(made.unwrap().success());
    for (file, expected) in [
        (
            "broken.conf",
            "error: broken.conf:3:5: this directive does not end\n  |\n3 |     listen 80\n  |     ^^^^^^^^^\n  |\n  = help: a `;` is missing\n",
        ),
        (
            "loop.conf",
            "error: loop.conf:1:1: this file includes itself\n",
        ),
        (
            "binary.conf",
            "error: `binary.conf` is not text: it holds the byte 0x7f\n",
        ),
        ("huge.conf", "error: `huge.conf` is larger than 4 MB\n"),
        ("empty.ini", "error: `empty.ini` holds no setting\n"),
        (
            "broken.json",
            "error: broken.json:1:16: expected a value, found `}`\n",
        ),
        (
            "gone.conf",
            "error: cannot read `gone.conf`: there is no such file\n",
        ),
        (
            "front",
            "error: cannot read `front`: it is a folder; name the files in it\n",
        ),
        (
            "/dev/zero",
            "error: cannot read `/dev/zero`: not a regular file\n",
        ),
        // Nobody writes to it, and nobody waits for that.
        (
            "pipe.conf",
            "error: cannot read `pipe.conf`: not a regular file\n",
        ),
    ] {
        let refused = import(&folder, &[file]);
        assert_eq!(refused.status, 1, "{file}");
        assert!(
            refused.stderr.starts_with(expected),
            "{file}: {}",
            refused.stderr
        );
        assert_eq!(refused.stdout, "", "{file}");
    }
}

#[test]
fn an_application_that_nobody_names_is_asked_for() {
    let project = shop().file(
        "alone.conf",
        "server { listen 80; location / { uwsgi_pass 127.0.0.1:3031; } }",
    );
    let done = import(&project.path(""), &["alone.conf"]);
    assert_eq!(done.status, 1);
    assert!(
        done.stderr
            .contains("warning: `python.module` is missing: name uwsgi.ini"),
        "{}",
        done.stderr
    );
}
