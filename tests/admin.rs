//! The admin listener: health, readiness, metrics, status.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::fs;
use std::net::SocketAddr;

use support::{Appliance, Connection, Finished, Project, Response, eventually};

const APP: &str = r#"
import os

if os.path.exists("broken"):
    import no_such_module

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"#;

fn start(python: &str) -> (Appliance, SocketAddr) {
    let site = Project::wsgi_with(python, APP)
        .also("[server]\nadmin = \"127.0.0.1:0\"")
        .start();
    let address = site.admin();
    (site, address)
}

#[track_caller]
fn get(address: SocketAddr, path: &str) -> Response {
    Connection::open(address).get(path)
}

/// The value of a metric, by its name with its labels.
#[track_caller]
fn metric(address: SocketAddr, name: &str) -> f64 {
    let page = get(address, "/metrics");
    let text = page.text();
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value
        .unwrap_or_else(|| panic!("no {name} in\n{text}"))
        .parse()
        .unwrap()
}

#[test]
fn a_server_that_serves_is_alive_and_ready() {
    let (site, admin) = start("processes = 2");
    for (path, text) in [("/healthz", "alive\n"), ("/readyz", "ready\n")] {
        let answer = get(admin, path);
        assert_eq!((answer.status, answer.text()), (200, text));
    }
    assert_eq!(get(admin, "/nothing").status, 404);
    let status: serde_json::Value = serde_json::from_slice(get(admin, "/status").body()).unwrap();
    assert_eq!(status["pid"], site.pid());
    assert_eq!(status["workers"].as_array().unwrap().len(), 2);
}

#[test]
fn metrics_follow_workers_and_reloads() {
    let (site, admin) = start("processes = 2");
    let page = get(admin, "/metrics");
    assert_eq!(
        page.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert_eq!(metric(admin, "appliance_ready"), 1.0);
    assert_eq!(metric(admin, "appliance_workers{state=\"serving\"}"), 2.0);
    assert!(metric(admin, "appliance_worker_resident_bytes{worker=\"2\"}") > 1e6);
    assert_eq!(
        metric(admin, "appliance_workers_replaced_total{reason=\"crash\"}"),
        0.0
    );

    site.signal_worker(site.workers()[0], libc::SIGKILL);
    eventually("counted crash", || {
        (metric(admin, "appliance_workers_replaced_total{reason=\"crash\"}") == 1.0).then_some(())
    });
    assert_eq!(Finished::of(site.project.command("reload")).status, 0);
    assert_eq!(metric(admin, "appliance_generation"), 2.0);
    assert_eq!(
        metric(admin, "appliance_workers_replaced_total{reason=\"reload\"}"),
        2.0
    );

    fs::write(site.project.path("broken"), "").unwrap();
    assert_eq!(Finished::of(site.project.command("reload")).status, 3);
    assert_eq!(metric(admin, "appliance_last_reload_successful"), 0.0);
}

#[test]
fn a_server_without_its_application_is_alive_and_not_ready() {
    let (site, admin) = start("");
    fs::write(site.project.path("broken"), "").unwrap();
    site.signal_worker(site.workers()[0], libc::SIGKILL);
    eventually("maintenance", || {
        (site.get("/").status == 503).then_some(())
    });
    assert_eq!(get(admin, "/healthz").status, 200);
    let answer = get(admin, "/readyz");
    assert_eq!(
        (answer.status, answer.text()),
        (503, "not ready: failing\n")
    );
    assert_eq!(metric(admin, "appliance_ready"), 0.0);
    fs::remove_file(site.project.path("broken")).unwrap();
    eventually("readiness", || {
        (get(admin, "/readyz").status == 200).then_some(())
    });
}

#[test]
fn the_admin_listener_outlives_an_upgrade() {
    let (site, admin) = start("");
    let upgraded = Finished::of(site.project.command("upgrade"));
    assert_eq!(upgraded.status, 0, "{upgraded:?}");
    assert_eq!(get(admin, "/readyz").status, 200);
    assert_eq!(
        metric(
            admin,
            "appliance_workers_replaced_total{reason=\"upgrade\"}"
        ),
        1.0
    );
}

#[test]
fn a_taken_admin_address_stops_the_start() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let project = Project::wsgi(APP).also(&format!("[server]\nadmin = \"{address}\""));
    let finished = project.serve_in_vain();
    let pid = std::process::id();
    let name = fs::read_to_string("/proc/self/comm").unwrap();
    assert_eq!(
        finished.message(),
        format!(
            "error: cannot listen on `{address}`: process {pid} (`{}`) has it\n \
             --> project.toml:14: server.admin = \"{address}\"\n\
             hint: stop it (`kill {pid}`) or choose another port\n",
            name.trim()
        )
    );
    assert_eq!(finished.status, 3);
}

#[test]
fn an_admin_address_needs_a_host() {
    let project = Project::wsgi(APP).also("[server]\nadmin = \"9100\"");
    let finished = Finished::of(project.command("check"));
    let first = finished.stderr.lines().next().unwrap();
    assert_eq!(
        first,
        "error: project.toml:14:9: `server.admin` must be an address with a port, such as \"127.0.0.1:9100\", found `\"9100\"`"
    );
}
