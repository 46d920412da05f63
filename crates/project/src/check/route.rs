//! `[site.routes]`: each path and what answers it.

use std::path::Path;
use std::time::Duration;

use figment::value::Value;

use crate::fault::{Fault, PathProblem};
use crate::key_path::quoted;
use crate::keys::ROUTE;
use crate::layers::FILE;
use crate::model::{
    Application, Callee, Files, Immutable, OtherApplication, Pattern, Route, Rules, Target,
};
use crate::reader::{Entry, Table};

use super::Check;
use super::application::optional;
use super::server::print_list;
use super::url_path;

/// Keys that say who answers.
const TARGETS: [&str; 6] = ["files", "wsgi", "proxy", "redirect", "rewrite", "respond"];

/// Keys that mean something with some of them alone.
const BELONGS: [(&str, &[&str]); 11] = [
    ("extensions", &["files"]),
    ("cache", &["files"]),
    ("types", &["files"]),
    ("charset", &["files"]),
    ("fallback", &["files"]),
    ("index", &["files"]),
    ("immutable", &["files"]),
    ("body_limit", &["wsgi", "proxy"]),
    ("request_timeout", &["wsgi"]),
    ("mount", &["wsgi"]),
    ("status", &["redirect", "respond"]),
];

/// Who answers on a route, and within what bounds.
struct Answer {
    target: Target,
    body_limit_bytes: u64,
    request_timeout: Option<Duration>,
    callee: Callee,
    internal: bool,
    rules: Rules,
}

impl Check<'_, '_> {
    /// The routes in the order of the file; those of later layers follow. `body_limit` and
    /// `rules` are the site's.
    pub(super) fn routes(
        &mut self,
        site: &Table<'_>,
        entry: &Entry<'_>,
        body_limit: u64,
        rules: &Rules,
    ) -> Option<Vec<Route>> {
        let Value::Dict(_, dict) = entry.value else {
            return self.reader.refuse(site, "routes", entry);
        };
        if dict.is_empty() {
            self.reader.fault_at(
                Fault::NoRoutes {
                    key: entry.path.clone(),
                },
                entry,
            );
            return None;
        }
        let mut entries: Vec<(&String, Entry<'_>)> = dict
            .iter()
            .map(|(key, value)| {
                (
                    key,
                    Entry {
                        path: entry.path.join(key.as_str()),
                        value,
                    },
                )
            })
            .collect();
        entries.sort_by_key(|(_, entry)| self.order(entry));
        let mut routes: Vec<(String, Route)> = Vec::new();
        let count = entries.len();
        for (key, entry) in entries {
            let pattern = self.pattern(key, &entry, &routes);
            let answer = self.answer((key, pattern.as_ref()), &entry, body_limit, rules);
            if let (Some(pattern), Some(answer)) = (pattern, answer) {
                let route = Route {
                    pattern,
                    target: answer.target,
                    body_limit_bytes: answer.body_limit_bytes,
                    request_timeout: answer.request_timeout,
                    callee: answer.callee,
                    internal: answer.internal,
                    rules: answer.rules,
                };
                routes.push((key.clone(), route));
            }
        }
        self.circles(&routes, entry);
        (routes.len() == count).then(|| routes.into_iter().map(|(_, route)| route).collect())
    }

    /// Where the route stands in the file, or else in which later layer.
    fn order(&self, entry: &Entry<'_>) -> (usize, usize) {
        let in_file = self
            .reader
            .layers
            .span(FILE, &entry.path)
            .and_then(|span| span.key.clone());
        match in_file {
            Some(span) => (FILE, span.start),
            None => (self.reader.layers.layer(entry.value), 0),
        }
    }

    fn pattern(
        &mut self,
        key: &str,
        entry: &Entry<'_>,
        before: &[(String, Route)],
    ) -> Option<Pattern> {
        let fault = match url_path::pattern(key) {
            Err(problem) => Fault::RoutePath {
                found: key.to_owned(),
                problem,
            },
            Ok(pattern) => {
                let same = |route: &Route| {
                    url_path::identity(&route.pattern) == url_path::identity(&pattern)
                };
                match before.iter().find(|(_, route)| same(route)) {
                    None => return Some(pattern),
                    Some((other, _)) => Fault::SameRoute {
                        route: key.to_owned(),
                        other: other.clone(),
                    },
                }
            }
        };
        let place = self.reader.key_place(&entry.path, entry.value);
        self.reader.error(fault, place);
        None
    }

    fn answer(
        &mut self,
        (key, pattern): (&str, Option<&Pattern>),
        entry: &Entry<'_>,
        body_limit: u64,
        rules: &Rules,
    ) -> Option<Answer> {
        let Value::Dict(_, dict) = entry.value else {
            let expected = "a table, such as `{ files = \"…\" }` or `{ wsgi = true }`".to_owned();
            self.reader.expected(entry, entry.path.clone(), expected);
            return None;
        };
        let table = Table {
            path: entry.path.clone(),
            section: &ROUTE,
            dict,
        };
        self.reader.known_keys(&table);
        let body_limit = match table.entry("body_limit") {
            None => Some(body_limit),
            Some(_) => self.reader.size(&table, "body_limit"),
        };
        let request_timeout = optional(&table, "request_timeout", || {
            self.reader.duration(&table, "request_timeout")
        });
        let internal = match table.entry("internal") {
            None => Some(false),
            Some(_) => self.reader.flag(&table, "internal"),
        };
        let rules = self.rules(&table, Some(rules));
        let mount = self.mount(&table, pattern);
        let (target, other) = self.target(key, pattern, entry, &table)?;
        Some(Answer {
            target,
            callee: Callee {
                other,
                mount: mount?,
            },
            body_limit_bytes: body_limit?,
            request_timeout: request_timeout?,
            internal: internal?,
            rules: rules?,
        })
    }

    fn target(
        &mut self,
        key: &str,
        pattern: Option<&Pattern>,
        entry: &Entry<'_>,
        table: &Table<'_>,
    ) -> Option<(Target, Option<usize>)> {
        let route = key.to_owned();
        let mut said = TARGETS
            .into_iter()
            .filter(|name| table.entry(name).is_some());
        let (first, second) = (said.next(), said.next());
        let then_wsgi = (first, second) == (Some("files"), Some("wsgi"));
        let second = if then_wsgi { said.next() } else { second };
        if let (Some(first), Some(second)) = (first, second) {
            let fault = Fault::TwoTargets {
                route,
                first,
                second,
            };
            return self.wrong(fault, entry);
        }
        let Some(target) = first else {
            // Most likely one of them under another name, which has been reported.
            let is_known = table.dict.keys().all(|key| ROUTE.key(key).is_some());
            return is_known.then(|| self.wrong(Fault::NoTarget { route }, entry))?;
        };
        if target == "rewrite" {
            self.nothing_but_rewrite(table);
        }
        let belongs =
            |targets: &[&str]| targets.contains(&target) || then_wsgi && targets.contains(&"wsgi");
        for (key, targets) in BELONGS {
            if let Some(entry) = table.entry(key).filter(|_| !belongs(targets)) {
                self.wrong::<()>(Fault::BelongsTo { key, targets }, &entry);
            }
        }
        let target = match target {
            "files" => {
                let other = match then_wsgi {
                    true => self.wsgi(table, route),
                    false => Some(None),
                };
                let files = self.files(table, key.starts_with('='), then_wsgi);
                if let (Some(Pattern::Prefix(path) | Pattern::FirmPrefix(path)), Some(files)) =
                    (pattern, &files)
                {
                    self.meant_as_root(path, files, table);
                }
                return Some((Target::Files(files?), other?));
            }
            "wsgi" => return Some((Target::Wsgi, self.wsgi(table, route)?)),
            "proxy" => self.proxy(table).map(Target::Proxy),
            "redirect" => self.redirect(table, pattern).map(Target::Redirect),
            "rewrite" => self
                .template(table, "rewrite", pattern)
                .map(Target::Rewrite),
            _ => self.respond(table).map(Target::Respond),
        };
        Some((target?, None))
    }

    fn wrong<T>(&mut self, fault: Fault, entry: &Entry<'_>) -> Option<T> {
        let place = self.reader.key_place(&entry.path, entry.value);
        self.reader.error(fault, place);
        None
    }

    /// The application's place among those that routes name; none inside: `python.module`.
    fn wsgi(&mut self, table: &Table<'_>, route: String) -> Option<Option<usize>> {
        let entry = table.entry("wsgi")?;
        match entry.value {
            Value::Bool(_, true) => self.reader.flag(table, "wsgi").map(|_| None),
            Value::Bool(_, false) => {
                self.reader.fault_at(Fault::WsgiFalse { route }, &entry);
                None
            }
            _ => {
                let (text, entry) = self.reader.text(table, "wsgi")?;
                let application = self.callable("wsgi", text, &entry)?;
                Some(self.number(application, &entry))
            }
        }
    }

    /// What several routes name is imported once.
    fn number(&mut self, application: Application, entry: &Entry<'_>) -> Option<usize> {
        if self.module.as_ref() == Some(&application) {
            return None;
        }
        let mut others = self.others.iter();
        let known = others.position(|other| other.application == application);
        Some(known.unwrap_or_else(|| {
            let key = entry.path.to_string();
            self.others.push(OtherApplication { application, key });
            self.others.len() - 1
        }))
    }

    fn mount(&mut self, table: &Table<'_>, pattern: Option<&Pattern>) -> Option<bool> {
        let Some(entry) = table.entry("mount") else {
            return Some(false);
        };
        let mount = self.reader.flag(table, "mount")?;
        if let (true, Some(Pattern::Exact(_) | Pattern::Expression(_))) = (mount, pattern) {
            return self.wrong(Fault::MountWithoutPrefix, &entry);
        }
        Some(mount)
    }

    /// The rules that hold are those of the route where a rewrite ends: its own would protect
    /// nothing.
    fn nothing_but_rewrite(&mut self, table: &Table<'_>) {
        for key in ROUTE.keys {
            let targets = BELONGS.iter().find(|(name, _)| *name == key.name);
            if let Some(entry) = table.entry(key.name).filter(|_| targets.is_none())
                && key.name != "rewrite"
            {
                self.wrong::<()>(Fault::BesideRewrite { key: key.name }, &entry);
            }
        }
    }

    fn files(&mut self, table: &Table<'_>, exact: bool, then_wsgi: bool) -> Option<Files> {
        let (root, entry) = self.path(table, "files")?;
        let there = self.root_is_there(&root, exact, &entry);
        let fallback = match table.entry("fallback") {
            None => Some(None),
            Some(_) => self.fallback(table, &root, exact).map(Some),
        };
        if let Some(entry) = table.entry("fallback").filter(|_| then_wsgi) {
            self.wrong::<()>(Fault::FallbackBesideWsgi, &entry);
        }
        let extensions = match table.entry("extensions") {
            None => Some(Vec::new()),
            Some(_) => self.extensions(table),
        };
        let index = self.index(table);
        let immutable = self.reader.choice(table, "immutable");
        let files = Files {
            root,
            fallback: fallback?,
            extensions: extensions?,
            then_wsgi,
            index: index?,
            immutable: cached(immutable?),
        };
        there.then_some(files)
    }

    /// Whether the folder looks like nginx's `root`, which holds another one with the route's path.
    fn meant_as_root(&mut self, route: &str, files: &Files, table: &Table<'_>) {
        let below = route.trim_matches('/');
        let inner = files.root.join(below);
        if !below.is_empty()
            && inner.is_dir()
            && let Some(entry) = table.entry("files")
        {
            let place = self.reader.value_place(&entry);
            let (route, inner) = (route.to_owned(), inner);
            self.reader
                .warn(Fault::LooksLikeRoot { route, inner }, place);
        }
    }

    /// A folder; for an exact route the file itself will do.
    fn root_is_there(&mut self, root: &Path, exact: bool, entry: &Entry<'_>) -> bool {
        if root.is_dir() || (exact && root.is_file()) {
            return true;
        }
        let (key, path, exists) = (entry.path.clone(), root.to_owned(), root.exists());
        let hooks = self.hooks && !exists;
        let fault = match exact {
            true => Fault::NoRegularFile {
                key,
                path,
                exists,
                hooks,
            },
            false => Fault::NoFolder {
                key,
                path,
                exists,
                hooks,
            },
        };
        self.not_served(fault, exists, entry)
    }

    fn fallback(&mut self, table: &Table<'_>, root: &Path, exact: bool) -> Option<String> {
        let (text, entry) = self.reader.text(table, "fallback")?;
        if exact {
            self.reader.fault_at(Fault::ExactWithFallback, &entry);
            return None;
        }
        let problem = url_path::check(&text).err();
        let problem = problem.or_else(|| text.ends_with('/').then_some(PathProblem::Folder));
        if let Some(problem) = problem {
            self.reader.fault_at(
                Fault::Fallback {
                    found: text,
                    problem,
                },
                &entry,
            );
            return None;
        }
        let path = root.join(text.trim_start_matches('/'));
        // With the folder missing, that is what has been reported.
        if root.is_dir() && !path.is_file() {
            let (key, exists) = (entry.path.clone(), path.exists());
            let hooks = self.hooks && !exists;
            let fault = Fault::NoRegularFile {
                key,
                path,
                exists,
                hooks,
            };
            if !self.not_served(fault, exists, &entry) {
                return None;
            }
        }
        Some(self.reader.accept(&entry, quoted(&text), text))
    }

    fn extensions(&mut self, table: &Table<'_>) -> Option<Vec<String>> {
        let texts = self.reader.list(table, "extensions")?;
        let mut names = Vec::new();
        for (text, entry) in texts {
            let rest = text.strip_prefix('.').unwrap_or_default();
            if rest.is_empty() || rest.contains('/') {
                self.reader
                    .fault_at(Fault::Extension { found: text }, &entry);
                return None;
            }
            names.push(text);
        }
        let entry = table.entry("extensions")?;
        Some(self.reader.accept(&entry, print_list(&names), names))
    }

    fn index(&mut self, table: &Table<'_>) -> Option<Vec<String>> {
        let texts = self.reader.list(table, "index")?;
        let mut names = Vec::new();
        for (text, entry) in texts {
            if text.contains('/') || text.starts_with('.') {
                self.reader
                    .fault_at(Fault::IndexName { found: text }, &entry);
                return None;
            }
            names.push(text);
        }
        let entry = table.entry("index")?;
        Some(self.reader.accept(&entry, print_list(&names), names))
    }
}

fn cached(name: &str) -> Immutable {
    match name {
        "all" => Immutable::All,
        "never" => Immutable::Never,
        _ => Immutable::Hashed,
    }
}
