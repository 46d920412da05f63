//! One binary in place of nginx + uWSGI: the front serves files, the workers run the project's
//! own Python. This file: command → project → run → exit status.

mod cli;
mod failure;
mod import;
mod init;
mod library;
mod manual;
mod output;
mod remote;
mod summary;
mod top;

use std::path::PathBuf;
use std::process::ExitCode;

use appliance_project::model::Log;
use appliance_project::{Development, Loaded, Report, Sources};
use appliance_supervisor::{DaemonError, HANDOVER_VERSION, Outcome, Ready, Request, Side, Started};
use clap::Parser;

use cli::{Cli, Command, ProjectArgs, Status, Switch};
use output::tell;

fn main() -> ExitCode {
    let ask = |project: &ProjectArgs, request| remote::ask(&sources(project), &request, false);
    match Cli::parse().command {
        Command::Serve {
            project,
            handover: Some(fd),
            ..
        } => resume(&project, fd).into(),
        Command::Serve {
            project,
            no_supervisor,
            handover: None,
        } => serve(&project, no_supervisor).unwrap_or_else(|report| refuse(report).into()),
        Command::Dev {
            project,
            listen,
            allow_remote,
            front,
        } => {
            let mut sources = sources(&project);
            sources.development = Some(Development {
                listen,
                allow_remote,
            });
            let front = front.map(|url| format!("dev.front={url}"));
            sources.overrides.extend(front);
            develop(sources).unwrap_or_else(|report| refuse(report).into())
        }
        Command::Rehearse {
            project,
            handover_version,
        } => rehearse(&project, handover_version)
            .unwrap_or_else(refuse)
            .into(),
        Command::Upgrade { project, binary } => upgrade(&project, binary),
        Command::Check { project, show } => check(&project, show).unwrap_or_else(refuse).into(),
        Command::Init { folder, force } => init::init(&folder, force).into(),
        Command::Doctor { project } => init::doctor(&project).unwrap_or_else(refuse).into(),
        Command::Import {
            files,
            output,
            force,
        } => import::run(&files, output.as_deref(), force).into(),
        Command::Reload { project } => ask(&project, Request::Reload),
        Command::Reopen { project } => ask(&project, Request::Reopen),
        Command::Maintenance { word, project } => {
            let on = word == Switch::On;
            ask(&project, Request::Maintenance { on })
        }
        Command::Stop { project } => ask(&project, Request::Stop),
        Command::Quit { project } => ask(&project, Request::Quit),
        Command::Status {
            project,
            ready: true,
            ..
        } => remote::is_ready(&sources(&project)).into(),
        Command::Status { project, json, .. } => remote::ask(
            &sources(&project),
            &Request::Status { requests: false },
            json,
        ),
        Command::Top {
            project,
            once,
            interval,
        } => top::run(&sources(&project), once, interval),
        Command::Completions { shell } => manual::completions(shell).into(),
        Command::Man { folder } => manual::pages(&folder).into(),
    }
}

/// `appliance serve`: until it is asked to stop, or, in the background, until it serves.
fn serve(args: &ProjectArgs, no_supervisor: bool) -> Result<ExitCode, Report> {
    let sources = sources(args);
    let mut loaded = appliance_project::load(&sources)?;
    let server = &mut loaded.project.server;
    server.master &= !no_supervisor;
    let side = match (server.daemonize.is_some(), server.master) {
        (false, _) => {
            return Ok(match appliance_supervisor::as_first_process() {
                Some(status) => status.into(),
                None => run(loaded, sources, None).into(),
            });
        }
        (true, true) => appliance_supervisor::daemonize(&mut loaded.project),
        (true, false) => Err(DaemonError::NoSupervisor),
    };
    Ok(match side {
        Ok(Side::Server(ready)) => run(loaded, sources, Some(ready)).into(),
        Ok(Side::Command(status)) => status.into(),
        Err(error) => {
            failure::show(&error.into(), &loaded.project, &loaded.settings);
            Status::NotStarted.into()
        }
    })
}

/// `appliance dev`.
fn develop(sources: Sources) -> Result<ExitCode, Report> {
    let loaded = appliance_project::load(&sources)?;
    Ok(match appliance_supervisor::as_first_process() {
        Some(status) => status.into(),
        None => run(loaded, sources, None).into(),
    })
}

/// Serves; whoever waits is told when it has begun.
fn run(loaded: Loaded, sources: Sources, waiting: Option<Ready>) -> Status {
    appliance_log::start("supervisor".into(), &loaded.project.server.log);
    failure::warn(&loaded.warnings);
    let about = (loaded.project.clone(), loaded.settings.clone());
    let on_start = |started: &Started<'_>| {
        summary::show(started);
        if let Some(waiting) = waiting {
            waiting.tell();
        }
    };
    let status = match appliance_supervisor::serve(loaded, sources, library::BYTES, on_start) {
        Ok(Outcome::Stopped) => Status::Done,
        Ok(Outcome::Overdue) => Status::Overdue,
        Err(error) => {
            failure::show(&error, &about.0, &about.1);
            Status::NotStarted
        }
    };
    appliance_log::finish();
    status
}

/// `appliance serve` in a process that has served with another binary until now.
fn resume(args: &ProjectArgs, fd: i32) -> Status {
    let sources = sources(args);
    let loaded = appliance_project::load(&sources);
    let log = loaded.as_ref().map(|loaded| &loaded.project.server.log);
    appliance_log::start("supervisor".into(), log.unwrap_or(&Log::default()));
    let resumed = appliance_supervisor::resume(fd, loaded, sources, library::BYTES);
    appliance_log::finish();
    match resumed {
        Ok(Outcome::Stopped) => Status::Done,
        Ok(Outcome::Overdue) => Status::Overdue,
        Err(error) => {
            tell!("error: {error}");
            Status::NotStarted
        }
    }
}

/// `appliance rehearse`: everything but serving.
fn rehearse(args: &ProjectArgs, handover_version: Option<u32>) -> Result<Status, Report> {
    if handover_version.is_some_and(|version| version != HANDOVER_VERSION) {
        tell!(
            "error: this version cannot take over from the one that is running\n\
             hint: stop it and start this one"
        );
        return Ok(Status::NotStarted);
    }
    let sources = sources(args);
    let loaded = appliance_project::load(&sources)?;
    appliance_log::start("rehearsal".into(), &loaded.project.server.log);
    failure::warn(&loaded.warnings);
    let (project, settings) = (loaded.project.clone(), loaded.settings.clone());
    let rehearsed = appliance_supervisor::rehearse(loaded, sources, library::BYTES);
    Ok(match rehearsed {
        Ok(()) => Status::Done,
        Err(error) => {
            failure::show(&error, &project, &settings);
            Status::NotStarted
        }
    })
}

/// `appliance upgrade`: to the binary that this is, if nothing else is said.
fn upgrade(args: &ProjectArgs, binary: Option<PathBuf>) -> ExitCode {
    let binary = match binary {
        Some(binary) => std::path::absolute(&binary).unwrap_or(binary),
        None => std::env::current_exe().unwrap_or_default(),
    };
    let request = Request::Upgrade {
        binary: Some(binary),
    };
    remote::ask(&sources(args), &request, false)
}

/// `appliance check`: what is wrong, or what is meant.
fn check(args: &ProjectArgs, show: bool) -> Result<Status, Report> {
    let loaded = load(args)?;
    failure::warn(&loaded.warnings);
    Ok(output::print(&match show {
        true => appliance_project::show(&loaded),
        false => format!("{} is fine\n", args.file.display()),
    }))
}

fn load(args: &ProjectArgs) -> Result<Loaded, Report> {
    appliance_project::load(&sources(args))
}

fn sources(args: &ProjectArgs) -> Sources {
    Sources {
        file: args.file.clone(),
        environment: cli::environment(),
        overrides: args.overrides.clone(),
        development: None,
    }
}

fn refuse(report: Report) -> Status {
    failure::report(&report);
    Status::BadProject
}
