//! Who may come in, by address.
//!
//! nginx takes the first of its lines that fits. TOML's keys have no order, so here the network
//! that names the address most exactly decides. Where none does, `allow` means "nobody else": of
//! two ways to read an unclear list, the closed one.

use std::cmp::Reverse;
use std::net::IpAddr;

use appliance_project::{Network, model};

#[derive(Debug)]
pub(super) struct Addresses {
    /// The longest prefixes first; whether they may come in.
    networks: Vec<(Network, bool)>,
    others: bool,
}

impl Addresses {
    /// None, if everybody may come in.
    pub(super) fn new(written: &model::Rules) -> Option<Addresses> {
        let allowed = written.allow.iter().map(|network| (*network, true));
        let denied = written.deny.iter().map(|network| (*network, false));
        let mut networks: Vec<_> = allowed.chain(denied).collect();
        networks.sort_by_key(|(network, _)| Reverse(network.prefix()));
        (!networks.is_empty()).then_some(Addresses {
            networks,
            others: written.allow.is_empty(),
        })
    }

    pub(super) fn admit(&self, client: IpAddr) -> bool {
        let mut around = self.networks.iter();
        let found = around.find(|(network, _)| network.contains(client));
        found.map_or(self.others, |(_, admitted)| *admitted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(allow: &[&str], deny: &[&str], client: &str) -> bool {
        let parse = |texts: &[&str]| {
            let networks = texts.iter().map(|text| Network::parse(text));
            networks.collect::<Result<Vec<_>, _>>().expect("networks")
        };
        let rules = model::Rules {
            allow: parse(allow),
            deny: parse(deny),
            ..Default::default()
        };
        let client = client.parse().expect("an address");
        Addresses::new(&rules).is_none_or(|addresses| addresses.admit(client))
    }

    #[test]
    fn who_names_the_address_most_exactly_decides() {
        for (allow, deny, client, expected) in [
            (&[][..], &[][..], "1.2.3.4", true),
            (&["10.0.0.0/8"], &[], "10.1.2.3", true),
            (&["10.0.0.0/8"], &[], "::ffff:10.1.2.3", true),
            (&["10.0.0.0/8"], &[], "11.1.2.3", false),
            (&["10.0.0.0/8"], &[], "::1", false),
            (&[], &["10.0.0.0/8"], "10.1.2.3", false),
            (&[], &["10.0.0.0/8"], "11.1.2.3", true),
            (&["10.0.0.0/8"], &["10.1.0.0/16"], "10.2.0.1", true),
            (&["10.0.0.0/8"], &["10.1.0.0/16"], "10.1.0.1", false),
            (&["10.0.0.0/8"], &["10.1.0.0/16"], "12.1.0.1", false),
            (&["10.1.2.3"], &["0.0.0.0/0", "::/0"], "10.1.2.3", true),
            (&["10.1.2.3"], &["0.0.0.0/0", "::/0"], "10.1.2.4", false),
            (&["0.0.0.0/0"], &["2001:db8::/32"], "2001:db8::1", false),
        ] {
            assert_eq!(
                admitted(allow, deny, client),
                expected,
                "{allow:?} {deny:?} {client}"
            );
        }
    }
}
