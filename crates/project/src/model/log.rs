//! The log of `[server]`, and a site's access log.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::log_format::LineFormat;

/// Where the log goes, and in which form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Log {
    /// `log`: default [`LogTarget::Stderr`].
    pub target: LogTarget,
    /// `log_level`: default `info`.
    pub level: LogLevel,
    /// `log_format`: default [`LogFormat::Text`].
    pub format: LogFormat,
    /// When files are begun anew.
    pub rotation: Rotation,
    /// What syslog is told.
    pub syslog: Syslog,
}

impl Default for Log {
    fn default() -> Log {
        Log {
            target: LogTarget::Stderr,
            level: LogLevel::Info,
            format: LogFormat::Text,
            rotation: Rotation {
                max_size_bytes: None,
                max_age: None,
                keep: 5,
            },
            syslog: Syslog {
                facility: 3,
                tag: "appliance".to_owned(),
            },
        }
    }
}

/// A place that lines can be written to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LogTarget {
    /// `"stderr"`: standard error; under systemd the journal.
    Stderr,
    /// `"stdout"`.
    Stdout,
    /// A path: absolute.
    File(PathBuf),
    /// `"syslog"`, `"syslog:/path"`: a datagram socket, as syslog(3) writes to.
    SyslogSocket(PathBuf),
    /// `"syslog://host:port"`: RFC 5424 over UDP.
    SyslogUdp(String),
}

impl std::fmt::Display for LogTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LogTarget::Stderr => f.write_str("stderr"),
            LogTarget::Stdout => f.write_str("stdout"),
            LogTarget::File(path) => path.display().fmt(f),
            LogTarget::SyslogSocket(path) => write!(f, "syslog:{}", path.display()),
            LogTarget::SyslogUdp(address) => write!(f, "syslog://{address}"),
        }
    }
}

/// `server.log_format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Time, level, process, message, fields (default).
    Text,
    /// An object a line.
    Json,
}

/// When log files are begun anew, and what is kept of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// `log_max_size`: bytes, 64 KB to 1 TB. Default: no bound.
    pub max_size_bytes: Option<u64>,
    /// `log_max_age`: 1 min to 365 d. Default: no bound.
    pub max_age: Option<Duration>,
    /// `log_keep`: 1 to 10000. Default 5.
    pub keep: usize,
}

/// What every line says to syslog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Syslog {
    /// `log_facility`: its code. Default 3, `daemon`.
    pub facility: u8,
    /// `log_tag`: default `appliance`.
    pub tag: String,
}

/// `server.log_level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Failures only.
    Error,
    /// What an operator can act on.
    Warn,
    /// Life-cycle events as well (default).
    Info,
    /// For finding faults in appliance itself.
    Debug,
}

impl LogLevel {
    /// The level's name in project.toml and in tracing's filters.
    pub fn as_str(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
        }
    }
}

/// A line for each request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessLog {
    /// `access_log`.
    pub target: LogTarget,
    /// `access_log_format`: default `combined`.
    pub format: LineFormat,
    /// `access_log_errors`: only answers from 400 on. Default false.
    pub errors_only: bool,
    /// `access_log_sample`: of other answers one of so many, 1 to 1000000. Default 1.
    pub sample: u32,
    /// For whoever looks at it while it is written: short lines, each at once. Only by
    /// `appliance dev`, where no format is asked for.
    #[serde(default)]
    pub is_watched: bool,
}
