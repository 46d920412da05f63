//! `listen`: a port, or an address with one.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::fault::AddressProblem;

use super::paths::absolute;

/// What is spoken at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    Http,
    /// Connections begin with TLS: `https://:443`.
    Https,
    /// A gateway does: `uwsgi://127.0.0.1:8080`.
    Uwsgi,
}

impl Speaks {
    /// As it stands before an address that has no other.
    pub(super) fn scheme(self) -> &'static str {
        match self {
            Speaks::Http => "",
            Speaks::Https => "https://",
            Speaks::Uwsgi => UWSGI,
        }
    }
}

const UWSGI: &str = "uwsgi://";

/// An address, and what is spoken there.
pub(super) fn parse(text: &str) -> Result<(SocketAddr, Speaks), AddressProblem> {
    let schemes = [
        ("https://", Speaks::Https),
        ("http://", Speaks::Http),
        (UWSGI, Speaks::Uwsgi),
    ];
    let mut schemes = schemes.into_iter();
    let Some((rest, speaks)) =
        schemes.find_map(|(scheme, speaks)| Some((text.strip_prefix(scheme)?, speaks)))
    else {
        return Ok((bare(text)?, Speaks::Http));
    };
    // What a name or a path behind it means is said of the whole.
    match bare(rest) {
        Ok(address) => Ok((address, speaks)),
        Err(AddressProblem::NoPort) => Err(AddressProblem::NoPort),
        Err(AddressProblem::Name) => Err(AddressProblem::Name),
        Err(AddressProblem::Star) => Err(AddressProblem::Star),
        Err(AddressProblem::Range) => Err(AddressProblem::Range),
        Err(_) if speaks == Speaks::Uwsgi => Err(AddressProblem::Uwsgi),
        Err(_) => Err(AddressProblem::Form),
    }
}

/// The longest path of a unix socket (unix(7)), without the NUL behind it.
const LONGEST_PATH: usize = 107;

/// `unix:/path`, and what is spoken there; none for what is no unix socket.
pub(super) fn unix(text: &str, folder: &Path) -> Option<Result<(PathBuf, Speaks), AddressProblem>> {
    let (text, speaks) = match text.strip_prefix(UWSGI) {
        Some(text) => (text, Speaks::Uwsgi),
        None => (text, Speaks::Http),
    };
    let path = text.strip_prefix("unix:")?;
    let path = match path.ends_with(['/', ':']) || path.starts_with('@') || path.contains('\0') {
        true => None,
        false => Some(path).filter(|path| !path.is_empty()),
    };
    let path = path.map(|path| absolute(folder, path));
    let path = path.filter(|path| path.as_os_str().len() <= LONGEST_PATH);
    let found = path.map(|path| (path, speaks));
    Some(found.ok_or(AddressProblem::UnixPath))
}

/// `8080` and `:8080` are every IPv4 address, as in nginx.
fn bare(text: &str) -> Result<SocketAddr, AddressProblem> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let port = text.strip_prefix(':').unwrap_or(text);
    match is_number(port).then(|| port.parse()) {
        Some(Ok(port)) => Ok(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))),
        _ => Err(problem(text)),
    }
}

/// Digits alone: `parse` would take a sign as well.
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn problem(text: &str) -> AddressProblem {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    match text.split_once(':') {
        _ if text.starts_with("unix:") || text.starts_with('/') => AddressProblem::Unix,
        _ if text.starts_with("uwsgi:") => AddressProblem::Uwsgi,
        _ if is_range(text) => AddressProblem::Range,
        _ if text.contains(' ') && text.split(' ').any(|word| word == "ssl") => AddressProblem::Ssl,
        _ if text.contains(' ') => AddressProblem::Parameters,
        _ if bare.parse::<IpAddr>().is_ok() => AddressProblem::NoPort,
        Some(("*", port)) if is_number(port) => AddressProblem::Star,
        Some((name, port)) if is_number(port) && looks_like_name(name) => AddressProblem::Name,
        None if looks_like_name(text) => AddressProblem::Name,
        _ => AddressProblem::Form,
    }
}

/// `8080-8090`, with or without an address.
fn is_range(text: &str) -> bool {
    let ports = text.rsplit(':').next().unwrap_or_default();
    let range = ports.split_once('-');
    range.is_some_and(|(first, last)| is_number(first) && is_number(last))
}

fn looks_like_name(text: &str) -> bool {
    let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(in_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_a_port_are_taken() {
        for (text, address) in [
            ("8080", "0.0.0.0:8080"),
            (":8080", "0.0.0.0:8080"),
            ("http://:80", "0.0.0.0:80"),
            ("0", "0.0.0.0:0"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("[::]:80", "[::]:80"),
            ("[::1]:443", "[::1]:443"),
        ] {
            assert_eq!(
                parse(text).map(|(a, speaks)| (a.to_string(), speaks)),
                Ok((address.to_owned(), Speaks::Http)),
                "{text}"
            );
        }
        for text in ["https://:443", "https://0.0.0.0:443", "https://443"] {
            let every = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 443));
            assert_eq!(parse(text), Ok((every, Speaks::Https)), "{text}");
        }
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
        assert_eq!(parse("uwsgi://127.0.0.1:8080"), Ok((here, Speaks::Uwsgi)));
    }

    #[test]
    fn unix_sockets_are_paths() {
        let parse = |text: &str| unix(text, Path::new("/srv/shop"));
        for (text, path, speaks) in [
            ("unix:/run/a.sock", "/run/a.sock", Speaks::Http),
            ("unix:run/../a.sock", "/srv/shop/a.sock", Speaks::Http),
            (
                "uwsgi://unix:run/a.sock",
                "/srv/shop/run/a.sock",
                Speaks::Uwsgi,
            ),
        ] {
            assert_eq!(parse(text), Some(Ok((path.into(), speaks))), "{text}");
        }
        let long = format!("unix:/{}", "x".repeat(107));
        for text in [
            "unix:",
            "unix:/",
            "unix:/run/",
            "unix:@a",
            "unix:/a.sock:",
            "uwsgi://unix:",
            &long,
        ] {
            assert_eq!(parse(text), Some(Err(AddressProblem::UnixPath)), "{text}");
        }
        for text in ["127.0.0.1:80", "uwsgi://127.0.0.1:80", "uwsgi:unix:/a"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn each_other_form_has_its_own_answer() {
        for (text, problem) in [
            ("127.0.0.1", AddressProblem::NoPort),
            ("::1", AddressProblem::NoPort),
            ("[::]", AddressProblem::NoPort),
            ("localhost:80", AddressProblem::Name),
            ("localhost", AddressProblem::Name),
            ("*:80", AddressProblem::Star),
            ("80 default_server", AddressProblem::Parameters),
            ("443 ssl http2", AddressProblem::Ssl),
            ("https://0.0.0.0", AddressProblem::NoPort),
            ("https://example.com", AddressProblem::Name),
            ("https://:443/", AddressProblem::Form),
            ("unix:/run/a.sock", AddressProblem::Unix),
            ("/run/a.sock", AddressProblem::Unix),
            ("uwsgi://127.0.0.1", AddressProblem::NoPort),
            ("uwsgi://example.com:80", AddressProblem::Name),
            ("uwsgi://*:8080", AddressProblem::Star),
            ("uwsgi:///run/a.sock", AddressProblem::Uwsgi),
            ("uwsgi:unix:/run/a.sock", AddressProblem::Uwsgi),
            ("uwsgi:127.0.0.1:80", AddressProblem::Uwsgi),
            ("8080-8090", AddressProblem::Range),
            ("127.0.0.1:80-90", AddressProblem::Range),
            ("https://:80-90", AddressProblem::Range),
            ("a-b:80", AddressProblem::Name),
            ("65536", AddressProblem::Form),
            ("+80", AddressProblem::Form),
            ("-1", AddressProblem::Form),
            ("", AddressProblem::Form),
            ("127.0.0.1:99999", AddressProblem::Form),
        ] {
            assert_eq!(parse(text), Err(problem), "{text}");
        }
    }
}
