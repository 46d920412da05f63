//! `Range` (RFC 9110 §14): one range of bytes. Several at once get the whole file, which the
//! standard allows and which spares us the multipart body that no browser asks for.

use std::ops::Range;

/// What to make of a `Range` field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RangeRequest {
    /// Another unit, several ranges or no valid syntax: as if the field were not there.
    Whole,
    /// These bytes, at least one: 206.
    Part(Range<u64>),
    /// Beyond the end: 416.
    Unsatisfiable,
}

/// Reads the field for a file of `len` bytes.
pub(crate) fn parse(field: &[u8], len: u64) -> RangeRequest {
    let Some(range) = std::str::from_utf8(field).ok().and_then(only_range) else {
        return RangeRequest::Whole;
    };
    let range = match range {
        Spec::Last(count) => len.saturating_sub(count)..len,
        Spec::From(first) => first..len,
        Spec::Between(first, last) => first..len.min(last.saturating_add(1)),
    };
    if range.is_empty() {
        RangeRequest::Unsatisfiable
    } else {
        RangeRequest::Part(range)
    }
}

enum Spec {
    Last(u64),
    From(u64),
    Between(u64, u64),
}

fn only_range(field: &str) -> Option<Spec> {
    let (unit, set) = field.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
        return None;
    }
    match set.trim().split_once('-')? {
        ("", count) => Some(Spec::Last(number(count)?)),
        (first, "") => Some(Spec::From(number(first)?)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Spec::Between(first, last))
        }
    }
}

/// Digits alone (no sign, no space). More than 64 bits are "beyond the end", not a syntax error.
fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::RangeRequest::{Part, Unsatisfiable, Whole};
    use super::*;

    #[test]
    fn ranges_of_a_hundred_bytes() {
        for (field, expected) in [
            ("bytes=0-0", Part(0..1)),
            ("bytes=0-99", Part(0..100)),
            ("bytes=10-19", Part(10..20)),
            ("bytes=90-200", Part(90..100)),
            ("bytes=0-99999999999999999999999", Part(0..100)),
            ("bytes=50-", Part(50..100)),
            ("bytes=99-", Part(99..100)),
            ("bytes=-1", Part(99..100)),
            ("bytes=-100", Part(0..100)),
            ("bytes=-5000", Part(0..100)),
            ("BYTES=1-2", Part(1..3)),
            ("bytes= 1-2 ", Part(1..3)),
            ("bytes=100-", Unsatisfiable),
            ("bytes=100-200", Unsatisfiable),
            ("bytes=99999999999999999999999-", Unsatisfiable),
            (
                "bytes=18446744073709551615-18446744073709551615",
                Unsatisfiable,
            ),
            ("bytes=-0", Unsatisfiable),
            ("bytes=0-1,5-6", Whole),
            ("bytes=5-4", Whole),
            ("bytes=-", Whole),
            ("bytes=", Whole),
            ("bytes=a-b", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=1 - 2", Whole),
            ("bytes=--1", Whole),
            ("bytes 0-1", Whole),
            ("lines=0-1", Whole),
            ("\u{0}", Whole),
            ("", Whole),
        ] {
            assert_eq!(parse(field.as_bytes(), 100), expected, "{field}");
        }
    }

    #[test]
    fn an_empty_file_has_no_part() {
        for field in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
            assert_eq!(parse(field.as_bytes(), 0), Unsatisfiable, "{field}");
        }
    }
}
