//! What the system denies or disturbs: descriptors, a full disk, signals. Only requests that need
//! what is missing may fail, the log says why and does not flood, and all is well afterwards.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use support::{Appliance, Connection, Finished, Load, Project, eventually, test_interpreter};

const APP: &str = r#"
import os, time, signal

# Python sets its handlers without SA_RESTART: each such signal interrupts a system call.
signal.signal(signal.SIGURG, lambda *_: None)

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/waits":
        while not os.path.exists("go"):
            time.sleep(0.01)
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/long":
        return (b"%07d\n" % number * 1024 for number in range(1024))
    if path == "/stream":
        return (b"part %d\n" % number for number in range(20))
    return [b"%d" % len(environ["wsgi.input"].read())]
"#;

fn project(python: &str) -> Project {
    let sites = "[[site]]\nlisten = [\"127.0.0.1:0\"]\nbody_limit = \"20MB\"\n[site.routes]\n\
                 \"/\" = { wsgi = true }\n\"/files\" = { files = \"dist\" }\n";
    Project::with_sites(APP, python, sites).file("dist/small.txt", "small")
}

/// Sets a limit of a running process, as `--nofile` or `--fsize` name it.
fn limit(pid: i32, what: &str) {
    let status = Command::new("prlimit")
        .args([format!("--pid={pid}"), what.to_owned()])
        .status()
        .unwrap();
    assert!(status.success());
}

fn descriptors(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// Processor time taken so far, in ticks of 10 ms.
fn cpu_ticks(pid: i32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
}

fn post(site: &Appliance, bytes: usize) -> u16 {
    let mut connection = site.connect();
    connection.send(format!(
        "POST / HTTP/1.1\r\nhost: test\r\ncontent-length: {bytes}\r\nconnection: close\r\n\r\n"
    ));
    // Who is refused early need not be able to send it all.
    let _ = connection.try_send(vec![b'x'; bytes]);
    connection.response().status
}

#[test]
fn out_of_descriptors_the_log_does_not_flood_and_nobody_spins() {
    let site = project("threads = 4").start();
    let worker = site.workers()[0];
    let nofile = descriptors(worker) + 8;
    limit(worker, &format!("--nofile={nofile}:"));
    let mut waiting: Vec<Connection> = (0..40)
        .map(|_| {
            let mut connection = site.connect();
            connection.send(get("/waits"));
            connection
        })
        .collect();
    site.wait_for_log("cannot accept connections");
    let ticks = cpu_ticks(worker);
    std::thread::sleep(Duration::from_secs(2));
    let taken = cpu_ticks(worker) - ticks;
    // The sleeping application itself takes a few.
    assert!(taken < 60, "{taken} ticks of 10 ms in 2 s");
    assert_eq!(site.log().matches("cannot accept").count(), 1);

    fs::write(site.project.path("go"), "").unwrap();
    for connection in &mut waiting {
        assert_eq!(connection.response().status, 200);
    }
    drop(waiting);
    limit(worker, "--nofile=1024:");
    // It is over when it has not come back for a while.
    eventually("the end of the shortage", || {
        assert_eq!(site.get("/files/small.txt").text(), "small");
        std::thread::sleep(Duration::from_millis(100));
        site.log()
            .contains("all connections are accepted again")
            .then_some(())
    });
    assert_eq!(site.log().matches("cannot accept").count(), 1);
    assert_eq!(site.workers(), [worker]);
}

#[test]
fn a_supervisor_out_of_descriptors_keeps_what_serves_and_goes_on_when_it_can() {
    let site = project("processes = 2").start();
    let (supervisor, killed) = (site.pid(), site.workers()[0]);
    // Enough to be asked something, too few to start a process.
    let nofile = descriptors(supervisor) + 2;
    limit(supervisor, &format!("--nofile={nofile}:"));
    site.signal_worker(killed, libc::SIGKILL);
    site.wait_for_log(" error=Too many open files (os error 24) again_in=100ms");
    site.wait_for_log(" error=Too many open files (os error 24) again_in=200ms");
    assert!(
        site.log()
            .contains("ERROR supervisor: cannot start a worker worker=")
    );
    for _ in 0..20 {
        assert_eq!(site.get("/files/small.txt").text(), "small");
        assert_eq!(site.get("/").status, 200);
    }
    let reload = || Finished::of(site.project.command("reload"));
    let refused = reload();
    assert_eq!(refused.status, 3, "{refused:?}");
    let why = refused.stderr.lines().next().unwrap();
    assert!(why.starts_with("error: "), "{refused:?}");
    assert!(
        why.ends_with(": Too many open files (os error 24)"),
        "{refused:?}"
    );

    limit(supervisor, "--nofile=1024:");
    eventually("both workers", || (site.workers().len() == 2).then_some(()));
    let reloaded = reload();
    assert_eq!(reloaded.status, 0, "{reloaded:?}");
    assert_eq!((site.pid(), site.get("/").status), (supervisor, 200));
}

#[test]
fn who_idles_gives_way_to_who_asks() {
    let site = project("").start();
    let worker = site.workers()[0];
    let nofile = descriptors(worker) + 10;
    limit(worker, &format!("--nofile={nofile}:"));
    let _idle: Vec<Connection> = (0..100).map(|_| site.connect()).collect();
    for _ in 0..20 {
        assert_eq!(site.get("/files/small.txt").text(), "small");
        assert_eq!(site.get("/").status, 200);
    }
    assert!(site.log().contains("cannot accept connections"));
    assert_eq!(site.workers(), [worker]);
}

#[test]
fn what_cannot_be_spooled_fails_alone() {
    let site = project("body_buffer = \"64KB\"").start();
    let worker = site.workers()[0];
    // As a full disk: writes to files fail, with EFBIG for ENOSPC. (Python ignores SIGXFSZ.)
    limit(worker, "--fsize=100000:");
    let load = Load::start(site.address(), &[("/files/small.txt", "small"), ("/", "0")]);
    for _ in 0..10 {
        assert_eq!(post(&site, 2_000_000), 500);
        assert_eq!(post(&site, 50_000), 200);
    }
    site.wait_for_log("cannot spool a request body; `python.spool` names the folder");

    let mut slow = site.connect();
    slow.send(get("/long"));
    site.wait_for_log("cannot spool a response, so its thread waits for the client");
    let response = slow.response();
    assert!(response.complete);
    assert_eq!(response.body().len(), 8 * 1024 * 1024);

    let counted = load.stop();
    assert_eq!(counted.failed, Vec::<String>::new());
    assert!(counted.answered > 20, "{counted:?}");
    limit(worker, "--fsize=unlimited:");
    assert_eq!(post(&site, 2_000_000), 200);
    assert_eq!(site.workers(), [worker]);
    assert_eq!(site.log().matches("cannot spool a response").count(), 1);
    assert_eq!(site.log().matches("cannot spool a request body").count(), 1);
}

/// Sends signals to processes, a thousand a second each, for three seconds.
const STORM: &str = "
import os, signal, sys, time
pids = [int(pid) for pid in sys.argv[1:]]
sent = 0
until = time.monotonic() + 3
while time.monotonic() < until:
    for pid in pids:
        for number in signal.SIGURG, signal.SIGCHLD:
            os.kill(pid, number)
            sent += 1
    time.sleep(0.0005)
print(sent)
";

#[test]
fn a_storm_of_signals_interrupts_no_request() {
    let site = project("processes = 2").start();
    let mut pids = site.workers();
    pids.push(site.pid());
    for pid in &pids[..2] {
        // Those that are caught: or nothing would be interrupted.
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let caught = status
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:\t"));
        let caught = u64::from_str_radix(caught.unwrap(), 16).unwrap();
        assert_ne!(caught & 1 << (libc::SIGURG - 1), 0);
    }
    let load = Load::start(
        site.address(),
        &[
            ("/files/small.txt", "small"),
            ("/", "0"),
            ("/stream", "part 19"),
        ],
    );
    let pids = pids.iter().map(i32::to_string);
    let storm = Command::new(test_interpreter())
        .args(["-c", STORM])
        .args(pids)
        .output()
        .unwrap();
    let sent: u64 = String::from_utf8(storm.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let reload = Finished::of(site.project.command("reload"));
    let counted = load.stop();
    assert_eq!(counted.failed, Vec::<String>::new());
    assert!(counted.answered > 200, "{counted:?}");
    assert!(sent > 5_000, "{sent} signals");
    assert_eq!(reload.status, 0, "{reload:?}");
}

/// A wall clock that stands right, a day ahead and a day behind in turns of 0.3 s. The monotonic
/// one goes on as it does.
const JUMPING_CLOCK: &str = r#"
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long offset(void) {
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    long turn = (now.tv_sec * 10 + now.tv_nsec / 100000000) / 3 % 3;
    return turn == 0 ? 0 : turn == 1 ? 86400 : -86400;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += offset();
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (now) *now = precise.tv_sec;
    return precise.tv_sec;
}
"#;

#[test]
fn a_wall_clock_that_jumps_by_days_ends_no_wait_early_or_late() {
    let python = "processes = 2\nrequest_timeout = \"2s\"\nmax_lifetime = \"1h\"";
    let project = project(python)
        .also("[server]\nkeep_alive_timeout = \"1m\"\nhead_timeout = \"2s\"")
        .file("clock.c", JUMPING_CLOCK);
    let library = project.path("clock.so");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &project.path("clock.c")])
        .status()
        .unwrap();
    assert!(built.success());
    let site = project.env("LD_PRELOAD", library.to_str().unwrap()).start();
    let load = Load::start(
        site.address(),
        &[
            ("/files/small.txt", "small"),
            ("/", "0"),
            ("/stream", "part 19"),
        ],
    );
    let mut kept = site.connect();
    let mut days = std::collections::BTreeSet::new();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(4) {
        // The date's day: or there would be nothing to be disturbed by.
        let answer = kept.get("/files/small.txt");
        let date = answer.header("date").unwrap().to_owned();
        days.insert(date.split(' ').nth(1).unwrap().to_owned());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(days.len() >= 2, "the clock did not jump: {days:?}");

    // A timeout comes when it is due, and not by the wall clock.
    for (request, expected) in [(get("/waits"), 504), ("GET / HTTP/1.1\r\n".to_owned(), 408)] {
        let began = Instant::now();
        let mut connection = site.connect();
        connection.send(request);
        assert_eq!(connection.response().status, expected);
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(1900), "{took:?}");
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
    let reload = Finished::of(site.project.command("reload"));
    assert_eq!(reload.status, 0, "{reload:?}");
    let counted = load.stop();
    assert_eq!(counted.failed, Vec::<String>::new());
    assert!(counted.answered > 200, "{counted:?}");
    let mut site = site;
    assert_eq!(site.stop(), 0);
    // Nobody was replaced for an age that only the wall clock has.
    assert!(!site.log().contains("max_lifetime"), "{}", site.log());
}
