//! `listen` and `server_name`.

use std::net::{IpAddr, Ipv6Addr};

use appliance_project::kind;
use toml_edit::Value;

use crate::convert::Converted;
use crate::draft::{Line, Site};
use crate::report::Verdict;

use super::level::Reader;
use super::scope::Scope;
use super::tree::Directive;

/// An address that nginx binds.
#[derive(Debug, PartialEq, Eq)]
enum Address {
    /// As project.toml has it.
    Written(Vec<String>),
    /// A Unix socket.
    Unix,
    /// A name, or nothing that is an address.
    Other,
}

impl Reader<'_, '_> {
    pub(super) fn listen(&mut self, directive: &Directive, site: &mut Site, scope: &mut Scope) {
        let parameters = &directive.args[directive.args.len().min(1)..];
        let has = |name: &str| parameters.iter().any(|parameter| parameter == name);
        let dual = has("ipv6only=off");
        let place = directive.place;
        let addresses = match address(directive.arg(), dual) {
            Address::Written(addresses) => addresses,
            Address::Unix => {
                let text = "add it to `site.listen` by hand: `server.socket_mode` says who may connect, and `allow`, `deny` and `trusted_proxies` know its peers as `unix:`";
                return self.row(place, Verdict::Missing, text);
            }
            Address::Other => {
                let text = "write it as an address with a port";
                return self.row(place, Verdict::Missing, text);
            }
        };
        site.is_default |= has("default_server") || has("default");
        if has("proxy_protocol") {
            let value = Value::from(true);
            let converted = Converted { value, rank: None };
            let row =
                self.import
                    .report
                    .row(place, Verdict::Carried, "`site.proxy_protocol = true`");
            Scope::put(
                &mut scope.site,
                Line::inherited("proxy_protocol", converted, place, row),
            );
        }
        let tls = has("ssl") || has("quic");
        let known = kind("[site.tls]", "certificate").is_some();
        let addresses: Vec<String> = match tls && known {
            true => addresses
                .iter()
                .map(|address| format!("https://{address}"))
                .collect(),
            false => addresses,
        };
        let written = addresses.join("`, `");
        match tls && !known {
            true => {
                let text = format!(
                    "there is no TLS yet: `{written}` speaks plain HTTP, so keep what ends TLS in front of it"
                );
                self.row(place, Verdict::Trap, text);
            }
            false => self.row(
                place,
                Verdict::Carried,
                format!("`site.listen`: `{written}`"),
            ),
        }
        for address in addresses {
            if !site.listen.contains(&address) {
                site.listen.push(address);
            }
        }
    }

    pub(super) fn server_name(&mut self, directive: &Directive, site: &mut Site) {
        let place = directive.place;
        let (mut taken, mut left) = (Vec::new(), Vec::new());
        for name in &directive.args {
            match name.as_str() {
                "_" | "" => {}
                name if is_name(name) => taken.push(name.to_ascii_lowercase()),
                name => left.push(name),
            }
        }
        let any = taken.is_empty() && left.is_empty();
        for name in taken {
            if !site.server_name.contains(&name) {
                site.server_name.push(name);
            }
        }
        if !left.is_empty() {
            let text = format!(
                "names are no expressions: list those that `{}` stands for",
                left.join("`, `")
            );
            self.row(place, Verdict::Missing, text);
        }
        if !site.server_name.is_empty() {
            let text = format!(
                "`site.server_name = \"{}\"`",
                site.server_name.join("\", \"")
            );
            self.row(place, Verdict::Carried, text);
        } else if any {
            self.row(place, Verdict::Default, "a site without names answers any");
        }
    }
}

/// Whether it is a name, with a `*` or `.` at its begin or a `*` at its end, and neither
/// expression nor variable.
fn is_name(name: &str) -> bool {
    let name = name.strip_prefix('*').unwrap_or(name);
    let name = name
        .strip_prefix('.')
        .or(name.strip_suffix(".*"))
        .unwrap_or(name);
    let inside =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    !name.starts_with('.') && !name.ends_with('.') && name.chars().all(inside)
}

/// What `listen` binds, `80` and `*:80` being every IPv4 address.
fn address(text: &str, dual: bool) -> Address {
    if text.starts_with("unix:") {
        return Address::Unix;
    }
    let port = |text: &str| text.parse::<u16>().ok();
    if let Some(port) = port(text) {
        return Address::Written(vec![format!("0.0.0.0:{port}")]);
    }
    let (host, number) = match text.rsplit_once(':') {
        Some((host, number)) if !host.is_empty() && port(number).is_some() => (host, port(number)),
        _ => (text, Some(80)),
    };
    let number = number.unwrap_or(80);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let host = match bare {
        "*" => "0.0.0.0".to_owned(),
        "localhost" => "127.0.0.1".to_owned(),
        _ => match bare.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => address.to_string(),
            Ok(IpAddr::V6(address)) => format!("[{address}]"),
            Err(_) => return Address::Other,
        },
    };
    let written = format!("{host}:{number}");
    match bare.parse() {
        Ok(Ipv6Addr::UNSPECIFIED) if dual => {
            Address::Written(vec![format!("0.0.0.0:{number}"), written])
        }
        _ => Address::Written(vec![written]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_that_nginx_binds() {
        for (text, dual, expected) in [
            ("80", false, vec!["0.0.0.0:80"]),
            ("*:8080", false, vec!["0.0.0.0:8080"]),
            ("127.0.0.1", false, vec!["127.0.0.1:80"]),
            ("localhost:81", false, vec!["127.0.0.1:81"]),
            ("[::]:443", false, vec!["[::]:443"]),
            ("[::]:443", true, vec!["0.0.0.0:443", "[::]:443"]),
            ("[::1]", false, vec!["[::1]:80"]),
        ] {
            let expected = expected.into_iter().map(String::from).collect();
            assert_eq!(address(text, dual), Address::Written(expected), "{text}");
        }
        assert_eq!(address("unix:/run/a.sock", false), Address::Unix);
        assert_eq!(address("example.com:80", false), Address::Other);
        assert_eq!(address("99999", false), Address::Other);
        assert_eq!(address("", false), Address::Other);
    }
}
