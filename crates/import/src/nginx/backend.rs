//! Who a `uwsgi_pass` or `proxy_pass` passes to: the project's application, or another server.

use std::collections::{BTreeMap, BTreeSet};

use toml_edit::{Array, InlineTable, Value};

use crate::report::Verdict;

use super::level::Reader;
use super::tree::Directive;

/// Every `upstream`, and every backend that is passed to.
#[derive(Debug, Default)]
pub(crate) struct Backends {
    upstreams: BTreeMap<String, Vec<String>>,
    /// The arguments of the `server`s of every `upstream`.
    servers: BTreeMap<String, Vec<Vec<String>>>,
    /// The distinct servers of every `proxy_pass`.
    http: BTreeSet<String>,
    /// The rate and key of every `limit_req_zone`.
    pub(crate) zones: BTreeMap<String, (String, String)>,
}

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Backend {
    /// The project's application; whether nginx passed to where it listens.
    Application { sure: bool },
    /// Another server.
    Other,
}

impl Backends {
    /// Looks through a whole configuration.
    pub(crate) fn find(tree: &[Directive]) -> Backends {
        let mut backends = Backends::default();
        let mut passes = Vec::new();
        backends.walk(tree, &mut passes);
        for target in passes {
            let addresses = backends.addresses(target);
            backends.http.extend(addresses);
        }
        backends
    }

    fn walk<'t>(&mut self, block: &'t [Directive], passes: &mut Vec<&'t str>) {
        for directive in block {
            match directive.name.as_str() {
                "upstream" => {
                    let servers = directive
                        .inner()
                        .iter()
                        .filter(|inner| inner.name == "server");
                    let servers: Vec<_> = servers.map(|server| server.args.clone()).collect();
                    let first = |args: &Vec<String>| args.first().map(|text| address(text));
                    let addresses = servers.iter().filter_map(first).collect();
                    let name = directive.arg().to_owned();
                    self.upstreams.insert(name.clone(), addresses);
                    self.servers.insert(name, servers);
                }
                "limit_req_zone" => self.zones.extend(super::access::zone(directive)),
                "proxy_pass" => passes.push(directive.arg()),
                _ => self.walk(directive.inner(), passes),
            }
        }
    }

    /// The servers behind the target of a pass.
    pub(crate) fn addresses(&self, target: &str) -> Vec<String> {
        let (name, _) = split(target);
        match self.upstreams.get(name) {
            Some(servers) => servers.clone(),
            None => vec![address(name)],
        }
    }

    /// The value of `proxy` for the target of a pass, or why there is none.
    pub(crate) fn proxy(&self, target: &str) -> Result<Value, &'static str> {
        if target.contains(['$', '?', '#']) {
            return Err("a variable or a query is in its target: write the route by hand");
        }
        let (name, path) = split(target);
        if target.starts_with("https://") {
            return Err(
                "write it by hand: `proxy = \"https://…\"` verifies the server's certificate, which nginx does not unless it is told to",
            );
        }
        let alone = [vec![name.to_owned()]];
        let servers = self.servers.get(name).map_or(&alone[..], Vec::as_slice);
        let has = |args: &[String], word: &str| args.iter().any(|arg| arg == word);
        if servers.iter().any(|args| has(args, "backup")) {
            return Err(
                "there are no servers that are asked only when others fail: write the route by hand",
            );
        }
        let mut urls = Vec::new();
        for args in servers.iter().filter(|args| !has(args, "down")) {
            let [server, options @ ..] = args.as_slice() else {
                continue;
            };
            let weight = options.iter().find_map(|arg| arg.strip_prefix("weight="));
            let weight = weight.and_then(|weight| weight.parse().ok()).unwrap_or(1);
            urls.push((url(server, path)?, weight));
        }
        match urls.as_slice() {
            [] => Err("its `upstream` has no servers"),
            [(url, _)] => Ok(url.as_str().into()),
            _ if urls.iter().all(|(_, weight)| *weight == 1) => {
                let urls: Array = urls.iter().map(|(url, _)| url.as_str()).collect();
                Ok(Value::Array(urls))
            }
            _ => {
                let weights: InlineTable = urls.into_iter().collect();
                Ok(Value::InlineTable(weights))
            }
        }
    }

    /// Who it is, when the application listens at `bound`.
    pub(crate) fn whose(&self, directive: &Directive, bound: &[String]) -> Backend {
        let addresses = self.addresses(directive.arg());
        let sure = addresses.iter().any(|address| bound.contains(address));
        let application = match directive.name.as_str() {
            // Only an application server speaks uwsgi.
            "uwsgi_pass" => true,
            // Without a word about where it listens, it is the only one that there is.
            _ => sure || (bound.is_empty() && self.http.len() <= addresses.len()),
        };
        match application {
            true => Backend::Application { sure },
            false => Backend::Other,
        }
    }
}

impl Reader<'_, '_> {
    /// An `upstream`: its servers are the application, or others.
    pub(super) fn upstream(&mut self, directive: &Directive) {
        let addresses = self.backends.addresses(directive.arg());
        let bound = &self.import.python.bound;
        let is_ours = bound.is_empty() || addresses.iter().any(|address| bound.contains(address));
        let several = addresses.iter().collect::<BTreeSet<_>>().len() > 1;
        let (verdict, text) = match (is_ours, several) {
            (false, _) => (
                Verdict::Carried,
                "its servers stand in `proxy` of its routes",
            ),
            (true, true) => (
                Verdict::Missing,
                "one appliance runs the application, on one machine: balance over several of them in front",
            ),
            (true, false) => (
                Verdict::NotNeeded,
                "nothing lies between front and application",
            ),
        };
        self.row(directive.place, verdict, text);
        for inner in directive.inner() {
            match (is_ours, inner.name.as_str()) {
                (true, _) | (false, "server") => {
                    self.row(inner.place, verdict, "belongs to its `upstream`");
                }
                (false, _) => self.row(
                    inner.place,
                    Verdict::Missing,
                    "see the keys of `proxy` in docs/project-file.md, and write it by hand",
                ),
            }
        }
    }
}

/// A server as `proxy` names it.
fn url(server: &str, path: &str) -> Result<String, &'static str> {
    match server.strip_prefix("unix:") {
        Some(_) if !path.is_empty() => {
            Err("servers behind a socket get the request's path: write the route by hand")
        }
        Some(_) => Ok(server.to_owned()),
        None => Ok(format!("http://{server}{path}")),
    }
}

/// The server of `http://name/path`, and the path.
pub(crate) fn split(target: &str) -> (&str, &str) {
    let rest = target.split_once("://").map_or(target, |(_, rest)| rest);
    if let Some(socket) = rest.strip_prefix("unix:") {
        // `unix:/run/app.sock:/path`
        let end = socket.find(':').map_or(rest.len(), |at| at + "unix:".len());
        return (&rest[..end], rest[end..].trim_start_matches(':'));
    }
    let end = rest.find('/').unwrap_or(rest.len());
    rest.split_at(end)
}

/// In one form, whoever writes it: `127.0.0.1:8000`, `unix:/run/app.sock`.
pub(crate) fn address(text: &str) -> String {
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    if let Some(path) = text.strip_prefix("unix:") {
        return format!("unix:{}", path.trim_start_matches("//"));
    }
    if text.starts_with('/') {
        return format!("unix:{text}");
    }
    match text.rsplit_once(':') {
        Some(("localhost" | "" | "0.0.0.0" | "*" | "[::]" | "[::1]", port)) => {
            format!("127.0.0.1:{port}")
        }
        Some(_) => text.to_owned(),
        None if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() => {
            format!("127.0.0.1:{text}")
        }
        None => format!("{text}:80"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nginx::tree::parse;

    #[test]
    fn addresses_have_one_form() {
        for (text, expected) in [
            ("127.0.0.1:8000", "127.0.0.1:8000"),
            ("localhost:8000", "127.0.0.1:8000"),
            ("0.0.0.0:8000", "127.0.0.1:8000"),
            (":8000", "127.0.0.1:8000"),
            ("unix:/run/a.sock", "unix:/run/a.sock"),
            ("unix:///run/a.sock", "unix:/run/a.sock"),
            ("/run/a.sock", "unix:/run/a.sock"),
            ("http://unix:/run/a.sock", "unix:/run/a.sock"),
            ("app", "app:80"),
        ] {
            assert_eq!(address(text), expected, "{text}");
        }
        assert_eq!(split("http://app/x"), ("app", "/x"));
        assert_eq!(
            split("http://unix:/run/a.sock:/x"),
            ("unix:/run/a.sock", "/x")
        );
        assert_eq!(split("http://unix:/run/a.sock"), ("unix:/run/a.sock", ""));
    }

    #[test]
    fn a_pass_leads_to_the_application_where_that_listens() {
        let tree = parse(0, "upstream a { server unix:/run/a.sock fail_timeout=0; } location / { proxy_pass http://a; } location /b { proxy_pass http://127.0.0.1:9; }").unwrap();
        let backends = Backends::find(&tree);
        let (a, b) = (&tree[1].inner()[0], &tree[2].inner()[0]);
        let bound = ["unix:/run/a.sock".to_owned()];
        assert_eq!(
            backends.whose(a, &bound),
            Backend::Application { sure: true }
        );
        assert_eq!(backends.whose(b, &bound), Backend::Other);
        // Two, and no word about which of them it is.
        assert_eq!(backends.whose(a, &[]), Backend::Other);
    }

    #[test]
    fn other_servers_are_named_as_proxy_names_them() {
        let tree = parse(0, "upstream a { server 127.0.0.1:1; server b:2 weight=3; server c down; } upstream d { server e; server f; } upstream g { server h backup; }").unwrap();
        let backends = Backends::find(&tree);
        let value = |target: &str| backends.proxy(target).map(|value| value.to_string());
        for (target, expected) in [
            ("http://[::1]:9/x/", "\"http://[::1]:9/x/\""),
            ("http://unix:/run/a.sock", "\"unix:/run/a.sock\""),
            (
                "http://a",
                "{ \"http://127.0.0.1:1\" = 1, \"http://b:2\" = 3 }",
            ),
            ("http://d/x", "[\"http://e/x\", \"http://f/x\"]"),
        ] {
            assert_eq!(value(target).as_deref(), Ok(expected), "{target}");
        }
        for target in ["http://$host", "https://a", "http://g", "http://unix:/a:/b"] {
            assert!(value(target).is_err(), "{target}");
        }
    }
}
