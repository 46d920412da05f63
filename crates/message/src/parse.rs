//! Bytes → [`Head`] (RFC 9112 §2 to §5).

use http::{Method, StatusCode, Version};

use crate::head::{Field, Span, Text};
use crate::syntax::{is_control_free, is_tchar, is_token, trim};
use crate::{Head, Name, Refusal, Target};

/// Bounds of a head.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of request line and fields: 414 or 431 beyond.
    pub bytes: usize,
    /// Number of fields: 431 beyond.
    pub fields: usize,
}

const TOO_LONG_LINE: Refusal = Refusal {
    status: StatusCode::URI_TOO_LONG,
    reason: "the request line is longer than the limit",
};
pub(crate) const TOO_MANY_BYTES: Refusal = Refusal {
    status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    reason: "the head is larger than the limit",
};
pub(crate) const TOO_MANY_FIELDS: Refusal = Refusal {
    status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    reason: "there are more fields than the limit",
};
const VERSION: Refusal = Refusal {
    status: StatusCode::HTTP_VERSION_NOT_SUPPORTED,
    reason: "the version is neither HTTP/1.0 nor HTTP/1.1",
};

/// Looks for a head at the start of `bytes`. Returns it with its length, or none if more bytes
/// are needed. `seen` is how many bytes an earlier call has looked at, 0 at first: so that a head
/// that arrives byte by byte costs no more than one that arrives at once.
///
/// Empty lines before the request line are skipped (RFC 9112 §2.2).
///
/// # Errors
/// As soon as it is certain that this is no request, or one beyond the limits.
pub fn parse(
    bytes: &[u8],
    seen: &mut usize,
    limits: Limits,
) -> Result<Option<(Head, usize)>, Refusal> {
    let start = empty_lines(bytes)?;
    let head = &bytes[start..];
    match head.first() {
        // A TLS greeting begins with 0x16, and would otherwise be waited for to its end.
        Some(first) if !is_tchar(*first) => {
            return Err(Refusal::bad("a request begins with its method"));
        }
        Some(_) => {}
        None => return within(head, 0, limits).map(|()| None),
    }
    let Some((line, len)) = end(head, seen.saturating_sub(start))? else {
        *seen = bytes.len();
        return within(head, 0, limits).map(|()| None);
    };
    *seen = 0;
    within(&head[..len], line, limits)?;
    Ok(Some((
        read(&head[..len], line, limits.fields)?,
        start + len,
    )))
}

fn empty_lines(bytes: &[u8]) -> Result<usize, Refusal> {
    // One comes from clients that end a body with a line; many come from nobody with good intent.
    const AT_MOST: usize = 4;
    let mut start = 0;
    while bytes[start..].starts_with(b"\r\n") {
        start += 2;
        if start > AT_MOST * 2 {
            return Err(Refusal::bad("too many empty lines before the request"));
        }
    }
    match bytes[start..] {
        [b'\r'] => Ok(bytes.len()),
        [b'\r', ..] => Err(Refusal::bad("a CR without its LF")),
        _ => Ok(start),
    }
}

/// `line`: where the request line ends, 0 if that is not known.
fn within(head: &[u8], line: usize, limits: Limits) -> Result<(), Refusal> {
    if head.len() <= limits.bytes {
        return Ok(());
    }
    match line {
        0 if memchr::memchr(b'\n', head).is_none() => Err(TOO_LONG_LINE),
        line if line > limits.bytes => Err(TOO_LONG_LINE),
        _ => Err(TOO_MANY_BYTES),
    }
}

/// The ends of the request line and of the head: an empty line. Looks at bytes from `seen` on.
fn end(head: &[u8], seen: usize) -> Result<Option<(usize, usize)>, Refusal> {
    // The line in which the last look ended is looked at again: its CR may have been the end.
    let mut from = memchr::memrchr(b'\n', &head[..seen.min(head.len())]).map_or(0, |lf| lf + 1);
    while let Some(len) = memchr::memchr(b'\n', &head[from..]) {
        let line = &head[from..from + len];
        if !line.ends_with(b"\r") {
            return Err(Refusal::bad("an LF without its CR"));
        }
        from += len + 1;
        if line.len() == 1 {
            let first = memchr::memchr(b'\n', head).unwrap_or(len);
            return Ok(Some((first - 1, from)));
        }
    }
    Ok(None)
}

/// `head` ends in an empty line, and every LF in it has its CR.
fn read(head: &[u8], line: usize, most_fields: usize) -> Result<Head, Refusal> {
    let mut parts = head[..line].splitn(3, |byte| *byte == b' ');
    let (Some(method), Some(target), Some(version)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err(Refusal::bad("the request line has not three parts"));
    };
    let version = read_version(version)?;
    if !is_token(method) {
        return Err(Refusal::bad("the method is no token"));
    }
    let method = Method::from_bytes(method).map_err(|_| Refusal::bad("the method is no token"))?;
    let mut request = Head {
        form: Target::Origin,
        version,
        method,
        text: Box::new(Text {
            target: span(head, target),
            path: Span::default(),
            query: None,
            authority: None,
            told_host: None,
            fields: Vec::with_capacity(16),
            present: 0,
            repeated: 0,
            bytes: Box::from(head),
        }),
    };
    read_target(&mut request, head, target)?;
    read_fields(&mut request, head, line + 2, most_fields)?;
    Ok(request)
}

fn read_version(version: &[u8]) -> Result<Version, Refusal> {
    match version {
        b"HTTP/1.1" => Ok(Version::HTTP_11),
        b"HTTP/1.0" => Ok(Version::HTTP_10),
        // RFC 9110 §6.2: a higher minor version is read as the highest one that is known.
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9'] => Ok(Version::HTTP_11),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(VERSION)
        }
        _ => Err(Refusal::bad("the version is malformed")),
    }
}

/// Visible ASCII without the fragment's `#`, and bytes from 0x80 on: clients exist that send UTF-8
/// as it is, and nginx lets them.
pub(crate) fn is_target(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f && byte != b'#'
}

fn read_target(request: &mut Head, head: &[u8], target: &[u8]) -> Result<(), Refusal> {
    if target.is_empty() || !target.iter().all(|byte| is_target(*byte)) {
        return Err(Refusal::bad("the target holds what no target may"));
    }
    let after_authority = if request.method == Method::CONNECT {
        request.form = Target::Authority;
        request.text.authority = Some(span(head, target));
        return Ok(());
    } else if target[0] == b'/' {
        target
    } else if target == b"*" && request.method == Method::OPTIONS {
        request.form = Target::Asterisk;
        target
    } else {
        let (authority, rest) =
            absolute(target).ok_or(Refusal::bad("the target is neither a path nor a URL"))?;
        request.form = Target::Absolute;
        request.text.authority = Some(span(head, authority));
        rest
    };
    match memchr::memchr(b'?', after_authority) {
        Some(at) => {
            request.text.path = span(head, &after_authority[..at]);
            request.text.query = Some(span(head, &after_authority[at + 1..]));
        }
        None => request.text.path = span(head, after_authority),
    }
    Ok(())
}

/// `http://authority` and what follows it. User names have no place there (RFC 9110 §4.2.4).
fn absolute(target: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memmem::find(target, b"://")?;
    let scheme = &target[..colon];
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return None;
    }
    let rest = &target[colon + 3..];
    let end = memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    (!authority.is_empty() && !authority.contains(&b'@')).then_some((authority, rest))
}

fn read_fields(
    request: &mut Head,
    head: &[u8],
    mut from: usize,
    most: usize,
) -> Result<(), Refusal> {
    while let Some(len) = memchr::memchr(b'\n', &head[from..]) {
        let line = &head[from..from + len - 1];
        if line.is_empty() {
            break;
        }
        let (name, value) = field(line)?;
        if request.text.fields.len() == most {
            return Err(TOO_MANY_FIELDS);
        }
        let known = Name::of(name);
        request.text.repeated |= request.text.present & known.bit();
        request.text.present |= known.bit();
        request.text.fields.push(Field {
            name: known,
            spelled: span(head, name),
            value: span(head, value),
        });
        from += len + 1;
    }
    Ok(())
}

/// `name: value` (RFC 9112 §5), without its end.
pub(crate) fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    if matches!(line[0], b' ' | b'\t') {
        return Err(Refusal::bad("a field is folded over two lines"));
    }
    let Some(colon) = memchr::memchr(b':', line) else {
        return Err(Refusal::bad("a field has no colon"));
    };
    let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
    if !is_token(name) {
        return Err(Refusal::bad("a field's name is no token"));
    }
    if !is_control_free(value) {
        return Err(Refusal::bad("a field's value holds a control character"));
    }
    Ok((name, value))
}

/// Where `part`, a piece of `head`, lies in it.
fn span(head: &[u8], part: &[u8]) -> Span {
    let start = part.as_ptr().addr() - head.as_ptr().addr();
    // Heads are bounded far below 4 GB: see `Limits`.
    Span {
        start: start as u32,
        end: (start + part.len()) as u32,
    }
}

#[cfg(test)]
mod tests;
