//! nginx's directives: words, then `;` or a block of further directives. Read with a stack of its
//! own, so that blocks in blocks cannot exhaust the thread's.

use crate::fault::{Fault, Problem};
use crate::source::Place;

use super::lexer::{Lexer, Token, TokenKind};

/// Blocks in blocks: nginx's own go four deep, locations in locations somewhat deeper.
const DEEPEST: usize = 64;

/// One directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directive {
    /// Its first word.
    pub(crate) name: String,
    /// The others.
    pub(crate) args: Vec<String>,
    /// From the first word to the last.
    pub(crate) place: Place,
    /// Its block, if it has one.
    pub(crate) block: Option<Vec<Directive>>,
}

impl Directive {
    /// The first argument, or nothing.
    pub(crate) fn arg(&self) -> &str {
        self.args.first().map_or("", String::as_str)
    }

    /// The directives of the block.
    pub(crate) fn inner(&self) -> &[Directive] {
        self.block.as_deref().unwrap_or_default()
    }
}

/// A directive whose end has not been seen.
#[derive(Debug)]
struct Begun {
    words: Vec<(String, Place)>,
    children: Vec<Directive>,
    brace: Place,
}

/// Every directive of a text.
pub(crate) fn parse(number: usize, text: &str) -> Result<Vec<Directive>, Fault> {
    let mut lexer = Lexer::new(number, text);
    let mut open: Vec<Begun> = Vec::new();
    let mut top: Vec<Directive> = Vec::new();
    let mut words: Vec<(String, Place)> = Vec::new();
    while let Some(token) = lexer.next()? {
        match token.kind {
            TokenKind::Word(word) => words.push((word, token.place)),
            TokenKind::End => {
                let directive = finish(std::mem::take(&mut words), None)
                    .ok_or_else(|| unexpected("a directive", "`;`", &token))?;
                open.last_mut()
                    .map_or(&mut top, |begun| &mut begun.children)
                    .push(directive);
            }
            TokenKind::Open if words.is_empty() => {
                return Err(unexpected("a directive", "`{`", &token));
            }
            TokenKind::Open if is_lua(&words) => {
                lexer.skip_lua()?;
                let directive = finish(std::mem::take(&mut words), Some(Vec::new()));
                open.last_mut()
                    .map_or(&mut top, |begun| &mut begun.children)
                    .extend(directive);
            }
            TokenKind::Open => {
                if open.len() == DEEPEST {
                    return Err(Fault::at(token.place, Problem::TooDeep { limit: DEEPEST }));
                }
                open.push(Begun {
                    words: std::mem::take(&mut words),
                    children: Vec::new(),
                    brace: token.place,
                });
            }
            TokenKind::Close => {
                if let Some(fault) = unended(&words) {
                    return Err(fault);
                }
                let begun = open
                    .pop()
                    .ok_or_else(|| unexpected("a directive", "`}`", &token))?;
                let directive = finish(begun.words, Some(begun.children));
                open.last_mut()
                    .map_or(&mut top, |begun| &mut begun.children)
                    .extend(directive);
            }
        }
    }
    if let Some(fault) = unended(&words) {
        return Err(fault);
    }
    match open.pop() {
        Some(begun) => Err(Fault::at(
            begun
                .words
                .first()
                .map_or(begun.brace, |(_, place)| *place)
                .to(begun.brace),
            Problem::Unfinished { what: "block" },
        )),
        None => Ok(top),
    }
}

fn is_lua(words: &[(String, Place)]) -> bool {
    matches!(words, [(name, _), ..] if name.ends_with("_by_lua_block"))
}

fn finish(words: Vec<(String, Place)>, block: Option<Vec<Directive>>) -> Option<Directive> {
    let (_, first) = words.first()?;
    let (_, last) = words.last()?;
    let place = first.to(*last);
    let mut words = words.into_iter().map(|(word, _)| word);
    Some(Directive {
        name: words.next()?,
        args: words.collect(),
        place,
        block,
    })
}

/// Words without the `;` that has to follow them.
fn unended(words: &[(String, Place)]) -> Option<Fault> {
    let (_, first) = words.first()?;
    let (_, last) = words.last()?;
    Some(Fault::at(
        first.to(*last),
        Problem::Unfinished { what: "directive" },
    ))
}

fn unexpected(expected: &'static str, found: &str, token: &Token) -> Fault {
    let problem = Problem::Expected {
        expected,
        found: found.to_owned(),
    };
    Fault::at(token.place, problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    fn refusal(text: &str) -> String {
        let mut sources = Sources::default();
        let number = sources.add("nginx.conf", text);
        parse(number, text).unwrap_err().render(&sources, false)
    }

    #[test]
    fn blocks_hold_directives() {
        let tree = parse(0, "http { server { listen 80; } }\nuser a b;").unwrap();
        assert_eq!(tree.len(), 2);
        let server = &tree[0].inner()[0];
        assert_eq!(
            (server.name.as_str(), server.inner()[0].arg()),
            ("server", "80")
        );
        assert_eq!(tree[1].args, ["a", "b"]);
    }

    #[test]
    fn what_is_missing_is_shown_where_it_is_missed() {
        assert_eq!(
            refusal("http {\n    root /srv\n}\n"),
            "error: nginx.conf:2:5: this directive does not end\n  \
             |\n2 |     root /srv\n  |     ^^^^^^^^^\n  \
             |\n  = help: a `;` is missing\n"
        );
        assert!(
            refusal("a;\nhttp {\n server {\n }\n")
                .starts_with("error: nginx.conf:2:1: this block does not end\n")
        );
        assert!(
            refusal("}").starts_with("error: nginx.conf:1:1: expected a directive, found `}`\n")
        );
        assert!(
            refusal("a;;").starts_with("error: nginx.conf:1:3: expected a directive, found `;`\n")
        );
        assert!(
            refusal(&"a{".repeat(9999))
                .starts_with("error: nginx.conf:1:130: more than 64 blocks lie in each other\n")
        );
    }
}
