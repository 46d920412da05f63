//! `listen = "unix:…"`: the same answers, who the client is, and the life of the socket's file.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::Value;

use support::{Appliance, Connection, Finished, Project, eventually};

const APP: &str = include_str!("apps/environ.py");

const SITE: &str = "[[site]]\nlisten = [\"unix:run/site.sock\", \"127.0.0.1:0\"]\n\
                    access_log = \"access.log\"\naccess_log_format = \"$remote_addr $request_uri\"\n\
                    [site.routes]\n\"/\" = { wsgi = true }\n\"/files/\" = { files = \"files\" }\n";

fn project(server: &str) -> Project {
    let sites = format!("[server]\n{server}\n{SITE}");
    Project::with_sites(APP, "processes = 2", &sites)
        .file("files/large.bin", vec![b'x'; 3_000_000])
        .file("run/kept", "")
}

fn socket(site: &Appliance) -> PathBuf {
    site.project.path("run/site.sock")
}

fn connect(site: &Appliance) -> Connection {
    Connection::open_unix(&socket(site))
}

#[track_caller]
fn environ(site: &Appliance, fields: &str) -> Value {
    let mut connection = connect(site);
    connection.send(format!("GET /x HTTP/1.1\r\nhost: test\r\n{fields}\r\n"));
    serde_json::from_slice(connection.response().body()).unwrap()
}

#[test]
fn a_unix_socket_answers_as_an_address_does() {
    let mut site = project("").start();
    let file = fs::metadata(socket(&site)).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o660);
    let mut connection = connect(&site);
    let large = connection.get("/files/large.bin");
    assert!(large.body() == vec![b'x'; 3_000_000], "other bytes arrived");
    let told = connection.get("/a%20b?q");
    let told: Value = serde_json::from_slice(told.body()).unwrap();
    for (name, value) in [
        ("PATH_INFO", "/a b"),
        ("QUERY_STRING", "q"),
        ("REMOTE_ADDR", ""),
        ("SERVER_NAME", "localhost"),
        ("SERVER_PORT", "80"),
        ("wsgi.url_scheme", "http"),
    ] {
        assert_eq!(told[name], value, "{name}");
    }
    assert_eq!(told.get("REMOTE_PORT"), None);
    assert_eq!(site.get("/").status, 200);
    assert_eq!(site.stop(), 0);
    assert!(!socket(&site).exists(), "its file goes with the server");
    let log = fs::read_to_string(site.project.path("access.log")).unwrap();
    assert!(log.contains("unix: /a%20b?q\n"), "{log}");
    assert!(log.contains("127.0.0.1 /\n"), "{log}");
}

#[test]
fn only_trusted_peers_say_who_the_client_is() {
    const FORWARDED: &str = "x-forwarded-for: 192.0.2.7\r\nx-forwarded-proto: https\r\n";
    let site = project("").start();
    let told = environ(&site, FORWARDED);
    assert_eq!(told["REMOTE_ADDR"], "");
    assert_eq!(told.get("HTTP_X_FORWARDED_FOR"), None);
    let site = project("trusted_proxies = [\"unix:\"]\nsocket_mode = \"666\"").start();
    let told = environ(&site, FORWARDED);
    assert_eq!(told["REMOTE_ADDR"], "192.0.2.7");
    assert_eq!(told["wsgi.url_scheme"], "https");
    let mode = fs::metadata(socket(&site)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666);
}

#[test]
fn peers_of_a_socket_are_not_one_address() {
    let site = project("connections_per_address = 1").start();
    let mut connections: Vec<_> = (0..8).map(|_| connect(&site)).collect();
    for connection in &mut connections {
        assert_eq!(connection.get("/x").status, 200);
    }
}

#[test]
fn what_a_dead_server_left_is_taken_away() {
    let project = project("");
    let path = project.path("run/site.sock");
    drop(UnixListener::bind(&path).unwrap());
    let site = project.start();
    assert_eq!(connect(&site).get("/x").status, 200);
}

#[test]
fn what_is_somebody_elses_stops_the_start() {
    let says = |project: &Project, why: &str, hint: &str| {
        let finished = project.serve_in_vain();
        let path = project.path("run/site.sock");
        let path = path.display();
        let message = finished.message();
        let expected = format!("error: cannot listen on `unix:{path}`: {why}\n");
        assert!(message.starts_with(&expected), "{message}");
        assert!(message.contains("site.0.listen = "), "{message}");
        let hint = hint.replace("PATH", &path.to_string());
        let hint = format!("hint: {}\n", hint.replace("/site.sock/..", ""));
        assert!(message.ends_with(&hint), "{message}");
    };
    let taken = project("");
    let _other = UnixListener::bind(taken.path("run/site.sock")).unwrap();
    says(
        &taken,
        "another process answers there",
        "`ss -lxp src PATH` as root shows which one; or choose another path",
    );
    let foreign = project("").file("run/site.sock", "a file");
    says(
        &foreign,
        "there is a file that is no socket",
        "remove it, or choose another path",
    );
    assert_eq!(fs::read(foreign.path("run/site.sock")).unwrap(), b"a file");
    let missing = project("");
    fs::remove_dir_all(missing.path("run")).unwrap();
    says(
        &missing,
        "its folder does not exist",
        "create `PATH/..`, or let systemd do so: `RuntimeDirectory=`",
    );
}

#[test]
fn a_reload_changes_the_rights_of_the_socket_and_closes_nothing() {
    let mut site = project("socket_mode = \"600\"").start();
    let path = socket(&site);
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    let inode = fs::metadata(&path).unwrap().ino();
    assert_eq!(mode(), 0o600);
    let set = |mode: &str| {
        let file = site.project.path("project.toml");
        let toml = fs::read_to_string(&file).unwrap();
        let line = toml.lines().find(|line| line.starts_with("socket_mode"));
        let changed = toml.replace(line.unwrap(), &format!("socket_mode = {mode:?}"));
        fs::write(file, changed).unwrap();
    };
    let mut open = connect(&site);
    set("666");
    let reloaded = Finished::of(site.project.command("reload"));
    assert_eq!(reloaded.status, 0, "{reloaded:?}");
    assert_eq!(mode(), 0o666);
    assert_eq!(open.get("/x").status, 200);

    // One that fails changes nothing, and an upgrade does what a reload does.
    set("620");
    let app = site.project.path("app.py");
    fs::write(&app, "import gone").unwrap();
    assert_eq!(Finished::of(site.project.command("reload")).status, 3);
    assert_eq!(mode(), 0o666);
    fs::write(&app, APP).unwrap();
    let upgraded = Finished::of(site.project.command("upgrade"));
    assert_eq!(upgraded.status, 0, "{upgraded:?}");
    assert_eq!(mode(), 0o620);
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    assert_eq!(connect(&site).get("/x").status, 200);
    assert_eq!(site.stop(), 0);
    assert!(!path.exists());
}

#[test]
fn the_socket_outlives_reloads_upgrades_and_workers() {
    let mut site = project("").start();
    let path = socket(&site);
    let inode = || fs::metadata(&path).unwrap().ino();
    let first = inode();
    let (over, lost) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let load = std::thread::spawn({
        let (path, over, lost) = (path.clone(), Arc::clone(&over), Arc::clone(&lost));
        move || {
            let mut answered = 0;
            while !over.load(Ordering::Relaxed) {
                let mut connection = Connection::open_unix(&path);
                connection.try_send("GET /x HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
                match connection.try_response() {
                    Some(response) => assert_eq!(response.status, 200),
                    None => _ = lost.fetch_add(1, Ordering::Relaxed),
                }
                answered += 1;
            }
            answered
        }
    });
    site.signal(libc::SIGHUP);
    site.wait_for_log("reloaded generation=2 ");
    let two_workers = || (site.workers().len() == 2).then_some(());
    eventually("the old workers gone", two_workers);
    assert_eq!(lost.load(Ordering::Relaxed), 0);
    site.signal_worker(site.workers()[0], libc::SIGKILL);
    eventually("two workers", two_workers);
    let mut upgrade = site.project.command("upgrade");
    upgrade.arg("--binary").arg(env!("CARGO_BIN_EXE_appliance"));
    let done = Finished::of(upgrade);
    assert_eq!(done.status, 0, "{done:?}");
    over.store(true, Ordering::Relaxed);
    let answered = load.join().unwrap();
    assert!(answered > 20, "{answered}");
    let lost = lost.load(Ordering::Relaxed);
    assert!(
        lost <= 1,
        "{lost} lost, where one died with its worker at most"
    );
    assert_eq!(inode(), first, "the same socket all the time");

    // A reload without it takes it away.
    let toml = fs::read_to_string(site.project.path("project.toml")).unwrap();
    let toml = toml.replace("run/site.sock", "run/other.sock");
    fs::write(site.project.path("project.toml"), toml).unwrap();
    site.signal(libc::SIGHUP);
    let other = site.project.path("run/other.sock");
    eventually("the other socket", || UnixStream::connect(&other).ok());
    eventually("the end of the first", || (!path.exists()).then_some(()));
    assert_eq!(site.stop(), 0);
    assert!(!other.exists());
}
