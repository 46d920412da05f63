//! The life of processes: Python set-up, hooks, listening sockets, workers, signals.
//!
//! Knows neither HTTP nor Python objects. It executes the project's interpreter, hands it the
//! worker library and sockets as descriptors, and minds that it lives. A start, in order:
//!
//! 1. nobody else has the addresses ([`listeners`]);
//! 2. the interpreter and its packages are ready ([`python`]);
//! 3. the project's own commands have run ([`hooks`]);
//! 4. the sockets listen, the library is at hand ([`listeners`], [`library`]);
//! 5. without a master, this process becomes the worker; with one, it starts and watches them
//!    ([`master`]).
//!
//! It runs on one thread, the process's first: a worker dies with the thread that started it
//! (`PR_SET_PDEATHSIG`).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use appliance_project::Project;

pub use control::Exit;
pub use error::{StartError, WorkerFailure};
pub use hooks::HookError;
pub use library::LibraryError;
pub use listeners::BindError;
pub use master::Outcome;
pub use python::PythonError;

use error::Halt;
use library::Library;
use listeners::Listeners;
use master::Master;
use signals::Signals;
use spawn::Launcher;

mod control;
mod error;
mod hooks;
mod library;
mod lifecycle;
mod listeners;
mod master;
mod memory;
mod port_owner;
mod progress;
mod python;
mod signals;
mod spawn;
mod step;
mod sys;

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

/// Serves `project` until it is asked to stop, with `library`, the worker library, in every
/// worker. `on_start` is called when all workers are ready; with `server.master = false`, just
/// before this process becomes the worker.
///
/// Must be called on the process's first thread.
///
/// # Errors
///
/// When the server cannot be started. Once it has, it is kept running whatever workers do.
pub fn serve(
    project: Project,
    library: &'static [u8],
    on_start: impl FnOnce(&Started<'_>),
) -> Result<Outcome, StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(async {
        let mut signals = Signals::new()?;
        let start = Start::prepare(project, library, &mut signals).await?;
        if start.launcher.project.server.master {
            start.supervise(&mut signals, on_start).await
        } else {
            match start.become_worker(on_start)? {}
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

struct Start {
    launcher: Launcher,
    listeners: Listeners,
    began: Instant,
}

impl Start {
    async fn prepare(
        project: Project,
        library: &'static [u8],
        signals: &mut Signals,
    ) -> Result<Start, Halt> {
        let began = Instant::now();
        let addresses: Vec<SocketAddr> = project
            .sites
            .iter()
            .flat_map(|site| site.listen.iter().copied())
            .collect();
        // Before minutes of installing; and again by `bind`, after them.
        Listeners::refuse_taken(&addresses)?;
        let environment = python::environment(&project.python);
        let python = python::prepare(&project.python, &environment, signals).await?;
        hooks::before_start(&project, &environment, signals).await?;
        let workers = if project.server.master {
            project.python.processes
        } else {
            1
        };
        let listeners = Listeners::bind(&addresses, workers)?;
        let library = Library::open(library, &library_folders(&project))?;
        Ok(Start {
            launcher: Launcher {
                project,
                python,
                library,
                environment,
            },
            listeners,
            began,
        })
    }

    async fn supervise(
        self,
        signals: &mut Signals,
        on_start: impl FnOnce(&Started<'_>),
    ) -> Result<Outcome, Halt> {
        let mut master = Master::new(self.launcher, self.listeners);
        let python = master.start(signals).await?;
        on_start(&master.started(python, self.began.elapsed()));
        let signal = master.watch(signals).await;
        tracing::info!(%signal, "stopping");
        let outcome = master.stop(signals).await;
        tracing::info!("stopped");
        Ok(outcome)
    }

    /// Returns only when it fails.
    fn become_worker(self, on_start: impl FnOnce(&Started<'_>)) -> Result<Infallible, Halt> {
        let command = self.launcher.alone(self.listeners.of_slot(0))?;
        on_start(&Started {
            project: &self.launcher.project,
            addresses: self.listeners.addresses(),
            python: None,
            worker_memory_mb: None,
            interpreter: self.launcher.python.clone(),
            after: self.began.elapsed(),
        });
        let python = self.launcher.python.clone();
        let source = command.replace_this_process();
        Err(StartError::Launch { python, source }.into())
    }
}

/// Where the worker library may lie if it may not be executed from memory.
fn library_folders(project: &Project) -> Vec<PathBuf> {
    let mut folders = vec![std::env::temp_dir(), PathBuf::from("/dev/shm")];
    folders.extend(project.python.virtualenv.clone());
    folders
}
