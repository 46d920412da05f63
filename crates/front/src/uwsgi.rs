//! Gateways that speak the uwsgi protocol, as nginx does with `uwsgi_pass`: who may, what becomes of
//! the peer, and what the log says of those who are none.
//!
//! 1. A gateway says who the client is, and whatever else it likes. So one on this machine is
//!    believed, as uWSGI does, and from elsewhere one that is a trusted proxy. Others get no answer.
//! 2. Its packet ([`appliance_message::uwsgi`]) names the client, which takes the peer's place. If
//!    that is a trusted proxy itself, its fields are read as those of a peer would be.
//! 3. Fields by which proxies vouch for something (`X-Forwarded-For`, `Remote-User`) come from the
//!    gateway's client, unless its configuration sets them, which nobody can tell. They are believed
//!    where the gateway is a trusted proxy; variables that are no fields are the gateway's own, and
//!    always are.
//!
//! What follows is a request as any other, and its response is one of HTTP/1.0: a gateway takes the
//! connection's end for the body's.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use appliance_message::uwsgi::Told;

use crate::respond::Origin;

/// Whether this peer may say who clients are. A unix socket's peers have no address, and are those
/// that `server.socket_mode` lets in.
pub(crate) fn is_gateway(peer: IpAddr, is_trusted: bool) -> bool {
    is_trusted || peer.to_canonical().is_loopback() || peer.is_unspecified()
}

/// The ends of a connection that the gateway's client sees.
pub(crate) fn origin_of(
    told: &Told,
    gateway: Origin,
    is_proxy: impl FnOnce(IpAddr) -> bool,
) -> Origin {
    let peer = match told.client {
        Some(client) => SocketAddr::new(client, told.client_port),
        // As with a proxy that says nothing.
        None => gateway.peer,
    };
    let port = told.server_port.unwrap_or(gateway.local.port());
    Origin {
        peer,
        local: SocketAddr::new(gateway.local.ip(), port),
        is_trusted: gateway.is_trusted || is_proxy(peer.ip()),
        is_tls: told.is_https,
    }
}

/// What the log says of peers that are wrong where they are. Each once in a while: a gateway that is
/// set up wrongly is so for every request.
#[derive(Debug)]
pub(crate) struct Complaints {
    epoch: Instant,
    /// The minute of the last line, from 1.
    packet: AtomicU64,
    stranger: AtomicBool,
    uwsgi: AtomicBool,
}

impl Default for Complaints {
    fn default() -> Self {
        Complaints {
            epoch: Instant::now(),
            packet: AtomicU64::new(0),
            stranger: AtomicBool::new(false),
            uwsgi: AtomicBool::new(false),
        }
    }
}

impl Complaints {
    /// Somebody who is no gateway has connected.
    pub(crate) fn stranger(&self, peer: IpAddr) {
        if !self.stranger.swap(true, Relaxed) {
            let peer = peer.to_canonical();
            tracing::warn!(
                "a connection from {peer} to a `uwsgi://` address was closed: it is no trusted proxy; if \
                 it is your gateway, add its address to `server.trusted_proxies` (said once)"
            );
        }
    }

    /// What a gateway has sent is no request.
    pub(crate) fn packet(&self, peer: IpAddr, reason: &str) {
        let minute = self.epoch.elapsed().as_secs() / 60 + 1;
        if self.packet.swap(minute, Relaxed) != minute {
            let peer = peer.to_canonical();
            tracing::warn!(
                "a request to a `uwsgi://` address was refused: {reason}; it came from {peer} (said once a \
                 minute)"
            );
        }
    }

    /// A gateway takes us for uWSGI.
    pub(crate) fn uwsgi_at_http(&self, local: SocketAddr) {
        if !self.uwsgi.swap(true, Relaxed) {
            tracing::warn!(
                "a gateway speaks the uwsgi protocol to {local}, which is for HTTP: write \
                 `listen = \"uwsgi://{local}\"`, or `proxy_pass` instead of `uwsgi_pass` (said once)"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(peer: &str, is_trusted: bool) -> Origin {
        Origin {
            peer: peer.parse().unwrap(),
            local: "127.0.0.1:8080".parse().unwrap(),
            is_trusted,
            is_tls: false,
        }
    }

    #[test]
    fn gateways_are_here_or_trusted() {
        for (peer, is_trusted, may) in [
            ("127.0.0.1", false, true),
            ("127.8.0.1", false, true),
            ("::1", false, true),
            ("::ffff:127.0.0.1", false, true),
            ("0.0.0.0", false, true),
            ("10.0.0.1", true, true),
            ("10.0.0.1", false, false),
            ("192.0.2.1", false, false),
            ("2001:db8::1", false, false),
        ] {
            assert_eq!(is_gateway(peer.parse().unwrap(), is_trusted), may, "{peer}");
        }
    }

    #[test]
    fn the_client_takes_the_gateways_place() {
        let proxy: IpAddr = "192.0.2.1".parse().unwrap();
        let seen = |told: &Told, gateway| origin_of(told, gateway, |address| address == proxy);
        let told = |client: &str| Told {
            client: Some(client.parse().unwrap()),
            client_port: 4000,
            server_port: Some(443),
            is_https: true,
            ..Told::default()
        };
        let direct = seen(&told("203.0.113.5"), origin("127.0.0.1:9", false));
        assert_eq!(direct.peer, "203.0.113.5:4000".parse().unwrap());
        assert_eq!(direct.local, "127.0.0.1:443".parse().unwrap());
        assert!(direct.is_tls && !direct.is_trusted);
        let behind = seen(&told("192.0.2.1"), origin("127.0.0.1:9", false));
        assert!(behind.is_trusted, "a trusted proxy before the gateway");
        let by_trusted = seen(&told("203.0.113.5"), origin("10.0.0.1:9", true));
        assert!(by_trusted.is_trusted, "its fields are the gateway's");
        let silent = seen(&Told::default(), origin("127.0.0.1:9", false));
        assert_eq!(silent.peer, "127.0.0.1:9".parse().unwrap());
        assert_eq!(silent.local.port(), 8080);
    }
}
