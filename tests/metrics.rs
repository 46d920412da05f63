//! The figures of requests: what is counted where, and that nothing is lost with a worker.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::net::SocketAddr;

use support::{Appliance, Connection, Finished, Project, eventually};

const APP: &str = r#"
import time

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/fails":
        raise ValueError("for the test")
    if path == "/sleeps":
        time.sleep(0.3)
    status = {"/moved": "302 Found", "/missing": "404 Not Found"}.get(path, "200 OK")
    start_response(status, [("Content-Type", "text/plain")])
    return [b"hello"]
"#;

fn start(python: &str) -> (Appliance, SocketAddr) {
    let sites = "[[site]]\nlisten = [\"127.0.0.1:0\"]\n\n[site.routes]\n\
                 \"/\" = { wsgi = true }\n\"/files\" = { files = \"dist\" }\n\n\
                 [server]\nadmin = \"127.0.0.1:0\"";
    let site = Project::with_sites(APP, python, sites)
        .file("dist/small.txt", "small")
        .start();
    let address = site.admin();
    (site, address)
}

/// The sum of all samples of a metric whose labels hold `label`.
#[track_caller]
fn sum(admin: SocketAddr, name: &str, label: &str) -> f64 {
    let page = Connection::open(admin).get("/metrics");
    let samples = page.text().lines();
    let samples = samples.filter_map(|line| {
        let labels = line.strip_prefix(name)?.strip_prefix('{')?;
        let (labels, value) = labels.split_once("} ")?;
        labels
            .contains(label)
            .then(|| value.parse::<f64>().unwrap())
    });
    samples.sum()
}

#[track_caller]
fn counted(admin: SocketAddr) -> [f64; 5] {
    ["2xx", "3xx", "4xx", "5xx", "none"].map(|class| {
        let label = format!("code=\"{class}\"");
        sum(admin, "appliance_http_requests_total", &label)
    })
}

/// A request is counted a moment after the client has its answer.
#[track_caller]
fn eventually_counted(admin: SocketAddr, expected: [f64; 5]) {
    let mut last = [0.0; 5];
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while last != expected {
        assert!(
            std::time::Instant::now() < deadline,
            "{last:?} are counted, and not {expected:?}"
        );
        last = counted(admin);
    }
}

#[test]
fn no_request_is_forgotten_when_workers_die_or_are_replaced() {
    let (site, admin) = start("processes = 2");
    for _ in 0..10 {
        for path in ["/", "/files/small.txt", "/moved", "/missing", "/fails"] {
            site.get(path);
        }
    }
    let all = [20.0, 10.0, 10.0, 10.0, 0.0];
    eventually_counted(admin, all);
    let bytes = sum(admin, "appliance_http_sent_bytes_total", "worker");
    assert!(bytes > 50.0 * 100.0, "{bytes}");

    for worker in site.workers() {
        site.signal_worker(worker, libc::SIGKILL);
        eventually("successor", || {
            let workers = site.workers();
            (workers.len() == 2 && !workers.contains(&worker)).then_some(())
        });
    }
    assert_eq!(counted(admin), all, "after kills");
    eventually("two that serve", || {
        (sum(admin, "appliance_workers", "serving") == 2.0).then_some(())
    });
    assert_eq!(Finished::of(site.project.command("reload")).status, 0);
    assert_eq!(counted(admin), all, "after a reload");
    assert_eq!(Finished::of(site.project.command("upgrade")).status, 0);
    assert_eq!(counted(admin), all, "after an upgrade");

    site.get("/");
    eventually_counted(admin, [21.0, 10.0, 10.0, 10.0, 0.0]);
    let connections = sum(admin, "appliance_connections_accepted_total", "worker");
    assert_eq!(connections, 51.0);
    // Those that the application answered: its thread counts when it is done with them, which may be after
    // the client has the answer.
    let served = "appliance_application_duration_seconds_count";
    eventually("count of the application's calls", || {
        let count = sum(admin, served, "worker");
        assert!(count <= 41.0, "{count}");
        (count == 41.0).then_some(())
    });
    let timed = sum(
        admin,
        "appliance_http_request_duration_seconds_count",
        "worker",
    );
    assert_eq!(timed, 51.0);
    let later = sum(admin, "appliance_http_sent_bytes_total", "worker");
    assert!(later > bytes, "{later} after {bytes}");

    let status = site.status();
    assert_eq!(status["total"]["requests"]["2xx"], 21);
    assert_eq!(status["total"]["connections"], 51);
    assert_eq!(status["counted"].as_array().unwrap().len(), 2);
    let bounds = status["bucket_bounds"].as_array().unwrap().len();
    let buckets = &status["total"]["request_time"]["buckets"];
    assert_eq!(buckets.as_array().unwrap().len(), bounds + 1);
}

#[test]
fn waiting_and_working_are_told_apart() {
    let (site, admin) = start("threads = 1");
    let mut asked: Vec<Connection> = (0..3)
        .map(|_| {
            let mut connection = site.connect();
            connection.send("GET /sleeps HTTP/1.1\r\nhost: test\r\n\r\n");
            connection
        })
        .collect();
    eventually("one at work and two that wait", || {
        let levels = [
            sum(admin, "appliance_threads_busy", "worker"),
            sum(admin, "appliance_queue_length", "worker"),
            sum(admin, "appliance_connections_open", "worker"),
        ];
        (levels == [1.0, 2.0, 3.0]).then_some(())
    });
    assert_eq!(sum(admin, "appliance_threads", "worker"), 1.0);
    for connection in &mut asked {
        assert_eq!(connection.response().status, 200);
    }
    eventually_counted(admin, [3.0, 0.0, 0.0, 0.0, 0.0]);
    eventually("rest", || {
        let busy = sum(admin, "appliance_threads_busy", "worker");
        let waiting = sum(admin, "appliance_queue_length", "worker");
        (busy == 0.0 && waiting == 0.0).then_some(())
    });
    let seconds = |name: &str| sum(admin, &format!("appliance_{name}_seconds_sum"), "worker");
    // Three at work for 0.3 s each; the second waited for one, the third for two of them.
    let worked = seconds("application_duration");
    let waited = seconds("queue_wait");
    let took = seconds("http_request_duration");
    assert!((0.9..3.0).contains(&worked), "{worked}");
    assert!((0.85..6.0).contains(&waited), "{waited}");
    assert!(took >= worked + waited - 0.05, "{took}, {worked}, {waited}");
    let quick = sum(
        admin,
        "appliance_application_duration_seconds_bucket",
        "le=\"0.25\"",
    );
    assert_eq!(quick, 0.0);
    let all = sum(
        admin,
        "appliance_application_duration_seconds_bucket",
        "le=\"60\"",
    );
    assert_eq!(all, 3.0);
}

#[test]
fn who_leaves_without_an_answer_is_counted_as_such() {
    let (site, admin) = start("threads = 1");
    let mut connection = site.connect();
    connection.send("GET /sleeps HTTP/1.1\r\nhost: test\r\n\r\n");
    eventually("a busy thread", || {
        (sum(admin, "appliance_threads_busy", "worker") == 1.0).then_some(())
    });
    drop(connection);
    eventually_counted(admin, [0.0, 0.0, 0.0, 0.0, 1.0]);
    eventually("no connection", || {
        (sum(admin, "appliance_connections_open", "worker") == 0.0).then_some(())
    });
}
