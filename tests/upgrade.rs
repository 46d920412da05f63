//! The server becomes another binary, and those who ask it meanwhile do not notice.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use support::{Appliance, Finished, Load, Project, Question, eventually, is_running};

const APP: &str = r#"
import os, time

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/slow":
        open("running", "w").close()
        time.sleep(2)
    return [{"/pid": str(os.getpid()).encode()}.get(environ["PATH_INFO"], b"hello")]
"#;

const QUESTIONS: [Question; 2] = [("/hello", "hello"), ("/files/page.txt", "a file")];

fn project(python: &str) -> Project {
    let sites = "[[site]]\nlisten = [\"127.0.0.1:0\"]\n\n[site.routes]\n\
                 \"/\" = { wsgi = true }\n\"/files/\" = { files = \"files\" }\n";
    Project::with_sites(APP, python, sites)
        .also("[server]\npidfile = \"a.pid\"\n")
        .file("files/page.txt", "a file")
}

/// Another file with the same binary in it.
fn copy(site: &Appliance, name: &str) -> PathBuf {
    let path = site.project.path(name);
    fs::copy(env!("CARGO_BIN_EXE_appliance"), &path).unwrap();
    path
}

/// A program that is the binary, except for what this shell script does first.
fn wrapper(site: &Appliance, name: &str, script: &str) -> PathBuf {
    let path = site.project.path(name);
    let real = env!("CARGO_BIN_EXE_appliance");
    fs::write(&path, format!("#!/bin/sh\n{script}\nexec {real} \"$@\"\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn upgrade(site: &Appliance, binary: &PathBuf) -> Finished {
    let mut command = site.project.command("upgrade");
    command.arg("--binary").arg(binary);
    Finished::of(command)
}

fn binary_of(pid: i32) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/exe")).unwrap()
}

#[test]
fn five_upgrades_lose_no_request_and_keep_the_process() {
    let mut site = project("processes = 2\nthreads = 2").start();
    let before = site.workers();
    let descriptors = || {
        fs::read_dir(format!("/proc/{}/fd", site.pid()))
            .unwrap()
            .count()
    };
    let few = descriptors();
    let load = Load::start(site.address(), &QUESTIONS);
    for number in 1..=5 {
        let binary = copy(&site, &format!("appliance-{number}"));
        let done = upgrade(&site, &binary);
        assert_eq!(done.status, 0, "{done:?}");
        let told = format!(
            "upgraded to {}: generation {}, 2 workers, ready in ",
            env!("CARGO_PKG_VERSION"),
            number + 1
        );
        assert!(done.stdout.starts_with(&told), "{done:?}");
        assert_eq!(binary_of(site.pid()), binary);
    }
    let counted = load.stop();
    assert!(counted.failed.is_empty(), "{counted:?}");
    assert_eq!(counted.asked_again, 0, "{counted:?}");
    assert!(counted.answered > 100, "{counted:?}");
    eventually("end of the old workers", || {
        let now = site.workers();
        (now.len() == 2 && now.iter().all(|pid| !before.contains(pid))).then_some(())
    });
    eventually("end of the old descriptors", || {
        (descriptors() <= few).then_some(())
    });
    let name = fs::read_to_string(format!("/proc/{}/comm", site.pid())).unwrap();
    assert_eq!(name, "appliance\n");

    // It is a server like any other.
    let killed = site.workers()[0];
    site.signal_worker(killed, libc::SIGKILL);
    let workers = eventually("successor", || {
        let now = site.workers();
        (now.len() == 2 && !now.contains(&killed)).then_some(now)
    });
    let pidfile = site.project.path("a.pid");
    assert!(pidfile.exists());
    let stopped = Finished::of(site.project.command("stop"));
    assert_eq!((stopped.status, stopped.stdout.as_str()), (0, "stopped\n"));
    assert_eq!(site.wait(), 0);
    assert!(!pidfile.exists());
    assert!(!workers.iter().any(|pid| is_running(*pid)));
}

#[test]
fn a_request_that_runs_during_an_upgrade_is_finished() {
    let site = project("threads = 2").start();
    let mut connection = site.connect();
    connection.send("GET /slow HTTP/1.1\r\nhost: test\r\n\r\n");
    let flag = site.project.path("running");
    eventually("running request", || flag.exists().then_some(()));
    let worker = site.workers()[0];
    let done = upgrade(&site, &copy(&site, "appliance-2"));
    assert_eq!(done.status, 0, "{done:?}");
    assert_eq!(connection.response().text(), "hello");
    // Another program has started it, and yet its end is seen.
    site.wait_for_log(&format!(
        "worker drained and gone worker=1 pid={worker} generation=1 "
    ));
}

#[test]
fn user_2_upgrades_to_what_is_where_the_binary_was() {
    let project = project("");
    let path = project.path("appliance-1");
    fs::copy(env!("CARGO_BIN_EXE_appliance"), &path).unwrap();
    let serve = project.command("serve");
    let mut command = std::process::Command::new(&path);
    command
        .args(["serve", "project.toml"])
        .current_dir(serve.get_current_dir().unwrap())
        .env_remove("APPLIANCE_TEST_PYTHON");
    let mut site = Appliance::spawn(project, command);
    site.wait_until_ready();
    // As package managers do: a new file takes the name.
    let next = copy(&site, "appliance-2");
    fs::rename(next, &path).unwrap();
    assert!(
        binary_of(site.pid())
            .to_string_lossy()
            .ends_with(" (deleted)")
    );
    site.signal(libc::SIGUSR2);
    site.wait_for_log(&format!(
        "upgraded to {} generation=2 ",
        env!("CARGO_PKG_VERSION")
    ));
    assert_eq!(binary_of(site.pid()), path);
    assert_eq!(site.get("/hello").text(), "hello");
}

#[test]
fn a_binary_that_cannot_serve_is_refused_in_its_rehearsal() {
    let site = project("processes = 2\nthreads = 2").start();
    let (workers, binary) = (site.workers(), binary_of(site.pid()));
    let load = Load::start(site.address(), &QUESTIONS);
    let gone = site.project.path("gone");
    let fails = wrapper(&site, "fails", "echo no such instruction; exit 7");
    let other_module = wrapper(&site, "other", "set -- \"$@\" --set python.module=gone");
    let older = wrapper(&site, "older", "set -- \"$1\" --handover-version 0");
    let cases = [
        (
            &gone,
            format!(
                "error: cannot run `{}`: No such file or directory (os error 2)\n",
                gone.display()
            ),
        ),
        (
            &fails,
            format!(
                "no such instruction\n\
                 error: `{}` cannot serve this project: exit status 7\nhint: what it printed stands above\n",
                fails.display()
            ),
        ),
        (
            &older,
            format!(
                "error: this version cannot take over from the one that is running\n\
                 hint: stop it and start this one\n\
                 error: `{}` cannot serve this project: exit status 3\nhint: what it printed stands above\n",
                older.display()
            ),
        ),
    ];
    for (binary, message) in cases {
        let refused = upgrade(&site, binary);
        assert_eq!(
            (refused.status, refused.stderr.as_str()),
            (3, message.as_str())
        );
    }
    let refused = upgrade(&site, &other_module);
    let says = "error: cannot import `gone:application`: no module named `gone`\n \
                --> --set: python.module = \"gone:application\"\n";
    assert!(refused.stderr.contains(says), "{}", refused.stderr);
    assert_eq!(refused.status, 3);

    let counted = load.stop();
    assert!(counted.failed.is_empty(), "{counted:?}");
    assert_eq!((site.workers(), binary_of(site.pid())), (workers, binary));
}

/// The rehearsal goes well, and then it does not.
#[test]
fn a_binary_that_fails_after_all_gives_the_server_back() {
    let mut site = project("processes = 2\nthreads = 2").start();
    let (workers, binary) = (site.workers(), binary_of(site.pid()));
    let load = Load::start(site.address(), &QUESTIONS);
    for (name, set) in [
        ("import", "python.module=gone"),
        ("project", "python.threads=0"),
    ] {
        let script = format!("[ \"$1\" = rehearse ] || set -- \"$@\" --set {set}");
        let refused = upgrade(&site, &wrapper(&site, name, &script));
        assert_eq!(refused.status, 3, "{refused:?}");
        let says = match name {
            "import" => "error: cannot import `gone:application`: ",
            _ => "error: --set: `python.threads` must be from 1 to 1024, found `0`\n",
        };
        assert!(refused.stderr.contains(says), "{refused:?}");
        assert_eq!(binary_of(site.pid()), binary);
    }
    let counted = load.stop();
    assert!(counted.failed.is_empty(), "{counted:?}");
    eventually("end of what failed", || {
        (site.workers() == workers).then_some(())
    });

    let reloaded = Finished::of(site.project.command("reload"));
    assert!(
        reloaded
            .stdout
            .starts_with("reloaded: generation 2, 2 workers"),
        "{reloaded:?}"
    );
    assert_eq!(site.get("/hello").text(), "hello");
    assert_eq!(site.stop(), 0);
}
