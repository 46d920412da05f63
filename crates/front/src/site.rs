//! Listener and Host → site.

use std::collections::HashMap;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;

use appliance_message::{Head, Name, Target};
use appliance_project::model;
use http::Version;

use crate::connections::ticks;
use crate::files::Cache;
use crate::route::Routes;
use crate::rules::Rules;
use crate::tls::{SiteTls, Tickets, TlsError};

/// A site as requests see it.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) routes: Routes,
    /// What holds where no route answers.
    pub(crate) rules: Option<Arc<Rules>>,
    /// What holds for TLS; none for a site without.
    pub(crate) tls: Option<SiteTls>,
    /// Ticks that a client may pause while it sends a body.
    pub(crate) body_ticks: u32,
    /// Ticks in which a client may take nothing of its response.
    pub(crate) send_ticks: u32,
}

/// The sites that answer on one listener.
#[derive(Debug)]
pub(crate) struct Sites {
    by_name: HashMap<String, Arc<Site>>,
    /// Answers names nobody has: the first in the file.
    default: Arc<Site>,
    /// Whether connections begin with a header of the PROXY protocol.
    pub(crate) proxy_protocol: bool,
    /// Whether connections begin with TLS.
    pub(crate) is_tls: bool,
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
    ) -> Result<HashMap<SocketAddr, Arc<Sites>>, TlsError> {
        let mut listeners: HashMap<SocketAddr, Sites> = HashMap::new();
        for written in sites {
            let tls = match &written.tls {
                Some(tls) => Some(SiteTls::new(tls, written.https.first(), tickets)?),
                None => None,
            };
            let site = Arc::new(Site {
                routes: Routes::new(&written.routes, cache),
                rules: Rules::new(&written.rules),
                tls,
                body_ticks: ticks(written.body_timeout),
                send_ticks: ticks(written.send_timeout),
            });
            for address in &written.listen {
                let sites = listeners.entry(*address).or_insert_with(|| Sites {
                    by_name: HashMap::new(),
                    default: Arc::clone(&site),
                    proxy_protocol: written.proxy_protocol,
                    is_tls: written.https.contains(address),
                });
                for name in &written.server_name {
                    sites.by_name.insert(name.clone(), Arc::clone(&site));
                }
                if written.server_name.is_empty() {
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
        std::iter::once(&self.default).chain(self.by_name.values())
    }

    /// Answers names nobody has.
    pub(crate) fn default_site(&self) -> &Site {
        &self.default
    }

    /// The site that has this name.
    pub(crate) fn named(&self, name: &str) -> Option<&Arc<Site>> {
        match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => self.by_name.get(name.to_ascii_lowercase().as_str()),
            false => self.by_name.get(name),
        }
    }

    /// The site for a request.
    pub(crate) fn find(&self, head: &Head) -> Result<&Arc<Site>, BadHost> {
        let must = head.version == Version::HTTP_11;
        if head.repeats(Name::Host) || must && !head.has(Name::Host) {
            return Err(BadHost);
        }
        // That something else counts more does not make a bad field good.
        let field = head.get(Name::Host).map(without_port).transpose()?;
        let name = match head.form {
            Target::Authority => field,
            _ => head.host().map(without_port).transpose()?,
        };
        let Some(name) = name.filter(|_| !self.by_name.is_empty()) else {
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
