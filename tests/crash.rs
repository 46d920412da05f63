//! Workers that die, and an application that cannot be started any more: who answers meanwhile.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::fs;
use std::time::{Duration, Instant};

use support::{Appliance, Connection, Finished, Load, Project, eventually};

/// With a file `slow` beside it, it takes long to import; with `broken`, it cannot be.
const APP: &str = r#"
import os, time

if os.path.exists("broken"):
    import no_such_module
if os.path.exists("slow"):
    time.sleep(2)

def application(environ, start_response):
    if environ["PATH_INFO"] == "/exit":
        os._exit(7)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"#;

fn project(python: &str) -> Project {
    let sites = "[[site]]\nlisten = [\"127.0.0.1:0\"]\n\n[site.routes]\n\
                 \"/\" = { wsgi = true }\n\"/files/\" = { files = \"files\" }\n";
    Project::with_sites(APP, python, sites).file("files/page.txt", "a file")
}

fn serving(site: &Appliance) -> usize {
    site.log().matches("worker ready").count()
}

#[test]
fn a_dead_workers_connections_are_served_by_its_sibling() {
    let site = project("processes = 2").start();
    fs::write(site.project.path("slow"), "").unwrap();
    site.signal_worker(site.workers()[0], libc::SIGKILL);
    let killed = Instant::now();
    let mut slowest = Duration::ZERO;
    for _ in 0..40 {
        let asked = Instant::now();
        assert_eq!(site.get("/").text(), "hello");
        slowest = slowest.max(asked.elapsed());
    }
    assert_eq!(serving(&site), 2, "the successor was not meant to be ready");
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    eventually("successor", || (serving(&site) == 3).then_some(()));
    assert!(killed.elapsed() > Duration::from_secs(2));
    // What the sibling has accepted for it is not cut off, and what comes now is its own.
    for _ in 0..40 {
        assert_eq!(site.get("/").text(), "hello");
    }
}

/// How long connections wait that come just after a worker's death: the slowest of some, of which a part
/// goes to its socket. One that it had accepted already dies with it, and asks again.
fn slowest_after_death(site: &Appliance) -> Duration {
    const CONNECTIONS: usize = 20;
    let waits = (0..CONNECTIONS).map(|_| {
        let asked = Instant::now();
        eventually("answer", || {
            let mut connection = Connection::try_open(site.address()).ok()?;
            connection.try_send("GET / HTTP/1.1\r\nhost: test\r\n\r\n")?;
            let response = connection.try_response()?;
            (response.text() == "hello").then_some(())
        });
        asked.elapsed()
    });
    waits.max().unwrap()
}

#[test]
fn the_next_connection_is_answered_within_50_ms() {
    const KILLS: usize = 20;
    const WORKERS: usize = 5;
    let site = project("processes = 5").start();
    let mut waits: Vec<Duration> = (0..KILLS)
        .map(|killed| {
            // The successor of the last one serves.
            eventually("all workers", || {
                (serving(&site) == WORKERS + killed).then_some(())
            });
            site.signal_worker(site.workers()[0], libc::SIGKILL);
            slowest_after_death(&site)
        })
        .collect();
    waits.sort_unstable();
    eprintln!("slowest connection after each kill: {waits:?}");
    // Of a machine that does other things as well, half of them.
    assert!(waits[KILLS / 2] <= Duration::from_millis(50), "{waits:?}");
}

#[test]
fn workers_die_under_load_and_only_their_own_requests_with_them() {
    let site = project("processes = 3\nthreads = 2").start();
    let load = Load::start(
        site.address(),
        &[("/", "hello"), ("/files/page.txt", "a file")],
    );
    const KILLED: usize = 10;
    for killed in 1..=KILLED {
        site.signal_worker(site.workers()[killed % 3], libc::SIGKILL);
        eventually("successor", || (serving(&site) == 3 + killed).then_some(()));
    }
    let counted = load.stop();
    assert!(counted.failed.is_empty(), "{counted:?}");
    // A client has one request at most with the one that dies.
    assert!(counted.asked_again <= 4 * KILLED, "{counted:?}");
    assert!(counted.slowest < Duration::from_secs(1), "{counted:?}");
}

#[test]
fn files_are_served_while_no_worker_can_run_the_application() {
    let site = project("processes = 2").start();
    let broken = site.project.path("broken");
    fs::write(&broken, "").unwrap();
    let began = Instant::now();
    for pid in site.workers() {
        site.signal_worker(pid, libc::SIGKILL);
    }
    // Nobody accepts yet; then somebody does who can answer this.
    assert_eq!(site.get("/files/page.txt").text(), "a file");
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    site.wait_for_log("no worker can run the application: files are served, its routes answer 503");
    for _ in 0..20 {
        assert_eq!(site.get("/files/page.txt").text(), "a file");
        let refused = site.get("/");
        assert_eq!(refused.status, 503);
    }
    fs::remove_file(broken).unwrap();
    eventually("application", || {
        (site.get("/").status == 200).then_some(())
    });
    eventually("both workers", || (serving(&site) >= 5).then_some(()));
    for _ in 0..20 {
        assert_eq!(site.get("/").text(), "hello");
    }
}

#[test]
fn a_reload_ends_a_crash_loop() {
    let site = project("").start();
    fs::write(site.project.path("broken"), "").unwrap();
    site.signal_worker(site.workers()[0], libc::SIGKILL);
    eventually("maintenance", || {
        (site.get("/").status == 503).then_some(())
    });
    let reload = || Finished::of(site.project.command("reload"));
    let refused = reload();
    assert_eq!(refused.status, 3, "{refused:?}");
    assert_eq!(site.get("/files/page.txt").text(), "a file");
    fs::write(
        site.project.path("app.py"),
        APP.replace("no_such_module", "os"),
    )
    .unwrap();
    let done = reload();
    assert_eq!(done.status, 0, "{done:?}");
    assert_eq!(site.get("/").text(), "hello");
    eventually("end of the stand-in", || {
        (site.workers().len() == 1).then_some(())
    });
}
