//! Paths of routes and fallbacks, as the front compares them: decoded, without empty or dot
//! segments. A route with any of these could never match.

use crate::fault::PathProblem;
use crate::model::{PathPattern, Pattern};

/// The key of a route: `/prefix`, `/prefix/`, `= /exact`, `^~ /prefix`, `~ expression` or
/// `~* expression`.
pub(super) fn pattern(key: &str) -> Result<Pattern, PathProblem> {
    let path = |text: &str| {
        let path = text.trim_start_matches(' ');
        check(path).map(|()| path.to_owned())
    };
    if let Some(exact) = key.strip_prefix('=') {
        return path(exact).map(Pattern::Exact);
    }
    if let Some(prefix) = key.strip_prefix("^~") {
        return path(prefix).map(Pattern::FirmPrefix);
    }
    if let Some(rest) = key.strip_prefix('~') {
        let text = rest.strip_prefix('*');
        let expression = PathPattern {
            text: text.unwrap_or(rest).trim_start_matches(' ').to_owned(),
            any_case: text.is_some(),
        };
        return match expression.compile() {
            _ if expression.text.is_empty() => Err(PathProblem::NoExpression),
            Ok(_) => Ok(Pattern::Expression(expression)),
            Err(error) => Err(PathProblem::Expression(reason(&error))),
        };
    }
    match key.starts_with('@') {
        true => Err(PathProblem::Modifier),
        false => path(key).map(Pattern::Prefix),
    }
}

/// The last line of the message, which says what is wrong; the others draw it.
fn reason(error: &regex::Error) -> String {
    if let regex::Error::CompiledTooBig(_) = error {
        return "it is too large".to_owned();
    }
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}

/// Whether this is an absolute path in its one normal form.
pub(super) fn check(path: &str) -> Result<(), PathProblem> {
    let Some(below) = path.strip_prefix('/') else {
        return Err(PathProblem::NoSlash);
    };
    match () {
        () if path.contains(['?', '#']) => Err(PathProblem::Query),
        () if path.contains('%') => Err(PathProblem::Encoded),
        () if path.contains(|c: char| c.is_control() || c == '\\') => Err(PathProblem::Character),
        () if path.contains("//") => Err(PathProblem::DoubleSlash),
        () if below
            .split('/')
            .any(|segment| segment == "." || segment == "..") =>
        {
            Err(PathProblem::Dots)
        }
        () => Ok(()),
    }
}

/// What two routes must not share: a prefix with and without its final slash is the same one.
pub(super) fn identity(pattern: &Pattern) -> (&'static str, &str) {
    match pattern {
        Pattern::Exact(path) => ("=", path),
        Pattern::Prefix(path) | Pattern::FirmPrefix(path) => {
            ("", path.strip_suffix('/').unwrap_or(path))
        }
        Pattern::Expression(expression) if expression.any_case => ("~*", &expression.text),
        Pattern::Expression(expression) => ("~", &expression.text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_patterns() {
        assert_eq!(pattern("/api"), Ok(Pattern::Prefix("/api".into())));
        assert_eq!(pattern("/"), Ok(Pattern::Prefix("/".into())));
        assert_eq!(pattern("/é/..a/"), Ok(Pattern::Prefix("/é/..a/".into())));
        assert_eq!(pattern("= /x"), Ok(Pattern::Exact("/x".into())));
        assert_eq!(pattern("=/x"), Ok(Pattern::Exact("/x".into())));
        assert_eq!(pattern("^~ /x"), Ok(Pattern::FirmPrefix("/x".into())));
        let expression = |text: &str, any_case| {
            let text = text.to_owned();
            Ok(Pattern::Expression(PathPattern { text, any_case }))
        };
        assert_eq!(pattern("~ ^/a$"), expression("^/a$", false));
        assert_eq!(pattern("~*\\.png$"), expression("\\.png$", true));
    }

    #[test]
    fn what_could_never_match_is_refused() {
        for (key, problem) in [
            ("", PathProblem::NoSlash),
            ("api", PathProblem::NoSlash),
            ("= x", PathProblem::NoSlash),
            ("/a/../b", PathProblem::Dots),
            ("/.", PathProblem::Dots),
            ("//", PathProblem::DoubleSlash),
            ("/a//b", PathProblem::DoubleSlash),
            ("/a?b", PathProblem::Query),
            ("/a#b", PathProblem::Query),
            ("/a%20b", PathProblem::Encoded),
            ("/a\\b", PathProblem::Character),
            ("/a\0", PathProblem::Character),
            ("^~ static/", PathProblem::NoSlash),
            ("~ ", PathProblem::NoExpression),
            ("~* (a", PathProblem::Expression("unclosed group".into())),
            ("@app", PathProblem::Modifier),
        ] {
            assert_eq!(pattern(key), Err(problem), "{key}");
        }
    }
}
