//! What can be wrong with the project's Python.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::process::Exit;

/// What can be wrong with the project's Python.
#[derive(Debug)]
pub enum PythonError {
    /// No such interpreter.
    NotFound {
        /// As written in `python.interpreter`.
        interpreter: String,
    },
    /// An interpreter that cannot be run, or runs and does not know what Python knows.
    NotRunnable {
        /// Its path.
        python: PathBuf,
        /// The key that chose it.
        key: &'static str,
        /// What it said.
        reason: String,
    },
    /// An interpreter that cannot load the worker library.
    Unsupported {
        /// Its path.
        python: PathBuf,
        /// The key that chose it.
        key: &'static str,
        /// What it is instead.
        flaw: String,
    },
    /// No virtualenv where one should be.
    VenvMissing {
        /// `python.virtualenv`.
        folder: PathBuf,
    },
    /// A folder that something else lives in.
    NotAVenv {
        /// `python.virtualenv`.
        folder: PathBuf,
    },
    /// A virtualenv whose interpreter is gone.
    VenvBroken {
        /// `python.virtualenv`.
        folder: PathBuf,
        /// What its `bin/python` points to, if it is there.
        target: Option<PathBuf>,
    },
    /// An interpreter that cannot create virtualenvs.
    NoEnsurepip {
        /// Its path.
        python: PathBuf,
        /// Its major and minor version.
        minor: (u32, u32),
    },
    /// `python -m venv` failed.
    VenvFailed {
        /// `python.virtualenv`.
        folder: PathBuf,
        /// How it ended.
        failure: Failure,
    },
    /// A requirements file that cannot be read.
    Requirements {
        /// Which.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// `pip install` failed.
    PipFailed {
        /// `python.requirements`.
        file: PathBuf,
        /// How it ended.
        failure: Failure,
    },
    /// The virtualenv's folder cannot be written.
    NotWritable {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// How a command failed.
#[derive(Debug)]
pub enum Failure {
    /// It could not be started.
    NotStarted(io::Error),
    /// It ended badly.
    Ended(Exit),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NotStarted(error) => error.fmt(f),
            Failure::Ended(exit) => exit.fmt(f),
        }
    }
}

impl PythonError {
    /// The key of project.toml at fault.
    pub fn key(&self) -> &'static str {
        match self {
            PythonError::NotRunnable { key, .. } | PythonError::Unsupported { key, .. } => key,
            PythonError::NotFound { .. } | PythonError::NoEnsurepip { .. } => "python.interpreter",
            PythonError::Requirements { .. } | PythonError::PipFailed { .. } => {
                "python.requirements"
            }
            _ => "python.virtualenv",
        }
    }

    /// What to do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            PythonError::NotFound { interpreter } if interpreter.contains('/') => {
                "`python.interpreter` is the path of an executable file, or a name to be found in `PATH`"
                    .to_owned()
            }
            PythonError::NotFound { interpreter } => format!(
                "it is in no folder of `PATH`: install it (Debian: `apt install {interpreter}`) or set \
                 `python.interpreter` to its path"
            ),
            PythonError::NotRunnable { .. } => return None,
            PythonError::Unsupported { key: "python.virtualenv", .. } => {
                "appliance runs CPython 3.10 and newer with the GIL: create the virtualenv again with such a Python"
                    .to_owned()
            }
            PythonError::Unsupported { .. } => {
                "appliance runs CPython 3.10 and newer with the GIL: set `python.interpreter` to such a Python"
                    .to_owned()
            }
            PythonError::VenvMissing { folder } => format!(
                "create it (`python3 -m venv {}`), or set `python.requirements` and appliance does",
                folder.display()
            ),
            PythonError::NotAVenv { .. } => {
                "appliance replaces virtualenvs only: choose another folder or empty this one".to_owned()
            }
            PythonError::VenvBroken { .. } => {
                "its Python was removed or upgraded: delete the folder and create it again, or set \
                 `python.requirements` and appliance does"
                    .to_owned()
            }
            PythonError::NoEnsurepip { minor: (major, minor), .. } => {
                format!("on Debian and Ubuntu: `apt install python{major}.{minor}-venv`")
            }
            PythonError::VenvFailed { .. } | PythonError::PipFailed { .. } => {
                "what it printed stands above".to_owned()
            }
            PythonError::Requirements { .. } => return None,
            PythonError::NotWritable { .. } => {
                "the user that appliance, or `server.user` if it is set, runs as must be able to write it".to_owned()
            }
        })
    }
}

impl fmt::Display for PythonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PythonError::NotFound { interpreter } => {
                write!(f, "there is no interpreter `{interpreter}`")
            }
            PythonError::NotRunnable { python, reason, .. } => {
                write!(
                    f,
                    "cannot run the interpreter `{}`: {reason}",
                    python.display()
                )
            }
            PythonError::Unsupported { python, flaw, .. } => {
                write!(f, "`{}` is {flaw}", python.display())
            }
            PythonError::VenvMissing { folder } => {
                write!(f, "there is no virtualenv in `{}`", folder.display())
            }
            PythonError::NotAVenv { folder } => {
                write!(
                    f,
                    "`{}` is not a virtualenv: it has no `pyvenv.cfg`",
                    folder.display()
                )
            }
            PythonError::VenvBroken {
                folder,
                target: Some(target),
            } => write!(
                f,
                "the virtualenv `{}` is broken: its `bin/python` points to `{}`, which does not exist",
                folder.display(),
                target.display()
            ),
            PythonError::VenvBroken {
                folder,
                target: None,
            } => write!(
                f,
                "the virtualenv `{}` is broken: it has no `bin/python`",
                folder.display()
            ),
            PythonError::NoEnsurepip { python, .. } => write!(
                f,
                "`{}` cannot create virtualenvs: its `ensurepip` is not installed",
                python.display()
            ),
            PythonError::VenvFailed { folder, failure } => {
                write!(
                    f,
                    "cannot create the virtualenv `{}`: {failure}",
                    folder.display()
                )
            }
            PythonError::Requirements { file, source } => {
                write!(f, "cannot read `{}`: {source}", file.display())
            }
            PythonError::PipFailed { file, failure } => {
                write!(
                    f,
                    "cannot install `{}`: pip failed: {failure}",
                    file.display()
                )
            }
            PythonError::NotWritable { path, source } => {
                write!(f, "cannot write `{}`: {source}", path.display())
            }
        }
    }
}

impl std::error::Error for PythonError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            PythonError::Requirements { source, .. } | PythonError::NotWritable { source, .. } => {
                Some(source)
            }
            _ => None,
        }
    }
}
