//! The log of supervisor and workers alike: one event a line on standard error.
//!
//! `2026-01-31T12:00:00.123456Z  INFO worker ready worker=1 pid=4711`

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

/// Begins to write the log, from `level` (`error`, `warn`, `info` or `debug`) on. `RUST_LOG`, if
/// set and sound, says otherwise: `debug`, or `appliance_front=debug,info`.
pub fn start(level: &str) {
    let filter = std::env::var("RUST_LOG")
        .ok()
        .filter(|wanted| !wanted.is_empty())
        .and_then(|wanted| wanted.parse().ok())
        .unwrap_or_else(|| Targets::new().with_default(level.parse().unwrap_or(LevelFilter::INFO)));
    let lines = tracing_subscriber::fmt::layer()
        .with_target(false)
        .with_ansi(colourful())
        .with_writer(std::io::stderr);
    tracing_subscriber::registry()
        .with(lines)
        .with(filter)
        .init();
}

fn colourful() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}
