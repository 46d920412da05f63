use http::{Method, StatusCode, Version};

use super::*;
use crate::{Framing, Name, Target};

const LIMITS: Limits = Limits {
    bytes: 2000,
    fields: 20,
};

fn packet(variables: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for text in variables.iter().flat_map(|(name, value)| [name, value]) {
        block.extend_from_slice(&u16::try_from(text.len()).unwrap().to_le_bytes());
        block.extend_from_slice(text.as_bytes());
    }
    let len = u16::try_from(block.len()).unwrap().to_le_bytes();
    [&[0, len[0], len[1], 0], block.as_slice()].concat()
}

fn read(variables: &[(&str, &str)]) -> Result<Packet, Refusal> {
    let bytes = packet(variables);
    let (packet, len) = parse(&bytes, LIMITS)?.expect("it is whole");
    assert_eq!(len, bytes.len());
    Ok(packet)
}

/// A GET with further variables.
fn get(further: &[(&str, &str)]) -> Result<Packet, Refusal> {
    let usual = [
        ("REQUEST_METHOD", "GET"),
        ("REQUEST_URI", "/"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("HTTP_HOST", "a.test"),
    ];
    read(&[&usual, further].concat())
}

#[test]
fn what_nginx_sends_becomes_a_request() {
    let packet = read(&[
        ("QUERY_STRING", "q=1&r"),
        ("REQUEST_METHOD", "POST"),
        ("CONTENT_TYPE", "text/plain"),
        ("CONTENT_LENGTH", "12"),
        ("REQUEST_URI", "/a%20b/c?q=1&r"),
        ("PATH_INFO", "/a b/c"),
        ("DOCUMENT_ROOT", "/usr/share/nginx/html"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("REQUEST_SCHEME", "https"),
        ("HTTPS", "on"),
        ("REMOTE_ADDR", "192.0.2.7"),
        ("REMOTE_PORT", "40000"),
        ("SERVER_PORT", "443"),
        ("SERVER_NAME", "site.test"),
        ("HTTP_HOST", "site.test:443"),
        ("HTTP_USER_AGENT", "curl/8"),
        ("HTTP_CONTENT_LENGTH", "12"),
        ("HTTP_CONTENT_TYPE", "text/plain"),
        ("HTTP_EXPECT", "100-continue"),
        ("HTTP_CONNECTION", "upgrade"),
        ("HTTP_UPGRADE", "websocket"),
        ("HTTP_TRANSFER_ENCODING", "chunked"),
        ("HTTP_COOKIE", "a=b"),
    ])
    .unwrap();
    let head = packet.head;
    assert_eq!(head.line(), b"POST /a%20b/c?q=1&r HTTP/1.1");
    assert_eq!(
        (head.method.clone(), head.form),
        (Method::POST, Target::Origin)
    );
    assert_eq!(
        (head.path(), head.query()),
        (&b"/a%20b/c"[..], Some(&b"q=1&r"[..]))
    );
    assert_eq!(head.framing(), Ok(Framing::Length(12)));
    let names: Vec<&[u8]> = head.fields().map(|(_, name, _)| name).collect();
    let expected: [&[u8]; 5] = [
        b"content-type",
        b"content-length",
        b"host",
        b"user-agent",
        b"cookie",
    ];
    assert_eq!(names, expected);
    let told = packet.told;
    assert_eq!(told.client, Some([192, 0, 2, 7].into()));
    assert_eq!((told.client_port, told.server_port), (40000, Some(443)));
    assert!(told.is_https && told.mount.is_none());
    assert_eq!(told.variable("SERVER_NAME"), Some(&b"site.test"[..]));
    assert_eq!(
        told.variable("DOCUMENT_ROOT"),
        Some(&b"/usr/share/nginx/html"[..])
    );
    assert_eq!(told.variables.len(), 2);
}

#[test]
fn the_path_is_what_the_gateway_has_read() {
    for (uri, path, query, expected) in [
        ("/a/b?c", None, None, ("/a/b", Some("c"))),
        ("/a%2Fb", Some("/a/b"), Some(""), ("/a/b", None)),
        (
            "/x/..%2fadmin/?q",
            Some("/admin/"),
            Some("q"),
            ("/admin/", Some("q")),
        ),
        ("/old?a", Some("/new"), Some("b=1"), ("/new", Some("b=1"))),
        ("/a%25b", Some("/a%b"), None, ("/a%25b", None)),
        ("/%C3%BC", Some("/ü"), None, ("/%C3%BC", None)),
        ("/a%3Fb?c", Some("/a?b"), Some("c"), ("/a%3Fb", Some("c"))),
    ] {
        let mut variables = vec![("REQUEST_METHOD", "GET"), ("REQUEST_URI", uri)];
        variables.extend(path.map(|path| ("PATH_INFO", path)));
        variables.extend(query.map(|query| ("QUERY_STRING", query)));
        let head = read(&variables).unwrap().head;
        let (path, query) = expected;
        assert_eq!(head.target(), uri.as_bytes(), "{uri}");
        assert_eq!(String::from_utf8_lossy(head.path()), path, "{uri}");
        assert_eq!(head.query(), query.map(str::as_bytes), "{uri}");
    }
    let packet = read(&[
        ("REQUEST_METHOD", "GET"),
        ("PATH_INFO", "/a b"),
        ("QUERY_STRING", "c"),
    ]);
    assert_eq!(packet.unwrap().head.line(), b"GET /a%20b?c HTTP/1.0");
}

#[test]
fn a_script_name_stands_before_the_path_once() {
    for (uri, script_name, path, whole) in [
        ("/shop/cart", "/shop", "/cart", "/shop/cart"),
        ("/shop/cart", "/shop", "/shop/cart", "/shop/cart"),
        ("/shop/cart", "/shop/", "/shop/cart", "/shop/cart"),
        ("/shop", "/shop", "", "/shop"),
        ("/shopping", "/shop", "/shopping", "/shop/shopping"),
        ("/a/a/b", "/a", "/a/b", "/a/a/b"),
    ] {
        let packet = get(&[
            ("REQUEST_URI", uri),
            ("SCRIPT_NAME", script_name),
            ("PATH_INFO", path),
        ]);
        let packet = packet.unwrap();
        assert_eq!(
            String::from_utf8_lossy(packet.head.path()),
            whole,
            "{uri} {path}"
        );
        let mount = packet.told.mount.unwrap();
        assert_eq!(&*mount.script_name, script_name.trim_end_matches('/'));
        assert!(packet.head.path().starts_with(&mount.prefix));
    }
    for root in ["", "/"] {
        assert_eq!(
            get(&[("SCRIPT_NAME", root), ("PATH_INFO", "/a")])
                .unwrap()
                .told
                .mount,
            None
        );
    }
}

#[test]
fn the_scheme_is_found_as_uwsgi_finds_it() {
    for (variables, is_https) in [
        (&[("HTTPS", "on")][..], true),
        (&[("HTTPS", "1")], true),
        (&[("HTTPS", "off")], false),
        (&[("HTTPS", "")], false),
        (&[("REQUEST_SCHEME", "https")], true),
        (&[("UWSGI_SCHEME", "http"), ("HTTPS", "on")], false),
        (&[("UWSGI_SCHEME", "https")], true),
        (&[], false),
    ] {
        assert_eq!(
            get(variables).unwrap().told.is_https,
            is_https,
            "{variables:?}"
        );
    }
}

#[test]
fn further_variables_are_plain_and_no_orders() {
    let told = get(&[
        ("REMOTE_USER", "ada"),
        ("X-Real-IP", "192.0.2.9"),
        ("DOCUMENT_ROOT", "/srv"),
        ("UWSGI_SCRIPT", "evil"),
        ("UWSGI_FILE", "/etc/passwd"),
        ("wsgi.input", "a"),
        ("wsgi.url_scheme", "https"),
        ("SERVER_SOFTWARE", "nginx/1"),
        ("SERVER_NAME", ""),
        ("a b", "c"),
    ])
    .unwrap()
    .told;
    let names: Vec<&str> = told.variables.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["REMOTE_USER", "X-Real-IP", "DOCUMENT_ROOT"]);
}

#[test]
fn the_last_of_several_counts_but_for_fields() {
    let packet = get(&[
        ("REQUEST_METHOD", "PUT"),
        ("SERVER_NAME", "a"),
        ("SERVER_NAME", "b"),
        ("HTTP_X_A", "1"),
        ("HTTP_X_A", "2"),
    ])
    .unwrap();
    assert_eq!(packet.head.method, Method::PUT);
    assert_eq!(packet.told.variable("SERVER_NAME"), Some(&b"b"[..]));
    let fields: Vec<_> = packet
        .head
        .fields()
        .filter(|(_, name, _)| *name == b"x-a")
        .collect();
    assert_eq!(fields.len(), 2);
}

#[test]
fn versions_and_clients_are_those_that_the_gateway_saw() {
    let version = |protocol| get(&[("SERVER_PROTOCOL", protocol)]).unwrap().head.version;
    assert_eq!(version("HTTP/1.0"), Version::HTTP_10);
    assert_eq!(version("HTTP/2.0"), Version::HTTP_2);
    assert_eq!(version("HTTP/3.0"), Version::HTTP_3);
    let client = |address| get(&[("REMOTE_ADDR", address)]).map(|packet| packet.told.client);
    assert_eq!(client("::1").unwrap().unwrap().to_string(), "::1");
    assert_eq!(client("unix:").unwrap().unwrap().to_string(), "0.0.0.0");
    assert_eq!(client(""), Ok(None));
    assert!(client("localhost").is_err());
}

#[test]
fn what_is_no_request_is_refused() {
    let bad = |variables: &[(&str, &str)]| {
        let refusal = get(variables).expect_err(&format!("{variables:?}"));
        assert_eq!(refusal.status, StatusCode::BAD_REQUEST, "{variables:?}");
        refusal.reason
    };
    for variables in [
        ("REQUEST_METHOD", ""),
        ("REQUEST_METHOD", "GET /"),
        ("REQUEST_URI", "/a b"),
        ("REQUEST_URI", "/a\r\nx: y"),
        ("REQUEST_URI", "http://a/"),
        ("REQUEST_URI", "*"),
        ("PATH_INFO", "a"),
        ("SCRIPT_NAME", "shop"),
        ("REMOTE_PORT", "-1"),
        ("REMOTE_PORT", "65536"),
        ("SERVER_PORT", "http"),
        ("HTTP_", "a"),
        ("HTTP_A B", "a"),
        ("HTTP_X", "a\r\nb: c"),
        ("HTTP_X", "\0"),
        ("CONTENT_TYPE", "a\nb"),
    ] {
        bad(&[variables]);
    }
    bad(&[("PATH_INFO", "/"), ("QUERY_STRING", "a b")]);
    assert_eq!(bad(&[("", "a")]), "a variable has no name");
    for variables in [
        &[][..],
        &[("REQUEST_URI", "/")],
        &[("REQUEST_METHOD", "GET")],
    ] {
        assert!(read(variables).is_err(), "{variables:?}");
    }
    let framing = |length| get(&[("CONTENT_LENGTH", length)]).unwrap().head.framing();
    for length in ["-1", "+1", "1, 1", "1 1", "0x10", "99999999999999999999"] {
        assert!(framing(length).is_err(), "{length}");
    }
    assert_eq!(framing(""), Ok(Framing::None));
}

#[test]
fn lengths_that_lead_out_of_the_packet_are_refused() {
    let framed = |block: &[u8]| [&[0, block.len() as u8, 0, 0], block].concat();
    for block in [
        &b"\x01"[..],
        b"\x01\0",
        b"\x02\0a",
        b"\xff\xffa",
        b"\x01\0a",
        b"\x01\0a\x01",
        b"\x01\0a\x02\0b",
        b"\x01\0a\xff\xffb",
        b"\0\0\0\0",
    ] {
        let refusal = parse(&framed(block), LIMITS).unwrap_err();
        assert_eq!(refusal.status, StatusCode::BAD_REQUEST, "{block:?}");
    }
}

#[test]
fn other_protocols_are_told_by_their_first_byte() {
    assert_eq!(parse(b"GET / HTTP/1.1\r\n\r\n", LIMITS).unwrap_err(), HTTP);
    assert_eq!(parse(b"\x16\x03\x01", LIMITS).unwrap_err(), TLS);
    for modifier in [1, 5, 30, 173, 255] {
        assert_eq!(parse(&[modifier, 0, 0, 0], LIMITS).unwrap_err(), MODIFIER);
    }
}

#[test]
fn a_packet_is_waited_for_to_its_end_unless_it_is_too_large() {
    let bytes = packet(&[("REQUEST_METHOD", "GET"), ("PATH_INFO", "/")]);
    for end in 0..bytes.len() {
        assert!(parse(&bytes[..end], LIMITS).unwrap().is_none(), "{end}");
    }
    let with_body = [&bytes[..], b"body"].concat();
    let (_, len) = parse(&with_body, LIMITS).unwrap().unwrap();
    assert_eq!(len, bytes.len());
    for too_large in [&[0, 0xd1, 0x07, 0][..], &[0, 0xff, 0xff, 0]] {
        let refusal = parse(too_large, LIMITS).unwrap_err();
        assert_eq!(refusal.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    let many = [("HTTP_A", "b"); 21];
    let refusal = get(&many).unwrap_err();
    assert_eq!(refusal.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert!(get(&many[..19]).unwrap().head.has(Name::Host));
}
