//! The target of a redirect or rewrite: text with variables, in nginx's spelling.

use regex::bytes::Regex;

use crate::fault::TemplateProblem;
use crate::model::{Piece, Template};

/// Reads `text`. `expression` is the route's, whose groups may be named; `inside` wants a path of
/// this site.
pub(super) fn parse(
    text: &str,
    expression: Option<&Regex>,
    inside: bool,
) -> Result<Template, TemplateProblem> {
    let is_bad = |c: char| c.is_control() || c == ' ' || c == '\\';
    if text.contains(is_bad) {
        return Err(TemplateProblem::Character);
    }
    let is_url = text.starts_with("https://") || text.starts_with("http://");
    if text.starts_with("//") {
        return Err(TemplateProblem::TwoSlashes);
    }
    if inside && (!text.starts_with('/') || text.contains('#')) {
        return Err(TemplateProblem::NotInside);
    }
    if !is_url && !text.starts_with('/') {
        return Err(TemplateProblem::Start);
    }
    let pieces = pieces(text, expression)?;
    if inside && pieces.contains(&Piece::Host) {
        return Err(TemplateProblem::NotInside);
    }
    if is_url && !fixes_host(&pieces) {
        return Err(TemplateProblem::Host);
    }
    Ok(Template(pieces))
}

fn pieces(text: &str, expression: Option<&Regex>) -> Result<Vec<Piece>, TemplateProblem> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once('$') {
        push(&mut pieces, before);
        if let Some(after) = after.strip_prefix('$') {
            push(&mut pieces, "$");
            rest = after;
            continue;
        }
        let (name, after) = match after.strip_prefix('{') {
            Some(braced) => braced.split_once('}').ok_or(TemplateProblem::Unclosed)?,
            None => after.split_at(name_len(after)),
        };
        pieces.push(variable(name, expression)?);
        rest = after;
    }
    push(&mut pieces, rest);
    Ok(pieces)
}

/// `$1` ends after its digits, `$name` after letters, digits and underscores.
fn name_len(text: &str) -> usize {
    let is_number = text.starts_with(|c: char| c.is_ascii_digit());
    let ends = |c: char| match is_number {
        true => !c.is_ascii_digit(),
        false => !c.is_ascii_alphanumeric() && c != '_',
    };
    text.find(ends).unwrap_or(text.len())
}

/// Appends text, what is not ASCII as escapes, to the text before it if there is some.
fn push(pieces: &mut Vec<Piece>, text: &str) {
    let mut escaped = String::new();
    for c in text.chars() {
        match c.is_ascii() {
            true => escaped.push(c),
            false => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    escaped.push_str(&format!("%{byte:02X}"));
                }
            }
        }
    }
    match pieces.last_mut() {
        _ if escaped.is_empty() => {}
        Some(Piece::Text(before)) => before.push_str(&escaped),
        _ => pieces.push(Piece::Text(escaped)),
    }
}

fn variable(name: &str, expression: Option<&Regex>) -> Result<Piece, TemplateProblem> {
    match name {
        "rest" => return Ok(Piece::Rest),
        "uri" => return Ok(Piece::Uri),
        "request_uri" => return Ok(Piece::RequestUri),
        "args" | "query_string" => return Ok(Piece::Args),
        "host" => return Ok(Piece::Host),
        _ => {}
    }
    let number = name.parse::<usize>().ok();
    let Some(expression) = expression else {
        return Err(match number {
            Some(_) => TemplateProblem::NoExpression(name.to_owned()),
            None => TemplateProblem::Unknown(name.to_owned()),
        });
    };
    let groups = expression.captures_len() - 1;
    let named = || {
        expression
            .capture_names()
            .position(|known| known == Some(name))
    };
    match number {
        Some(number) if number <= groups => Ok(Piece::Group(number)),
        Some(number) => Err(TemplateProblem::NoGroup(number, groups)),
        None => named()
            .map(Piece::Group)
            .ok_or_else(|| TemplateProblem::Unknown(name.to_owned())),
    }
}

/// Whether the host is written out, or is that of the request, and what follows cannot go on
/// with it: `https://shop.example$1` would be `https://shop.example.evil.example`.
fn fixes_host(pieces: &[Piece]) -> bool {
    let Some((Piece::Text(start), after)) = pieces.split_first() else {
        return false;
    };
    let (_, host) = start.split_once("://").unwrap_or_default();
    let ends = |text: &str| text.contains(['/', '?', '#']);
    if ends(host) {
        return !host.starts_with(['/', '?', '#']);
    }
    // The port may follow `$host`.
    let (host, after) = match (host, after) {
        ("", [Piece::Host, Piece::Text(port), after @ ..]) if !ends(port) => {
            return port.starts_with(':') && begins_path(after);
        }
        ("", [Piece::Host, after @ ..]) => ("$host", after),
        other => other,
    };
    !host.is_empty() && begins_path(after)
}

fn begins_path(pieces: &[Piece]) -> bool {
    match pieces.first() {
        None | Some(Piece::Rest | Piece::Uri | Piece::RequestUri) => true,
        Some(Piece::Text(text)) => text.starts_with(['/', '?', '#']),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_text_and_variables() {
        let expression = Regex::new("^/(?<lang>..)/(.*)$").expect("an expression");
        let text = |text: &str| Piece::Text(text.into());
        for (target, pieces) in [
            ("/new", vec![text("/new")]),
            ("/\u{e9}$$", vec![text("/%C3%A9$")]),
            ("/new$rest", vec![text("/new"), Piece::Rest]),
            (
                "/${lang}x/$2?a=$1#b",
                vec![
                    text("/"),
                    Piece::Group(1),
                    text("x/"),
                    Piece::Group(2),
                    text("?a="),
                    Piece::Group(1),
                    text("#b"),
                ],
            ),
            (
                "https://$host$request_uri",
                vec![text("https://"), Piece::Host, Piece::RequestUri],
            ),
        ] {
            let parsed = parse(target, Some(&expression), false);
            assert_eq!(parsed, Ok(Template(pieces)), "{target}");
        }
    }

    #[test]
    fn nobody_else_chooses_the_host() {
        let expression = Regex::new("^/(.*)$").expect("an expression");
        for target in [
            "https://$1/",
            "https://$1.example/",
            "https://shop.example$1",
            "https://shop$host/",
            "https://$host$1",
            "https://$host.example/",
            "https://$host:$1/",
            "https:///x",
        ] {
            let parsed = parse(target, Some(&expression), false);
            assert_eq!(parsed, Err(TemplateProblem::Host), "{target}");
        }
        for target in [
            "https://shop.example",
            "https://shop.example$rest",
            "https://shop.example?a=$1",
            "https://$host:8443$uri",
            "https://$host/$1",
        ] {
            assert!(parse(target, Some(&expression), false).is_ok(), "{target}");
        }
    }
}
