//! `root`, `alias` and `try_files`: which folder a route serves.
//!
//! nginx appends a location's path to `root` and puts `alias` in its place. A route here always
//! does the latter, so `root` becomes a longer folder. Where that folder cannot have been meant,
//! `alias` was.

use std::path::Path;

use toml_edit::Array;

use crate::convert::{Converted, list};
use crate::draft::{Line, Route, Site, Table};
use crate::report::Verdict;
use crate::source::Place;

use super::level::Reader;
use super::location::inherit;
use super::scope::Scope;
use super::tree::Directive;

/// Entries of a root that get routes of their own where files come before the application.
const MOST_ENTRIES: usize = 40;

impl Reader<'_, '_> {
    /// `root` outside of a location.
    pub(super) fn root(&mut self, directive: &Directive, scope: &mut Scope) {
        let root = self.resolve(directive.arg());
        let text = format!("`files` below \"{root}\" where a location has no root of its own");
        self.row(directive.place, Verdict::Carried, text);
        scope.root = Some((root, directive.place));
    }

    /// An absolute path.
    pub(super) fn resolve(&self, path: &str) -> String {
        let path = self.prefix.join(path).display().to_string();
        match path.trim_end_matches('/') {
            "" => "/".to_owned(),
            trimmed => trimmed.to_owned(),
        }
    }

    /// The folder of `alias`, and the two ways in which it goes wrong.
    pub(super) fn alias(&mut self, alias: &Directive, pattern: &str) -> String {
        let (path, exact) = plain(pattern);
        let folder = self.resolve(alias.arg());
        let text = format!("`files = \"{folder}\"`");
        self.row(alias.place, Verdict::Carried, text);
        let slash = alias.arg().ends_with('/');
        if !exact && slash && !path.ends_with('/') {
            let text = format!("nginx let `{path}../` out of this folder; a route never leaves it");
            self.row(alias.place, Verdict::Trap, text);
        } else if !exact && !slash && path.ends_with('/') && path != "/" {
            let text = format!(
                "nginx pasted `x` of `{path}x` onto the folder's name; here it is looked for inside"
            );
            self.row(alias.place, Verdict::Trap, text);
        }
        folder
    }

    /// The folder which a path has under `root`.
    pub(super) fn folder_of_root(
        &mut self,
        root: &str,
        place: Place,
        pattern: &str,
        own: bool,
    ) -> String {
        let (path, _) = plain(pattern);
        let below = path.trim_matches('/');
        let whole = match below {
            "" => root.to_owned(),
            below => format!("{}/{below}", root.trim_end_matches('/')),
        };
        if !own {
            return whole;
        }
        if below.is_empty() || !self.means_alias(root, &whole, below) {
            self.row(place, Verdict::Carried, format!("`files = \"{whole}\"`"));
            return whole;
        }
        let text = format!(
            "`root` where `alias` was meant: nginx looked for `{path}x` in `{whole}/x` and found nothing; \
             `files = \"{root}\"`, in which `x` is looked for"
        );
        self.row(place, Verdict::Trap, text);
        root.to_owned()
    }

    /// Whether a `root` that stands in a location was meant as its `alias`: the longer folder is not
    /// there, and either the shorter one is or it bears the location's own name.
    fn means_alias(&self, root: &str, whole: &str, below: &str) -> bool {
        let disk = self.import.disk;
        if disk.exists(Path::new(whole)) {
            return false;
        }
        let last = |path: &str| {
            path.rsplit('/')
                .next()
                .unwrap_or_default()
                .to_ascii_lowercase()
        };
        disk.is_folder(Path::new(root)) || last(root).contains(&last(below))
    }

    /// What else a route with files has: fallback, index, caching.
    pub(super) fn files_route(
        &mut self,
        route: &mut Route,
        chain: Option<&Directive>,
        all: &[&Directive],
        scope: &Scope,
        site: &mut Site,
    ) {
        if let Some(chain) = chain {
            self.chain(chain, route, all, site);
        }
        if route.target.0 == "files" && !route.pattern.starts_with('=') {
            let (index, place) = match &scope.index {
                Some((names, place)) if *names != ["index.html"] && !names.is_empty() => {
                    (names, *place)
                }
                _ => return self.finish(route, scope),
            };
            let names: Vec<&str> = index.iter().map(String::as_str).collect();
            add(&mut route.table, "index", list(&names), place);
        }
        self.finish(route, scope);
    }

    fn finish(&mut self, route: &mut Route, scope: &Scope) {
        if let (Some((keeping, place)), "files") = (&scope.keeping, route.target.0) {
            let (key, value) = keeping.line();
            add(&mut route.table, key, value, *place);
        }
        inherit(route, scope);
    }

    /// `try_files`: what is tried before its last word is what a route does anyway.
    fn chain(&mut self, chain: &Directive, route: &mut Route, all: &[&Directive], site: &mut Site) {
        let Some((last, tried)) = chain.args.split_last() else {
            return self.row(chain.place, Verdict::Missing, "it names nothing");
        };
        const USUAL: [&str; 4] = ["$uri", "$uri/", "$uri/index.html", "$uri/index.htm"];
        let odd = tried.iter().find(|word| !USUAL.contains(&word.as_str()));
        if let Some(odd) = odd {
            let text = format!("`{odd}` is not tried: a file, a folder's index, then the fallback");
            self.row(chain.place, Verdict::Missing, text);
        }
        match last.as_str() {
            _ if last.starts_with('=') => {
                self.row(chain.place, Verdict::Default, "what is not there is a 404");
            }
            last if USUAL.contains(&last) => {
                self.row(chain.place, Verdict::Default, "what is not there is a 404");
            }
            name if name.starts_with('@') => self.named(chain, name, route, all, site),
            uri => self.fallback(chain, uri, route),
        }
    }

    /// A path inside the route's folder.
    fn fallback(&mut self, chain: &Directive, uri: &str, route: &mut Route) {
        let (path, exact) = plain(&route.pattern);
        let uri = uri.split('?').next().unwrap_or_default();
        let prefix = path.trim_end_matches('/');
        let below = uri
            .strip_prefix(prefix)
            .filter(|below| below.starts_with('/'));
        match below {
            Some(below) if !exact && !below.contains('$') && !below.ends_with(".php") => {
                add(&mut route.table, "fallback", below.into(), chain.place);
                let text = format!(
                    "`fallback = \"{below}\"`, for page loads: a missing script or image stays a 404"
                );
                self.row(chain.place, Verdict::Carried, text);
            }
            _ => {
                let text = format!("`{uri}` is no file of this route's folder");
                self.row(chain.place, Verdict::Missing, text);
            }
        }
    }

    /// Files first, then the application: the entries of the root become routes of their own.
    fn named(
        &mut self,
        chain: &Directive,
        name: &str,
        route: &mut Route,
        all: &[&Directive],
        site: &mut Site,
    ) {
        let passes = |location: &&&Directive| {
            location.arg() == name
                && location
                    .inner()
                    .iter()
                    .any(|inner| inner.name.ends_with("_pass"))
        };
        if all.iter().find(passes).is_none() {
            let text = format!("`{name}` passes to nobody known here");
            return self.row(chain.place, Verdict::Missing, text);
        }
        let root = route.target.1.as_str().unwrap_or_default().to_owned();
        let base = route.pattern.trim_end_matches('/').to_owned();
        route.target = ("wsgi", true.into());
        let names = self.import.disk.names(Path::new(&root));
        let visible: Vec<_> = names
            .into_iter()
            .filter(|name| !name.starts_with('.'))
            .collect();
        if visible.is_empty() || visible.len() > MOST_ENTRIES {
            let text = format!(
                "the application answers; add a route for what lies in \"{root}\", such as `\"/static/\" = {{ files = … }}`"
            );
            return self.row(chain.place, Verdict::Missing, text);
        }
        for entry in visible {
            let path = format!("{root}/{entry}");
            let pattern = match self.import.disk.is_folder(Path::new(&path)) {
                true => format!("{base}/{entry}/"),
                false => format!("= {base}/{entry}"),
            };
            if !all
                .iter()
                .any(|location| location.args.last().is_some_and(|path| *path == pattern))
            {
                site.routes.push(Route {
                    place: Some(chain.place),
                    pattern,
                    target: ("files", path.into()),
                    table: Table::default(),
                    withheld: route.withheld.clone(),
                });
            }
        }
        let text = format!(
            "the application answers, and what lies in \"{root}\" today has routes of its own"
        );
        self.row(chain.place, Verdict::Carried, text);
    }
}

/// A pattern's path, and whether it is exact.
fn plain(pattern: &str) -> (&str, bool) {
    match pattern.strip_prefix("= ") {
        Some(path) => (path, true),
        None => (pattern, false),
    }
}

/// A line whose directive has said everything.
fn add(table: &mut Table, key: &str, value: toml_edit::Value, place: Place) {
    let value = match value {
        // A list of one is written as what is in it.
        toml_edit::Value::Array(array) => one(array),
        other => other,
    };
    table.inherit(&Line::said(key, Converted { value, rank: None }, place));
}

fn one(array: Array) -> toml_edit::Value {
    match array.get(0) {
        Some(only) if array.len() == 1 => only.clone(),
        _ => toml_edit::Value::Array(array),
    }
}
