//! Workers are replaced by number of requests, age and memory, and nobody who asks notices; and a
//! request that wants more memory than there may be is alone in failing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::time::{Duration, Instant};

use support::{Appliance, Counted, Load, Project, Question, eventually};

const RECYCLING: &str = include_str!("apps/recycling.py");

const QUESTIONS: [Question; 3] = [
    ("/hello", "hello"),
    ("/stream", "one two three"),
    ("/leak", "leaked"),
];

fn site(settings: &str) -> Appliance {
    Project::wsgi_with(settings, RECYCLING).start()
}

/// Waits until so many workers were replaced, all for this reason.
#[track_caller]
fn wait_for_replacements(site: &Appliance, reason: &str, count: usize) {
    let line = "worker replaced; it drains";
    let done = |log: &str| log.matches(line).count();
    eventually("replacements", || {
        (done(&site.log()) >= count).then_some(())
    });
    for line in site.log().lines().filter(|other| other.contains(line)) {
        assert!(line.contains(&format!(" reason={reason} ")), "{line}");
    }
}

#[track_caller]
fn nothing_failed(counted: &Counted) {
    assert!(counted.failed.is_empty(), "{counted:?}");
    assert!(counted.answered > 100, "{counted:?}");
    println!(
        "{} answered, slowest {:?}",
        counted.answered, counted.slowest
    );
}

#[test]
fn fifty_recyclings_by_requests_lose_none() {
    let site = site("processes = 2\nthreads = 2\nmax_requests = 40");
    let load = Load::start(site.address(), &QUESTIONS);
    wait_for_replacements(&site, "max_requests", 50);
    nothing_failed(&load.stop());
}

#[test]
fn twenty_recyclings_by_memory_lose_none() {
    let site = site("processes = 2\nthreads = 2\nmemory_soft_limit = \"40MB\"");
    let load = Load::start(site.address(), &QUESTIONS);
    wait_for_replacements(&site, "memory", 20);
    nothing_failed(&load.stop());
    site.wait_for_log(" WARN worker 1: this worker has soon reached its `python.memory_soft_limit`: more, or fewer `python.processes`, would spare replacing it so often memory_mb=");
}

#[test]
fn a_worker_is_replaced_by_age() {
    let site = site("processes = 1\nmax_lifetime = \"2s\"");
    let first = site.get("/pid").text().to_owned();
    wait_for_replacements(&site, "max_lifetime", 2);
    assert_ne!(site.get("/pid").text(), first);
}

#[test]
fn a_worker_answers_as_many_requests_as_it_may_and_a_tenth_more() {
    let site = site("processes = 1\nthreads = 1\nmax_requests = 20");
    let (first, began) = (site.get("/pid").text().to_owned(), Instant::now());
    for _ in 2..20 {
        assert_eq!(site.get("/pid").text(), first);
    }
    assert!(!site.log().contains("replac"), "{}", site.log());
    for _ in 0..3 {
        site.get("/hello");
    }
    wait_for_replacements(&site, "max_requests", 1);
    assert!(began.elapsed() < Duration::from_secs(30));
    assert_ne!(site.get("/pid").text(), first);
}

#[test]
fn a_request_that_wants_too_much_memory_gets_500_and_the_worker_lives() {
    let site = site("processes = 1\nthreads = 2\nmemory_limit = \"128MB\"");
    let worker = site.get("/pid").text().to_owned();
    for _ in 0..10 {
        assert_eq!(site.get("/too-much").status, 500);
        assert_eq!(site.get("/pieces").status, 500);
        assert_eq!(site.get("/hello").text(), "hello");
    }
    assert_eq!(site.get("/pid").text(), worker);
    let log = site.log();
    assert_eq!(log.matches("\nMemoryError\n").count(), 20, "{log}");
    assert_eq!(
        log.matches("the application raised an exception: ").count(),
        20,
        "{log}"
    );
}

#[test]
fn a_limit_below_what_a_worker_takes_is_said_and_does_not_replace_it_for_ever() {
    let site = site("processes = 1\nmemory_soft_limit = \"1MB\"");
    site.wait_for_log(
        " WARN worker 1: `python.memory_soft_limit` is less than one and a half times what this \
         worker takes when it is ready; it is replaced at that takes_mb=",
    );
    let first = site.get("/pid").text().to_owned();
    let end = Instant::now() + Duration::from_secs(4);
    while Instant::now() < end {
        assert_eq!(site.get("/pid").text(), first);
    }
}
