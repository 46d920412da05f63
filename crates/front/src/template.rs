//! The target of a redirect or rewrite → where this request goes.

use appliance_message::Head;
use appliance_project::model::{Piece, Template};

use crate::expression::Expression;
use crate::request_path::{escape, escape_raw};
use crate::site::host_name;

/// Bytes of a target: groups may be named often, and rewrites follow each other.
const LONGEST: usize = 64 << 10;

/// A target, and where its variables come from.
#[derive(Debug)]
pub(crate) struct Place {
    pieces: Vec<Piece>,
    /// Bytes of the route's prefix, without its final slash.
    prefix: usize,
    expression: Option<Expression>,
}

/// Why a target cannot be made.
#[derive(Debug, PartialEq)]
pub(crate) enum Unreachable {
    /// `$host`, and the request names none.
    NoHost,
    TooLong,
}

impl Place {
    /// `prefix` is the route's; empty for an expression.
    pub(crate) fn new(written: &Template, prefix: &str, expression: Option<Expression>) -> Self {
        let mut pieces = written.0.clone();
        // What is written may hold what no URL may.
        for piece in &mut pieces {
            if let Piece::Text(text) = piece {
                *text = escape(text.as_bytes(), |byte| {
                    byte.is_ascii_graphic() && !b"\"<>`{|}^".contains(byte)
                });
            }
        }
        Place {
            pieces,
            prefix: prefix.strip_suffix('/').unwrap_or(prefix).len(),
            expression,
        }
    }

    /// The target for a request; `path` is the request's in normal form. The query goes along,
    /// unless the target has it already, or ends in `?`.
    pub(crate) fn expand(&self, head: &Head, path: &str) -> Result<String, Unreachable> {
        let groups = match &self.expression {
            Some(expression) => expression.groups(path),
            None => Vec::new(),
        };
        let (mut out, mut has_query) = (String::with_capacity(path.len() + 64), false);
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Group(number) => {
                    let group = groups.get(*number).copied().unwrap_or_default();
                    match out.contains('?') {
                        true => out.push_str(&as_parameter(group)),
                        false => out.push_str(group),
                    }
                }
                Piece::Rest => out.push_str(path.get(self.prefix..).unwrap_or_default()),
                Piece::Uri => out.push_str(path),
                Piece::RequestUri => {
                    out.push_str(&escape_raw(&head.path_and_query()));
                    has_query = true;
                }
                Piece::Args => {
                    out.push_str(&escape_raw(head.query().unwrap_or_default()));
                    has_query = true;
                }
                Piece::Host => {
                    let name = head.host().and_then(host_name).ok_or(Unreachable::NoHost)?;
                    out.push_str(name);
                }
            }
            if out.len() > LONGEST {
                return Err(Unreachable::TooLong);
            }
        }
        if out.starts_with('/') {
            out = one_slash(out);
        }
        match head.query().filter(|_| !has_query) {
            Some(query) => Ok(with_query(&out, &escape_raw(query))),
            None => Ok(out.strip_suffix('?').map(str::to_owned).unwrap_or(out)),
        }
    }
}

/// With one slash in front: `//host/` would be another site, and so would `/\host/`, which browsers
/// read the same way.
fn one_slash(target: String) -> String {
    let path = target.trim_start_matches(['/', '\\']);
    match target.len() - path.len() {
        1 => target,
        _ => format!("/{path}"),
    }
}

/// A part of a path in the place of a parameter's value, of which it must not make two.
fn as_parameter(group: &str) -> String {
    group
        .replace('&', "%26")
        .replace('+', "%2B")
        .replace(';', "%3B")
}

fn with_query(target: &str, query: &str) -> String {
    let (target, fragment) = target.split_at(target.find('#').unwrap_or(target.len()));
    match target.strip_suffix('?') {
        Some(bare) => format!("{bare}{fragment}"),
        None if target.contains('?') => format!("{target}&{query}{fragment}"),
        None => format!("{target}?{query}{fragment}"),
    }
}
