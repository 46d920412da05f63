//! The article's nginx.conf under a real nginx, and what `appliance import` makes of it under appliance:
//! the same requests to both. Where an answer differs, the table says why ours is better;
//! docs/import.md says it to users.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "beside_nginx/requests.rs"]
mod requests;
mod support;

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use requests::{BACK, Case, FRONT, Says};
use support::{Appliance, Connection, Finished, Nginx, Project, Response, test_virtualenv};

/// The article's uwsgi.ini.
const UWSGI: &str = include_str!("article/uwsgi.ini");

const APPLICATION: &str = "def application(environ, start_response):
    if environ['PATH_INFO'] == '/api/raises':
        raise ValueError('as asked')
    start_response('200 OK', [('Content-Type', 'text/plain')])
    body = environ['wsgi.input'].read().decode()
    return [f\"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} {environ['QUERY_STRING']} {body}\".encode()]
";

/// Files of the front, and of the application.
const FILES: [(&str, &str); 18] = [
    ("dist/index.html", "<!doctype html>the front"),
    ("dist/assets/app.4f2a9c1e.js", "run()"),
    ("dist/assets/style.css", "a {}"),
    ("dist/assets/data.json", "{}"),
    ("dist/assets/module.mjs", "export {}"),
    ("dist/assets/icon.svg", "<svg/>"),
    ("dist/assets/font.woff2", "font"),
    ("dist/assets/film.mp4", "0123456789"),
    ("dist/assets/notes.txt", "notes"),
    ("dist/assets/unknown.zzz", "?"),
    ("dist/app.webmanifest", "{}"),
    ("dist/docs/index.html", "<!doctype html>the manual"),
    ("dist/empty/file.txt", "in a folder without an index"),
    ("dist/.env", "SECRET=1"),
    ("dist/.well-known/security.txt", "Contact: a"),
    ("dist/with space.txt", "with a space"),
    ("django_static/site.css", "b {}"),
    ("html/50x.html", "<!doctype html>an error"),
];

/// The article's site in a folder, under both.
struct Both {
    appliance: Appliance,
    nginx: Nginx,
}

impl Both {
    fn start() -> Both {
        let project = FILES
            .iter()
            .fold(Project::new(""), |project, (name, text)| {
                project.file(name, text)
            })
            .file("backma/config/__init__.py", "")
            .file("backma/config/wsgi.py", APPLICATION);
        fs::remove_file(project.path("project.toml")).unwrap();
        let appliance = imported(project);
        let folder = appliance.project.path("");
        let folder = folder.to_str().unwrap().trim_end_matches('/').to_owned();
        let log = appliance.log();
        let told = log.split("listening on uwsgi://").nth(1).unwrap();
        let uwsgi = told.lines().next().unwrap().trim();
        let nginx = Nginx::of_the_article(folder.as_ref(), uwsgi, "");
        nginx.add_page("50x.html", "<!doctype html>an error");
        Both { appliance, nginx }
    }

    fn ask(&self, is_front: bool, case: &Case) -> [Response; 2] {
        let ours = self.appliance.addresses();
        let addresses = match is_front {
            true => [ours[0], self.nginx.site],
            false => [ours[1], self.nginx.backend],
        };
        addresses.map(|address| ask(address, case.line, case.fields, case.body))
    }
}

/// What the importer makes of the article's two files, in which is replaced what a test has to
/// replace: the folder, the virtualenv and, since it is to stay in the foreground, `daemonize` and
/// `pidfile`. Then each site gets an address of its own for any name, the second one also one for nginx.
fn imported(project: Project) -> Appliance {
    let folder = project.path("").display().to_string();
    let folder = folder.trim_end_matches('/');
    let of_folder = |text: &str| text.replace("/home/user/maproject", folder);
    let kept = UWSGI
        .lines()
        .filter(|line| {
            !["daemonize", "pidfile", "virtualenv"]
                .iter()
                .any(|key| line.starts_with(key))
        })
        .chain(test_virtualenv().map(|_| "virtualenv = VIRTUALENV"))
        .collect::<Vec<_>>()
        .join("\n");
    let virtualenv = test_virtualenv().unwrap_or_default().display().to_string();
    let project = project
        .file(
            "uwsgi.ini",
            of_folder(&kept).replace("VIRTUALENV", &virtualenv),
        )
        .file("nginx.conf", of_folder(support::ARTICLE));
    let mut import = Command::new(env!("CARGO_BIN_EXE_appliance"));
    import
        .args([
            "import",
            "nginx.conf",
            "uwsgi.ini",
            "--output",
            "project.toml",
        ])
        .current_dir(project.path(""));
    let done = Finished::of(import);
    assert_eq!(done.status, 0, "{}", done.stderr);
    let written = fs::read_to_string(project.path("project.toml")).unwrap();
    assert!(
        !written.contains("uwsgi://") && !written.contains(":8080\""),
        "no inner socket: {written}"
    );
    let mut serve = project.command("serve");
    for set in [
        "site.0.listen=127.0.0.1:0",
        "site.1.listen=[\"127.0.0.2:0\", \"uwsgi://127.0.0.3:0\"]",
        "site.0.server_name=[]",
        "site.1.server_name=[]",
        "server.user=root",
        "server.log=stderr",
        "python.processes=1",
    ] {
        serve.args(["--set", set]);
    }
    let mut site = Appliance::spawn(project, serve);
    site.wait_until_ready();
    site
}

fn ask(address: SocketAddr, line: &str, fields: &str, body: &str) -> Response {
    let mut connection = Connection::open(address);
    connection.send(format!(
        "{line} HTTP/1.1\r\nHost: 192.168.2.101\r\nConnection: close\r\n{fields}\r\n{body}"
    ));
    connection.response()
}

/// What counts of a response. The pages that both have for errors are each one's own.
fn seen(response: &Response) -> String {
    let field = |name| response.header(name).unwrap_or("-").to_owned();
    let status = response.status;
    let body = match status {
        200 | 206 => response.text(),
        _ => "",
    };
    let kind = match status {
        200 | 206 => field("content-type").to_lowercase(),
        _ => String::new(),
    };
    let location = field("location");
    let location = match location.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]).to_owned(),
        None => location,
    };
    let length = match response.status {
        200 | 206 => field("content-length"),
        _ => String::new(),
    };
    let range = field("content-range");
    format!("{status} type={kind} length={length} location={location} range={range} body={body}")
}

/// Compares a table's answers. Every difference has its reason, and every reason a difference.
fn compare(both: &Both, is_front: bool, cases: &[Case]) -> Vec<String> {
    let mut wrong = Vec::new();
    for case in cases {
        let answers = both.ask(is_front, case);
        let [ours, theirs] = answers.each_ref().map(seen);
        match &case.says {
            Says::Same if ours == theirs => {}
            Says::Better {
                ours: status,
                theirs: other,
                because,
            } if answers[0].status == *status && answers[1].status == *other && ours != theirs => {
                assert!(!because.is_empty());
            }
            _ => wrong.push(format!(
                "{} {:?}\n  ours:   {ours}\n  theirs: {theirs}",
                case.line, case.fields
            )),
        }
    }
    wrong
}

#[test]
fn the_articles_site_answers_as_under_nginx_or_better() {
    let both = Both::start();
    let mut wrong = compare(&both, true, FRONT);
    wrong.extend(compare(&both, false, BACK));
    assert!(
        wrong.is_empty(),
        "{} differences:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Each is asked with what it has said itself: what a tag looks like is its own affair.
#[test]
fn validators_and_ranges_work_as_under_nginx() {
    let both = Both::start();
    for path in ["/", "/assets/film.mp4", "/assets/style.css"] {
        let statuses = |address: SocketAddr| {
            let whole = ask(address, &format!("GET {path}"), "", "");
            let (tag, date) = (whole.header("etag"), whole.header("last-modified"));
            let (tag, date) = (tag.unwrap().to_owned(), date.unwrap().to_owned());
            let long_ago = "Thu, 01 Jan 1970 00:00:00 GMT";
            [
                format!("If-None-Match: {tag}\r\n"),
                format!("If-None-Match: W/{}\r\n", tag.trim_start_matches("W/")),
                "If-None-Match: \"other\"\r\n".to_owned(),
                format!("If-None-Match: \"other\", {tag}\r\n"),
                "If-None-Match: *\r\n".to_owned(),
                format!("If-Modified-Since: {date}\r\n"),
                format!("If-Modified-Since: {long_ago}\r\n"),
                format!("If-None-Match: \"other\"\r\nIf-Modified-Since: {date}\r\n"),
                format!("If-Unmodified-Since: {long_ago}\r\n"),
                format!("If-Match: {tag}\r\n"),
                "If-Match: \"other\"\r\n".to_owned(),
                "Range: bytes=0-3\r\n".to_owned(),
                "Range: bytes=2-\r\n".to_owned(),
                "Range: bytes=-2\r\n".to_owned(),
                "Range: bytes=100-\r\n".to_owned(),
                format!("Range: bytes=0-3\r\nIf-Range: {tag}\r\n"),
                "Range: bytes=0-3\r\nIf-Range: \"other\"\r\n".to_owned(),
                format!("Range: bytes=0-3\r\nIf-Range: {date}\r\n"),
            ]
            .map(|fields| {
                let response = ask(address, &format!("GET {path}"), &fields, "");
                let fields = fields.replace(&tag, "TAG").replace(&date, "DATE");
                let tag = fields
                    .contains("W/")
                    .then(|| fields.replace(&tag.replace("W/", ""), "TAG"));
                let range = response.header("content-range").unwrap_or("-").to_owned();
                (
                    tag.unwrap_or(fields),
                    response.status,
                    range,
                    response.text().to_owned(),
                )
            })
        };
        let ours = statuses(both.appliance.address());
        let theirs = statuses(both.nginx.site);
        for (ours, theirs) in ours.iter().zip(&theirs) {
            let page = |status: &u16| matches!(status, 200 | 206);
            assert_eq!(
                (ours.1, &ours.2),
                (theirs.1, &theirs.2),
                "{path} {}",
                ours.0
            );
            assert!(
                !page(&ours.1) || ours.3 == theirs.3,
                "{path} {}: {ours:?} {theirs:?}",
                ours.0
            );
        }
    }
}
