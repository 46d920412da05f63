//! Listener and Host → site.

use std::collections::HashMap;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use appliance_message::{Head, Name, Target};
use appliance_project::model::{self, Http2};
use http::Version;

use crate::access_log::AccessLog;
use crate::connections::ticks;
use crate::files::Cache;
use crate::hand_off::SendfileRoots;
use crate::route::{Others, Routes};
use crate::rules::Rules;
use crate::tls::{SiteTls, Tickets, TlsError};

/// A site as requests see it.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) routes: Routes,
    pub(crate) sendfile: SendfileRoots,
    /// What holds where no route answers.
    pub(crate) rules: Option<Arc<Rules>>,
    /// What holds for TLS; none for a site without.
    pub(crate) tls: Option<SiteTls>,
    pub(crate) access_log: Option<Arc<AccessLog>>,
    /// Whether the application's responses say how long it took.
    pub(crate) server_timing: bool,
    /// Ticks that a client may pause while it sends a body.
    pub(crate) body_ticks: u32,
    /// Ticks in which a client may take nothing of its response.
    pub(crate) send_ticks: u32,
}

/// The sites that answer on one listener.
#[derive(Debug)]
pub(crate) struct Sites {
    by_name: HashMap<String, Arc<Site>>,
    /// `*.example.com`, as `.example.com`.
    by_end: HashMap<String, Arc<Site>>,
    /// `www.*`, as `www.`.
    by_beginning: HashMap<String, Arc<Site>>,
    /// Answers names nobody has: the one that says so, that has no names, or is the first.
    default: Arc<Site>,
    /// Whether connections begin with a header of the PROXY protocol.
    pub(crate) proxy_protocol: bool,
    /// Whether gateways speak the uwsgi protocol there.
    pub(crate) is_uwsgi: bool,
    /// Whether connections begin with TLS.
    pub(crate) is_tls: bool,
    /// Where HTTP/2 is spoken.
    pub(crate) http2: Http2,
}

/// Where a site listens, as project.toml says it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ListenAt {
    /// At an address.
    Address(SocketAddr),
    /// At a unix socket.
    Unix(PathBuf),
}

impl ListenAt {
    fn is_one_of(&self, addresses: &[SocketAddr]) -> bool {
        matches!(self, ListenAt::Address(address) if addresses.contains(address))
    }

    fn is_uwsgi(&self, uwsgi: &model::Uwsgi) -> bool {
        match self {
            ListenAt::Address(address) => uwsgi.addresses.contains(address),
            ListenAt::Unix(path) => uwsgi.unix.contains(path),
        }
    }
}

/// No Host field, two of them, or one that is no host name (RFC 9112 §3.2).
#[derive(Debug)]
pub(crate) struct BadHost;

impl Sites {
    /// The sites of each address that project.toml names.
    pub(crate) fn by_listener(
        sites: &[model::Site],
        cache: &Arc<Cache>,
        tickets: &Arc<Tickets>,
    ) -> Result<HashMap<ListenAt, Arc<Sites>>, TlsError> {
        let mut listeners: HashMap<ListenAt, Sites> = HashMap::new();
        for written in sites {
            let tls = match &written.tls {
                Some(tls) => {
                    let https = written.https.first();
                    Some(SiteTls::new((tls, written.http2), https, tickets)?)
                }
                None => None,
            };
            let site = Arc::new(Site {
                routes: Routes::new(&written.routes, cache),
                sendfile: SendfileRoots::new(&written.sendfile_roots, cache),
                rules: Rules::new(&written.rules),
                tls,
                access_log: AccessLog::new(written.access_log.as_ref()),
                server_timing: written.server_timing,
                body_ticks: ticks(written.body_timeout),
                send_ticks: ticks(written.send_timeout),
            });
            let addresses = written.listen.iter().copied().map(ListenAt::Address);
            let unix = written.unix.iter().cloned().map(ListenAt::Unix);
            for at in addresses.chain(unix) {
                let is_tls = at.is_one_of(&written.https);
                let is_uwsgi = at.is_uwsgi(&written.uwsgi);
                let sites = listeners.entry(at).or_insert_with(|| Sites {
                    by_name: HashMap::new(),
                    by_end: HashMap::new(),
                    by_beginning: HashMap::new(),
                    default: Arc::clone(&site),
                    proxy_protocol: written.proxy_protocol && !is_uwsgi,
                    is_uwsgi,
                    is_tls,
                    http2: written.http2,
                });
                for name in &written.server_name {
                    sites.add(name, &site);
                }
                if written.default || written.server_name.is_empty() {
                    sites.default = Arc::clone(&site);
                }
            }
        }
        Ok(listeners
            .into_iter()
            .map(|(address, sites)| (address, Arc::new(sites)))
            .collect())
    }

    /// All of them, some more than once.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Site>> {
        let wild = self.by_end.values().chain(self.by_beginning.values());
        std::iter::once(&self.default)
            .chain(self.by_name.values())
            .chain(wild)
    }

    /// Whether each connection begins with who the client is.
    pub(crate) fn names_clients(&self) -> bool {
        self.proxy_protocol || self.is_uwsgi
    }

    /// Answers names nobody has.
    pub(crate) fn default_site(&self) -> &Site {
        &self.default
    }

    /// The site that has this name.
    pub(crate) fn named(&self, name: &str) -> Option<&Arc<Site>> {
        match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => self.named_in_lower_case(&name.to_ascii_lowercase()),
            false => self.named_in_lower_case(name),
        }
    }

    fn add(&mut self, name: &str, site: &Arc<Site>) {
        let (names, name) = match (name.strip_prefix('*'), name.strip_suffix('*')) {
            (Some(end), _) => (&mut self.by_end, end),
            (None, Some(beginning)) => (&mut self.by_beginning, beginning),
            (None, None) => (&mut self.by_name, name),
        };
        names.insert(name.to_owned(), Arc::clone(site));
    }

    /// As nginx does: the exact name, the longest end, the longest beginning.
    fn named_in_lower_case(&self, name: &str) -> Option<&Arc<Site>> {
        if let Some(site) = self.by_name.get(name) {
            return Some(site);
        }
        // The dots of an address separate no labels.
        if self.has_no_wildcards() || name.starts_with('[') {
            return None;
        }
        let dots = || name.match_indices('.').map(|(at, _)| at);
        let mut ends = dots().filter(|at| *at > 0).map(|at| &name[at..]);
        let mut beginnings = dots().rev().map(|at| &name[..=at]);
        ends.find_map(|end| self.by_end.get(end))
            .or_else(|| beginnings.find_map(|beginning| self.by_beginning.get(beginning)))
    }

    fn has_no_wildcards(&self) -> bool {
        self.by_end.is_empty() && self.by_beginning.is_empty()
    }

    /// Whom the sites pass requests to; some of them more than once.
    pub(crate) fn others(&self) -> impl Iterator<Item = &Arc<Others>> {
        let named = [&self.by_name, &self.by_end, &self.by_beginning];
        let sites = named.into_iter().flat_map(|names| names.values());
        let sites = sites.chain([&self.default]);
        sites.flat_map(|site| site.routes.others())
    }

    /// The site for a request.
    pub(crate) fn find(&self, head: &Head) -> Result<&Arc<Site>, BadHost> {
        let must = head.version != Version::HTTP_10;
        if head.repeats(Name::Host) || must && !head.has(Name::Host) {
            return Err(BadHost);
        }
        // That something else counts more does not make a bad field good.
        let field = head.get(Name::Host).map(without_port).transpose()?;
        let name = match head.form {
            Target::Authority => field,
            _ if head.has_other_host() => head.host().map(without_port).transpose()?,
            _ => field,
        };
        let Some(name) = name.filter(|_| !self.by_name.is_empty() || !self.has_no_wildcards())
        else {
            return Ok(&self.default);
        };
        Ok(self.named(name).unwrap_or(&self.default))
    }
}

/// The host's name; none if it is no host.
pub(crate) fn host_name(host: &[u8]) -> Option<&str> {
    without_port(host).ok().filter(|name| !name.is_empty())
}

/// The host of `host[:port]` (RFC 3986 §3.2.2), without the final dot of a full name.
fn without_port(host: &[u8]) -> Result<&str, BadHost> {
    let host = std::str::from_utf8(host).map_err(|_| BadHost)?;
    let (name, port) = match host.find(']') {
        Some(end) => host.split_at(end + 1),
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let port_is_digits = match port.strip_prefix(':') {
        Some(digits) => digits.bytes().all(|digit| digit.is_ascii_digit()),
        None => port.is_empty(),
    };
    let is_valid = match name.strip_prefix('[') {
        Some(literal) => is_ip_literal(literal),
        None => is_name(name.as_bytes()),
    };
    match is_valid && port_is_digits {
        true => Ok(name.strip_suffix('.').unwrap_or(name)),
        false => Err(BadHost),
    }
}

fn is_ip_literal(literal: &str) -> bool {
    let address = literal.strip_suffix(']');
    address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

/// `reg-name`: what it may hold beside escapes, `:` and brackets left to the other forms.
fn is_name(name: &[u8]) -> bool {
    let mut rest = name;
    while let Some((byte, after)) = rest.split_first() {
        rest = match byte {
            b'%' => match after {
                [high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    after
                }
                _ => return false,
            },
            byte if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(byte) => after,
            _ => return false,
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_lose_port_and_final_dot() {
        for (host, name) in [
            ("example.com", "example.com"),
            ("example.com:8080", "example.com"),
            ("example.com.", "example.com"),
            ("example.com.:80", "example.com"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("", ""),
        ] {
            assert_eq!(without_port(host.as_bytes()).unwrap(), name, "{host}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for host in [
            "a b", "a/b", "a:b", "a@b", "[::1", "[::1]a", "[a]", "::1]", "a:80:80", "a%zz", "a%4",
            "é",
        ] {
            assert!(without_port(host.as_bytes()).is_err(), "{host}");
        }
    }
}
