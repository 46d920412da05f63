//! What was written, in layers: defaults, the project file, the environment, `--set`; the later
//! wins, key by key. figment merges them and remembers which layer each value came from; the
//! text of each layer and the positions in it are kept here beside it.

use std::ops::Range;

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use toml_edit::Key;

use crate::Sources;
use crate::fault::Fault;
use crate::key_path::KeyPath;
use crate::report::{Place, Problem};
use crate::toml::{self, Positions, Span};

/// Environment variables of this prefix are settings.
const PREFIX: &str = "APPLIANCE_";
/// The key under which every layer hands its table to figment, so that it can be asked for whole.
const ROOT: &str = "project";

/// Where a layer came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Built in.
    Default,
    /// The project file, as the user named it.
    File(String),
    /// An environment variable.
    Environment(String),
    /// A `--set` flag.
    Flag,
}

/// One layer: a text and what stands in it.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) origin: Origin,
    /// The file's text; `NAME=value`; `--set key=value`.
    pub(crate) text: String,
    positions: Positions,
    dict: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::default()
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let rooted = Dict::from([(ROOT.to_owned(), self.dict.clone().into())]);
        Ok(Map::from([(Profile::Default, rooted)]))
    }
}

/// A layer's number marks its values: figment hands the name back for every value it is asked about.
struct Numbered<'a>(usize, &'a Layer);

impl Provider for Numbered<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.0.to_string())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        self.1.data()
    }
}

/// All layers, merged.
#[derive(Debug)]
pub(crate) struct Layers {
    all: Vec<Layer>,
    figment: Figment,
}

/// The number of the built-in layer.
const DEFAULTS: usize = 0;
/// The number of the file's layer.
pub(crate) const FILE: usize = 1;

impl Layers {
    /// Reads the environment and the flags over `text`, the project file's. What cannot be read
    /// as a setting goes to `problems` and is left out.
    pub(crate) fn new(sources: &Sources, text: String, problems: &mut Vec<Problem>) -> Layers {
        let name = sources.file.display().to_string();
        let mut all = vec![
            Layer::empty(Origin::Default, String::new()),
            Layer::empty(Origin::File(name), text),
        ];
        match toml::document(&all[FILE].text) {
            Ok((dict, positions)) => (all[FILE].dict, all[FILE].positions) = (dict, positions),
            Err(error) => problems.push(syntax(FILE, 0, &error)),
        }
        for (name, value) in sources
            .environment
            .iter()
            .filter(|(name, _)| name.starts_with(PREFIX))
        {
            let number = all.len();
            all.push(environment(name, value, number, problems));
        }
        for flag in &sources.overrides {
            let number = all.len();
            all.push(override_flag(flag, number, problems));
        }
        let numbered = all.iter().enumerate().skip(FILE);
        let figment = numbered.fold(Figment::new(), |f, (i, layer)| f.merge(Numbered(i, layer)));
        Layers { all, figment }
    }

    /// Puts `defaults` under everything written.
    pub(crate) fn fill(&mut self, defaults: Dict) {
        self.all[DEFAULTS].dict = defaults;
        let figment = std::mem::take(&mut self.figment);
        self.figment = figment.join(Numbered(DEFAULTS, &self.all[DEFAULTS]));
    }

    /// The merged table.
    pub(crate) fn merged(&self) -> Dict {
        // It fails only if no layer holds the root, and every layer does.
        self.figment
            .find_value(ROOT)
            .ok()
            .and_then(Value::into_dict)
            .unwrap_or_default()
    }

    /// The layer which set `value`.
    pub(crate) fn layer(&self, value: &Value) -> usize {
        let metadata = self.figment.get_metadata(value.tag());
        metadata
            .and_then(|metadata| metadata.name.parse().ok())
            .unwrap_or(DEFAULTS)
    }

    /// The number's layer.
    pub(crate) fn get(&self, number: usize) -> &Layer {
        &self.all[number]
    }

    /// Where `path` stands in the layer of this number.
    pub(crate) fn span(&self, number: usize, path: &KeyPath) -> Option<&Span> {
        self.all[number].positions.get(path)
    }

    /// Every layer, for the report.
    pub(crate) fn into_texts(self) -> Vec<(Origin, String)> {
        self.all
            .into_iter()
            .map(|layer| (layer.origin, layer.text))
            .collect()
    }
}

impl Layer {
    fn empty(origin: Origin, text: String) -> Layer {
        Layer {
            origin,
            text,
            positions: Positions::new(),
            dict: Dict::new(),
        }
    }

    /// A layer of one setting: `text` holds its key and its value at these places.
    fn set(&mut self, path: &KeyPath, key: Range<usize>, value: Range<usize>) -> Result<(), Fault> {
        let written = &self.text[value.clone()];
        let (parsed, positions) = value_or_text(path, written)?;
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
/// `--set python.module=shop.wsgi`.
fn value_or_text(path: &KeyPath, written: &str) -> Result<(Value, Positions), Fault> {
    match toml::value(path, written) {
        // A newline could smuggle in a second key, and a comment is no part of a value.
        Ok(parsed) if !written.contains(['\n', '#']) => Ok(parsed),
        Err(error) if written.starts_with(['[', '{', '"', '\'']) => {
            Err(Fault::Syntax(error.message().to_owned()))
        }
        _ => Ok((written.into(), Positions::new())),
    }
}

/// The layer of one `APPLIANCE_…` variable.
fn environment(name: &str, value: &str, number: usize, problems: &mut Vec<Problem>) -> Layer {
    let origin = Origin::Environment(name.to_owned());
    let mut layer = Layer::empty(origin, format!("{name}={value}"));
    let path = variable_path(&name[PREFIX.len()..]);
    let (key, value) = (0..name.len(), name.len() + 1..layer.text.len());
    let outcome = match path.segments().iter().any(String::is_empty) {
        true => Err((Fault::VariableName, key.clone())),
        false => layer
            .set(&path, key, value.clone())
            .map_err(|fault| (fault, value)),
    };
    if let Err((fault, span)) = outcome {
        problems.push(Problem::error(
            fault,
            Place {
                layer: number,
                span: Some(span),
            },
        ));
    }
    layer
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
fn override_flag(flag: &str, number: usize, problems: &mut Vec<Problem>) -> Layer {
    const FLAG: &str = "--set ";
    let mut layer = Layer::empty(Origin::Flag, format!("{FLAG}{flag}"));
    let whole = FLAG.len()..layer.text.len();
    let outcome = match split_flag(flag) {
        None => Err((Fault::FlagForm, whole)),
        Some((path, equals)) => {
            let equals = FLAG.len() + equals;
            let value = equals + 1..layer.text.len();
            layer
                .set(&path, FLAG.len()..equals, value.clone())
                .map_err(|fault| (fault, value))
        }
    };
    if let Err((fault, span)) = outcome {
        problems.push(Problem::error(
            fault,
            Place {
                layer: number,
                span: Some(span),
            },
        ));
    }
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

/// A TOML error of a layer whose text was parsed from `offset` on.
fn syntax(layer: usize, offset: usize, error: &toml_edit::TomlError) -> Problem {
    let span = error
        .span()
        .map(|span| span.start + offset..span.end + offset);
    Problem::error(
        Fault::Syntax(error.message().to_owned()),
        Place { layer, span },
    )
}
