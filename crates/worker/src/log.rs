//! The log of a worker: its own lines, and what Python prints.
//!
//! Under a supervisor both have pipes to it, or its own streams. A worker alone has the thread
//! that writes files itself, and puts a pipe to it where standard output and error were.

use std::io;
use std::os::fd::OwnedFd;

use appliance_log::Kind;
use appliance_project::model::Log;

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
        let saved = match supervised || !appliance_log::needs_collector(&log.target) {
            true => None,
            false => Some(collect(log, name)?),
        };
        Ok(WorkerLog {
            saved,
            is_alone: !supervised,
        })
    }

    /// What comes after it goes to where everything went before the start.
    pub(crate) fn finish(self) {
        if let Some(saved) = self.saved {
            restore_output(&saved);
        }
        if self.is_alone {
            appliance_log::finish();
        }
    }
}

fn collect(log: &Log, name: String) -> io::Result<[OwnedFd; 2]> {
    appliance_log::open(log, &[]).map_err(io::Error::other)?;
    appliance_log::apply(log, &[]);
    let pipe = appliance_log::pipe(Kind::Printed, name, log)?;
    redirect_output(&pipe)
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
