//! Networks of addresses: `10.0.0.0/8`, `::1`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// An address with the length of the prefix that counts; a single address counts whole. What is
/// behind the prefix is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkProblem {
    /// A name instead of an address.
    Name,
    /// An address with a port.
    Port,
    /// A prefix that is no number or longer than the address: the longest there is.
    Prefix(u8),
    /// Bits behind the prefix: the network that the address is in.
    Bits(Network),
    /// Anything else.
    Form,
}

impl Network {
    /// `unix:`, the peers of unix sockets: they pass for the address that nobody has, `0.0.0.0`.
    pub const UNIX: Network = Network {
        address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        prefix: 32,
    };

    /// Reads `10.0.0.0/8`, `2001:db8::/32`, `127.0.0.1`. An IPv4 network written within IPv6
    /// (`::ffff:10.0.0.0/104`) is the IPv4 network.
    pub fn parse(text: &str) -> Result<Network, NetworkProblem> {
        if text == "unix:" {
            return Ok(Network::UNIX);
        }
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| problem(address))?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) => number(digits)
                .filter(|prefix| *prefix <= longest)
                .ok_or(NetworkProblem::Prefix(longest))?,
        };
        let network = Network::around(address, prefix);
        match network.address == address {
            true => Ok(network.canonical()),
            false => Err(NetworkProblem::Bits(network)),
        }
    }

    /// The network of this prefix that the address is in.
    fn around(address: IpAddr, prefix: u8) -> Network {
        let address = match address {
            IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & mask4(prefix)).into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & mask6(prefix)).into(),
        };
        Network { address, prefix }
    }

    fn canonical(self) -> Network {
        match (self.address.to_canonical(), self.prefix.checked_sub(96)) {
            (address @ IpAddr::V4(_), Some(prefix)) if self.address.is_ipv6() => {
                Network { address, prefix }
            }
            _ => self,
        }
    }

    /// Whether the address is in it. An IPv4 address written within IPv6 is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                address.to_bits() & mask4(self.prefix) == network.to_bits()
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                address.to_bits() & mask6(self.prefix) == network.to_bits()
            }
            _ => false,
        }
    }

    /// Bits that count.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether it is every address of its family.
    pub fn is_everything(&self) -> bool {
        self.prefix == 0
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.address, self.prefix) {
            _ if *self == Network::UNIX => f.write_str("unix:"),
            (IpAddr::V4(_), 32) | (IpAddr::V6(_), 128) => write!(f, "{}", self.address),
            _ => write!(f, "{}/{}", self.address, self.prefix),
        }
    }
}

/// The first bits; a shift by the whole width would overflow.
fn mask4(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

fn mask6(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
}

/// Digits alone: `parse` would take a sign as well.
fn number(text: &str) -> Option<u8> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

fn problem(text: &str) -> NetworkProblem {
    let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match () {
        () if text.parse::<std::net::SocketAddr>().is_ok() => NetworkProblem::Port,
        () if text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(in_name) => {
            NetworkProblem::Name
        }
        () => NetworkProblem::Form,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::parse(text).unwrap_or_else(|problem| panic!("{text}: {problem:?}"))
    }

    #[test]
    fn networks_contain_their_addresses_alone() {
        for (text, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.168.1.128/25", "192.168.1.255", "192.168.1.127"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("127.0.0.1/32", "127.0.0.1", "126.0.0.1"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::/0", "ff::1", "1.2.3.4"),
            ("::1", "::1", "::2"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::10.1.2.3"),
            ("::ffff:10.0.0.0/104", "10.1.2.3", "11.1.2.3"),
            ("::ffff:1.2.3.4", "1.2.3.4", "1.2.3.5"),
        ] {
            let network = network(text);
            let address = |text: &str| text.parse().expect("an address");
            assert!(network.contains(address(inside)), "{text} {inside}");
            assert!(!network.contains(address(outside)), "{text} {outside}");
        }
    }

    #[test]
    fn networks_print_as_they_are_written() {
        for text in [
            "10.0.0.0/8",
            "::1",
            "0.0.0.0/0",
            "2001:db8::/32",
            "1.2.3.4",
            "unix:",
        ] {
            assert_eq!(network(text).to_string(), text);
        }
        assert_eq!(network("::ffff:10.0.0.0/104").to_string(), "10.0.0.0/8");
        assert_eq!(network("1.2.3.4/32").to_string(), "1.2.3.4");
        assert!(network("::/0").is_everything() && !network("::/1").is_everything());
    }

    #[test]
    fn each_other_form_has_its_own_answer() {
        for (text, problem) in [
            ("proxy.example.com", NetworkProblem::Name),
            ("localhost", NetworkProblem::Name),
            ("10.0.0.1:80", NetworkProblem::Port),
            ("[::1]:80", NetworkProblem::Port),
            ("10.0.0.0/33", NetworkProblem::Prefix(32)),
            ("::/129", NetworkProblem::Prefix(128)),
            ("10.0.0.0/", NetworkProblem::Prefix(32)),
            ("10.0.0.0/+8", NetworkProblem::Prefix(32)),
            ("10.0.0.0/255.0.0.0", NetworkProblem::Prefix(32)),
            ("10.0.0.1/8", NetworkProblem::Bits(network("10.0.0.0/8"))),
            ("::1/64", NetworkProblem::Bits(network("::/64"))),
            ("10.0.0", NetworkProblem::Form),
            ("010.0.0.1", NetworkProblem::Form),
            ("*", NetworkProblem::Form),
            ("", NetworkProblem::Form),
            ("fe80::1%eth0", NetworkProblem::Form),
        ] {
            assert_eq!(Network::parse(text), Err(problem), "{text}");
        }
    }
}
