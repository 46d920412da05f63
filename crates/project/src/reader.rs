//! Reads typed values out of the merged layers. What does not fit goes to the list of problems
//! with its place, and reading goes on: `check` shows everything at once.

mod origin;

use std::time::Duration;

use figment::value::{Dict, Value};

use crate::Setting;
use crate::alias;
use crate::fault::Fault;
use crate::key_path::{KeyPath, quoted};
use crate::keys::{Key, Kind, Section};
use crate::layers::{Layers, Origin};
use crate::report::{Place, Problem};
use crate::units::{parse_duration, parse_size, print_duration, print_size};

/// Layers, and what was found wrong in them.
pub(crate) struct Reader<'a> {
    pub(crate) layers: &'a Layers,
    pub(crate) problems: &'a mut Vec<Problem>,
    pub(crate) settings: Vec<Setting>,
}

/// A table being read.
#[derive(Clone)]
pub(crate) struct Table<'d> {
    pub(crate) path: KeyPath,
    pub(crate) section: &'static Section,
    pub(crate) dict: &'d Dict,
}

/// A value and its path.
#[derive(Clone)]
pub(crate) struct Entry<'d> {
    pub(crate) path: KeyPath,
    pub(crate) value: &'d Value,
}

impl<'d> Table<'d> {
    /// The value of `name`, written or default.
    pub(crate) fn entry(&self, name: &str) -> Option<Entry<'d>> {
        let value = self.dict.get(name)?;
        Some(Entry {
            path: self.path.join(name),
            value,
        })
    }

    fn key(&self, name: &str) -> Option<&'static Key> {
        self.section.key(name)
    }
}

impl Reader<'_> {
    /// Reports every key of the table that its section does not have.
    pub(crate) fn known_keys(&mut self, table: &Table<'_>) {
        for (name, value) in table.dict {
            if table.section.key(name).is_none() {
                let key = table.path.join(name.as_str());
                let place = self.key_place(&key, value);
                let advice = alias::advice(table.section, name);
                self.error(Fault::UnknownKey { key, advice }, place);
            }
        }
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, table: &Table<'_>, name: &str) -> Option<bool> {
        let entry = table.entry(name)?;
        match entry.value {
            Value::Bool(_, flag) => Some(self.accept(&entry, flag.to_string(), *flag)),
            _ => self.refuse(table, name, &entry),
        }
    }

    /// A whole number in the key's range; `None` inside for `"auto"`.
    pub(crate) fn count(&mut self, table: &Table<'_>, name: &str) -> Option<Option<usize>> {
        let entry = table.entry(name)?;
        let Some(Kind::Count(min, max, auto)) = table.key(name).map(|key| key.kind) else {
            return None;
        };
        if auto && entry.value.as_str() == Some("auto") {
            return Some(None);
        }
        match whole(entry.value) {
            Some(n) if (min..=max).contains(&n) => {
                let count = usize::try_from(n).ok()?;
                Some(Some(self.accept(&entry, n.to_string(), count)))
            }
            _ => self.refuse(table, name, &entry),
        }
    }

    /// Bytes.
    pub(crate) fn size(&mut self, table: &Table<'_>, name: &str) -> Option<u64> {
        let entry = table.entry(name)?;
        let Some(Kind::Size(min, max)) = table.key(name).map(|key| key.kind) else {
            return None;
        };
        let bytes = match entry.value {
            Value::String(_, text) => parse_size(text),
            other => whole(other),
        };
        match bytes {
            Some(bytes) if (min..=max).contains(&bytes) => {
                Some(self.accept(&entry, quoted(&print_size(bytes)), bytes))
            }
            _ => self.refuse(table, name, &entry),
        }
    }

    /// A duration.
    pub(crate) fn duration(&mut self, table: &Table<'_>, name: &str) -> Option<Duration> {
        let entry = table.entry(name)?;
        let Some(Kind::Duration(min, max)) = table.key(name).map(|key| key.kind) else {
            return None;
        };
        let range = Duration::from_millis(min)..=Duration::from_millis(max);
        let written = match entry.value {
            Value::String(_, text) => text.clone(),
            other => whole(other).map(|n| n.to_string()).unwrap_or_default(),
        };
        match parse_duration(&written) {
            Some(duration) if range.contains(&duration) => {
                Some(self.accept(&entry, quoted(&print_duration(duration)), duration))
            }
            None if !written.is_empty() && written.bytes().all(|b| b.is_ascii_digit()) => {
                let place = self.value_place(&entry);
                self.error(
                    Fault::NoUnit {
                        key: entry.path.clone(),
                        found: written,
                    },
                    place,
                );
                None
            }
            _ => self.refuse(table, name, &entry),
        }
    }

    /// One of the key's strings.
    pub(crate) fn choice(&mut self, table: &Table<'_>, name: &str) -> Option<&'static str> {
        let entry = table.entry(name)?;
        let Some(Kind::Choice(choices)) = table.key(name).map(|key| key.kind) else {
            return None;
        };
        match choices
            .iter()
            .find(|choice| entry.value.as_str() == Some(choice))
        {
            Some(choice) => Some(self.accept(&entry, quoted(choice), *choice)),
            None => self.refuse(table, name, &entry),
        }
    }

    /// A string that is neither empty nor holds a NUL: no path and no argument could. The caller
    /// accepts it, once it knows what it means.
    pub(crate) fn text<'d>(
        &mut self,
        table: &Table<'d>,
        name: &str,
    ) -> Option<(String, Entry<'d>)> {
        let entry = table.entry(name)?;
        match self.text_of(&entry) {
            Some(text) => self.printable(&entry, text).map(|text| (text, entry)),
            None => self.refuse(table, name, &entry),
        }
    }

    /// A list of strings, or one string alone if the key allows it.
    pub(crate) fn list<'d>(
        &mut self,
        table: &Table<'d>,
        name: &str,
    ) -> Option<Vec<(String, Entry<'d>)>> {
        let entry = table.entry(name)?;
        let one_will_do = table
            .key(name)
            .is_some_and(|key| key.kind == Kind::TextOrList);
        let entries = match entry.value {
            Value::Array(_, _) => self.elements(&entry),
            _ if one_will_do => vec![entry.clone()],
            _ => return self.refuse(table, name, &entry),
        };
        let mut texts = Vec::new();
        for element in entries {
            match self.text_of(&element) {
                Some(text) => texts.push((self.printable(&element, text)?, element)),
                None => return self.refuse(table, name, &element),
            }
        }
        Some(texts)
    }

    /// The elements of a list.
    pub(crate) fn elements<'d>(&self, entry: &Entry<'d>) -> Vec<Entry<'d>> {
        let values = entry
            .value
            .as_array()
            .unwrap_or_default()
            .iter()
            .enumerate();
        values
            .map(|(i, value)| Entry {
                path: entry.path.join(i.to_string()),
                value,
            })
            .collect()
    }

    /// The table of this key; empty if it is not one.
    pub(crate) fn table<'d>(&mut self, table: &Table<'d>, name: &str) -> Option<&'d Dict> {
        let entry = table.entry(name)?;
        match entry.value {
            Value::Dict(_, dict) => Some(dict),
            _ => self.refuse(table, name, &entry),
        }
    }

    /// The entry's string. In a variable or a flag, `8000` may be meant as text as well.
    pub(crate) fn text_of(&self, entry: &Entry<'_>) -> Option<String> {
        match entry.value {
            Value::String(_, text) => Some(text.clone()),
            Value::Num(..) | Value::Bool(..) => self.unquoted(entry),
            _ => None,
        }
    }

    fn unquoted(&self, entry: &Entry<'_>) -> Option<String> {
        let layer = self.layers.layer(entry.value);
        let is_text = matches!(
            self.layers.get(layer).origin,
            Origin::Environment(_) | Origin::Flag
        );
        is_text.then(|| self.written(entry)).flatten()
    }

    fn printable(&mut self, entry: &Entry<'_>, text: String) -> Option<String> {
        if !text.is_empty() && !text.contains('\0') {
            return Some(text);
        }
        let fault = Fault::BadText {
            key: entry.path.clone(),
            empty: text.is_empty(),
        };
        self.fault_at(fault, entry);
        None
    }

    /// Reports that the value is not what its key expects.
    pub(crate) fn refuse<T>(
        &mut self,
        table: &Table<'_>,
        name: &str,
        entry: &Entry<'_>,
    ) -> Option<T> {
        let key = table.key(name)?;
        self.expected(entry, table.path.join(name), key.kind.expected());
        None
    }

    /// Reports that the entry should be `expected`.
    pub(crate) fn expected(&mut self, entry: &Entry<'_>, key: KeyPath, expected: String) {
        let found = self.found(entry);
        self.fault_at(
            Fault::Expected {
                key,
                expected,
                found,
            },
            entry,
        );
    }

    /// Reports an error at the entry's value.
    pub(crate) fn fault_at(&mut self, fault: Fault, entry: &Entry<'_>) {
        let place = self.value_place(entry);
        self.error(fault, place);
    }

    /// Reports an error.
    pub(crate) fn error(&mut self, fault: Fault, place: Place) {
        self.problems.push(Problem::error(fault, place));
    }

    /// Reports a warning.
    pub(crate) fn warn(&mut self, fault: Fault, place: Place) {
        self.problems.push(Problem::warning(fault, place));
    }
}

/// A whole number that is not negative; TOML's own are signed.
pub(crate) fn whole(value: &Value) -> Option<u64> {
    value
        .to_i128()
        .and_then(|number| u64::try_from(number).ok())
}
