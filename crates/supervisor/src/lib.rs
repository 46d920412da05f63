//! The life of processes: Python set-up, hooks, listening sockets, workers, signals.
//!
//! Knows neither requests (but for its own admin listener) nor Python objects. It executes the project's interpreter, hands it the
//! worker library and sockets as descriptors, and minds that it lives. A start, in order:
//!
//! 1. everything that workers need is made ready ([`generation`]);
//! 2. without a master, this process becomes the worker; with one, it starts them, watches and
//!    replaces them ([`master`]).
//!
//! It runs on one thread, the process's first: a worker dies with the thread that started it
//! (`PR_SET_PDEATHSIG`).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use appliance_project::{Loaded, Project, Report, Sources};

pub use activation::ActivationError;
pub use appliance_project::wire::{Line, RunningRequest, Unseen};
pub use client::{ClientError, ask};
pub use confine::ConfineError;
pub use daemon::{DaemonError, Ready, Side, daemonize};
pub use error::{StartError, WorkerFailure};
pub use explain::explain;
pub use first_process::as_first_process;
pub use handover::VERSION as HANDOVER_VERSION;
pub use hooks::HookError;
pub use instance::InstanceError;
pub use library::LibraryError;
pub use listeners::{BindError, Place};
pub use master::Outcome;
pub use process::Exit;
pub use protocol::{Answer, Counted, PreloadStatus, Request, Status, WorkerStatus};
pub use python::PythonError;
pub use trial::rehearse;

use activation::Passed;
use error::Halt;
use generation::Generation;
use signals::Signals;
use stage::Stage;
use supervise::supervise;

mod activation;
mod admin;
mod client;
mod confine;
mod control;
mod daemon;
mod development;
mod error;
mod event;
mod explain;
mod first_process;
mod folder;
mod generation;
mod handover;
mod hooks;
mod instance;
mod library;
mod lifecycle;
mod listeners;
mod logs;
mod look;
mod master;
mod memory;
mod notify;
mod place;
mod port_owner;
mod preload;
mod process;
mod progress;
mod protocol;
mod python;
mod shared;
mod signals;
mod spawn;
mod stage;
mod status;
mod step;
mod supervise;
mod sys;
mod trial;
mod unix_sockets;
mod worker;
mod writable;

/// What there is to say when the server has come up.
#[derive(Debug)]
pub struct Started<'a> {
    /// The project that is served.
    pub project: &'a Project,
    /// Where clients connect to; port 0 replaced by the port that was picked.
    pub addresses: Vec<SocketAddr>,
    /// Those of them that speak TLS.
    pub https: Vec<SocketAddr>,
    /// Those of them where gateways speak the uwsgi protocol.
    pub uwsgi: Vec<SocketAddr>,
    /// `3.11.7 (CPython)`; none when this process is about to become the worker.
    pub python: Option<String>,
    /// Resident memory of the largest worker, in MB; none likewise.
    pub worker_memory_mb: Option<u64>,
    /// The interpreter.
    pub interpreter: PathBuf,
    /// Since the start began.
    pub after: Duration,
}

/// Serves the project `loaded` from `sources` until it is asked to stop, with `library`, the
/// worker library, in every worker. `on_start` is called when all workers serve; with
/// `server.master = false`, just before this process becomes the worker.
///
/// Must be called on the process's first thread.
///
/// # Errors
///
/// When the server cannot be started. Once it has, it is kept running whatever workers do.
pub fn serve(
    loaded: Loaded,
    sources: Sources,
    library: &'static [u8],
    on_start: impl FnOnce(&Started<'_>),
) -> Result<Outcome, StartError> {
    let passed = activation::take()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(async {
        let signals = Signals::new()?;
        logs::mind_rights(&loaded.project);
        logs::open(&loaded.project).map_err(StartError::Log)?;
        logs::apply(&loaded.project);
        match loaded.project.server.master {
            true => supervise(loaded, sources, library, passed, signals, on_start).await,
            false => match become_worker(loaded, library, passed, &signals, on_start).await? {},
        }
    });
    match served {
        Ok(outcome) => Ok(outcome),
        Err(Halt::Stopped(signal)) => {
            tracing::info!(%signal, "stopped before the start was complete");
            Ok(Outcome::Stopped)
        }
        Err(Halt::Failed(error)) => Err(error),
    }
}

/// Goes on where another binary of this process has left off: `fd` says where. `loaded` is what
/// this binary makes of the project; if it can make nothing of it, the other one goes on.
///
/// # Errors
///
/// When `fd` holds nothing of the kind, or the system refuses what it takes.
pub fn resume(
    fd: RawFd,
    loaded: Result<Loaded, Report>,
    sources: Sources,
    library: &'static [u8],
) -> Result<Outcome, StartError> {
    // exec(2) names the process for the file it was read from.
    if let Err(error) = std::fs::write("/proc/self/comm", "appliance") {
        tracing::debug!(%error, "the process keeps its name");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(async {
        let signals = Signals::new()?;
        supervise::resume(fd, loaded, sources, library, signals).await
    });
    match served {
        Ok(outcome) => Ok(outcome),
        Err(Halt::Stopped(_)) => Ok(Outcome::Stopped),
        Err(Halt::Failed(error)) => Err(error),
    }
}

/// Returns only when it fails.
async fn become_worker(
    loaded: Loaded,
    library: &'static [u8],
    passed: Vec<Passed>,
    signals: &Signals,
    on_start: impl FnOnce(&Started<'_>),
) -> Result<Infallible, Halt> {
    let began = Instant::now();
    confine::begin(&loaded.project)?;
    let pidfile = instance::leave_pidfile(&loaded.project)?;
    if loaded.project.server.admin.is_some() {
        tracing::warn!("there is no admin listener without a supervisor (`server.master`)");
    }
    let mut stage = Stage::new(signals, Vec::new())?;
    let generation = Generation::first(loaded, library, passed, &mut stage).await?;
    let command = generation.launcher.alone(&generation.listeners, pidfile)?;
    on_start(&Started {
        project: generation.project(),
        addresses: generation.listeners.addresses(),
        https: generation.https(),
        uwsgi: generation.uwsgi(),
        python: None,
        worker_memory_mb: None,
        interpreter: generation.launcher.python.clone(),
        after: began.elapsed(),
    });
    appliance_log::finish();
    let source = command.replace_this_process();
    Err(generation.launcher.failure(source).into())
}
