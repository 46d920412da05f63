//! The log of supervisor and workers alike: one event a line on standard error.
//!
//! ```text
//! 2026-01-31T12:00:00.123Z  INFO supervisor: worker ready worker=1 pid=4711
//! 2026-01-31T12:00:01.456Z  WARN worker 1: the queue is full: requests get 503
//! ```

use std::fmt;
use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, layer};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

/// Begins to write the log of the process called `process`, from `level` (`error`, `warn`, `info`
/// or `debug`) on. `RUST_LOG`, if set and sound, says otherwise: `debug`, or
/// `appliance_front=debug,info`.
pub fn start(process: String, level: &str) {
    let filter = std::env::var("RUST_LOG")
        .ok()
        .filter(|wanted| !wanted.is_empty())
        .and_then(|wanted| wanted.parse().ok())
        .unwrap_or_else(|| Targets::new().with_default(level.parse().unwrap_or(LevelFilter::INFO)));
    let lines = layer()
        .with_ansi(colourful())
        .event_format(Line { process })
        .with_writer(std::io::stderr);
    tracing_subscriber::registry()
        .with(lines)
        .with(filter)
        .init();
}

fn colourful() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

struct Line {
    process: String,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        SystemTime.format_time(&mut writer)?;
        let level = *event.metadata().level();
        if writer.has_ansi_escapes() {
            write!(
                writer,
                " \x1b[{}m{level:>5}\x1b[0m \x1b[2m{}:\x1b[0m ",
                colour(level),
                self.process
            )?;
        } else {
            write!(writer, " {level:>5} {}: ", self.process)?;
        }
        context
            .field_format()
            .format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

fn colour(level: Level) -> u8 {
    match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        Level::TRACE => 35,
    }
}
