//! The path of a request as routes compare it: dot segments resolved, double slashes merged,
//! needless escapes undone (RFC 3986 §6.2.2), everything else as it was sent.
//!
//! Only matching sees this form. Without it `/static/%2e%2e/admin/` or `/%61dmin/` would reach
//! one route and mean another.

use std::borrow::Cow;

/// A path that leads above the root, or holds a NUL or half an escape.
#[derive(Debug, PartialEq)]
pub(crate) struct Malformed;

/// Normalises an absolute path. Paths without `%`, `//`, dot segments and bytes beyond ASCII are
/// returned as they are.
pub(crate) fn normalize(path: &[u8]) -> Result<Cow<'_, str>, Malformed> {
    if !path.starts_with(b"/") {
        return Err(Malformed);
    }
    let path = escape_raw(path);
    let is_odd = |pair: &[u8]| matches!(pair, b"//" | b"/.");
    let bytes = path.as_bytes();
    if !bytes.contains(&b'%') && !bytes.windows(2).any(is_odd) {
        return Ok(path);
    }
    let mut segments: Vec<String> = Vec::new();
    let mut ends_in_folder = true;
    for segment in path.split('/').skip(1) {
        let segment = unescape(segment)?;
        ends_in_folder = matches!(segment.as_str(), "" | "." | "..");
        match segment.as_str() {
            "" | "." => {}
            ".." => {
                segments.pop().ok_or(Malformed)?;
            }
            _ => segments.push(segment),
        }
    }
    let mut normal = String::with_capacity(path.len());
    for segment in &segments {
        normal.push('/');
        normal.push_str(segment);
    }
    if ends_in_folder {
        normal.push('/');
    }
    Ok(Cow::Owned(normal))
}

/// Escapes the bytes beyond ASCII, which some clients send as they are.
pub(crate) fn escape_raw(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => Cow::Borrowed(text),
        _ => Cow::Owned(escape(bytes, |byte| byte.is_ascii())),
    }
}

/// Spells all bytes but those that are `plain` as escapes.
pub(crate) fn escape(bytes: &[u8], plain: impl Fn(&u8) -> bool) -> String {
    let mut escaped = String::with_capacity(bytes.len());
    for byte in bytes {
        match plain(byte) {
            true => escaped.push(char::from(*byte)),
            false => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

/// A segment as [`normalize`] compares it; none if it means nothing.
pub(crate) fn unescape_segment(segment: &[u8]) -> Option<String> {
    unescape(&escape_raw(segment)).ok()
}

/// Undoes the escapes of unreserved characters, which mean the same either way (RFC 3986
/// §6.2.2.2), and spells the others in capitals.
fn unescape(segment: &str) -> Result<String, Malformed> {
    let mut plain = String::with_capacity(segment.len());
    let mut rest = segment;
    while let Some((before, escape)) = rest.split_once('%') {
        plain.push_str(before);
        let digits = escape.get(..2).ok_or(Malformed)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(Malformed);
        }
        match u8::from_str_radix(digits, 16).map_err(|_| Malformed)? {
            0 => return Err(Malformed),
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                plain.push(char::from(byte));
            }
            byte => plain.push_str(&format!("%{byte:02X}")),
        }
        rest = &escape[2..];
    }
    plain.push_str(rest);
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_compared_in_normal_form() {
        for (path, normal) in [
            ("/", "/"),
            ("/api/notes", "/api/notes"),
            ("//api///notes/", "/api/notes/"),
            ("/a/./b/../c", "/a/c"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/static/%2e%2E/admin/", "/admin/"),
            ("/%61dmin/", "/admin/"),
            ("/a%2fb", "/a%2Fb"),
            ("/a%20b%c3%a9", "/a%20b%C3%A9"),
            ("/.well-known/x", "/.well-known/x"),
            ("/a..b", "/a..b"),
            ("/\u{e9}/", "/%C3%A9/"),
        ] {
            assert_eq!(normalize(path.as_bytes()).as_deref(), Ok(normal), "{path}");
        }
    }

    #[test]
    fn paths_that_mean_nothing_are_malformed() {
        for path in [
            "",
            "*",
            "/..",
            "/a/../..",
            "/%2e%2e/x",
            "/a%00b",
            "/%",
            "/%4",
            "/%zz",
            "/%é1",
        ] {
            assert_eq!(normalize(path.as_bytes()), Err(Malformed), "{path}");
        }
    }

    #[test]
    fn the_normal_form_of_a_normal_form_is_itself() {
        let alphabet = [
            "/", ".", "..", "a", "%2e", "%2F", "%41", "//", "%C3%A9", "~",
        ];
        let mut seed: u64 = 7;
        for _ in 0..20_000 {
            let mut path = String::from("/");
            for _ in 0..6 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                path.push_str(alphabet[(seed >> 33) as usize % alphabet.len()]);
            }
            if let Ok(once) = normalize(path.as_bytes()) {
                assert!(!once.split('/').any(|segment| segment == ".."), "{path}");
                assert_eq!(normalize(once.as_bytes()).as_deref(), Ok(&*once), "{path}");
            }
        }
    }
}
