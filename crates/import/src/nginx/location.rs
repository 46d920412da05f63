//! A `location` becomes a route. nginx's prefixes and exact paths have the same meaning here; of
//! its regular expressions, those that are prefixes in disguise have one.

use toml_edit::Value;

use crate::convert::Converted;
use crate::draft::{Line, Route, Site, Table};
use crate::fate::Fate;
use crate::report::Verdict;

use super::answer::is_linear;
use super::caching::{HASHED, is_cache_control, passes};
use super::level::{Level, Reader};
use super::passed::is_of_proxy;
use super::scope::Scope;
use super::table::{Construct, fate};
use super::tree::Directive;

/// What a location says about who answers.
#[derive(Debug, Default)]
pub(super) struct Content<'t> {
    pub(super) alias: Option<&'t Directive>,
    pub(super) backend: Option<&'t Directive>,
    pub(super) returns: Option<&'t Directive>,
    pub(super) chain: Option<&'t Directive>,
    pub(super) internal: Option<&'t Directive>,
    /// Keys of `proxy`.
    keys: Vec<(&'static str, Value)>,
    inner: Vec<&'t Directive>,
}

impl Reader<'_, '_> {
    /// One location of `all` in its server.
    pub(super) fn location(
        &mut self,
        location: &Directive,
        all: &[&Directive],
        scope: &Scope,
        site: &mut Site,
    ) {
        if site.place.is_none() {
            return self.leave(location, Verdict::NotNeeded, "its server answers before it");
        }
        match patterns(location) {
            Patterns::Named => {
                self.leave(
                    location,
                    Verdict::Carried,
                    "see the `try_files` that leads to it",
                );
            }
            Patterns::Paths(paths) if paths.iter().any(|path| is_error_page(path, scope)) => {
                self.leave(location, Verdict::Default, "exists for its `error_page`");
            }
            Patterns::Paths(paths) => self.route(location, &paths, all, scope, site),
            Patterns::Hidden => {
                self.leave(
                    location,
                    Verdict::Default,
                    "files that begin with a dot are never served, `/.well-known/` aside",
                );
            }
            Patterns::Expression(key) => self.expression(location, &key, all, scope, site),
            Patterns::Other => {
                self.leave(
                    location,
                    Verdict::Missing,
                    "its path is none that a route may have",
                );
            }
        }
    }

    /// A regular expression that is no prefix in disguise.
    fn expression(
        &mut self,
        location: &Directive,
        key: &str,
        all: &[&Directive],
        scope: &Scope,
        site: &mut Site,
    ) {
        let has = |name: &str| location.inner().iter().any(|inner| inner.name == name);
        let denies = location
            .inner()
            .iter()
            .any(|inner| inner.name == "deny" && inner.arg() == "all");
        let paths = [key.to_owned()];
        match () {
            () if is_linear(key) && (has("uwsgi_pass") || has("proxy_pass") || has("return")) => {
                self.route(location, &paths, all, scope, site);
            }
            () if is_linear(key) && denies && !has("allow") => {
                self.leave(location, Verdict::Carried, "`respond = 403`");
                site.routes.push(Route {
                    place: Some(location.place),
                    pattern: key.to_owned(),
                    target: ("respond", 403.into()),
                    table: Table::default(),
                    withheld: None,
                });
            }
            () if restricts(location) => {
                self.leave(
                    location,
                    Verdict::Trap,
                    "what was refused here is answered: write a route by hand, see docs/routes.md",
                );
            }
            () if key.ends_with('$') && !answers(location) => {
                if !self.extensions(location, key, site) {
                    self.leave(location, Verdict::Default, HASHED);
                }
            }
            () => {
                self.leave(
                    location,
                    Verdict::Missing,
                    "files have prefixes for routes: add one for each folder that is meant",
                );
            }
        }
    }

    fn route(
        &mut self,
        location: &Directive,
        paths: &[String],
        all: &[&Directive],
        scope: &Scope,
        site: &mut Site,
    ) {
        let mut scope = scope.clone();
        let content = self.content(location, &mut scope);
        if !scope.pages.is_empty()
            && let Some(line) = self.pages_line(all, &scope)
        {
            Scope::put(&mut scope.route, line);
        }
        let has_pages = |line: &Line| line.key == "error_pages";
        if !scope.route.iter().chain(&scope.site).any(has_pages) {
            self.drop_intercept(&mut scope.route);
        }
        // Of this location alone, not of those inside.
        let internal = content.internal.map(|internal| {
            let text = "`internal = true` of its route";
            self.row(internal.place, Verdict::Carried, text);
            let converted = Converted {
                value: true.into(),
                rank: None,
            };
            Line::said("internal", converted, internal.place)
        });
        for path in paths {
            if let Some(mut route) = self.answer(location, path, &content, all, &scope, site) {
                if let Some(internal) = &internal {
                    route.table.inherit(internal);
                }
                self.add(location, route, site);
            }
        }
        for inner in &content.inner {
            self.location(inner, all, &scope, site);
        }
    }

    /// Reads the block: who answers, and what holds for the answer.
    fn content<'t>(&mut self, location: &'t Directive, scope: &mut Scope) -> Content<'t> {
        let mut content = Content::default();
        let elsewhere = self.passes_elsewhere(location);
        scope.note_error_pages(location.inner());
        scope.note_host(location.inner());
        self.access(Level::Location, location.inner(), scope);
        self.caching(Level::Location, location.inner(), scope);
        self.error_pages(location.inner(), scope);
        for directive in location.inner() {
            match fate(&directive.name) {
                Fate::Construct(Construct::Alias) => content.alias = Some(directive),
                Fate::Construct(Construct::Backend) => content.backend = Some(directive),
                Fate::Construct(Construct::Return) => content.returns = Some(directive),
                Fate::Construct(Construct::TryFiles) => content.chain = Some(directive),
                Fate::Construct(Construct::Internal) => content.internal = Some(directive),
                Fate::Construct(Construct::Location) => content.inner.push(directive),
                Fate::Construct(Construct::Rewrite) => {
                    let text =
                        "a rewrite inside of a location: write a route by hand, see docs/routes.md";
                    self.row(directive.place, Verdict::Missing, text);
                }
                Fate::Construct(Construct::Root) => {
                    // Said with its path, by the route.
                    let root = self.resolve(directive.arg());
                    scope.root = Some((root, directive.place));
                }
                // Said with how long files are kept.
                _ if is_cache_control(directive) && !passes(location.inner()) => {}
                _ if elsewhere && is_of_proxy(&directive.name) => {
                    content.keys.extend(self.of_proxy(directive));
                }
                _ => self.directive(Level::Location, directive, scope),
            }
        }
        content
    }

    /// Who answers `path`; none if nobody here can.
    fn answer(
        &mut self,
        location: &Directive,
        path: &str,
        content: &Content<'_>,
        all: &[&Directive],
        scope: &Scope,
        site: &mut Site,
    ) -> Option<Route> {
        let withheld = scope.guards.first().map(|guard| {
            let line = self.import.sources.line(*guard);
            format!("nginx restricted access here, {line}")
        });
        let mut route = Route {
            place: Some(location.place),
            pattern: path.to_owned(),
            target: ("wsgi", true.into()),
            table: Table::default(),
            withheld,
        };
        if let Some(returns) = content.returns {
            if !self.returns(returns, &mut route) {
                self.row(location.place, Verdict::Missing, "there is no such route");
                return None;
            }
            inherit(&mut route, scope);
            return Some(route);
        }
        if let Some(backend) = content.backend {
            return self.passed(location, (backend, &content.keys), path, scope, route);
        }
        if let Some(alias) = content.alias {
            let folder = self.alias(alias, path);
            route.target = ("files", folder.into());
        } else if let Some((root, place)) = scope.root.clone() {
            let own = location.inner().iter().any(|inner| inner.place == place);
            let folder = self.folder_of_root(&root, place, path, own);
            route.target = ("files", folder.into());
        } else {
            self.row(
                location.place,
                Verdict::Missing,
                "nothing in it says who answers",
            );
            return None;
        }
        self.files_route(&mut route, content.chain, all, scope, site);
        Some(route)
    }

    /// Adds the route, unless its paths have one.
    fn add(&mut self, location: &Directive, route: Route, site: &mut Site) {
        let identity = |pattern: &str| pattern.strip_suffix('/').unwrap_or(pattern).to_owned();
        let same = |other: &&Route| identity(&other.pattern) == identity(&route.pattern);
        match site.routes.iter().find(same) {
            Some(other) => {
                let text = format!("the route `{}` answers the same paths", other.pattern);
                self.row(location.place, Verdict::Missing, text);
            }
            None => {
                let (verdict, text) = match route.withheld {
                    Some(_) => (
                        Verdict::Trap,
                        format!("its route `{}` is written as a comment", route.pattern),
                    ),
                    None => (Verdict::Carried, format!("the route `{}`", route.pattern)),
                };
                self.row(location.place, verdict, text);
                site.routes.push(route);
            }
        }
    }

    /// Says the same of a block and everything in it.
    pub(super) fn leave(&mut self, directive: &Directive, verdict: Verdict, text: &str) {
        self.row(directive.place, verdict, text);
        let inner_verdict = if verdict == Verdict::Trap {
            Verdict::Missing
        } else {
            verdict
        };
        for inner in directive.inner() {
            self.leave(inner, inner_verdict, "belongs to its location");
        }
    }
}

/// What the scope says, as far as it fits who answers.
pub(super) fn inherit(route: &mut Route, scope: &Scope) {
    let unfit: &[&str] = match route.target.0 {
        "wsgi" => &[
            "fallback",
            "index",
            "immutable",
            "cache",
            "types",
            "charset",
        ],
        "files" => &["body_limit", "request_timeout"],
        "proxy" => &[
            "fallback",
            "index",
            "immutable",
            "cache",
            "types",
            "charset",
            "request_timeout",
        ],
        _ => &[
            "fallback",
            "index",
            "immutable",
            "cache",
            "types",
            "charset",
            "body_limit",
            "request_timeout",
        ],
    };
    for line in &scope.route {
        if !unfit.contains(&line.key.as_str()) {
            route.table.inherit(line);
        }
    }
}

/// The paths of a location.
#[derive(Debug, PartialEq, Eq)]
enum Patterns {
    /// Keys of routes.
    Paths(Vec<String>),
    /// `@name`.
    Named,
    /// `~ /\.`
    Hidden,
    /// The key of a route: `~* \.php$`
    Expression(String),
    /// Anything else.
    Other,
}

fn patterns(location: &Directive) -> Patterns {
    let args: Vec<&str> = location.args.iter().map(String::as_str).collect();
    match args.as_slice() {
        [name] if name.starts_with('@') => Patterns::Named,
        ["=", path] if is_path(path) => Patterns::Paths(vec![format!("= {path}")]),
        ["^~", path] | [path] if is_path(path) => Patterns::Paths(vec![(*path).to_owned()]),
        // nginx takes the modifier without a space as well.
        [word] if word.starts_with("^~") => Patterns::Paths(vec![word[2..].to_owned()]),
        [word] if word.starts_with('=') => Patterns::Paths(vec![format!("= {}", &word[1..])]),
        [kind @ ("~" | "~*"), regex] => of_regex(kind, regex),
        [word] if word.starts_with("~*") => of_regex("~*", &word[2..]),
        [word] if word.starts_with('~') => of_regex("~", &word[1..]),
        _ => Patterns::Other,
    }
}

fn of_regex(kind: &str, regex: &str) -> Patterns {
    if let Some(rest) = regex.strip_prefix('^')
        && let Some(paths) = alternatives(rest)
    {
        return Patterns::Paths(paths);
    }
    match regex {
        _ if regex.trim_start_matches('^').starts_with("/\\.") => Patterns::Hidden,
        "" => Patterns::Other,
        _ => Patterns::Expression(format!("{kind} {regex}")),
    }
}

/// The prefixes of `/static/`, `/(static|media)/` and `/(?:a|b)/(.*)$`.
fn alternatives(regex: &str) -> Option<Vec<String>> {
    let body = [".*$", "(.*)$", ".*", "(.*)"]
        .iter()
        .find_map(|end| regex.strip_suffix(end))
        .unwrap_or(regex);
    let (before, rest) = match body.split_once('(') {
        Some((before, rest)) => (before, Some(rest)),
        None => (body, None),
    };
    let paths = match rest {
        None => vec![before.to_owned()],
        Some(rest) => {
            let (inside, after) = rest.split_once(')')?;
            let inside = inside.strip_prefix("?:").unwrap_or(inside);
            let path = |name: &str| format!("{before}{name}{after}");
            inside.split('|').map(path).collect()
        }
    };
    paths.iter().all(|path| is_literal(path)).then_some(paths)
}

/// Whether a regular expression stands for itself.
fn is_literal(path: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_');
    path.starts_with('/') && path.chars().all(inside)
}

/// Whether a route may have it as its key.
fn is_path(path: &str) -> bool {
    let bad = path.contains(['%', '?', '#', '\\', '*'])
        || path.contains("//")
        || path.contains(char::is_control);
    path.starts_with('/') && !bad && !path.split('/').any(|part| part == "." || part == "..")
}

fn is_error_page(pattern: &str, scope: &Scope) -> bool {
    let path = pattern.strip_prefix("= ").unwrap_or_default();
    scope.error_pages.iter().any(|page| page == path)
}

/// Whether a location says who answers.
fn answers(location: &Directive) -> bool {
    let mut inner = location.inner().iter();
    inner.any(|directive| {
        directive.name.ends_with("_pass")
            || matches!(
                directive.name.as_str(),
                "return" | "deny" | "alias" | "rewrite" | "internal"
            )
    })
}

/// Whether a location refuses.
fn restricts(location: &Directive) -> bool {
    location.inner().iter().any(|directive| {
        let refuses = directive.name == "return" && directive.arg().starts_with('4');
        refuses
            || matches!(
                directive.name.as_str(),
                "deny" | "auth_basic" | "auth_request" | "internal"
            )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_expressions_that_are_prefixes_become_them() {
        let expression = |key: &str| Patterns::Expression(key.to_owned());
        let paths =
            |paths: &[&str]| Patterns::Paths(paths.iter().map(|path| (*path).to_owned()).collect());
        for (regex, expected) in [
            ("^/static/", paths(&["/static/"])),
            ("^/(static|media)/", paths(&["/static/", "/media/"])),
            ("^/(?:a|b)/(.*)$", paths(&["/a/", "/b/"])),
            ("/\\.(?!well-known).*", Patterns::Hidden),
            ("\\.(js|css|png)$", expression("~ \\.(js|css|png)$")),
            ("^/user/\\d+/", expression("~ ^/user/\\d+/")),
            ("^/(a|(b))/", expression("~ ^/(a|(b))/")),
            ("^/(a", expression("~ ^/(a")),
            ("", Patterns::Other),
        ] {
            assert_eq!(of_regex("~", regex), expected, "{regex}");
        }
    }
}
