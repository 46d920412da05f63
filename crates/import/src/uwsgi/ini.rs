//! uWSGI's ini: `[section]`, `key = value`, comments at the start of a line. A key may stand
//! several times, and a value is the rest of its line: there is no comment behind it.

use crate::fault::{Fault, Problem};
use crate::setting::Setting;
use crate::source::Place;

/// A section and what stands in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) settings: Vec<Setting>,
}

/// Every section, in the order of the file.
pub(crate) fn parse(number: usize, text: &str) -> Result<Vec<Section>, Fault> {
    let mut sections: Vec<Section> = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let line = if start == 0 {
            line.trim_start_matches('\u{feff}')
        } else {
            line
        };
        let begin = at - line.len();
        let trimmed = line.trim();
        let start = begin + (line.len() - line.trim_start().len());
        let place = Place {
            text: number,
            start,
            end: start + trimmed.len(),
        };
        match trimmed.chars().next() {
            None | Some('#' | ';') => {}
            Some('[') => {
                let name = trimmed[1..].split_once(']');
                let (name, _) = name.ok_or_else(|| {
                    Fault::at(
                        place,
                        Problem::Unfinished {
                            what: "section's name",
                        },
                    )
                })?;
                sections.push(Section {
                    name: name.trim().to_owned(),
                    place,
                    settings: Vec::new(),
                });
            }
            Some(_) => {
                let (name, value) = match trimmed.split_once('=') {
                    Some((name, value)) => (name.trim(), Some(value.trim().to_owned())),
                    None => (trimmed, None),
                };
                let expected = |expected, found: &str| {
                    let found = found.to_owned();
                    Fault::at(place, Problem::Expected { expected, found })
                };
                if name.is_empty() {
                    return Err(expected("`key = value`", "no key"));
                }
                let Some(section) = sections.last_mut() else {
                    return Err(expected(
                        "a section such as `[uwsgi]` before any key",
                        "a key",
                    ));
                };
                section.settings.push(Setting {
                    name: name.to_owned(),
                    value,
                    place,
                });
            }
        }
    }
    Ok(sections)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_repeat_and_values_take_the_rest_of_the_line() {
        let text =
            "\u{feff}# c\n[uwsgi]\n  env = A=1 # not a comment\nenv=B\n; c\nmaster\n[other]\nx = 1";
        let sections = parse(0, text).unwrap();
        let seen: Vec<_> = sections[0]
            .settings
            .iter()
            .map(|s| (s.name.as_str(), s.text()))
            .collect();
        assert_eq!(
            seen,
            [("env", "A=1 # not a comment"), ("env", "B"), ("master", "")]
        );
        let place = sections[0].settings[0].place;
        assert_eq!(&text[place.start..place.end], "env = A=1 # not a comment");
        assert_eq!(sections[1].name, "other");
    }

    #[test]
    fn what_is_wrong_is_shown_where_it_is() {
        for (text, at, message) in [
            ("[uwsgi\nx = 1", 0, "this section's name does not end"),
            (
                "\nx = 1",
                1,
                "expected a section such as `[uwsgi]` before any key, found a key",
            ),
            ("[uwsgi]\n = 1", 9, "expected `key = value`, found no key"),
        ] {
            let fault = parse(0, text).unwrap_err();
            assert_eq!(fault.place.map(|place| place.start), Some(at), "{text}");
            assert_eq!(fault.to_string(), message, "{text}");
        }
    }
}
