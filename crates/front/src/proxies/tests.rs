//! Chains of proxies, honest and made up.

use std::net::IpAddr;

use appliance_project::Network;
use appliance_project::model::Forwarded;

use super::{Client, Proxies, Scheme};

/// The peer of every request here, a trusted proxy.
const PROXY: &str = "10.0.0.1";

fn proxies(said_in: Forwarded) -> Proxies {
    let network = |text| Network::parse(text).expect("a network");
    Proxies {
        trusted: ["10.0.0.0/8", "2001:db8:f::/48"].map(network).to_vec(),
        said_in,
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// The client, for fields written as lines.
fn client<'f>(said_in: Forwarded, peer: &str, lines: &[&'f str]) -> Client<'f> {
    let fields = lines.iter().filter_map(|line| line.split_once(": "));
    let fields = fields.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    proxies(said_in).client(address(peer), fields)
}

fn assert_addresses(said_in: Forwarded, name: &str, cases: &[(&str, &str)]) {
    for (value, expected) in cases {
        let line = format!("{name}: {value}");
        let found = client(said_in, PROXY, &[&line]).address;
        assert_eq!(found, address(expected), "{line}");
    }
}

#[test]
fn x_forwarded_for_is_walked_from_the_right_past_trusted_proxies() {
    assert_addresses(
        Forwarded::XForwarded,
        "x-forwarded-for",
        &[
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1, 10.9.9.9", "192.0.2.1"),
            ("6.6.6.6, 192.0.2.1, 10.9.9.9", "192.0.2.1"),
            ("6.6.6.6,192.0.2.1", "192.0.2.1"),
            ("127.0.0.1, 192.0.2.1", "192.0.2.1"),
            ("2001:db8::1, 2001:db8:f::7", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("192.0.2.1:4711", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("192.0.2.1, ::ffff:10.1.1.1", "192.0.2.1"),
            (" ,192.0.2.1 ,, 10.2.2.2,", "192.0.2.1"),
            // The proxy asks for itself, or a trusted machine does.
            ("", PROXY),
            (",", PROXY),
            ("10.3.3.3", "10.3.3.3"),
            ("10.4.4.4, 10.3.3.3", "10.4.4.4"),
        ],
    );
}

#[test]
fn what_cannot_be_read_ends_the_walk_at_the_last_good_hop() {
    assert_addresses(
        Forwarded::XForwarded,
        "X-Forwarded-For",
        &[
            ("unknown", PROXY),
            ("6.6.6.6, unknown", PROXY),
            ("6.6.6.6, localhost, 10.3.3.3", "10.3.3.3"),
            ("6.6.6.6, 192.0.2.256", PROXY),
            ("6.6.6.6, 192.0.2.01", PROXY),
            ("6.6.6.6, 192.0.2.1:", PROXY),
            ("6.6.6.6, 192.0.2.1:123456", PROXY),
            ("6.6.6.6, 192.0.2.1:+1", PROXY),
            ("6.6.6.6, [2001:db8::1", PROXY),
            ("6.6.6.6, [2001:db8::1]80", PROXY),
            ("6.6.6.6, [192.0.2.1]", PROXY),
            ("6.6.6.6, fe80::1%eth0", PROXY),
            ("6.6.6.6, 192.0.2.1 10.3.3.3", PROXY),
            ("6.6.6.6, \"192.0.2.1\"", PROXY),
            ("\u{e9}, 10.3.3.3", "10.3.3.3"),
        ],
    );
}

#[test]
fn lines_of_one_field_are_one_list() {
    let lines = [
        "X-Forwarded-For: 6.6.6.6, 192.0.2.1",
        "x-forwarded-for: 10.3.3.3",
    ];
    let found = client(Forwarded::XForwarded, PROXY, &lines);
    assert_eq!(found.address, address("192.0.2.1"));
    let lines = [
        "Forwarded: for=6.6.6.6, for=192.0.2.1",
        "forwarded: for=10.3.3.3",
    ];
    let found = client(Forwarded::Forwarded, PROXY, &lines);
    assert_eq!(found.address, address("192.0.2.1"));
}

#[test]
fn nobody_else_is_believed() {
    let lines = [
        "X-Forwarded-For: 127.0.0.1",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: admin.internal",
        "Forwarded: for=127.0.0.1;proto=https;host=admin.internal",
    ];
    for said_in in [Forwarded::XForwarded, Forwarded::Forwarded] {
        let found = client(said_in, "192.0.2.9", &lines);
        let expected = Client {
            address: address("192.0.2.9"),
            scheme: None,
            host: None,
        };
        assert_eq!(found, expected, "{said_in:?}");
    }
}

#[test]
fn a_kind_that_the_proxies_do_not_write_is_not_read() {
    let lines = ["X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https"];
    let found = client(Forwarded::Forwarded, PROXY, &lines);
    assert_eq!((found.address, found.scheme), (address(PROXY), None));
    let lines = ["Forwarded: for=6.6.6.6;proto=https"];
    let found = client(Forwarded::XForwarded, PROXY, &lines);
    assert_eq!((found.address, found.scheme), (address(PROXY), None));
}

#[test]
fn scheme_and_host_are_the_last_that_were_said() {
    for (lines, scheme, host) in [
        (&["x-forwarded-proto: https"][..], Some(Scheme::Https), None),
        (&["X-Forwarded-Proto: HTTP"], Some(Scheme::Http), None),
        (
            &["X-Forwarded-Proto: https, http"],
            Some(Scheme::Http),
            None,
        ),
        (
            &["X-Forwarded-Proto: http", "X-Forwarded-Proto: https"],
            Some(Scheme::Https),
            None,
        ),
        (
            &["X-Forwarded-Proto: https", "X-Forwarded-Proto: evil"],
            None,
            None,
        ),
        (&["X-Forwarded-Proto: https;x"], None, None),
        (&["X-Forwarded-Proto: "], None, None),
        (
            &["X-Forwarded-Host: a.example:8443"],
            None,
            Some("a.example:8443"),
        ),
        (
            &["X-Forwarded-Host: evil, a.example"],
            None,
            Some("a.example"),
        ),
        (&["X-Forwarded-Host: [::1]:80"], None, Some("[::1]:80")),
        (&["X-Forwarded-Host: a b"], None, None),
        (&["X-Forwarded-Host: a@b"], None, None),
        (&["X-Forwarded-Host: a/b"], None, None),
        (&["X-Forwarded-Host: b\u{fc}cher"], None, None),
        (
            &["X-Forwarded-Hosts: a", "X-Forwarded-Prot: https"],
            None,
            None,
        ),
    ] {
        let found = client(Forwarded::XForwarded, PROXY, lines);
        assert_eq!((found.scheme, found.host), (scheme, host), "{lines:?}");
        assert_eq!(found.address, address(PROXY), "{lines:?}");
    }
}

#[test]
fn forwarded_is_walked_as_rfc_7239_has_it() {
    assert_addresses(
        Forwarded::Forwarded,
        "Forwarded",
        &[
            // The examples of §4, and of §6 as far as they hold addresses.
            ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
            ("for=192.0.2.43, for=198.51.100.17", "198.51.100.17"),
            ("for=192.0.2.43,for=\"[2001:db8:f::17]\"", "192.0.2.43"),
            ("for=\"192.0.2.43:47011\"", "192.0.2.43"),
            ("for=\"[2001:db8:cafe::17]:_a-port\"", "2001:db8:cafe::17"),
            // Unquoted, blanks, empty pairs and elements, escapes beside the point.
            ("for=192.0.2.1:80 ; proto=https", "192.0.2.1"),
            ("for=[2001:db8::1]:80", "2001:db8::1"),
            (";;for=192.0.2.1;;, ,", "192.0.2.1"),
            ("for=192.0.2.1;secret=\"a,;\\\"\\\\\"", "192.0.2.1"),
            (
                "for=6.6.6.6, for=192.0.2.1;x=\"a,b\", for=10.3.3.3",
                "192.0.2.1",
            ),
        ],
    );
}

#[test]
fn a_hop_that_hides_its_client_ends_the_walk() {
    assert_addresses(
        Forwarded::Forwarded,
        "Forwarded",
        &[
            ("for=\"_gazonk\"", PROXY),
            ("for=_hidden, for=10.3.3.3", "10.3.3.3"),
            ("for=6.6.6.6, for=unknown", PROXY),
            ("for=6.6.6.6, for=\"unknown:80\"", PROXY),
            ("for=6.6.6.6, for=_SEVKISEK", PROXY),
            ("for=6.6.6.6, proto=https", PROXY),
        ],
    );
}

#[test]
fn malformed_elements_end_the_walk() {
    for element in [
        "for",
        "for=",
        "=192.0.2.1",
        "for =192.0.2.1",
        "for= 192.0.2.1",
        "for=\"192.0.2.1",
        "for=192.0.2.1\"",
        "for=\"192.0.2.1\"x",
        "for=\"\"",
        "for=192.0.2.1 x",
        "for=a",
        "for=192.0.2.1;for=192.0.2.2",
        "for=192.0.2.1;proto=http;proto=https",
        "for=_",
        "for=_\u{e9}",
        "for=unknown:",
        "for=\"192.0.2.\\1\"",
        "for=192.0.2.1;x",
        "192.0.2.1",
    ] {
        let line = format!("Forwarded: for=6.6.6.6, {element}");
        let found = client(Forwarded::Forwarded, PROXY, &[&line]);
        assert_eq!(found.address, address(PROXY), "{line}");
        let line = format!("Forwarded: {element}, for=10.3.3.3;proto=https");
        let found = client(Forwarded::Forwarded, PROXY, &[&line]);
        let expected = (address("10.3.3.3"), Some(Scheme::Https));
        assert_eq!((found.address, found.scheme), expected, "{line}");
    }
}

#[test]
fn an_open_quotation_mark_of_the_client_swallows_nothing() {
    for made_up in [
        "for=\"",
        "for=6.6.6.6;x=\"",
        "\"",
        "x=\"\\",
        "for=6.6.6.6;x=\"a\\\"",
        "\\\"",
    ] {
        for own in [
            "for=192.0.2.1",
            "for=\"192.0.2.1\"",
            "for=\"192.0.2.1\";host=\"a.example\"",
        ] {
            let line = format!("Forwarded: {made_up}, {own}, for=10.3.3.3");
            let found = client(Forwarded::Forwarded, PROXY, &[&line]);
            assert_eq!(found.address, address("192.0.2.1"), "{line}");
        }
    }
}

#[test]
fn scheme_and_host_of_forwarded_are_those_of_the_clients_hop() {
    let line = "Forwarded: for=6.6.6.6;host=evil, \
                for=192.0.2.1;proto=https;host=\"a.example:443\", for=10.3.3.3;proto=http;host=b";
    let found = client(Forwarded::Forwarded, PROXY, &[line]);
    assert_eq!(found.scheme, Some(Scheme::Https));
    assert_eq!(found.host, Some("a.example:443"));
}

#[test]
fn of_a_trusted_proxy_only_the_kind_that_it_does_not_write_is_scrubbed() {
    let scrubbed = |said_in, trusted| {
        let proxies = proxies(said_in);
        let names = [
            "Forwarded",
            "X-Forwarded-For",
            "X_Forwarded_User",
            "Remote-User",
            "Accept",
        ];
        names.map(|name| proxies.scrub(name.as_bytes(), trusted))
    };
    for said_in in [Forwarded::XForwarded, Forwarded::Forwarded] {
        assert_eq!(scrubbed(said_in, false), [true, true, true, true, false]);
    }
    let of_trusted = |said_in| scrubbed(said_in, true);
    assert_eq!(
        of_trusted(Forwarded::XForwarded),
        [true, false, false, false, false]
    );
    assert_eq!(
        of_trusted(Forwarded::Forwarded),
        [false, true, true, false, false]
    );
}

/// xorshift64: the same sequence in every run.
fn random(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state >> 32).unwrap_or(0)
}

#[test]
fn whatever_stands_left_of_the_client_changes_nothing() {
    const PIECES: [&str; 16] = [
        "for=",
        "proto=https",
        "host=evil",
        "10.0.0.1",
        "6.6.6.6",
        "\"",
        "\\",
        ",",
        ";",
        "=",
        " ",
        "[",
        "]",
        "::1",
        "unknown",
        "_x",
    ];
    let mut state = 0x9E37_79B9_7F4A_7C15;
    for _ in 0..20_000 {
        let count = random(&mut state) % 12;
        let made_up: String = (0..count)
            .map(|_| PIECES[random(&mut state) % PIECES.len()])
            .collect();
        let line = format!("Forwarded: {made_up}, for=\"192.0.2.1\";proto=http, for=10.3.3.3");
        let found = client(Forwarded::Forwarded, PROXY, &[&line]);
        let expected = (address("192.0.2.1"), Some(Scheme::Http), None);
        assert_eq!(
            (found.address, found.scheme, found.host),
            expected,
            "{line}"
        );
        let line = format!("X-Forwarded-For: {made_up}, 192.0.2.1, 10.3.3.3");
        let found = client(Forwarded::XForwarded, PROXY, &[&line]);
        assert_eq!(found.address, address("192.0.2.1"), "{line}");
    }
}
