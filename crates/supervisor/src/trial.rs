//! The rehearsal of an upgrade: the new binary, as a process of its own, reads the project, installs
//! packages, runs the hooks and has one worker import the application. What is wrong with it
//! shows there, where it costs nothing.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Instant;

use appliance_project::{Loaded, Sources};
use tokio::sync::mpsc::unbounded_channel;

use crate::error::{Halt, StartError};
use crate::generation::Generation;
use crate::handover;
use crate::logs;
use crate::master::Master;
use crate::process::Exit;
use crate::signals::Signals;
use crate::stage::Stage;
use crate::step::{self, Ended};

/// Rehearses with `binary`. What it prints goes to the log and to those who asked.
pub(crate) async fn of(binary: &Path, mut stage: Stage) -> Result<(), Refused> {
    let mut arguments = handover::arguments();
    if let Some(verb) = arguments.first_mut() {
        *verb = OsString::from("rehearse");
    }
    let mut command = Command::new(binary);
    command
        .args(arguments)
        .args(["--handover-version", &handover::VERSION.to_string()]);
    let audience = stage.audience().to_vec();
    let show = |line: &str| {
        appliance_log::text(&format!("{line}\n"));
        audience.iter().for_each(|reply| reply.progress(line));
    };
    match step::run_with_output(command, &mut stage, show).await {
        Ok(Ended::With(status)) if status.success() => Ok(()),
        Ok(Ended::With(status)) => Err(Refused {
            exit_status: exit_status(status),
            text: format!(
                "error: `{}` cannot serve this project: {}\nhint: what it printed stands above\n",
                binary.display(),
                Exit::of(status)
            ),
        }),
        Ok(Ended::NotStarted(error)) => Err(Refused {
            exit_status: NOT_STARTED,
            text: format!("error: cannot run `{}`: {error}\n", binary.display()),
        }),
        Err(Halt::Failed(error)) => Err(Refused {
            exit_status: NOT_STARTED,
            text: format!("error: {error}\n"),
        }),
        Err(Halt::Stopped(_)) => Err(Refused {
            exit_status: NOT_STARTED,
            text: "error: the server was stopped before the upgrade\n".to_owned(),
        }),
    }
}

const NOT_STARTED: u8 = 3;

/// Why there is no upgrade.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) exit_status: u8,
    pub(crate) text: String,
}

/// 1 for a project file that the new binary finds wrong; else 3.
fn exit_status(status: ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        (Some(1), None) => 1,
        _ => NOT_STARTED,
    }
}

/// What the new binary does in a rehearsal.
///
/// # Errors
///
/// What would keep it from serving.
pub fn rehearse(
    loaded: Loaded,
    sources: Sources,
    library: &'static [u8],
) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let rehearsed = runtime.block_on(async {
        let mut signals = Signals::new()?;
        logs::open(&loaded.project).map_err(StartError::Log)?;
        let mut stage = Stage::new(&signals, Vec::new())?;
        let generation = Generation::rehearsal(loaded, library, &mut stage).await?;
        let mut master = Master::new(sources, generation, unbounded_channel(), Instant::now());
        master.start(&mut signals).await?;
        master.stop(&mut signals).await;
        Ok(())
    });
    match rehearsed {
        Ok(()) | Err(Halt::Stopped(_)) => Ok(()),
        Err(Halt::Failed(error)) => Err(error),
    }
}
