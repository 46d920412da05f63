//! Workers that die, and an application that cannot be started any more: who answers meanwhile.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::fs;
use std::time::Duration;

use support::{Appliance, Connection, Finished, Load, Project, Stopwatch, eventually, is_running};

/// As long as there is a file `slow` beside it, it is imported; with `broken`, it cannot be.
const APP: &str = r#"
import os, signal, socket, time

if os.path.exists("broken"):
    import no_such_module
while os.path.exists("slow"):
    time.sleep(0.01)

def hang_up():
    # All connected unix sockets: the one to the supervisor is among them.
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            found = socket.socket(fileno=os.dup(fd))
            if found.family == socket.AF_UNIX and found.type == socket.SOCK_STREAM:
                found.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
    os.kill(os.getpid(), signal.SIGSTOP)

def application(environ, start_response):
    if environ["PATH_INFO"] == "/exit":
        os._exit(7)
    if environ["PATH_INFO"] == "/hang-up":
        hang_up()
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
    let slow = site.project.path("slow");
    fs::write(&slow, "").unwrap();
    let killed = site.workers()[0];
    site.signal_worker(killed, libc::SIGKILL);
    // What it had accepted would die with it.
    eventually("end of the worker", || (!is_running(killed)).then_some(()));
    let mut slowest = Duration::ZERO;
    for _ in 0..40 {
        let watch = Stopwatch::start();
        assert_eq!(site.get("/").text(), "hello");
        slowest = slowest.max(watch.undisturbed());
    }
    assert_eq!(serving(&site), 2, "the successor was not meant to be ready");
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    fs::remove_file(slow).unwrap();
    eventually("successor", || (serving(&site) == 3).then_some(()));
    // What the sibling has accepted for it is not cut off, and what comes now is its own.
    for _ in 0..40 {
        assert_eq!(site.get("/").text(), "hello");
    }
}

/// How long a connection waited: by the clock, and undisturbed.
type Wait = (Duration, Duration);

/// How long connections wait that come just after a worker's death: the slowest of some, of which a part
/// goes to its socket. One that it had accepted already dies with it, and asks again.
fn slowest_after_death(site: &Appliance) -> Wait {
    const CONNECTIONS: usize = 20;
    let waits = (0..CONNECTIONS).map(|_| {
        let watch = Stopwatch::start();
        eventually("answer", || {
            let mut connection = Connection::try_open(site.address()).ok()?;
            connection.try_send("GET / HTTP/1.1\r\nhost: test\r\n\r\n")?;
            let response = connection.try_response()?;
            (response.text() == "hello").then_some(())
        });
        (watch.elapsed(), watch.undisturbed())
    });
    let waits: Vec<Wait> = waits.collect();
    let by_clock = waits.iter().map(|(wait, _)| *wait).max().unwrap();
    let undisturbed = waits.iter().map(|(_, wait)| *wait).max().unwrap();
    (by_clock, undisturbed)
}

/// What the dead worker's connections wait for is three turns on a processor: its own threads end, the
/// supervisor hears of it, a sibling is told. On a busy machine each may take a while.
#[test]
fn the_next_connection_is_answered_within_50_ms() {
    const SOON: Duration = Duration::from_millis(50);
    const KILLS: usize = 20;
    const WORKERS: usize = 5;
    let site = project("processes = 5").start();
    let mut waits: Vec<Wait> = (0..KILLS)
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
    eprintln!("slowest connection after each kill, by the clock and undisturbed: {waits:?}");
    let undisturbed = waits.iter().map(|(_, wait)| *wait).max().unwrap();
    assert!(undisturbed <= SOON, "{waits:?}");
    // Whatever else the machine does.
    let (quarter, _) = waits[KILLS / 4];
    assert!(quarter <= SOON, "{waits:?}");
}

/// Its death is known by its socket: that the kernel is done with it may take long.
#[test]
fn a_worker_that_has_hung_up_is_covered_before_it_is_gone() {
    let site = project("processes = 2").start();
    let mut leaving = site.connect();
    leaving.send("GET /hang-up HTTP/1.1\r\nhost: test\r\n\r\n");
    let stopped = eventually("stopped worker", || {
        let mut workers = site.workers().into_iter();
        workers.find(|worker| is_stopped(*worker))
    });
    for _ in 0..20 {
        assert_eq!(site.get("/").text(), "hello");
    }
    assert!(is_stopped(stopped));
    assert!(!site.log().contains("worker died"), "{}", site.log());
    // What it stood still with ends with it.
    site.signal_worker(stopped, libc::SIGKILL);
    eventually("successor", || (serving(&site) == 3).then_some(()));
    for _ in 0..20 {
        assert_eq!(site.get("/").text(), "hello");
    }
}

fn is_stopped(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, fields)| fields.starts_with('T'))
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
    let watch = Stopwatch::start();
    for pid in site.workers() {
        site.signal_worker(pid, libc::SIGKILL);
    }
    // Nobody accepts yet; then somebody does who can answer this.
    assert_eq!(site.get("/files/page.txt").text(), "a file");
    let waited = watch.undisturbed();
    assert!(waited < Duration::from_secs(5), "{waited:?}");
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
