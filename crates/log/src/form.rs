//! The forms of a line.
//!
//! ```text
//! 2026-01-31T12:00:00.123456Z  INFO supervisor: worker ready worker=1 pid=4711
//! <6>supervisor: worker ready worker=1 pid=4711
//! {"time":"2026-01-31T12:00:00.123456Z","level":"info","process":"supervisor","message":"worker ready","worker":1,"pid":4711}
//! ```
//!
//! The second is the journal's (sd-daemon(3)): systemd takes the level from a line of standard
//! error and has the time itself. Unlike its socket, that needs no path (a unit may have a root
//! folder of its own), and lines stay in order with those that the application prints.

use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::MetadataExt;

use appliance_project::model::{Log, LogFormat, LogTarget};
use serde::Serialize;

use crate::event::{Said, Value};
use crate::time::Moment;

/// syslog's severities, as far as there are events of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    Error = 3,
    Warning = 4,
    Info = 6,
    Debug = 7,
}

impl Severity {
    pub(crate) fn of_digit(digit: u8) -> Severity {
        match digit {
            b'3' => Severity::Error,
            b'4' => Severity::Warning,
            b'7' => Severity::Debug,
            _ => Severity::Info,
        }
    }

    pub(crate) fn digit(self) -> u8 {
        b'0' + self as u8
    }

    fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warn",
            Severity::Info => "info",
            Severity::Debug => "debug",
        }
    }

    fn colour(self) -> u8 {
        match self {
            Severity::Error => 31,
            Severity::Warning => 33,
            Severity::Info => 32,
            Severity::Debug => 34,
        }
    }
}

/// How a line is dressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Time, level, process, text.
    Plain,
    /// The same for a terminal.
    Coloured,
    /// `<6>process: text`.
    Journal,
    /// `process: text`: whoever gets it has time and level elsewhere.
    Bare,
    Json,
    /// `<6>{…}`.
    JournalJson,
}

impl Form {
    /// Of lines that this process writes to a stream by itself.
    pub(crate) fn of_stream(log: &Log, target: &LogTarget) -> Form {
        let json = log.format == LogFormat::Json;
        let is_stderr = *target == LogTarget::Stderr;
        if is_stderr && is_journal() {
            return if json {
                Form::JournalJson
            } else {
                Form::Journal
            };
        }
        let terminal = match is_stderr {
            true => io::stderr().is_terminal(),
            false => io::stdout().is_terminal(),
        };
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        match (json, terminal && !plain) {
            (true, _) => Form::Json,
            (false, true) => Form::Coloured,
            (false, false) => Form::Plain,
        }
    }

    /// Of lines that the collector passes on.
    pub(crate) fn of_collector(log: &Log) -> Form {
        match (&log.target, log.format) {
            (_, LogFormat::Json) => Form::Json,
            (LogTarget::SyslogSocket(_) | LogTarget::SyslogUdp(_), LogFormat::Text) => Form::Bare,
            (_, LogFormat::Text) => Form::Plain,
        }
    }

    /// Writes an event, without an end of line.
    pub(crate) fn event(
        self,
        out: &mut Vec<u8>,
        severity: Severity,
        process: &str,
        said: &Said,
    ) -> io::Result<()> {
        match self {
            Form::Plain => {
                write!(out, "{} {:>5} {process}: ", now(), upper(severity))?;
                self.words(out, said)
            }
            Form::Coloured => {
                let (time, level, colour) = (now(), upper(severity), severity.colour());
                write!(
                    out,
                    "{time} \x1b[{colour}m{level:>5}\x1b[0m \x1b[2m{process}:\x1b[0m "
                )?;
                self.words(out, said)
            }
            Form::Journal => {
                write!(out, "<{}>{process}: ", severity as u8)?;
                let words = out.len();
                self.words(out, said)?;
                mark_lines(out, words, severity);
                Ok(())
            }
            Form::Bare => {
                write!(out, "{process}: ")?;
                self.words(out, said)
            }
            Form::Json => json(out, severity, process, said),
            Form::JournalJson => {
                write!(out, "<{}>", severity as u8)?;
                json(out, severity, process, said)
            }
        }
    }

    fn words(self, out: &mut Vec<u8>, said: &Said) -> io::Result<()> {
        clean(out, &said.message);
        for (name, value) in &said.fields {
            match self == Form::Coloured {
                true => write!(out, " \x1b[3m{name}\x1b[0m\x1b[2m=\x1b[0m")?,
                false => write!(out, " {name}=")?,
            }
            match value {
                Value::Plain(text) | Value::Text(text) => clean(out, text),
                Value::Quoted(text) => write!(out, "{text:?}")?,
            }
        }
        Ok(())
    }
}

/// No sequence that a terminal would obey; lines stay lines.
fn clean(out: &mut Vec<u8>, text: &str) {
    let is_harmless = |c: char| !c.is_control() || c == '\n' || c == '\t';
    if text.chars().all(is_harmless) {
        return out.extend_from_slice(text.as_bytes());
    }
    for c in text.chars() {
        match is_harmless(c) {
            true => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            false => out.extend(c.escape_default().map(|c| c as u8)),
        }
    }
}

/// The journal looks for a level in each line.
fn mark_lines(out: &mut Vec<u8>, from: usize, severity: Severity) {
    if out[from..].contains(&b'\n') {
        let words = out.split_off(from);
        for (index, line) in words.split(|byte| *byte == b'\n').enumerate() {
            if index > 0 {
                out.extend([b'\n', b'<', severity.digit(), b'>']);
            }
            out.extend_from_slice(line);
        }
    }
}

fn json(out: &mut Vec<u8>, severity: Severity, process: &str, said: &Said) -> io::Result<()> {
    begin_json(out, severity, process, &said.message)?;
    for (name, value) in &said.fields {
        write!(out, ",\"{name}\":")?;
        match value {
            Value::Plain(text) => out.extend_from_slice(text.as_bytes()),
            Value::Text(text) | Value::Quoted(text) => serde_json::to_writer(&mut *out, text)?,
        }
    }
    out.push(b'}');
    Ok(())
}

/// A line that somebody has printed.
pub(crate) fn printed_json(out: &mut Vec<u8>, process: &str, line: &[u8]) -> io::Result<()> {
    begin_json(out, Severity::Info, process, &String::from_utf8_lossy(line))?;
    out.push(b'}');
    Ok(())
}

fn begin_json(
    out: &mut Vec<u8>,
    severity: Severity,
    process: &str,
    message: &str,
) -> io::Result<()> {
    #[derive(Serialize)]
    struct Beginning<'a> {
        time: String,
        level: &'a str,
        process: &'a str,
        message: &'a str,
    }
    let level = severity.name();
    let time = now();
    serde_json::to_writer(
        &mut *out,
        &Beginning {
            time,
            level,
            process,
            message,
        },
    )?;
    out.pop();
    Ok(())
}

fn upper(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "ERROR",
        Severity::Warning => "WARN",
        Severity::Info => "INFO",
        Severity::Debug => "DEBUG",
    }
}

fn now() -> String {
    let mut text = String::with_capacity(27);
    // Writing to a string cannot fail.
    let _ = Moment::now().rfc3339(&mut text);
    text
}

/// Whether standard error is the journal: systemd says which file it has made it
/// (systemd.exec(5), `$JOURNAL_STREAM`), and a redirection may have changed that.
fn is_journal() -> bool {
    let Some((device, inode)) = std::env::var("JOURNAL_STREAM").ok().and_then(|stream| {
        let (device, inode) = stream.split_once(':')?;
        Some((device.parse::<u64>().ok()?, inode.parse::<u64>().ok()?))
    }) else {
        return false;
    };
    let found = std::fs::metadata("/proc/self/fd/2");
    found.is_ok_and(|found| (found.dev(), found.ino()) == (device, inode))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> Said {
        Said {
            message: "worker ready".into(),
            fields: vec![
                ("worker", Value::Plain("1".into())),
                ("path", Value::Quoted("/a b".into())),
                ("cause", Value::Text("SIGKILL".into())),
            ],
        }
    }

    fn line(form: Form, said: &Said) -> String {
        let mut out = Vec::new();
        form.event(&mut out, Severity::Warning, "supervisor", said)
            .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_form_says_the_same() {
        let words = "worker ready worker=1 path=\"/a b\" cause=SIGKILL";
        let plain = line(Form::Plain, &said());
        assert_eq!(&plain[27..], format!("  WARN supervisor: {words}"));
        let bare = format!("supervisor: {words}");
        assert_eq!(line(Form::Bare, &said()), bare);
        assert_eq!(line(Form::Journal, &said()), format!("<4>{bare}"));
        let json: serde_json::Value = serde_json::from_str(&line(Form::Json, &said())).unwrap();
        assert_eq!(json["level"], "warn");
        assert_eq!(json["message"], "worker ready");
        assert_eq!(json["worker"], 1);
        assert_eq!(
            (&json["path"], &json["cause"]),
            (&"/a b".into(), &"SIGKILL".into())
        );
    }

    #[test]
    fn no_line_holds_what_a_terminal_obeys_or_json_forbids() {
        let said = Said {
            message: "a\u{1b}[2Jb\r\u{9b}c".into(),
            fields: vec![("d", Value::Text("\u{7}\"".into()))],
        };
        assert_eq!(
            line(Form::Bare, &said),
            "supervisor: a\\u{1b}[2Jb\\r\\u{9b}c d=\\u{7}\""
        );
        let json: serde_json::Value = serde_json::from_str(&line(Form::Json, &said)).unwrap();
        assert_eq!(
            (&json["message"], &json["d"]),
            (&said.message.into(), &"\u{7}\"".into())
        );
    }

    #[test]
    fn the_journal_finds_the_level_in_each_line() {
        let said = Said {
            message: "a traceback\n  File \"x\"\nend".into(),
            fields: Vec::new(),
        };
        assert_eq!(
            line(Form::Journal, &said),
            "<4>supervisor: a traceback\n<4>  File \"x\"\n<4>end"
        );
    }
}
