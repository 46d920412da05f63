//! What goes wrong, on standard error: the message, the setting at fault, what to do.

use std::io::IsTerminal;

use anstyle::{AnsiColor, Style};
use appliance_project::model::LogTarget;
use appliance_project::{Colour, Project, Report, Setting};
use appliance_supervisor::{ClientError, StartError};

use crate::output::{self, tell};

const ERROR: Style = AnsiColor::BrightRed.on_default().bold();
const HINT: Style = AnsiColor::BrightCyan.on_default().bold();

/// A project file with errors.
pub(crate) fn report(report: &Report) {
    let colour = if std::io::stderr().is_terminal() {
        Colour::Ansi
    } else {
        Colour::Plain
    };
    // anstream takes the colours out again where `NO_COLOR` or the like asks for it.
    output::say(format_args!("{}", report.render(colour)));
}

/// Warnings of a project file without errors.
pub(crate) fn warn(warnings: &Report) {
    if !warnings.is_empty() {
        report(warnings);
    }
}

/// A server that did not start. Python's traceback stands above it: its worker has printed it.
pub(crate) fn show(error: &StartError, project: &Project, settings: &[Setting]) {
    let text = appliance_supervisor::explain(error, project, settings);
    let (log, background) = (&project.server.log.target, &project.server.daemonize);
    match (log, background) {
        // One file, in which the traceback comes first.
        (LogTarget::File(log), Some(file)) if log == file => appliance_log::finish(),
        // Whoever has started it may be gone when somebody asks why it does not run.
        _ if appliance_log::needs_collector(log) => appliance_log::text(&text),
        _ => {}
    }
    output::say(format_args!("{text}"));
}

/// A command that did not reach its server.
pub(crate) fn remote(error: &ClientError) {
    told(error, error.hint());
}

/// An error, and what to do.
pub(crate) fn told(error: &dyn std::error::Error, hint: Option<String>) {
    tell!("{ERROR}error{ERROR:#}: {error}");
    if let Some(hint) = hint {
        tell!("{HINT}hint{HINT:#}: {hint}");
    }
}
