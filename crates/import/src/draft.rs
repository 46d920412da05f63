//! The project file that is being made: tables, sites, routes, each line with the place it comes
//! from.

use toml_edit::Value;

use crate::convert::Converted;
use crate::report::{Report, RowId, Verdict};
use crate::source::{Place, Sources};

/// `key = value`.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) key: String,
    pub(crate) converted: Converted,
    /// The directive it comes from; none for what the importer adds.
    pub(crate) place: Option<Place>,
    /// What the comment says besides.
    pub(crate) note: Option<&'static str>,
    pub(crate) row: Option<RowId>,
}

/// The lines of a table, in the order in which they were set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table(Vec<Line>);

/// A whole project file.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) server: Table,
    pub(crate) python: Table,
    /// `[python.env]`.
    pub(crate) env: Table,
    /// `hooks.before_start`.
    pub(crate) before_start: Vec<(String, Place)>,
    pub(crate) sites: Vec<Site>,
}

/// A `[[site]]`.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) place: Option<Place>,
    pub(crate) listen: Vec<String>,
    pub(crate) server_name: Vec<String>,
    /// Whether it answers names nobody has: it has to stand before others.
    pub(crate) is_default: bool,
    pub(crate) table: Table,
    /// `[site.tls]`.
    pub(crate) tls: Table,
    pub(crate) routes: Vec<Route>,
}

/// An entry of `[site.routes]`.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) place: Option<Place>,
    pub(crate) pattern: String,
    /// `files` and a folder, `wsgi` and `true`.
    pub(crate) target: (&'static str, Value),
    pub(crate) table: Table,
    /// Why it is written as a comment, if it must not be served as it is.
    pub(crate) withheld: Option<String>,
}

impl Line {
    /// What its directive has reported already.
    pub(crate) fn said(key: &str, converted: Converted, place: Place) -> Line {
        Line {
            key: key.to_owned(),
            converted,
            place: Some(place),
            note: None,
            row: None,
        }
    }

    /// What a level passes down to those below it.
    pub(crate) fn inherited(key: &str, converted: Converted, place: Place, row: RowId) -> Line {
        Line {
            key: key.to_owned(),
            converted,
            place: Some(place),
            note: None,
            row: Some(row),
        }
    }
}

impl Table {
    /// Its lines.
    pub(crate) fn lines(&self) -> &[Line] {
        &self.0
    }

    /// The line of this key.
    pub(crate) fn get(&self, key: &str) -> Option<&Line> {
        self.0.iter().find(|line| line.key == key)
    }

    /// Whether nothing was set.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets a key that no directive has set, with a word about why.
    pub(crate) fn assume(&mut self, key: &str, value: impl Into<Value>, note: &'static str) {
        if self.get(key).is_none() {
            self.0.push(Line {
                key: key.to_owned(),
                converted: Converted {
                    value: value.into(),
                    rank: None,
                },
                place: None,
                note: Some(note),
                row: None,
            });
        }
    }

    /// Takes over a line of a level above, unless the key is set here.
    pub(crate) fn inherit(&mut self, line: &Line) {
        if self.get(&line.key).is_none() {
            self.0.push(line.clone());
        }
    }

    /// Sets an entry of a key that is a table.
    pub(crate) fn entry(&mut self, key: &str, name: &str, value: &str, place: Place) {
        let old = self.0.iter_mut().find(|line| line.key == key);
        if let Some(Value::InlineTable(table)) = old.map(|line| &mut line.converted.value) {
            table.insert(name, value.into());
            return;
        }
        let value = Value::from_iter([(name, value)]);
        self.inherit(&Line::said(key, Converted { value, rank: None }, place));
    }

    /// Sets a key by a directive, and says what became of it. Of two values that bound the same
    /// request the smaller one holds, as it did when both programs looked at it.
    pub(crate) fn set(
        &mut self,
        (header, key): (&str, &str),
        converted: Converted,
        place: Place,
        (report, sources): (&mut Report, &Sources),
    ) {
        let shown = format!("{}.{key} = {}", path(header), plain(&converted.value));
        let row = report.row(place, Verdict::Carried, format!("`{shown}`"));
        let new = Line::inherited(key, converted, place, row);
        let Some(old) = self.0.iter_mut().find(|line| line.key == key) else {
            self.0.push(new);
            return;
        };
        let earlier = old
            .place
            .map_or_else(String::new, |place| sources.name(place));
        if let (Value::Array(all), Value::Array(more)) =
            (&mut old.converted.value, &new.converted.value)
        {
            let missing = |value: &&Value| !all.iter().any(|old| plain(old) == plain(value));
            let more: Vec<_> = more.iter().filter(missing).cloned().collect();
            more.into_iter().for_each(|value| all.push_formatted(value));
            return;
        }
        match (old.converted.rank, new.converted.rank) {
            _ if plain(&old.converted.value) == plain(&new.converted.value) => {}
            (Some(before), Some(now)) if now < before => {
                let here = sources.name(place);
                if let Some(row) = old.row {
                    let text = format!("the stricter `{shown}` of {here} holds");
                    report.correct(row, Verdict::Default, text);
                }
                *old = new;
            }
            (Some(_), Some(_)) => {
                report.correct(
                    row,
                    Verdict::Default,
                    format!("the stricter one of {earlier} holds"),
                );
            }
            _ => {
                let text = format!("`{}.{key}` has its value by {earlier}", path(header));
                report.correct(row, Verdict::Default, text);
            }
        }
    }
}

impl Draft {
    /// The table with this header, of those that a project has once.
    pub(crate) fn table(&mut self, header: &str) -> Option<&mut Table> {
        match header {
            "[server]" => Some(&mut self.server),
            "[python]" => Some(&mut self.python),
            _ => None,
        }
    }

    /// Whether any route is answered by the application.
    pub(crate) fn has_wsgi(&self) -> bool {
        let mut routes = self.sites.iter().flat_map(|site| &site.routes);
        routes.any(|route| route.target.0 == "wsgi")
    }
}

/// `[[site]]` → `site`.
pub(crate) fn path(header: &str) -> &str {
    header.trim_matches(['[', ']'])
}

/// A value without the white space around it.
pub(crate) fn plain(value: &Value) -> String {
    value.to_string().trim().to_owned()
}
