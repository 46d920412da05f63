//! NGINX Unit's configuration: listeners, routes and applications in one JSON.

mod answer;
mod proxy;

use toml_edit::Value;

use crate::Import;
use crate::convert::{Bare, list};
use crate::draft::{Line, Route, Site, Table};
use crate::fault::{Fault, Problem};
use crate::json::{self, Node};
use crate::read;
use crate::report::Verdict;

/// What becomes of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// This key of this table says the same.
    Key(&'static str, &'static str),
    /// Replaced by a default.
    Default(&'static str),
    /// Not needed any more.
    NotNeeded(&'static str),
    /// Not supported, and what to do.
    Missing(&'static str),
}

use Fate::{Default, Key, Missing, NotNeeded};

/// Members of an application and of `settings.http`, but for those that are read by code.
#[rustfmt::skip]
static ROWS: &[(&str, Fate)] = &[
    ("home", Key("[python]", "virtualenv")),
    ("threads", Key("[python]", "threads")),
    ("idle_timeout", Key("[server]", "keep_alive_timeout")),
    ("header_read_timeout", Key("[server]", "head_timeout")),
    ("large_header_buffer_size", Default("a head is bounded by `server.head_limit`")),
    ("large_header_buffers", Default("a head is bounded by `server.head_limit`")),
    ("body_read_timeout", Missing("write `body_timeout` of each site by hand")),
    ("send_timeout", Missing("write `send_timeout` of each site by hand")),
    ("max_body_size", Missing("write `body_limit` of each site by hand")),
    ("body_temp_path", Key("[python]", "spool")),
    ("discard_unsafe_fields", Default("fields with underscores never reach the application")),
    ("server_version", Default("responses do not name a version")),
    ("log_route", Missing("there is no log of routing")),
    ("chunked_transform", Default("the application reads chunked bodies as they are")),
    ("static", Default("types of files are built in")),
    ("thread_stack_size", NotNeeded("there is nothing to set")),
    ("protocol", Default("the application is WSGI")),
    ("factory", Missing("write a module with `application = …`, and name it in `python.module`")),
    ("prefix", Missing("write a route of that path with `mount = true`: it becomes SCRIPT_NAME")),
    ("targets", Missing("a route may name its application: `wsgi = \"module:callable\"`")),
    ("user", Key("[server]", "user")),
    ("group", Key("[server]", "group")),
    ("isolation", Missing("belongs to the service's unit")),
    ("stdout", NotNeeded("what the application prints is in the log")),
    ("stderr", NotNeeded("what the application prints is in the log")),
    ("type", NotNeeded("Python is the virtual environment's own")),
];

impl Import<'_> {
    fn missing(&mut self, node: &Node, text: &str) {
        self.row(node.place, Verdict::Missing, text);
    }

    /// A member that needs no code of its own.
    fn member(&mut self, name: &str, node: &Node) {
        match ROWS.iter().find(|(other, _)| *other == name) {
            Some((_, Key(header, key))) => match node.word() {
                Some(word) => self.set((header, key), &[&word], Bare::Bytes, node.place),
                None => self.missing(node, "is no value that can be carried over"),
            },
            Some((_, Default(text))) => self.row(node.place, Verdict::Default, *text),
            Some((_, NotNeeded(text))) => self.row(node.place, Verdict::NotNeeded, *text),
            Some((_, Missing(text))) => self.missing(node, text),
            None => self.missing(
                node,
                "the importer does not know it: see whether you need it",
            ),
        }
    }
}

/// Reads a configuration into the draft.
pub(crate) fn import(import: &mut Import<'_>, number: usize) -> Result<(), Fault> {
    let text = import.sources.get(number).text.clone();
    let root = json::parse(number, &text)?;
    // As `/config` or as `/` of the control API answers it.
    let config = root.get("config").unwrap_or(&root);
    let Some(listeners) = config.get("listeners") else {
        let name = import.sources.get(number).name.clone();
        let place = Some(read::whole(&import.sources, number));
        return Err(Fault {
            place,
            problem: Problem::Empty { name },
        });
    };
    let applications = config.get("applications").map_or(&[][..], Node::members);
    let used = application(import, applications);
    for (name, node) in config.members() {
        match name.as_str() {
            "listeners" | "applications" | "routes" => {}
            "upstreams" => {
                let text = "servers stand in `proxy` of the routes that pass to them";
                import.row(node.place, Verdict::Carried, text);
            }
            "settings" => settings(import, node),
            "access_log" => import.missing(
                node,
                "set `site.access_log` and `server.log` by hand, whose formats are others",
            ),
            _ => import.member(name, node),
        }
    }
    let reader = Reader { config, used };
    for (address, listener) in listeners.members() {
        reader.listener(import, address, listener);
    }
    Ok(())
}

fn settings(import: &mut Import<'_>, node: &Node) {
    for (name, inner) in node.members() {
        match name.as_str() {
            "http" => inner
                .members()
                .iter()
                .for_each(|(name, node)| import.member(name, node)),
            _ => import.member(name, inner),
        }
    }
}

/// The first Python application is the project's.
fn application(import: &mut Import<'_>, applications: &[(String, Node)]) -> Option<String> {
    let kind = |node: &Node| node.get("type").and_then(Node::word).unwrap_or_default();
    let mut used = None;
    for (name, node) in applications {
        if !kind(node).starts_with("python") {
            import.missing(
                node,
                "appliance runs Python: keep a server for this one beside it",
            );
        } else if used.is_some() {
            import.missing(
                node,
                "one application answers for the project: serve this one as a project of its own",
            );
        } else {
            used = Some(name.clone());
            import.python.program = Some("Unit");
            python(import, node);
        }
    }
    used
}

fn python(import: &mut Import<'_>, node: &Node) {
    if let Some(folder) = node.get("working_directory") {
        import.python.chdir = folder.word().map(|word| (word, folder.place));
    }
    for (name, member) in node.members() {
        let word = || member.word().map(|word| (word, member.place));
        match name.as_str() {
            "working_directory" => {}
            "path" => {
                let paths = member
                    .elements()
                    .iter()
                    .filter_map(|path| Some((path.word()?, path.place)));
                import.python.pythonpath.extend(paths.collect::<Vec<_>>());
            }
            "module" => import.python.module = word(),
            "callable" => import.python.callable = word(),
            "environment" => {
                for (name, value) in member.members() {
                    let word = value.word().unwrap_or_default();
                    import.variable(&format!("{name}={word}"), value.place);
                }
            }
            "processes" => processes(import, member),
            "limits" => {
                for (name, limit) in member.members() {
                    let key = match name.as_str() {
                        "timeout" => "request_timeout",
                        "requests" => "max_requests",
                        _ => {
                            import.missing(limit, "the importer does not know it");
                            continue;
                        }
                    };
                    let word = limit.word().unwrap_or_default();
                    import.set(("[python]", key), &[&word], Bare::Bytes, limit.place);
                }
            }
            _ => import.member(name, member),
        }
    }
}

/// A number, or a range of which the larger one is taken.
fn processes(import: &mut Import<'_>, node: &Node) {
    let max = node.get("max");
    let count = max.unwrap_or(node).word().unwrap_or_default();
    import.set(
        ("[python]", "processes"),
        &[&count],
        Bare::Bytes,
        node.place,
    );
    if max.is_some() {
        import.row(
            node.place,
            Verdict::Default,
            "the number of workers is fixed: it is the largest one",
        );
    }
}

struct Reader<'c> {
    config: &'c Node,
    /// The name of the project's application.
    used: Option<String>,
}

impl Reader<'_> {
    fn listener(&self, import: &mut Import<'_>, address: &str, listener: &Node) {
        let Some(address) = written(address) else {
            return import.missing(listener, "sites listen on addresses with a port");
        };
        for (name, node) in listener.members().iter().filter(|(name, _)| name != "pass") {
            match name.as_str() {
                "tls" => import.row(
                    node.place,
                    Verdict::Trap,
                    "write the site's TLS by hand: without it the address speaks plain HTTP",
                ),
                "forwarded" | "client_ip" => {
                    import.missing(node, "list the proxies in `server.trusted_proxies`")
                }
                _ => import.missing(node, "the importer does not know it"),
            }
        }
        let pass = listener
            .get("pass")
            .and_then(Node::word)
            .unwrap_or_default();
        let mut sites: Vec<Site> = Vec::new();
        let mut parts = pass.split('/');
        match parts.next() {
            Some("applications") => {
                let site = site(&mut sites, &[], &address, listener);
                self.pass(import, listener, &pass, vec!["/".to_owned()], site);
            }
            Some("routes") => {
                let steps = self.config.get("routes");
                let steps = match parts.next() {
                    Some(name) => steps.and_then(|routes| routes.get(name)),
                    None => steps,
                };
                for step in steps.map_or(&[][..], Node::elements) {
                    self.step(import, step, &address, listener, &mut sites);
                }
            }
            Some("upstreams") => {
                let site = site(&mut sites, &[], &address, listener);
                let uris = vec!["/".to_owned()];
                proxy::several(import, (self.config, listener), &pass, uris, site);
            }
            _ => import.missing(listener, "it passes to nobody that can be carried over"),
        }
        // Steps without a host hold for every host; those with one are asked in their place.
        let common = sites
            .iter()
            .find(|site| site.server_name.is_empty())
            .map(|site| site.routes.clone());
        for site in sites.iter_mut().filter(|site| !site.server_name.is_empty()) {
            for route in common.iter().flatten() {
                if !site
                    .routes
                    .iter()
                    .any(|other| same(&other.pattern, &route.pattern))
                {
                    site.routes.push(route.clone());
                }
            }
        }
        sites.retain(|site| !site.routes.is_empty());
        match sites.is_empty() {
            true => import.missing(
                listener,
                "none of its routes can be carried over: there is no such site",
            ),
            false => import.row(
                listener.place,
                Verdict::Carried,
                format!("`site.listen = \"{address}\"`"),
            ),
        }
        import.draft.sites.extend(sites);
    }

    /// One step of a route: what it matches, and what it does.
    fn step(
        &self,
        import: &mut Import<'_>,
        step: &Node,
        address: &str,
        listener: &Node,
        sites: &mut Vec<Site>,
    ) {
        let (mut uris, mut hosts) = (vec!["/".to_owned()], Vec::new());
        for (name, node) in step.get("match").map_or(&[][..], Node::members) {
            let words: Vec<_> = node.elements().iter().filter_map(Node::word).collect();
            match name.as_str() {
                "uri" => match words.iter().map(|word| pattern(word)).collect::<Option<Vec<_>>>() {
                    Some(patterns) => uris = patterns,
                    None => return import.missing(step, "routes are exact or prefixes, these are patterns: add a route for each path that is meant"),
                },
                "host" if words.iter().all(|word| !word.contains(['*', '!', '~'])) => hosts = words,
                _ => return import.missing(step, "routes are matched by path and host alone: let the application decide"),
            }
        }
        let Some(action) = step.get("action") else {
            return import.missing(step, "it does nothing");
        };
        let site = site(sites, &hosts, address, listener);
        let pass = action.get("pass").and_then(Node::word);
        match (pass, action.get("share")) {
            (Some(pass), _) if pass.starts_with("applications/") => {
                self.pass(import, step, &pass, uris, site)
            }
            (Some(pass), _) if pass.starts_with("upstreams/") => {
                proxy::several(import, (self.config, step), &pass, uris, site)
            }
            (_, Some(share)) => self.share(import, action, share, uris, site),
            (None, None) if action.get("proxy").is_some() => {
                let target = action.get("proxy").and_then(Node::word).unwrap_or_default();
                proxy::one(import, step, &target, uris, site);
            }
            (None, None) if action.get("return").is_some() => {
                answer::fixed(import, step, action, uris, site);
            }
            _ => import.missing(
                step,
                "the importer does not know this action: write the route by hand, see docs/routes.md",
            ),
        }
    }

    fn pass(
        &self,
        import: &mut Import<'_>,
        node: &Node,
        pass: &str,
        uris: Vec<String>,
        site: &mut Site,
    ) {
        let name = pass.split('/').nth(1).map(str::to_owned);
        if name != self.used {
            return import.missing(node, "this application is not the project's");
        }
        for uri in uris {
            let route = route(node, uri, ("wsgi", true.into()));
            add(import, node, route, site);
        }
    }

    /// `"/srv/www$uri"`: a folder, to which the path is appended.
    fn share(
        &self,
        import: &mut Import<'_>,
        action: &Node,
        share: &Node,
        uris: Vec<String>,
        site: &mut Site,
    ) {
        let folders: Vec<_> = share.elements().iter().filter_map(Node::word).collect();
        let [folder] = folders.as_slice() else {
            return import.missing(
                share,
                "one folder is looked into: add routes for the others",
            );
        };
        // Before 1.26 the path was appended without saying so.
        let (folder, appended) = match folder.strip_suffix("$uri") {
            Some(folder) => (folder, true),
            None => (folder.as_str(), folder.ends_with('/')),
        };
        if folder.contains('$') {
            return import.missing(share, "of variables only a final `$uri` is understood");
        }
        for uri in uris {
            let exact = uri.strip_prefix("= ");
            let below = exact.unwrap_or(&uri).trim_matches('/');
            let path = match (appended, below) {
                (false, _) | (true, "") => folder.trim_end_matches('/').to_owned(),
                (true, below) => format!("{}/{below}", folder.trim_end_matches('/')),
            };
            let mut route = route(share, uri.clone(), ("files", path.clone().into()));
            if let Some(index) = action.get("index").and_then(Node::word) {
                set(&mut route, "index", list(&[&index]), share);
            }
            if let Some(fallback) = action.get("fallback") {
                self.fallback(import, fallback, &path, &mut route);
            }
            add(import, share, route, site);
        }
    }

    /// What answers where no file does: one file, or the application.
    fn fallback(&self, import: &mut Import<'_>, node: &Node, folder: &str, route: &mut Route) {
        let share = node.get("share").and_then(Node::word);
        let pass = node.get("pass").and_then(Node::word).unwrap_or_default();
        let inside = share.as_deref().and_then(|file| file.strip_prefix(folder));
        match inside.filter(|file| file.starts_with('/') && !file.contains('$')) {
            Some(file) => {
                set(route, "fallback", file.into(), node);
                import.row(
                    node.place,
                    Verdict::Carried,
                    format!("`fallback = \"{file}\"`, for page loads"),
                );
            }
            None if pass.strip_prefix("applications/") == self.used.as_deref()
                && self.used.is_some() =>
            {
                route.target = ("wsgi", true.into());
                route.table = Table::default();
                let text = format!(
                    "the application answers; add a route for what lies in \"{folder}\", such as `\"/static/\" = {{ files = … }}`"
                );
                import.missing(node, &text);
            }
            None => import.missing(node, "the fallback of files is a file of the same folder"),
        }
    }
}

fn route(node: &Node, pattern: String, target: (&'static str, Value)) -> Route {
    Route {
        place: Some(node.place),
        pattern,
        target,
        table: Table::default(),
        withheld: None,
    }
}

fn set(route: &mut Route, key: &str, value: Value, node: &Node) {
    let converted = crate::convert::Converted { value, rank: None };
    route.table.inherit(&Line::said(key, converted, node.place));
}

/// Earlier steps are asked first, so of two routes for the same paths the first one holds.
fn add(import: &mut Import<'_>, node: &Node, route: Route, site: &mut Site) {
    match site
        .routes
        .iter()
        .any(|other| same(&other.pattern, &route.pattern))
    {
        true => import.missing(node, "an earlier step answers the same paths"),
        false => {
            import.row(
                node.place,
                Verdict::Carried,
                format!("the route `{}`", route.pattern),
            );
            site.routes.push(route);
        }
    }
}

fn same(a: &str, b: &str) -> bool {
    a.trim_end_matches('/') == b.trim_end_matches('/')
}

/// The site of these hosts, made if there is none yet.
fn site<'s>(
    sites: &'s mut Vec<Site>,
    hosts: &[String],
    address: &str,
    listener: &Node,
) -> &'s mut Site {
    let at = sites.iter().position(|site| site.server_name == hosts);
    let at = at.unwrap_or_else(|| {
        sites.push(Site {
            place: Some(listener.place),
            listen: vec![address.to_owned()],
            server_name: hosts.to_vec(),
            is_default: hosts.is_empty(),
            table: Table::default(),
            tls: Table::default(),
            routes: Vec::new(),
        });
        sites.len() - 1
    });
    &mut sites[at]
}

/// `/static/*` is a prefix, `/x` a path; none for other patterns.
fn pattern(uri: &str) -> Option<String> {
    let (path, is_prefix) = match uri.strip_suffix('*') {
        Some(prefix) => (prefix, true),
        None => (uri, false),
    };
    let fits = path.starts_with('/')
        && !path.contains(['*', '!', '~', '%', '?', '#', '\\'])
        && !path.contains("//");
    match (fits, is_prefix) {
        (false, _) => None,
        (true, true) => Some(path.to_owned()),
        (true, false) => Some(format!("= {path}")),
    }
}

fn written(address: &str) -> Option<String> {
    let (host, port) = address.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    match host {
        "*" | "" => Some(format!("0.0.0.0:{port}")),
        "unix" => None,
        _ => Some(address.to_owned()),
    }
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn every_key_is_one() {
        for (name, fate) in ROWS {
            if let Key(header, key) = fate {
                assert!(appliance_project::kind(header, key).is_some(), "{name}");
            }
        }
    }

    #[test]
    fn patterns_with_a_final_star_are_prefixes() {
        assert_eq!(pattern("/static/*").as_deref(), Some("/static/"));
        assert_eq!(pattern("/x").as_deref(), Some("= /x"));
        assert_eq!(pattern("*"), None);
        assert_eq!(pattern("/a*b"), None);
        assert_eq!(pattern("~^/x"), None);
    }
}
