//! nginx's tokens, by the rules of its own reader (`ngx_conf_read_token`):
//!
//! - A word ends at white space, `;` or `{`; quotes and `}` inside it are letters like any other.
//! - A word that begins with a quote ends at the same quote, and white space, `;`, `{` or `)` has
//!   to follow.
//! - `${name}` does not open a block.
//! - A backslash takes the next character's meaning away; `\t`, `\r` and `\n` are what they are in
//!   C. Others keep their backslash, which regular expressions need.
//! - `#` begins a comment only where a word could begin.

use crate::fault::{Fault, Problem};
use crate::source::Place;

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    /// Which one.
    pub(crate) kind: TokenKind,
    /// Where.
    pub(crate) place: Place,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A word, without its quotes and escapes.
    Word(String),
    /// `{`
    Open,
    /// `}`
    Close,
    /// `;`
    End,
}

/// Reads one text.
#[derive(Debug)]
pub(crate) struct Lexer<'t> {
    text: &'t str,
    number: usize,
    at: usize,
}

impl<'t> Lexer<'t> {
    /// Of the text with this number.
    pub(crate) fn new(number: usize, text: &'t str) -> Lexer<'t> {
        let at = if text.starts_with('\u{feff}') { 3 } else { 0 };
        Lexer { text, number, at }
    }

    /// The next token; none at the end of the text.
    pub(crate) fn next(&mut self) -> Result<Option<Token>, Fault> {
        self.skip_space();
        let start = self.at;
        let Some(first) = self.peek() else {
            return Ok(None);
        };
        let kind = match first {
            ';' => self.single(TokenKind::End),
            '{' => self.single(TokenKind::Open),
            '}' => self.single(TokenKind::Close),
            '"' | '\'' => self.quoted(first)?,
            _ => self.bare(),
        };
        Ok(Some(Token {
            kind,
            place: self.place(start),
        }))
    }

    /// Skips a block of Lua whose brace has been read: braces in it need not balance where they
    /// stand in strings and comments.
    pub(crate) fn skip_lua(&mut self) -> Result<(), Fault> {
        let start = self.at.saturating_sub(1);
        let mut depth = 1;
        while let Some(c) = self.bump() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                '-' if self.peek() == Some('-') => while self.bump().is_some_and(|c| c != '\n') {},
                '"' | '\'' => {
                    while let Some(inner) = self.bump() {
                        match inner {
                            '\\' => drop(self.bump()),
                            inner if inner == c || inner == '\n' => break,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
            if depth == 0 {
                return Ok(());
            }
        }
        Err(self.unfinished(start, "block"))
    }

    fn single(&mut self, kind: TokenKind) -> TokenKind {
        self.bump();
        kind
    }

    fn quoted(&mut self, quote: char) -> Result<TokenKind, Fault> {
        let start = self.at;
        self.bump();
        let mut word = String::new();
        loop {
            match self.bump() {
                None => return Err(self.unfinished(start, "quoted word")),
                Some('\\') => self.escaped(&mut word),
                Some(c) if c == quote => break,
                Some(c) => word.push(c),
            }
        }
        match self.peek() {
            None | Some(';' | '{' | ')') => {}
            Some(c) if is_space(c) => {}
            Some(c) => {
                let place = Place {
                    text: self.number,
                    start: self.at,
                    end: self.at + c.len_utf8(),
                };
                return Err(Fault::at(
                    place,
                    Problem::Expected {
                        expected: "white space or `;` after the closing quote",
                        found: format!("`{c}`"),
                    },
                ));
            }
        }
        Ok(TokenKind::Word(word))
    }

    fn bare(&mut self) -> TokenKind {
        let mut word = String::new();
        while let Some(c) = self.peek() {
            match c {
                ';' => break,
                '{' if !word.ends_with('$') => break,
                c if is_space(c) => break,
                '\\' => {
                    self.bump();
                    self.escaped(&mut word);
                }
                c => {
                    self.bump();
                    word.push(c);
                }
            }
        }
        TokenKind::Word(word)
    }

    /// What a backslash makes of the character after it.
    fn escaped(&mut self, word: &mut String) {
        match self.bump() {
            None => word.push('\\'),
            Some(c @ ('"' | '\'' | '\\')) => word.push(c),
            Some('t') => word.push('\t'),
            Some('r') => word.push('\r'),
            Some('n') => word.push('\n'),
            Some(c) => word.extend(['\\', c]),
        }
    }

    fn skip_space(&mut self) {
        while let Some(c) = self.peek() {
            match c {
                '#' => while self.bump().is_some_and(|c| c != '\n') {},
                c if is_space(c) => drop(self.bump()),
                _ => return,
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

    fn unfinished(&self, start: usize, what: &'static str) -> Fault {
        let place = Place {
            end: start + 1,
            ..self.place(start)
        };
        Fault::at(place, Problem::Unfinished { what })
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut lexer = Lexer::new(0, text);
        let mut words = Vec::new();
        while let Some(token) = lexer.next().unwrap() {
            words.push(match token.kind {
                TokenKind::Word(word) => word,
                TokenKind::Open => "{".into(),
                TokenKind::Close => "}".into(),
                TokenKind::End => ";".into(),
            });
        }
        words
    }

    #[test]
    fn words_end_as_nginx_has_them_end() {
        for (text, expected) in [
            ("a b;", vec!["a", "b", ";"]),
            ("a{b;}", vec!["a", "{", "b", ";", "}"]),
            ("set $x ${y}z;", vec!["set", "$x", "${y}z", ";"]),
            ("a'b c", vec!["a'b", "c"]),
            ("a}b;", vec!["a}b", ";"]),
            ("'a b' \"c;{\" ;", vec!["a b", "c;{", ";"]),
            ("a#b # c\n;", vec!["a#b", ";"]),
            ("\"a\\\"b\\\\c\\d\\n\";", vec!["a\"b\\c\\d\n", ";"]),
            ("a\\ b\\;c;", vec!["a\\ b\\;c", ";"]),
            ("\u{feff}user é;", vec!["user", "é", ";"]),
            ("'';", vec!["", ";"]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn lua_is_skipped_whatever_its_strings_hold() {
        let mut lexer = Lexer::new(0, "ngx.say('}') -- }\n if x then {} end } after");
        lexer.skip_lua().unwrap();
        let token = lexer.next().unwrap().unwrap();
        assert_eq!(token.kind, TokenKind::Word("after".into()));
    }

    #[test]
    fn an_open_quote_is_shown_where_it_opens() {
        let fault = Lexer::new(0, "  'abc").next().unwrap_err();
        assert_eq!(fault.place.unwrap().start, 2);
        assert_eq!(fault.to_string(), "this quoted word does not end");
        let fault = Lexer::new(0, "'abc'd").next().unwrap_err();
        assert_eq!(fault.place.unwrap().start, 5);
    }
}
