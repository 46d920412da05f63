//! A location that passes its requests on: to the project's application, or to another server.

use appliance_project::kind;
use toml_edit::{InlineTable, Value};

use crate::convert::{Bare, convert};
use crate::draft::{Route, plain};
use crate::report::Verdict;

use super::backend::{Backend, is_secure, split};
use super::level::{Reader, words};
use super::location::inherit;
use super::scope::{Host, Scope};
use super::tree::Directive;
use super::upstream::PROXY;
use super::values::is_standard_param;

/// Fields that a route with `proxy` sends by itself.
const OWN_FIELDS: [&str; 6] = [
    "connection",
    "upgrade",
    "x-real-ip",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
];

/// What is said of another server in the words for the application.
const RULED: [&str; 8] = [
    "proxy_read_timeout",
    "proxy_hide_header",
    "proxy_intercept_errors",
    "proxy_pass",
    "uwsgi_read_timeout",
    "uwsgi_hide_header",
    "uwsgi_intercept_errors",
    "uwsgi_pass",
];

/// Whether a directive of a location is about the other server that it passes to.
pub(super) fn is_of_proxy(name: &str) -> bool {
    (name.starts_with("proxy_") || name.starts_with("uwsgi_"))
        && !name.starts_with("proxy_ssl_")
        && !RULED.contains(&name)
}

impl Reader<'_, '_> {
    /// Whether a location passes to another server than the application.
    pub(super) fn passes_elsewhere(&self, location: &Directive) -> bool {
        let mut passes = location
            .inner()
            .iter()
            .filter(|inner| matches!(inner.name.as_str(), "proxy_pass" | "uwsgi_pass"));
        passes.any(|pass| self.backends.whose(pass, &self.bound(pass)) == Backend::Other)
    }

    /// What is said of another server. Unlike the application it does not lie in the same process,
    /// so a field or a bound that is left out is a difference.
    pub(super) fn of_proxy(&mut self, directive: &Directive) -> Option<(&'static str, Value)> {
        let field = directive.arg().to_ascii_lowercase();
        let connect = "connect_timeout";
        let of_connect =
            kind(PROXY, connect).filter(|_| directive.name.ends_with("_connect_timeout"));
        if let Some(of) = of_connect {
            match convert(of, &words(directive), Bare::Bytes) {
                Ok(converted) => {
                    let shown = plain(&converted.value);
                    let text = format!("`{connect} = {shown}` of its `proxy`");
                    self.row(directive.place, Verdict::Carried, text);
                    return Some((connect, converted.value));
                }
                Err(unfit) => {
                    self.unfit(directive.place, PROXY, connect, &unfit);
                    return None;
                }
            }
        }
        let (verdict, text) = match directive.name.as_str() {
            "proxy_set_header" if field == "host" => host_field(directive),
            "proxy_set_header" if OWN_FIELDS.contains(&field.as_str()) => {
                (Verdict::Default, "`proxy` sends this field by itself")
            }
            "proxy_set_header" => (
                Verdict::Missing,
                "`proxy` sends no fields of one's own: have the client or the server set it",
            ),
            "uwsgi_param" if is_standard_param(directive.arg()) => {
                (Verdict::Default, "`proxy` sends this variable by itself")
            }
            "uwsgi_param" => (
                Verdict::Missing,
                "`proxy` sends the variables of uwsgi_params and no others: have the server set it",
            ),
            "uwsgi_buffering"
            | "uwsgi_request_buffering"
            | "uwsgi_pass_request_headers"
            | "uwsgi_pass_request_body"
            | "proxy_next_upstream"
            | "uwsgi_next_upstream" => (
                Verdict::Default,
                "bodies are passed on while they come; another server is asked where that does no harm",
            ),
            "proxy_http_version" | "proxy_buffering" | "proxy_request_buffering" => (
                Verdict::Default,
                "HTTP/1.1; bodies are passed on while they come",
            ),
            _ => (
                Verdict::Missing,
                "see the keys of `proxy` in docs/project-file.md, and write it by hand",
            ),
        };
        self.row(directive.place, verdict, text);
        None
    }

    /// A route to the application, or to another server.
    pub(super) fn passed(
        &mut self,
        location: &Directive,
        (backend, keys): (&Directive, &[(&'static str, Value)]),
        path: &str,
        scope: &Scope,
        mut route: Route,
    ) -> Option<Route> {
        let bound = self.bound(backend);
        match self.backends.whose(backend, &bound) {
            Backend::Application { sure } => {
                let text = match sure {
                    true => "`wsgi = true`: handed over in memory",
                    false => {
                        "`wsgi = true`: taken for the project's application, since nothing says where that listens"
                    }
                };
                self.row(backend.place, Verdict::Carried, text);
                let (_, uri) = split(backend.arg());
                if !uri.is_empty() && uri != path && backend.name == "proxy_pass" {
                    let text = format!(
                        "nginx replaced `{path}` by `{uri}`; the application gets the whole path, `{path}` included"
                    );
                    self.row(backend.place, Verdict::Trap, text);
                }
                inherit(&mut route, scope);
                Some(route)
            }
            Backend::Other => self.proxied(location, (backend, keys), scope, route),
        }
    }

    /// A route to another server.
    fn proxied(
        &mut self,
        location: &Directive,
        (backend, more): (&Directive, &[(&'static str, Value)]),
        scope: &Scope,
        mut route: Route,
    ) -> Option<Route> {
        let mut keys = match self.backends.proxy(backend) {
            Ok(keys) => keys,
            Err(why) => {
                self.row(backend.place, Verdict::Missing, why);
                self.row(location.place, Verdict::Missing, "there is no such route");
                return None;
            }
        };
        let secure = is_secure(backend);
        let host_is_servers = match scope.host {
            Some(host) => host == Host::Server,
            // Of several sites behind one address TLS and Host name the same.
            None => secure,
        };
        if host_is_servers {
            keys.push(("host", "server".into()));
        }
        if secure {
            keys.extend(self.proxy_tls(backend, scope));
        }
        keys.extend(more.iter().cloned());
        // `proxy_read_timeout` and `uwsgi_read_timeout`, which are read before it is known who answers.
        let timeout = scope
            .route
            .iter()
            .find(|line| line.key == "request_timeout");
        if let Some(line) = timeout {
            keys.push(("response_timeout", line.converted.value.clone()));
            if let Some(row) = line.row {
                let shown = plain(&line.converted.value);
                let text = format!("`response_timeout = {shown}` of its `proxy`");
                self.import.report.correct(row, Verdict::Carried, text);
            }
        }
        let value = match keys.as_slice() {
            [(_, to)] => to.clone(),
            _ => Value::InlineTable(keys.into_iter().collect::<InlineTable>()),
        };
        let shown = format!("`proxy = {}`", plain(&value));
        let (verdict, text) = match self.bound(backend).is_empty() && !secure {
            true => (
                Verdict::Trap,
                format!(
                    "{shown}: if one of these is the project's own application, write `wsgi = true`"
                ),
            ),
            false => (
                Verdict::Carried,
                match backend.name.as_str() {
                    "uwsgi_pass" => {
                        format!("{shown}: the project's application does not listen there")
                    }
                    _ if host_is_servers => format!("{shown}; it gets its own name as Host"),
                    _ => format!(
                        "{shown}; it gets the client's Host, which `host = \"server\"` changes"
                    ),
                },
            ),
        };
        self.row(backend.place, verdict, text);
        route.target = ("proxy", value);
        inherit(&mut route, scope);
        Some(route)
    }
}

/// `proxy_set_header Host …`
fn host_field(directive: &Directive) -> (Verdict, &'static str) {
    match directive.args.get(1).map(String::as_str) {
        Some("$proxy_host") => (Verdict::Carried, "`host = \"server\"` of its `proxy`"),
        Some(value) if value.contains('$') => {
            (Verdict::Default, "`proxy` sends this field by itself")
        }
        _ => (
            Verdict::Missing,
            "Host is the client's, or with `host = \"server\"` of `proxy` the one of its URL",
        ),
    }
}
