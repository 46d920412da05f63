//! The `Forwarded` field (RFC 7239 §4): its elements from the right, and what one says.

use std::net::IpAddr;

use super::{Scheme, address, host, is_hidden, is_port, scheme};

/// The elements of a line, the last first.
///
/// Split from the right: the left end is whatever the client sent, and a quotation mark that it
/// left open must not swallow what trusted proxies added.
pub(super) struct Elements<'f>(Option<&'f [u8]>);

/// What one hop says about where the request came from.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Hop<'f> {
    /// `for`; none if it is missing, `unknown` or hidden behind a name (§6.2, §6.3).
    pub(super) client: Option<IpAddr>,
    /// `proto`.
    pub(super) scheme: Option<Scheme>,
    /// `host`.
    pub(super) host: Option<&'f str>,
}

impl<'f> Elements<'f> {
    pub(super) fn of(line: &'f [u8]) -> Elements<'f> {
        Elements(Some(line))
    }
}

impl<'f> Iterator for Elements<'f> {
    type Item = &'f [u8];

    /// Empty elements do not count (RFC 9110 §5.6.1).
    fn next(&mut self) -> Option<&'f [u8]> {
        loop {
            let (before, element) = split_last(self.0?);
            self.0 = before;
            let element = element.trim_ascii();
            if !element.is_empty() {
                return Some(element);
            }
        }
    }
}

/// What precedes the last comma that is not quoted, and what follows it.
fn split_last(line: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let mut quoted = false;
    for (at, byte) in line.iter().enumerate().rev() {
        match byte {
            b'"' if quoted && is_escape(&line[..at]) => {}
            b'"' => quoted = !quoted,
            b',' if !quoted => return (Some(&line[..at]), &line[at + 1..]),
            _ => {}
        }
    }
    (None, line)
}

/// Whether the end of this takes away the meaning of what follows.
fn is_escape(before: &[u8]) -> bool {
    let backslashes = before.iter().rev().take_while(|byte| **byte == b'\\');
    backslashes.count() % 2 == 1
}

impl<'f> Hop<'f> {
    /// Reads one element; none if it is malformed. Blanks around `;` are let pass, and so are
    /// addresses that lack their quotation marks: proxies write both.
    pub(super) fn parse(element: &'f [u8]) -> Option<Hop<'f>> {
        let (mut node, mut proto, mut authority) = (None, None, None);
        let mut rest = element;
        while let Some((name, value, after)) = pair(rest)? {
            let place = match name {
                _ if name.eq_ignore_ascii_case(b"for") => &mut node,
                _ if name.eq_ignore_ascii_case(b"proto") => &mut proto,
                _ if name.eq_ignore_ascii_case(b"host") => &mut authority,
                _ => &mut None,
            };
            // Each at most once: of two, which one was the trusted proxy's?
            if place.replace(value).is_some() {
                return None;
            }
            rest = after;
        }
        Some(Hop {
            client: node.map_or(Some(None), client)?,
            scheme: proto.and_then(scheme),
            host: authority.and_then(host),
        })
    }
}

type Pair<'f> = (&'f [u8], &'f [u8], &'f [u8]);

/// The first `name=value` and what follows it; none inside at the end, none at all if it is
/// malformed.
fn pair(text: &[u8]) -> Option<Option<Pair<'_>>> {
    let text = skip(text, |byte| byte == b';' || is_blank(byte));
    if text.is_empty() {
        return Some(None);
    }
    let (name, rest) = split_at_end(text, is_token);
    let (value, rest) = value(rest.strip_prefix(b"=")?)?;
    let rest = skip(rest, is_blank);
    let ends = matches!(rest.first(), None | Some(b';'));
    (ends && !name.is_empty()).then_some(Some((name, value, rest)))
}

/// A token or a quoted string. What had to be escaped is left so: neither addresses nor hosts
/// have any of it.
fn value(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let Some(inner) = text.strip_prefix(b"\"") else {
        let (value, rest) = split_at_end(text, |byte| is_token(byte) || b"[]:".contains(&byte));
        return (!value.is_empty()).then_some((value, rest));
    };
    let mut escaped = false;
    let end = inner.iter().position(|byte| match (escaped, byte) {
        (false, b'"') => true,
        (was, byte) => {
            escaped = !was && *byte == b'\\';
            false
        }
    })?;
    Some((&inner[..end], &inner[end + 1..]))
}

/// The address of a `for`; none inside if it is hidden, none at all if it is malformed.
fn client(node: &[u8]) -> Option<Option<IpAddr>> {
    let (name, port) = match node.iter().position(|byte| *byte == b':') {
        Some(colon) => (&node[..colon], Some(&node[colon + 1..])),
        None => (node, None),
    };
    let hidden = name.strip_prefix(b"_").is_some_and(is_hidden);
    if hidden || name.eq_ignore_ascii_case(b"unknown") {
        let port = port.map_or(Ok("0"), std::str::from_utf8).ok()?;
        return is_port(port).then_some(None);
    }
    address(node).map(Some)
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn skip(text: &[u8], what: impl Fn(u8) -> bool) -> &[u8] {
    split_at_end(text, what).1
}

/// The bytes that are `what`, and the rest.
fn split_at_end(text: &[u8], what: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !what(*byte));
    text.split_at(end.unwrap_or(text.len()))
}
