//! TOML text into figment's values, with the position of every key and value kept beside them:
//! figment merges values well, but it forgets where they stood.

use std::collections::BTreeMap;
use std::ops::Range;

use figment::value::{Dict, Empty, Value};
use toml_edit::{Array, Document, Item, TableLike, TomlError};

use crate::key_path::KeyPath;

/// Where a setting stands in a text, in bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Span {
    /// The key, inside a header or before the `=`.
    pub(crate) key: Option<Range<usize>>,
    /// The value; of a table, its header.
    pub(crate) value: Option<Range<usize>>,
}

/// Every setting of a text.
pub(crate) type Positions = BTreeMap<KeyPath, Span>;

/// A whole TOML document.
pub(crate) fn document(text: &str) -> Result<(Dict, Positions), TomlError> {
    let document = Document::parse(text)?;
    let mut walk = Walk::default();
    let dict = walk.table(&KeyPath::default(), document.as_table());
    Ok((dict, walk.positions))
}

/// One TOML value, as it stands to the right of a `=`; positions are within `text`, under `path`.
pub(crate) fn value(path: &KeyPath, text: &str) -> Result<(Value, Positions), TomlError> {
    const NAME: &str = "v=";
    let document = Document::parse(format!("{NAME}{text}"))?;
    let mut walk = Walk {
        offset: NAME.len(),
        ..Walk::default()
    };
    let value = walk.item(path, document.as_table().get("v").unwrap_or(&Item::None));
    Ok((value, walk.positions))
}

#[derive(Default)]
struct Walk {
    positions: Positions,
    /// Subtracted from every position.
    offset: usize,
}

impl Walk {
    fn table(&mut self, path: &KeyPath, table: &dyn TableLike) -> Dict {
        let mut dict = Dict::new();
        for (name, item) in table.iter() {
            let path = path.join(name);
            let value = self.item(&path, item);
            let key = table.get_key_value(name).and_then(|(key, _)| key.span());
            self.positions.entry(path).or_default().key = key;
            dict.insert(name.to_owned(), value);
        }
        dict
    }

    fn item(&mut self, path: &KeyPath, item: &Item) -> Value {
        let span = item
            .span()
            .map(|s| s.start.saturating_sub(self.offset)..s.end - self.offset);
        self.positions.insert(
            path.clone(),
            Span {
                key: None,
                value: span,
            },
        );
        match item {
            Item::Table(table) => self.table(path, table).into(),
            Item::ArrayOfTables(tables) => {
                let tables = tables.iter().map(|table| Item::Table(table.clone()));
                self.indexed(path, tables)
            }
            Item::Value(value) => self.scalar(path, value),
            Item::None => Value::from(Empty::None),
        }
    }

    fn scalar(&mut self, path: &KeyPath, value: &toml_edit::Value) -> Value {
        match value {
            toml_edit::Value::String(text) => text.value().as_str().into(),
            toml_edit::Value::Integer(number) => (*number.value()).into(),
            toml_edit::Value::Float(number) => (*number.value()).into(),
            toml_edit::Value::Boolean(flag) => (*flag.value()).into(),
            // No key takes a date, and TOML has no null: `Empty` stands for dates, which every
            // reader refuses by showing them as written.
            toml_edit::Value::Datetime(_) => Value::from(Empty::Unit),
            toml_edit::Value::Array(array) => self.array(path, array),
            toml_edit::Value::InlineTable(table) => self.table(path, table).into(),
        }
    }

    fn array(&mut self, path: &KeyPath, array: &Array) -> Value {
        let items = || array.iter().map(|value| Item::Value(value.clone()));
        if !array.is_empty() && array.iter().all(toml_edit::Value::is_inline_table) {
            return self.indexed(path, items());
        }
        let values: Vec<Value> = items()
            .enumerate()
            .map(|(i, item)| self.item(&path.join(i.to_string()), &item))
            .collect();
        values.into()
    }

    /// A list of tables becomes a table keyed `0`, `1`, …: figment merges tables key by key but
    /// replaces lists as a whole, and `--set site.0.listen=…` means one key of one site.
    fn indexed(&mut self, path: &KeyPath, items: impl Iterator<Item = Item>) -> Value {
        let indexed = items.enumerate().map(|(i, item)| {
            let index = i.to_string();
            let value = self.item(&path.join(index.as_str()), &item);
            (index, value)
        });
        indexed.collect::<Dict>().into()
    }
}

/// Whether a table was written as a list of tables.
pub(crate) fn is_indexed(dict: &Dict) -> bool {
    dict.keys().any(|key| index_of(key).is_some())
}

/// The number of a list's key.
pub(crate) fn index_of(key: &str) -> Option<usize> {
    let index: usize = key.parse().ok()?;
    // Not `00` or `+1`: two keys must not be the same number.
    (index.to_string() == key).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, path: &[&str]) -> (String, String) {
        let positions = document(text).expect("valid").1;
        let span = positions[&KeyPath::new(path.iter().copied())].clone();
        let cut = |range: Option<Range<usize>>| text[range.unwrap_or(0..0)].to_owned();
        (cut(span.key), cut(span.value))
    }

    #[test]
    fn keys_and_values_keep_their_place() {
        let text = "[python]\nthreads = 2\n[[site]]\nlisten = [\"a\", 8080]\n[site.routes]\n\"/\" = { wsgi = true }\n";
        assert_eq!(
            at(text, &["python", "threads"]),
            ("threads".into(), "2".into())
        );
        assert_eq!(at(text, &["python"]), ("python".into(), "[python]".into()));
        assert_eq!(at(text, &["site", "0"]).1, "[[site]]");
        assert_eq!(at(text, &["site", "0", "listen", "1"]).1, "8080");
        assert_eq!(at(text, &["site", "0", "routes", "/"]).0, "\"/\"");
        assert_eq!(
            at(text, &["site", "0", "routes", "/", "wsgi"]),
            ("wsgi".into(), "true".into())
        );
    }

    #[test]
    fn a_value_alone_has_positions_within_itself() {
        let path = KeyPath::new(["listen"]);
        let (_, positions) = value(&path, "[1, 22]").expect("valid");
        assert_eq!(positions[&path.join("1")].value, Some(4..6));
    }
}
