//! uWSGI's XML: `<uwsgi>` with an element for each option. Read by hand: no entity but the five,
//! no document type, since a configuration needs neither and both are how XML goes wrong.

use crate::fault::{Fault, Problem};
use crate::setting::Setting;
use crate::source::Place;

/// The settings of every `<uwsgi>` element.
pub(crate) fn parse(number: usize, text: &str) -> Result<Vec<Setting>, Fault> {
    let mut reader = Xml {
        text,
        number,
        at: 0,
    };
    let mut settings = Vec::new();
    // Names and starts of open elements, and the text of the innermost.
    let mut open: Vec<(String, usize)> = Vec::new();
    let mut held = String::new();
    while let Some(event) = reader.next()? {
        match event {
            Event::Text(more) => held.push_str(&more),
            Event::Open {
                name,
                start,
                closed,
            } => {
                held.clear();
                if open.len() == 2 {
                    let problem = Problem::Form {
                        what: "an element inside an option",
                    };
                    return Err(Fault::at(reader.place(start), problem));
                }
                if closed && open.len() == 1 {
                    settings.push(reader.setting(name, None, start));
                } else if !closed {
                    open.push((name, start));
                }
            }
            Event::Close { name, start } => {
                let Some((opened, begin)) = open.pop() else {
                    let found = format!("`</{name}>`");
                    let expected = "an element";
                    return Err(Fault::at(
                        reader.place(start),
                        Problem::Expected { expected, found },
                    ));
                };
                if opened != name {
                    let (open, close) = (opened, name);
                    return Err(Fault::at(
                        reader.place(start),
                        Problem::Unbalanced { open, close },
                    ));
                }
                if open.len() == 1 {
                    let value = held.trim();
                    let value = (!value.is_empty()).then(|| value.to_owned());
                    settings.push(reader.setting(name, value, begin));
                }
                held.clear();
            }
        }
    }
    match open.pop() {
        None => Ok(settings),
        Some((_, start)) => {
            let place = Place {
                end: start + 1,
                ..reader.place(start)
            };
            Err(Fault::at(place, Problem::Unfinished { what: "element" }))
        }
    }
}

enum Event {
    Open {
        name: String,
        start: usize,
        closed: bool,
    },
    Close {
        name: String,
        start: usize,
    },
    Text(String),
}

struct Xml<'t> {
    text: &'t str,
    number: usize,
    at: usize,
}

impl Xml<'_> {
    fn next(&mut self) -> Result<Option<Event>, Fault> {
        loop {
            let rest = &self.text[self.at..];
            let start = self.at;
            if rest.is_empty() {
                return Ok(None);
            } else if rest.starts_with("<!--") {
                self.skip_to("-->", "comment")?;
            } else if rest.starts_with("<![CDATA[") {
                self.skip_to("]]>", "CDATA section")?;
                let inside = &self.text[start + 9..self.at - 3];
                return Ok(Some(Event::Text(inside.to_owned())));
            } else if rest.starts_with("<?") {
                self.skip_to("?>", "processing instruction")?;
            } else if rest.starts_with("<!") {
                let problem = Problem::Form {
                    what: "a document type",
                };
                return Err(Fault::at(
                    Place {
                        end: start + 2,
                        ..self.place(start)
                    },
                    problem,
                ));
            } else if rest.starts_with('<') {
                return self.tag().map(Some);
            } else {
                let end = rest.find('<').unwrap_or(rest.len());
                self.at += end;
                return Ok(Some(Event::Text(unescape(&rest[..end]))));
            }
        }
    }

    fn tag(&mut self) -> Result<Event, Fault> {
        let start = self.at;
        self.skip_to(">", "element")?;
        let inside = &self.text[start + 1..self.at - 1];
        let (inside, closes) = match inside.strip_prefix('/') {
            Some(inside) => (inside, true),
            None => (inside, false),
        };
        let (inside, closed) = match inside.strip_suffix('/') {
            Some(inside) => (inside, true),
            None => (inside, false),
        };
        let name = inside
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned();
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
        if name.is_empty() || !name.chars().all(fits) {
            let (expected, found) = ("an element's name", format!("`{name}`"));
            return Err(Fault::at(
                self.place(start),
                Problem::Expected { expected, found },
            ));
        }
        Ok(match closes {
            true => Event::Close { name, start },
            false => Event::Open {
                name,
                start,
                closed,
            },
        })
    }

    fn skip_to(&mut self, end: &str, what: &'static str) -> Result<(), Fault> {
        match self.text[self.at..].find(end) {
            Some(found) => {
                self.at += found + end.len();
                Ok(())
            }
            None => {
                let place = Place {
                    end: self.at + 1,
                    ..self.place(self.at)
                };
                Err(Fault::at(place, Problem::Unfinished { what }))
            }
        }
    }

    fn setting(&self, name: String, value: Option<String>, start: usize) -> Setting {
        let place = self.place(start);
        Setting { name, value, place }
    }

    fn place(&self, start: usize) -> Place {
        Place {
            text: self.number,
            start,
            end: self.at,
        }
    }
}

fn unescape(text: &str) -> String {
    // The ampersand last, or what it makes would be read again.
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_options() {
        let text = "<?xml version='1.0'?>\n<uwsgi id=\"a\">\n <master/>\n <!-- c -->\n <chdir>/srv/a&amp;b</chdir>\n <env><![CDATA[A=<1>]]></env></uwsgi>";
        let settings = parse(0, text).unwrap();
        let seen: Vec<_> = settings
            .iter()
            .map(|s| (s.name.as_str(), s.text()))
            .collect();
        assert_eq!(
            seen,
            [("master", ""), ("chdir", "/srv/a&b"), ("env", "A=<1>")]
        );
        let place = settings[1].place;
        assert_eq!(&text[place.start..place.end], "<chdir>/srv/a&amp;b</chdir>");
    }

    #[test]
    fn what_is_wrong_is_shown_where_it_is() {
        for (text, at, message) in [
            ("<uwsgi><a>1</b></uwsgi>", 11, "`<a>` is closed by `</b>`"),
            ("<uwsgi><a>", 7, "this element does not end"),
            ("<uwsgi", 0, "this element does not end"),
            ("<!DOCTYPE x>", 0, "a document type is not understood"),
            ("</uwsgi>", 0, "expected an element, found `</uwsgi>`"),
            (
                "<uwsgi><a><b/></a></uwsgi>",
                10,
                "an element inside an option is not understood",
            ),
            ("<>", 0, "expected an element's name, found ``"),
        ] {
            let fault = parse(0, text).map(|s| format!("{s:?}")).unwrap_err();
            assert_eq!(fault.place.map(|place| place.start), Some(at), "{text}");
            assert_eq!(fault.to_string(), message, "{text}");
        }
    }
}
