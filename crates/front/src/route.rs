//! Path → who answers: an exact route, or the longest prefix.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use appliance_project::model::{self, Pattern, Target};

use crate::files::{Cache, Folder};
use crate::request_path::escape;
use crate::rules::Rules;

/// The routes of a site.
#[derive(Debug)]
pub(crate) struct Routes {
    exact: HashMap<String, Route>,
    /// Longest first.
    prefixes: Vec<(String, Route)>,
}

/// A route.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) handler: Handler,
    /// What holds whoever answers; none, if nothing does.
    pub(crate) rules: Option<Arc<Rules>>,
}

/// Who answers.
#[derive(Debug)]
pub(crate) enum Handler {
    Files(Arc<Folder>),
    Wsgi(Bounds),
}

/// Of the application's requests on a route.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) body_limit_bytes: u64,
    /// None: the application's own.
    pub(crate) request_timeout: Option<Duration>,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Match<'a> {
    /// The route, and how much of the path the route's own prefix is.
    Route(&'a Route, usize),
    /// The path plus a slash is a route: a redirect to there.
    AddSlash,
    Nothing,
}

impl Routes {
    pub(crate) fn new(routes: &[model::Route], cache: &Arc<Cache>) -> Self {
        let mut exact = HashMap::new();
        let mut prefixes = Vec::new();
        for route in routes {
            let (path, is_exact) = match &route.pattern {
                Pattern::Exact(path) => (path, true),
                Pattern::Prefix(path) => (path, false),
            };
            let handler = match &route.target {
                Target::Files(files) => Handler::Files(Arc::new(Folder::new(
                    files,
                    path,
                    is_exact,
                    Arc::clone(cache),
                ))),
                Target::Wsgi => Handler::Wsgi(Bounds {
                    body_limit_bytes: route.body_limit_bytes,
                    request_timeout: route.request_timeout,
                }),
            };
            // Requests spell what is not ASCII in escapes.
            let path = escape(path.as_bytes(), u8::is_ascii_graphic);
            let rules = Rules::new(&route.rules);
            let route = Route { handler, rules };
            if is_exact {
                exact.insert(path, route);
            } else {
                prefixes.push((path, route));
            }
        }
        prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        Routes { exact, prefixes }
    }

    /// The route for a path in normal form.
    pub(crate) fn find(&self, path: &str) -> Match<'_> {
        if let Some(route) = self.exact.get(path) {
            return Match::Route(route, path.len());
        }
        for (prefix, route) in &self.prefixes {
            match path.strip_prefix(prefix.as_str()) {
                Some(rest) if prefix.ends_with('/') || rest.is_empty() || rest.starts_with('/') => {
                    return Match::Route(route, prefix.len());
                }
                // nginx does the same for a `location` with a final slash that is passed on.
                None if prefix.strip_suffix('/') == Some(path) => return Match::AddSlash,
                _ => {}
            }
        }
        Match::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(keys: &[&str]) -> Routes {
        let routes: Vec<_> = keys
            .iter()
            .map(|key| model::Route {
                pattern: match key.strip_prefix("= ") {
                    Some(path) => Pattern::Exact(path.into()),
                    None => Pattern::Prefix((*key).into()),
                },
                target: Target::Wsgi,
                body_limit_bytes: 0,
                request_timeout: None,
                rules: model::Rules::default(),
            })
            .collect();
        Routes::new(&routes, &Arc::new(Cache::new(0)))
    }

    fn found(routes: &Routes, path: &str) -> String {
        match routes.find(path) {
            Match::Route(_, len) => path[..len].to_owned(),
            Match::AddSlash => "add slash".into(),
            Match::Nothing => "nothing".into(),
        }
    }

    #[test]
    fn an_exact_route_wins_then_the_longest_prefix() {
        let routes = routes(&["/", "/api", "/api/v2", "/admin/", "= /api/health", "/Grüße"]);
        for (path, expected) in [
            ("/", "/"),
            ("/x", "/"),
            ("/api", "/api"),
            ("/api/", "/api"),
            ("/api/v1", "/api"),
            ("/api/v2/x", "/api/v2"),
            ("/api/v22", "/api"),
            ("/apix", "/"),
            ("/api/health", "/api/health"),
            ("/admin/x", "/admin/"),
            ("/admin/", "/admin/"),
            ("/admin", "add slash"),
            ("/administration", "/"),
            ("/Gr%C3%BC%C3%9Fe/x", "/Gr%C3%BC%C3%9Fe"),
        ] {
            assert_eq!(found(&routes, path), expected, "{path}");
        }
    }

    #[test]
    fn a_path_without_a_route_leads_nowhere() {
        let routes = routes(&["/api", "= /x"]);
        assert_eq!(found(&routes, "/"), "nothing");
        assert_eq!(found(&routes, "/x/"), "nothing");
    }
}
