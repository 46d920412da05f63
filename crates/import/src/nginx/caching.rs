//! How long files are kept: `expires`, and `Cache-Control` by `add_header`. nginx sends a field for
//! each; here they become one.

use std::time::Duration;

use appliance_project::{cache_directives, print_duration};
use toml_edit::{InlineTable, Value};

use crate::draft::Site;
use crate::report::Verdict;

use super::level::{Level, Reader};
use super::scope::Scope;
use super::tree::Directive;

/// A year is what "for ever" is written as; a month is not.
const FOR_EVER: Duration = Duration::from_secs(300 * 86_400);

/// How long files are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// `immutable = "all"`
    ForEver,
    /// `immutable = "never"`
    Never,
    /// `cache = { "/" = "30d" }`
    For(Duration),
    /// `cache = { "/" = "public, max-age=60" }`
    Words(Vec<String>),
}

impl Keeping {
    /// The key of a route, and its value.
    pub(super) fn line(&self) -> (&'static str, Value) {
        let text = match self {
            Keeping::ForEver => return ("immutable", "all".into()),
            Keeping::Never => return ("immutable", "never".into()),
            Keeping::For(time) => print_duration(*time),
            Keeping::Words(words) => words.join(", "),
        };
        let mut cache = InlineTable::new();
        cache.insert("/", text.into());
        ("cache", cache.into())
    }

    fn shown(&self) -> String {
        let (key, value) = self.line();
        format!("`{key} = {}` of its files", crate::draft::plain(&value))
    }

    /// The words of the field that stands for it, before those of a further one.
    fn words(self) -> Vec<String> {
        match self {
            Keeping::ForEver => Vec::new(),
            Keeping::Never => vec!["no-cache".to_owned()],
            Keeping::For(time) => vec!["public".to_owned(), format!("max-age={}", time.as_secs())],
            Keeping::Words(words) => words,
        }
    }
}

impl Reader<'_, '_> {
    /// What stands directly in a block. `Cache-Control` is looked at here where files answer alone.
    pub(super) fn caching(&mut self, level: Level, block: &[Directive], scope: &mut Scope) {
        let expires = block.iter().rfind(|directive| directive.name == "expires");
        if level == Level::Location && passes(block) {
            if let Some(expires) = expires {
                let text = "the application says how long its responses may be kept";
                self.row(expires.place, Verdict::Missing, text);
            }
            return;
        }
        // Words of a level around this one are forgotten where it has its own.
        let mut keeping = match &scope.keeping {
            Some((Keeping::Words(_), _)) | None => None,
            Some((inherited, _)) => Some(inherited.clone()),
        };
        let mut place = None;
        if let Some(directive) = expires {
            keeping = time(directive);
            place = Some(directive.place);
            let (verdict, text) = match &keeping {
                Some(keeping) => (Verdict::Carried, keeping.shown()),
                None => (Verdict::Default, HASHED.to_owned()),
            };
            self.row(directive.place, verdict, text);
        }
        let fields = block.iter().filter(|field| is_cache_control(field));
        for field in fields.filter(|_| level == Level::Location) {
            match joined(keeping.clone(), field) {
                Some(now) => {
                    self.row(field.place, Verdict::Carried, now.shown());
                    keeping = Some(now);
                    place = Some(field.place);
                }
                None => {
                    let text = "its words are none that `cache` takes: write it by hand";
                    self.row(field.place, Verdict::Missing, text);
                }
            }
        }
        if let Some(place) = place {
            scope.keeping = keeping.map(|keeping| (keeping, place));
        }
    }

    /// Files of some extensions, `location ~* \.(js|css)$`, become a pattern of the site each; false
    /// if the location says more than how long they are kept.
    pub(super) fn extensions(&mut self, location: &Directive, key: &str, site: &mut Site) -> bool {
        let Some(extensions) = extensions_of(key) else {
            return false;
        };
        let only = |inner: &Directive| {
            let name = inner.name.as_str();
            matches!(name, "expires" | "access_log" | "log_not_found") || is_cache_control(inner)
        };
        let expires = location.inner().iter().find(|one| one.name == "expires");
        let keeping = expires.and_then(time);
        let all_said = location.inner().iter().all(only);
        let (Some(Keeping::For(_)), true) = (&keeping, all_said) else {
            return false;
        };
        let mut keeping = keeping;
        for field in location.inner().iter().filter(|one| is_cache_control(one)) {
            keeping = joined(keeping.clone(), field).or(keeping);
        }
        let Some(text) = keeping.and_then(|keeping| match keeping {
            Keeping::For(time) => Some(print_duration(time)),
            Keeping::Words(words) => Some(words.join(", ")),
            Keeping::ForEver | Keeping::Never => None,
        }) else {
            return false;
        };
        let patterns: Vec<_> = extensions.iter().map(|one| format!("*.{one}")).collect();
        for pattern in &patterns {
            site.table
                .entry("cache", pattern, text.as_str(), location.place);
        }
        let shown = format!(
            "`cache` of the site: \"{text}\" for `{}`",
            patterns.join("`, `")
        );
        self.leave(location, Verdict::Carried, &shown);
        true
    }
}

/// What holds unless `cache` says otherwise.
pub(super) const HASHED: &str =
    "files with a hash in their name are kept for a year, others asked about by their validators";

/// Whether a block hands its requests over.
pub(super) fn passes(block: &[Directive]) -> bool {
    block
        .iter()
        .any(|directive| directive.name.ends_with("_pass") || directive.name == "return")
}

pub(super) fn is_cache_control(directive: &Directive) -> bool {
    directive.name == "add_header" && directive.arg().eq_ignore_ascii_case("cache-control")
}

/// `max` and about a year mean that names change with their content.
fn time(expires: &Directive) -> Option<Keeping> {
    let word = expires.arg();
    if expires.args.len() != 1 {
        return None;
    }
    match word {
        "max" => return Some(Keeping::ForEver),
        "off" | "epoch" | "0" => return Some(Keeping::Never),
        _ if word.starts_with('-') => return Some(Keeping::Never),
        _ => {}
    }
    let time = Duration::from_millis(crate::convert::duration(&[word])?);
    Some(match time {
        time if time >= FOR_EVER => Keeping::ForEver,
        // Of less than a second nothing is left.
        time if time.as_secs() == 0 => Keeping::Never,
        time => Keeping::For(Duration::from_secs(time.as_secs())),
    })
}

/// What `expires` says, and a field beside it.
fn joined(before: Option<Keeping>, field: &Directive) -> Option<Keeping> {
    let value = field.args.get(1)?.to_ascii_lowercase();
    let value = cache_directives(&value)?;
    let words: Vec<&str> = value.split(',').map(str::trim).collect();
    let is_kept = |word: &&str| !matches!(*word, "no-store" | "no-cache");
    let lasts = words.iter().any(|word| {
        let seconds = word
            .strip_prefix("max-age=")
            .and_then(|age| age.parse().ok());
        *word == "immutable"
            || seconds.is_some_and(|seconds| Duration::from_secs(seconds) >= FOR_EVER)
    });
    let for_ever = before == Some(Keeping::ForEver);
    if (lasts || for_ever) && words.iter().all(is_kept) && !words.contains(&"private") {
        return Some(Keeping::ForEver);
    }
    let mut all = before.map(Keeping::words).unwrap_or_default();
    let whose = all.iter().position(|word| word == "public");
    if let (Some(at), true) = (whose, words.contains(&"private")) {
        all.remove(at);
    }
    for word in words {
        if !all.iter().any(|known| known == word) {
            all.push(word.to_owned());
        }
    }
    Some(Keeping::Words(all))
}

/// `js`, `css` of `~* \.(?:js|css)$`; `jpe?g` is two of them.
fn extensions_of(key: &str) -> Option<Vec<String>> {
    let regex = key.strip_prefix("~* ").or_else(|| key.strip_prefix("~ "))?;
    let regex = regex.strip_prefix('^').unwrap_or(regex);
    let regex = regex
        .strip_prefix(".+")
        .or_else(|| regex.strip_prefix(".*"));
    let regex = regex.unwrap_or_else(|| key.split_once(' ').map_or("", |(_, regex)| regex));
    let inside = regex.strip_prefix("\\.")?.strip_suffix('$')?;
    let inside = match inside.strip_prefix('(') {
        Some(inside) => inside.strip_suffix(')')?,
        None => inside,
    };
    let inside = inside.strip_prefix("?:").unwrap_or(inside);
    let mut all = Vec::new();
    for word in inside.split('|') {
        match word.split_once('?') {
            Some((before, after)) if !before.is_empty() => {
                let without = &before[..before.len() - 1];
                all.extend([format!("{without}{after}"), format!("{before}{after}")]);
            }
            _ => all.push(word.to_owned()),
        }
    }
    let plain =
        |word: &String| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    all.iter().all(plain).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_of_extensions_are_patterns() {
        for (key, expected) in [
            ("~* \\.(js|css)$", Some("js css")),
            (
                "~* \\.(?:jpe?g|woff2?|ico)$",
                Some("jpg jpeg woff woff2 ico"),
            ),
            ("~ \\.png$", Some("png")),
            ("~* ^.+\\.(gif)$", Some("gif")),
            ("~* \\.(js|css)", None),
            ("~* \\.(j.|css)$", None),
            ("~* ^/static/.*\\.js$", None),
            ("~* \\.$", None),
            ("/static/", None),
        ] {
            let found = extensions_of(key).map(|all| all.join(" "));
            assert_eq!(found.as_deref(), expected, "{key}");
        }
    }
}
