//! What passes between the supervisor and a worker: one [`WorkerSpec`] at the start, then one
//! JSON object a line over the control socket, in both directions.

use std::net::SocketAddr;
use std::os::fd::RawFd;

use serde::{Deserialize, Serialize};

use crate::Project;

/// Everything a worker needs to know, handed over as JSON in an inherited descriptor.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkerSpec {
    /// Number of the worker's slot, from 1.
    pub slot: usize,
    /// The project, checked.
    pub project: Project,
    /// The slot's own listening sockets (bound, listening, SO_REUSEPORT, non-blocking).
    pub listeners: Vec<Listener>,
    /// The control socket; none for a worker without a supervisor, which then minds TERM, INT
    /// and QUIT itself.
    pub control: Option<RawFd>,
}

/// One inherited listening socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// The address in project.toml which it serves: says which sites answer on it. (With port
    /// 0 the socket's own port differs.)
    pub address: SocketAddr,
    /// The descriptor.
    pub fd: RawFd,
}

/// Worker to supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum FromWorker {
    /// The application is imported and the listeners are being served.
    Ready {
        /// `3.11.7 (CPython)`, for the summary.
        python: String,
    },
    /// The worker cannot serve and exits. It has already printed Python's traceback, if there
    /// was one, to standard error.
    Failed {
        /// What could not be done: ``cannot import `shop.wsgi:application`: no module named `shop` ``.
        error: String,
        /// The key at fault: `python.module`.
        key: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The worker serves on, but somebody is to take its place: the successor first, then
    /// [`ToWorker::Stop`] for this one.
    Replace {
        /// Why.
        reason: Reason,
    },
    /// Every running request is finished; the worker exits.
    Drained,
}

/// Why a worker asks to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// `python.request_timeout`: a thread did not come back from a request that was given up.
    /// It will not let go, so nothing is gained by waiting for it: when the rest is finished, the
    /// worker ends.
    RequestTimeout,
    /// `python.max_requests`.
    MaxRequests,
    /// `python.max_lifetime`.
    MaxLifetime,
    /// `python.memory_soft_limit`.
    Memory,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Reason::RequestTimeout => "request_timeout",
            Reason::MaxRequests => "max_requests",
            Reason::MaxLifetime => "max_lifetime",
            Reason::Memory => "memory_soft_limit",
        })
    }
}

/// Supervisor to worker. The end of the stream means [`ToWorker::Stop`] with no time left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum ToWorker {
    /// Accept no more, finish what runs within `server.stop_timeout`, exit.
    Stop,
}
