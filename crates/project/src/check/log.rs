//! The keys of the log in `[server]`, and every other key that says where lines go.

use std::path::PathBuf;
use std::time::Duration;

use crate::fault::{Fault, LogProblem};
use crate::key_path::quoted;
use crate::layers::Origin;
use crate::log_format::LineFormat;
use crate::model::{AccessLog, Log, LogFormat, LogLevel, LogTarget, Rotation, Syslog};
use crate::reader::{Entry, Table};

use super::Check;
use super::application::optional;
use super::paths::absolute;

/// syslog's socket where nothing else is said.
const DEV_LOG: &str = "/dev/log";
/// syslog's port where nothing else is said.
const SYSLOG_PORT: u16 = 514;

impl Check<'_, '_> {
    pub(super) fn log(&mut self, table: &Table<'_>) -> Option<Log> {
        let target = self.log_target(table, "log");
        let level = self.reader.choice(table, "log_level");
        let format = self.reader.choice(table, "log_format");
        let rotation = self.rotation(table);
        let syslog = self.syslog(table);
        Some(Log {
            target: target?,
            level: match level? {
                "error" => LogLevel::Error,
                "warn" => LogLevel::Warn,
                "debug" => LogLevel::Debug,
                _ => LogLevel::Info,
            },
            format: match format? {
                "json" => LogFormat::Json,
                _ => LogFormat::Text,
            },
            rotation: rotation?,
            syslog: syslog?,
        })
    }

    /// Where lines go. A file is not opened here: `check` must leave nothing behind.
    pub(super) fn log_target(&mut self, table: &Table<'_>, name: &str) -> Option<LogTarget> {
        let (text, entry) = self.reader.text(table, name)?;
        match self.parse_target(&text) {
            Ok(target) => {
                let printed = quoted(&target.to_string());
                Some(self.reader.accept(&entry, printed, target))
            }
            Err(problem) => self.no_log(&entry, text, problem),
        }
    }

    /// A site's; none inside if nothing is logged.
    pub(super) fn access_log(&mut self, table: &Table<'_>) -> Option<Option<AccessLog>> {
        let off = table
            .entry("access_log")
            .filter(|entry| entry.value.as_str() == Some("off"));
        let target = match &off {
            Some(entry) => self.reader.accept(entry, quoted("off"), Some(None)),
            None => self.log_target(table, "access_log").map(Some),
        };
        let format = self.line_format(table);
        let errors_only = self.reader.flag(table, "access_log_errors");
        let sample = self.reader.count(table, "access_log_sample");
        let (format, errors_only, sample) = (format?, errors_only?, sample??);
        let is_default = table.entry("access_log_format").is_some_and(|entry| {
            let layer = self.reader.layers.layer(entry.value);
            self.reader.layers.get(layer).origin == Origin::Default
        });
        let is_watched = self.development.is_some() && is_default;
        Some(target?.map(|target| AccessLog {
            target,
            format,
            errors_only,
            sample: u32::try_from(sample).unwrap_or(u32::MAX),
            is_watched,
        }))
    }

    fn line_format(&mut self, table: &Table<'_>) -> Option<LineFormat> {
        let (text, entry) = self.reader.text(table, "access_log_format")?;
        match LineFormat::parse(&text) {
            Ok(format) => Some(self.reader.accept(&entry, quoted(&text), format)),
            Err(problem) => {
                let key = entry.path.clone();
                self.reader
                    .fault_at(Fault::LogFormat { key, problem }, &entry);
                None
            }
        }
    }

    fn no_log<T>(&mut self, entry: &Entry<'_>, found: String, problem: LogProblem) -> Option<T> {
        let key = entry.path.clone();
        let fault = Fault::LogTarget {
            key,
            found,
            problem,
        };
        self.reader.fault_at(fault, entry);
        None
    }

    fn parse_target(&self, text: &str) -> Result<LogTarget, LogProblem> {
        match text {
            // As a path it would be opened anew: a second position in a file, no pipe at all.
            "stderr" | "/dev/stderr" => return Ok(LogTarget::Stderr),
            "stdout" | "/dev/stdout" => return Ok(LogTarget::Stdout),
            "syslog" => return Ok(LogTarget::SyslogSocket(DEV_LOG.into())),
            "journal" | "journald" | "systemd" => return Err(LogProblem::Journal),
            _ => {}
        }
        if let Some(rest) = text.strip_prefix("syslog:") {
            return parse_syslog(rest);
        }
        if text.contains("://") {
            return Err(LogProblem::Form);
        }
        let path = absolute(&self.folder, text);
        self.log_file(path)
    }

    fn log_file(&self, path: PathBuf) -> Result<LogTarget, LogProblem> {
        if path.is_dir() {
            return Err(LogProblem::Folder);
        }
        match path.parent() {
            Some(folder) if !folder.is_dir() => Err(LogProblem::NoFolder(folder.to_owned())),
            _ => Ok(LogTarget::File(path)),
        }
    }

    fn rotation(&mut self, table: &Table<'_>) -> Option<Rotation> {
        let max_size = optional(table, "log_max_size", || {
            self.reader.size(table, "log_max_size")
        });
        let max_age: Option<Option<Duration>> = optional(table, "log_max_age", || {
            self.reader.duration(table, "log_max_age")
        });
        let keep = self.reader.count(table, "log_keep");
        Some(Rotation {
            max_size_bytes: max_size?,
            max_age: max_age?,
            keep: keep??,
        })
    }

    fn syslog(&mut self, table: &Table<'_>) -> Option<Syslog> {
        let facility = self.reader.choice(table, "log_facility");
        let (tag, entry) = self.reader.text(table, "log_tag")?;
        // RFC 5424 §6: an APP-NAME is up to 48 printable characters.
        const LONGEST: usize = 48;
        if tag.len() > LONGEST || !tag.bytes().all(|byte| byte.is_ascii_graphic()) {
            let expected = "up to 48 printable ASCII characters without spaces".to_owned();
            self.reader.expected(&entry, entry.path.clone(), expected);
            return None;
        }
        let tag = self.reader.accept(&entry, quoted(&tag), tag.clone());
        Some(Syslog {
            facility: facility_code(facility?),
            tag,
        })
    }
}

/// What follows `syslog:`.
fn parse_syslog(rest: &str) -> Result<LogTarget, LogProblem> {
    let Some(address) = rest.strip_prefix("//") else {
        return match rest.starts_with('/') {
            true => Ok(LogTarget::SyslogSocket(rest.into())),
            false => Err(LogProblem::Form),
        };
    };
    let address = address.strip_suffix('/').unwrap_or(address);
    let bare_v6 = address.ends_with(']');
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !bare_v6 => (host, port.parse().ok()),
        _ => (address, Some(SYSLOG_PORT)),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_[]:".contains(&byte);
    let good = !host.is_empty() && host.bytes().all(plain);
    match port {
        Some(port @ 1..) if good => Ok(LogTarget::SyslogUdp(format!("{host}:{port}"))),
        _ => Err(LogProblem::Form),
    }
}

/// RFC 5424 §6.2.1.
fn facility_code(name: &str) -> u8 {
    const BEFORE_LOCAL: [&str; 12] = [
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron",
        "authpriv", "ftp",
    ];
    const LOCAL0: u8 = 16;
    const DAEMON: u8 = 3;
    if let Some(number) = name.strip_prefix("local") {
        return LOCAL0 + number.parse::<u8>().unwrap_or_default();
    }
    let code = BEFORE_LOCAL.iter().position(|other| *other == name);
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(DAEMON)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facilities_have_the_codes_of_rfc_5424() {
        for (name, code) in [
            ("kern", 0),
            ("user", 1),
            ("daemon", 3),
            ("authpriv", 10),
            ("ftp", 11),
            ("local0", 16),
            ("local7", 23),
        ] {
            assert_eq!(facility_code(name), code, "{name}");
        }
    }

    #[test]
    fn syslog_is_a_socket_or_a_host() {
        let udp = |address: &str| Ok(LogTarget::SyslogUdp(address.into()));
        assert_eq!(parse_syslog("//log.lan"), udp("log.lan:514"));
        assert_eq!(parse_syslog("//192.0.2.1:5140"), udp("192.0.2.1:5140"));
        assert_eq!(parse_syslog("//[::1]"), udp("[::1]:514"));
        assert_eq!(parse_syslog("//[::1]:99/"), udp("[::1]:99"));
        let socket = Ok(LogTarget::SyslogSocket("/run/log".into()));
        assert_eq!(parse_syslog("/run/log"), socket);
        for wrong in [
            "",
            "//",
            "//host:0",
            "//host:70000",
            "//a b",
            "run/log",
            "//:514",
        ] {
            assert_eq!(parse_syslog(wrong), Err(LogProblem::Form), "{wrong}");
        }
    }
}
