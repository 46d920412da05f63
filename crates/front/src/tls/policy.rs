//! Requests that have to come another way, and how browsers are told for good.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

use appliance_message::Head;
use appliance_project::model::{Hsts, HttpsRedirect};
use http::{Method, StatusCode};

use super::config::SiteTls;
use super::peer::Secured;
use crate::request_path::escape_raw;
use crate::respond::refuse;
use crate::response::Response;

/// The port of HTTPS, which no URL needs to name.
const HTTPS_PORT: u16 = 443;

/// Where plain requests are sent.
#[derive(Debug)]
pub(super) struct RedirectTo {
    /// 0 as long as it has not been picked.
    port: AtomicU16,
    /// The `https://` address whose port it is, if it is one that is picked.
    picked_at: Option<SocketAddr>,
}

impl RedirectTo {
    pub(super) fn new(
        redirect: Option<HttpsRedirect>,
        address: Option<&SocketAddr>,
    ) -> Option<RedirectTo> {
        let (port, picked_at) = match redirect? {
            HttpsRedirect::Port(port) => (port, None),
            HttpsRedirect::Picked => (0, address.copied()),
        };
        Some(RedirectTo {
            port: AtomicU16::new(port),
            picked_at,
        })
    }
}

impl SiteTls {
    /// An address of port 0 has got this one.
    pub(crate) fn picked(&self, address: SocketAddr, port: u16) {
        if let Some(redirect) = &self.redirect
            && redirect.picked_at == Some(address)
        {
            redirect.port.store(port, Relaxed);
        }
    }

    /// The answer to a request that came the wrong way; none to one that came the right way.
    pub(crate) fn turn_away(
        &self,
        is_https: bool,
        secured: Option<&Secured>,
        head: &Head,
    ) -> Option<Response> {
        match (secured, &self.redirect) {
            (None, Some(redirect)) if !is_https => Some(redirect.response(head)),
            // Whoever shook hands with another site was not asked for this one's certificate
            // (RFC 9110 §15.5.20).
            (Some(secured), _) if self.asks_client && !secured.is_of(&self.config) => {
                Some(refuse(StatusCode::MISDIRECTED_REQUEST, head))
            }
            _ => None,
        }
    }

    /// The line of `Strict-Transport-Security`.
    pub(crate) fn hsts(&self) -> Option<&[u8]> {
        self.hsts.as_deref()
    }
}

impl RedirectTo {
    /// To the same place by HTTPS. A method that is neither GET nor HEAD stays what it is.
    fn response(&self, head: &Head) -> Response {
        let status = match head.method {
            Method::GET | Method::HEAD => StatusCode::MOVED_PERMANENTLY,
            _ => StatusCode::PERMANENT_REDIRECT,
        };
        let Some(host) = head.host().and_then(|host| std::str::from_utf8(host).ok()) else {
            // Only HTTP/1.0 may do without, and nobody knows where it wants to go.
            return refuse(StatusCode::BAD_REQUEST, head);
        };
        let path = escape_raw(&head.path_and_query()).into_owned();
        let path = if path.starts_with('/') {
            path
        } else {
            "/".to_owned()
        };
        let (name, port) = (without_port(host), self.port.load(Relaxed));
        let location = match port {
            HTTPS_PORT => format!("https://{name}{path}"),
            port => format!("https://{name}:{port}{path}"),
        };
        refuse(status, head).with("Location", location)
    }
}

/// The host of a field that has been found to be one.
fn without_port(host: &str) -> &str {
    match (host.rfind(':'), host.rfind(']')) {
        (Some(colon), bracket) if bracket.is_none_or(|bracket| bracket < colon) => &host[..colon],
        _ => host,
    }
}

pub(super) fn hsts_line(hsts: Hsts) -> Vec<u8> {
    let mut line = format!(
        "Strict-Transport-Security: max-age={}",
        hsts.max_age.as_secs()
    );
    for (option, wanted) in [
        ("; includeSubDomains", hsts.subdomains),
        ("; preload", hsts.preload),
    ] {
        if wanted {
            line.push_str(option);
        }
    }
    line.push_str("\r\n");
    line.into_bytes()
}
