//! Commands to a server that runs: what is asked, and what its answer looks like.

use std::fmt::Write;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use appliance_project::Sources;
use appliance_supervisor::{Answer, ClientError, PreloadStatus, Request};

use crate::cli::Status;
use crate::output::{self, tell};
use crate::{failure, summary};

const NAME: Style = AnsiColor::Green.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// Asks the server of this project, and prints what it says: progress and failures to standard
/// error, the rest to standard output.
pub(crate) fn ask(sources: &Sources, request: &Request, json: bool) -> ExitCode {
    // A server is to be reached whatever has become of its project file; only a socket of its own
    // cannot be known then.
    let loaded = appliance_project::load(sources).ok();
    let control = loaded.and_then(|loaded| loaded.project.server.control);
    let progress = |text: &str| tell!("{text}");
    match appliance_supervisor::ask(&sources.file, control.as_deref(), request, progress) {
        Ok(answer) => print(&answer, json),
        Err(error) => {
            failure::remote(&error);
            match error {
                ClientError::NotRunning { .. } => Status::NotRunning.into(),
                _ => Status::NotStarted.into(),
            }
        }
    }
}

/// Whether the application's requests are answered: for health checks.
pub(crate) fn is_ready(sources: &Sources) -> Status {
    let loaded = appliance_project::load(sources).ok();
    let control = loaded.and_then(|loaded| loaded.project.server.control);
    let request = Request::Status { requests: false };
    match appliance_supervisor::ask(&sources.file, control.as_deref(), &request, |_| ()) {
        Ok(Answer::Status { status }) if status.is_ready() => Status::Done,
        Ok(_) => Status::NotStarted,
        Err(error) => {
            failure::remote(&error);
            match error {
                ClientError::NotRunning { .. } => Status::NotRunning,
                _ => Status::NotStarted,
            }
        }
    }
}

fn print(answer: &Answer, json: bool) -> ExitCode {
    let printed = match answer {
        Answer::Progress { text } | Answer::Done { text } => output::print(&format!("{text}\n")),
        Answer::Failed { exit_status, text } => {
            output::say(format_args!("{text}"));
            return ExitCode::from(*exit_status);
        }
        Answer::Status { status } if json => match serde_json::to_string_pretty(status) {
            Ok(text) => output::print(&format!("{text}\n")),
            Err(error) => {
                tell!("error: {error}");
                Status::NotStarted
            }
        },
        Answer::Status { status } => output::print(&table(status)),
    };
    printed.into()
}

/// ```text
///   /srv/shop/project.toml  serving, generation 3, up 2 h, process 4711
///   http://0.0.0.0:80
///   3.12.1 (CPython), appliance 0.1.0
///
///   worker    pid  state     generation      up  memory
///        1   4712  serving            3   5 min   38 MB
///
///   preload: workers are forked from process 4709, 36 MB
///
///   replaced: 4 reload, 2 max_requests
/// ```
fn table(status: &appliance_supervisor::Status) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = draw(status, &mut text);
    text
}

fn draw(status: &appliance_supervisor::Status, out: &mut String) -> std::fmt::Result {
    let project = status.project.display();
    let (generation, pid) = (status.generation, status.pid);
    let up = humane(status.uptime);
    writeln!(
        out,
        "\n  {project}  {NAME}{}{NAME:#}, generation {generation}, up {up}, process {pid}",
        status.state
    )?;
    if status.maintenance {
        writeln!(out, "  maintenance: every request gets a 503")?;
    }
    for address in &status.addresses {
        let scheme = summary::scheme((&status.https, &status.uwsgi), address);
        writeln!(out, "  {scheme}://{address}")?;
    }
    for path in &status.unix {
        let shown = summary::unix_address(path, status.uwsgi_unix.contains(path));
        writeln!(out, "  {shown}")?;
    }
    writeln!(out, "  {}, appliance {}\n", status.python, status.version)?;
    writeln!(
        out,
        "  {DIM}worker      pid  state     generation       up    memory{DIM:#}"
    )?;
    for worker in &status.workers {
        writeln!(
            out,
            "  {:>6}  {:>7}  {:8}  {:>10}  {:>7}  {:>5} MB",
            worker.worker,
            worker.pid,
            worker.state,
            worker.generation,
            humane(worker.uptime),
            worker.memory_bytes / 1_000_000
        )?;
    }
    match &status.preload {
        Some(PreloadStatus {
            pid: Some(pid),
            memory_bytes,
        }) => writeln!(
            out,
            "\n  preload: workers are forked from process {pid}, {} MB",
            memory_bytes / 1_000_000
        )?,
        Some(_) => writeln!(
            out,
            "\n  preload: each worker imports the application itself, the log says why"
        )?,
        None => {}
    }
    if !status.replaced.is_empty() {
        let counts = status.replaced.iter();
        let counts: Vec<_> = counts
            .map(|(reason, count)| format!("{count} {reason}"))
            .collect();
        writeln!(out, "\n  replaced: {}", counts.join(", "))?;
    }
    if let Some(failure) = &status.last_failure {
        writeln!(
            out,
            "\n  the last reload or upgrade failed:\n\n{}",
            failure.trim_end()
        )?;
    }
    writeln!(out)
}

/// `12 s`, `3 min`, `5 h`, `12 d`.
fn humane(seconds: f64) -> String {
    match seconds as u64 {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86400),
    }
}
