//! What the collector writes to.

mod file;
mod stream;
mod syslog;

use std::io;

use appliance_project::model::{Log, LogTarget};

use crate::form::Severity;

pub(crate) use file::{RIGHTS, STREAMS};

use file::LogFile;
use stream::Stream;
use syslog::Syslog;

/// Something that takes lines, as many as it can: what it cannot take is counted.
pub(crate) enum Sink {
    File(LogFile),
    Stream(Stream),
    Syslog(Syslog),
}

/// How many lines were lost, and why.
#[derive(Debug, Default)]
pub(crate) struct Loss {
    pub(crate) lines: u64,
    pub(crate) error: Option<io::Error>,
    /// Whether it goes on.
    lasts: bool,
    told: bool,
}

/// What there is to say about a sink.
pub(crate) enum News {
    Failing(io::Error),
    Recovered { lines: u64 },
}

impl Loss {
    fn more(&mut self, lines: u64, error: io::Error) {
        self.lines += lines;
        self.error.get_or_insert(error);
        self.lasts = true;
    }

    fn over(&mut self) {
        self.lasts = false;
    }

    fn news(&mut self) -> Option<News> {
        if self.lines == 0 {
            return None;
        }
        if !self.lasts {
            let lines = self.lines;
            *self = Loss::default();
            return Some(News::Recovered { lines });
        }
        if self.told {
            return None;
        }
        self.told = true;
        self.error.take().map(News::Failing)
    }
}

impl Sink {
    pub(crate) fn open(target: &LogTarget, log: &Log) -> io::Result<Sink> {
        Ok(match target {
            LogTarget::File(path) => Sink::File(LogFile::open(path, log.rotation.clone())?),
            LogTarget::Stderr | LogTarget::Stdout => Sink::Stream(Stream::new(target)),
            LogTarget::SyslogSocket(path) => {
                Sink::Syslog(Syslog::of_socket(path, log.syslog.clone()))
            }
            LogTarget::SyslogUdp(address) => {
                Sink::Syslog(Syslog::of_host(address, log.syslog.clone()))
            }
        })
    }

    pub(crate) fn configure(&mut self, log: &Log) {
        match self {
            Sink::File(file) => file.rotation = log.rotation.clone(),
            Sink::Stream(_) => {}
            Sink::Syslog(syslog) => syslog.settings = log.syslog.clone(),
        }
    }

    pub(crate) fn is_syslog(&self) -> bool {
        matches!(self, Sink::Syslog(_))
    }

    /// Writes whole lines, each with its end.
    pub(crate) fn lines(&mut self, lines: &[u8]) {
        match self {
            Sink::File(file) => file.write(lines),
            Sink::Stream(stream) => stream.write(lines),
            Sink::Syslog(syslog) => {
                for line in lines.split(|byte| *byte == b'\n') {
                    syslog.send(Severity::Info, line);
                }
            }
        }
    }

    /// Sends what a syslog gets one by one; each of its lines for itself.
    pub(crate) fn message(&mut self, severity: Severity, text: &[u8]) {
        if let Sink::Syslog(syslog) = self {
            for line in text.split(|byte| *byte == b'\n') {
                syslog.send(severity, line);
            }
        }
    }

    pub(crate) fn news(&mut self) -> Option<News> {
        match self {
            Sink::File(file) => file.loss.news(),
            Sink::Stream(stream) => stream.loss.news(),
            Sink::Syslog(syslog) => syslog.loss.news(),
        }
    }

    /// What the clock asks for.
    pub(crate) fn mind_the_time(&mut self) {
        if let Sink::File(file) = self {
            file.rotate_if_old();
        }
    }
}
