//! What keeps a file from being understood at all, as data; `Display` writes the sentence.

use std::fmt;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::source::{Place, Sources, first_line};

/// A file that cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Where.
    pub(crate) place: Option<Place>,
    /// What.
    pub(crate) problem: Problem,
}

/// What is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    /// It cannot be read; its name and the system's reason.
    Unreadable { name: String, reason: String },
    /// It holds a byte that no text has.
    Binary { name: String, byte: u8 },
    /// It is larger than any configuration.
    Huge { name: String, limit: usize },
    /// Nobody knows what it is.
    Unknown { name: String },
    /// It has nothing in it.
    Empty { name: String },
    /// Something else was needed here.
    Expected {
        expected: &'static str,
        found: String,
    },
    /// It ends in the middle of something, which began here.
    Unfinished { what: &'static str },
    /// Blocks in blocks, beyond any reason.
    TooDeep { limit: usize },
    /// A file that includes itself, by way of these.
    Loop { by: Vec<String> },
    /// More includes than any configuration has.
    TooMuch { limit: usize },
    /// An element that is closed by another's name.
    Unbalanced { open: String, close: String },
    /// A part of YAML or XML that configurations of uWSGI do not use.
    Form { what: &'static str },
}

impl Fault {
    /// At a place.
    pub(crate) fn at(place: Place, problem: Problem) -> Fault {
        Fault {
            place: Some(place),
            problem,
        }
    }

    /// Of a file as a whole.
    pub(crate) fn of(problem: Problem) -> Fault {
        Fault {
            place: None,
            problem,
        }
    }

    /// The sentence, the line and a caret.
    pub(crate) fn render(&self, sources: &Sources, styled: bool) -> String {
        let renderer = match styled {
            true => Renderer::styled(),
            false => Renderer::plain(),
        };
        let title = match self.place {
            Some(place) => format!("{}: {self}", sources.name(place)),
            None => self.to_string(),
        };
        let mut group = Group::with_title(Level::ERROR.primary_title(title));
        if let Some(place) = self.place {
            let text = &sources.get(place.text).text;
            let caret = AnnotationKind::Primary.span(first_line(text, place));
            group = group.element(Snippet::source(text.as_str()).annotation(caret));
        }
        if let Some(help) = self.help() {
            group = group.element(Level::HELP.message(help));
        }
        format!("{}\n", renderer.render(&[group]))
    }

    fn help(&self) -> Option<&'static str> {
        Some(match self.problem {
            Problem::Unfinished { what: "block" } => "a `}` is missing",
            Problem::Unfinished { what: "directive" } => "a `;` is missing",
            Problem::Unknown { .. } => {
                "nginx.conf, uwsgi.ini, .xml, .yaml or .json, a systemd .service, or NGINX Unit's config.json"
            }
            Problem::Loop { .. } => "take one of these includes out",
            Problem::Binary { .. } => "name the configuration, not the program",
            _ => return None,
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            Problem::Unreadable { name, reason } => write!(f, "cannot read `{name}`: {reason}"),
            Problem::Binary { name, byte } => {
                write!(f, "`{name}` is not text: it holds the byte 0x{byte:02x}")
            }
            Problem::Huge { name, limit } => {
                write!(f, "`{name}` is larger than {} MB", limit >> 20)
            }
            Problem::Unknown { name } => write!(f, "cannot tell what `{name}` configures"),
            Problem::Empty { name } => write!(f, "`{name}` holds no setting"),
            Problem::Expected { expected, found } => {
                write!(f, "expected {expected}, found {found}")
            }
            Problem::Unfinished { what } => write!(f, "this {what} does not end"),
            Problem::TooDeep { limit } => write!(f, "more than {limit} blocks lie in each other"),
            Problem::Loop { by } if by.is_empty() => f.write_str("this file includes itself"),
            Problem::Loop { by } => {
                write!(
                    f,
                    "this file includes itself, by way of `{}`",
                    by.join("`, `")
                )
            }
            Problem::TooMuch { limit } => write!(f, "more than {limit} files are included"),
            Problem::Unbalanced { open, close } => {
                write!(f, "`<{open}>` is closed by `</{close}>`")
            }
            Problem::Form { what } => write!(f, "{what} is not understood"),
        }
    }
}
