//! Redirects and rewrites that lead back to where they began, as far as that shows without a
//! request: those to a whole URL, or to what a group will have matched, are left alone.

use figment::value::Value;
use regex::bytes::Regex;

use crate::fault::Fault;
use crate::model::{Pattern, Piece, Route, Target, Template};
use crate::reader::Entry;

use super::Check;

/// Browsers give up after twenty redirects. Longer ways are not walked.
const STEPS: usize = 20;

impl Check<'_, '_> {
    /// Reports each circle once, at the first of its routes.
    pub(super) fn circles(&mut self, routes: &[(String, Route)], table: &Entry<'_>) {
        let Value::Dict(_, dict) = table.value else {
            return;
        };
        let map = Map::new(routes);
        let mut reported: Vec<usize> = Vec::new();
        for start in 0..routes.len() {
            let Some(circle) = map.circle(start) else {
                continue;
            };
            if circle.iter().any(|route| reported.contains(route)) {
                continue;
            }
            let (key, route) = &routes[start];
            let name = if matches!(route.target, Target::Redirect(_)) {
                "redirect"
            } else {
                "rewrite"
            };
            let Some(value) = dict.get(key).and_then(|route| route.find_ref(name)) else {
                continue;
            };
            let path = table.path.join(key.as_str()).join(name);
            let names = circle
                .iter()
                .map(|route| routes[*route].0.clone())
                .collect();
            reported.extend(circle);
            self.reader
                .fault_at(Fault::RouteLoop { routes: names }, &Entry { path, value });
        }
    }
}

/// The routes of a site, and their expressions.
struct Map<'a> {
    routes: &'a [(String, Route)],
    expressions: Vec<(usize, Regex)>,
}

impl<'a> Map<'a> {
    fn new(routes: &'a [(String, Route)]) -> Self {
        let compiled = |(place, (_, route)): (usize, &(String, Route))| match &route.pattern {
            Pattern::Expression(expression) => Some((place, expression.compile().ok()?)),
            _ => None,
        };
        Map {
            routes,
            expressions: routes.iter().enumerate().filter_map(compiled).collect(),
        }
    }

    /// The routes that a request for `start` is sent round in, up to the first that comes again.
    fn circle(&self, start: usize) -> Option<Vec<usize>> {
        let (_, route) = &self.routes[start];
        let mut path = match &route.pattern {
            Pattern::Exact(path) | Pattern::Prefix(path) | Pattern::FirmPrefix(path) => {
                path.clone()
            }
            Pattern::Expression(_) => String::new(),
        };
        let mut passed = vec![start];
        for _ in 0..STEPS {
            path = self.next(*passed.last()?, &path)?;
            passed.push(self.find(&path)?);
        }
        let again = (1..passed.len()).find(|place| passed[..*place].contains(&passed[*place]))?;
        passed.truncate(again + 1);
        Some(passed)
    }

    /// Where the route sends the path, if that is known and on this site.
    fn next(&self, route: usize, path: &str) -> Option<String> {
        let (_, route) = &self.routes[route];
        let template = match &route.target {
            Target::Redirect(redirect) => &redirect.to,
            Target::Rewrite(template) => template,
            _ => return None,
        };
        let expanded = expand(template, &route.pattern, path)?;
        let end = expanded.find(['?', '#']).unwrap_or(expanded.len());
        expanded
            .starts_with('/')
            .then(|| expanded[..end].to_owned())
    }

    /// The same order as requests go by.
    fn find(&self, path: &str) -> Option<usize> {
        let mut longest: Option<(usize, usize, bool)> = None;
        for (place, (_, route)) in self.routes.iter().enumerate() {
            let (prefix, is_firm) = match &route.pattern {
                Pattern::Exact(exact) if exact == path => return Some(place),
                Pattern::Prefix(prefix) => (prefix, false),
                Pattern::FirmPrefix(prefix) => (prefix, true),
                _ => continue,
            };
            let below = path.strip_prefix(prefix.as_str());
            let is_below = below.is_some_and(|below| {
                prefix.ends_with('/') || below.is_empty() || below.starts_with('/')
            });
            if is_below && longest.is_none_or(|(_, len, _)| len < prefix.len()) {
                longest = Some((place, prefix.len(), is_firm));
            }
        }
        let expression = || {
            let mut all = self.expressions.iter();
            all.find(|(_, expression)| expression.is_match(path.as_bytes()))
        };
        match longest {
            Some((place, _, true)) => Some(place),
            longest => expression()
                .map(|(place, _)| *place)
                .or(longest.map(|(place, ..)| place)),
        }
    }
}

fn expand(template: &Template, pattern: &Pattern, path: &str) -> Option<String> {
    let mut out = String::new();
    for piece in &template.0 {
        match (piece, pattern) {
            (Piece::Text(text), _) => out.push_str(text),
            (Piece::Args, _) => {}
            (_, Pattern::Expression(_)) | (Piece::Group(_) | Piece::Host, _) => return None,
            (Piece::Uri | Piece::RequestUri, _) => out.push_str(path),
            (Piece::Rest, Pattern::Prefix(prefix) | Pattern::FirmPrefix(prefix)) => {
                let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
                out.push_str(path.strip_prefix(prefix).unwrap_or_default());
            }
            (Piece::Rest, Pattern::Exact(_)) => {}
        }
    }
    Some(out)
}
