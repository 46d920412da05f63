//! `proxy`: other servers that answer a route.

use figment::value::{Dict, Value};

use crate::defaults;
use crate::fault::{Fault, UrlProblem};
use crate::key_path::quoted;
use crate::keys::{Kind, PROXY};
use crate::model::{Balance, Proxy, ProxyTarget, TargetAddress, TargetProtocol};
use crate::reader::{Entry, Table, whole};

use super::Check;
use super::application::optional;
use super::server::print_list;
use super::url_path;

impl Check<'_, '_> {
    /// The short form names the servers alone, the long one is a table with `to`.
    pub(super) fn proxy(&mut self, route: &Table<'_>) -> Option<Proxy> {
        let entry = route.entry("proxy")?;
        let assumed: Dict;
        let (dict, to) = match entry.value {
            Value::Dict(_, dict) if !names_servers(dict) => {
                let to = dict.get("to").map(|value| Entry {
                    path: entry.path.join("to"),
                    value,
                });
                (dict, to)
            }
            _ => {
                assumed = defaults::of(&PROXY);
                (&assumed, Some(entry.clone()))
            }
        };
        let table = Table {
            path: entry.path.clone(),
            section: &PROXY,
            dict,
        };
        self.reader.known_keys(&table);
        let Some(to) = to else {
            let key = entry.path.join("to");
            self.reader.fault_at(Fault::Missing { key }, &entry);
            return None;
        };
        let targets = self.targets(&to);
        let backups = match table.entry("backup") {
            None => Some(Vec::new()),
            Some(entry) => self.targets(&entry),
        };
        let balance = self.balance(&table);
        let host = self.reader.choice(&table, "host");
        let connect_timeout = self.reader.duration(&table, "connect_timeout");
        let response_timeout = self.reader.duration(&table, "response_timeout");
        let max_failures = self.reader.count(&table, "max_failures");
        let fail_timeout = self.reader.duration(&table, "fail_timeout");
        let health_check = optional(&table, "health_check", || self.health_check(&table));
        let health_interval = self.reader.duration(&table, "health_interval");
        let idle_connections = self.reader.count(&table, "idle_connections");
        let hands_off = self.reader.flag(&table, "hand_off");
        let mut targets = targets?;
        targets.extend(backups?.into_iter().map(|target| ProxyTarget {
            backup: true,
            ..target
        }));
        let tls = self.proxy_tls(&table, &to, &targets);
        Some(Proxy {
            targets,
            balance: balance?,
            keeps_host: host? == "client",
            connect_timeout: connect_timeout?,
            response_timeout: response_timeout?,
            max_failures: u32::try_from(max_failures??).ok()?,
            fail_timeout: fail_timeout?,
            health_check: health_check?,
            health_interval: health_interval?,
            idle_connections: idle_connections??,
            tls: tls?,
            hands_off: hands_off?,
            is_dev_front: false,
        })
    }

    fn targets(&mut self, to: &Entry<'_>) -> Option<Vec<ProxyTarget>> {
        let written: Vec<(Option<String>, Entry<'_>, Option<u64>)> = match to.value {
            Value::Dict(_, dict) => dict
                .iter()
                .map(|(url, value)| {
                    let path = to.path.join(url.as_str());
                    (Some(url.clone()), Entry { path, value }, whole(value))
                })
                .collect(),
            Value::Array(..) => {
                let elements = self.reader.elements(to).into_iter();
                elements
                    .map(|entry| (self.reader.text_of(&entry), entry, Some(1)))
                    .collect()
            }
            _ => vec![(self.reader.text_of(to), to.clone(), Some(1))],
        };
        let count = written.len();
        let mut targets = Vec::new();
        for (url, entry, weight) in written {
            let weight = weight.filter(|weight| (1..=1000).contains(weight));
            let (Some(url), Some(weight)) = (&url, weight) else {
                let expected = match url {
                    Some(_) => "a weight from 1 to 1000".to_owned(),
                    None => Kind::Targets.expected(),
                };
                self.reader.expected(&entry, entry.path.clone(), expected);
                continue;
            };
            match target(url, weight) {
                Ok(target) => targets.push(target),
                Err(problem) => {
                    let found = url.clone();
                    self.reader
                        .fault_at(Fault::ProxyUrl { found, problem }, &entry);
                }
            }
        }
        if count == 0 {
            let expected = Kind::Targets.expected();
            self.reader.expected(to, to.path.clone(), expected);
            return None;
        }
        let printed: Vec<String> = targets
            .iter()
            .map(|target| target.address.to_string())
            .collect();
        (targets.len() == count).then(|| self.reader.accept(to, print_list(&printed), targets))
    }

    fn balance(&mut self, table: &Table<'_>) -> Option<Balance> {
        let (text, entry) = self.reader.text(table, "balance")?;
        let balance = match text.as_str() {
            "round_robin" => Balance::RoundRobin,
            "least_requests" => Balance::LeastRequests,
            "address" => Balance::Address,
            other => match other.strip_prefix("field:") {
                Some(name) if super::rules::is_token(name) => Balance::Field(name.to_owned()),
                _ => {
                    self.reader.fault_at(Fault::Balance { found: text }, &entry);
                    return None;
                }
            },
        };
        Some(self.reader.accept(&entry, quoted(&text), balance))
    }

    fn health_check(&mut self, table: &Table<'_>) -> Option<String> {
        let (text, entry) = self.reader.text(table, "health_check")?;
        if !text.starts_with('/') || text.bytes().any(|byte| !byte.is_ascii_graphic()) {
            let expected = "a path, such as \"/healthz\"".to_owned();
            self.reader.expected(&entry, entry.path.clone(), expected);
            return None;
        }
        Some(self.reader.accept(&entry, quoted(&text), text))
    }
}

/// Whether a table is one of URLs and weights: no key of ours looks like a URL.
fn names_servers(dict: &Dict) -> bool {
    dict.keys().any(|key| key.contains(':'))
}

/// Written by nobody: 0 is no port.
const NO_PORT: u16 = 0;

pub(super) fn target(url: &str, weight: u64) -> Result<ProxyTarget, UrlProblem> {
    let weight = u32::try_from(weight).unwrap_or(1);
    let of_uwsgi = url.strip_prefix("uwsgi://");
    if let Some(path) = of_uwsgi.unwrap_or(url).strip_prefix("unix:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        if !path.starts_with('/') || path.contains('\0') {
            return Err(UrlProblem::UnixPath);
        }
        return Ok(ProxyTarget {
            address: TargetAddress::Unix(path.into()),
            protocol: match of_uwsgi {
                Some(_) => TargetProtocol::Uwsgi,
                None => TargetProtocol::Http,
            },
            path: None,
            weight,
            backup: false,
        });
    }
    let (scheme, rest) = url.split_once("://").ok_or(UrlProblem::Scheme)?;
    let (protocol, usual_port) = match scheme {
        "http" => (TargetProtocol::Http, 80),
        "h2c" => (TargetProtocol::H2c, 80),
        "https" => (TargetProtocol::Https, 443),
        "uwsgi" => (TargetProtocol::Uwsgi, NO_PORT),
        "h2" | "grpcs" => return Err(UrlProblem::Tls),
        _ => return Err(UrlProblem::Scheme),
    };
    if rest.contains(['?', '#']) {
        return Err(UrlProblem::Query);
    }
    let (authority, path) = match rest.find('/') {
        Some(at) => (&rest[..at], Some(rest[at..].to_owned())),
        None => (rest, None),
    };
    if let Some(path) = &path {
        url_path::check(path).map_err(|_| UrlProblem::Path)?;
    }
    if authority.contains('@') {
        return Err(UrlProblem::User);
    }
    let (host, port) = host_and_port(authority, usual_port)?;
    if port == NO_PORT {
        return Err(UrlProblem::NoPort);
    }
    Ok(ProxyTarget {
        address: TargetAddress::Tcp(host, port),
        protocol,
        path,
        weight,
        backup: false,
    })
}

fn host_and_port(authority: &str, usual_port: u16) -> Result<(String, u16), UrlProblem> {
    let end = authority.rfind(']').map_or(0, |at| at + 1);
    let (host, port) = match authority[end..].find(':') {
        Some(at) => {
            let port = &authority[end + at + 1..];
            let digits = port.bytes().all(|byte| byte.is_ascii_digit());
            let port = port.parse().ok().filter(|port| digits && *port != 0);
            (&authority[..end + at], port.ok_or(UrlProblem::Port)?)
        }
        None => (authority, usual_port),
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let is_right = match bare {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            !host.is_empty() && host.bytes().all(in_name)
        }
    };
    match is_right {
        true => Ok((bare.unwrap_or(host).to_owned(), port)),
        false => Err(UrlProblem::Host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_servers_are_read() {
        let tcp = |host: &str, port| TargetAddress::Tcp(host.into(), port);
        let unix = || TargetAddress::Unix("/run/a.sock".into());
        let (http, h2c, https) = (
            TargetProtocol::Http,
            TargetProtocol::H2c,
            TargetProtocol::Https,
        );
        for (url, address, protocol, path) in [
            ("http://a", tcp("a", 80), http, None),
            ("http://127.0.0.1:3000", tcp("127.0.0.1", 3000), http, None),
            ("http://[::1]:3000/", tcp("::1", 3000), http, Some("/")),
            ("h2c://node_1:1/v2/", tcp("node_1", 1), h2c, Some("/v2/")),
            ("https://a", tcp("a", 443), https, None),
            ("https://[::1]:80/b", tcp("::1", 80), https, Some("/b")),
            (
                "uwsgi://a:3031",
                tcp("a", 3031),
                TargetProtocol::Uwsgi,
                None,
            ),
            (
                "uwsgi://unix:/run/a.sock",
                unix(),
                TargetProtocol::Uwsgi,
                None,
            ),
            ("unix:/run/a.sock", unix(), http, None),
            ("unix:///run/a.sock", unix(), http, None),
        ] {
            let path = path.map(str::to_owned);
            let expected = ProxyTarget {
                address,
                protocol,
                path,
                weight: 1,
                backup: false,
            };
            assert_eq!(target(url, 1), Ok(expected), "{url}");
        }
    }

    #[test]
    fn what_is_no_servers_url_is_told_apart() {
        for (url, problem) in [
            ("127.0.0.1:3000", UrlProblem::Scheme),
            ("ftp://a", UrlProblem::Scheme),
            ("h2://a", UrlProblem::Tls),
            ("http://", UrlProblem::Host),
            ("http://a b", UrlProblem::Host),
            ("http://[::g]", UrlProblem::Host),
            ("http://a:0", UrlProblem::Port),
            ("http://a:+1", UrlProblem::Port),
            ("http://a:65536", UrlProblem::Port),
            ("uwsgi://a", UrlProblem::NoPort),
            ("uwsgi://unix:a", UrlProblem::UnixPath),
            ("http://a/b/../c", UrlProblem::Path),
            ("http://a/?b", UrlProblem::Query),
            ("http://me@a", UrlProblem::User),
            ("unix:run/a", UrlProblem::UnixPath),
        ] {
            assert_eq!(target(url, 1), Err(problem), "{url}");
        }
    }
}
