//! A directive's words into the value of a key, by the key's type and range. This is what carries
//! a directive over as soon as the table of keys has its name.

use std::time::Duration;

use appliance_project::{Kind, print_duration, print_size};
use toml_edit::{Array, Value};

/// A value, and how strict it is: of two that hold for one request, the smaller one counts.
#[derive(Debug, Clone)]
pub(crate) struct Converted {
    /// As it is written.
    pub(crate) value: Value,
    /// For comparisons; none where there is nothing to compare.
    pub(crate) rank: Option<u64>,
}

/// What a number without unit counts where a size is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bare {
    /// Bytes.
    Bytes,
    /// Megabytes, as uWSGI's limits on memory do.
    Megabytes,
}

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// The words are none of the key's type.
    Form(String),
    /// The key takes no value like that; what it takes.
    Range(String),
    /// The key's type needs more than words.
    Complex,
}

/// The value of a key of this kind.
pub(crate) fn convert(kind: Kind, words: &[&str], bare: Bare) -> Result<Converted, Unfit> {
    let first = words.first().copied().unwrap_or_default();
    let form = || Unfit::Form(words.join(" "));
    let plain = |value: Value| Converted { value, rank: None };
    let ranked = |value: Value, rank: u64| Converted {
        value,
        rank: Some(rank),
    };
    match kind {
        Kind::Flag => Ok(plain(flag(first).ok_or_else(form)?.into())),
        Kind::Count(_, _, true) if first == "auto" => Ok(plain("auto".into())),
        Kind::Count(min, max, _) => {
            let count = first.parse().map_err(|_| form())?;
            within(count, min, max, kind)?;
            let written = i64::try_from(count).map_err(|_| form())?;
            Ok(ranked(written.into(), count))
        }
        Kind::Size(min, max) => {
            let bytes = size(first, bare).ok_or_else(form)?;
            within(bytes, min, max, kind)?;
            Ok(ranked(print_size(bytes).into(), bytes))
        }
        Kind::Duration(min, max) => {
            let millis = duration(words).ok_or_else(form)?;
            within(millis, min, max, kind)?;
            let text = print_duration(Duration::from_millis(millis));
            Ok(ranked(text.into(), millis))
        }
        Kind::Text | Kind::Path if words.len() == 1 => Ok(plain(first.into())),
        Kind::Choice(choices) => {
            let known = choices
                .iter()
                .find(|choice| choice.eq_ignore_ascii_case(first));
            let choice = known.ok_or_else(|| Unfit::Range(kind.expected()))?;
            Ok(plain((*choice).into()))
        }
        Kind::List | Kind::TextOrList => Ok(plain(list(words))),
        _ => Err(Unfit::Complex),
    }
}

/// A list of strings.
pub(crate) fn list(words: &[&str]) -> Value {
    Value::Array(words.iter().copied().collect::<Array>())
}

fn within(number: u64, min: u64, max: u64, kind: Kind) -> Result<(), Unfit> {
    match (min..=max).contains(&number) {
        true => Ok(()),
        false => Err(Unfit::Range(kind.expected())),
    }
}

/// uWSGI's and nginx's words for yes and no.
pub(crate) fn flag(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" | "enable" | "enabled" | "" => Some(true),
        "off" | "false" | "no" | "0" | "disable" | "disabled" => Some(false),
        _ => None,
    }
}

/// Bytes of `20m`.
pub(crate) fn size(word: &str, bare: Bare) -> Option<u64> {
    let bytes = appliance_project::parse_size(word)?;
    let has_unit = word.ends_with(|c: char| c.is_ascii_alphabetic());
    match (has_unit, bare) {
        (false, Bare::Megabytes) => bytes.checked_mul(1 << 20),
        _ => Some(bytes),
    }
}

/// Milliseconds of `65`, `1h 30m`, `100ms`: nginx's units, seconds where there is none.
pub(crate) fn duration(words: &[&str]) -> Option<u64> {
    const UNITS: [(&str, u64); 9] = [
        ("ms", 1),
        ("s", 1000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
        ("w", 604_800_000),
        ("M", 2_592_000_000),
        ("y", 31_536_000_000),
        ("", 1000),
    ];
    let text = words.concat();
    let (mut rest, mut total) = (text.as_str(), 0u64);
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let letters = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, after) = tail.split_at(letters);
        let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let number: u64 = number.parse().ok()?;
        total = total.checked_add(number.checked_mul(*millis)?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(kind: Kind, words: &[&str]) -> String {
        match convert(kind, words, Bare::Bytes) {
            Ok(converted) => converted.value.to_string(),
            Err(unfit) => format!("{unfit:?}"),
        }
    }

    #[test]
    fn words_become_values_of_the_keys_kind() {
        assert_eq!(written(Kind::Duration(0, 86_400_000), &["65"]), "\"1m5s\"");
        assert_eq!(
            written(Kind::Duration(0, 86_400_000), &["1h", "30m"]),
            "\"1h30m\""
        );
        assert_eq!(written(Kind::Duration(0, u64::MAX), &["1M"]), "\"30d\"");
        assert_eq!(written(Kind::Size(0, 1 << 40), &["20M"]), "\"20MB\"");
        assert_eq!(written(Kind::Size(0, 1 << 40), &["65535"]), "\"65535B\"");
        assert_eq!(written(Kind::Flag, &["on"]), "true");
        assert_eq!(written(Kind::Count(1, 9, false), &["5"]), "5");
        assert_eq!(written(Kind::TextOrList, &["a", "b"]), "[\"a\", \"b\"]");
    }

    #[test]
    fn what_does_not_fit_says_why() {
        assert_eq!(
            written(Kind::Count(1, 9, false), &["0"]),
            "Range(\"from 1 to 9\")"
        );
        assert_eq!(written(Kind::Duration(0, 9), &["1x"]), "Form(\"1x\")");
        assert_eq!(
            written(Kind::Size(0, 9), &["99999999999999g"]),
            "Form(\"99999999999999g\")"
        );
        assert_eq!(written(Kind::Table, &["x"]), "Complex");
    }

    #[test]
    fn megabytes_are_meant_only_where_no_unit_is_written() {
        assert_eq!(size("256", Bare::Megabytes), Some(256 << 20));
        assert_eq!(size("1k", Bare::Megabytes), Some(1024));
    }
}
