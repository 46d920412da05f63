//! Path → who answers: an exact route, the first expression that matches, or the longest prefix.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use appliance_gateway::Callee;
use appliance_project::model::{self, Pattern, Target, TargetProtocol};
use appliance_proxy::Proxy;
use bytes::Bytes;
use http::StatusCode;

use crate::expression::{Decoded, Expression};
use crate::files::{Cache, Folder};
use crate::mount::MountPoint;
use crate::request_path::escape;
use crate::rules::Rules;
use crate::template::Place;

/// The routes of a site.
#[derive(Debug)]
pub(crate) struct Routes {
    exact: HashMap<String, Route>,
    /// Longest first.
    prefixes: Vec<Prefix>,
    /// In the order of the file.
    expressions: Vec<(Expression, Route)>,
    /// Whether there are any of these, for which a path must be looked up more than once.
    pub(crate) has_rewrites: bool,
    /// Whether there are any, to which the application may hand over.
    pub(crate) has_internal: bool,
}

#[derive(Debug)]
struct Prefix {
    path: String,
    /// In whose place no expression is tried.
    is_firm: bool,
    route: Route,
}

/// A route.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) handler: Handler,
    /// What holds whoever answers; none, if nothing does.
    pub(crate) rules: Option<Arc<Rules>>,
    /// Not there for requests from outside.
    pub(crate) is_internal: bool,
}

/// Who answers.
#[derive(Debug)]
pub(crate) enum Handler {
    Files(Arc<Folder>),
    /// Files, and the application where there is none.
    FilesThenWsgi(Arc<Folder>, Bounds),
    Wsgi(Bounds),
    Proxy(Arc<Others>),
    Redirect(StatusCode, Box<Place>),
    Rewrite(Box<Place>),
    Respond(StatusCode, Option<Bytes>),
}

/// Other servers.
#[derive(Debug)]
pub(crate) struct Others {
    pub(crate) proxy: Proxy,
    pub(crate) body_limit_bytes: u64,
    /// They may hand over to a file of the site.
    pub(crate) hand_off: bool,
    /// The URL of the front's development server, if they are that.
    pub(crate) dev_front: Option<Box<str>>,
}

/// Of the application's requests on a route.
#[derive(Debug)]
pub(crate) struct Bounds {
    pub(crate) body_limit_bytes: u64,
    /// None: the application's own.
    pub(crate) request_timeout: Option<Duration>,
    /// Which application; none: the project's.
    other: Option<usize>,
    /// Where it is mounted.
    mount: Option<MountPoint>,
}

/// A request's call of an application.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) body_limit_bytes: u64,
    /// None: the application's own.
    pub(crate) timeout: Option<Duration>,
    /// None: the project's, with the whole path.
    pub(crate) callee: Option<Box<Callee>>,
}

impl Bounds {
    fn new(written: &model::Route, path: &str) -> Self {
        let model::Callee { other, mount } = written.callee;
        Bounds {
            body_limit_bytes: written.body_limit_bytes,
            request_timeout: written.request_timeout,
            other,
            mount: mount.then(|| MountPoint::new(path)),
        }
    }

    /// `path` is the request's as it was sent.
    pub(crate) fn call(&self, path: &[u8], is_normal: bool) -> Call {
        Call {
            body_limit_bytes: self.body_limit_bytes,
            timeout: self.request_timeout,
            callee: self.callee(path, is_normal),
        }
    }

    fn callee(&self, path: &[u8], is_normal: bool) -> Option<Box<Callee>> {
        if self.other.is_none() && self.mount.is_none() {
            return None;
        }
        let mount = self.mount.as_ref();
        Some(Box::new(Callee {
            other: self.other,
            mount: mount.and_then(|mount| mount.cut(path, is_normal)),
        }))
    }
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
        let mut all = Routes {
            exact: HashMap::new(),
            prefixes: Vec::new(),
            expressions: Vec::new(),
            has_rewrites: false,
            has_internal: routes.iter().any(|route| route.internal),
        };
        for written in routes {
            let expression = match &written.pattern {
                Pattern::Expression(expression) => Expression::new(expression),
                _ => None,
            };
            let handler = handler(written, expression.as_ref(), cache);
            all.has_rewrites |= matches!(handler, Handler::Rewrite(_));
            let rules = Rules::new(&written.rules);
            let route = Route {
                handler,
                rules,
                is_internal: written.internal,
            };
            match (&written.pattern, expression) {
                (Pattern::Exact(path), _) => drop(all.exact.insert(as_sent(path), route)),
                (Pattern::Prefix(path), _) => all.prefixes.push(Prefix::new(path, false, route)),
                (Pattern::FirmPrefix(path), _) => all.prefixes.push(Prefix::new(path, true, route)),
                (Pattern::Expression(_), Some(expression)) => {
                    all.expressions.push((expression, route));
                }
                (Pattern::Expression(_), None) => {}
            }
        }
        all.prefixes
            .sort_by_key(|prefix| std::cmp::Reverse(prefix.path.len()));
        all
    }

    /// Whom they pass requests to.
    pub(crate) fn others(&self) -> impl Iterator<Item = &Arc<Others>> {
        let prefixes = self.prefixes.iter().map(|prefix| &prefix.route);
        let expressions = self.expressions.iter().map(|(_, route)| route);
        let routes = self.exact.values().chain(prefixes).chain(expressions);
        routes.filter_map(|route| match &route.handler {
            Handler::Proxy(others) => Some(others),
            _ => None,
        })
    }

    /// The route for a path in normal form: the exact one, then the first expression that matches,
    /// unless the longest prefix is firm, then the longest prefix.
    pub(crate) fn find(&self, path: &str) -> Match<'_> {
        if let Some(route) = self.exact.get(path) {
            return Match::Route(route, path.len());
        }
        let (by_prefix, is_firm) = self.longest_prefix(path);
        if self.expressions.is_empty() || is_firm {
            return by_prefix;
        }
        let decoded = Decoded::new(path);
        let mut expressions = self.expressions.iter();
        match expressions.find(|(expression, _)| expression.matches(&decoded)) {
            // Nothing is cut off: the expression may have matched anywhere.
            Some((_, route)) => Match::Route(route, 0),
            None => by_prefix,
        }
    }

    fn longest_prefix(&self, path: &str) -> (Match<'_>, bool) {
        for prefix in &self.prefixes {
            let (written, is_firm) = (prefix.path.as_str(), prefix.is_firm);
            match path.strip_prefix(written) {
                Some(rest)
                    if written.ends_with('/') || rest.is_empty() || rest.starts_with('/') =>
                {
                    return (Match::Route(&prefix.route, written.len()), is_firm);
                }
                // nginx does the same for a `location` with a final slash that is passed on.
                None if written.strip_suffix('/') == Some(path) => {
                    return (Match::AddSlash, is_firm);
                }
                _ => {}
            }
        }
        (Match::Nothing, false)
    }
}

impl Prefix {
    fn new(path: &str, is_firm: bool, route: Route) -> Self {
        Prefix {
            path: as_sent(path),
            is_firm,
            route,
        }
    }
}

/// Requests spell what is not ASCII in escapes.
pub(crate) fn as_sent(path: &str) -> String {
    escape(path.as_bytes(), u8::is_ascii_graphic)
}

fn handler(written: &model::Route, expression: Option<&Expression>, cache: &Arc<Cache>) -> Handler {
    let (path, is_exact) = match &written.pattern {
        Pattern::Exact(path) => (path.as_str(), true),
        Pattern::Prefix(path) | Pattern::FirmPrefix(path) => (path.as_str(), false),
        Pattern::Expression(_) => ("", false),
    };
    let place = |template| Box::new(Place::new(template, &as_sent(path), expression.cloned()));
    let bounds = || Bounds::new(written, path);
    let status = |code: u16| StatusCode::from_u16(code).unwrap_or(StatusCode::OK);
    match &written.target {
        Target::Files(files) => {
            let rules = &written.rules.files;
            let folder = Folder::new(files, rules, (path, is_exact), Arc::clone(cache));
            match files.then_wsgi {
                true => Handler::FilesThenWsgi(Arc::new(folder), bounds()),
                false => Handler::Files(Arc::new(folder)),
            }
        }
        Target::Wsgi => Handler::Wsgi(bounds()),
        Target::Proxy(proxy) => Handler::Proxy(Arc::new(Others {
            proxy: Proxy::new(proxy),
            body_limit_bytes: written.body_limit_bytes,
            hand_off: proxy.hands_off,
            dev_front: dev_front(proxy),
        })),
        Target::Redirect(redirect) => {
            Handler::Redirect(status(redirect.status), place(&redirect.to))
        }
        Target::Rewrite(template) => Handler::Rewrite(place(template)),
        Target::Respond(respond) => {
            let text = respond.text.as_ref();
            Handler::Respond(
                status(respond.status),
                text.map(|text| Bytes::from(text.clone())),
            )
        }
    }
}

fn dev_front(proxy: &model::Proxy) -> Option<Box<str>> {
    let target = proxy.targets.first().filter(|_| proxy.is_dev_front)?;
    let scheme = match target.protocol {
        TargetProtocol::Https => "https",
        _ => "http",
    };
    Some(format!("{scheme}://{}", target.address).into())
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
                callee: model::Callee::default(),
                internal: false,
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
