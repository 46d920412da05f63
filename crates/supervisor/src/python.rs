//! The project's Python: the interpreter that runs the workers, ready to import the application.
//!
//! - No `virtualenv`: the interpreter itself.
//! - `virtualenv` alone: it is the user's; it must be there and work.
//! - `virtualenv` and `requirements`: it is ours; created when it is missing or broken or of
//!   another Python, filled when the requirements have changed. Nothing of this starts an
//!   interpreter when nothing has changed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use appliance_project::model;

pub use error::PythonError;

use crate::confine::Confines;
use crate::error::Halt;
use crate::stage::Stage;

mod error;
mod install;
mod interpreter;
mod requirements;
mod stamp;
mod venv;

/// Makes the project's Python ready and returns the interpreter to execute.
pub(crate) async fn prepare(
    python: &model::Python,
    environment: &[(OsString, OsString)],
    confines: &Confines,
    stage: &mut Stage,
) -> Result<PathBuf, Halt> {
    match (&python.virtualenv, &python.requirements) {
        (None, _) => {
            let path = interpreter::find(&python.interpreter)?;
            interpreter::probe(&path, "python.interpreter", confines)?;
            Ok(path)
        }
        (Some(folder), None) => {
            let path = venv::python_of(folder)?;
            interpreter::probe(&path, "python.virtualenv", confines)?;
            Ok(path)
        }
        (Some(folder), Some(file)) => {
            install::up_to_date(python, (folder, file), environment, confines, stage).await
        }
    }
}

/// Variables on top of the supervisor's own.
pub(crate) type Environment = Vec<(OsString, OsString)>;

/// What hooks, pip and workers get: whose they are, as if the virtualenv were activated, then
/// `python.env`.
pub(crate) fn environment(python: &model::Python, confines: &Confines) -> Environment {
    let mut variables = confines.variables();
    if let Some(folder) = &python.virtualenv {
        variables.push(("VIRTUAL_ENV".into(), folder.into()));
        variables.push(("PATH".into(), path_with(&folder.join("bin"))));
    }
    variables.extend(
        python
            .env
            .iter()
            .map(|(name, value)| (name.into(), value.into())),
    );
    variables
}

/// `PATH` with `first` before everything else.
fn path_with(first: &Path) -> OsString {
    let mut path = OsString::from(first);
    if let Some(rest) = std::env::var_os("PATH") {
        path.push(":");
        path.push(rest);
    }
    path
}
