//! Routes that are regular expressions: paths are matched decoded, and what a group has matched
//! goes out again as it was spelled.
//!
//! An escaped slash stays an escape: it separates nothing, so `[^/]+` matches it.

use std::borrow::Cow;

use appliance_project::model::PathPattern;
use regex::bytes::Regex;

/// The expression of a route.
#[derive(Debug, Clone)]
pub(crate) struct Expression(Regex);

/// A path in normal form, as expressions see it.
pub(crate) struct Decoded<'p> {
    spelled: &'p str,
    bytes: Cow<'p, [u8]>,
    /// Where each byte begins in `spelled`, and where the last one ends; empty if nothing is
    /// escaped.
    starts: Vec<usize>,
}

impl<'p> Decoded<'p> {
    pub(crate) fn new(spelled: &'p str) -> Self {
        let mut decoded = Decoded {
            spelled,
            bytes: Cow::Borrowed(spelled.as_bytes()),
            starts: Vec::new(),
        };
        if spelled.contains('%') {
            decoded.decode();
        }
        decoded
    }

    fn decode(&mut self) {
        let raw = self.spelled.as_bytes();
        let (mut bytes, mut at) = (Vec::with_capacity(raw.len()), 0);
        while at < raw.len() {
            self.starts.push(at);
            let escape = self.spelled.get(at + 1..at + 3).filter(|_| raw[at] == b'%');
            let byte = escape.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            let (byte, len) = match byte {
                Some(byte) if byte != b'/' => (byte, 3),
                _ => (raw[at], 1),
            };
            bytes.push(byte);
            at += len;
        }
        self.starts.push(at);
        self.bytes = Cow::Owned(bytes);
    }

    /// A part of the decoded path as it was spelled.
    fn spelled(&self, start: usize, end: usize) -> &'p str {
        match self.starts.is_empty() {
            true => &self.spelled[start..end],
            false => &self.spelled[self.starts[start]..self.starts[end]],
        }
    }
}

impl Expression {
    /// None for what is no expression, of which a checked project has none.
    pub(crate) fn new(written: &PathPattern) -> Option<Self> {
        written.compile().ok().map(Expression)
    }

    pub(crate) fn matches(&self, path: &Decoded<'_>) -> bool {
        self.0.is_match(&path.bytes)
    }

    /// What each group has matched, the whole first; empty for one that took no part.
    pub(crate) fn groups<'p>(&self, path: &'p str) -> Vec<&'p str> {
        let decoded = Decoded::new(path);
        let Some(captures) = self.0.captures(&decoded.bytes) else {
            return Vec::new();
        };
        let group = |group: Option<regex::bytes::Match<'_>>| match group {
            Some(group) => decoded.spelled(group.start(), group.end()),
            None => "",
        };
        captures.iter().map(group).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expression(text: &str, any_case: bool) -> Expression {
        let text = text.to_owned();
        Expression::new(&PathPattern { text, any_case }).unwrap()
    }

    #[test]
    fn paths_are_matched_decoded_and_groups_come_out_as_spelled() {
        let expression = expression(r"^/([^ /]+)/([^/]+)(/x)?$", false);
        for (path, groups) in [
            ("/a/b", Some(["a", "b", ""])),
            ("/a/b/x", Some(["a", "b", "/x"])),
            ("/stra%C3%9Fe/a%20b", Some(["stra%C3%9Fe", "a%20b", ""])),
            ("/a/b%2Fc", Some(["a", "b%2Fc", ""])),
            ("/a/%252F", Some(["a", "%252F", ""])),
            ("/a/%FF", Some(["a", "%FF", ""])),
            ("/a%20b/c", None),
            ("/a/b/c", None),
        ] {
            assert_eq!(
                expression.matches(&Decoded::new(path)),
                groups.is_some(),
                "{path}"
            );
            let found = expression.groups(path);
            assert_eq!(
                found.get(1..).unwrap_or_default(),
                groups.as_slice().concat(),
                "{path}"
            );
        }
    }

    #[test]
    fn case_counts_unless_told_otherwise() {
        let path = Decoded::new("/A.PNG");
        assert!(!expression(r"\.png$", false).matches(&path));
        assert!(expression(r"\.png$", true).matches(&path));
    }

    #[test]
    fn no_path_takes_for_ever() {
        let expression = expression(r"^/(a|aa)+$", false);
        let path = format!("/{}!", "a".repeat(60_000));
        let began = std::time::Instant::now();
        assert!(!expression.matches(&Decoded::new(&path)));
        assert!(began.elapsed().as_secs() < 5);
    }
}
