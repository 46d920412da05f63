//! `appliance init` and `appliance doctor`: what lies in a folder, and what is wrong with it.

use std::path::Path;

use anstyle::{AnsiColor, Style};
use appliance_project::{Project, Report};
use appliance_survey::doctor::{self, Finding, Severity};
use appliance_survey::init::{self, Made};

use crate::cli::{ProjectArgs, Status};
use crate::output::{self, tell};
use crate::{failure, import, load};

const ERROR: Style = AnsiColor::BrightRed.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::BrightCyan.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();

/// Writes a project file into a folder, by what lies there.
pub(crate) fn init(folder: &Path, force: bool) -> Status {
    if !folder.is_dir() {
        tell!(
            "{ERROR}error{ERROR:#}: there is no folder `{}`",
            folder.display()
        );
        return Status::BadProject;
    }
    let root = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let Some(made) = init::project(&root) else {
        tell!(
            "{ERROR}error{ERROR:#}: nothing to serve in `{}`: neither manage.py nor a WSGI application, nor a folder such as dist with an index.html\n\
             {HINT}hint{HINT:#}: `appliance import` takes nginx.conf and uwsgi.ini",
            folder.display()
        );
        return Status::BadProject;
    };
    let path = folder.join("project.toml");
    if let Err(error) = import::write(Some(&path), force, &made.project) {
        tell!("{ERROR}error{ERROR:#}: {error}");
        return Status::BadProject;
    }
    tell(&made, &path);
    Status::Done
}

fn tell(made: &Made, path: &Path) {
    for found in &made.found {
        tell!("found {found}");
    }
    for note in &made.notes {
        tell!("{WARNING}warning{WARNING:#}: {note}");
    }
    let path = path.display();
    tell!(
        "wrote {path}: `appliance serve {path}` serves it, `appliance doctor {path}` looks it over"
    );
}

/// Names the traps that a project has fallen into.
pub(crate) fn doctor(args: &ProjectArgs) -> Result<Status, Report> {
    let loaded = load(args)?;
    failure::warn(&loaded.warnings);
    Ok(findings(&loaded.project))
}

fn findings(project: &Project) -> Status {
    let findings = doctor::examine(project);
    let mut text = String::new();
    for Finding {
        severity,
        what,
        fix,
    } in &findings
    {
        text += &match severity {
            Severity::Problem => format!("{ERROR}problem{ERROR:#}: {what}\n"),
            Severity::Advice => format!("{WARNING}advice{WARNING:#}: {what}\n"),
        };
        text += &format!("{HINT}fix{HINT:#}: {fix}\n\n");
    }
    let problems = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Problem);
    let (title, count) = match problems.count() {
        0 => (format!("{GOOD}no problems{GOOD:#}"), 0),
        count => (format!("{count} problems"), count),
    };
    text += &format!("{title}, {} pieces of advice\n", findings.len() - count);
    match output::print(&text) {
        Status::Done if count > 0 => Status::BadProject,
        printed => printed,
    }
}
