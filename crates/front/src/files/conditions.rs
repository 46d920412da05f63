//! Conditional requests, in the order of RFC 9110 §13.2.2.

use std::time::{Duration, SystemTime};

use appliance_message::{Head, Name};

/// What the conditions ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Answer as if there were none.
    Proceed,
    /// The client's copy is good: 304.
    NotModified,
    /// The client expected another state: 412.
    Failed,
}

/// The validators of the representation which would be sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Validators<'a> {
    /// An entity tag with its quotes, a weak one with its `W/`.
    pub(super) etag: &'a [u8],
    /// Whole seconds since 1970; none if it says nothing.
    pub(super) modified: Option<u64>,
}

/// Evaluates the preconditions of a GET or HEAD.
pub(super) fn evaluate(request: &Head, own: Validators<'_>) -> Verdict {
    if request.has(Name::IfMatch) {
        let is_strong = !own.etag.starts_with(b"W/");
        if !any_tag(request, Name::IfMatch, |tag| is_strong && tag == own.etag) {
            return Verdict::Failed;
        }
    } else if let (Some(since), Some(modified)) =
        (date(request, Name::IfUnmodifiedSince), own.modified)
        && modified > since
    {
        return Verdict::Failed;
    }
    let unchanged = if request.has(Name::IfNoneMatch) {
        // Weak comparison: a proxy that compressed the body has turned our tag into `W/"…"`.
        any_tag(request, Name::IfNoneMatch, |tag| {
            opaque(tag) == opaque(own.etag)
        })
    } else {
        matches!((date(request, Name::IfModifiedSince), own.modified),
            (Some(since), Some(modified)) if modified <= since)
    };
    if unchanged {
        Verdict::NotModified
    } else {
        Verdict::Proceed
    }
}

/// Whether a `Range` may be honoured: there is no `If-Range`, or it names exactly this
/// representation. A date is only taken if it is the very `Last-Modified` (RFC 9110 §13.1.5).
pub(super) fn range_applies(request: &Head, own: Validators<'_>) -> bool {
    let Some(condition) = request.get(Name::IfRange) else {
        return true;
    };
    let is_strong = !own.etag.starts_with(b"W/");
    is_strong && condition == own.etag
        || matches!((date(request, Name::IfRange), own.modified),
            (Some(since), Some(modified)) if modified == since)
}

/// What of a tag counts in a weak comparison.
fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

fn date(request: &Head, name: Name) -> Option<u64> {
    let date = httpdate::parse_http_date(std::str::from_utf8(request.get(name)?).ok()?).ok()?;
    date.duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .as_ref()
        .map(Duration::as_secs)
}

/// Whether one tag of the list fulfils `wanted`; `*` always does, since the file exists. Tags may
/// hold commas, so this goes from quote to quote.
fn any_tag(request: &Head, name: Name, wanted: impl Fn(&[u8]) -> bool) -> bool {
    request.all(name).any(|value| {
        let mut rest = value;
        if rest == b"*" {
            return true;
        }
        while let Some(open) = rest.iter().position(|byte| *byte == b'"') {
            let Some(len) = rest[open + 1..].iter().position(|byte| *byte == b'"') else {
                return false;
            };
            let end = open + 1 + len + 1;
            let start = if rest[..open].ends_with(b"W/") {
                open - 2
            } else {
                open
            };
            if wanted(&rest[start..end]) {
                return true;
            }
            rest = &rest[end..];
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::Verdict::{Failed, NotModified, Proceed};
    use super::*;
    use crate::test_request::request;

    const OLDER: &str = "Sat, 01 Jan 2000 00:00:00 GMT";
    const SAME: &str = "Sun, 09 Sep 2001 01:46:40 GMT";
    const NEWER: &str = "Tue, 01 Jan 2030 00:00:00 GMT";
    const OWN: Validators<'_> = Validators {
        etag: b"\"a,b\"",
        modified: Some(1_000_000_000),
    };

    #[test]
    fn a_weak_tag_is_good_for_a_304_alone() {
        let own = Validators {
            etag: b"W/\"a\"",
            modified: None,
        };
        for (name, tag, expected) in [
            ("if-none-match", "W/\"a\"", NotModified),
            ("if-none-match", "\"a\"", NotModified),
            ("if-none-match", "\"b\"", Proceed),
            ("if-match", "W/\"a\"", Failed),
            ("if-match", "\"a\"", Failed),
        ] {
            let request = request("/", &[(name, tag)]);
            assert_eq!(evaluate(&request, own), expected, "{name}: {tag}");
        }
        assert!(!range_applies(
            &request("/", &[("if-range", "W/\"a\"")]),
            own
        ));
    }

    #[test]
    fn preconditions_follow_the_standards_order() {
        for (fields, expected) in [
            (&[][..], Proceed),
            (&[("if-none-match", "\"a,b\"")], NotModified),
            (&[("if-none-match", "W/\"a,b\"")], NotModified),
            (
                &[("if-none-match", "\"x\", W/\"y\" , \"a,b\"")],
                NotModified,
            ),
            (
                &[("if-none-match", "\"x\""), ("if-none-match", "\"a,b\"")],
                NotModified,
            ),
            (&[("if-none-match", "*")], NotModified),
            (&[("if-none-match", "\"a\", \"b\"")], Proceed),
            (&[("if-none-match", "a,b")], Proceed),
            (&[("if-none-match", "\"a,b")], Proceed),
            (
                &[("if-none-match", "\"x\""), ("if-modified-since", NEWER)],
                Proceed,
            ),
            (
                &[("if-none-match", "\"a,b\""), ("if-modified-since", OLDER)],
                NotModified,
            ),
            (&[("if-modified-since", OLDER)], Proceed),
            (&[("if-modified-since", SAME)], NotModified),
            (&[("if-modified-since", NEWER)], NotModified),
            (&[("if-modified-since", "yesterday")], Proceed),
            (&[("if-match", "\"a,b\"")], Proceed),
            (&[("if-match", "*")], Proceed),
            (&[("if-match", "W/\"a,b\"")], Failed),
            (&[("if-match", "\"x\"")], Failed),
            (
                &[("if-match", "\"x\""), ("if-none-match", "\"a,b\"")],
                Failed,
            ),
            (
                &[("if-match", "\"a,b\""), ("if-unmodified-since", OLDER)],
                Proceed,
            ),
            (
                &[("if-match", "\"a,b\""), ("if-none-match", "\"a,b\"")],
                NotModified,
            ),
            (&[("if-unmodified-since", OLDER)], Failed),
            (&[("if-unmodified-since", SAME)], Proceed),
            (&[("if-unmodified-since", "nonsense")], Proceed),
        ] {
            assert_eq!(evaluate(&request("/", fields), OWN), expected, "{fields:?}");
        }
    }

    #[test]
    fn if_range_needs_the_very_same_representation() {
        for (field, applies) in [
            ("\"a,b\"", true),
            ("W/\"a,b\"", false),
            ("\"x\"", false),
            (SAME, true),
            (OLDER, false),
            (NEWER, false),
            ("", false),
        ] {
            assert_eq!(
                range_applies(&request("/", &[("if-range", field)]), OWN),
                applies,
                "{field}"
            );
        }
        assert!(range_applies(&request("/", &[]), OWN));
    }
}
