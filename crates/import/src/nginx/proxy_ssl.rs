//! `proxy_ssl_…`: how the certificate of another server is looked at, as `proxy` says it.

use toml_edit::Value;

use crate::convert::{Converted, flag};
use crate::draft::{Line, plain};
use crate::report::Verdict;

use super::level::Reader;
use super::scope::Scope;
use super::tree::Directive;

/// Whether nginx sends a server's name in the handshake: no key, but it tells which name counts.
const SENDS_NAME: &str = "proxy_ssl_server_name";

impl Reader<'_, '_> {
    /// One of these directives. What it says is carried over by the routes that it holds for.
    pub(super) fn proxy_ssl(&mut self, directive: &Directive, scope: &mut Scope) {
        let word = directive.arg();
        let is_flag = matches!(directive.name.as_str(), "proxy_ssl_verify" | SENDS_NAME);
        let (key, value): (_, Option<Value>) = match directive.name.as_str() {
            "proxy_ssl_verify" => ("verify", flag(word).map(Value::from)),
            SENDS_NAME => (SENDS_NAME, flag(word).map(Value::from)),
            "proxy_ssl_trusted_certificate" => {
                let path = self.conf.join(word).display().to_string();
                ("ca", Some(path.into()))
            }
            _ => (
                "server_name",
                Some(word)
                    .filter(|name| !name.contains('$'))
                    .map(Value::from),
            ),
        };
        let Some(value) = value else {
            scope.secure.retain(|line| line.key != key);
            let (verdict, text) = match word {
                _ if is_flag => (Verdict::Missing, "is `on` or `off`"),
                "$proxy_host" => (Verdict::Default, "the host of a server's URL is its name"),
                _ => (
                    Verdict::Missing,
                    "there are no variables: `server_name` of `proxy` is one name",
                ),
            };
            return self.row(directive.place, verdict, text);
        };
        let (verdict, text) = match key {
            SENDS_NAME => (Verdict::Default, "the name of the server is always sent"),
            _ => (
                Verdict::NotNeeded,
                "holds for no route to a server of `https://`",
            ),
        };
        let row = self.import.report.row(directive.place, verdict, text);
        let converted = Converted { value, rank: None };
        let line = Line::inherited(key, converted, directive.place, row);
        Scope::put(&mut scope.secure, line);
    }

    /// The keys of `proxy` for a pass to `https://`.
    pub(super) fn proxy_tls(
        &mut self,
        pass: &Directive,
        scope: &Scope,
    ) -> Vec<(&'static str, Value)> {
        let line = |key: &str| scope.secure.iter().find(|line| line.key == key);
        let is_on =
            |key: &str| line(key).is_some_and(|line| line.converted.value.as_bool() == Some(true));
        let verifies = is_on("verify");
        let mut keys = Vec::new();
        for key in ["verify", "ca", "server_name"] {
            let Some(line) = line(key) else { continue };
            // Without a look at the certificate there is nothing to compare it with.
            if key == "ca" && !verifies {
                continue;
            }
            if let Some(row) = line.row {
                let text = format!("`{key} = {}` of its `proxy`", plain(&line.converted.value));
                self.import.report.correct(row, Verdict::Carried, text);
            }
            // `true` is what holds anyway.
            if key != "verify" {
                keys.push((key, line.converted.value.clone()));
            }
        }
        if !verifies {
            keys.push(("verify", false.into()));
            let text = "nginx does not look at this server's certificate, and neither does `verify = false`: \
                        take it away, and name an authority of your own by `ca`";
            self.row(pass.place, Verdict::Trap, text);
        }
        // Of servers that an `upstream` lists nginx knows this one name.
        if line("server_name").is_none()
            && (verifies || is_on(SENDS_NAME))
            && let Some(name) = self.backends.upstream_of(pass)
        {
            keys.push(("server_name", name.into()));
        }
        keys
    }
}
