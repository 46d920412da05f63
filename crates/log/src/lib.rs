//! The log of supervisor and workers alike: the form of a line, and the way it takes.
//!
//! ```text
//! 2026-01-31T12:00:00.123456Z  INFO supervisor: worker ready worker=1 pid=4711
//! 2026-01-31T12:00:01.456789Z  WARN worker 1: the queue is full: requests get 503
//! ```
//!
//! - To standard error or output every process writes by itself ([`route`]).
//! - Files and syslog have one writer, the collector: a thread of the supervisor, or of the worker
//!   that has none ([`collector`]). Everybody else writes into pipes to it ([`source`]), what the
//!   application and hooks print included. So a file is begun anew, opened anew or found full in
//!   one place, between two lines, and nobody who prints sees an error or waits for a disk.

mod collector;
mod event;
mod form;
mod ready;
mod route;
mod sink;
mod source;
mod time;

use std::io::{self, PipeWriter};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Stdio;

use appliance_project::model::{Log, LogFormat, LogTarget};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{Registry, reload};

pub use collector::{OpenError, Reopened};
pub use ready::{ReadyLines, flush, flush_at_end};
pub use source::{HandedSource, Kind};
pub use time::Moment;

use form::Form;
use route::Route;

/// Until something else is said: to standard error.
static FILTER: std::sync::OnceLock<reload::Handle<Targets, Registry>> = std::sync::OnceLock::new();

/// Begins to write the log of the process called `process`, to standard error for now, from
/// `log_level` on. `RUST_LOG`, if set and sound, says otherwise: `debug`, or
/// `appliance_front=debug,info`.
pub fn start(process: String, log: &Log) {
    let (filter, handle) = reload::Layer::new(filter(log));
    let lines = event::Lines::new(process);
    if tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init()
        .is_ok()
    {
        let _ = FILTER.set(handle);
    }
    let target = match &log.target {
        LogTarget::Stdout => LogTarget::Stdout,
        _ => LogTarget::Stderr,
    };
    let form = Form::of_stream(log, &target);
    route::set(Route::Stream(target), form);
}

fn filter(log: &Log) -> Targets {
    let wanted = std::env::var("RUST_LOG").ok();
    let wanted = wanted.filter(|wanted| !wanted.is_empty());
    let wanted = wanted.and_then(|wanted| wanted.parse().ok());
    wanted.unwrap_or_else(|| {
        let level = event::least(log.level);
        // Of what clients do wrong in HTTP/2 that library warns, which would let them write the
        // log.
        Targets::new()
            .with_default(level)
            .with_target("h2", LevelFilter::ERROR.min(level))
    })
}

/// Lets log files be opened and renamed by `rights`, which does what it is given for a path; or does
/// not, and then that fails.
pub fn open_files_by(rights: impl Fn(&Path, &mut (dyn FnMut() + Send)) + Send + Sync + 'static) {
    // Once in a process.
    let _ = sink::RIGHTS.set(Box::new(rights));
}

/// Makes what is at `path` this process's standard output and error whenever it is opened, so that nothing
/// goes on to a file that was moved away.
pub fn take_for_streams(path: &Path) {
    // Once in a process.
    let _ = sink::STREAMS.set(path.to_owned());
}

/// Opens everything that lines are to go to; what is open stays so. The collector is started if
/// there is anything for it to do. Nothing is written yet: see [`apply`].
///
/// # Errors
///
/// When a file cannot be opened.
pub fn open(log: &Log, others: &[LogTarget]) -> Result<(), OpenError> {
    let own = Some(&log.target).filter(|target| needs_collector(target));
    let targets: Vec<LogTarget> = own.into_iter().chain(others).cloned().collect();
    match targets.is_empty() {
        true => Ok(()),
        false => collector::open(log, targets),
    }
}

/// Takes up these settings: level, form, and where this process's own lines go. What was opened
/// for earlier ones is closed when nobody writes to it any more.
pub fn apply(log: &Log, others: &[LogTarget]) {
    if let Some(handle) = FILTER.get() {
        let _ = handle.reload(filter(log));
    }
    collector::configure(log, others);
    match needs_collector(&log.target) {
        true => {
            let route = Route::Collector(log.target.clone());
            route::set(route, Form::of_collector(log));
        }
        false => {
            let form = Form::of_stream(log, &log.target);
            route::set(Route::Stream(log.target.clone()), form);
        }
    }
}

/// Whether lines for `target` go through the collector.
pub fn needs_collector(target: &LogTarget) -> bool {
    !matches!(target, LogTarget::Stderr | LogTarget::Stdout)
}

/// The writing end of a pipe to the collector, which must have been told to [`open`] its target.
///
/// # Errors
///
/// When there are no descriptors left, or no collector.
pub fn pipe(kind: Kind, process: String, log: &Log) -> io::Result<PipeWriter> {
    let json = log.format == LogFormat::Json;
    collector::pipe(kind, process, log.target.clone(), json)
}

/// The same for ready lines, to a target of their own.
///
/// # Errors
///
/// Those of [`pipe`].
pub fn ready_pipe(process: String, target: LogTarget) -> io::Result<PipeWriter> {
    collector::pipe(Kind::Ready, process, target, false)
}

/// Standard output and error of a child called `process`, so that what it prints goes to
/// where `log` does; without one, to where this process's own lines go. A child that prints from
/// several threads needs [`Streams::Apart`].
///
/// # Errors
///
/// Those of [`pipe`].
pub fn stdio(process: &str, log: Option<&Log>, streams: Streams) -> io::Result<[Stdio; 2]> {
    let (target, json) = match log {
        Some(log) => (log.target.clone(), log.format == LogFormat::Json),
        None => route::target(),
    };
    Ok(match target {
        LogTarget::Stderr => [io::stderr().into(), io::stderr().into()],
        LogTarget::Stdout => [io::stdout().into(), io::stdout().into()],
        target => printed(process, &target, json, streams)?.map(Stdio::from),
    })
}

/// How a child's standard output and error reach the collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Streams {
    /// By one pipe: the order of lines is that in which they were printed.
    Together,
    /// By one pipe each. When a pipe is full, a writer waits in the middle of its line, and another
    /// one's comes in between; Python has a lock for each stream, and none for both.
    Apart,
}

/// The writing ends for standard output and error of a process that has a collector.
///
/// # Errors
///
/// Those of [`pipe`].
pub fn printed_pipes(process: &str, log: &Log) -> io::Result<[PipeWriter; 2]> {
    let json = log.format == LogFormat::Json;
    printed(process, &log.target, json, Streams::Apart)
}

fn printed(
    process: &str,
    target: &LogTarget,
    json: bool,
    streams: Streams,
) -> io::Result<[PipeWriter; 2]> {
    let pipe = || collector::pipe(Kind::Printed, process.to_owned(), target.clone(), json);
    let output = pipe()?;
    let error = match streams {
        Streams::Together => output.try_clone()?,
        Streams::Apart => pipe()?,
    };
    Ok([output, error])
}

/// Lets this process's lines go to a pipe made by [`pipe`] for [`Kind::Events`].
///
/// # Errors
///
/// When the pipe cannot be opened once more, for writing without waiting.
pub fn write_to(pipe: impl AsFd, log: &Log) -> io::Result<()> {
    let end = route::PipeEnd::new(pipe.as_fd())?;
    route::set(Route::Pipe(end), Form::of_collector(log));
    Ok(())
}

/// A text for people, of one or more lines, to where the log goes, as it is. Colours are taken out
/// where they would be noise.
pub fn text(text: &str) {
    route::text(text);
}

/// Opens all files anew, after somebody has moved them away.
pub fn reopen() -> Vec<Reopened> {
    collector::reopen()
}

/// Returns when what was said and printed until now is written.
pub fn settle() {
    collector::settle();
}

/// Stops the collector; what it reads from waits, to be handed over. See [`go_on`].
pub fn pause() -> Vec<HandedSource> {
    collector::pause()
}

/// Reads on from these, in this program or in the next one of this process.
///
/// # Errors
///
/// When what lines are to go to cannot be opened.
pub fn go_on(log: &Log, others: &[LogTarget], handed: Vec<HandedSource>) -> Result<(), OpenError> {
    collector::go_on(log, others, handed)
}

/// Writes what is still on its way, and ends the collector. Lines go to standard error after it.
pub fn finish() {
    if collector::finish() {
        route::fall_back();
    }
}
