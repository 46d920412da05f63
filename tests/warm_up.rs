//! `python.warm_up`: a worker that cannot answer never serves.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::fs;

use support::{Finished, Load, Project, eventually};

/// What `behaviour` says: the file is read anew by each worker's first request.
const APP: &str = r#"
import os, re, time

seen = []

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/seen":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return ["\n".join(seen).encode()]
    fields = "HTTP_HOST", "REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "REMOTE_ADDR"
    seen.append(" ".join(environ[field] for field in fields))
    behaviour = "well"
    if os.path.exists("behaviour"):
        with open("behaviour") as file:
            behaviour = file.read()
    if behaviour == "raises":
        raise ValueError("no database")
    if behaviour == "sleeps":
        time.sleep(30)
    if behaviour == "keeps the GIL":
        re.match("(a+)+$", "a" * 60 + "b")
    if behaviour == "is cut":
        def broken():
            yield b"x"
            raise ValueError("in the middle")
        start_response("200 OK", [])
        return broken()
    if behaviour == "goes on":
        start_response("200 OK", [])
        return iter(lambda: time.sleep(0.1) or b"x", None)
    status = {"fails": "500 Internal Server Error", "refuses": "404 Not Found"}
    start_response(status.get(behaviour, "200 OK"), [("Content-Type", "text/plain")])
    return [b"hello"]
"#;

const PATHS: &str = "warm_up = [\"/first?a=1\", \"/second\"]";

fn project(python: &str) -> Project {
    Project::wsgi_with(&format!("{PATHS}\n{python}"), APP)
}

#[track_caller]
fn behave(project: &Project, behaviour: &str) {
    fs::write(project.path("behaviour"), behaviour).unwrap();
}

#[test]
fn every_path_is_asked_before_the_first_client() {
    let site = project("").start();
    let expected = "localhost GET /first a=1 127.0.0.1\nlocalhost GET /second  127.0.0.1";
    assert_eq!(site.get("/seen").text(), expected);
    // So it is with every worker that comes.
    site.signal_worker(site.workers()[0], libc::SIGKILL);
    eventually("the next worker", || {
        (site.workers().len() == 1).then_some(())
    });
    assert_eq!(site.get("/seen").text(), expected);
}

#[test]
fn the_host_is_that_of_the_site() {
    let sites = "[[site]]\nlisten = [\"127.0.0.1:0\"]\nserver_name = [\"files.example\"]\n\
                 [site.routes]\n\"/\" = { files = \".\" }\n\
                 [[site]]\nlisten = [\"127.0.0.1:0\"]\nserver_name = [\"shop.example\", \"b.example\"]\n\
                 [site.routes]\n\"/\" = { wsgi = true }\n";
    let site = Project::with_sites(APP, PATHS, sites).start();
    let request = "GET /seen HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n";
    let answer = site.exchange(request);
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.contains("shop.example GET /first a=1"), "{answer}");
}

#[test]
fn a_worker_that_cannot_answer_stops_the_start() {
    let request = "the warm-up request `/first?a=1`";
    for (behaviour, error, hint) in [
        (
            "fails",
            format!("{request} was answered 500 Internal Server Error"),
            "what the application logs may say why",
        ),
        (
            "raises",
            format!("{request} raised an exception"),
            "its traceback stands above",
        ),
        (
            "sleeps",
            format!("{request} took longer than 1s"),
            "the log has its stack; `python.request_timeout` bounds it",
        ),
        (
            "keeps the GIL",
            format!("{request} took longer than 1s"),
            "the log has its stack; `python.request_timeout` bounds it",
        ),
        (
            "is cut",
            "the answer to the warm-up request `/first?a=1` was not whole".to_owned(),
            "its traceback is in the log",
        ),
        (
            "goes on",
            format!("{request} took longer than 1s"),
            "the log has its stack; `python.request_timeout` bounds it",
        ),
    ] {
        let project = project("request_timeout = \"1s\"");
        behave(&project, behaviour);
        let finished = project.serve_in_vain();
        let message = format!(
            "error: {error}\n --> project.toml:5: python.warm_up = [\"/first?a=1\", \"/second\"]\n\
             hint: {hint}\n"
        );
        assert!(
            finished.stderr.ends_with(&message),
            "{behaviour}: {}",
            finished.stderr
        );
        assert_eq!(finished.status, 3, "{behaviour}");
        // Once, however many have seen it.
        if matches!(behaviour, "raises" | "is cut") {
            let tracebacks = finished.stderr.matches("Traceback").count();
            assert_eq!(tracebacks, 1, "{behaviour}: {}", finished.stderr);
        }
    }
}

#[test]
fn a_client_error_is_told_and_no_reason_to_stay_away() {
    let project = project("");
    behave(&project, "refuses");
    let site = project.start();
    let log = site.log();
    let told = log.matches("a warm-up request was refused").count();
    assert_eq!(told, 2, "{log}");
}

#[test]
fn a_reload_that_cannot_warm_up_fails_and_loses_nothing() {
    let site = project("processes = 2").start();
    let load = Load::start(site.address(), &[("/seen", "GET /second")]);
    behave(&site.project, "raises");
    let reload = Finished::of(site.project.command("reload"));
    assert_eq!(reload.status, 3);
    let message = reload.message();
    assert!(message.contains("ValueError: no database\n"), "{message}");
    let end = "error: the warm-up request `/first?a=1` raised an exception\n \
               --> project.toml:5: python.warm_up = [\"/first?a=1\", \"/second\"]\n\
               hint: its traceback stands above\n";
    assert!(message.ends_with(end), "{message}");
    let upgrade = Finished::of(site.project.command("upgrade"));
    assert_eq!(upgrade.status, 3);
    assert!(upgrade.message().contains("raised an exception"));
    behave(&site.project, "well");
    assert_eq!(Finished::of(site.project.command("reload")).status, 0);
    let counted = load.stop();
    assert_eq!(counted.failed, Vec::<String>::new());
    assert!(counted.answered > 20, "{counted:?}");
}

#[test]
fn a_successor_that_cannot_warm_up_replaces_nobody() {
    let project = project("max_requests = 20");
    let site = project.start();
    let before = site.workers();
    behave(&site.project, "fails");
    for _ in 0..30 {
        assert_eq!(site.get("/seen").status, 200);
    }
    site.wait_for_log("the worker's successor cannot serve; it serves on itself");
    assert!(site.workers().contains(&before[0]));
    assert_eq!(site.get("/seen").status, 200);
    behave(&site.project, "well");
    eventually("successor", || {
        let workers = site.workers();
        (!workers.contains(&before[0])).then_some(())
    });
    assert_eq!(site.get("/seen").status, 200);
}
