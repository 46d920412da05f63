//! What passes over the control socket: one request, then answers until one of them is the last.
//! One JSON object a line each; `docs/control.md` describes them for others.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use appliance_figures::{Levels, Totals};
use appliance_project::wire::RunningRequest;
use serde::{Deserialize, Serialize};

/// What is asked of a running server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "command")]
pub enum Request {
    /// How it fares.
    Status {
        /// And which requests run, and where they are.
        #[serde(default)]
        requests: bool,
    },
    /// Write the Python stack of a request to the log, and say it.
    Traceback {
        /// Its worker's process.
        pid: u32,
        /// Its id; none for all that run there.
        request: Option<String>,
    },
    /// Replace a worker: its successor first, then it drains.
    Recycle {
        /// Its process.
        pid: u32,
    },
    /// Let a worker finish what it does while others serve, and start its successor when it is
    /// gone.
    Drain {
        /// Its process.
        pid: u32,
    },
    /// Read everything anew.
    Reload,
    /// Open log files anew.
    Reopen,
    /// Become this binary.
    Upgrade {
        /// Its path; none: what is now where the server's own binary was.
        binary: Option<PathBuf>,
    },
    /// Answer 503 until further notice, or no longer.
    Maintenance {
        /// Whether.
        on: bool,
    },
    /// Finish what runs within `server.stop_timeout`, and end; asked again, end at once.
    Stop,
    /// The same, but never at once.
    Quit,
}

/// What the server says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum Answer {
    /// What is being done; more follows.
    Progress {
        /// A line.
        text: String,
    },
    /// It is done.
    Done {
        /// A line.
        text: String,
    },
    /// It could not be done.
    Failed {
        /// As a command's exit status.
        exit_status: u8,
        /// Lines, as people read them.
        text: String,
    },
    /// To [`Request::Status`].
    Status {
        /// All of it.
        status: Box<Status>,
    },
}

/// How a server fares.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// Of the supervisor's binary.
    pub version: String,
    /// The supervisor.
    pub pid: u32,
    /// The project file.
    pub project: PathBuf,
    /// `starting`, `serving`, `reloading`, `upgrading`, `stopping`, or `failing`: no worker can run
    /// the application.
    pub state: String,
    /// Whether everybody gets a 503.
    #[serde(default)]
    pub maintenance: bool,
    /// 1, and one more with each reload.
    pub generation: u64,
    /// Seconds since the supervisor began.
    pub uptime: f64,
    /// `3.11.7 (CPython)`; empty until the first worker is ready.
    pub python: String,
    /// Where clients connect to.
    pub addresses: Vec<SocketAddr>,
    /// Those of them that speak TLS.
    #[serde(default)]
    pub https: Vec<SocketAddr>,
    /// Those of them where gateways speak the uwsgi protocol.
    #[serde(default)]
    pub uwsgi: Vec<SocketAddr>,
    /// Unix sockets that clients connect to.
    #[serde(default)]
    pub unix: Vec<PathBuf>,
    /// Those of them where gateways speak the uwsgi protocol.
    #[serde(default)]
    pub uwsgi_unix: Vec<PathBuf>,
    /// In the order of their slots.
    pub workers: Vec<WorkerStatus>,
    /// With `python.preload`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preload: Option<PreloadStatus>,
    /// How often a worker was replaced, by reason.
    pub replaced: BTreeMap<String, u64>,
    /// Why the last reload or upgrade failed, if it did.
    pub last_failure: Option<String>,
    /// What each slot has counted, with the workers that it had.
    #[serde(default)]
    pub counted: Vec<Counted>,
    /// All of that in sum.
    #[serde(default)]
    pub total: Totals,
    /// The workers' in sum.
    #[serde(default)]
    pub levels: Levels,
    /// Upper bounds of the buckets in `counted` and `total`, in seconds; the last bucket has none.
    #[serde(default)]
    pub bucket_bounds: Vec<f64>,
}

/// What a slot has counted since the supervisor began; never less than before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Counted {
    /// The slot, from 1; 0 for the fronts that stood in.
    pub worker: usize,
    /// By its workers.
    #[serde(flatten)]
    pub totals: Totals,
}

/// The process that has imported the application, for workers to be forked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PreloadStatus {
    /// None where each worker imports by itself, for a reason that is in the log.
    pub pid: Option<u32>,
    /// Its resident memory, in bytes: most of it is the workers' as well.
    pub memory_bytes: u64,
}

/// How a worker fares.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Its slot, from 1; 0 for the front that stands in while no worker can run the application.
    pub worker: usize,
    /// Its process.
    pub pid: u32,
    /// `starting`, `ready`, `serving` or `draining`.
    pub state: String,
    /// What it runs.
    pub generation: u64,
    /// Seconds since its process was started.
    pub uptime: f64,
    /// Resident memory.
    pub memory_bytes: u64,
    /// Processor time that it has taken.
    #[serde(default)]
    pub cpu_seconds: f64,
    /// What it is at.
    #[serde(default)]
    pub levels: Levels,
    /// Its share of memory, where what several processes have is divided among them; told with
    /// `requests`, and a few seconds old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pss_bytes: Option<u64>,
    /// What runs in it, the oldest first; none if nobody asked, or it did not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Vec<RunningRequest>>,
    /// How many run besides those.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_requests: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}
