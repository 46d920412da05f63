//! Sizes and durations as people write them: `"20MB"`, `"1m30s"`.
//!
//! Sizes count in 1024s, as nginx's do, so that `client_max_body_size 20m` and
//! `body_limit = "20MB"` are the same number.

use std::time::Duration;

/// Suffixes of sizes, in lower case, and their bytes. The first of a size is how it is printed.
const SIZES: [(&str, u64); 13] = [
    ("b", 1),
    ("kb", 1 << 10),
    ("k", 1 << 10),
    ("kib", 1 << 10),
    ("mb", 1 << 20),
    ("m", 1 << 20),
    ("mib", 1 << 20),
    ("gb", 1 << 30),
    ("g", 1 << 30),
    ("gib", 1 << 30),
    ("tb", 1 << 40),
    ("t", 1 << 40),
    ("tib", 1 << 40),
];

/// Units of durations and their milliseconds, longest first: the order they are written in.
const DURATIONS: [(&str, u64); 6] = [
    ("y", 31_536_000_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Bytes of `"64KB"`, `"20 MB"`, `"1g"`, `"65535"`; none if it is not a size.
pub fn parse_size(text: &str) -> Option<u64> {
    let (number, suffix) = split_number(text)?;
    let suffix = suffix.trim_start().to_ascii_lowercase();
    let bytes = match suffix.as_str() {
        "" => 1,
        other => SIZES.iter().find(|(name, _)| *name == other)?.1,
    };
    number.checked_mul(bytes)
}

/// The duration of `"30s"`, `"500ms"`, `"1m30s"`; none if it is not one. A number alone is not:
/// seconds here and milliseconds there is how timeouts get a thousand times too long.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let (mut rest, mut total, mut finer) = (text, 0u64, 0);
    while !rest.is_empty() {
        let (number, tail) = split_number(rest)?;
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic());
        let (unit, after) = tail.split_at(letters.unwrap_or(tail.len()));
        let at = DURATIONS.iter().position(|(name, _)| *name == unit)?;
        if at < finer {
            return None;
        }
        finer = at + 1;
        total = total.checked_add(number.checked_mul(DURATIONS[at].1)?)?;
        rest = after;
    }
    (!text.is_empty()).then(|| Duration::from_millis(total))
}

/// Digits at the start, as a number, and what follows them.
fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

/// The shortest exact form: `64KB`, `20MB`, `65535B`, `0`.
pub fn print_size(bytes: u64) -> String {
    if bytes == 0 {
        return "0".to_owned();
    }
    let fits = |(_, unit): &&(&str, u64)| bytes.is_multiple_of(*unit);
    let widest = SIZES
        .iter()
        .filter(fits)
        .fold(&SIZES[0], |best, size| match size.1 > best.1 {
            true => size,
            false => best,
        });
    format!("{}{}", bytes / widest.1, widest.0.to_ascii_uppercase())
}

/// The shortest exact form: `30s`, `1m30s`, `0s`. Whole milliseconds, as [`parse_duration`] reads.
pub fn print_duration(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut out = String::new();
    for (unit, millis) in DURATIONS {
        if left >= millis {
            out.push_str(&format!("{}{unit}", left / millis));
            left %= millis;
        }
    }
    match out.is_empty() {
        true => "0s".to_owned(),
        false => out,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_count_in_1024s() {
        for (text, bytes) in [
            ("64KB", 65536),
            ("20MB", 20 << 20),
            ("1GB", 1 << 30),
            ("1tb", 1 << 40),
            ("8k", 8192),
            ("3 m", 3 << 20),
            ("2GiB", 2 << 30),
            ("65535", 65535),
            ("65535B", 65535),
            ("0", 0),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_size_is_refused() {
        for text in [
            "",
            "KB",
            "-1",
            "1.5MB",
            "20 megs",
            "1 K B",
            "99999999999TB",
            "٣MB",
            " 1",
        ] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn durations_add_up_from_coarse_to_fine() {
        for (text, millis) in [
            ("30s", 30_000),
            ("500ms", 500),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("1m30s", 90_000),
            ("1y", 31_536_000_000),
            ("1d12h", 129_600_000),
        ] {
            assert_eq!(
                parse_duration(text),
                Some(Duration::from_millis(millis)),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for text in [
            "",
            "30",
            "s",
            "30 s",
            "30s1m",
            "1s1s",
            "1.5s",
            "30S",
            "99999999999999h",
            "-1s",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_printed_reads_back() {
        for bytes in [0, 1, 1023, 1024, 65536, 65537, 20 << 20, 1 << 40] {
            assert_eq!(parse_size(&print_size(bytes)), Some(bytes));
        }
        for millis in [0, 1, 999, 1000, 61_001, 3_600_000, 5_400_000] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse_duration(&print_duration(duration)), Some(duration));
        }
        assert_eq!(
            (print_size(20 << 20), print_size(65535)),
            ("20MB".into(), "65535B".into())
        );
    }
}
