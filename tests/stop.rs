//! Who connects while a server stops gets an answer, or is refused. Nobody is reset after that.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use support::{Appliance, Connection, Finished, Load, Project, eventually};

/// `/slow` keeps its worker for a while after the stop, `/held` for as long as there is no `go`.
const APP: &str = r#"
import os, time

def application(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        with open("running", "w"):
            pass
        time.sleep(2)
    if environ["PATH_INFO"] == "/held":
        open("running", "w").close()
        while not os.path.exists("go"):
            time.sleep(0.01)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"#;

#[derive(Debug, Clone)]
enum Door {
    Address(SocketAddr),
    Path(PathBuf),
}

impl Door {
    fn knock(&self) -> std::io::Result<Connection> {
        match self {
            Door::Address(address) => Connection::try_open(*address),
            Door::Path(path) => Connection::try_open_unix(path),
        }
    }
}

/// What has become of connections that were made one after the other, as fast as possible.
#[derive(Debug, Default)]
struct Seen {
    answered: usize,
    refused: usize,
    lost: Vec<String>,
}

/// Clients that open a connection for each request until they are refused, or stopped.
struct Newcomers {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Seen>>,
}

impl Newcomers {
    fn at(door: &Door) -> Newcomers {
        const CLIENTS: usize = 6;
        let stop = Arc::new(AtomicBool::new(false));
        let clients = (0..CLIENTS).map(|_| {
            let (door, stop) = (door.clone(), Arc::clone(&stop));
            std::thread::spawn(move || knock(&door, &stop))
        });
        Newcomers {
            clients: clients.collect(),
            stop,
        }
    }

    fn end(mut self) -> Seen {
        self.stop.store(true, Relaxed);
        let mut all = Seen::default();
        for client in self.clients.drain(..) {
            let one = client.join().unwrap();
            all.answered += one.answered;
            all.refused += one.refused;
            all.lost.extend(one.lost);
        }
        all
    }

    /// Waits until all were refused.
    fn until_refused(self) -> Seen {
        eventually("end of the clients", || {
            let mut clients = self.clients.iter();
            clients.all(JoinHandle::is_finished).then_some(())
        });
        self.end()
    }
}

/// A test that fails on the way leaves no client behind.
impl Drop for Newcomers {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}

fn knock(door: &Door, stop: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    while !stop.load(Relaxed) {
        let mut connection = match door.knock() {
            Ok(connection) => connection,
            Err(error) if is_refusal(&error) => {
                seen.refused += 1;
                break;
            }
            Err(error) => {
                seen.lost.push(error.to_string());
                break;
            }
        };
        let request = "GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
        let response = connection
            .try_send(request)
            .and_then(|()| connection.try_response());
        match response {
            Some(response) if response.complete && response.text() == "hello" => seen.answered += 1,
            other => seen
                .lost
                .push(format!("after {}: {other:?}", seen.answered)),
        }
    }
    seen
}

fn is_refusal(error: &std::io::Error) -> bool {
    // The file of a unix socket may be gone.
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::NotFound
    )
}

/// Stops it under a load of new connections, while a request runs on.
#[track_caller]
fn stop_under_load(mut site: Appliance, door: &Door) -> Appliance {
    let mut slow = door.knock().unwrap();
    slow.send("GET /slow HTTP/1.1\r\nhost: test\r\n\r\n");
    let running = site.project.path("running");
    eventually("slow request", || running.exists().then_some(()));
    let newcomers = Newcomers::at(door);
    std::thread::sleep(Duration::from_millis(300));
    site.signal(libc::SIGTERM);
    let asked = Instant::now();
    let seen = newcomers.until_refused();
    let refused_after = asked.elapsed();
    assert_eq!(slow.response().text(), "hello");
    assert_eq!(site.wait(), 0);
    assert!(seen.answered > 100, "{seen:?}");
    assert!(seen.lost.is_empty(), "{} lost: {seen:?}", seen.lost.len());
    assert!(refused_after < Duration::from_secs(20), "{refused_after:?}");
    site
}

fn project(server: &str, listen: &str) -> Project {
    let processes = if server.contains("master") { 1 } else { 2 };
    let sites = format!(
        "[server]\n{server}\n[[site]]\nlisten = [{listen}]\n[site.routes]\n\"/\" = {{ wsgi = true }}\n"
    );
    let python = format!("processes = {processes}\nthreads = 2");
    Project::with_sites(APP, &python, &sites)
}

#[test]
fn a_stop_resets_no_connection_that_was_made() {
    let mut project = project("", "\"127.0.0.1:0\"");
    for _ in 0..3 {
        let site = project.start();
        let door = Door::Address(site.address());
        project = stop_under_load(site, &door).into_project();
        std::fs::remove_file(project.path("running")).unwrap();
    }
}

#[test]
fn nor_does_one_without_a_supervisor() {
    let mut site = Appliance::launch(project("master = false", "\"127.0.0.1:0\""), &[]);
    site.wait_until_listening();
    let door = Door::Address(site.address());
    stop_under_load(site, &door);
}

#[test]
fn nor_does_one_at_a_unix_socket() {
    let site = project("", "\"unix:site.sock\", \"127.0.0.1:0\"").start();
    let door = Door::Path(site.project.path("site.sock"));
    stop_under_load(site, &door);
}

#[test]
fn an_address_is_free_before_the_last_request_has_ended() {
    let mut site = project("", "\"127.0.0.1:0\"").start();
    let address = site.address();
    let mut slow = site.connect();
    slow.send("GET /held HTTP/1.1\r\nhost: test\r\n\r\n");
    let running = site.project.path("running");
    eventually("request", || running.exists().then_some(()));
    site.signal(libc::SIGTERM);
    eventually("refusal", || {
        Connection::try_open(address)
            .is_err_and(|error| is_refusal(&error))
            .then_some(())
    });
    // The one with the request stays.
    eventually("end of the other worker", || {
        (site.workers().len() == 1).then_some(())
    });
    std::fs::write(site.project.path("go"), "").unwrap();
    assert_eq!(slow.response().text(), "hello");
    assert_eq!(site.wait(), 0);
}

/// A reload that gives an address up.
#[test]
fn an_address_that_is_given_up_resets_nobody_either() {
    let mut site = project("", "\"127.0.0.1:0\", \"127.0.0.2:0\", \"unix:site.sock\"").start();
    let kept = site.addresses()[0];
    let given_up = [
        Door::Address(site.addresses()[1]),
        Door::Path(site.project.path("site.sock")),
    ];
    let load = Load::start(kept, &[("/", "hello")]);
    let newcomers = given_up.each_ref().map(Newcomers::at);
    std::thread::sleep(Duration::from_millis(200));
    let file = site.project.path("project.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace(", \"127.0.0.2:0\", \"unix:site.sock\"", "");
    std::fs::write(&file, text).unwrap();
    let reloaded = Finished::of(site.project.command("reload"));
    assert_eq!(reloaded.status, 0, "{reloaded:?}");
    for newcomers in newcomers {
        let seen = newcomers.until_refused();
        assert!(seen.answered > 50, "{seen:?}");
        assert!(seen.lost.is_empty(), "{} lost: {seen:?}", seen.lost.len());
    }
    let counted = load.stop();
    assert!(counted.failed.is_empty(), "{counted:?}");
    assert!(!Path::new(&site.project.path("site.sock")).exists());
    assert_eq!(site.stop(), 0);
}

/// Becomes the command that it is given, with its standard input as the service manager's socket.
const ACTIVATE: &str = "
import os, sys
os.dup2(0, 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')
os.execv(sys.argv[1], sys.argv[1:])
";

/// The socket listens on, so what comes between two runs waits for the next.
#[test]
fn a_service_managers_socket_loses_nobody_across_restarts() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut project = project("", &format!("\"{address}\""));
    let mut newcomers = Some(Newcomers::at(&Door::Address(address)));
    for run in 1..=3 {
        let serve = project.command("serve");
        let mut command = Command::new("/usr/bin/python3");
        command
            .args(["-c", ACTIVATE])
            .arg(serve.get_program())
            .args(serve.get_args())
            .current_dir(project.path(""))
            .env_remove("APPLIANCE_TEST_PYTHON")
            .stdin(Stdio::from(OwnedFd::from(listener.try_clone().unwrap())));
        let mut site = Appliance::spawn(project, command);
        site.wait_until_ready();
        std::thread::sleep(Duration::from_millis(200));
        if run == 3 {
            let seen = newcomers.take().unwrap().end();
            assert!(seen.answered > 100, "{seen:?}");
            assert!(seen.refused == 0 && seen.lost.is_empty(), "{seen:?}");
        }
        assert_eq!(site.stop(), 0);
        project = site.into_project();
    }
}
