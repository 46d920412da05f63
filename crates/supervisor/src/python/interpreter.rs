//! Finds an interpreter and asks it what it is.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::PythonError;
use crate::confine::Confines;

/// The oldest CPython that the worker library's stable ABI knows.
const OLDEST: (u32, u32) = (3, 10);

/// Prints, in JSON, what decides whether an interpreter can run workers. A `t` in the ABI flags
/// marks a free-threaded build (PEP 703). `-I -S`: 10 ms, whatever the environment holds.
const PROBE: &str = "import sys, json; from importlib.machinery import PathFinder; \
print(json.dumps({'implementation': sys.implementation.name, 'version': list(sys.version_info[:3]), \
'free_threaded': 't' in getattr(sys, 'abiflags', ''), \
'ensurepip': PathFinder.find_spec('ensurepip') is not None}))";

/// What an interpreter says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Probe {
    implementation: String,
    version: (u32, u32, u32),
    free_threaded: bool,
    /// Whether it can put pip into a virtualenv; Debian packages that apart.
    pub(crate) ensurepip: bool,
}

impl Probe {
    /// `3.11`: what a virtualenv's packages are built for.
    pub(crate) fn minor(&self) -> (u32, u32) {
        (self.version.0, self.version.1)
    }

    /// `3.11.7`.
    pub(crate) fn version(&self) -> String {
        let (major, minor, patch) = self.version;
        format!("{major}.{minor}.{patch}")
    }
}

/// The file that `interpreter`, a name or a path, stands for.
pub(crate) fn find(interpreter: &str) -> Result<PathBuf, PythonError> {
    let candidates: Vec<PathBuf> = if interpreter.contains('/') {
        vec![PathBuf::from(interpreter)]
    } else {
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path)
            .map(|folder| folder.join(interpreter))
            .collect()
    };
    candidates
        .into_iter()
        .find(|candidate| is_executable(candidate))
        .ok_or_else(|| PythonError::NotFound {
            interpreter: interpreter.to_owned(),
        })
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    const ANYBODY: u32 = 0o111;
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & ANYBODY != 0)
}

/// Runs `python` once and refuses it if it cannot run workers; `key` chose it.
pub(crate) fn probe(
    python: &Path,
    key: &'static str,
    confines: &Confines,
) -> Result<Probe, PythonError> {
    let not_runnable = |reason: String| PythonError::NotRunnable {
        python: python.to_owned(),
        key,
        reason,
    };
    let mut command = Command::new(python);
    command.args(["-I", "-S", "-c", PROBE]).stdin(Stdio::null());
    confines.helper(&mut command);
    let output = command
        .output()
        .map_err(|error| not_runnable(denied(&error, confines)))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(not_runnable(reason_in(&complaint)));
    }
    let probe: Probe = serde_json::from_slice(&output.stdout)
        .map_err(|_| not_runnable("it does not answer like Python".to_owned()))?;
    check(python, key, &probe)?;
    Ok(probe)
}

/// Whose rights were not enough, where that is not plain.
fn denied(error: &io::Error, confines: &Confines) -> String {
    match confines.whom() {
        Some(user) if error.kind() == io::ErrorKind::PermissionDenied => {
            format!("{error}: `{user}` (`server.user`) may not")
        }
        _ => error.to_string(),
    }
}

/// A traceback ends with its reason, everything else begins with it. (Python 2: `Unknown option:
/// -I`, and then its usage.)
fn reason_in(complaint: &str) -> String {
    let mut lines = complaint.lines().filter(|line| !line.trim().is_empty());
    let reason = match complaint.starts_with("Traceback") {
        true => lines.next_back(),
        false => lines.next(),
    };
    reason.unwrap_or("it printed nothing").to_owned()
}

fn check(python: &Path, key: &'static str, probe: &Probe) -> Result<(), PythonError> {
    let flaw = if probe.implementation != "cpython" {
        format!(
            "{} {}, not CPython",
            name_of(&probe.implementation),
            probe.version()
        )
    } else if probe.minor() < OLDEST {
        format!("Python {}, which is too old", probe.version())
    } else if probe.free_threaded {
        format!("a free-threaded build of Python {}", probe.version())
    } else {
        return Ok(());
    };
    Err(PythonError::Unsupported {
        python: python.to_owned(),
        key,
        flaw,
    })
}

fn name_of(implementation: &str) -> &str {
    match implementation {
        "pypy" => "PyPy",
        "graalpy" => "GraalPy",
        other => other,
    }
}
