//! Where lines go: of the supervisor, its workers and what it runs for them.

use std::io::{self, PipeWriter};
use std::os::fd::{AsRawFd, RawFd};
use std::process::Command;

use appliance_log::{HandedSource, Kind, OpenError, Streams};
use appliance_project::Project;
use appliance_project::model::LogTarget;
use serde::{Deserialize, Serialize};

use crate::confine::Confines;
use crate::control::Reply;
use crate::{daemon, sys};

/// Opens what the project's lines go to, beside what is open already.
pub(crate) fn open(project: &Project) -> Result<(), OpenError> {
    appliance_log::open(&project.server.log, &others(project))
}

/// What lines go to beside the log. In the background its file is among them, whoever writes to it:
/// what a panic prints goes there.
fn others(project: &Project) -> Vec<LogTarget> {
    let mut others = project.access_logs();
    if let Some(file) = daemon::file() {
        others.push(LogTarget::File(file.to_owned()));
    }
    others
}

/// Whoever may change a log file's folder can let its name mean any other file: there root opens
/// and renames files as that user.
pub(crate) fn mind_rights(project: &Project) {
    let confines = Confines::of(&project.server);
    appliance_log::open_files_by(move |path, action| match confines.can_move(path) {
        true => drop(confines.act(action)),
        false => action(),
    });
}

/// Goes over to the project's settings.
pub(crate) fn apply(project: &Project) {
    appliance_log::apply(&project.server.log, &others(project));
}

/// Whether there is a thread that writes for all.
pub(crate) fn needs_thread(project: &Project) -> bool {
    appliance_log::needs_collector(&project.server.log.target) || !project.access_logs().is_empty()
}

/// Goes over to the settings of a server that must go on whatever comes: where it cannot write, it says so.
pub(crate) fn take_over(project: &Project) {
    match open(project) {
        Ok(()) => apply(project),
        Err(error) => tracing::error!(%error, "the log goes to standard error"),
    }
}

/// Pipes for a worker's lines.
#[derive(Debug, Default)]
pub(crate) struct Pipes {
    /// For its own; none if they go straight to where the log does.
    log: Option<PipeWriter>,
    access: Vec<(LogTarget, PipeWriter)>,
    /// For what is printed, likewise.
    printed: Option<[PipeWriter; 2]>,
}

impl Pipes {
    /// Sees to it that what a worker with this name prints, and its lines, go where the log does.
    pub(crate) fn connect(
        command: &mut Command,
        name: String,
        project: &Project,
    ) -> io::Result<Pipes> {
        let log = &project.server.log;
        let mut access = Vec::new();
        for target in project.access_logs() {
            let pipe = appliance_log::ready_pipe(name.clone(), target.clone())?;
            access.push((target, pipe));
        }
        if !appliance_log::needs_collector(&log.target) {
            let [stdout, stderr] = appliance_log::stdio(&name, Some(log), Streams::Apart)?;
            command.stdout(stdout).stderr(stderr);
            return Ok(Pipes {
                access,
                ..Pipes::default()
            });
        }
        let printed = appliance_log::printed_pipes(&name, log)?;
        command.stdout(printed[0].try_clone()?);
        command.stderr(printed[1].try_clone()?);
        Ok(Pipes {
            log: Some(appliance_log::pipe(Kind::Events, name, log)?),
            access,
            printed: Some(printed),
        })
    }

    /// Makes them those of the user who writes to them.
    pub(crate) fn give(&self, confines: &Confines) -> io::Result<()> {
        let access = self.access.iter().map(|(_, pipe)| pipe);
        let mut pipes = self.log.iter().chain(access);
        pipes.try_for_each(|pipe| confines.give(pipe))
    }

    pub(crate) fn log(&self) -> Option<RawFd> {
        self.log.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// For standard output and error of a process that is forked.
    pub(crate) fn printed(&self) -> Option<[RawFd; 2]> {
        let [output, error] = self.printed.as_ref()?;
        Some([output.as_raw_fd(), error.as_raw_fd()])
    }

    pub(crate) fn access(&self) -> Vec<(LogTarget, RawFd)> {
        let pipes = self.access.iter();
        pipes
            .map(|(target, pipe)| (target.clone(), pipe.as_raw_fd()))
            .collect()
    }

    pub(crate) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        let access = self.access.iter().map(|(_, pipe)| pipe.as_raw_fd());
        self.log().into_iter().chain(access)
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
    if let Err(error) = appliance_log::go_on(&project.server.log, &others(project), sources) {
        return tracing::error!(%error, "the log goes to standard error, and lines of workers are lost");
    }
    apply(project);
}
