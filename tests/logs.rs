//! Where the log goes, and that no line is lost on its way.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use support::{Appliance, Connection, Finished, Project, eventually};

/// Prints a line for each request, by each way there is. Some lines are longer than what a pipe
/// takes whole (PIPE_BUF).
const APP: &str = r#"
import os, sys

print("imported by", os.getpid())

def application(environ, start_response):
    number = environ["PATH_INFO"].strip("/")
    padding = "x" * (9000 if number.endswith("7") else 40)
    # In one piece: of a line beyond 8 KB `print` would write the end by itself.
    sys.stdout.write(f"<out {number} {padding}>\n")
    sys.stderr.write(f"<err {number} {padding}>\n")
    environ["wsgi.errors"].write(f"<wsgi {number} {padding}>\n")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"#;

fn project(python: &str, server: &str) -> Project {
    Project::wsgi_with(python, APP).also(&format!("[server]\n{server}\n"))
}

/// Starts a server whose log is `site.log`.
#[track_caller]
fn start(project: Project) -> Appliance {
    let mut site = Appliance::launch(project, &[]);
    site.wait_until_listening_by("site.log");
    site
}

fn text(site: &Appliance, name: &str) -> String {
    fs::read_to_string(site.project.path(name)).unwrap_or_default()
}

#[track_caller]
fn wait_for_line(site: &Appliance, name: &str, line: &str) {
    eventually(line, || text(site, name).contains(line).then_some(()));
}

fn command(site: &Appliance, verb: &str) -> Finished {
    Finished::of(site.project.command(verb))
}

/// Requests with numbers of their own, until they are stopped.
struct Numbered {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
    next: Arc<AtomicUsize>,
}

impl Numbered {
    fn start(site: &Appliance) -> Numbered {
        let (stop, next) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let client = |_| {
            let (stop, next, address) = (Arc::clone(&stop), Arc::clone(&next), site.address());
            std::thread::spawn(move || {
                while !stop.load(Relaxed) {
                    let number = next.fetch_add(1, Relaxed);
                    let mut connection = Connection::open(address);
                    connection.send(format!(
                        "GET /{number} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n"
                    ));
                    assert_eq!(connection.response().status, 200);
                }
            })
        };
        Numbered {
            clients: (0..3).map(client).collect(),
            stop,
            next,
        }
    }

    fn asked(&self) -> usize {
        self.next.load(Relaxed)
    }

    #[track_caller]
    fn wait_for_more(&self, count: usize) {
        let wanted = self.asked() + count;
        eventually("requests", || (self.asked() >= wanted).then_some(()));
    }

    /// How many there were.
    #[track_caller]
    fn stop(self) -> usize {
        self.stop.store(true, Relaxed);
        for client in self.clients {
            client.join().unwrap();
        }
        self.next.load(Relaxed)
    }
}

/// All files of the project whose name begins with `site.log`, and one that `mv` has made.
fn all_logs(site: &Appliance) -> Vec<String> {
    let folder = site.project.path("site.log");
    let entries = fs::read_dir(folder.parent().unwrap()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("site.log")).collect()
}

/// Each request's three lines are there, once and whole, in whichever file.
#[track_caller]
fn assert_every_line_is_there(site: &Appliance, requests: usize) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for name in all_logs(site) {
        let text = text(site, &name);
        assert!(
            text.is_empty() || text.ends_with('\n'),
            "{name} ends in a line"
        );
        for line in text.lines().filter(|line| line.contains("x>")) {
            let at = line.find('<').unwrap();
            let mut words = line[at + 1..].split(' ');
            let (way, number) = (words.next().unwrap(), words.next().unwrap());
            let padding = if number.ends_with('7') { 9000 } else { 40 };
            let whole = format!("<{way} {number} {}>", "x".repeat(padding));
            let is_whole = line[at..] == whole;
            let shown = line.replace("x".repeat(40).as_str(), "~");
            assert!(is_whole, "a torn line in {name}: {way} {number}: {shown}");
            *seen.entry(format!("{way} {number}")).or_default() += 1;
        }
    }
    let once = seen.values().all(|count| *count == 1);
    assert!(once, "a line is there twice");
    assert_eq!(seen.len(), 3 * requests, "lines of {requests} requests");
}

#[test]
fn a_file_gets_all_that_is_said_and_printed() {
    let hook = "[hooks]\nbefore_start = [\"echo a hook; echo its fault >&2\"]";
    let mut site = start(project("", "log = \"site.log\"").also(hook));
    assert_eq!(site.get("/1").status, 200);
    // Nothing is held back until the server ends.
    wait_for_line(&site, "site.log", "<wsgi 1 ");
    wait_for_line(&site, "site.log", "<out 1 ");
    assert_eq!(site.stop(), 0);
    let log = text(&site, "site.log");
    let plain = [
        "a hook\n",
        "its fault\n",
        "imported by ",
        "<out 1 ",
        "<err 1 ",
    ];
    for line in plain {
        assert!(
            log.lines()
                .any(|found| format!("{found}\n").starts_with(line)),
            "{line}: {log}"
        );
    }
    for line in [
        " INFO supervisor: listening on http://",
        " INFO supervisor: worker ready worker=1 pid=",
        " WARN worker 1: <wsgi 1 ",
        " INFO supervisor: worker drained and gone worker=1",
        " INFO supervisor: stopped",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
    assert_eq!(site.log(), "");
}

#[test]
fn files_that_were_moved_away_are_opened_anew_and_no_line_is_lost() {
    let mut site = start(project("processes = 2", "log = \"site.log\""));
    let load = Numbered::start(&site);
    for round in 0..6 {
        load.wait_for_more(50);
        let (log, moved) = ("site.log", format!("site.log.moved{round}"));
        fs::rename(site.project.path(log), site.project.path(&moved)).unwrap();
        load.wait_for_more(10);
        match round % 2 {
            0 => {
                let finished = command(&site, "reopen");
                assert_eq!(
                    (finished.status, finished.stdout.as_str()),
                    (0, "1 log file opened anew\n")
                );
            }
            _ => site.signal(libc::SIGUSR1),
        }
        wait_for_line(&site, log, "log file opened anew");
    }
    let requests = load.stop();
    assert_eq!(site.stop(), 0);
    assert_every_line_is_there(&site, requests);
}

#[test]
fn large_files_are_begun_anew_and_no_line_is_lost() {
    let server = "log = \"site.log\"\nlog_max_size = \"64KB\"\nlog_keep = 1000";
    let mut site = start(project("processes = 2", server));
    let load = Numbered::start(&site);
    eventually("rotated files", || {
        (all_logs(&site).len() > 10).then_some(())
    });
    let requests = load.stop();
    assert_eq!(site.stop(), 0);
    for name in all_logs(&site) {
        let len = site.project.path(&name).metadata().unwrap().len();
        assert!(len <= 64 << 10, "{name} has {len} bytes");
    }
    assert_every_line_is_there(&site, requests);
}

#[test]
fn reloads_upgrades_and_dying_workers_lose_no_line_of_others() {
    let mut site = start(project("processes = 2", "log = \"site.log\""));
    let load = Numbered::start(&site);
    for verb in ["reload", "upgrade", "reload", "upgrade"] {
        load.wait_for_more(30);
        let finished = command(&site, verb);
        assert_eq!(finished.status, 0, "{finished:?}");
    }
    let requests = load.stop();
    assert_eq!(site.stop(), 0);
    assert_every_line_is_there(&site, requests);
}

/// A pipe that is full stops a writer in the middle of a line. Containers tend to have
/// `PYTHONUNBUFFERED`, with which Python would have no lock for its streams.
#[test]
fn lines_stay_whole_when_nobody_reads_for_a_while() {
    for unbuffered in ["", "1"] {
        let project = project("threads = 6", "log = \"site.log\"");
        let mut site = start(project.env("PYTHONUNBUFFERED", unbuffered));
        let mut asked = 0;
        for _ in 0..6 {
            asked = ask_while_nobody_reads(&site, asked);
        }
        assert_eq!(site.stop(), 0);
        let log = text(&site, "site.log");
        for number in (0..asked).map(|number| number * 10 + 7) {
            for way in ["out", "err"] {
                let line = format!("<{way} {number} {}>", "x".repeat(9000));
                let whole = log.lines().filter(|found| *found == line).count();
                assert_eq!(whole, 1, "{way} {number}, unbuffered: {unbuffered:?}");
            }
        }
    }
}

/// More long lines than pipes take. Returns the next number.
#[track_caller]
fn ask_while_nobody_reads(site: &Appliance, first: usize) -> usize {
    const REQUESTS: usize = 60;
    let mut all: Vec<Connection> = (0..REQUESTS).map(|_| site.connect()).collect();
    site.signal(libc::SIGSTOP);
    for (connection, number) in all.iter_mut().zip(first..) {
        let path = number * 10 + 7;
        connection.send(format!("GET /{path} HTTP/1.1\r\nhost: test\r\n\r\n"));
    }
    let is_answered = |connection: &mut Connection| {
        let soon = Some(Duration::from_millis(200));
        connection.stream().set_read_timeout(soon).unwrap();
        connection.try_response().is_some()
    };
    let unanswered = all
        .iter_mut()
        .position(|connection| !is_answered(connection));
    assert!(unanswered.is_some(), "the pipes take all of it");
    site.signal(libc::SIGCONT);
    let last = (first + REQUESTS - 1) * 10 + 7;
    for number in [last - 10, last] {
        wait_for_line(site, "site.log", &format!("<err {number} "));
    }
    first + REQUESTS
}

#[test]
fn a_full_disk_costs_lines_and_says_so_when_there_is_room() {
    let project = project("", "log = \"site.log\"");
    let path = project.path("site.log");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let mut site = Appliance::launch(project, &[]);
    let status = eventually("serving server", || {
        let finished = Finished::of({
            let mut status = site.project.command("status");
            status.arg("--json");
            status
        });
        let status: serde_json::Value = serde_json::from_str(&finished.stdout).ok()?;
        (status["state"] == "serving").then_some(status)
    });
    let address = status["addresses"][0].as_str().unwrap().parse().unwrap();
    for _ in 0..20 {
        let mut connection = Connection::open(address);
        assert_eq!(connection.get("/1").status, 200, "a print is no error");
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(command(&site, "reopen").status, 0);
    wait_for_line(
        &site,
        "site.log",
        "lines could not be written and are lost log=",
    );
    assert!(Connection::open(address).get("/2").status == 200);
    wait_for_line(&site, "site.log", "<err 2 ");
    assert!(!text(&site, "site.log").contains("<err 1 "));
    assert_eq!(site.stop(), 0);
}

#[test]
fn a_reload_takes_up_another_log_level_and_form() {
    let mut site = start(project("", "log = \"site.log\""));
    let settings = |site: &Appliance, log: &str, more: &str| {
        let toml = text(site, "project.toml");
        let (before, _) = toml.split_once("[server]").unwrap();
        let toml = format!("{before}[server]\nlog = \"{log}\"\n{more}\n");
        fs::write(site.project.path("project.toml"), toml).unwrap();
    };

    settings(
        &site,
        "other.log",
        "log_format = \"json\"\nlog_level = \"debug\"",
    );
    assert_eq!(command(&site, "reload").status, 0);
    site.get("/1");
    wait_for_line(&site, "other.log", "<out 1 ");
    assert!(text(&site, "other.log").contains("\"message\":\"reloaded\",\"generation\":2"));
    // Of the supervisor, which has taken up the level as well.
    assert_eq!(command(&site, "reload").status, 0);
    let debug = "\"level\":\"debug\",\"process\":\"supervisor\",\"message\":\"worker starting\"";
    wait_for_line(&site, "other.log", debug);
    let mut found = 0;
    for line in text(&site, "other.log").lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let message = line["message"].as_str().unwrap();
        let of_request = message.starts_with("<out 1") || message.starts_with("<err 1");
        if of_request || message.starts_with("<wsgi 1") {
            assert_eq!(line["process"], "worker 1");
            assert_eq!(line["level"], if of_request { "info" } else { "warn" });
            found += 1;
        }
    }
    assert_eq!(found, 3);

    settings(&site, "no/such.log", "");
    let finished = command(&site, "reload");
    assert_eq!(finished.status, 1, "{finished:?}");
    assert!(
        finished.stderr.contains("there is no folder"),
        "{finished:?}"
    );

    settings(&site, "stderr", "");
    assert_eq!(command(&site, "reload").status, 0);
    site.get("/2");
    site.wait_for_log("<wsgi 2 ");
    site.wait_for_log("<out 2 ");
    let before = text(&site, "other.log").len();
    assert_eq!(site.stop(), 0);
    assert!(site.log().contains("INFO supervisor: stopped"));
    assert!(!text(&site, "other.log")[before..].contains("stopped"));
}

#[test]
fn a_worker_without_a_supervisor_writes_its_file_itself() {
    for unbuffered in ["", "1"] {
        let project = project("", "log = \"site.log\"\nmaster = false");
        writes_its_file_itself(project.env("PYTHONUNBUFFERED", unbuffered));
    }
}

#[track_caller]
fn writes_its_file_itself(project: Project) {
    let mut site = Appliance::launch(project, &[]);
    site.wait_until_listening_by("site.log");
    eventually("answer", || {
        let mut connection = Connection::try_open(site.address()).ok()?;
        connection.try_send("GET /1 HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")?;
        connection.try_response()
    });
    wait_for_line(&site, "site.log", "<out 1 ");
    fs::rename(
        site.project.path("site.log"),
        site.project.path("site.log.old"),
    )
    .unwrap();
    site.signal(libc::SIGUSR1);
    wait_for_line(&site, "site.log", "worker 1: log file opened anew");
    site.get("/2");
    assert_eq!(site.stop(), 0);
    let (old, new) = (text(&site, "site.log.old"), text(&site, "site.log"));
    for (number, has, has_not) in [(1, &old, &new), (2, &new, &old)] {
        for way in ["out", "err", "wsgi"] {
            let line = format!("<{way} {number} ");
            assert!(has.contains(&line) && !has_not.contains(&line), "{line}");
        }
    }
}

#[test]
fn syslog_gets_each_line_by_udp_with_its_level() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let address = server.local_addr().unwrap();
    let log =
        format!("log = \"syslog://{address}\"\nlog_facility = \"local0\"\nlog_tag = \"shop\"");
    let mut site = Appliance::launch(project("", &log), &[]);
    let mut buffer = [0; 16 << 10];
    let mut next = || {
        let count = server.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..count].to_vec()).unwrap()
    };
    let mut listening = next();
    while !listening.contains("listening on http://") {
        listening = next();
    }
    assert!(listening.starts_with("<134>1 20"), "{listening}");
    assert!(listening.contains(&format!(" shop {} - - supervisor: listening", site.pid())));
    let address = listening.split("http://").nth(1).unwrap().parse().unwrap();
    assert_eq!(Connection::open(address).get("/1").status, 200);
    let mut of_request = Vec::new();
    while of_request.len() < 3 {
        let message = next();
        if message.contains(" 1 xxx") {
            let (head, text) = message.split_once(" - - ").unwrap();
            of_request.push(format!("{} {}", &head[..5], &text[..16]));
        }
    }
    of_request.sort();
    assert_eq!(
        of_request,
        [
            "<132> worker 1: <wsgi ",
            "<134> worker 1: <err 1",
            "<134> worker 1: <out 1"
        ]
    );
    assert_eq!(site.stop(), 0);
}

#[test]
fn syslog_at_a_socket_may_come_late() {
    let project = project("", "log = \"syslog:/tmp/none\"");
    let path = project.path("syslog.sock");
    let toml = fs::read_to_string(project.path("project.toml")).unwrap();
    let toml = toml.replace("/tmp/none", path.to_str().unwrap());
    fs::write(project.path("project.toml"), toml).unwrap();
    let mut site = Appliance::launch(project, &[]);
    let server = UnixDatagram::bind(&path).unwrap();
    server
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let mut buffer = [0; 16 << 10];
    // The ticks of the start may all have come too early; a stop is heard in any case.
    eventually("control socket", || {
        (command(&site, "status").status == 0).then_some(())
    });
    assert_eq!(site.stop(), 0);
    loop {
        let count = server.recv(&mut buffer).unwrap();
        let message = String::from_utf8(buffer[..count].to_vec()).unwrap();
        let start = format!(" appliance[{}]: supervisor: ", site.pid());
        assert!(message.starts_with('<'), "{message}");
        if message.contains(&start) {
            break;
        }
    }
}

#[test]
fn the_journal_gets_levels_in_place_of_times() {
    let project = project("", "log = \"stderr\"");
    let binary = env!("CARGO_BIN_EXE_appliance");
    let mut shell = std::process::Command::new("/bin/sh");
    let script = format!(
        "JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec {binary} serve project.toml"
    );
    shell.args(["-c", &script]).current_dir(project.path(""));
    shell
        .env_remove("APPLIANCE_TEST_PYTHON")
        .env_remove("RUST_LOG");
    let mut site = Appliance::spawn(project, shell);
    site.wait_until_ready();
    site.get("/1");
    site.wait_for_log("<4>worker 1: <wsgi 1 ");
    assert!(
        site.log()
            .contains("\n<6>supervisor: worker ready worker=1 ")
    );
    assert_eq!(site.stop(), 0);
}

#[test]
fn a_log_that_cannot_be_opened_ends_the_start() {
    let project = project("", "log = \"/proc/no.log\"");
    let finished = project.serve_in_vain();
    assert_eq!(finished.status, 3);
    let message = finished.message();
    let (first, rest) = message.split_once('\n').unwrap();
    assert!(
        first.starts_with("error: cannot open the log `/proc/no.log`: "),
        "{message}"
    );
    assert!(rest.contains("server.log = \"/proc/no.log\""), "{message}");
}

#[test]
fn reopen_has_nothing_to_do_without_files() {
    let site = Project::wsgi(APP).start();
    let finished = command(&site, "reopen");
    let said = "no log goes to a file: there is nothing to open anew\n";
    assert_eq!((finished.status, finished.stdout.as_str()), (0, said));
    site.signal(libc::SIGUSR1);
    assert_eq!(site.get("/1").status, 200);
}
