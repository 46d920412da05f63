//! One worker's process and the socket to it, turned into events.

use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use appliance_project::wire::{FromWorker, ToWorker};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::process::Child;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use crate::event::Event;
use crate::sys;

/// Counts every worker ever started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct WorkerId(pub(crate) u64);

/// What a worker's process did.
#[derive(Debug)]
pub(crate) enum What {
    /// It sent a message.
    Said(FromWorker),
    /// It has closed its end of the socket: it is gone, or as good as.
    HungUp,
    /// It is gone; always its last event.
    Exited(Exit),
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
}

impl Exit {
    pub(crate) fn of(status: ExitStatus) -> Exit {
        match (status.code(), status.signal()) {
            (Some(code), _) => Exit::Status(code),
            (None, signal) => Exit::Signal(signal.unwrap_or_default()),
        }
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Exit::Status(code) => write!(f, "exit status {code}"),
            Exit::Signal(number) => match signal_name(*number) {
                Some(name) => f.write_str(name),
                None => write!(f, "signal {number}"),
            },
        }
    }
}

/// The signals that end processes.
fn signal_name(number: i32) -> Option<&'static str> {
    Some(match number {
        libc::SIGABRT => "SIGABRT",
        libc::SIGALRM => "SIGALRM",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGHUP => "SIGHUP",
        libc::SIGILL => "SIGILL",
        libc::SIGINT => "SIGINT",
        libc::SIGKILL => "SIGKILL",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGSYS => "SIGSYS",
        libc::SIGTERM => "SIGTERM",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGUSR1 => "SIGUSR1",
        libc::SIGUSR2 => "SIGUSR2",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        _ => return None,
    })
}

/// The supervisor's way to speak to a worker, and to end it.
#[derive(Debug)]
pub(crate) struct Control {
    to_worker: std::os::unix::net::UnixStream,
    kill: Option<oneshot::Sender<()>>,
}

impl Control {
    /// Sends `message`. A worker that cannot hear it is gone or as good as: its exit, or the
    /// time-out that follows a stop, says so. (Messages are few and short: the socket's buffer
    /// takes them whole, or the worker has not read for a long time.)
    pub(crate) fn send(&self, message: &ToWorker) {
        let line = match serde_json::to_vec(message) {
            Ok(mut line) => {
                line.push(b'\n');
                line
            }
            Err(error) => return tracing::error!(%error, "a message cannot be written"),
        };
        match (&self.to_worker).write(&line) {
            Ok(written) if written == line.len() => {}
            Ok(_) => tracing::warn!("a worker does not read its messages"),
            Err(error) => tracing::debug!(%error, "a worker does not listen"),
        }
    }

    /// The descriptor of the socket, for a handover.
    pub(crate) fn fd(&self) -> RawFd {
        self.to_worker.as_raw_fd()
    }

    /// Ends the process at once, if it has not ended by itself. Whoever waits for the child does
    /// it: there the process id cannot have become somebody else's.
    pub(crate) fn kill(&mut self) {
        if let Some(kill) = self.kill.take() {
            let _ = kill.send(());
        }
    }
}

/// A child: one that this program has started, or one that its process had when it became this
/// program.
#[derive(Debug)]
pub(crate) enum Process {
    Child(Child),
    Adopted { pid: u32, children_end: Signal },
}

impl Process {
    pub(crate) fn adopted(pid: u32) -> io::Result<Process> {
        Ok(Process::Adopted {
            pid,
            children_end: signal(SignalKind::child())?,
        })
    }

    /// Waits for its end; losing the race in a `select!` loses nothing.
    async fn wait(&mut self) -> io::Result<ExitStatus> {
        match self {
            Process::Child(child) => child.wait().await,
            Process::Adopted { pid, children_end } => loop {
                if let Some(status) = sys::reap(*pid)? {
                    return Ok(status);
                }
                children_end.recv().await;
            },
        }
    }

    fn kill(&mut self) -> io::Result<()> {
        match self {
            Process::Child(child) => child.start_kill(),
            Process::Adopted { pid, .. } => match i32::try_from(*pid) {
                Ok(pid) => sys::kill(pid, libc::SIGKILL),
                Err(_) => Err(io::ErrorKind::InvalidInput.into()),
            },
        }
    }
}

/// Follows a worker: its messages, then its end, go to `events`.
pub(crate) fn follow(
    worker: WorkerId,
    process: Process,
    socket: std::os::unix::net::UnixStream,
    events: UnboundedSender<Event>,
) -> io::Result<Control> {
    socket.set_nonblocking(true)?;
    let to_worker = socket.try_clone()?;
    let lines = BufReader::new(UnixStream::from_std(socket)?).lines();
    let (kill, killed) = oneshot::channel();
    tokio::spawn(
        Follower {
            worker,
            process,
            lines,
            events,
        }
        .run(killed),
    );
    Ok(Control {
        to_worker,
        kill: Some(kill),
    })
}

struct Follower {
    worker: WorkerId,
    process: Process,
    lines: Lines<BufReader<UnixStream>>,
    events: UnboundedSender<Event>,
}

impl Follower {
    async fn run(mut self, mut killed: oneshot::Receiver<()>) {
        let mut open = true;
        let mut may_be_killed = true;
        let status = loop {
            tokio::select! {
                // Messages before the end: a worker that failed says why and exits.
                biased;
                line = self.lines.next_line(), if open => {
                    open = self.said(line);
                    if !open {
                        // Whoever covers its slot is told before it is waited for: where others
                        // look at its threads in /proc, `wait4` may take half a second. (It spins
                        // until what they have looked at is freed, by a thread of the dead process
                        // that has a lower priority.)
                        self.report(What::HungUp);
                        tokio::task::yield_now().await;
                    }
                }
                status = self.process.wait() => break status,
                order = &mut killed, if may_be_killed => {
                    may_be_killed = false;
                    if order.is_ok() {
                        self.kill();
                    }
                }
            }
        };
        self.last_words().await;
        let exit = status.map_or(Exit::Status(-1), Exit::of);
        self.report(What::Exited(exit));
    }

    fn kill(&mut self) {
        if let Err(error) = self.process.kill() {
            tracing::warn!(%error, "a worker cannot be killed");
        }
    }

    /// The end of the stream is no event: the exit is.
    fn said(&self, line: io::Result<Option<String>>) -> bool {
        let Ok(Some(line)) = line else { return false };
        match serde_json::from_str(&line) {
            Ok(message) => self.report(What::Said(message)),
            Err(error) => tracing::warn!(%error, line, "a worker's message is not understood"),
        }
        true
    }

    /// What the dead process had still written. A process it started may hold the other end
    /// open, so this does not wait for the end of the stream.
    async fn last_words(&mut self) {
        const ALREADY_THERE: std::time::Duration = std::time::Duration::from_millis(20);
        while let Ok(line) = tokio::time::timeout(ALREADY_THERE, self.lines.next_line()).await {
            if !self.said(line) {
                break;
            }
        }
    }

    /// Nobody listens only when the supervisor itself is at its end.
    fn report(&self, what: What) {
        let _ = self.events.send(Event::Worker(self.worker, what));
    }
}
