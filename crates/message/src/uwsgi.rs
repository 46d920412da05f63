//! The request packet of the uwsgi protocol, in which a gateway (nginx's `uwsgi_pass`) hands over a
//! request, → [`Head`] and what else it says of the request.
//!
//! Four bytes (modifier1, the length in 16 bits, modifier2; numbers begin with their low byte), then
//! pairs of a name and a value, each behind its length. The body follows as it is, of
//! `CONTENT_LENGTH` bytes. Of two variables with one name the last counts, as for uWSGI.
//!
//! The path is what the gateway has made of it (`PATH_INFO`): its rules were about that one, and a
//! path that it has read in another way than we do could lead past them.

mod packet;
mod variables;
mod write;

use std::net::IpAddr;
use std::sync::Arc;

use crate::{Head, Limits, Refusal};

pub use self::packet::{HEAD_BYTES, HTTP, MODIFIER, TLS, WSGI};
pub use self::write::{Circumstances, Unwritable, write};

/// A request as a gateway hands it over.
#[derive(Debug, Clone)]
pub struct Packet {
    /// As one would have sent it in HTTP, without the fields that are about a connection. The body
    /// has the length that it says.
    pub head: Head,
    /// What a client cannot say.
    pub told: Told,
}

/// What a gateway says of a request, beyond its head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// `REMOTE_ADDR`; 0.0.0.0 for `unix:`.
    pub client: Option<IpAddr>,
    /// `REMOTE_PORT`, or 0.
    pub client_port: u16,
    /// `SERVER_PORT`.
    pub server_port: Option<u16>,
    /// `UWSGI_SCHEME`, `HTTPS` or `REQUEST_SCHEME`.
    pub is_https: bool,
    /// `SCRIPT_NAME`, if it is not empty: the request's path is below it.
    pub mount: Option<Mount>,
    /// Further variables for the application: those that are no order to uWSGI, and none that the
    /// request decides.
    pub variables: Vec<(Box<str>, Box<[u8]>)>,
}

/// The path at which the gateway has the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Without a final slash.
    pub script_name: Arc<str>,
    /// How the request's path begins.
    pub prefix: Box<[u8]>,
}

impl Told {
    /// The last variable of this name.
    pub fn variable(&self, name: &str) -> Option<&[u8]> {
        let mut named = self.variables.iter().rev();
        named
            .find(|(known, _)| **known == *name)
            .map(|(_, value)| &**value)
    }
}

/// Reads a packet at the start of `bytes`. Returns it with its length, or none if more bytes are
/// needed.
///
/// # Errors
/// As soon as it is certain that this is no packet with a request, or one beyond the limits.
pub fn parse(bytes: &[u8], limits: Limits) -> Result<Option<(Packet, usize)>, Refusal> {
    let Some(block) = packet::block(bytes, limits)? else {
        return Ok(None);
    };
    let packet = variables::read(block, limits)?;
    Ok(Some((packet, HEAD_BYTES + block.len())))
}

#[cfg(test)]
mod tests;
