//! Host and path → site and route, compared with a plain model of both. The input's first line is
//! the host, the second the path.

use std::sync::LazyLock;

use appliance_front::fuzzing::{Found, Listener, normalize};

use crate::{head, scratch};

/// Each route by its body limit.
const PROJECT: &str = r##"
[python]
module = "app:application"
[[site]]
listen = ["127.0.0.1:8080"]
server_name = ["a.example", "www.a.example"]
routes = { "/" = { wsgi = true, body_limit = "11B" } }
[[site]]
listen = ["127.0.0.1:8080"]
server_name = ["b.example"]
[site.routes]
"/api" = { wsgi = true, body_limit = "21B" }
"/api/v2" = { wsgi = true, body_limit = "22B" }
"/admin/" = { wsgi = true, body_limit = "23B" }
"= /api/health" = { wsgi = true, body_limit = "24B" }
"^~ /api/v3/" = { wsgi = true, body_limit = "25B" }
'~ ^/api/v\d/(?s:(.*))/e$' = { redirect = "/to/$1?q=$1" }
'~* \.PHP$' = { respond = 410 }
"##;

/// Of `b.example`: prefixes, longest first.
const PREFIXES: [(&str, u64); 4] = [
    ("/api/v3/", FIRM),
    ("/api/v2", 22),
    ("/admin/", 23),
    ("/api", 21),
];

/// Of the prefix that expressions do not win over.
const FIRM: u64 = 25;

static LISTENER: LazyLock<Listener> = LazyLock::new(|| {
    let loaded = scratch::project(PROJECT.as_bytes());
    let loaded = loaded.unwrap_or_else(|report| panic!("{report}"));
    Listener::new(&loaded.project.sites).expect("a listener")
});

pub(crate) fn fuzz(bytes: &[u8]) {
    let mut lines = bytes.splitn(2, |byte| *byte == b'\n');
    let host = lines.next().unwrap_or_default();
    let path = lines.next().unwrap_or(b"/");
    let origin = [b"GET ", path, b" HTTP/1.1\r\nHost: ", host, b"\r\n\r\n"].concat();
    let Some(origin) = head::of(&origin) else {
        return;
    };
    let found = outcome(&LISTENER.find(&origin));
    let Some(host) = origin.host() else {
        return assert_eq!(found, Outcome::BadHost);
    };
    match site_of(host) {
        None => assert_eq!(
            found,
            Outcome::BadHost,
            "{:?}",
            String::from_utf8_lossy(host)
        ),
        Some(is_b) => assert_eq!(found, route_of(is_b, origin.path())),
    }
    // An absolute target's host counts more, and is read the same way.
    let absolute = [b"GET http://", host, path, b" HTTP/1.1\r\nHost: x\r\n\r\n"].concat();
    if path.starts_with(b"/")
        && let Some(absolute) = head::of(&absolute)
        && absolute.host() == Some(host)
        && absolute.path() == origin.path()
    {
        assert_eq!(outcome(&LISTENER.find(&absolute)), found);
    }
}

#[derive(Debug, PartialEq)]
enum Outcome {
    BadHost,
    Malformed,
    AddSlash,
    Nothing,
    Route(u64),
    Status(u16),
    Elsewhere(String),
}

fn outcome(found: &Found<'_>) -> Outcome {
    match found {
        Found::BadHost => Outcome::BadHost,
        Found::Malformed => Outcome::Malformed,
        Found::AddSlash => Outcome::AddSlash,
        Found::Nothing => Outcome::Nothing,
        Found::Application(limit) => Outcome::Route(*limit),
        Found::Status(status) => Outcome::Status(*status),
        Found::Elsewhere(Some(target)) => {
            assert!(target.starts_with('/') && !target.starts_with("//") && target.is_ascii());
            let path = target.split_once('?').map_or(&**target, |(path, _)| path);
            Outcome::Elsewhere(path.to_owned())
        }
        Found::Elsewhere(None) => panic!("longer than a head may be"),
        Found::Files(..) | Found::OtherServers => panic!("there are no such routes"),
    }
}

/// Whether it is `b.example`; none if it is no host.
fn site_of(host: &[u8]) -> Option<bool> {
    let host = std::str::from_utf8(host).ok()?.to_ascii_lowercase();
    let colon = host.rfind(':').filter(|_| !host.ends_with(']'));
    let (name, port) = colon.map_or((&*host, ""), |at| (&host[..at], &host[at + 1..]));
    let is_literal = name.starts_with('[') && name.ends_with(']') && name.len() > 2;
    let is_name = match is_literal {
        true => name[1..name.len() - 1]
            .parse::<std::net::Ipv6Addr>()
            .is_ok(),
        false => is_reg_name(name),
    };
    let is_host = is_name && port.bytes().all(|byte| byte.is_ascii_digit());
    is_host.then(|| name.strip_suffix('.').unwrap_or(name) == "b.example")
}

fn is_reg_name(name: &str) -> bool {
    let mut pieces = name.split('%');
    let first = pieces.next().unwrap_or_default();
    let is_hex = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let is_plain = |text: &str| {
        let may = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=".contains(c);
        text.chars().all(may)
    };
    is_plain(first)
        && pieces.all(|piece| piece.get(..2).is_some_and(is_hex) && is_plain(&piece[2..]))
}

fn route_of(is_b: bool, path: &[u8]) -> Outcome {
    let Some(path) = normalize(path) else {
        return Outcome::Malformed;
    };
    check_normal(&path);
    if !is_b {
        return Outcome::Route(11);
    }
    if path == "/api/health" {
        return Outcome::Route(24);
    }
    let by_prefix = longest_prefix(&path);
    match by_prefix {
        Outcome::Route(FIRM) => by_prefix,
        _ if path == "/api/v3" => by_prefix,
        _ => expression(&path).unwrap_or(by_prefix),
    }
}

/// The two expressions by hand: escapes hide letters from nobody, since none is left escaped.
fn expression(path: &str) -> Option<Outcome> {
    let below = path.strip_prefix("/api/v").and_then(|rest| {
        let rest = rest.strip_prefix(|c: char| c.is_ascii_digit())?;
        rest.strip_prefix('/')?.strip_suffix("/e")
    });
    match below {
        Some(group) => Some(Outcome::Elsewhere(format!("/to/{group}"))),
        None => {
            let is_php = path.to_ascii_lowercase().ends_with(".php");
            is_php.then_some(Outcome::Status(410))
        }
    }
}

fn longest_prefix(path: &str) -> Outcome {
    let segments = |path: &str| -> Vec<String> {
        path.trim_end_matches('/')
            .split('/')
            .map(str::to_owned)
            .collect()
    };
    for (prefix, limit) in PREFIXES {
        if segments(path).starts_with(&segments(prefix)) {
            let lacks_slash = prefix.ends_with('/') && path.len() < prefix.len();
            return if lacks_slash {
                Outcome::AddSlash
            } else {
                Outcome::Route(limit)
            };
        }
    }
    Outcome::Nothing
}

fn check_normal(path: &str) {
    assert!(path.starts_with('/') && !path.contains("//") && path.is_ascii());
    assert!(!path.contains('\0'));
    for segment in path.split('/') {
        assert!(segment != "." && segment != "..", "{path}");
    }
    assert_eq!(
        normalize(path.as_bytes()).as_deref(),
        Some(path),
        "normal twice"
    );
}
