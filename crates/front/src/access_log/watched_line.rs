//! The line of a request for whoever develops, in a terminal: method, path, status, time.

use std::io::{IsTerminal, Write};

use appliance_message::Head;
use http::StatusCode;

use super::{CLIENT_LEFT, End, escape};

/// Whether lines are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Ansi,
    Plain,
}

impl Colour {
    /// What standard error, which such lines go to, asks for.
    pub(super) fn of_stderr() -> Colour {
        let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        match std::io::stderr().is_terminal() && !is_unwanted {
            true => Colour::Ansi,
            false => Colour::Plain,
        }
    }

    fn of_status(self, status: u16) -> (&'static str, &'static str) {
        let begin = match (self, status) {
            (Colour::Plain, _) => return ("", ""),
            (_, ..300) => "\x1b[32m",
            (_, ..400) => "\x1b[36m",
            (_, ..500) => "\x1b[33m",
            _ => "\x1b[31m",
        };
        (begin, "\x1b[0m")
    }
}

/// `GET /api/notes?page=2 200 12 ms`.
pub(super) fn write(out: &mut Vec<u8>, head: Option<&Head>, end: End, colour: Colour) {
    let status = end.status.as_ref().map_or(CLIENT_LEFT, StatusCode::as_u16);
    match head {
        Some(head) => {
            escape(out, head.method.as_str().as_bytes());
            out.push(b' ');
            escape(out, head.target());
        }
        None => out.push(b'-'),
    }
    let (begin, reset) = colour.of_status(status);
    let millis = end.took.as_millis();
    // Writing to memory cannot fail.
    let _ = writeln!(out, " {begin}{status}{reset} {millis} ms");
}
