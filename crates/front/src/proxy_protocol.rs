//! The header of the PROXY protocol, versions 1 and 2, by which a proxy that does not speak HTTP
//! says on whose behalf it connects (HAProxy's proxy-protocol.txt; sections below are its own).
//!
//! It stands before anything else on the connection. Whether it is there is never guessed: where
//! it is expected and missing, the connection must be closed (§2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// The proxy connected for itself, to look whether we are well: the connection's own
    /// addresses hold.
    Local,
    /// The proxy connected for a client whose address it cannot name. The connection's own
    /// addresses are all there is, but its requests are not the proxy's own: they are not to be
    /// trusted as if it had sent them.
    Unknown,
    /// The proxy connected for this client.
    Relayed {
        /// The client.
        source: SocketAddr,
        /// Where the client connected to.
        destination: SocketAddr,
    },
}

/// The bytes are no header: the connection is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// The longest header that is read. Version 2 could announce 64 KB; what proxies send, with
/// certificates' names in it, stays far below this.
pub const MAX_BYTES: usize = 4096;

const V1: &[u8] = b"PROXY ";
/// The longest line of version 1 (§2.1).
const V1_MAX_BYTES: usize = 107;
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// What precedes the addresses in version 2: signature, version and command, family, length.
const V2_FIXED_BYTES: usize = 16;

/// Reads the header at the start of `bytes`; what it says and how long it is. None as long as
/// there is too little of it to tell. What does not begin like one fails at its first wrong byte.
pub fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, Malformed> {
    match bytes.first() {
        None => Ok(None),
        Some(b'P') => version_1(bytes),
        Some(_) => version_2(bytes),
    }
}

/// Whether all of `signature` is there.
fn begins(bytes: &[u8], signature: &[u8]) -> Result<bool, Malformed> {
    let there = bytes.len().min(signature.len());
    match bytes[..there] == signature[..there] {
        true => Ok(there == signature.len()),
        false => Err(Malformed),
    }
}

/// One line of text (§2.1): `PROXY TCP4 192.168.0.1 192.168.0.11 56324 443`.
fn version_1(bytes: &[u8]) -> Result<Option<(Header, usize)>, Malformed> {
    if !begins(bytes, V1)? {
        return Ok(None);
    }
    let within = &bytes[..bytes.len().min(V1_MAX_BYTES)];
    // The first line feed ends the line or is wrong, and so is a carriage return before it.
    let Some(end) = within.iter().position(|byte| *byte == b'\n') else {
        return match within.len() {
            V1_MAX_BYTES => Err(Malformed),
            _ => Ok(None),
        };
    };
    let line = within[V1.len()..end].strip_suffix(b"\r").ok_or(Malformed)?;
    if line.contains(&b'\r') {
        return Err(Malformed);
    }
    Ok(Some((line_1(line).ok_or(Malformed)?, end + 1)))
}

fn line_1(line: &[u8]) -> Option<Header> {
    if line == b"UNKNOWN" || line.starts_with(b"UNKNOWN ") {
        return Some(Header::Unknown);
    }
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let mut word = || words.next();
    let family = match word()? {
        "TCP4" => address_4,
        "TCP6" => address_6,
        _ => return None,
    };
    let (source, destination) = (family(word()?)?, family(word()?)?);
    let (source_port, destination_port) = (port(word()?)?, port(word()?)?);
    word().is_none().then(|| Header::Relayed {
        source: socket(source, source_port),
        destination: socket(destination, destination_port),
    })
}

fn address_4(text: &str) -> Option<IpAddr> {
    text.parse().ok().map(IpAddr::V4)
}

fn address_6(text: &str) -> Option<IpAddr> {
    text.parse().ok().map(IpAddr::V6)
}

/// A number without leading zeros; `parse` would take them, and a sign.
fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let leading = text.len() > 1 && text.starts_with('0');
    (digits && !leading).then(|| text.parse().ok())?
}

/// An IPv4 address that was written as IPv6 is the same client by its own name.
fn socket(address: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address.to_canonical(), port)
}

/// Binary (§2.2). What follows the addresses (TLS, certificates, names, checksums) is skipped.
fn version_2(bytes: &[u8]) -> Result<Option<(Header, usize)>, Malformed> {
    if !begins(bytes, V2)? {
        return Ok(None);
    }
    let command = match bytes.get(V2.len()) {
        None => return Ok(None),
        Some(0x20) => Command::Local,
        Some(0x21) => Command::Proxy,
        Some(_) => return Err(Malformed),
    };
    let Some((fixed, rest)) = bytes.split_first_chunk::<V2_FIXED_BYTES>() else {
        return Ok(None);
    };
    let [.., family, high, low] = *fixed;
    let len = usize::from(u16::from_be_bytes([high, low]));
    let whole = V2_FIXED_BYTES + len;
    if whole > MAX_BYTES {
        return Err(Malformed);
    }
    let Some(rest) = rest.get(..len) else {
        return Ok(None);
    };
    let header = match command {
        // Whatever family it names is to be ignored.
        Command::Local => Header::Local,
        Command::Proxy => relayed_2(family, rest).ok_or(Malformed)?,
    };
    Ok(Some((header, whole)))
}

enum Command {
    Local,
    Proxy,
}

/// Addresses of TCP; those of Unix sockets, datagrams and the unspecified are no client's that
/// could be named.
fn relayed_2(family: u8, rest: &[u8]) -> Option<Header> {
    match family {
        0x11 => {
            let (source, rest) = rest.split_first_chunk::<4>()?;
            let (destination, rest) = rest.split_first_chunk::<4>()?;
            relayed(Ipv4Addr::from(*source), Ipv4Addr::from(*destination), rest)
        }
        0x21 => {
            let (source, rest) = rest.split_first_chunk::<16>()?;
            let (destination, rest) = rest.split_first_chunk::<16>()?;
            relayed(Ipv6Addr::from(*source), Ipv6Addr::from(*destination), rest)
        }
        _ if family >> 4 <= 3 && family & 0xf <= 2 => Some(Header::Unknown),
        _ => None,
    }
}

fn relayed<A: Into<IpAddr>>(source: A, destination: A, ports: &[u8]) -> Option<Header> {
    let [s0, s1, d0, d1] = *ports.first_chunk::<4>()?;
    Some(Header::Relayed {
        source: socket(source.into(), u16::from_be_bytes([s0, s1])),
        destination: socket(destination.into(), u16::from_be_bytes([d0, d1])),
    })
}

#[cfg(test)]
mod tests;
