//! Where a value came from: its place for messages, its layer for `check --show`.

use std::ops::Range;

use figment::value::Value;

use crate::Setting;
use crate::key_path::KeyPath;
use crate::layers::{FILE, Origin};
use crate::report::{Place, line_and_column};
use crate::toml::Span;

use super::{Entry, Reader, Table};

impl Reader<'_> {
    /// Notes a setting for `check --show`, and hands `value` through.
    pub(crate) fn accept<T>(&mut self, entry: &Entry<'_>, printed: String, value: T) -> T {
        let layer = self.layers.layer(entry.value);
        let setting = Setting {
            key: entry.path.clone(),
            value: printed,
            layer: self.layer_name(layer, entry),
        };
        self.settings.push(setting);
        value
    }

    /// Notes a setting whose value was found out from what was `written`.
    pub(crate) fn accept_as<T>(
        &mut self,
        entry: &Entry<'_>,
        printed: String,
        written: &str,
        value: T,
    ) -> T {
        let layer = format!(
            "{}, {written}",
            self.layer_name(self.layers.layer(entry.value), entry)
        );
        self.settings.push(Setting {
            key: entry.path.clone(),
            value: printed,
            layer,
        });
        value
    }

    /// Notes a setting that nobody wrote.
    pub(crate) fn assume(&mut self, table: &Table<'_>, name: &str, printed: String) {
        let key = table.path.join(name);
        self.settings.push(Setting {
            key,
            value: printed,
            layer: "default".to_owned(),
        });
    }

    fn layer_name(&self, number: usize, entry: &Entry<'_>) -> String {
        let layer = self.layers.get(number);
        match &layer.origin {
            Origin::Default => "default".to_owned(),
            Origin::Environment(name) => format!("environment {name}"),
            Origin::Flag => "--set".to_owned(),
            Origin::File(name) => match self.value_place(entry).span {
                Some(span) => {
                    let (line, _) = line_and_column(&layer.text, span.start);
                    format!("{}:{line}", base_name(name))
                }
                None => base_name(name).to_owned(),
            },
        }
    }

    /// The value as written, for ``found …``; what would not fit a line is named.
    pub(super) fn found(&self, entry: &Entry<'_>) -> String {
        const MOST: usize = 60;
        let written = self.written(entry).unwrap_or_default();
        let is_short = !written.contains('\n') && written.chars().count() <= MOST;
        match entry.value {
            Value::Dict(..) => "a table".to_owned(),
            _ if is_short => format!("`{written}`"),
            Value::Array(..) => "a list".to_owned(),
            _ => "a long text".to_owned(),
        }
    }

    pub(super) fn written(&self, entry: &Entry<'_>) -> Option<String> {
        let place = self.value_place(entry);
        let text = &self.layers.get(place.layer).text;
        text.get(place.span?).map(str::to_owned)
    }

    /// Where the entry's value stands.
    pub(crate) fn value_place(&self, entry: &Entry<'_>) -> Place {
        let layer = self.layers.layer(entry.value);
        Place {
            layer,
            span: self.nearest(layer, &entry.path, |span| span.value.clone()),
        }
    }

    /// Where the key of `value` stands.
    pub(crate) fn key_place(&self, path: &KeyPath, value: &Value) -> Place {
        let layer = self.layers.layer(value);
        let key_or_value = |span: &Span| span.key.clone().or_else(|| span.value.clone());
        Place {
            layer,
            span: self.nearest(layer, path, key_or_value),
        }
    }

    /// The header of the table at `path` in the file, or of the nearest table around it: where a
    /// missing key would go.
    pub(crate) fn header_place(&self, path: &KeyPath, value: &Value) -> Place {
        let in_file = self.layers.span(FILE, path).is_some();
        let layer = if in_file {
            FILE
        } else {
            self.layers.layer(value)
        };
        Place {
            layer,
            span: self.nearest(layer, path, |span| span.value.clone()),
        }
    }

    fn nearest(
        &self,
        layer: usize,
        path: &KeyPath,
        pick: impl Fn(&Span) -> Option<Range<usize>>,
    ) -> Option<Range<usize>> {
        let mut at = Some(path.clone());
        while let Some(path) = at {
            if let Some(range) = self.layers.span(layer, &path).and_then(&pick) {
                return Some(range);
            }
            at = path.parent();
        }
        None
    }
}

/// The file's own name: its folder would be the same in every line.
fn base_name(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or(file)
}
