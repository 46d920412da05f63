//! A few questions to Python's text: plain assignments, as settings are written. What is computed
//! stays unknown.

use std::path::{Path, PathBuf};

/// The right side of `NAME = …` at the start of a line; of several the last.
pub(crate) fn assigned<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let mut lines = text.lines().rev();
    lines.find_map(|line| {
        let rest = line.strip_prefix(name)?.trim_start();
        let value = rest
            .strip_prefix('=')
            .filter(|value| !value.starts_with('='))?;
        Some(value.split(" #").next().unwrap_or(value).trim())
    })
}

/// The text of a string literal.
pub(crate) fn literal(value: &str) -> Option<&str> {
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (inside, rest) = value[1..].split_once(quote)?;
    (rest.trim().is_empty() && !inside.contains('\\')).then_some(inside)
}

/// A folder of settings: `BASE_DIR / "static"`, `os.path.join(BASE_DIR, "static")`, a literal.
/// `base` stands for whatever name comes first.
pub(crate) fn folder(value: &str, base: &Path) -> Option<PathBuf> {
    if let Some(text) = literal(value) {
        return Some(base.join(text));
    }
    let inside = ["os.path.join(", "str(", "join("]
        .iter()
        .fold(value, |value, call| {
            value
                .strip_prefix(call)
                .and_then(|rest| rest.strip_suffix(')'))
                .unwrap_or(value)
        });
    let separator = if inside.contains('/') && inside.contains(" / ") {
        " / "
    } else {
        ","
    };
    let mut parts = inside.split(separator).map(str::trim);
    let is_name = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    parts.next().filter(|name| {
        is_name(name) && name.to_uppercase().contains("DIR")
            || is_name(name) && name.to_uppercase().contains("ROOT")
            || is_name(name) && name.to_uppercase().contains("BASE")
    })?;
    let names: Option<Vec<&str>> = parts.map(literal).collect();
    let names = names.filter(|names| !names.is_empty())?;
    Some(
        names
            .into_iter()
            .fold(base.to_owned(), |path, name| path.join(name)),
    )
}

/// The first string in each call of `name(`.
pub(crate) fn first_strings<'t>(text: &'t str, name: &str) -> Vec<&'t str> {
    let call = format!("{name}(");
    let calls = text.match_indices(&call).filter(|(at, _)| {
        // `re_path(` is not `path(`.
        let before = text[..*at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    });
    let strings = calls.filter_map(|(at, _)| {
        let rest = text[at + call.len()..].trim_start();
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let inside = rest[1..].split(quote).next()?;
        (!inside.contains('\n')).then_some(inside)
    });
    strings.collect()
}

/// The name to which `Class(` is assigned at the start of a line.
pub(crate) fn instance<'t>(text: &'t str, class: &str) -> Option<&'t str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        let name = name.split(':').next().unwrap_or(name).trim_end();
        let called = value.trim().rsplit('.').next().unwrap_or_default();
        let is_name =
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let is_call = called.starts_with(&format!("{class}("))
            || value.trim().starts_with(&format!("{class}("));
        (is_name && is_call).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_settings_are_read() {
        let text = "STATIC_URL = 'static/'  # c\nSTATIC_ROOT = BASE_DIR / \"a\" / 'b'\nDEBUG == 1\n x = 2\n";
        assert_eq!(
            assigned(text, "STATIC_URL").and_then(literal),
            Some("static/")
        );
        assert_eq!(assigned(text, "DEBUG"), None);
        assert_eq!(assigned(text, "x"), None);
        let base = Path::new("/srv");
        for (value, expected) in [
            ("BASE_DIR / \"a\" / 'b'", Some("/srv/a/b")),
            ("os.path.join(BASE_DIR, 'a')", Some("/srv/a")),
            ("str(BASE_DIR / 'a')", Some("/srv/a")),
            ("\"/var/static\"", Some("/var/static")),
            ("env('STATIC_ROOT')", None),
            ("BASE_DIR", None),
            ("", None),
        ] {
            assert_eq!(folder(value, base), expected.map(PathBuf::from), "{value}");
        }
    }

    #[test]
    fn calls_and_instances_are_found() {
        let text = "from flask import Flask\napp: Flask = Flask(__name__)\nurlpatterns = [path('admin/', x), re_path('^y', z), path(\n  \"api/\", i)]";
        assert_eq!(instance(text, "Flask"), Some("app"));
        assert_eq!(first_strings(text, "path"), ["admin/", "api/"]);
        assert_eq!(
            instance("app = flask.Flask(__name__)", "Flask"),
            Some("app")
        );
        assert_eq!(instance("    app = Flask(__name__)", "Flask"), None);
    }
}
