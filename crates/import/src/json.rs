//! JSON with the place of every value. With comments, which NGINX Unit takes as well.

use crate::fault::{Fault, Problem};
use crate::source::Place;

/// Values in values.
const DEEPEST: usize = 64;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Json,
    pub(crate) place: Place,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Flag(bool),
    /// As it is written: configurations hold counts, which need no floats.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Table(Vec<(String, Node)>),
}

impl Node {
    /// The member of this name; of several the last.
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        let found = self.members().iter().rev().find(|(key, _)| key == name)?;
        Some(&found.1)
    }

    /// Its members; none for what is no object.
    pub(crate) fn members(&self) -> &[(String, Node)] {
        match &self.value {
            Json::Table(members) => members,
            _ => &[],
        }
    }

    /// Its elements; what is no list is a list of one.
    pub(crate) fn elements(&self) -> &[Node] {
        match &self.value {
            Json::List(nodes) => nodes,
            _ => std::slice::from_ref(self),
        }
    }

    /// As one word; none for lists and objects.
    pub(crate) fn word(&self) -> Option<String> {
        match &self.value {
            Json::Text(text) | Json::Number(text) => Some(text.clone()),
            Json::Flag(flag) => Some(flag.to_string()),
            Json::Null => Some(String::new()),
            Json::List(_) | Json::Table(_) => None,
        }
    }
}

/// The value which the text is.
pub(crate) fn parse(number: usize, text: &str) -> Result<Node, Fault> {
    let mut parser = Parser {
        text,
        number,
        at: if text.starts_with('\u{feff}') { 3 } else { 0 },
    };
    let node = parser.value(0)?;
    parser.skip_space()?;
    match parser.peek() {
        None => Ok(node),
        Some(_) => Err(parser.expected("the end of the file")),
    }
}

struct Parser<'t> {
    text: &'t str,
    number: usize,
    at: usize,
}

impl Parser<'_> {
    fn value(&mut self, depth: usize) -> Result<Node, Fault> {
        self.skip_space()?;
        let start = self.at;
        if depth > DEEPEST {
            let problem = Problem::TooDeep { limit: DEEPEST };
            return Err(Fault::at(self.here(), problem));
        }
        let value = match self.peek() {
            Some('{') => self.table(depth)?,
            Some('[') => self.list(depth)?,
            Some('"') => Json::Text(self.string()?),
            Some(c) if c == '-' || c.is_ascii_digit() => self.number(),
            _ => self.literal()?,
        };
        Ok(Node {
            value,
            place: self.place(start),
        })
    }

    fn table(&mut self, depth: usize) -> Result<Json, Fault> {
        let start = self.at;
        self.bump();
        let mut members = Vec::new();
        loop {
            self.skip_space()?;
            match self.peek() {
                Some('}') if members.is_empty() => break,
                Some('"') => {}
                None => return Err(self.unfinished(start, "object")),
                Some(_) => return Err(self.expected("a name in double quotes")),
            }
            let begin = self.at;
            let name = self.string()?;
            self.skip_space()?;
            if self.peek() != Some(':') {
                return Err(self.expected("`:`"));
            }
            self.bump();
            let mut node = self.value(depth + 1)?;
            // A member is shown with its name.
            node.place.start = begin;
            members.push((name, node));
            if !self.goes_on('}', start, "object")? {
                break;
            }
        }
        if members.is_empty() {
            self.bump();
        }
        Ok(Json::Table(members))
    }

    fn list(&mut self, depth: usize) -> Result<Json, Fault> {
        let start = self.at;
        self.bump();
        let mut nodes = Vec::new();
        loop {
            self.skip_space()?;
            if nodes.is_empty() && self.peek() == Some(']') {
                self.bump();
                break;
            }
            nodes.push(self.value(depth + 1)?);
            if !self.goes_on(']', start, "list")? {
                break;
            }
        }
        Ok(Json::List(nodes))
    }

    /// Whether a comma follows, rather than the end.
    fn goes_on(&mut self, end: char, start: usize, what: &'static str) -> Result<bool, Fault> {
        self.skip_space()?;
        match self.peek() {
            Some(',') => {
                self.bump();
                Ok(true)
            }
            Some(c) if c == end => {
                self.bump();
                Ok(false)
            }
            None => Err(self.unfinished(start, what)),
            Some(_) => Err(self.expected("a comma or the end of the list or object")),
        }
    }

    fn string(&mut self) -> Result<String, Fault> {
        let start = self.at;
        self.bump();
        let mut text = String::new();
        loop {
            match self.bump() {
                None | Some('\n') => return Err(self.unfinished(start, "string")),
                Some('"') => return Ok(text),
                Some('\\') => match self.bump() {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some('r') => text.push('\r'),
                    Some('b') => text.push('\u{8}'),
                    Some('f') => text.push('\u{c}'),
                    Some('u') => text.push(self.escape()),
                    Some(c) => text.push(c),
                    None => return Err(self.unfinished(start, "string")),
                },
                Some(c) => text.push(c),
            }
        }
    }

    /// `\u` and four digits, in pairs beyond the first plane; U+FFFD for what is none.
    fn escape(&mut self) -> char {
        let mut units = vec![self.four_digits()];
        if (0xd800..0xdc00).contains(&units[0]) && self.text[self.at..].starts_with("\\u") {
            self.at += 2;
            units.push(self.four_digits());
        }
        let mut decoded = char::decode_utf16(units);
        decoded.next().and_then(Result::ok).unwrap_or('\u{fffd}')
    }

    fn four_digits(&mut self) -> u16 {
        let digits = self.text.get(self.at..self.at + 4);
        let Some(unit) = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok()) else {
            return 0xfffd;
        };
        self.at += 4;
        unit
    }

    fn number(&mut self) -> Json {
        let start = self.at;
        let inside = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
        while self.peek().is_some_and(inside) {
            self.bump();
        }
        Json::Number(self.text[start..self.at].to_owned())
    }

    fn literal(&mut self) -> Result<Json, Fault> {
        for (word, value) in [
            ("true", Json::Flag(true)),
            ("false", Json::Flag(false)),
            ("null", Json::Null),
        ] {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.expected("a value"))
    }

    fn skip_space(&mut self) -> Result<(), Fault> {
        loop {
            let rest = &self.text[self.at..];
            if rest.starts_with("//") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                let end = rest.find("*/");
                let end = end.ok_or_else(|| self.unfinished(self.at, "comment"))?;
                self.at += end + 2;
            } else if rest.starts_with([' ', '\t', '\r', '\n']) {
                self.at += 1;
            } else {
                return Ok(());
            }
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn place(&self, start: usize) -> Place {
        Place {
            text: self.number,
            start,
            end: self.at,
        }
    }

    fn here(&self) -> Place {
        let width = self.peek().map_or(0, char::len_utf8);
        Place {
            end: self.at + width,
            ..self.place(self.at)
        }
    }

    fn expected(&self, expected: &'static str) -> Fault {
        let found = match self.peek() {
            Some(c) => format!("`{}`", c.escape_default()),
            None => "the end of the file".to_owned(),
        };
        Fault::at(self.here(), Problem::Expected { expected, found })
    }

    fn unfinished(&self, start: usize, what: &'static str) -> Fault {
        let place = Place {
            end: start + 1,
            ..self.place(start)
        };
        Fault::at(place, Problem::Unfinished { what })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_with_their_places() {
        let text = "{\"a\": [1, true, null, {}], // c\n \"b\\n\\u00e9\\ud83d\\ude00\": \"x\"}";
        let node = parse(0, text).unwrap();
        let list = node.get("a").unwrap();
        assert_eq!(list.elements().len(), 4);
        assert_eq!(
            &text[list.place.start..list.place.end],
            "\"a\": [1, true, null, {}]"
        );
        assert_eq!(node.members()[1].0, "b\né😀");
    }

    #[test]
    fn what_is_wrong_is_shown_where_it_is() {
        for (text, at, message) in [
            ("{\"a\" 1}", 5, "expected `:`, found `1`"),
            (
                "[1 2]",
                3,
                "expected a comma or the end of the list or object, found `2`",
            ),
            ("{\"a\": [1", 6, "this list does not end"),
            ("[\"a", 1, "this string does not end"),
            ("{} x", 3, "expected the end of the file, found `x`"),
            ("", 0, "expected a value, found the end of the file"),
            ("/* x", 0, "this comment does not end"),
            ("{,}", 1, "expected a name in double quotes, found `,`"),
        ] {
            let fault = parse(0, text).unwrap_err();
            assert_eq!(fault.place.map(|place| place.start), Some(at), "{text}");
            assert_eq!(fault.to_string(), message, "{text}");
        }
        assert!(parse(0, &"[".repeat(100_000)).is_err());
    }
}
