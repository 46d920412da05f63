//! Threads and the queue in front of them.

use std::fs;

use crate::post;
use crate::support::{Appliance, Connection, Project, eventually};

const POOL: &str = include_str!("../apps/pool.py");

/// Sends `GET path` and does not wait for the answer.
fn ask(site: &Appliance, path: &str) -> Connection {
    let mut connection = site.connect();
    connection.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n"));
    connection
}

#[test]
fn as_many_requests_run_at_once_as_there_are_threads() {
    let site = Project::wsgi_with("threads = 4", POOL).start();
    for _ in 0..5 {
        // Each waits until all four are there.
        let mut meeting: Vec<Connection> = (0..4).map(|_| ask(&site, "/meet")).collect();
        for connection in &mut meeting {
            let response = connection.response();
            assert_eq!((response.status, response.text()), (200, "1"));
        }
    }
}

#[test]
fn a_request_that_computes_does_not_hold_up_the_others() {
    let site = Project::wsgi_with("threads = 2", POOL).start();
    let mut spinning = ask(&site, "/spin");
    // It spins until another request opens the gate.
    assert_eq!(site.get("/open-gate").text(), "open");
    assert_eq!(spinning.response().text(), "opened");
}

#[test]
fn threads_are_pythons_own_and_stay() {
    let site = Project::wsgi_with("threads = 1", POOL).start();
    for served in 1..=3 {
        assert_eq!(
            site.get("/thread").text(),
            format!("Thread appliance-1 True {served}")
        );
    }
}

/// Whether an answer, or the beginning of one, is here.
fn is_answered(connection: &Connection) -> bool {
    let stream = connection.stream();
    stream.set_nonblocking(true).unwrap();
    let answered = stream.peek(&mut [0]).is_ok();
    stream.set_nonblocking(false).unwrap();
    answered
}

#[test]
fn a_full_queue_answers_503_to_those_beyond_it() {
    let site = Project::wsgi_with("threads = 1\nqueue = 3", POOL).start();
    let mut running = ask(&site, "/wait-for-file");
    eventually("request that runs", || {
        site.project.path("waiting").exists().then_some(())
    });
    let mut others: Vec<Connection> = (0..8).map(|_| ask(&site, "/hello")).collect();
    eventually("five answers", || {
        (others.iter().filter(|other| is_answered(other)).count() == 5).then_some(())
    });
    fs::write(site.project.path("go-on"), "").unwrap();
    assert_eq!(running.response().text(), "went on");
    let (mut served, mut refused) = (0, 0);
    for other in &mut others {
        let response = other.response();
        match response.status {
            200 => {
                assert_eq!(response.text(), "hello");
                served += 1;
            }
            503 => {
                assert_eq!(response.header("retry-after"), Some("1"));
                assert_eq!(response.text(), "503 Service Unavailable\n");
                refused += 1;
            }
            status => panic!("unexpected: {status}"),
        }
        // Either way the connection goes on.
        assert_eq!(other.get("/hello").text(), "hello");
    }
    assert_eq!((served, refused), (3, 5));
    site.wait_for_log(
        " WARN worker 1: the queue is full: requests get 503; see `python.threads`, \
         `python.processes` and `python.queue`\n",
    );
}

#[test]
fn answers_do_not_wait_for_a_slow_request_behind_them() {
    let site = Project::wsgi_with("threads = 1", POOL).start();
    let mut running = ask(&site, "/wait-for-file");
    let waiting = site.project.path("waiting");
    eventually("request that runs", || waiting.exists().then_some(()));
    let mut quick: Vec<Connection> = (0..200).map(|_| ask(&site, "/hello")).collect();
    let mut slow = ask(&site, "/wait-for-other-file");
    let mut last = ask(&site, "/hello");
    fs::write(site.project.path("go-on"), "").unwrap();
    assert_eq!(running.response().text(), "went on");
    eventually("answers before the slow request", || {
        // Nearly all: the server need not take new connections in order.
        (quick.iter().filter(|one| is_answered(one)).count() >= 180).then_some(())
    });
    fs::write(site.project.path("other-go-on"), "").unwrap();
    assert_eq!(slow.response().text(), "went on");
    assert_eq!(last.response().text(), "hello");
    for one in &mut quick {
        assert_eq!(one.response().text(), "hello");
    }
}

#[test]
fn a_request_that_computes_long_leaves_none_behind() {
    // On a busy machine who spins keeps the GIL while others have the processors.
    let patient = "threads = 2\nqueue_timeout = \"10m\"\nrequest_timeout = \"10m\"";
    let site = Project::wsgi_with(patient, POOL).start();
    let mut spinning = ask(&site, "/spin");
    // More than the second thread serves before it considers going idle again.
    let mut others: Vec<Connection> = (0..30).map(|_| ask(&site, "/compute")).collect();
    for other in &mut others {
        assert_eq!(other.response().text(), "10 ms");
    }
    assert_eq!(site.get("/open-gate").text(), "open");
    assert_eq!(spinning.response().text(), "opened");
}

#[test]
fn half_an_upload_holds_no_thread() {
    let site = Project::wsgi_with("threads = 1", POOL).start();
    let upload = post("/hello", vec![b'x'; 100_000]);
    let (first, second) = upload.split_at(50_000);
    let mut slow = site.connect();
    slow.send(first);
    assert_eq!(site.get("/hello").text(), "hello");
    slow.send(second);
    assert_eq!(slow.response().text(), "hello");
}
