//! The texts that were read, and places in them. A place is a number of a text and a stretch of
//! its bytes: small enough to stand in every token, and enough for line, column and caret.

use std::ops::Range;

/// A stretch of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The text's number.
    pub(crate) text: usize,
    /// Its first byte.
    pub(crate) start: usize,
    /// The byte after its last.
    pub(crate) end: usize,
}

impl Place {
    /// From the start of this place to the end of `last`, which lies behind it in the same text.
    pub(crate) fn to(self, last: Place) -> Place {
        Place {
            end: last.end.max(self.end),
            ..self
        }
    }
}

/// A text and what the user calls it.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The path, as it was given or as an include made it.
    pub(crate) name: String,
    /// All of it.
    pub(crate) text: String,
}

/// Every text read so far.
#[derive(Debug, Default)]
pub(crate) struct Sources(Vec<Source>, Vec<String>);

impl Sources {
    /// Takes a text up and returns its number.
    pub(crate) fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> usize {
        self.0.push(Source {
            name: name.into(),
            text: text.into(),
        });
        self.0.len() - 1
    }

    /// Keeps a secret out of everything that is shown or written.
    pub(crate) fn hide(&mut self, secret: &str) {
        if !secret.is_empty() {
            self.1.push(secret.to_owned());
        }
    }

    /// The text of this number.
    pub(crate) fn get(&self, number: usize) -> &Source {
        &self.0[number]
    }

    /// How many bytes have been read.
    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|source| source.text.len()).sum()
    }

    /// How many texts there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// `nginx.conf:12:5`.
    pub(crate) fn name(&self, place: Place) -> String {
        let source = self.get(place.text);
        let (line, column) = line_and_column(&source.text, place.start);
        format!("{}:{line}:{column}", source.name)
    }

    /// `nginx.conf:12`, as comments have it.
    pub(crate) fn line(&self, place: Place) -> String {
        let source = self.get(place.text);
        let name = source.name.rsplit('/').next().unwrap_or(&source.name);
        format!("{name}:{}", line_and_column(&source.text, place.start).0)
    }

    /// All that stands there, on one line.
    pub(crate) fn excerpt_whole(&self, place: Place) -> String {
        let text = &self.get(place.text).text;
        let whole = text.get(place.start..place.end).unwrap_or_default();
        whole.replace("\\\n", " ").replace('\n', " ")
    }

    /// What stands there, on one line and not too long.
    pub(crate) fn excerpt(&self, place: Place) -> String {
        const LONGEST: usize = 72;
        let text = &self.get(place.text).text;
        let whole = text.get(place.start..place.end).unwrap_or_default();
        let hidden = self
            .1
            .iter()
            .fold(whole.to_owned(), |whole, secret| whole.replace(secret, "…"));
        let whole = hidden.as_str();
        // A block is known by its head.
        let mut out = String::new();
        for word in whole.split_whitespace() {
            if out.chars().count() + word.chars().count() > LONGEST {
                out.push_str(" …");
                break;
            }
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(word);
        }
        out.chars().filter(|c| !c.is_control()).collect()
    }
}

/// Line and column from 1, the column in characters, as editors count.
pub(crate) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..boundary(text, at)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}

/// The first line of the place, on boundaries of characters.
pub(crate) fn first_line(text: &str, place: Place) -> Range<usize> {
    let start = boundary(text, place.start);
    let end = boundary(text, place.end).max(start);
    let line = text[start..end]
        .find('\n')
        .map_or(end, |newline| start + newline);
    start..line
}

fn boundary(text: &str, at: usize) -> usize {
    let is_boundary = |at: &usize| text.is_char_boundary(*at);
    (0..=at.min(text.len()))
        .rev()
        .find(is_boundary)
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_named_as_editors_count() {
        let mut sources = Sources::default();
        let text = sources.add("conf/nginx.conf", "é é;\n  root  /srv ;\n");
        let place = |start, end| Place { text, start, end };
        assert_eq!(sources.name(place(3, 5)), "conf/nginx.conf:1:3");
        assert_eq!(sources.name(place(9, 21)), "conf/nginx.conf:2:3");
        assert_eq!(sources.line(place(9, 21)), "nginx.conf:2");
        assert_eq!(sources.excerpt(place(9, 21)), "root /srv ;");
        // Beyond the end, as the place of a missing brace.
        assert_eq!(sources.name(place(90, 91)), "conf/nginx.conf:3:1");
    }
}
