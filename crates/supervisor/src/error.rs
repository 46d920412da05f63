//! Why a server does not start.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use appliance_log::OpenError;
use appliance_project::Project;
use appliance_project::model::Site;

use crate::activation::ActivationError;
use crate::confine::ConfineError;
use crate::daemon::DaemonError;
use crate::hooks::HookError;
use crate::instance::InstanceError;
use crate::library::LibraryError;
use crate::listeners::{BindError, Place};
use crate::process::Exit;
use crate::python::PythonError;
use crate::signals::Stop;

/// Why a server does not start. `Display` is the message; [`StartError::hint`] what to do.
#[derive(Debug)]
pub enum StartError {
    /// `server.daemonize`.
    Daemon(DaemonError),
    /// `server.user`.
    Confine(ConfineError),
    /// The interpreter, the virtualenv or its packages.
    Python(PythonError),
    /// A command of `hooks.before_start`.
    Hook(HookError),
    /// A listening address.
    Bind(BindError),
    /// Sockets of a service manager.
    Activation(ActivationError),
    /// A log file.
    Log(OpenError),
    /// Another server has the project, or the control socket or the pidfile cannot be had.
    Instance(InstanceError),
    /// The worker library cannot be handed over.
    Library(LibraryError),
    /// A worker's process cannot be created.
    Launch {
        /// The interpreter.
        python: PathBuf,
        /// Whose rights count, if not those of this process.
        user: Option<String>,
        /// The system's reason.
        source: io::Error,
    },
    /// A worker did not become ready.
    Worker(WorkerFailure),
    /// The system refuses what every process may do.
    System(io::Error),
}

/// What kept a worker from becoming ready.
#[derive(Debug)]
pub enum WorkerFailure {
    /// It says so itself.
    Reported {
        /// What could not be done.
        error: String,
        /// The key at fault.
        key: String,
        /// What to do.
        hint: Option<String>,
        /// Python's traceback, which the log has already.
        traceback: Option<String>,
    },
    /// It had not imported the application when `python.start_timeout` had passed.
    Slow {
        /// The worker's number, from 1.
        number: usize,
        /// The setting.
        timeout: Duration,
    },
    /// It ended without a word.
    Died {
        /// The worker's number, from 1.
        number: usize,
        /// How.
        exit: Exit,
    },
}

impl StartError {
    /// The key of project.toml at fault, as `--set` takes it: `python.virtualenv`.
    pub fn key(&self, project: &Project) -> Option<String> {
        match self {
            StartError::Daemon(_) => Some("server.daemonize".to_owned()),
            StartError::Confine(error) => Some(error.key().to_owned()),
            StartError::Python(error) => Some(error.key().to_owned()),
            StartError::Instance(error) => Some(error.key().to_owned()),
            StartError::Log(_) => Some("server.log".to_owned()),
            StartError::Hook(_) => Some("hooks.before_start".to_owned()),
            StartError::Bind(error) => {
                let wants = |site: &Site| match error.place() {
                    Place::Address(address) => site.listen.contains(address),
                    Place::Path(path) => site.unix.contains(path),
                };
                let site = project.sites.iter().position(wants)?;
                Some(format!("site.{site}.listen"))
            }
            StartError::Worker(WorkerFailure::Reported { key, .. }) => Some(key.clone()),
            StartError::Worker(WorkerFailure::Slow { .. }) => {
                Some("python.start_timeout".to_owned())
            }
            _ => None,
        }
    }

    /// What to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            StartError::Daemon(error) => error.hint(),
            StartError::Confine(error) => error.hint(),
            StartError::Python(error) => error.hint(),
            StartError::Hook(error) => Some(error.hint()),
            StartError::Bind(error) => error.hint(),
            StartError::Activation(error) => error.hint(),
            StartError::Log(error) if error.source.kind() == io::ErrorKind::PermissionDenied => {
                Some(
                    "where its folder belongs to `server.user`, that user opens it; else, whoever starts the server"
                        .to_owned(),
                )
            }
            StartError::Instance(error) => error.hint(),
            StartError::Worker(WorkerFailure::Reported { hint, .. }) => hint.clone(),
            StartError::Worker(WorkerFailure::Died { .. }) => Some(
                "the application's module ended the interpreter while it was imported; \
                 what it printed stands above"
                    .to_owned(),
            ),
            StartError::Worker(WorkerFailure::Slow { .. }) => Some(
                "the application was still being imported or warmed up; a longer `python.start_timeout` gives it more time"
                    .to_owned(),
            ),
            StartError::Launch {
                user: Some(user),
                source,
                ..
            } if source.kind() == io::ErrorKind::PermissionDenied => Some(format!(
                "`{user}` (`server.user`) must be able to enter every folder on the way to it, and to execute it"
            )),
            StartError::Library(_) => Some(
                "set `TMPDIR` to a folder on a file system that is not mounted `noexec`".to_owned(),
            ),
            _ => None,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Daemon(error) => error.fmt(f),
            StartError::Confine(error) => error.fmt(f),
            StartError::Python(error) => error.fmt(f),
            StartError::Hook(error) => error.fmt(f),
            StartError::Bind(error) => error.fmt(f),
            StartError::Activation(error) => error.fmt(f),
            StartError::Log(error) => error.fmt(f),
            StartError::Instance(error) => error.fmt(f),
            StartError::Library(error) => error.fmt(f),
            StartError::Launch { python, source, .. } => {
                write!(
                    f,
                    "cannot start a worker with `{}`: {source}",
                    python.display()
                )
            }
            StartError::Worker(failure) => failure.fmt(f),
            StartError::System(source) => write!(f, "cannot start: {source}"),
        }
    }
}

impl fmt::Display for WorkerFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WorkerFailure::Reported { error, .. } => f.write_str(error),
            WorkerFailure::Slow { number, timeout } => {
                write!(f, "worker {number} was not ready after {timeout:?}")
            }
            WorkerFailure::Died { number, exit } => {
                write!(f, "worker {number} died before it was ready: {exit}")
            }
        }
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            StartError::Daemon(error) => error.source(),
            StartError::Confine(error) => error.source(),
            StartError::Python(error) => error.source(),
            StartError::Hook(error) => error.source(),
            StartError::Bind(error) => error.source(),
            StartError::Activation(error) => error.source(),
            StartError::Log(error) => error.source(),
            StartError::Instance(error) => error.source(),
            StartError::Library(error) => error.source(),
            StartError::Launch { source, .. } | StartError::System(source) => Some(source),
            StartError::Worker(_) => None,
        }
    }
}

/// Why a start does not go on.
#[derive(Debug)]
pub(crate) enum Halt {
    /// Somebody asked for a stop.
    Stopped(Stop),
    /// It cannot.
    Failed(StartError),
}

impl<E: Into<StartError>> From<E> for Halt {
    fn from(error: E) -> Halt {
        Halt::Failed(error.into())
    }
}

impl From<DaemonError> for StartError {
    fn from(error: DaemonError) -> StartError {
        StartError::Daemon(error)
    }
}

impl From<ConfineError> for StartError {
    fn from(error: ConfineError) -> StartError {
        StartError::Confine(error)
    }
}

impl From<PythonError> for StartError {
    fn from(error: PythonError) -> StartError {
        StartError::Python(error)
    }
}

impl From<HookError> for StartError {
    fn from(error: HookError) -> StartError {
        StartError::Hook(error)
    }
}

impl From<BindError> for StartError {
    fn from(error: BindError) -> StartError {
        StartError::Bind(error)
    }
}

impl From<ActivationError> for StartError {
    fn from(error: ActivationError) -> StartError {
        StartError::Activation(error)
    }
}

impl From<InstanceError> for StartError {
    fn from(error: InstanceError) -> StartError {
        StartError::Instance(error)
    }
}

impl From<LibraryError> for StartError {
    fn from(error: LibraryError) -> StartError {
        StartError::Library(error)
    }
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> StartError {
        StartError::System(error)
    }
}
