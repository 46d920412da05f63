//! `environ` for requests that nobody thought of: random heads, and a plain model of what they mean.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::Project;

const APP: &str = include_str!("../apps/environ.py");
const REQUESTS: usize = 2_000;

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % bound
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    fn several(&mut self, from: &[&[u8]], most: usize) -> Vec<u8> {
        let count = self.below(most + 1);
        (0..count)
            .flat_map(|_| self.pick(from).iter().copied())
            .collect()
    }
}

/// Each byte as one code point (PEP 3333, "Unicode Issues").
fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn unescaped(path: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut rest = path;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte == b'%' {
            let digits = std::str::from_utf8(&after[..2]).unwrap();
            plain.push(u8::from_str_radix(digits, 16).unwrap());
            rest = &after[2..];
        } else {
            plain.push(*byte);
        }
    }
    plain
}

/// What the fields become, by RFC 3875 §4.1.18 and what the documentation withholds.
fn variables(fields: &[(&str, Vec<u8>)]) -> BTreeMap<String, String> {
    const WITHHELD: [&str; 6] = [
        "keep-alive",
        "proxy",
        "proxy-connection",
        "te",
        "trailer",
        "x-request-id",
    ];
    let mut variables: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in fields {
        let lower = name.to_lowercase();
        if name.contains('_') || WITHHELD.contains(&&*lower) {
            continue;
        }
        let key = match &*lower {
            "content-type" => "CONTENT_TYPE".to_owned(),
            _ => format!("HTTP_{}", name.to_uppercase().replace('-', "_")),
        };
        let separator = if lower == "cookie" { "; " } else { ", " };
        let value = latin1(value);
        variables
            .entry(key)
            .and_modify(|before| *before = format!("{before}{separator}{value}"))
            .or_insert(value);
    }
    variables
}

#[test]
fn any_request_is_told_as_it_was_sent() {
    const METHODS: [&str; 6] = ["GET", "POST", "DELETE", "PATCH", "M-SEARCH", "get"];
    const PATH: [&[u8]; 10] = [
        b"a",
        b"Z9",
        b"/",
        b"%2F",
        b"%C3%A9",
        b"\xc3\xa9",
        b"~",
        b"%25",
        b"+;,=",
        b"%20",
    ];
    const QUERY: [&[u8]; 8] = [b"a", b"=", b"&", b"?", b"/", b"%41", b"\xff", b"+"];
    const NAMES: [&str; 16] = [
        "Accept",
        "ACCEPT",
        "Cookie",
        "cookie",
        "X-A",
        "x-a",
        "X_A",
        "x-b-C",
        "User-Agent",
        "TE",
        "Proxy",
        "Keep-Alive",
        "Content-Type",
        "X-Request-ID",
        "!#$%&'*+.^`|~",
        "If-None-Match",
    ];
    const VALUE: [&[u8]; 9] = [
        b"a",
        b"B",
        b" ",
        b"\t",
        b",",
        b"\"",
        b"\xe9",
        b"\xc3\xa9",
        b";=",
    ];
    let site = Project::wsgi(APP).start();
    let mut connection = site.connect();
    let mut random = Random(42);
    for number in 0..REQUESTS {
        let method = random.pick(&METHODS);
        let path = [b"/", &*random.several(&PATH, 6)].concat();
        let query = random.several(&QUERY, 5);
        let fields: Vec<(&str, Vec<u8>)> = (0..random.below(9))
            .map(|_| (random.pick(&NAMES), random.several(&VALUE, 6)))
            .map(|(name, value)| (name, value.trim_ascii().to_vec()))
            .collect();
        let mut request = [method.as_bytes(), b" ", &path, b"?", &query].concat();
        request.extend_from_slice(b" HTTP/1.1\r\nHost: test\r\n");
        for (name, value) in &fields {
            let blanks = ["", " ", "\t "][random.below(3)];
            request.extend_from_slice(format!("{name}:{blanks}").as_bytes());
            request.extend_from_slice(value);
            request.extend_from_slice(blanks.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        connection.send(&request);
        let response = connection.response();
        let shown = String::from_utf8_lossy(&request);
        assert_eq!(response.status, 200, "{number}: {shown}");
        let environ: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(environ["REQUEST_METHOD"], method, "{shown}");
        assert_eq!(environ["PATH_INFO"], latin1(&unescaped(&path)), "{shown}");
        assert_eq!(environ["QUERY_STRING"], latin1(&query), "{shown}");
        let of_fields: BTreeMap<String, String> = environ
            .as_object()
            .unwrap()
            .iter()
            .filter(|(key, _)| key.starts_with("HTTP_") || *key == "CONTENT_TYPE")
            .filter(|(key, _)| !matches!(key.as_str(), "HTTP_HOST" | "HTTP_X_REQUEST_ID"))
            .map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()))
            .collect();
        assert_eq!(of_fields, variables(&fields), "{number}: {shown}");
    }
}
