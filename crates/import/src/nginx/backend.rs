//! Who a `uwsgi_pass` or `proxy_pass` passes to: the project's application, or another server.

use std::collections::{BTreeMap, BTreeSet};

use toml_edit::{Array, InlineTable, Value};

use crate::report::Verdict;

use super::level::Reader;
use super::tree::Directive;
use super::upstream::{self, Upstream};

/// Every `upstream`, and every backend that is passed to.
#[derive(Debug, Default)]
pub(crate) struct Backends {
    upstreams: BTreeMap<String, Upstream>,
    /// The distinct servers of every `proxy_pass` without TLS.
    http: BTreeSet<String>,
    /// Those with it: what a Python server speaks to the nginx in front of it is plain HTTP.
    https: BTreeSet<String>,
    /// Those of every `uwsgi_pass`.
    uwsgi: BTreeSet<String>,
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
        for pass in passes {
            let addresses = backends.addresses(pass.arg());
            match pass.name.as_str() {
                "uwsgi_pass" => backends.uwsgi.extend(addresses),
                _ if is_secure(pass) => backends.https.extend(addresses),
                _ => backends.http.extend(addresses),
            }
        }
        backends
    }

    fn walk<'t>(&mut self, block: &'t [Directive], passes: &mut Vec<&'t Directive>) {
        for directive in block {
            match directive.name.as_str() {
                "upstream" => {
                    let name = directive.arg().to_owned();
                    self.upstreams.insert(name, Upstream::read(directive));
                }
                "limit_req_zone" => self.zones.extend(super::access::zone(directive)),
                "proxy_pass" | "uwsgi_pass" => passes.push(directive),
                _ => self.walk(directive.inner(), passes),
            }
        }
    }

    /// The servers behind the target of a pass.
    pub(crate) fn addresses(&self, target: &str) -> Vec<String> {
        let (name, _) = split(target);
        match self.upstreams.get(name) {
            Some(upstream) => upstream.addresses(),
            None => vec![address(name)],
        }
    }

    /// The keys of `proxy` for a pass, `to` the first of them, or why there are none.
    pub(crate) fn proxy(
        &self,
        pass: &Directive,
    ) -> Result<Vec<(&'static str, Value)>, &'static str> {
        let target = pass.arg();
        if target.contains(['$', '?', '#']) {
            return Err("a variable or a query is in its target: write the route by hand");
        }
        if target.starts_with("suwsgi://") {
            return Err("the uwsgi protocol is spoken without TLS alone: write the route by hand");
        }
        let (name, path) = split(target);
        let scheme = match pass.name.as_str() {
            "uwsgi_pass" => "uwsgi://",
            _ if is_secure(pass) => "https://",
            _ => "http://",
        };
        let Some(upstream) = self.upstreams.get(name) else {
            return Ok(vec![("to", url(scheme, name, path)?.into())]);
        };
        // A server of an `upstream` has port 80 where none is said, whatever it speaks.
        let named = |server: &str| match scheme {
            "https://" if !server.starts_with("unix:") => with_port(server),
            _ => server.to_owned(),
        };
        let servers = |is_backup: bool| {
            let those = upstream
                .servers
                .iter()
                .filter(move |server| !server.is_down && server.is_backup == is_backup);
            let urls =
                those.map(|server| Ok((url(scheme, &named(&server.name), path)?, server.weight)));
            urls.collect::<Result<Vec<_>, &'static str>>()
        };
        let to = written(servers(false)?).ok_or("its `upstream` has no servers")?;
        let mut keys = vec![("to", to)];
        keys.extend(written(servers(true)?).map(|backups| ("backup", backups)));
        keys.extend(upstream.keys.iter().cloned());
        Ok(keys)
    }

    /// The `upstream` that a pass names, if it does.
    pub(super) fn upstream_of<'p>(&self, pass: &'p Directive) -> Option<&'p str> {
        let (name, _) = split(pass.arg());
        self.upstreams.contains_key(name).then_some(name)
    }

    /// Who it is, when the application listens at `bound`.
    pub(crate) fn whose(&self, directive: &Directive, bound: &[String]) -> Backend {
        let addresses = self.addresses(directive.arg());
        let sure = addresses.iter().any(|address| bound.contains(address));
        // Without a word about where the application listens, it is the only one that there is;
        // where anything speaks uwsgi, one of those.
        let only = match directive.name.as_str() {
            "uwsgi_pass" => self.uwsgi.len() == 1,
            _ if is_secure(directive) => false,
            _ => self.uwsgi.is_empty() && self.http.len() == 1,
        };
        match sure || (bound.is_empty() && only) {
            true => Backend::Application { sure },
            false => Backend::Other,
        }
    }
}

/// The value of `to` or `backup`; none without servers.
fn written(urls: Vec<(String, i64)>) -> Option<Value> {
    match urls.as_slice() {
        [] => None,
        [(url, _)] => Some(url.as_str().into()),
        _ if urls.iter().all(|(_, weight)| *weight == 1) => {
            let urls: Array = urls.iter().map(|(url, _)| url.as_str()).collect();
            Some(Value::Array(urls))
        }
        _ => Some(Value::InlineTable(
            urls.into_iter().collect::<InlineTable>(),
        )),
    }
}

impl Reader<'_, '_> {
    /// Where the application listens, as far as it speaks what the pass does.
    pub(super) fn bound(&self, pass: &Directive) -> Vec<String> {
        let python = &self.import.python;
        let speaks_http = |address: &String| {
            let mut http = python.http.iter();
            http.any(|(one, _)| super::address(one) == *address)
        };
        let of_uwsgi = pass.name == "uwsgi_pass";
        let bound = python.bound.iter();
        let bound = bound.filter(|address| !of_uwsgi || !speaks_http(address));
        bound.cloned().collect()
    }

    /// An `upstream`: its servers are the application, or others.
    pub(super) fn upstream(&mut self, directive: &Directive) {
        let addresses = self.backends.addresses(directive.arg());
        let several = addresses.iter().collect::<BTreeSet<_>>().len() > 1;
        if !self.is_application(&addresses) {
            let text = "its servers stand in `proxy` of its routes";
            self.row(directive.place, Verdict::Carried, text);
            for inner in directive.inner() {
                let (verdict, text) = upstream::said(inner);
                self.row(inner.place, verdict, text);
            }
            return;
        }
        let (verdict, text) = match several {
            true => (
                Verdict::Missing,
                "one appliance runs the application, on one machine: balance over several of them in front",
            ),
            false => (
                Verdict::NotNeeded,
                "nothing lies between front and application",
            ),
        };
        self.row(directive.place, verdict, text);
        for inner in directive.inner() {
            self.row(inner.place, verdict, "belongs to its `upstream`");
        }
    }

    /// Whether a pass to these servers leads to the application.
    fn is_application(&self, addresses: &[String]) -> bool {
        let bound = &self.import.python.bound;
        let of_uwsgi = addresses
            .iter()
            .any(|one| self.backends.uwsgi.contains(one));
        let of_https = addresses
            .iter()
            .any(|one| self.backends.https.contains(one));
        let only = match of_uwsgi {
            true => self.backends.uwsgi.len() == 1,
            false if of_https => false,
            false => self.backends.uwsgi.is_empty() && self.backends.http.len() <= 1,
        };
        addresses.iter().any(|one| bound.contains(one)) || (bound.is_empty() && only)
    }
}

/// Whether a pass is one by TLS.
pub(super) fn is_secure(pass: &Directive) -> bool {
    pass.name == "proxy_pass" && pass.arg().starts_with("https://")
}

/// A server as `proxy` names it.
fn url(scheme: &str, server: &str, path: &str) -> Result<String, &'static str> {
    let is_uwsgi = scheme == "uwsgi://";
    match server.strip_prefix("unix:") {
        Some(_) if !path.is_empty() => {
            Err("servers behind a socket get the request's path: write the route by hand")
        }
        Some(_) if scheme == "https://" => {
            Err("servers behind a socket are spoken to without TLS: write the route by hand")
        }
        Some(socket) => {
            let socket = format!("unix:{}", socket.trim_start_matches("//"));
            Ok(if is_uwsgi {
                format!("{scheme}{socket}")
            } else {
                socket
            })
        }
        // It has no port of its own.
        None if is_uwsgi => Ok(format!("{scheme}{}", with_port(server))),
        None => Ok(format!("{scheme}{server}{path}")),
    }
}

fn with_port(server: &str) -> String {
    let after = server.rfind(']').map_or(0, |at| at + 1);
    match server[after..].contains(':') {
        true => server.to_owned(),
        false => format!("{server}:80"),
    }
}

/// The server of `http://name/path`, and the path.
pub(crate) fn split(target: &str) -> (&str, &str) {
    let rest = match target.split_once("://") {
        // `unix:///run/app.sock` has no scheme.
        Some((scheme, rest)) if scheme != "unix" => rest,
        _ => target,
    };
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
    fn what_speaks_uwsgi_may_be_another_server() {
        let tree = parse(0, "upstream two { server 10.0.0.1:3031; server 10.0.0.2:3031; } location / { uwsgi_pass two; } location /b { uwsgi_pass unix:/run/b.sock; }").unwrap();
        let backends = Backends::find(&tree);
        let (two, one) = (&tree[1].inner()[0], &tree[2].inner()[0]);
        for (bound, expected) in [
            (
                vec!["unix:/run/b.sock".to_owned()],
                Backend::Application { sure: true },
            ),
            (vec!["127.0.0.1:3031".to_owned()], Backend::Other),
            // Three, and no word about which of them it is.
            (Vec::new(), Backend::Other),
        ] {
            assert_eq!(backends.whose(one, &bound), expected, "{bound:?}");
            assert_eq!(backends.whose(two, &bound), Backend::Other, "{bound:?}");
        }
        let tree = parse(0, "location / { uwsgi_pass a:1; } location /b { uwsgi_pass a:1; } location /c { proxy_pass http://a:2; }").unwrap();
        let backends = Backends::find(&tree);
        let whose = |at: usize| backends.whose(&tree[at].inner()[0], &[]);
        assert_eq!(whose(0), Backend::Application { sure: false });
        assert_eq!(whose(2), Backend::Other);
    }

    #[test]
    fn other_servers_are_named_as_proxy_names_them() {
        let upstreams = "upstream a { server 127.0.0.1:1; server b:2 weight=3; server c down; } upstream d { server e; server f; } \
                         upstream g { least_conn; server h; server i backup; } upstream j { server unix:/run/j.sock; }";
        let value = |pass: &str| {
            let tree = parse(0, &format!("{upstreams} location / {{ {pass}; }}")).unwrap();
            let keys = Backends::find(&tree).proxy(&tree[4].inner()[0]);
            keys.map(|keys| {
                let keys = keys.iter().map(|(key, value)| format!("{key} = {value}"));
                keys.collect::<Vec<_>>().join(", ")
            })
        };
        for (pass, expected) in [
            ("proxy_pass http://[::1]:9/x/", "to = \"http://[::1]:9/x/\""),
            (
                "proxy_pass http://unix:/run/a.sock",
                "to = \"unix:/run/a.sock\"",
            ),
            (
                "proxy_pass http://a",
                "to = { \"http://127.0.0.1:1\" = 1, \"http://b:2\" = 3 }",
            ),
            (
                "proxy_pass http://d/x",
                "to = [\"http://e/x\", \"http://f/x\"]",
            ),
            (
                "proxy_pass http://g",
                "to = \"http://h\", backup = \"http://i\", balance = \"least_requests\"",
            ),
            ("proxy_pass https://k/x", "to = \"https://k/x\""),
            (
                "proxy_pass https://d",
                "to = [\"https://e:80\", \"https://f:80\"]",
            ),
            ("uwsgi_pass 10.0.0.1:3031", "to = \"uwsgi://10.0.0.1:3031\""),
            (
                "uwsgi_pass uwsgi://10.0.0.1:3031",
                "to = \"uwsgi://10.0.0.1:3031\"",
            ),
            (
                "uwsgi_pass unix:///run/a.sock",
                "to = \"uwsgi://unix:/run/a.sock\"",
            ),
            ("uwsgi_pass j", "to = \"uwsgi://unix:/run/j.sock\""),
            ("uwsgi_pass d", "to = [\"uwsgi://e:80\", \"uwsgi://f:80\"]"),
        ] {
            assert_eq!(value(pass).as_deref(), Ok(expected), "{pass}");
        }
        for pass in [
            "proxy_pass http://$host",
            "proxy_pass https://j",
            "proxy_pass https://unix:/run/a.sock",
            "proxy_pass http://unix:/a:/b",
            "uwsgi_pass suwsgi://a:1",
        ] {
            assert!(value(pass).is_err(), "{pass}");
        }
    }
}
