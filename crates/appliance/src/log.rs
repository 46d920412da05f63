//! The log: one event a line on standard error.
//!
//! `2026-01-31T12:00:00.123456Z  INFO worker ready worker=1 pid=4711`

use std::io::IsTerminal;

use appliance_project::Project;
use tracing_subscriber::EnvFilter;

/// Begins to write the log, from `server.log_level` on; `RUST_LOG`, if set, says otherwise.
pub(crate) fn begin(project: &Project) {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(project.server.log_level.as_str()));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(colourful())
        .with_writer(std::io::stderr)
        .init();
}

fn colourful() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}
