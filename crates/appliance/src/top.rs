//! `appliance top`.

use std::process::ExitCode;
use std::time::Duration;

use appliance_project::Sources;
use appliance_supervisor::ClientError;
use appliance_top::{Options, TopError};

use crate::cli::Status;
use crate::failure;

/// Shows the server of this project, or prints one frame of it.
pub(crate) fn run(sources: &Sources, once: bool, interval: Duration) -> ExitCode {
    // A server is to be reached whatever has become of its project file.
    let loaded = appliance_project::load(sources).ok();
    let options = Options {
        file: sources.file.clone(),
        control: loaded.and_then(|loaded| loaded.project.server.control),
        interval,
    };
    let shown = match once {
        true => appliance_top::once(&options),
        false => appliance_top::run(&options),
    };
    let Err(error) = shown else {
        return Status::Done.into();
    };
    failure::told(&error, error.hint());
    match error {
        TopError::Client(ClientError::NotRunning { .. }) => Status::NotRunning.into(),
        TopError::NoTerminal => Status::BadCommand.into(),
        TopError::Refused { exit_status, .. } => ExitCode::from(exit_status),
        TopError::Client(_) | TopError::Terminal(_) => Status::NotStarted.into(),
    }
}
