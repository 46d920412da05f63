//! The layers above the file: `APPLIANCE_PYTHON__PROCESSES=8` and `--set python.processes=8`, each
//! variable and each flag a layer of its own.

use std::ops::Range;

use figment::value::{Dict, Value};
use toml_edit::Key;

use crate::fault::Fault;
use crate::key_path::KeyPath;
use crate::layers::{Layer, Origin};
use crate::report::{Place, Problem};
use crate::toml::{self, Positions, Span};

/// Environment variables of this prefix are settings.
pub(crate) const PREFIX: &str = "APPLIANCE_";

/// What is wrong with a variable or a flag, and where in its layer's text.
type Outcome = Result<(), (Fault, Range<usize>)>;

/// The layer of one `APPLIANCE_…` variable.
pub(crate) fn environment(
    name: &str,
    value: &str,
    number: usize,
    problems: &mut Vec<Problem>,
) -> Layer {
    let origin = Origin::Environment(name.to_owned());
    let mut layer = Layer::empty(origin, format!("{name}={value}"));
    let path = variable_path(&name[PREFIX.len()..]);
    let (key, value) = (0..name.len(), name.len() + 1..layer.text.len());
    let outcome = match path.segments().iter().any(String::is_empty) {
        true => Err((Fault::VariableName, key.clone())),
        false => layer.set(&path, key, value),
    };
    problems.extend(outcome.err().map(|wrong| problem(wrong, number)));
    layer
}

/// What is wrong with a part of the layer's text.
fn problem((fault, span): (Fault, Range<usize>), layer: usize) -> Problem {
    let span = Some(span);
    Problem::error(fault, Place { layer, span })
}

/// `PYTHON__PROCESSES` → `python.processes`. Below `python.env` the case is the variable's own.
fn variable_path(name: &str) -> KeyPath {
    let mut segments: Vec<String> = Vec::new();
    for segment in name.split("__") {
        let keeps_case = segments == ["python", "env"];
        segments.push(if keeps_case {
            segment.to_owned()
        } else {
            segment.to_ascii_lowercase()
        });
    }
    KeyPath::new(segments)
}

/// The layer of one `--set key=value`.
pub(crate) fn flag(text: &str, number: usize, problems: &mut Vec<Problem>) -> Layer {
    const FLAG: &str = "--set ";
    let mut layer = Layer::empty(Origin::Flag, format!("{FLAG}{text}"));
    let whole = FLAG.len()..layer.text.len();
    let outcome = match split_flag(text) {
        None => Err((Fault::FlagForm, whole)),
        Some((path, equals)) => {
            let equals = FLAG.len() + equals;
            let value = equals + 1..layer.text.len();
            layer.set(&path, FLAG.len()..equals, value)
        }
    };
    problems.extend(outcome.err().map(|wrong| problem(wrong, number)));
    layer
}

/// The key of `key=value`, and where the `=` is. Keys may be quoted and hold one themselves:
/// `site.0.routes."= /x".wsgi=true`.
fn split_flag(flag: &str) -> Option<(KeyPath, usize)> {
    let candidates = flag.match_indices('=').map(|(at, _)| at);
    let mut keys = candidates.filter_map(|at| Some((Key::parse(&flag[..at]).ok()?, at)));
    let (key, at) = keys.next()?;
    Some((KeyPath::new(key.iter().map(Key::get)), at))
}

impl Layer {
    /// A layer of one setting: `text` holds its key and its value at these places.
    fn set(&mut self, path: &KeyPath, key: Range<usize>, value: Range<usize>) -> Outcome {
        let written = &self.text[value.clone()];
        let (parsed, positions) = value_or_text(path, written)
            .map_err(|(fault, at)| (fault, value.start + at..value.end))?;
        for (path, span) in positions {
            let shift = |range: Range<usize>| range.start + value.start..range.end + value.start;
            let span = Span {
                key: span.key.map(shift),
                value: span.value.map(shift),
            };
            self.positions.insert(path, span);
        }
        let mut above = Some(path.clone());
        let whole = Span {
            key: Some(key),
            value: Some(value),
        };
        self.positions.insert(path.clone(), whole.clone());
        while let Some(path) = above {
            self.positions
                .entry(path.clone())
                .or_insert_with(|| whole.clone());
            above = path.parent();
        }
        let nest = |value: Value, segment: &String| Dict::from([(segment.clone(), value)]).into();
        let nested: Value = path.segments().iter().rev().fold(parsed, nest);
        self.dict = nested.into_dict().unwrap_or_default();
        Ok(())
    }
}

/// A value as TOML, or else as plain text: nobody should need two kinds of quotes to write
/// `--set python.module=shop.wsgi`. Fails with the message and the offset into `written`.
fn value_or_text(path: &KeyPath, written: &str) -> Result<(Value, Positions), (Fault, usize)> {
    match toml::value(path, written) {
        Ok((value, positions)) if is_whole(&positions, path, written) => Ok((value, positions)),
        Err(error) if is_meant_as_toml(written) => {
            let at = error.span().map_or(0, |span| span.start);
            Err((
                Fault::Syntax(error.message().to_owned()),
                at.min(written.len()),
            ))
        }
        _ => Ok((written.into(), Positions::new())),
    }
}

/// Whether the value takes up all that was written: `1 # one` and `1⏎[server]` are text.
fn is_whole(positions: &Positions, path: &KeyPath, written: &str) -> bool {
    let value = positions.get(path).and_then(|span| span.value.clone());
    value.is_some_and(|value| written.get(value) == Some(written.trim()))
}

/// A quote, a brace or a bracket begins TOML; but `[::]:80` is an address.
fn is_meant_as_toml(written: &str) -> bool {
    let address = |c: char| c.is_ascii_hexdigit() || matches!(c, ':' | '.');
    let inside = written
        .strip_prefix('[')
        .and_then(|rest| rest.split(']').next());
    let is_address =
        inside.is_some_and(|inside| inside.contains(':') && inside.chars().all(address));
    written.starts_with(['[', '{', '"', '\'']) && !is_address
}
