//! The life of processes: Python set-up, hooks, listening sockets, workers, signals.
//!
//! Knows neither HTTP nor Python objects. It executes the project's interpreter, hands it the
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
use std::path::PathBuf;
use std::time::{Duration, Instant};

use appliance_project::{Loaded, Project, Sources};

pub use error::{StartError, WorkerFailure};
pub use explain::explain;
pub use hooks::HookError;
pub use library::LibraryError;
pub use listeners::BindError;
pub use master::Outcome;
pub use process::Exit;
pub use python::PythonError;

use error::Halt;
use generation::Generation;
use master::Master;
use signals::Signals;

mod error;
mod event;
mod explain;
mod generation;
mod hooks;
mod library;
mod lifecycle;
mod listeners;
mod master;
mod memory;
mod port_owner;
mod process;
mod progress;
mod python;
mod signals;
mod spawn;
mod step;
mod sys;
mod worker;

/// What there is to say when the server has come up.
#[derive(Debug)]
pub struct Started<'a> {
    /// The project that is served.
    pub project: &'a Project,
    /// Where clients connect to; port 0 replaced by the port that was picked.
    pub addresses: Vec<SocketAddr>,
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
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(async {
        let mut signals = Signals::new()?;
        let began = Instant::now();
        let generation = Generation::first(loaded, library, &mut signals).await?;
        match generation.project().server.master {
            true => supervise(sources, generation, &mut signals, began, on_start).await,
            false => match become_worker(generation, began, on_start)? {},
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

async fn supervise(
    sources: Sources,
    generation: Generation,
    signals: &mut Signals,
    began: Instant,
    on_start: impl FnOnce(&Started<'_>),
) -> Result<Outcome, Halt> {
    let mut master = Master::new(sources, generation);
    master.start(signals).await?;
    on_start(&master.summary(began.elapsed()));
    let signal = master.watch(signals).await;
    tracing::info!(%signal, "stopping");
    let outcome = master.stop(signals).await;
    tracing::info!("stopped");
    Ok(outcome)
}

/// Returns only when it fails.
fn become_worker(
    generation: Generation,
    began: Instant,
    on_start: impl FnOnce(&Started<'_>),
) -> Result<Infallible, Halt> {
    let command = generation.launcher.alone(generation.listeners.of_slot(0))?;
    let python = generation.launcher.python.clone();
    on_start(&Started {
        project: generation.project(),
        addresses: generation.listeners.addresses(),
        python: None,
        worker_memory_mb: None,
        interpreter: python.clone(),
        after: began.elapsed(),
    });
    let source = command.replace_this_process();
    Err(StartError::Launch { python, source }.into())
}
