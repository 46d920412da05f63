//! An `upstream`: its servers, and how one of them is chosen, as `proxy` says it.

use appliance_project::kind;
use toml_edit::Value;

use crate::convert::{Bare, convert};
use crate::draft::plain;
use crate::report::Verdict;

use super::backend::address;
use super::tree::Directive;

/// The table whose keys say it.
pub(super) const PROXY: &str = "[site.routes.\"/path\".proxy]";

/// The servers of an `upstream`, and keys of `proxy`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Upstream {
    pub(crate) servers: Vec<Server>,
    pub(crate) keys: Vec<(&'static str, Value)>,
}

/// One `server`.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    /// As it is written.
    pub(crate) name: String,
    pub(crate) weight: i64,
    pub(crate) is_backup: bool,
    pub(crate) is_down: bool,
}

/// What becomes of a line of an `upstream`.
pub(super) type Said = (Verdict, String);

impl Upstream {
    /// Reads the block.
    pub(crate) fn read(block: &Directive) -> Upstream {
        let mut upstream = Upstream::default();
        for inner in block.inner() {
            if inner.name == "server" {
                upstream.servers.extend(server(inner));
            }
            for (key, value) in keys(inner) {
                // Of servers with numbers of their own the most patient holds.
                match upstream.keys.iter_mut().find(|(known, _)| *known == key) {
                    Some((_, old)) if patience(old) < patience(&value) => *old = value,
                    Some(_) => {}
                    None => upstream.keys.push((key, value)),
                }
            }
        }
        upstream
    }

    /// Its servers in the one form of addresses.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.servers.iter().map(|one| address(&one.name)).collect()
    }
}

fn server(directive: &Directive) -> Option<Server> {
    let [name, options @ ..] = directive.args.as_slice() else {
        return None;
    };
    let has = |word: &str| options.iter().any(|option| option == word);
    Some(Server {
        name: name.clone(),
        weight: option(options, "weight=")
            .and_then(|weight| weight.parse().ok())
            .unwrap_or(1),
        is_backup: has("backup"),
        is_down: has("down"),
    })
}

fn option<'o>(options: &'o [String], name: &str) -> Option<&'o str> {
    options.iter().find_map(|option| option.strip_prefix(name))
}

/// The number in a count or a duration.
fn patience(value: &Value) -> u64 {
    let text = plain(value);
    match value.as_integer() {
        Some(count) => u64::try_from(count).unwrap_or(0),
        None => crate::convert::duration(&[text.trim_matches('"')]).unwrap_or(0),
    }
}

/// The keys that a line says.
fn keys(directive: &Directive) -> Vec<(&'static str, Value)> {
    let number = |key: &'static str, word: &str| {
        let converted = convert(kind(PROXY, key)?, &[word], Bare::Bytes).ok()?;
        Some((key, converted.value))
    };
    match directive.name.as_str() {
        "server" => {
            let options = directive.args.get(1..).unwrap_or_default();
            let failures =
                option(options, "max_fails=").and_then(|word| number("max_failures", word));
            let pause =
                option(options, "fail_timeout=").and_then(|word| number("fail_timeout", word));
            failures.into_iter().chain(pause).collect()
        }
        "keepalive" => number("idle_connections", directive.arg())
            .into_iter()
            .collect(),
        _ => balance(directive)
            .map(|how| ("balance", how.into()))
            .into_iter()
            .collect(),
    }
}

/// `balance`, of a directive that chooses.
fn balance(directive: &Directive) -> Option<String> {
    match directive.name.as_str() {
        "least_conn" | "least_time" => Some("least_requests".to_owned()),
        "random" if directive.arg() == "two" => Some("least_requests".to_owned()),
        "ip_hash" => Some("address".to_owned()),
        "hash" => match directive.arg() {
            "$remote_addr" | "$binary_remote_addr" => Some("address".to_owned()),
            key => key
                .strip_prefix("$http_")
                .filter(|name| !name.is_empty() && !name.contains('$'))
                .map(|name| format!("field:{}", name.replace('_', "-"))),
        },
        _ => None,
    }
}

/// What becomes of a line.
pub(super) fn said(directive: &Directive) -> Said {
    let carried = keys(directive);
    if directive.name == "server" {
        return said_of_server(directive);
    }
    if let Some((key, value)) = carried.first() {
        let text = format!("`{key} = {}` of its `proxy`", plain(value));
        return (Verdict::Carried, text);
    }
    let (verdict, text) = match directive.name.as_str() {
        "zone" | "resolver" | "resolver_timeout" | "state" => (
            Verdict::NotNeeded,
            "each worker knows the servers by itself",
        ),
        "keepalive_timeout" | "keepalive_requests" | "keepalive_time" => (
            Verdict::Default,
            "a connection is kept until its server closes it, and asked anew then",
        ),
        "random" => (
            Verdict::Default,
            "servers are asked in turn; `balance = \"least_requests\"` picks at random, too",
        ),
        "hash" => (
            Verdict::Missing,
            "requests stay with a server by `balance = \"address\"` or by a field, \"field:Name\"",
        ),
        "sticky" | "sticky_cookie_insert" => (
            Verdict::Missing,
            "no cookie is set: `balance = \"address\"` keeps a client with a server",
        ),
        _ => (
            Verdict::Missing,
            "`proxy` has nothing like it: see its keys in docs/project-file.md",
        ),
    };
    (verdict, text.to_owned())
}

fn said_of_server(directive: &Directive) -> Said {
    let options = directive.args.get(1..).unwrap_or_default();
    let without = options.iter().find_map(|option| {
        let name = option.split('=').next().unwrap_or_default();
        match name {
            "weight" | "backup" | "down" | "fail_timeout" => None,
            "max_fails" if option != "max_fails=0" => None,
            // Names are looked up for each connection.
            "resolve" => None,
            "max_fails" => Some((
                option,
                "a server that fails is always left out for a while, if there is another",
            )),
            "max_conns" => Some((option, "requests to a server are not bounded")),
            "slow_start" => Some((option, "a server that is back gets its whole share at once")),
            _ => Some((option, "there is nothing like it")),
        }
    });
    match without {
        Some((option, text)) => (
            Verdict::Missing,
            format!("carried over but for `{option}`: {text}"),
        ),
        None if options.iter().any(|option| option == "down") => (
            Verdict::Carried,
            "left out of `proxy`, since it is down".to_owned(),
        ),
        None => (
            Verdict::Carried,
            "stands in `proxy` of its routes".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nginx::tree::parse;

    fn upstream(inner: &str) -> (Upstream, Vec<Said>) {
        let tree = parse(0, &format!("upstream a {{ {inner} }}")).unwrap();
        let rows = tree[0].inner().iter().map(said).collect();
        (Upstream::read(&tree[0]), rows)
    }

    #[test]
    fn the_way_of_choosing_is_a_key() {
        for (line, expected) in [
            ("least_conn;", Some("\"least_requests\"")),
            ("random two least_conn;", Some("\"least_requests\"")),
            ("random;", None),
            ("ip_hash;", Some("\"address\"")),
            ("hash $binary_remote_addr consistent;", Some("\"address\"")),
            ("hash $http_x_session;", Some("\"field:x-session\"")),
            ("hash $request_uri consistent;", None),
            ("keepalive 16;", Some("16")),
            ("sticky cookie srv_id;", None),
        ] {
            let (read, rows) = upstream(line);
            let value = read.keys.first().map(|(_, value)| plain(value));
            assert_eq!(value.as_deref(), expected, "{line}");
            assert_eq!(rows[0].0 == Verdict::Carried, expected.is_some(), "{line}");
        }
    }

    #[test]
    fn what_servers_say_of_failures_holds_for_all() {
        let (read, rows) = upstream(
            "server a:1 max_fails=2 fail_timeout=5; server b:1 max_fails=9 fail_timeout=30s backup; \
             server c:1 max_fails=0; server d:1 max_conns=9; server e:1 down;",
        );
        let keys: Vec<_> = read
            .keys
            .iter()
            .map(|(key, value)| (*key, plain(value)))
            .collect();
        let expected = [("max_failures", "9"), ("fail_timeout", "\"30s\"")];
        assert_eq!(keys, expected.map(|(key, value)| (key, value.to_owned())));
        assert!(read.servers[1].is_backup && read.servers[4].is_down);
        let lost = |row: &Said| row.0 == Verdict::Missing;
        let lost: Vec<bool> = rows.iter().map(lost).collect();
        assert_eq!(lost, [false, false, true, true, false]);
    }
}
