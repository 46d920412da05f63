//! Who the client is: nobody but a trusted proxy is believed, and nothing that stands left of the
//! client in what trusted proxies wrote changes anything. The first byte picks the fields that are
//! read and whether the peer is trusted; the input's other lines are `name:value`.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use appliance_front::proxies::{Client, Proxies, is_scrubbed};

use crate::scratch;

const TRUSTED: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// `X-Forwarded-For` and its kind, and RFC 7239.
static PROXIES: LazyLock<[Proxies; 2]> =
    LazyLock::new(|| ["x-forwarded", "forwarded"].map(proxies));

fn proxies(said_in: &str) -> Proxies {
    let text = format!(
        "[server]\ntrusted_proxies = [\"10.0.0.0/8\", \"fc00::/7\"]\nforwarded = \"{said_in}\"\n\
         [[site]]\nlisten = [8080]\nroutes = {{ \"/\" = {{ files = \".\" }} }}\n"
    );
    let loaded = scratch::project(text.as_bytes());
    Proxies::new(
        &loaded
            .unwrap_or_else(|report| panic!("{report}"))
            .project
            .server,
    )
}

type Fields<'f> = Vec<(&'f [u8], &'f [u8])>;

pub(crate) fn fuzz(bytes: &[u8]) {
    let Some((&choice, rest)) = bytes.split_first() else {
        return;
    };
    let fields: Fields<'_> = rest
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((&line[..colon], &line[colon + 1..]))
        })
        .collect();
    let proxies = &PROXIES[usize::from(choice % 2)];
    let stranger = proxies.client(STRANGER, fields.iter().copied());
    let nothing = Client {
        address: STRANGER,
        scheme: None,
        host: None,
    };
    assert_eq!(stranger, nothing, "a stranger was believed");
    let client = proxies.client(TRUSTED, fields.iter().copied());
    if let Some(host) = client.host {
        assert!(!host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic()));
    }
    if !proxies.trust(client.address) {
        further_left(proxies, &fields, client);
    }
    for (name, _) in &fields {
        scrubbed(name);
    }
}

/// Whatever a client sends, proxies add to: its own stands left, in earlier fields or earlier in
/// the same.
fn further_left(proxies: &Proxies, fields: &Fields<'_>, client: Client<'_>) {
    for made_up in [
        &b"203.0.113.9, "[..],
        b"for=203.0.113.9;proto=https;host=evil, ",
        b"for=\"203.0.113.9, ",
        b"\\\", ",
        b",,\xff;, ",
    ] {
        let mut longer: Vec<Vec<u8>> = fields.iter().map(|(_, value)| value.to_vec()).collect();
        for ((name, _), value) in fields.iter().zip(&mut longer) {
            if name.eq_ignore_ascii_case(b"x-forwarded-for")
                || name.eq_ignore_ascii_case(b"forwarded")
            {
                *value = [made_up, value].concat();
                break;
            }
        }
        let names = fields.iter().map(|(name, _)| *name);
        let again = proxies.client(TRUSTED, names.zip(longer.iter().map(Vec::as_slice)));
        assert_eq!(again, client, "{:?}", String::from_utf8_lossy(made_up));
    }
}

fn scrubbed(name: &[u8]) {
    let environ: Vec<u8> = name
        .iter()
        .map(|byte| match byte {
            b'-' => b'_',
            byte => byte.to_ascii_uppercase(),
        })
        .collect();
    assert_eq!(
        is_scrubbed(name),
        is_scrubbed(&environ),
        "two spellings of one variable"
    );
}
