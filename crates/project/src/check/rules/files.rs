//! How files are served: `cache`, `types`, `charset`.

use std::cmp::Reverse;

use figment::value::{Dict, Value};

use crate::fault::RuleProblem;
use crate::key_path::quoted;
use crate::model::{Charset, FileRules};
use crate::reader::{Entry, Table};
use crate::units::parse_duration;

use super::super::Check;
use super::is_token;

/// Directives of responses: RFC 9111 §5.2.2, RFC 5861, RFC 8246.
const DIRECTIVES: [&str; 13] = [
    "immutable",
    "max-age",
    "must-revalidate",
    "must-understand",
    "no-cache",
    "no-store",
    "no-transform",
    "private",
    "proxy-revalidate",
    "public",
    "s-maxage",
    "stale-if-error",
    "stale-while-revalidate",
];

impl Check<'_, '_> {
    /// The table's own before those of the site.
    pub(super) fn file_rules(&mut self, table: &Table<'_>, site: FileRules) -> Option<FileRules> {
        let cache = self.each(table, "cache", |this, name, text, entry| {
            if name.is_empty() || (name.contains('/') && !name.starts_with('/')) {
                let found = name.to_owned();
                return this.rule_fault(entry, RuleProblem::Pattern { found });
            }
            match cache_control(text) {
                Some(words) => Some((name.to_owned(), words)),
                None => {
                    let found = text.to_owned();
                    this.rule_fault(entry, RuleProblem::CacheControl { found })
                }
            }
        });
        let types = self.each(table, "types", |this, name, text, entry| {
            let extension = name.strip_prefix('.').unwrap_or(name);
            if !is_token(extension) || extension.contains('.') {
                let found = name.to_owned();
                return this.rule_fault(entry, RuleProblem::Extension { found });
            }
            match is_media_type(text) {
                true => Some((extension.to_ascii_lowercase(), text.to_owned())),
                false => {
                    let found = text.to_owned();
                    this.rule_fault(entry, RuleProblem::MediaType { found })
                }
            }
        });
        let charset = self.charset(table, site.charset);
        let mut cache = cache?;
        cache.sort_by_key(|(pattern, _)| Reverse(pattern.len()));
        cache.extend(site.cache);
        let mut types = types?;
        types.extend(site.types);
        Some(FileRules {
            types,
            charset: charset?,
            cache,
            compress: site.compress,
        })
    }

    /// Each entry of a table of strings; none if one of them is wrong.
    fn each(
        &mut self,
        table: &Table<'_>,
        key: &str,
        mut read: impl FnMut(&mut Self, &str, &str, &Entry<'_>) -> Option<(String, String)>,
    ) -> Option<Vec<(String, String)>> {
        let Some(entry) = table.entry(key) else {
            return Some(Vec::new());
        };
        let dict: &Dict = self.reader.table(table, key)?;
        let mut pairs = Vec::new();
        for (name, value) in dict {
            let element = Entry {
                path: entry.path.join(name.as_str()),
                value,
            };
            let Value::String(_, text) = value else {
                let expected = "a string".to_owned();
                self.reader
                    .expected(&element, element.path.clone(), expected);
                continue;
            };
            if let Some(pair) = read(self, name, text, &element) {
                pairs.push(self.reader.accept(&element, quoted(text), pair));
            }
        }
        (pairs.len() == dict.len()).then_some(pairs)
    }

    fn charset(&mut self, table: &Table<'_>, site: Charset) -> Option<Charset> {
        let Some(entry) = table.entry("charset") else {
            return Some(site);
        };
        if let Value::Bool(_, false) = entry.value {
            return Some(
                self.reader
                    .accept(&entry, "false".to_owned(), Charset::Unsaid),
            );
        }
        let (found, entry) = self.reader.text(table, "charset")?;
        match is_token(&found) {
            true if found.eq_ignore_ascii_case("utf-8") => {
                Some(self.reader.accept(&entry, quoted(&found), Charset::Utf8))
            }
            true => {
                let printed = quoted(&found);
                Some(self.reader.accept(&entry, printed, Charset::Named(found)))
            }
            false => self.rule_fault(&entry, RuleProblem::Charset { found }),
        }
    }
}

/// The field for `30d`, `immutable` or its own words.
fn cache_control(text: &str) -> Option<String> {
    if text == "immutable" {
        return Some("public, max-age=31536000, immutable".to_owned());
    }
    if let Some(seconds) = seconds(text) {
        return Some(format!("public, max-age={seconds}"));
    }
    directives(text)
}

/// The words of `Cache-Control`; none if there is another among them.
pub fn directives(text: &str) -> Option<String> {
    let is_directive = |word: &str| {
        let (name, value) = word
            .split_once('=')
            .map_or((word, None), |(n, v)| (n, Some(v)));
        let digits = |value: &str| {
            !value.is_empty() && value.len() <= 10 && value.bytes().all(|b| b.is_ascii_digit())
        };
        DIRECTIVES.contains(&name) && value.is_none_or(digits)
    };
    let words: Vec<&str> = text.split(',').map(str::trim).collect();
    words
        .iter()
        .all(|word| is_directive(word))
        .then(|| words.join(", "))
}

/// Days, weeks and years besides what other durations are made of.
fn seconds(text: &str) -> Option<u64> {
    let long = |unit: char, seconds: u64| {
        let number = text.strip_suffix(unit)?;
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let count: u64 = digits.then(|| number.parse().ok())??;
        count.checked_mul(seconds)
    };
    let seconds = long('d', 86_400)
        .or_else(|| long('w', 604_800))
        .or_else(|| long('y', 31_536_000))
        .or_else(|| Some(parse_duration(text)?.as_secs()))?;
    // Ten years: what is longer was mistyped.
    (seconds <= 315_360_000).then_some(seconds)
}

/// `type/subtype`, and parameters.
pub(super) fn is_media_type(text: &str) -> bool {
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let control_free = !parameters.bytes().any(|byte| byte.is_ascii_control());
    let parts = essence.trim_end().split_once('/');
    control_free && parts.is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_policies_are_times_or_words() {
        for (text, expected) in [
            ("1y", Some("public, max-age=31536000")),
            ("30d", Some("public, max-age=2592000")),
            ("2w", Some("public, max-age=1209600")),
            ("1h30m", Some("public, max-age=5400")),
            ("0s", Some("public, max-age=0")),
            ("immutable", Some("public, max-age=31536000, immutable")),
            ("no-cache", Some("no-cache")),
            (
                "public,max-age=60, stale-while-revalidate=30",
                Some("public, max-age=60, stale-while-revalidate=30"),
            ),
            ("", None),
            ("3600", None),
            ("1 year", None),
            ("forever", None),
            ("999y", None),
            ("max-age=1d", None),
            ("no-cache,", None),
            ("no-cache\r\nX: y", None),
        ] {
            assert_eq!(cache_control(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn media_types_have_two_parts() {
        for (text, expected) in [
            ("text/html", true),
            ("text/html; charset=utf-8", true),
            ("application/manifest+json", true),
            ("html", false),
            ("text/", false),
            ("a/b/c", false),
            ("text/html\r\nX: y", false),
            ("text/html; a\nb", false),
        ] {
            assert_eq!(is_media_type(text), expected, "{text}");
        }
    }
}
