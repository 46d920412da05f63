//! uWSGI's YAML: a top-level name, below it `key: value` or a list of values for a key. The part of
//! YAML in which configurations are written; anchors, tags, block texts and flow tables are refused
//! rather than guessed at.

use crate::fault::{Fault, Problem};
use crate::setting::Setting;
use crate::source::Place;

/// The settings below the top-level name `uwsgi`.
pub(crate) fn parse(number: usize, text: &str) -> Result<Vec<Setting>, Fault> {
    let mut settings: Vec<Setting> = Vec::new();
    let (mut inside, mut list_of, mut at) = (false, None::<String>, 0);
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let line = line.trim_end();
        let line = if start == 0 {
            line.trim_start_matches('\u{feff}')
        } else {
            line
        };
        let content = without_comment(line);
        let indent = content.len() - content.trim_start().len();
        let content = content.trim();
        let begin = start + line.find(|c: char| c != ' ' && c != '\t').unwrap_or(0);
        let place = Place {
            text: number,
            start: begin,
            end: begin + content.len(),
        };
        let refuse = |what| Err(Fault::at(place, Problem::Form { what }));
        if content.is_empty() || content == "---" || content == "..." {
            continue;
        }
        if line.trim_start_matches(' ').starts_with('\t') {
            return refuse("a tab for indentation");
        }
        if indent == 0 && !content.starts_with('-') {
            inside = content.trim_end_matches(':').trim() == "uwsgi";
            list_of = None;
            continue;
        }
        if !inside {
            continue;
        }
        if content == "-" || content.starts_with("- ") {
            let Some(name) = list_of.clone() else {
                let (expected, found) = ("`key: value`", "an element of no list".to_owned());
                return Err(Fault::at(place, Problem::Expected { expected, found }));
            };
            let value = scalar(content[1..].trim(), place)?;
            settings.push(Setting { name, value, place });
            continue;
        }
        let Some((name, value)) = split(content) else {
            let (expected, found) = ("`key: value`", format!("`{}`", content.escape_debug()));
            return Err(Fault::at(place, Problem::Expected { expected, found }));
        };
        let name = name.trim_matches(['"', '\'']).to_owned();
        list_of = None;
        match value {
            "" => list_of = Some(name),
            _ if value.starts_with('[') => {
                let Some(elements) = value[1..].strip_suffix(']') else {
                    return Err(Fault::at(place, Problem::Unfinished { what: "list" }));
                };
                for element in elements.split(',').map(str::trim).filter(|e| !e.is_empty()) {
                    let value = scalar(element, place)?;
                    settings.push(Setting {
                        name: name.clone(),
                        value,
                        place,
                    });
                }
            }
            _ => {
                let value = scalar(value, place)?;
                settings.push(Setting { name, value, place });
            }
        }
    }
    Ok(settings)
}

/// `key: value`, the colon being one that a space or the end follows.
fn split(content: &str) -> Option<(&str, &str)> {
    if let Some(name) = content.strip_suffix(':') {
        return Some((name.trim(), ""));
    }
    let (name, value) = content.split_once(": ")?;
    Some((name.trim(), value.trim()))
}

fn scalar(text: &str, place: Place) -> Result<Option<String>, Fault> {
    let refuse = |what| Err(Fault::at(place, Problem::Form { what }));
    match text.chars().next() {
        None => Ok(None),
        Some('&' | '*') => refuse("an anchor or alias"),
        Some('!') => refuse("a tag"),
        Some('|' | '>') => refuse("a block text"),
        Some('{') => refuse("a flow table"),
        Some(quote @ ('"' | '\'')) => match text[1..].strip_suffix(quote) {
            Some(inside) if quote == '"' => {
                Ok(Some(inside.replace("\\\"", "\"").replace("\\\\", "\\")))
            }
            Some(inside) => Ok(Some(inside.replace("''", "'"))),
            None => Err(Fault::at(
                place,
                Problem::Unfinished {
                    what: "quoted text",
                },
            )),
        },
        Some(_) => Ok(Some(text.to_owned())),
    }
}

/// Without a comment that stands behind a space, outside of quotes.
fn without_comment(line: &str) -> &str {
    let (mut quote, mut before) = (None, ' ');
    for (at, c) in line.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '#' && before.is_whitespace() => return &line[..at],
            None if matches!(c, '"' | '\'') && !before.is_alphanumeric() => quote = Some(c),
            None => {}
        }
        before = c;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lists_and_quotes_are_read() {
        let text = "# c\nother:\n  x: 1\nuwsgi:\n  module: config.wsgi:application # c\n  env:\n    - A=1\n    - 'B=#2'\n  http: \":80\"\n  exec-asap: [a, \"b\"]\n";
        let settings = parse(0, text).unwrap();
        let seen: Vec<_> = settings
            .iter()
            .map(|s| (s.name.as_str(), s.text()))
            .collect();
        assert_eq!(
            seen,
            [
                ("module", "config.wsgi:application"),
                ("env", "A=1"),
                ("env", "B=#2"),
                ("http", ":80"),
                ("exec-asap", "a"),
                ("exec-asap", "b")
            ]
        );
        let place = settings[0].place;
        assert_eq!(
            &text[place.start..place.end],
            "module: config.wsgi:application"
        );
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (text, message) in [
            ("uwsgi:\n  a: &x 1", "an anchor or alias is not understood"),
            ("uwsgi:\n  a: |", "a block text is not understood"),
            ("uwsgi:\n\ta: 1", "a tab for indentation is not understood"),
            (
                "uwsgi:\n  - 1",
                "expected `key: value`, found an element of no list",
            ),
            ("uwsgi:\n  a", "expected `key: value`, found `a`"),
            ("uwsgi:\n  a: 'x", "this quoted text does not end"),
            ("uwsgi:\n  a: [x", "this list does not end"),
        ] {
            let fault = parse(0, text).unwrap_err();
            assert_eq!(fault.to_string(), message, "{text}");
        }
    }
}
