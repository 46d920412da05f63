//! What was written, in layers: defaults, the project file, the environment, `--set`; the later
//! wins, key by key. figment merges them and remembers which layer each value came from; the
//! text of each layer and the positions in it are kept here beside it.

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use crate::Sources;
use crate::fault::Fault;
use crate::key_path::KeyPath;
use crate::overrides;
use crate::report::{Place, Problem, boundary};
use crate::toml::{self, Positions, Span};

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
    pub(crate) positions: Positions,
    pub(crate) dict: Dict,
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
            Err(error) => problems.push(syntax(&all[FILE].text, &error)),
        }
        let development = sources.development.as_ref();
        let listen = development.map(|development| development.adapt(&mut all[FILE].dict));
        for (name, value) in sources
            .environment
            .iter()
            .filter(|(name, _)| name.starts_with(overrides::PREFIX))
        {
            let number = all.len();
            all.push(overrides::environment(name, value, number, problems));
        }
        for flag in sources.overrides.iter().chain(listen.iter().flatten()) {
            let number = all.len();
            all.push(overrides::flag(flag, number, problems));
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
    /// A layer without settings.
    pub(crate) fn empty(origin: Origin, text: String) -> Layer {
        Layer {
            origin,
            text,
            positions: Positions::new(),
            dict: Dict::new(),
        }
    }
}

/// A TOML error of the file. The commonest slips get words of their own: the parser tells what it
/// tried to read, a float for `info`, instead of what is missing.
fn syntax(text: &str, error: &toml_edit::TomlError) -> Problem {
    let span = error.span().unwrap_or_default();
    let at = boundary(text, span.start);
    let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let before = text[line_start..at].trim_end();
    let rest = text[at..].lines().next().unwrap_or_default().trim();
    let fault = match error.message() {
        "duplicate key" => Fault::KeyTwice {
            key: text.get(span.clone()).unwrap_or(rest).to_owned(),
        },
        _ if before.ends_with('=') && rest.is_empty() => Fault::NoValue,
        _ if before.ends_with('=') && is_bare(rest) => Fault::NoQuotes {
            text: rest.to_owned(),
        },
        message => Fault::Syntax(message.to_owned()),
    };
    Problem::error(
        fault,
        Place {
            layer: FILE,
            span: error.span(),
        },
    )
}

/// Whether this could be a text whose quotes were forgotten.
fn is_bare(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_alphabetic() || matches!(c, '/' | '.' | '_'));
    begins && !text.contains(['"', '\'', '#', '='])
}
