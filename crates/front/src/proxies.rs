//! Who the client is, when proxies stand between it and us: they say so in header fields, and
//! whoever is no trusted proxy could say anything.
//!
//! 1. A peer that is no trusted proxy is the client, and [`is_scrubbed`] fields go no further.
//! 2. A trusted proxy's fields are read from the right, where the nearest hop wrote last: each
//!    address that is a trusted proxy itself vouches for what stands left of it. The first that
//!    is not is the client; what stands further left it may have made up.
//! 3. What cannot be read, and a hop that hides its client, ends the walk at the last good hop.

mod forwarded;
mod scrub;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use appliance_project::{Network, model};

pub use self::scrub::is_scrubbed;

/// The proxies that may say who the client is.
#[derive(Debug, Clone)]
pub struct Proxies {
    trusted: Vec<Network>,
    said_in: model::Forwarded,
}

/// What the client used to reach the first trusted proxy, or us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `http`.
    Http,
    /// `https`.
    Https,
}

/// The client of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client<'f> {
    /// Its address, or that of the last hop that can be trusted.
    pub address: IpAddr,
    /// What it used, if a trusted proxy says so.
    pub scheme: Option<Scheme>,
    /// The host it asked for, with its port if it named one, if a trusted proxy says so.
    pub host: Option<&'f str>,
}

impl Proxies {
    /// Those of project.toml: `server.trusted_proxies` and `server.forwarded`.
    pub fn new(server: &model::Server) -> Proxies {
        Proxies {
            trusted: server.trusted_proxies.clone(),
            said_in: server.forwarded,
        }
    }

    /// Whether this is a trusted proxy.
    pub fn trust(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// Whether a field of this name must not reach the application. A trusted proxy's fields do,
    /// but for the kind that it does not write: those are its client's.
    pub fn scrub(&self, name: &[u8], from_trusted: bool) -> bool {
        match (from_trusted, self.said_in) {
            (false, _) => is_scrubbed(name),
            (true, model::Forwarded::XForwarded) => scrub::is_rfc_7239(name),
            (true, model::Forwarded::Forwarded) => scrub::is_x_forwarded(name),
        }
    }

    /// The client of a request that came from `peer` with these fields, names first. `peer` is
    /// the other end of the connection or, under the PROXY protocol, whom its header names.
    pub fn client<'f>(
        &self,
        peer: IpAddr,
        fields: impl IntoIterator<Item = (&'f [u8], &'f [u8])>,
    ) -> Client<'f> {
        let mut client = Client {
            address: peer.to_canonical(),
            scheme: None,
            host: None,
        };
        if self.trust(peer) {
            match self.said_in {
                model::Forwarded::XForwarded => self.x_forwarded(&mut client, fields),
                model::Forwarded::Forwarded => self.rfc_7239(&mut client, fields),
            }
        }
        client
    }

    /// `X-Forwarded-For`, `-Proto` and `-Host`. Proxies add to the first and most of them replace
    /// the others; of those that were added to, only the last value is surely a trusted proxy's.
    fn x_forwarded<'f>(
        &self,
        client: &mut Client<'f>,
        fields: impl IntoIterator<Item = (&'f [u8], &'f [u8])>,
    ) {
        let mut hops = Vec::new();
        for (name, value) in fields {
            match value_of(name) {
                Some(Said::For) => hops.push(value),
                Some(Said::Proto) => client.scheme = last(value).and_then(scheme),
                Some(Said::Host) => client.host = last(value).and_then(host),
                None => {}
            }
        }
        let hops = hops.iter().rev().flat_map(|line| elements(line));
        for hop in hops {
            let Some(address) = address(hop) else {
                return;
            };
            client.address = address;
            if !self.trust(address) {
                return;
            }
        }
    }

    /// `Forwarded`: a hop says everything in one element.
    fn rfc_7239<'f>(
        &self,
        client: &mut Client<'f>,
        fields: impl IntoIterator<Item = (&'f [u8], &'f [u8])>,
    ) {
        let of_forwarded = |(name, value): (&[u8], &'f [u8])| {
            name.eq_ignore_ascii_case(b"forwarded").then_some(value)
        };
        let lines: Vec<&[u8]> = fields.into_iter().filter_map(of_forwarded).collect();
        let elements = lines.into_iter().rev().flat_map(forwarded::Elements::of);
        for element in elements {
            let Some(hop) = forwarded::Hop::parse(element) else {
                return;
            };
            (client.scheme, client.host) = (hop.scheme, hop.host);
            let Some(address) = hop.client else {
                return;
            };
            client.address = address;
            if !self.trust(address) {
                return;
            }
        }
    }
}

/// The X-Forwarded fields that are read.
enum Said {
    For,
    Proto,
    Host,
}

fn value_of(name: &[u8]) -> Option<Said> {
    const PREFIX: &[u8] = b"x-forwarded-";
    let (prefix, rest) = name.split_at_checked(PREFIX.len())?;
    let is = |suffix: &[u8]| rest.eq_ignore_ascii_case(suffix);
    match prefix.eq_ignore_ascii_case(PREFIX) {
        true if is(b"for") => Some(Said::For),
        true if is(b"proto") => Some(Said::Proto),
        true if is(b"host") => Some(Said::Host),
        _ => None,
    }
}

/// The elements of a list, the last first. Empty ones do not count (RFC 9110 §5.6.1).
fn elements(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.rsplit(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

fn last(line: &[u8]) -> Option<&[u8]> {
    elements(line).next()
}

fn scheme(text: &[u8]) -> Option<Scheme> {
    match text {
        _ if text.eq_ignore_ascii_case(b"https") => Some(Scheme::Https),
        _ if text.eq_ignore_ascii_case(b"http") => Some(Scheme::Http),
        _ => None,
    }
}

/// What may stand in `Host` (RFC 9110 §7.2), but for the comma.
fn host(text: &[u8]) -> Option<&str> {
    let inside = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=[]:".contains(byte);
    let is_host = !text.is_empty() && text.iter().all(inside);
    is_host.then(|| std::str::from_utf8(text).ok())?
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let (address, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']')?;
            let address = IpAddr::from(address.parse::<Ipv6Addr>().ok()?);
            (
                address,
                after
                    .strip_prefix(':')
                    .or(after.is_empty().then_some("0"))?,
            )
        }
        None => {
            let (address, port) = text.split_once(':')?;
            (IpAddr::from(address.parse::<Ipv4Addr>().ok()?), port)
        }
    };
    is_port(port).then(|| address.to_canonical())
}

/// A number, or a name that hides it (RFC 7239 §6).
fn is_port(text: &str) -> bool {
    match text.strip_prefix('_') {
        Some(hidden) => is_hidden(hidden.as_bytes()),
        None => (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// What follows the underscore of a name that hides a node or a port (RFC 7239 §6.3).
fn is_hidden(text: &[u8]) -> bool {
    let inside = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    !text.is_empty() && text.iter().all(inside)
}

#[cfg(test)]
mod tests;
