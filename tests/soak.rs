//! Everything at once, for a while: two minutes, or as many seconds as `APPLIANCE_TEST_SOAK` says
//! (`just soak`).
//!
//! 1. Two thirds of the time: files, short, long, streamed and stuck requests, uploads, slow and
//!    leaving clients; meanwhile workers are killed, reloaded, upgraded and recycled. Every request is
//!    counted, and only those may fail that a killed worker had.
//! 2. The rest: the same clients, and nobody is replaced, so that what workers pile up shows.
//!
//! Memory, descriptors and threads of all processes are sampled, printed, and must not grow.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

#[path = "soak/clients.rs"]
mod clients;
#[path = "soak/samples.rs"]
mod samples;

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clients::{Clients, Faults};
use samples::{Sample, must_be_flat};
use support::{Appliance, Finished, Project, eventually};

const APP: &str = r#"
import time

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/stuck":
        while True:
            time.sleep(0.01)
    if path == "/stuck-in-c":
        time.sleep(20)
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/stream":
        return stream()
    if path == "/long":
        return (b"%07d\n" % number * 8192 for number in range(32))
    length = 0
    while block := environ["wsgi.input"].read(65536):
        length += len(block)
    return [b"hello %d" % length]

def stream():
    for number in range(20):
        yield b"part %d\n" % number
        time.sleep(0.001)
"#;

const RECYCLING: &str = "max_requests = 1500";

fn start() -> Appliance {
    let python = format!(
        "processes = 2\nthreads = 6\nrequest_timeout = \"2s\"\ntimeout_grace = \"1s\"\n{RECYCLING}"
    );
    let sites = "[[site]]\nlisten = [\"127.0.0.1:0\"]\n[site.routes]\n\
                 \"/\" = { wsgi = true }\n\"/files\" = { files = \"dist\" }\n\n\
                 [server]\nstop_timeout = \"15s\"\n";
    Project::with_sites(APP, &python, sites)
        .file("dist/small.txt", "small")
        .file("dist/large.bin", vec![b'x'; 3 << 20])
        .start()
}

fn seconds() -> u64 {
    let said = std::env::var("APPLIANCE_TEST_SOAK").unwrap_or_else(|_| "120".to_owned());
    let seconds = said.parse().ok().filter(|seconds| *seconds >= 60);
    seconds
        .expect("`APPLIANCE_TEST_SOAK` is a number of seconds, 60 at least: every fault comes once")
}

/// Kills, reloads and upgrades, and samples of the supervisor, until it is time.
fn disturb(site: &Appliance, faults: &Faults, until: Instant) -> (usize, usize, Vec<Sample>) {
    let (mut kills, mut reloads, mut samples) = (0, 0, Vec::new());
    let mut next = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        if Instant::now() >= next {
            next = Instant::now() + Duration::from_secs(5);
            let workers = site.serving();
            if kills <= reloads && workers.len() == 2 {
                faults.will_kill();
                site.signal_worker(workers[kills % 2], libc::SIGKILL);
                kills += 1;
            } else {
                // An upgrade is a reload by another program; every second one will do.
                let verb = ["reload", "upgrade"][reloads % 2];
                let done = Finished::of(site.project.command(verb));
                assert_eq!(done.status, 0, "{done:?}");
                reloads += 1;
            }
        }
        samples.extend(Sample::of(site.pid()));
        std::thread::sleep(Duration::from_millis(200));
    }
    (kills, reloads, samples)
}

/// No worker is replaced from now on.
fn calm_down(site: &Appliance) -> Vec<i32> {
    let file = site.project.path("project.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace(RECYCLING, "")).unwrap();
    let reload = Finished::of(site.project.command("reload"));
    assert_eq!(reload.status, 0, "{reload:?}");
    eventually("two workers and no other", || {
        let workers = site.workers();
        (workers.len() == 2).then_some(workers)
    })
}

#[test]
fn everything_at_once_loses_nothing_and_piles_up_nothing() {
    let time = Duration::from_secs(seconds());
    let mut site = start();
    let faults = Arc::<Faults>::default();
    let clients = Clients::start(site.address(), &faults);
    let began = Instant::now();
    let (kills, reloads, supervisor) = disturb(&site, &faults, began + time * 2 / 3);

    faults.no_worker_is_to_be_lost();
    let workers = calm_down(&site);
    let mut samples = vec![Vec::new(); workers.len()];
    while began.elapsed() < time {
        for (pid, samples) in workers.iter().zip(&mut samples) {
            samples.extend(Sample::of(*pid));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let is_same = site.workers() == workers;
    let counted = clients.stop();
    let status = site.status();

    println!("{counted}");
    println!(
        "{kills} kills, {reloads} reloads and upgrades; replaced: {}",
        status["replaced"]
    );
    println!("the server has counted {}", status["total"]["requests"]);
    assert!(counted.failed().is_empty(), "{:#?}", counted.failed());
    assert_eq!(counted.never_right(), Vec::<&str>::new());
    assert!(
        counted.excused() <= kills * clients::COUNT,
        "more were lost than killed workers can have had"
    );
    assert!(is_same, "a worker was replaced for no reason");
    // An answer that the client has may not be counted by a worker that was killed just then.
    let successful = status["total"]["requests"]["2xx"].as_u64().unwrap();
    let missing = counted.successful().saturating_sub(successful);
    assert!(
        missing <= (kills * clients::COUNT) as u64,
        "{missing} answers are not counted"
    );
    for reason in ["crash", "reload", "upgrade", "max_requests"] {
        assert!(
            status["replaced"][reason].as_u64() >= Some(1),
            "no worker was replaced for `{reason}`: {}",
            status["replaced"]
        );
    }
    must_be_flat("supervisor", &supervisor);
    for (pid, samples) in workers.iter().zip(&samples) {
        must_be_flat(&format!("worker {pid}"), samples);
    }
    assert_eq!(site.stop(), 0);
    assert!(!site.log().contains("panicked"), "a panic is in the log");
}
