//! The one maker of messages: every problem of a project, each with its line and a caret.
//!
//! ```text
//! error: project.toml:12:13: `python.processes` must be from 1 to 512 or "auto", found `0`
//!    |
//! 12 | processes = 0
//!    |             ^
//! ```
//!
//! The first line stands for itself, so that editors and logs can do without the rest.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::fault::{Fault, LogProblem, TlsFault};
use crate::layers::Origin;

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    fault: Fault,
    place: Place,
    severity: Severity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Severity {
    Error,
    Warning,
}

/// A stretch of a layer's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The layer's number.
    pub(crate) layer: usize,
    /// Bytes of its text; none for the text as a whole.
    pub(crate) span: Option<Range<usize>>,
}

impl Problem {
    /// A problem that stops the start.
    pub(crate) fn error(fault: Fault, place: Place) -> Problem {
        Problem {
            fault,
            place,
            severity: Severity::Error,
        }
    }

    /// A problem that may solve itself before the first request.
    pub(crate) fn warning(fault: Fault, place: Place) -> Problem {
        Problem {
            fault,
            place,
            severity: Severity::Warning,
        }
    }

    /// The path, user or group that is not there, if that is the problem.
    fn missing(&self) -> Option<&str> {
        match &self.fault {
            Fault::NoFolder {
                path,
                exists: false,
                ..
            }
            | Fault::NoRegularFile {
                path,
                exists: false,
                ..
            }
            | Fault::NoVirtualenv { path }
            | Fault::Tls(TlsFault::Unreadable {
                path,
                exists: false,
                ..
            })
            | Fault::LogTarget {
                problem: LogProblem::NoFolder(path),
                ..
            } => path.to_str(),
            Fault::UnknownUser { found } | Fault::UnknownGroup { found } => Some(found),
            _ => None,
        }
    }

    /// Whether it stops the start.
    pub(crate) fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Every problem found, in the order of the file, then of the environment, then of the flags.
#[derive(Debug)]
pub struct Report {
    texts: Vec<(Origin, String)>,
    problems: Vec<Problem>,
}

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// For pipes, files and `NO_COLOR`.
    Plain,
    /// With ANSI escapes, for a terminal.
    Ansi,
}

impl Report {
    pub(crate) fn new(texts: Vec<(Origin, String)>, mut problems: Vec<Problem>) -> Report {
        problems.sort_by_key(|p| {
            (
                p.place.layer,
                p.place.span.clone().map(|s| (s.start, s.end)),
            )
        });
        problems.dedup();
        Report { texts, problems }
    }

    /// How many problems it holds, warnings included.
    pub fn len(&self) -> usize {
        self.problems.len()
    }

    /// How many of them stop the start.
    pub fn errors(&self) -> usize {
        self.problems
            .iter()
            .filter(|problem| problem.is_error())
            .count()
    }

    /// The paths, users and groups that are named, but not there.
    pub fn missing(&self) -> Vec<&str> {
        self.problems.iter().filter_map(Problem::missing).collect()
    }

    /// How many problems stop the start even where every path is there.
    pub fn errors_besides_missing(&self) -> usize {
        let others = self
            .problems
            .iter()
            .filter(|problem| problem.missing().is_none());
        others.filter(|problem| problem.is_error()).count()
    }

    /// Whether there is nothing to report.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// Every problem with its source line and a caret, one blank line between them.
    pub fn render(&self, colour: Colour) -> String {
        let renderer = match colour {
            Colour::Plain => Renderer::plain(),
            Colour::Ansi => Renderer::styled(),
        };
        let mut out = String::new();
        for problem in &self.problems {
            if !out.is_empty() {
                out.push('\n');
            }
            out.push_str(&self.one(problem, &renderer));
            out.push('\n');
        }
        out
    }

    fn one(&self, problem: &Problem, renderer: &Renderer) -> String {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let (origin, text) = &self.texts[problem.place.layer];
        let place = location(origin, text, problem.place.span.as_ref());
        let title = level.primary_title(format!("{place}: {}", problem.fault));
        let mut group = Group::with_title(title);
        if let Some(span) = &problem.place.span {
            let span = visible(text, span);
            let annotation = AnnotationKind::Primary.span(span);
            group = group.element(Snippet::source(text.as_str()).annotation(annotation));
        }
        if let Some(help) = problem.fault.help() {
            group = group.element(Level::HELP.message(help));
        }
        renderer.render(&[group])
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Colour::Plain))
    }
}

impl std::error::Error for Report {}

/// `project.toml:12:13`, `APPLIANCE_PYTHON__PROCESSES` or `--set`.
fn location(origin: &Origin, text: &str, span: Option<&Range<usize>>) -> String {
    match (origin, span) {
        (Origin::File(name), Some(span)) => {
            let (line, column) = line_and_column(text, span.start);
            format!("{name}:{line}:{column}")
        }
        (Origin::File(name) | Origin::Environment(name), _) => name.clone(),
        (Origin::Flag, _) => "--set".to_owned(),
        (Origin::Default, _) => "default".to_owned(),
    }
}

/// Line and column from 1, the column in characters, as editors count.
pub(crate) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..boundary(text, at)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}

/// The first line of the span: a caret under each line of a long list shows less, not more.
fn visible(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = boundary(text, span.start);
    let end = boundary(text, span.end).max(start);
    let line = text[start..end]
        .find('\n')
        .map_or(end, |newline| start + newline);
    start..line
}

/// The nearest start of a character at or before `at`: positions come from a parser of bytes.
pub(crate) fn boundary(text: &str, at: usize) -> usize {
    let is_boundary = |at: &usize| text.is_char_boundary(*at);
    (0..=at.min(text.len()))
        .rev()
        .find(is_boundary)
        .unwrap_or(0)
}
