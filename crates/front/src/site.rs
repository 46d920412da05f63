//! Listener and Host → site.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use appliance_project::model;
use http::Version;
use http::header::{HOST, HeaderMap, HeaderValue};
use http::request::Parts;

use crate::files::Cache;
use crate::route::Routes;

/// A site as requests see it.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) routes: Routes,
    pub(crate) body_limit_bytes: u64,
}

/// The sites that answer on one listener.
#[derive(Debug)]
pub(crate) struct Sites {
    by_name: HashMap<String, Arc<Site>>,
    /// Answers names nobody has: the first in the file.
    default: Arc<Site>,
}

/// No Host field, two of them, or one that is no host name (RFC 9112 §3.2).
#[derive(Debug)]
pub(crate) struct BadHost;

impl Sites {
    /// The sites of each address that project.toml names.
    pub(crate) fn by_listener(
        sites: &[model::Site],
        cache: &Arc<Cache>,
    ) -> HashMap<SocketAddr, Arc<Sites>> {
        let mut listeners: HashMap<SocketAddr, Sites> = HashMap::new();
        for written in sites {
            let site = Arc::new(Site {
                routes: Routes::new(&written.routes, cache),
                body_limit_bytes: written.body_limit_bytes,
            });
            for address in &written.listen {
                let sites = listeners.entry(*address).or_insert_with(|| Sites {
                    by_name: HashMap::new(),
                    default: Arc::clone(&site),
                });
                for name in &written.server_name {
                    sites.by_name.insert(name.clone(), Arc::clone(&site));
                }
                if written.server_name.is_empty() {
                    sites.default = Arc::clone(&site);
                }
            }
        }
        listeners
            .into_iter()
            .map(|(address, sites)| (address, Arc::new(sites)))
            .collect()
    }

    /// The site for a request.
    pub(crate) fn find(&self, fields: &HeaderMap, is_http_11: bool) -> Result<&Arc<Site>, BadHost> {
        let mut hosts = fields.get_all(HOST).iter();
        let field = hosts.next();
        if hosts.next().is_some() || (is_http_11 && field.is_none()) {
            return Err(BadHost);
        }
        let Some(field) = field else {
            return Ok(&self.default);
        };
        let host = field.to_str().map_err(|_| BadHost)?;
        let name = without_port(host)?;
        if self.by_name.is_empty() {
            return Ok(&self.default);
        }
        let site = match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => self.by_name.get(name.to_ascii_lowercase().as_str()),
            false => self.by_name.get(name),
        };
        Ok(site.unwrap_or(&self.default))
    }
}

/// An absolute target names the host, whatever the Host field says (RFC 9112 §3.2.2): from here
/// on both say the same, to routes and to the application. That a Host field must be there, once,
/// holds all the same: such requests are left for [`Sites::find`] to refuse.
pub(crate) fn settle_host(head: &mut Parts) {
    let Some(authority) = head.uri.authority() else {
        return;
    };
    let fields = head.headers.get_all(HOST).iter().count();
    let may_lack_it = head.version < Version::HTTP_11;
    if let (Ok(host), true) = (
        HeaderValue::from_str(authority.as_str()),
        fields == 1 || fields == 0 && may_lack_it,
    ) {
        head.headers.insert(HOST, host);
    }
}

/// The host of `host[:port]`, without the final dot of a full name.
fn without_port(host: &str) -> Result<&str, BadHost> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (_, after) = rest.split_once(']').ok_or(BadHost)?;
            (&host[..host.len() - after.len()], after.strip_prefix(':'))
        }
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        },
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=[]:".contains(&byte);
    let port_is_digits = port.is_none_or(|port| port.bytes().all(|digit| digit.is_ascii_digit()));
    if !name.bytes().all(is_name) || !port_is_digits {
        return Err(BadHost);
    }
    Ok(name.strip_suffix('.').unwrap_or(name))
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
            assert_eq!(without_port(host).unwrap(), name, "{host}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for host in ["a b", "a/b", "a:b", "a@b", "[::1", "a:80:80", "é"] {
            assert!(without_port(host).is_err(), "{host}");
        }
    }
}
