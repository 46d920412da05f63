//! A running server, and one that has ended.

use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::http::{Connection, Response};
use super::project::Project;

/// Longer than any start or stop takes on a loaded machine; a bound, not a wait.
const PATIENCE: Duration = Duration::from_secs(180);

/// Polls until `found` finds something.
#[track_caller]
pub fn eventually<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(
            Instant::now() < deadline,
            "in {PATIENCE:?} there was no {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A running `appliance serve`. Stopped, and its log shown if the test panics, when dropped.
pub struct Appliance {
    child: Child,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    addresses: Vec<SocketAddr>,
    ended: Option<ExitStatus>,
    /// What it serves.
    pub project: Project,
}

impl Appliance {
    /// Starts the server and waits until it is ready.
    #[track_caller]
    pub fn start(project: Project) -> Appliance {
        let mut appliance = Appliance::launch(project, &[]);
        appliance.wait_until_ready();
        appliance
    }

    /// Starts `appliance serve` with further arguments and waits for nothing.
    pub fn launch(project: Project, arguments: &[&str]) -> Appliance {
        let mut command = project.command("serve");
        command.args(arguments);
        Appliance::spawn(project, command)
    }

    /// Starts a server by a command of the test's own and waits for nothing.
    pub fn spawn(project: Project, mut command: Command) -> Appliance {
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let reader = std::thread::spawn({
            let (mut stderr, log) = (child.stderr.take().unwrap(), Arc::clone(&log));
            move || copy_lines(&mut stderr, &log)
        });
        Appliance {
            child,
            log,
            reader: Some(reader),
            addresses: Vec::new(),
            ended: None,
            project,
        }
    }

    /// Waits until every worker is ready and the address is known.
    #[track_caller]
    pub fn wait_until_ready(&mut self) {
        self.addresses = eventually("ready server", || {
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "it did not start ({ended:?}):\n{}",
                self.log()
            );
            let log = self.log();
            log.contains("ready in ").then(|| reported_addresses(&log))
        });
    }

    /// Waits until the address is known: a worker without a supervisor reports no more.
    #[track_caller]
    pub fn wait_until_listening(&mut self) {
        self.addresses = eventually("listening server", || {
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "it did not start ({ended:?}):\n{}",
                self.log()
            );
            Some(reported_addresses(&self.log())).filter(|addresses| !addresses.is_empty())
        });
    }

    /// The same for a server whose log is in a file of its project.
    #[track_caller]
    pub fn wait_until_listening_by(&mut self, log: &str) {
        let path = self.project.path(log);
        self.addresses = eventually("listening server", || {
            let ended = self.child.try_wait().unwrap();
            let log = fs::read_to_string(&path).unwrap_or_default();
            assert!(
                ended.is_none(),
                "it did not start ({ended:?}):\n{}\n{log}",
                self.log()
            );
            Some(reported_addresses(&log)).filter(|addresses| !addresses.is_empty())
        });
    }

    /// The first address.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Every address, in the order of the log.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The address of its admin listener.
    #[track_caller]
    pub fn admin(&self) -> SocketAddr {
        let phrase = "health, metrics and status on http://";
        let log = self.log();
        let mut addresses = log
            .lines()
            .filter_map(|line| Some(line.split_once(phrase)?.1));
        addresses
            .next()
            .expect("it has an admin listener")
            .parse()
            .unwrap()
    }

    /// What `appliance status --json` says.
    #[track_caller]
    pub fn status(&self) -> serde_json::Value {
        let mut status = self.project.command("status");
        status.arg("--json");
        serde_json::from_str(&Finished::of(status).stdout).unwrap()
    }

    /// The processes that serve, by worker.
    #[track_caller]
    pub fn serving(&self) -> Vec<i32> {
        let status = self.status();
        let workers = status["workers"].as_array().unwrap().iter();
        let serving = workers.filter(|worker| worker["state"] == "serving");
        let mut serving: Vec<(i64, i32)> = serving
            .map(|worker| {
                let pid = i32::try_from(worker["pid"].as_i64().unwrap()).unwrap();
                (worker["worker"].as_i64().unwrap(), pid)
            })
            .collect();
        serving.sort_unstable();
        serving.into_iter().map(|(_, pid)| pid).collect()
    }

    /// Everything it has written to standard error so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the log holds `text`.
    #[track_caller]
    pub fn wait_for_log(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.log().contains(text) {
            assert!(
                Instant::now() < deadline,
                "`{text}` is not in the log:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A new connection.
    #[track_caller]
    pub fn connect(&self) -> Connection {
        Connection::open(self.address())
    }

    /// `GET path` on a connection of its own.
    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        let mut connection = self.connect();
        connection.send(format!(
            "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n"
        ));
        connection.response()
    }

    /// Sends bytes on a connection of its own and returns all that comes back until it closes.
    #[track_caller]
    pub fn exchange(&self, request: impl AsRef<[u8]>) -> Vec<u8> {
        let mut connection = self.connect();
        connection.send(request);
        connection.read_to_end()
    }

    /// The server's process: the supervisor, if there is one.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// The processes it has started, in the order of their ids.
    pub fn workers(&self) -> Vec<i32> {
        children(self.pid())
    }

    /// Sends a signal to the server's process.
    pub fn signal(&self, signal: i32) {
        send_signal(self.pid(), signal);
    }

    /// Sends a signal to one of its workers.
    pub fn signal_worker(&self, pid: i32, signal: i32) {
        assert!(
            self.workers().contains(&pid),
            "{pid} is no worker of this server"
        );
        send_signal(pid, signal);
    }

    /// The project of a server that has ended.
    #[track_caller]
    pub fn into_project(mut self) -> Project {
        assert!(self.ended.is_some(), "it still runs");
        // A value with a destructor cannot be taken apart.
        std::mem::replace(&mut self.project, Project::new(""))
    }

    /// Waits for the end. Its status: the exit status, or minus the signal.
    #[track_caller]
    pub fn wait(&mut self) -> i32 {
        let status = eventually("end of the server", || self.child.try_wait().unwrap());
        self.ended = Some(status);
        if let Some(reader) = self.reader.take() {
            // A process it left behind would hold the pipe: then the log stays as it is.
            let deadline = Instant::now() + Duration::from_secs(2);
            while !reader.is_finished() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        status_number(status)
    }

    /// Asks for a graceful stop and waits for the end.
    #[track_caller]
    pub fn stop(&mut self) -> i32 {
        self.signal(libc::SIGTERM);
        self.wait()
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        if self.ended.is_none() && matches!(self.child.try_wait(), Ok(None)) {
            // Its workers die with it.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- the server's log\n{}---", self.log());
        }
    }
}

/// An `appliance` that has ended.
#[derive(Debug)]
pub struct Finished {
    /// Exit status, or minus the signal.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Finished {
    /// Runs a command to its end, within a bound.
    #[track_caller]
    pub fn of(mut command: Command) -> Finished {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdout, stderr) = (Arc::default(), Arc::default());
        let readers = [
            std::thread::spawn({
                let (mut pipe, text) = (child.stdout.take().unwrap(), Arc::clone(&stdout));
                move || copy_lines(&mut pipe, &text)
            }),
            std::thread::spawn({
                let (mut pipe, text) = (child.stderr.take().unwrap(), Arc::clone(&stderr));
                move || copy_lines(&mut pipe, &text)
            }),
        ];
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                child.kill().unwrap();
                panic!("it did not end:\n{}", stderr.lock().unwrap());
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        for reader in readers {
            reader.join().unwrap();
        }
        let text = |text: Arc<Mutex<String>>| text.lock().unwrap().clone();
        Finished {
            status: status_number(status),
            stdout: text(stdout),
            stderr: text(stderr),
        }
    }

    /// Standard error without log lines: what a person reads in a message.
    pub fn message(&self) -> String {
        self.stderr
            .lines()
            .filter(|line| !is_log_line(line))
            .fold(String::new(), |text, line| text + line + "\n")
    }
}

/// `2026-01-31T12:00:00.123456Z  INFO …`
fn is_log_line(line: &str) -> bool {
    let time = line.split(' ').next().unwrap_or_default();
    time.len() == 27 && time.ends_with('Z') && time.as_bytes()[10] == b'T'
}

fn copy_lines(from: &mut impl Read, to: &Mutex<String>) {
    let mut buffer = [0; 4096];
    let mut held = Vec::new();
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        held.extend_from_slice(&buffer[..count]);
        // Whole lines, so that no character is cut in two.
        let complete = held
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let rest = held.split_off(complete);
        to.lock().unwrap().push_str(&String::from_utf8_lossy(&held));
        held = rest;
    }
    to.lock().unwrap().push_str(&String::from_utf8_lossy(&held));
}

fn reported_addresses(log: &str) -> Vec<SocketAddr> {
    log.lines()
        .filter_map(|line| line.split_once("listening on http"))
        .filter_map(|(_, url)| url.split_once("://"))
        .map(|(_, address)| address.trim().parse().unwrap())
        .collect()
}

fn status_number(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| -status.signal().unwrap())
}

/// The running children of a process.
pub fn children(parent: i32) -> Vec<i32> {
    let mut pids: Vec<i32> = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| parent_of(*pid) == Some(parent))
        .collect();
    pids.sort_unstable();
    pids
}

/// None for a process that is gone, or dead and only waited for.
fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    (state != "Z").then(|| fields.next()?.parse().ok())?
}

/// Whether a process runs.
pub fn is_running(pid: i32) -> bool {
    parent_of(pid).is_some()
}

/// By `kill`: tests have no need of unsafe code.
pub(super) fn send_signal(pid: i32, signal: i32) {
    let status = Command::new("kill")
        .args([format!("-{signal}"), pid.to_string()])
        .status()
        .unwrap();
    assert!(status.success());
    if signal == libc::SIGSTOP {
        // One of its threads has to run to hear of it; meanwhile the others go on.
        eventually("a process that has stopped", || {
            is_stopped(pid).then_some(())
        });
    }
}

/// Whether all of its threads have stopped.
fn is_stopped(pid: i32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    threads.flatten().all(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // The name before the state may hold anything.
        stat.rsplit_once(") ")
            .is_none_or(|(_, rest)| rest.starts_with('T'))
    })
}
