//! Paths of routes and fallbacks, as the front compares them: decoded, without empty or dot
//! segments. A route with any of these could never match.

use crate::fault::PathProblem;
use crate::model::Pattern;

/// The key of a route: `/prefix`, `/prefix/` or `= /exact`.
pub(super) fn pattern(key: &str) -> Result<Pattern, PathProblem> {
    match key.strip_prefix('=') {
        Some(exact) => {
            let path = exact.trim_start_matches(' ');
            check(path)?;
            Ok(Pattern::Exact(path.to_owned()))
        }
        None if key.starts_with(['~', '^', '@']) => Err(PathProblem::Modifier),
        None => {
            check(key)?;
            Ok(Pattern::Prefix(key.to_owned()))
        }
    }
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
pub(super) fn identity(pattern: &Pattern) -> (bool, &str) {
    match pattern {
        Pattern::Exact(path) => (true, path),
        Pattern::Prefix(path) => (false, path.strip_suffix('/').unwrap_or(path)),
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
            ("~ \\.php$", PathProblem::Modifier),
            ("^~ /static/", PathProblem::Modifier),
            ("@app", PathProblem::Modifier),
        ] {
            assert_eq!(pattern(key), Err(problem), "{key}");
        }
    }
}
