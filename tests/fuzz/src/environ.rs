//! The environ (PEP 3333) of whatever passes for a request: each variable is what its rule makes
//! of the head, and there is no other. The rules are here once more, as plainly as they can be.

use std::collections::BTreeMap;

use appliance_message::{Framing, Head, Target};
use bytes::Bytes;
use http::Version;

use crate::head;

/// Set by the server, whoever asks.
const FIXED: [(&str, &str); 7] = [
    ("HTTP_X_REQUEST_ID", "0000000000000007"),
    ("REMOTE_ADDR", "192.0.2.2"),
    ("REMOTE_PORT", "5"),
    ("SCRIPT_NAME", ""),
    ("SERVER_NAME", "192.0.2.1"),
    ("SERVER_PORT", "80"),
    ("wsgi.url_scheme", "http"),
];

/// Fields that have another way to the application, are none of its business, or would be taken
/// for what they are not.
const WITHHELD: [&str; 8] = [
    "content-length",
    "keep-alive",
    "proxy",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "x-request-id",
];

pub(crate) fn fuzz(bytes: &[u8]) {
    let Some(head) = head::of(bytes) else {
        return;
    };
    let Ok(framing) = head.framing() else {
        return;
    };
    let body = match framing {
        Framing::None => 0,
        Framing::Length(length) => length.min(64) as usize,
        Framing::Chunked => 3,
    };
    let given = appliance_bridge::fuzzing::environ(&head, Bytes::from(vec![b'x'; body]));
    let mut given: BTreeMap<String, String> = given.expect("an environ").into_iter().collect();
    let software = given.remove("SERVER_SOFTWARE").unwrap_or_default();
    assert!(software.starts_with("appliance/"));
    assert_eq!(given, expected(&head, framing, body));
    for (key, value) in &given {
        assert!(!key.contains(['-', '\r', '\n', '\0']), "{key}");
        let is_raw = key == "PATH_INFO"; // decoded: its bytes may be any
        assert!(is_raw || !value.contains(['\r', '\n', '\0']), "{key}");
        assert!(value.chars().all(|char| u32::from(char) < 256), "{key}");
    }
}

fn expected(head: &Head, framing: Framing, body: usize) -> BTreeMap<String, String> {
    let mut environ = BTreeMap::new();
    let mut set = |key: &str, value: String| environ.insert(key.to_owned(), value);
    for (key, value) in FIXED {
        set(key, value.to_owned());
    }
    set("REQUEST_METHOD", head.method.to_string());
    let protocol = match head.version {
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    };
    set("SERVER_PROTOCOL", protocol.to_owned());
    let whole = match head.form {
        Target::Origin => head.target().to_vec(),
        _ => head.path_and_query().to_vec(),
    };
    let (path, query) = match whole.iter().position(|byte| *byte == b'?') {
        Some(at) => (&whole[..at], &whole[at + 1..]),
        None => (&whole[..], &b""[..]),
    };
    set("PATH_INFO", latin1(&decoded(path)));
    set("QUERY_STRING", latin1(query));
    set("REQUEST_URI", latin1(&whole));
    let is_framed = head.fields().any(|(_, name, _)| {
        name.eq_ignore_ascii_case(b"content-length")
            || name.eq_ignore_ascii_case(b"transfer-encoding")
    });
    assert!(is_framed || framing == Framing::None);
    if is_framed {
        set("CONTENT_LENGTH", body.to_string());
    }
    add_fields(head, &mut environ);
    environ
}

fn add_fields(head: &Head, environ: &mut BTreeMap<String, String>) {
    for (_, name, value) in head.fields() {
        let name = String::from_utf8(name.to_ascii_lowercase()).expect("a token");
        if WITHHELD.contains(&&*name) || name.contains('_') {
            continue;
        }
        let value = match &*name {
            // The target's host counts more (RFC 9112 §3.2.2).
            "host" => latin1(head.host().unwrap_or(value)),
            _ => latin1(value),
        };
        let key = match &*name {
            "content-type" => "CONTENT_TYPE".to_owned(),
            _ => format!("HTTP_{}", name.replace('-', "_").to_uppercase()),
        };
        let separator = if name == "cookie" { "; " } else { ", " };
        match environ.get_mut(&key) {
            Some(before) => *before += &format!("{separator}{value}"),
            None => _ = environ.insert(key, value),
        }
    }
    if let Some(host) = head.host() {
        environ
            .entry("HTTP_HOST".to_owned())
            .or_insert_with(|| latin1(host));
    }
}

fn decoded(path: &[u8]) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let (mut decoded, mut at) = (Vec::new(), 0);
    while let Some(byte) = path.get(at) {
        let high = path.get(at + 1).and_then(digit);
        let low = path.get(at + 2).and_then(digit);
        match (byte, high, low) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    decoded
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}
