//! `appliance top`: workers and running requests with their Python line, and what its keys do.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use support::{
    Appliance, Connection, Finished, Load, Project, Question, eventually, test_interpreter,
};

const APP: &str = include_str!("apps/top.py");
const TIMEOUTS: &str = include_str!("apps/timeouts.py");

const QUESTIONS: [Question; 2] = [("/one", "hello from"), ("/two", "hello from")];

/// Where `wait` sleeps.
fn line() -> String {
    let lines = APP.lines();
    let line = lines
        .take_while(|line| !line.contains("# the line"))
        .count()
        + 1;
    format!("app.py:{line} wait")
}

fn begin(site: &Appliance, path: &str) -> Connection {
    let mut connection = site.connect();
    connection.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n"));
    connection
}

/// Lets what is slow go on, and sees that it was answered.
#[track_caller]
fn finish(site: &Appliance, connections: Vec<Connection>) {
    fs::write(site.project.path("go"), "").unwrap();
    for mut connection in connections {
        assert_eq!(connection.response().status, 200);
    }
}

/// A frame, of half a second.
#[track_caller]
fn frame(site: &Appliance) -> String {
    let mut command = site.project.command("top");
    command.args(["--once", "--interval", "0.5"]);
    let finished = Finished::of(command);
    assert_eq!((finished.status, finished.stderr.as_str()), (0, ""));
    finished.stdout
}

/// The first frame that is as it should be.
#[track_caller]
fn frame_with(site: &Appliance, texts: &[&str]) -> String {
    let mut last = String::new();
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        last = frame(site);
        if texts.iter().all(|text| last.contains(text)) {
            return last;
        }
    }
    panic!("no frame has {texts:?}:\n{last}");
}

/// `appliance top` on a terminal of 80 columns and 24 lines.
struct Terminal {
    process: Child,
    keys: Option<ChildStdin>,
    written: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    fn open(site: &Appliance, environment: &[(&str, &str)]) -> Terminal {
        let top = site.project.command("top");
        let helper = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/support/terminal.py"
        );
        let mut process = Command::new(test_interpreter())
            .args([helper, "80", "24"])
            .arg(top.get_program())
            .args(top.get_args())
            .args(["--interval", "0.2"])
            .current_dir(site.project.path("."))
            .env_remove("NO_COLOR")
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = process.stdout.take().unwrap();
        let written = Arc::new(Mutex::new(Vec::new()));
        let copy = Arc::clone(&written);
        let reader = std::thread::spawn(move || {
            let mut block = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut block) {
                copy.lock().unwrap().extend_from_slice(&block[..count]);
            }
        });
        Terminal {
            keys: process.stdin.take(),
            process,
            written,
            reader: Some(reader),
        }
    }

    fn raw(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap()).into_owned()
    }

    /// What stands on it.
    fn text(&self) -> String {
        let mut cells = vec![vec![' '; 80]; 24];
        let (mut line, mut column) = (0, 0);
        let raw = self.raw();
        let mut pieces = raw.split("\u{1b}[");
        pieces.next();
        for piece in pieces {
            let end = piece.find(|end: char| end.is_ascii_alphabetic());
            let Some(end) = end else { break };
            let numbers = piece[..end]
                .split(';')
                .map(|number| number.parse().unwrap_or(1));
            let numbers: Vec<usize> = numbers.collect();
            match (&piece[end..=end], numbers.as_slice()) {
                ("H", [to_line, to_column]) => (line, column) = (to_line - 1, to_column - 1),
                ("J", _) => cells = vec![vec![' '; 80]; 24],
                _ => {}
            }
            for character in piece[end + 1..].chars() {
                if let Some(cell) = cells.get_mut(line).and_then(|line| line.get_mut(column)) {
                    *cell = character;
                }
                column += 1;
            }
        }
        cells.iter().fold(String::new(), |text, line| {
            text + String::from_iter(line).trim_end() + "\n"
        })
    }

    #[track_caller]
    fn wait_for(&self, wanted: &str) {
        eventually(wanted, || self.text().contains(wanted).then_some(()));
    }

    fn press(&mut self, keys: &str) {
        let stdin = self.keys.as_mut().unwrap();
        stdin.write_all(keys.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    #[track_caller]
    fn leave(mut self) -> String {
        self.press("q");
        let status = eventually("end", || self.process.try_wait().unwrap());
        self.reader.take().unwrap().join().unwrap();
        assert_eq!(status.code(), Some(0));
        self.raw()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Ok(None) = self.process.try_wait() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- the terminal\n{}---", self.text());
        }
    }
}

#[test]
fn a_running_request_is_seen_with_the_line_it_is_at() {
    let site = Project::wsgi_with("processes = 2\nthreads = 2", APP).start();
    assert_eq!(site.get("/").status, 200);
    let slow = vec![
        begin(&site, "/slow?token=secret"),
        begin(&site, "/slow/%1b[2J"),
    ];
    let frame = frame_with(&site, &["/slow?token=secret", "/slow/%1b[2J"]);
    assert_eq!(frame.matches(&line()).count(), 2, "{frame}");
    assert!(frame.contains("127.0.0.1"), "{frame}");
    assert!(frame.contains("threads 2/4"), "{frame}");
    for pid in site.workers() {
        assert!(frame.contains(&format!(" {pid} serving ")), "{frame}");
    }
    finish(&site, slow);
    frame_with(&site, &["no request runs", "threads 0/4"]);
}

#[test]
fn the_admin_listener_tells_of_requests_when_it_is_asked_and_keeps_queries_to_itself() {
    let site = Project::wsgi(APP)
        .also("[server]\nadmin = \"127.0.0.1:0\"")
        .start();
    let admin = site.admin();
    let slow = vec![begin(&site, "/slow/path?token=secret")];
    let requests = eventually("running request", || {
        let answer = Connection::open(admin).get("/status?requests");
        assert!(!answer.text().contains("secret"), "{}", answer.text());
        let status: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        let requests = status["workers"][0]["requests"].clone();
        requests.get(0).is_some().then_some(requests)
    });
    assert_eq!(requests[0]["url"], "/slow/path?…");
    assert_eq!(requests[0]["at"]["function"], "wait");
    let answer = Connection::open(admin).get("/status");
    let status: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(status["workers"][0]["requests"], serde_json::Value::Null);
    assert!(status["workers"][0]["cpu_seconds"].as_f64().unwrap() > 0.0);
    finish(&site, slow);
}

#[test]
fn a_worker_that_drains_says_what_it_waits_for() {
    let site = Project::wsgi(APP).start();
    let slow = vec![begin(&site, "/slow")];
    frame_with(&site, &["/slow"]);
    assert_eq!(Finished::of(site.project.command("reload")).status, 0);
    let frame = frame_with(&site, &[" draining ", " serving ", &line()]);
    assert!(frame.contains("1 reload"), "{frame}");
    finish(&site, slow);
}

#[test]
fn who_keeps_the_gil_in_c_code_is_named_and_nobody_waits_for_it() {
    let python = "threads = 2\ntimeout_grace = \"60s\"\nrequest_timeout = \"60s\"";
    let site = Project::wsgi_with(python, TIMEOUTS).start();
    let mut keeper = begin(&site, "/keep-gil?2");
    let frame = frame_with(&site, &["in C code, keeps the GIL"]);
    assert!(frame.contains("/keep-gil?2"), "{frame}");
    // On a busy machine its two seconds of a processor take a while.
    frame_with(&site, &["no request runs"]);
    assert_eq!(keeper.response().status, 200);
}

#[test]
fn a_traceback_is_shown_and_logged_and_the_terminal_given_back() {
    let site = Project::wsgi(APP).start();
    let slow = vec![begin(&site, "/slow/basket")];
    frame_with(&site, &["/slow/basket"]);
    let mut terminal = Terminal::open(&site, &[]);
    terminal.wait_for("/slow/basket");
    terminal.wait_for(&line());
    assert!(terminal.raw().contains("\u{1b}[38;5;"), "no colour");
    terminal.press("\u{1b}[Bt");
    terminal.wait_for("time.sleep(0.02)  # the line");
    site.wait_for_log("a traceback was asked for: GET /slow/basket (request ");
    site.wait_for_log("# the line");
    terminal.press("q?");
    terminal.wait_for("its successor first, then it drains");
    terminal.press("q");
    let last = terminal.leave();
    assert!(last.contains("\u{1b}[?1049l"), "{}", last.escape_debug());
    finish(&site, slow);
}

/// Runs what it is given on a terminal that does not control it, and takes that away.
const VANISHING_TERMINAL: &str = "
import fcntl, os, pty, struct, subprocess, sys, termios
ours, terminal = pty.openpty()
fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))
top = subprocess.Popen(sys.argv[1:], stdin=terminal, stdout=terminal, stderr=terminal)
os.close(terminal)
written = b''
while b'requests/s' not in written:
    written += os.read(ours, 65536)
os.close(ours)
try:
    top.wait(20)
except subprocess.TimeoutExpired:
    top.kill()
    sys.exit('it goes on without a terminal')
";

#[test]
fn it_ends_with_its_terminal() {
    let site = Project::wsgi(APP).start();
    let top = site.project.command("top");
    let ended = Command::new(test_interpreter())
        .args(["-c", VANISHING_TERMINAL])
        .arg(top.get_program())
        .args(top.get_args())
        .env("TERM", "xterm-256color")
        .current_dir(site.project.path("."))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{error}");
}

#[test]
fn a_worker_is_recycled_and_none_of_the_load_is_lost() {
    let site = Project::wsgi_with("processes = 2\nthreads = 2", APP).start();
    let before = site.workers();
    let load = Load::start(site.address(), &QUESTIONS);
    let mut terminal = Terminal::open(&site, &[("NO_COLOR", "1")]);
    terminal.wait_for("serving");
    assert!(!terminal.raw().contains("\u{1b}[38;5;"), "colour");
    for _ in 0..2 {
        let done = site.log().matches("worker replaced; it drains").count();
        terminal.press("r");
        terminal.wait_for("recycle worker 1");
        terminal.press("y");
        eventually("replacement", || {
            let log = site.log();
            (log.matches("worker replaced; it drains").count() > done).then_some(())
        });
        // Whoever is chosen is now the successor, when it has been seen.
        std::thread::sleep(Duration::from_millis(500));
        terminal.press("\u{1b}[H");
    }
    // The one of the slot that was left alone.
    assert!(site.workers().contains(&before[1]) || site.workers().contains(&before[0]));
    terminal.leave();
    let counted = load.stop();
    assert!(counted.failed.is_empty(), "{counted:?}");
    assert!(counted.answered > 100, "{counted:?}");
    println!(
        "{} answered, slowest {:?}",
        counted.answered, counted.slowest
    );
    assert!(frame(&site).contains("2 recycle"), "{}", frame(&site));
}

#[test]
fn a_worker_is_drained_while_the_other_serves_and_its_successor_follows() {
    let site = Project::wsgi_with("processes = 2\nthreads = 2", APP).start();
    let before = site.workers();
    let load = Load::start(site.address(), &QUESTIONS);
    let mut terminal = Terminal::open(&site, &[]);
    terminal.wait_for("serving");
    terminal.press("d");
    terminal.wait_for("drain worker 1");
    terminal.press("y");
    site.wait_for_log("draining a worker as asked; its successor follows it");
    eventually("successor", || {
        let workers = site.workers();
        let successor = workers.iter().any(|pid| !before.contains(pid));
        (workers.len() == 2 && successor).then_some(())
    });
    frame_with(&site, &["1 drain"]);
    terminal.leave();
    let counted = load.stop();
    assert!(counted.failed.is_empty(), "{counted:?}");
    assert!(counted.answered > 100, "{counted:?}");
    println!(
        "{} answered, slowest {:?}",
        counted.answered, counted.slowest
    );
}

#[test]
fn the_only_worker_is_not_drained() {
    let site = Project::wsgi(APP).start();
    let mut terminal = Terminal::open(&site, &[]);
    terminal.wait_for("serving");
    terminal.press("dy");
    terminal.wait_for("hint: recycle it, which starts its successor first");
    terminal.press("q");
    terminal.leave();
    assert_eq!(site.get("/").status, 200);
}

#[test]
fn without_a_terminal_or_a_server_it_says_what_to_do() {
    let site = Project::wsgi(APP).start();
    let finished = Finished::of(site.project.command("top"));
    assert_eq!(finished.status, 2);
    assert_eq!(
        finished.stderr,
        "error: `appliance top` needs a terminal\n\
         hint: `appliance top --once` prints one frame, `appliance status --json` everything\n"
    );
    let project = Project::wsgi(APP);
    let mut command = project.command("top");
    command.arg("--once");
    let finished = Finished::of(command);
    assert_eq!(finished.status, 5);
    assert!(
        finished
            .stderr
            .starts_with("error: no server of this project is running\nhint: "),
        "{finished:?}"
    );
}
