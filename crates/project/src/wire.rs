//! What passes between the supervisor and a worker: one [`WorkerSpec`] at the start, then one
//! JSON object a line over the control socket, in both directions.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::RawFd;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Project;
use crate::model::LogTarget;
use crate::tickets::TicketSecret;

/// The word of [`WorkerSpec::counts`], of eight bytes each, in which the supervisor says that there
/// is maintenance.
pub const MAINTENANCE_WORD: usize = 2;

/// Everything a worker needs to know, handed over as JSON in an inherited descriptor.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkerSpec {
    /// Number of the worker's slot, from 1; 0 for a front that has no application.
    pub slot: usize,
    /// The project, checked.
    pub project: Project,
    /// The secret of session tickets, the same for all workers.
    pub tickets: TicketSecret,
    /// The slot's own sockets (bound, SO_REUSEPORT, non-blocking; listening when it is told to
    /// serve).
    pub listeners: Vec<Listener>,
    /// The sockets of the other slots, for [`ToWorker::Cover`].
    pub others: Vec<OtherListener>,
    /// The unix sockets, which are the same for all workers.
    #[serde(default)]
    pub unix: Vec<UnixListener>,
    /// Pipes for the lines of access logs.
    pub access_logs: Vec<(LogTarget, RawFd)>,
    /// The pipe for the worker's lines of the log; none if it writes them by itself.
    pub log: Option<RawFd>,
    /// The control socket; none for a worker without a supervisor, which then minds TERM, INT
    /// and QUIT itself.
    pub control: Option<RawFd>,
    /// The memory file that it counts in; none where nobody reads it.
    pub figures: Option<RawFd>,
    /// The memory file of what workers count together; none for a worker without a supervisor.
    #[serde(default)]
    pub counts: Option<RawFd>,
    /// Whom a worker without a supervisor tells how it goes.
    #[serde(default)]
    pub manager: Option<Manager>,
    /// Files that go with a worker without a supervisor: its pidfile and its unix sockets.
    #[serde(default)]
    pub leftovers: Vec<Leftover>,
    /// Not to serve: to import the application and fork workers ([`ForkOrder`]), over the control
    /// socket.
    #[serde(default)]
    pub preload: bool,
    /// What `ps` shows of the process: an argument of its command line.
    #[serde(default)]
    pub label: String,
}

impl WorkerSpec {
    /// Gives each descriptor the number that it has in another process; none if one has none.
    pub fn renumber(&mut self, number: impl Fn(RawFd) -> Option<RawFd>) -> Option<()> {
        let own = self.listeners.iter_mut().map(|listener| &mut listener.fd);
        let others = self.others.iter_mut().map(|other| &mut other.listener.fd);
        let unix = self.unix.iter_mut().map(|unix| &mut unix.fd);
        let access = self.access_logs.iter_mut().map(|(_, fd)| fd);
        let single = [
            &mut self.log,
            &mut self.control,
            &mut self.figures,
            &mut self.counts,
        ];
        let single = single.into_iter().flatten();
        let manager = self.manager.iter_mut().map(|manager| &mut manager.fd);
        let all = own.chain(others).chain(unix).chain(access);
        for fd in all.chain(single).chain(manager) {
            *fd = number(*fd)?;
        }
        Some(())
    }
}

/// Supervisor to the process that has imported the application: fork a worker. One line of JSON;
/// the descriptors come along with its first bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkOrder {
    /// The numbers of the descriptors in the supervisor, in the order in which they come. The first
    /// one is that of the [`WorkerSpec`], which knows them by these numbers.
    pub descriptors: Vec<RawFd>,
    /// Standard output and error, if they are not those of the process itself.
    pub printed: Option<[RawFd; 2]>,
    /// The supervisor's process: the worker's parent, from the start on.
    pub supervisor: u32,
}

/// The answer to a [`ForkOrder`]: one line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forked {
    /// The worker's process.
    Pid(u32),
    /// There is none.
    Failed(String),
}

/// A service manager (sd_notify(3)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manager {
    /// A datagram socket, connected to it.
    pub fd: RawFd,
    /// It restarts a service that is silent for so many milliseconds; none: it does not.
    pub watchdog_ms: Option<u64>,
}

/// A file that is removed, if it is still the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftover {
    /// Where it was made.
    pub path: PathBuf,
    /// Device and inode.
    pub file: (u64, u64),
}

/// One inherited listening socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// The address in project.toml which it serves: says which sites answer on it. (With port
    /// 0 the socket's own port differs.)
    pub address: SocketAddr,
    /// The descriptor.
    pub fd: RawFd,
    /// It is a service manager's, which listens on when this server has ended.
    #[serde(default)]
    pub outlives: bool,
}

/// An inherited unix socket that listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnixListener {
    /// Its path in project.toml: says which sites answer on it.
    pub path: PathBuf,
    /// The descriptor.
    pub fd: RawFd,
    /// It is a service manager's, which listens on when this server has ended.
    #[serde(default)]
    pub outlives: bool,
}

/// A socket of another slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherListener {
    /// Its number, from 1.
    pub slot: usize,
    /// The socket.
    pub listener: Listener,
}

/// Worker to supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum FromWorker {
    /// The application is imported; the worker waits for [`ToWorker::Serve`].
    Ready {
        /// `3.11.7 (CPython)`, for the summary.
        python: String,
        /// Whether it knows [`ToWorker::Look`] and [`ToWorker::Stacks`].
        #[serde(default)]
        can_look: bool,
    },
    /// The worker cannot serve and exits. It has already printed the traceback, if there is one,
    /// to standard error.
    Failed {
        /// What could not be done: ``cannot import `shop.wsgi:application`: no module named `shop` ``.
        error: String,
        /// The key at fault: `python.module`.
        key: String,
        /// What to do.
        hint: Option<String>,
        /// Python's traceback.
        traceback: Option<String>,
    },
    /// The worker should be replaced. It serves on until it is told to stop, which is when its
    /// successor is ready; once is enough.
    Replace {
        /// Why.
        reason: Reason,
    },
    /// Modules have been imported. Only for `appliance dev`.
    Imported {
        /// Their files, but for the standard library's and installed packages'.
        files: Vec<String>,
        /// These are all there are; else, more of them.
        all: bool,
        /// The application could not be imported, which any further file may mend.
        broken: bool,
    },
    /// Every running request is finished; the worker exits.
    Drained,
    /// The answer to [`ToWorker::Ping`].
    Pong,
    /// The answer to [`ToWorker::Look`].
    Sees {
        /// The oldest first.
        requests: Vec<RunningRequest>,
        /// How many run besides: a message is short.
        more: usize,
    },
    /// The answer to [`ToWorker::Stacks`].
    Stacks {
        /// Its number.
        ask: u64,
        /// As the log has it.
        text: String,
    },
}

/// A request that a Python thread is at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningRequest {
    /// As in the access log.
    pub id: String,
    /// The number of its thread, from 1: `appliance-1`.
    pub thread: usize,
    /// `GET`.
    pub method: String,
    /// Path and query; a long one is cut.
    pub url: String,
    /// The peer, or whom a trusted proxy names; `0.0.0.0` on a unix socket.
    pub client: IpAddr,
    /// Since its thread took it.
    pub age_ms: u64,
    /// The innermost Python line.
    pub at: Option<Line>,
    /// The innermost line of the project's own code, if that is another one.
    pub within: Option<Line>,
    /// Why there is no line.
    pub unseen: Option<Unseen>,
}

/// A line of Python.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// As Python has it.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// Its code's name.
    pub function: String,
}

/// Why nobody can say at which line a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unseen {
    /// It computes in C code, and keeps the GIL.
    KeepsGil,
    /// The GIL is not to be had: another one keeps it, or it waits for something in C with it.
    NoGil,
    /// Its thread has no Python frame.
    NoFrame,
}

/// Why a worker is to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It has answered `python.max_requests`.
    MaxRequests,
    /// It is older than `python.max_lifetime`.
    MaxLifetime,
    /// It takes more memory than it should.
    Memory,
    /// A thread of it hangs in a request that has timed out. Such a worker is not made to wait
    /// until others have been replaced.
    Stuck,
    /// Somebody asked for it.
    Recycle,
}

impl Reason {
    /// Its name in the log and in metrics: `max_requests`.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::MaxRequests => "max_requests",
            Reason::MaxLifetime => "max_lifetime",
            Reason::Memory => "memory",
            Reason::Stuck => "stuck",
            Reason::Recycle => "recycle",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Supervisor to worker. The end of the stream means [`ToWorker::Stop`] with no time left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum ToWorker {
    /// Accept connections. (A new generation serves when all of it is ready, and not before.)
    Serve,
    /// Accept connections of these other slots, too, and of no others any more: their own workers
    /// are missing.
    Cover {
        /// Their numbers, from 1.
        slots: Vec<usize>,
    },
    /// Say which requests run, and where they are.
    Look,
    /// Write the Python stack of a request to the log, and say it.
    Stacks {
        /// For the answer.
        ask: u64,
        /// Its id; none for all that run.
        request: Option<String>,
    },
    /// Say that the front lives. (Asked only where a service manager wants to know.)
    Ping,
    /// Accept no more, finish what runs within `server.stop_timeout`, exit.
    Stop {
        /// For how many milliseconds connections without a request may wait for their next one,
        /// which is then their last. (Where a successor serves, there is time for that.)
        #[serde(default)]
        idle_ms: u64,
        /// Addresses in project.toml whose sockets nobody accepts from afterwards: what waits in
        /// them is answered, and they are shut down.
        #[serde(default)]
        closes: Vec<SocketAddr>,
        /// Unix sockets of which the same is true.
        #[serde(default)]
        closes_unix: Vec<PathBuf>,
    },
}
