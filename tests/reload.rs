//! Generations and workers follow each other, and nobody who asks meanwhile notices.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use support::{Appliance, Counted, Load, Project, Question, eventually};

/// `/hello`: a short answer; `/stream`: one in pieces; `/pid`: who answers. `/replace`: the worker
/// asks the supervisor for a successor, on the socket that it has for that.
const APP: &str = r#"
import os, socket, time

def ask_for_successor():
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            control = socket.socket(fileno=os.dup(fd))
        except OSError:
            continue
        if control.family == socket.AF_UNIX and control.type == socket.SOCK_STREAM:
            control.sendall(b'{"type":"replace","reason":"memory"}\n')

def application(environ, start_response):
    path = environ["PATH_INFO"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/stream":
        return (piece for piece in [time.sleep(0.005) or b"one ", time.sleep(0.005) or b"two ", b"three"])
    if path == "/replace":
        ask_for_successor()
    if path == "/slow":
        open("running", "w").close()
        time.sleep(1.5)
    return [{"/pid": str(os.getpid()).encode()}.get(path, b"hello")]
"#;

const QUESTIONS: [Question; 3] = [
    ("/hello", "hello"),
    ("/stream", "one two three"),
    ("/files/page.txt", "a file"),
];

fn project(python: &str) -> Project {
    let sites = "[[site]]\nlisten = [\"127.0.0.1:0\"]\n\n[site.routes]\n\
                 \"/\" = { wsgi = true }\n\"/files/\" = { files = \"files\" }\n";
    Project::with_sites(APP, python, sites).file("files/page.txt", "a file")
}

#[track_caller]
fn nothing_failed(counted: &Counted) {
    assert!(counted.failed.is_empty(), "{counted:?}");
    assert!(counted.answered > 100, "{counted:?}");
}

/// Reloads by signal and waits for the end of it.
#[track_caller]
fn reload(site: &Appliance, generation: usize) {
    site.signal(libc::SIGHUP);
    site.wait_for_log(&format!("reloaded generation={generation} "));
}

#[test]
fn twenty_reloads_lose_no_request() {
    let site = project("processes = 2\nthreads = 2").start();
    let load = Load::start(site.address(), &QUESTIONS);
    let first: BTreeSet<i32> = site.workers().into_iter().collect();
    for generation in 2..=21 {
        reload(&site, generation);
    }
    let counted = load.stop();
    nothing_failed(&counted);
    eventually("end of the old workers", || {
        let now = site.workers();
        (now.len() == 2 && now.iter().all(|pid| !first.contains(pid))).then_some(())
    });
}

#[test]
fn fifty_replacements_lose_no_request() {
    let site = project("processes = 2\nthreads = 2").start();
    let load = Load::start(site.address(), &QUESTIONS);
    for replaced in 1..=50 {
        site.get("/replace");
        eventually("replacement", || {
            (site.log().matches("worker replaced; it drains").count() >= replaced).then_some(())
        });
    }
    nothing_failed(&load.stop());
}

#[test]
fn a_request_that_runs_during_a_reload_is_finished() {
    let site = project("threads = 2").start();
    let mut connection = site.connect();
    connection.send("GET /slow HTTP/1.1\r\nhost: test\r\n\r\n");
    let flag = site.project.path("running");
    eventually("running request", || flag.exists().then_some(()));
    let before = site.get("/pid").text().to_owned();
    reload(&site, 2);
    assert_ne!(site.get("/pid").text(), before);
    assert_eq!(connection.response().text(), "hello");
    site.wait_for_log(&format!(
        "worker drained and gone worker=1 pid={before} generation=1 "
    ));
}

#[test]
fn a_reload_takes_up_code_and_settings() {
    let site = project("").start();
    assert_eq!(site.get("/hello").text(), "hello");
    fs::write(
        site.project.path("app.py"),
        APP.replace("b\"hello\"", "b\"news\""),
    )
    .unwrap();
    let file = site.project.path("project.toml");
    let toml = fs::read_to_string(&file).unwrap();
    fs::write(&file, toml.replace("processes = 1", "processes = 3")).unwrap();
    let address = site.address();
    reload(&site, 2);
    assert_eq!(site.address(), address);
    eventually("three workers", || {
        (site.workers().len() == 3).then_some(())
    });
    for _ in 0..30 {
        assert_eq!(site.get("/hello").text(), "news");
    }
}

#[test]
fn fewer_workers_serve_the_connections_of_all() {
    let site = project("processes = 4").start();
    let file = site.project.path("project.toml");
    let toml = fs::read_to_string(&file).unwrap();
    let load = Load::start(site.address(), &QUESTIONS);
    for (generation, processes) in [(2, 1), (3, 3), (4, 2)] {
        let toml = toml.replace("processes = 4", &format!("processes = {processes}"));
        fs::write(&file, toml).unwrap();
        reload(&site, generation);
        std::thread::sleep(Duration::from_millis(100));
    }
    nothing_failed(&load.stop());
}

/// What cannot serve is refused, and what served serves on, whoever asks meanwhile.
#[test]
fn a_reload_that_fails_changes_nothing() {
    let site = project("processes = 2\nthreads = 2").start();
    let before = site.workers();
    let load = Load::start(site.address(), &QUESTIONS);
    let toml = fs::read_to_string(site.project.path("project.toml")).unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let listens_on_taken = toml.replace("127.0.0.1:0", &taken.to_string());
    let cases = [
        (
            "app.py",
            "def application(:\n",
            "error: cannot import `app:application`: ",
        ),
        (
            "app.py",
            "import gone\n",
            "error: cannot import `app:application`: ModuleNotFoundError: No module named 'gone'",
        ),
        (
            "app.py",
            "import os\nos._exit(9)\n",
            "died before it was ready: exit status 9",
        ),
        ("project.toml", "[[site]\n", "error: project.toml:1:"),
        (
            "project.toml",
            &listens_on_taken,
            &format!("error: cannot listen on `{taken}`: "),
        ),
    ];
    for (failures, (file, text, message)) in cases.iter().enumerate() {
        let path = site.project.path(file);
        let good = fs::read_to_string(&path).unwrap();
        fs::write(&path, text).unwrap();
        site.signal(libc::SIGHUP);
        eventually("failed reload", || {
            (site.log().matches("the reload failed; ").count() == failures + 1).then_some(())
        });
        site.wait_for_log(message);
        fs::write(&path, good).unwrap();
    }
    nothing_failed(&load.stop());
    eventually("end of what failed", || {
        (site.workers() == before).then_some(())
    });
    reload(&site, 2);
}
