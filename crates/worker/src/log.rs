//! The log of a worker: its own lines, and what Python prints.
//!
//! Under a supervisor both have pipes to it, or its own streams. A worker alone has the thread
//! that writes files itself, and puts pipes to it where standard output and error were.

use std::io;
use std::os::fd::OwnedFd;

use appliance_log::ReadyLines;
use appliance_project::Project;

use crate::process::{redirect_output, restore_output};
use crate::spec::Assignment;

pub(crate) struct WorkerLog {
    /// Standard output and error as they were.
    saved: Option<[OwnedFd; 2]>,
    is_alone: bool,
}

impl WorkerLog {
    /// Begins to write it; nothing is logged before.
    pub(crate) fn start(assignment: &mut Assignment, supervised: bool) -> io::Result<WorkerLog> {
        let name = match assignment.slot {
            0 => "front".to_owned(),
            slot => format!("worker {slot}"),
        };
        let log = &assignment.project.server.log;
        appliance_log::start(name.clone(), log);
        if let Some(pipe) = assignment.log.take() {
            appliance_log::write_to(pipe, log)?;
        }
        for (target, pipe) in assignment.access_logs.drain(..) {
            ReadyLines::write_to(target, assignment.slot, pipe)?;
        }
        let saved = match supervised {
            true => None,
            false => collect(&assignment.project, name)?,
        };
        Ok(WorkerLog {
            saved,
            is_alone: !supervised,
        })
    }

    /// What comes after it goes to where everything went before the start.
    pub(crate) fn finish(self) {
        appliance_log::flush_at_end();
        if let Some(saved) = self.saved {
            restore_output(&saved);
        }
        if self.is_alone {
            appliance_log::finish();
        }
    }
}

/// What a supervisor would do; standard output and error as they were, if they go elsewhere now.
fn collect(project: &Project, name: String) -> io::Result<Option<[OwnedFd; 2]>> {
    let (log, access_logs) = (&project.server.log, project.access_logs());
    appliance_log::open(log, &access_logs).map_err(io::Error::other)?;
    appliance_log::apply(log, &access_logs);
    for target in access_logs {
        let pipe = appliance_log::ready_pipe(name.clone(), target.clone())?;
        ReadyLines::write_to(target, 1, pipe)?;
    }
    if !appliance_log::needs_collector(&log.target) {
        return Ok(None);
    }
    let pipes = appliance_log::printed_pipes(&name, log)?;
    redirect_output(&pipes).map(Some)
}

/// Opens log files anew, as SIGUSR1 asks for it.
pub(crate) fn reopen() {
    for (file, result) in appliance_log::reopen() {
        let file = file.display();
        match result {
            Ok(()) => tracing::info!(%file, "log file opened anew"),
            Err(error) => {
                tracing::error!(%file, %error, "the log file cannot be opened anew; the old one is written on");
            }
        }
    }
}
