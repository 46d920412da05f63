//! `appliance init` and `appliance doctor`: what lies in a folder, and what is wrong with it.

use std::path::Path;

use anstyle::{AnsiColor, Style};
use appliance_project::{Project, Report};
use appliance_survey::doctor::{self, Finding, Severity};
use appliance_survey::init::{self, Made};

use crate::cli::{ProjectArgs, Status};
use crate::{failure, import, load};

const ERROR: Style = AnsiColor::BrightRed.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::BrightCyan.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();

/// Writes a project file into a folder, by what lies there.
pub(crate) fn init(folder: &Path, force: bool) -> Status {
    if !folder.is_dir() {
        anstream::eprintln!(
            "{ERROR}error{ERROR:#}: there is no folder `{}`",
            folder.display()
        );
        return Status::BadProject;
    }
    let root = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let Some(made) = init::project(&root) else {
        anstream::eprintln!(
            "{ERROR}error{ERROR:#}: nothing to serve in `{}`: neither manage.py nor a WSGI application, nor a folder such as dist with an index.html\n\
             {HINT}hint{HINT:#}: `appliance import` takes nginx.conf and uwsgi.ini",
            folder.display()
        );
        return Status::BadProject;
    };
    let path = folder.join("project.toml");
    if let Err(error) = import::write(Some(&path), force, &made.project) {
        anstream::eprintln!("{ERROR}error{ERROR:#}: {error}");
        return Status::BadProject;
    }
    tell(&made, &path);
    Status::Done
}

fn tell(made: &Made, path: &Path) {
    for found in &made.found {
        anstream::eprintln!("found {found}");
    }
    for note in &made.notes {
        anstream::eprintln!("{WARNING}warning{WARNING:#}: {note}");
    }
    let path = path.display();
    anstream::eprintln!(
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
    for Finding {
        severity,
        what,
        fix,
    } in &findings
    {
        match severity {
            Severity::Problem => anstream::println!("{ERROR}problem{ERROR:#}: {what}"),
            Severity::Advice => anstream::println!("{WARNING}advice{WARNING:#}: {what}"),
        }
        anstream::println!("{HINT}fix{HINT:#}: {fix}\n");
    }
    let problems = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Problem);
    match problems.count() {
        0 => {
            anstream::println!(
                "{GOOD}no problems{GOOD:#}, {} pieces of advice",
                findings.len()
            );
            Status::Done
        }
        count => {
            anstream::println!(
                "{count} problems, {} pieces of advice",
                findings.len() - count
            );
            Status::BadProject
        }
    }
}
