//! Which precompressed neighbour a client takes (RFC 9110 §12.5.3).

use appliance_message::{Head, Name};

/// The codings whose neighbours are looked for, best first.
pub(crate) const CODINGS: [Coding; 3] = [
    Coding {
        name: "br",
        suffix: ".br",
    },
    Coding {
        name: "zstd",
        suffix: ".zst",
    },
    Coding {
        name: "gzip",
        suffix: ".gz",
    },
];

/// A content coding and the file name suffix it goes by.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Coding {
    /// As in `Content-Encoding`.
    pub(crate) name: &'static str,
    /// Of the file beside the original.
    pub(crate) suffix: &'static str,
}

/// Picks one of `offered`: the one the client likes best, on a tie the first. `None` is the
/// original, which is also the answer for a client that refuses everything (a 406 helps nobody).
pub(crate) fn negotiate(
    request: &Head,
    offered: impl Iterator<Item = &'static Coding>,
) -> Option<&'static Coding> {
    let mut best = None;
    let mut best_weight = 0;
    for coding in offered {
        let weight = weight(request, coding.name).unwrap_or(0);
        if weight > best_weight {
            (best, best_weight) = (Some(coding), weight);
        }
    }
    // The original wins only if the client says so: everybody accepts it, few list it.
    match explicit_weight(request, "identity") {
        Some(identity) if identity > best_weight => None,
        _ => best,
    }
}

fn weight(request: &Head, name: &str) -> Option<u16> {
    // RFC 9110 §8.4.1.3: x-gzip is gzip.
    let alias = if name == "gzip" { "x-gzip" } else { name };
    explicit_weight(request, name)
        .or_else(|| explicit_weight(request, alias))
        .or_else(|| explicit_weight(request, "*"))
}

/// The coding's own entry, in thousandths.
fn explicit_weight(request: &Head, name: &str) -> Option<u16> {
    request
        .all(Name::AcceptEncoding)
        .filter_map(|value| std::str::from_utf8(value).ok())
        .flat_map(|value| value.split(','))
        .find_map(|entry| {
            let (coding, parameters) = entry.split_once(';').unwrap_or((entry, ""));
            coding
                .trim()
                .eq_ignore_ascii_case(name)
                .then(|| quality(parameters))
        })
}

/// `q=0.5` → 500. Without one 1000; one that cannot be read counts as a refusal.
fn quality(parameters: &str) -> u16 {
    let Some(value) = parameters
        .split(';')
        .filter_map(|parameter| parameter.split_once('='))
        .find_map(|(key, value)| key.trim().eq_ignore_ascii_case("q").then(|| value.trim()))
    else {
        return 1000;
    };
    match value.parse::<f32>() {
        Ok(quality) if (0.0..=1.0).contains(&quality) => (quality * 1000.0) as u16,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_request::request;

    fn pick(accept: &'static str, suffixes: &str) -> &'static str {
        let request = request("/", &[("accept-encoding", accept)]);
        let offered = CODINGS
            .iter()
            .filter(|coding| suffixes.contains(coding.suffix));
        negotiate(&request, offered).map_or("identity", |coding| coding.name)
    }

    #[test]
    fn the_best_coding_both_sides_have_is_picked() {
        for (accept, offered, picked) in [
            ("gzip, deflate, br, zstd", ".br .zst .gz", "br"),
            ("gzip, deflate, br, zstd", ".zst .gz", "zstd"),
            ("gzip, deflate", ".br .gz", "gzip"),
            ("gzip, deflate", ".br", "identity"),
            ("gzip;q=1.0, br;q=0.5", ".br .gz", "gzip"),
            ("gzip;q=0", ".gz", "identity"),
            ("gzip ; Q=0.000", ".gz", "identity"),
            ("br;q=0, *", ".br .gz", "gzip"),
            ("*", ".br .gz", "br"),
            ("*;q=0", ".br .gz", "identity"),
            ("identity", ".br .gz", "identity"),
            ("identity, gzip;q=0.5", ".gz", "identity"),
            ("identity;q=0.1, gzip;q=0.5", ".gz", "gzip"),
            ("identity;q=0", ".gz", "identity"),
            ("identity;q=0, *;q=0", ".gz", "identity"),
            ("identity;q=0, br;q=0.001", ".br .gz", "br"),
            ("identity;q=0, *", ".gz", "gzip"),
            ("*;q=0, gzip;q=0.2", ".br .gz", "gzip"),
            ("gzip, *;q=0", ".br", "identity"),
            ("*;q=0.5, identity;q=0.6", ".gz", "identity"),
            ("br;q=0.8, gzip;q=0.8, zstd;q=0.9", ".br .zst .gz", "zstd"),
            ("gzip;q=1.5", ".gz", "identity"),
            ("gzip;q=-1", ".gz", "identity"),
            ("gzip;level=9;q=0.5, br;q=0.4", ".br .gz", "gzip"),
            ("x-gzip", ".gz", "gzip"),
            ("GZIP", ".gz", "gzip"),
            ("gzip;q=nonsense", ".gz", "identity"),
            ("gzip;q=NaN", ".gz", "identity"),
            ("gzipped", ".gz", "identity"),
            ("", ".gz", "identity"),
        ] {
            assert_eq!(pick(accept, offered), picked, "{accept} of {offered}");
        }
    }

    #[test]
    fn without_the_field_the_original_is_sent() {
        assert_eq!(negotiate(&request("/", &[]), CODINGS.iter()), None);
    }
}
