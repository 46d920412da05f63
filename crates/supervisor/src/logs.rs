//! Where lines go: of the supervisor, its workers and what it runs for them.

use std::io::{self, PipeWriter};
use std::os::fd::{AsRawFd, RawFd};
use std::process::Command;

use appliance_log::{HandedSource, Kind, OpenError};
use appliance_project::Project;
use appliance_project::model::{Log, LogTarget};
use serde::{Deserialize, Serialize};

use crate::control::Reply;
use crate::sys;
use crate::worker::Role;

/// Opens what the project's lines go to, beside what is open already.
pub(crate) fn open(project: &Project) -> Result<(), OpenError> {
    appliance_log::open(&project.server.log, &[])
}

/// Goes over to the project's settings.
pub(crate) fn apply(project: &Project) {
    appliance_log::apply(&project.server.log, &[]);
}

/// Whether there is a thread that writes for all.
pub(crate) fn needs_thread(project: &Project) -> bool {
    appliance_log::needs_collector(&project.server.log.target)
}

/// Goes over to the settings of a server that must go on whatever comes: where it cannot write, it says so.
pub(crate) fn take_over(project: &Project) {
    match open(project) {
        Ok(()) => apply(project),
        Err(error) => tracing::error!(%error, "the log goes to standard error"),
    }
}

/// Sees to it that what a worker prints, and its own lines, go where the log does; the pipe for
/// the latter, if they do not go straight there.
pub(crate) fn connect(
    command: &mut Command,
    role: Role,
    log: &Log,
) -> io::Result<Option<PipeWriter>> {
    let name = match role.number() {
        0 => "front".to_owned(),
        number => format!("worker {number}"),
    };
    let [stdout, stderr] = appliance_log::stdio(&name, Some(log))?;
    command.stdout(stdout).stderr(stderr);
    match appliance_log::needs_collector(&log.target) {
        true => appliance_log::pipe(Kind::Events, name, log).map(Some),
        false => Ok(None),
    }
}

/// Opens log files anew, after somebody has moved them away; what there is to say, or what failed.
pub(crate) fn reopen() -> Result<String, String> {
    let mut failed = String::new();
    let reopened = appliance_log::reopen();
    for (file, result) in &reopened {
        let file = file.display();
        match result {
            Ok(()) => tracing::info!(%file, "log file opened anew"),
            Err(error) => {
                tracing::error!(%file, %error, "the log file cannot be opened anew; the old one is written on");
                failed.push_str(&format!("error: cannot open the log `{file}`: {error}\n"));
            }
        }
    }
    match (failed.is_empty(), reopened.len()) {
        (false, _) => Err(failed),
        (true, 0) => Ok("no log goes to a file: there is nothing to open anew".to_owned()),
        (true, 1) => Ok("1 log file opened anew".to_owned()),
        (true, more) => Ok(format!("{more} log files opened anew")),
    }
}

pub(crate) fn answer_reopen(reply: &Reply) {
    const FAILED: u8 = 3;
    match reopen() {
        Ok(done) => reply.done(done),
        Err(failed) => reply.failed(FAILED, failed),
    }
}

/// A pipe of the log that the next program of this process reads on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct HandedLog {
    kind: Kind,
    process: String,
    target: LogTarget,
    pub(crate) fd: RawFd,
    #[serde(default)]
    json: bool,
    held: Vec<u8>,
}

impl HandedLog {
    pub(crate) fn of(source: &HandedSource) -> HandedLog {
        HandedLog {
            kind: source.kind,
            process: source.process.clone(),
            target: source.target.clone(),
            json: source.json,
            fd: source.fd.as_raw_fd(),
            held: source.held.clone(),
        }
    }

    fn adopt(self) -> io::Result<HandedSource> {
        Ok(HandedSource {
            kind: self.kind,
            process: self.process,
            target: self.target,
            json: self.json,
            fd: sys::adopt(self.fd)?,
            held: self.held,
        })
    }
}

/// Reads on what another program of this process has read from.
pub(crate) fn adopt(project: &Project, handed: &[HandedLog]) {
    let sources = handed.iter().cloned().map(HandedLog::adopt);
    go_on(project, sources.filter_map(Result::ok).collect());
}

/// The server goes on without the lines of workers that are to be replaced anyway.
pub(crate) fn go_on(project: &Project, sources: Vec<HandedSource>) {
    if let Err(error) = appliance_log::go_on(&project.server.log, &[], sources) {
        return tracing::error!(%error, "the log goes to standard error, and lines of workers are lost");
    }
    apply(project);
}
