//! Pipes that the collector reads from, and what is in them.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use appliance_project::model::LogTarget;
use serde::{Deserialize, Serialize};

use crate::form::Severity;
use crate::route::END_OF_EVENT;

/// What a pipe carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Events of a process: a digit, the severity, then the line, then a NUL.
    Events,
    /// Whatever is printed: lines.
    Printed,
    /// Lines that are ready as they are, many at once.
    Ready,
}

/// A pipe with what belongs to it, on its way to the next program of this process.
#[derive(Debug)]
pub struct HandedSource {
    /// What it carries.
    pub kind: Kind,
    /// Who writes: `worker 1`.
    pub process: String,
    /// Where its lines go.
    pub target: LogTarget,
    /// Whether what is printed is to become JSON.
    pub json: bool,
    /// The reading end.
    pub fd: OwnedFd,
    /// What has been read of a line that has not ended.
    pub held: Vec<u8>,
}

/// Longest line: one without an end must not take all memory.
const LONGEST: usize = 256 << 10;

/// A pipe.
pub(crate) struct Source {
    pub(crate) kind: Kind,
    pub(crate) process: String,
    pub(crate) target: LogTarget,
    pub(crate) json: bool,
    pipe: File,
    held: Vec<u8>,
}

/// What has been read.
pub(crate) enum Piece<'a> {
    Event(Severity, &'a [u8]),
    Printed(&'a [u8]),
    /// Any number of lines, with their ends.
    Ready(&'a [u8]),
}

impl Source {
    pub(crate) fn new(handed: HandedSource) -> Source {
        Source {
            kind: handed.kind,
            process: handed.process,
            target: handed.target,
            json: handed.json,
            pipe: handed.fd.into(),
            held: handed.held,
        }
    }

    pub(crate) fn hand_over(self) -> HandedSource {
        HandedSource {
            kind: self.kind,
            process: self.process,
            target: self.target,
            json: self.json,
            fd: self.pipe.into(),
            held: self.held,
        }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// Reads once, which does not wait when the pipe is readable. False at its end.
    pub(crate) fn read(&mut self, buffer: &mut [u8], piece: impl FnMut(Piece<'_>)) -> bool {
        match self.pipe.read(buffer) {
            Ok(0) => {
                self.end(piece);
                false
            }
            Ok(count) => {
                self.take(&buffer[..count], piece);
                true
            }
            Err(error) => error.kind() == io::ErrorKind::Interrupted,
        }
    }

    fn take(&mut self, bytes: &[u8], mut piece: impl FnMut(Piece<'_>)) {
        let end = match self.kind {
            Kind::Events => END_OF_EVENT,
            Kind::Printed | Kind::Ready => b'\n',
        };
        let Some(last) = bytes.iter().rposition(|byte| *byte == end) else {
            return self.hold(bytes, piece);
        };
        let (mut whole, rest) = bytes.split_at(last + 1);
        if !self.held.is_empty() {
            let first = whole.iter().position(|byte| *byte == end).unwrap_or(last);
            let mut line = std::mem::take(&mut self.held);
            line.extend_from_slice(&whole[..=first]);
            self.cut(&line, end, &mut piece);
            whole = &whole[first + 1..];
        }
        self.cut(whole, end, &mut piece);
        self.hold(rest, piece);
    }

    fn hold(&mut self, rest: &[u8], piece: impl FnMut(Piece<'_>)) {
        self.held.extend_from_slice(rest);
        if self.held.len() > LONGEST {
            self.end(piece);
        }
    }

    /// What has no end gets one.
    fn end(&mut self, mut piece: impl FnMut(Piece<'_>)) {
        if self.held.is_empty() {
            return;
        }
        let mut line = std::mem::take(&mut self.held);
        match self.kind {
            Kind::Events => self.cut(&line, END_OF_EVENT, &mut piece),
            Kind::Printed => piece(Piece::Printed(&line)),
            Kind::Ready => {
                line.push(b'\n');
                piece(Piece::Ready(&line));
            }
        }
    }

    fn cut(&self, whole: &[u8], end: u8, piece: &mut impl FnMut(Piece<'_>)) {
        if whole.is_empty() {
            return;
        }
        if self.kind == Kind::Ready {
            return piece(Piece::Ready(whole));
        }
        let whole = whole.strip_suffix(&[end]).unwrap_or(whole);
        for line in whole.split(|byte| *byte == end) {
            match (self.kind, line) {
                (Kind::Events, [digit, line @ ..]) => {
                    piece(Piece::Event(Severity::of_digit(*digit), line));
                }
                (Kind::Events, []) => {}
                _ => piece(Piece::Printed(line)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(kind: Kind) -> Source {
        let (reader, _) = io::pipe().unwrap();
        Source::new(HandedSource {
            kind,
            process: "worker 1".into(),
            target: LogTarget::Stdout,
            json: false,
            fd: reader.into(),
            held: Vec::new(),
        })
    }

    fn read(source: &mut Source, chunks: &[&str]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut keep = |piece: Piece<'_>| {
            lines.push(match piece {
                Piece::Event(severity, line) => {
                    format!("{}{}", severity as u8, String::from_utf8_lossy(line))
                }
                Piece::Printed(line) | Piece::Ready(line) => {
                    String::from_utf8_lossy(line).into_owned()
                }
            });
        };
        for chunk in chunks {
            source.take(chunk.as_bytes(), &mut keep);
        }
        source.end(keep);
        lines
    }

    #[test]
    fn lines_are_whole_however_they_arrive() {
        let printed = |chunks: &[&str]| read(&mut source(Kind::Printed), chunks);
        assert_eq!(printed(&["a\nb", "c\nd\n\ne"]), ["a", "bc", "d", "", "e"]);
        assert_eq!(printed(&["a", "b", "c\n"]), ["abc"]);
        let events = |chunks: &[&str]| read(&mut source(Kind::Events), chunks);
        assert_eq!(
            events(&["6a\nb\0", "4c", "d\0", "\0", "7e\0"]),
            ["6a\nb", "4cd", "7e"]
        );
        let ready = |chunks: &[&str]| read(&mut source(Kind::Ready), chunks);
        assert_eq!(ready(&["a\nb\nc", "d\ne"]), ["a\nb\n", "cd\n", "e\n"]);
    }

    #[test]
    fn a_line_without_end_takes_no_more_than_its_bound() {
        let long = "x".repeat(200 << 10);
        let lines = read(&mut source(Kind::Printed), &[&long, &long, "y\n"]);
        assert_eq!(lines.len(), 2);
        assert_eq!((lines[0].len(), lines[1].as_str()), (400 << 10, "y"));
    }
}
