//! `hooks.before_start`: the project's own commands, before the first worker.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::process::{Command, ExitStatus};
use std::time::Instant;

use appliance_project::Project;

use crate::confine::Confines;
use crate::error::Halt;
use crate::process::Exit;
use crate::stage::Stage;
use crate::step::{self, Ended};

/// Runs the commands in order; the first that fails ends the start.
pub(crate) async fn before_start(
    project: &Project,
    environment: &[(OsString, OsString)],
    confines: &Confines,
    stage: &mut Stage,
) -> Result<(), Halt> {
    for line in &project.hooks.before_start {
        tracing::info!(command = line, "running a hook");
        let started = Instant::now();
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", line])
            .current_dir(&project.python.chdir)
            .envs(environment.iter().map(|(name, value)| (name, value)));
        confines.helper(&mut command);
        match step::run_watched(command, stage).await? {
            Ended::With(status) if status.success() => {
                let after_ms = started.elapsed().as_millis();
                tracing::debug!(command = line, after_ms, "hook done");
            }
            ended => return Err(HookError::new(line, project, ended).into()),
        }
    }
    Ok(())
}

/// A command that failed.
#[derive(Debug)]
pub struct HookError {
    command: String,
    chdir: std::path::PathBuf,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    NotStarted(io::Error),
    Ended(ExitStatus),
}

impl HookError {
    fn new(command: &str, project: &Project, ended: Ended) -> HookError {
        let cause = match ended {
            Ended::NotStarted(error) => Cause::NotStarted(error),
            Ended::With(status) => Cause::Ended(status),
        };
        HookError {
            command: command.to_owned(),
            chdir: project.python.chdir.clone(),
            cause,
        }
    }

    /// What to do.
    pub fn hint(&self) -> String {
        let chdir = self.chdir.display();
        match &self.cause {
            // What sh(1) answers for a command it cannot find.
            Cause::Ended(status) if status.code() == Some(127) => format!(
                "the shell did not find the command: it looks in the virtualenv's `bin`, then in `PATH`, from `{chdir}`"
            ),
            _ => format!("what it printed stands above; it ran in `{chdir}`"),
        }
    }
}

impl fmt::Display for HookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::NotStarted(error) => {
                write!(f, "the hook `{}` cannot run: {error}", self.command)
            }
            Cause::Ended(status) => {
                write!(
                    f,
                    "the hook `{}` failed: {}",
                    self.command,
                    Exit::of(*status)
                )
            }
        }
    }
}

impl std::error::Error for HookError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            Cause::NotStarted(error) => Some(error),
            Cause::Ended(_) => None,
        }
    }
}
