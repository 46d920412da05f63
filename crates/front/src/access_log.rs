//! The access log of a site: one line a request, in the site's format.
//!
//! What a line says of the request is kept when its head is here, since the head goes on to the
//! application. The line is written when the answer is out, into memory ([`ReadyLines`]), so that
//! nobody waits for it. What a client has sent is escaped, so that no request can begin a line of
//! its own.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use appliance_gateway::{RequestId, Timing};
use appliance_log::{Moment, ReadyLines};
use appliance_message::{Head, Name, ResponseHead};
use appliance_project::model;
use appliance_project::{LineFormat, LinePart, LineValue};
use http::{StatusCode, Version};

use crate::request::Client;

use watched_line::Colour;

mod watched_line;

/// How lines of a site are made, and where they go.
#[derive(Debug)]
pub(crate) struct AccessLog {
    format: LineFormat,
    /// Whether only answers from 400 on are logged.
    errors_only: bool,
    /// Of answers below 400 one of so many is logged.
    sample: u32,
    seen: AtomicU32,
    /// Fields of responses that a line holds.
    response_fields: Vec<String>,
    has_id: bool,
    worker: usize,
    lines: Arc<ReadyLines>,
    /// In whose form lines are, where somebody watches.
    watched: Option<Colour>,
}

/// A request that will be a line.
#[derive(Debug)]
pub(crate) struct Entry {
    log: Arc<AccessLog>,
    /// None of what was no request.
    head: Option<Head>,
    client: SocketAddr,
    is_https: bool,
    local: SocketAddr,
    user: Option<String>,
    pub(crate) id: Option<RequestId>,
    response_fields: Vec<Option<Vec<u8>>>,
}

/// What became of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    /// None if the client left before.
    pub(crate) status: Option<StatusCode>,
    pub(crate) timing: Option<Timing>,
    pub(crate) took: Duration,
    pub(crate) sent_bytes: u64,
    /// Of those, the response's head.
    pub(crate) head_bytes: u64,
}

/// nginx's status of a client that left before it got an answer.
const CLIENT_LEFT: u16 = 499;

impl AccessLog {
    /// None where nothing is logged, or nobody is there to write it.
    pub(crate) fn new(written: Option<&model::AccessLog>) -> Option<Arc<AccessLog>> {
        let written = written?;
        let lines = ReadyLines::of(&written.target)?;
        let values = written.format.parts.iter().filter_map(|part| match part {
            LinePart::Value(value) => Some(value),
            LinePart::Text(_) => None,
        });
        let response_fields = values.clone().filter_map(|value| match value {
            LineValue::ResponseField(name) => Some(name.clone()),
            _ => None,
        });
        Some(Arc::new(AccessLog {
            errors_only: written.errors_only,
            sample: written.sample,
            seen: AtomicU32::new(0),
            response_fields: response_fields.collect(),
            has_id: values.clone().any(|value| *value == LineValue::RequestId),
            worker: lines.writer(),
            format: written.format.clone(),
            lines,
            watched: written.is_watched.then(Colour::of_stderr),
        }))
    }

    /// Whether lines say what a request is called.
    pub(crate) fn has_id(&self) -> bool {
        self.has_id
    }

    pub(crate) fn begin(
        self: &Arc<Self>,
        head: Option<&Head>,
        client: Client,
        local: SocketAddr,
    ) -> Box<Entry> {
        Box::new(Entry {
            log: Arc::clone(self),
            head: head.cloned(),
            client: client.address,
            is_https: client.is_https,
            local,
            user: None,
            id: None,
            response_fields: Vec::new(),
        })
    }

    fn is_wanted(&self, status: Option<StatusCode>) -> bool {
        if status.is_none_or(|status| status.as_u16() >= 400) {
            return true;
        }
        !self.errors_only && self.seen.fetch_add(1, Relaxed).is_multiple_of(self.sample)
    }
}

impl Entry {
    /// Keeps what the line says of the response's fields.
    pub(crate) fn note_response(&mut self, head: &ResponseHead) {
        if self.log.response_fields.is_empty() {
            return;
        }
        let length = head.length.map(|length| length.to_string());
        let names = self.log.response_fields.iter();
        self.response_fields = names
            .map(|name| match (name.as_str(), &length) {
                ("content-length", Some(length)) => Some(length.clone().into_bytes()),
                (name, _) => head.fields.get(name).map(<[u8]>::to_vec),
            })
            .collect();
    }

    pub(crate) fn note_user(&mut self, user: Option<&str>) {
        if let Some(user) = user {
            self.user = Some(user.to_owned());
        }
    }

    /// Writes the line, if it is wanted.
    pub(crate) fn write(&self, end: End) {
        if !self.log.is_wanted(end.status) {
            return;
        }
        match self.log.watched {
            None => self.log.lines.add(|out| self.line(out, end)),
            Some(colour) => {
                let head = self.head.as_ref();
                self.log
                    .lines
                    .add(|out| watched_line::write(out, head, end, colour));
                appliance_log::flush();
            }
        }
    }

    fn line(&self, out: &mut Vec<u8>, end: End) {
        let mut fields = self.response_fields.iter();
        let now = Moment::now();
        for part in &self.log.format.parts {
            match part {
                LinePart::Text(text) => out.extend_from_slice(text.as_bytes()),
                LinePart::Value(LineValue::ResponseField(_)) => {
                    self.text(out, fields.next().and_then(Option::as_deref));
                }
                LinePart::Value(value) => self.value(out, value, end, now),
            }
        }
        out.push(b'\n');
    }

    fn value(&self, out: &mut Vec<u8>, value: &LineValue, end: End, now: Moment) {
        let head = self.head.as_ref();
        let body_bytes = end.sent_bytes.saturating_sub(end.head_bytes);
        // Writing to memory cannot fail.
        let _ = match value {
            LineValue::RemoteAddr => write_address(out, self.client.ip()),
            LineValue::RemotePort => write!(out, "{}", self.client.port()),
            LineValue::ServerAddr => write_address(out, self.local.ip()),
            LineValue::ServerPort => write!(out, "{}", self.local.port()),
            LineValue::Scheme => write!(out, "{}", if self.is_https { "https" } else { "http" }),
            LineValue::TimeLocal => now.common_log(out),
            LineValue::TimeIso8601 => now.iso8601(out),
            LineValue::Msec => now.seconds(out),
            LineValue::Status => {
                let status = end.status.map_or(CLIENT_LEFT, |status| status.as_u16());
                write!(out, "{status}")
            }
            LineValue::BodyBytesSent => write!(out, "{body_bytes}"),
            LineValue::BytesSent => write!(out, "{}", end.sent_bytes),
            LineValue::RequestTime => write!(out, "{:.3}", end.took.as_secs_f64()),
            LineValue::QueueTime => return self.time(out, end.timing.map(|timing| timing.queued)),
            LineValue::ApplicationTime => {
                return self.time(out, end.timing.map(|timing| timing.application));
            }
            LineValue::Worker => write!(out, "{}", self.log.worker),
            LineValue::Pid => write!(out, "{}", std::process::id()),
            LineValue::RequestId => match &self.id {
                Some(id) => write!(out, "{id}"),
                None => return self.text(out, None),
            },
            LineValue::RemoteUser => {
                return self.text(out, self.user.as_deref().map(str::as_bytes));
            }
            LineValue::Request => return self.text(out, head.map(Head::line)),
            LineValue::RequestMethod => {
                return self.text(out, head.map(|head| head.method.as_str().as_bytes()));
            }
            LineValue::RequestUri => return self.text(out, head.map(Head::target)),
            LineValue::Uri => return self.text(out, head.map(Head::path)),
            LineValue::Args => return self.text(out, head.and_then(Head::query)),
            LineValue::Host => return self.text(out, head.and_then(Head::host)),
            LineValue::ServerProtocol => return self.text(out, head.map(protocol)),
            LineValue::RequestField(name) => {
                return self.text(out, head.and_then(|head| field(head, name)));
            }
            LineValue::ResponseField(_) => Ok(()),
        };
    }

    /// Seconds; none where the application was not asked.
    fn time(&self, out: &mut Vec<u8>, time: Option<Duration>) {
        // Writing to memory cannot fail.
        let _ = match (time, self.log.format.json) {
            (Some(time), _) => write!(out, "{:.3}", time.as_secs_f64()),
            (None, true) => write!(out, "null"),
            (None, false) => write!(out, "-"),
        };
    }

    fn text(&self, out: &mut Vec<u8>, text: Option<&[u8]>) {
        match (text.filter(|text| !text.is_empty()), self.log.format.json) {
            (Some(text), true) => escape_json(out, text),
            (Some(text), false) => escape(out, text),
            (None, true) => {}
            (None, false) => out.push(b'-'),
        }
    }
}

/// nginx's word for the peer of a unix socket.
fn write_address(out: &mut Vec<u8>, address: IpAddr) -> std::io::Result<()> {
    match address.is_unspecified() {
        true => out.write_all(b"unix:"),
        false => write!(out, "{}", address.to_canonical()),
    }
}

fn protocol(head: &Head) -> &'static [u8] {
    match head.version {
        Version::HTTP_10 => b"HTTP/1.0",
        Version::HTTP_2 => b"HTTP/2.0",
        Version::HTTP_3 => b"HTTP/3.0",
        _ => b"HTTP/1.1",
    }
}

fn field<'a>(head: &'a Head, name: &str) -> Option<&'a [u8]> {
    if name == "host" {
        return head.get(Name::Host);
    }
    let mut fields = head.fields();
    let found = fields.find(|(_, spelled, _)| spelled.eq_ignore_ascii_case(name.as_bytes()));
    found.map(|(_, _, value)| value)
}

/// As nginx does by default.
fn escape(out: &mut Vec<u8>, text: &[u8]) {
    for byte in text {
        match byte {
            b'"' | b'\\' | ..0x20 | 0x7f.. => {
                // Writing to memory cannot fail.
                let _ = write!(out, "\\x{byte:02X}");
            }
            byte => out.push(*byte),
        }
    }
}

/// For inside of quotes; what is not UTF-8 becomes U+FFFD.
fn escape_json(out: &mut Vec<u8>, text: &[u8]) {
    for c in String::from_utf8_lossy(text).chars() {
        match c {
            '"' | '\\' => out.extend([b'\\', c as u8]),
            // U+2028 and U+2029 end lines for some that read them.
            c if c.is_control() || c == '\u{2028}' || c == '\u{2029}' => {
                // Writing to memory cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_begins_a_line_of_his_own() {
        let hostile = b"a\"b\\c\r\nd\x1b\x7f\xff\xc3\xa9";
        let mut plain = Vec::new();
        escape(&mut plain, hostile);
        assert_eq!(plain, br"a\x22b\x5Cc\x0D\x0Ad\x1B\x7F\xFF\xC3\xA9");
        let mut json = Vec::new();
        escape_json(&mut json, hostile);
        let json = String::from_utf8(json).unwrap();
        assert_eq!(
            json,
            "a\\\"b\\\\c\\u000d\\u000ad\\u001b\\u007f\u{fffd}\u{e9}"
        );
    }
}
