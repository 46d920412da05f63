//! Requests and frames that are not what RFC 9113 says.

use super::*;

type Fields = Vec<(&'static str, &'static str)>;

/// What a request of HTTP/2 may not be (§8).
fn malformed() -> Vec<(&'static str, Fields)> {
    let with = |name, value| [fields("GET", "/n/1", &[]), vec![(name, value)]].concat();
    let without = |name: &str| {
        let mut all = fields("GET", "/n/1", &[]);
        all.retain(|(other, _)| *other != name);
        all
    };
    vec![
        ("no method", without(":method")),
        ("no scheme", without(":scheme")),
        ("no path", without(":path")),
        ("no authority and no host", without(":authority")),
        ("an empty path", fields("GET", "", &[])),
        ("a path without a slash", fields("GET", "echo", &[])),
        ("a URL for a path", fields("GET", "http://test/n/1", &[])),
        ("an asterisk with GET", fields("GET", "*", &[])),
        ("a blank in the path", fields("GET", "/n/ 1", &[])),
        (
            "a line break in the path",
            fields("GET", "/n/1\r\nx: y", &[]),
        ),
        ("two paths", with(":path", "/n/2")),
        ("an unknown pseudo-header", with(":own", "x")),
        ("a response's pseudo-header", with(":status", "200")),
        ("a pseudo-header after a field", {
            [vec![("x-own", "x")], fields("GET", "/n/1", &[])].concat()
        }),
        ("capitals in a name", with("X-Own", "x")),
        ("a blank in a name", with("x own", "x")),
        ("a colon in a name", with("x:own", "x")),
        ("an empty name", with("", "x")),
        ("a line break in a value", with("x-own", "a\r\nb: c")),
        ("a NUL in a value", with("x-own", "a\0b")),
        ("connection", with("connection", "close")),
        ("keep-alive", with("keep-alive", "timeout=5")),
        ("proxy-connection", with("proxy-connection", "close")),
        ("upgrade", with("upgrade", "websocket")),
        ("transfer-encoding", with("transfer-encoding", "chunked")),
        ("te without trailers", with("te", "gzip")),
        ("another host", with("host", "other")),
        ("a user in the authority", {
            [without(":authority"), vec![(":authority", "user@test")]].concat()
        }),
        ("a length that is no number", with("content-length", "1x")),
        ("a signed length", with("content-length", "+1")),
        ("two lengths", {
            [with("content-length", "0"), vec![("content-length", "1")]].concat()
        }),
        ("a length without a body", with("content-length", "5")),
        ("an unknown expectation", with("expect", "200-ok")),
        ("CONNECT with a path", fields("CONNECT", "/n/1", &[])),
    ]
}

#[test]
fn malformed_requests_reach_nobody() {
    let site = start();
    let mut neighbour = Http2::open(site.address());
    let mut client = Http2::open(site.address());
    for (name, fields) in malformed() {
        let stream = client.raw_request(&fields, END_STREAM);
        let answer = client.answer(stream);
        match (answer.reset, client.goaways.last().copied()) {
            (Some(code), _) => assert_eq!(code, PROTOCOL_ERROR, "{name}"),
            // A stream's error may be taken for the connection's (§5.4.1).
            (None, Some((_, code))) => {
                assert_eq!(code, PROTOCOL_ERROR, "{name}");
                client = Http2::open(site.address());
            }
            (None, None) => {
                assert!([400, 417].contains(&answer.status()), "{name}: {answer:?}");
            }
        }
        assert!(!answer.body.starts_with(b"1"), "{name}");
        for client in [&mut client, &mut neighbour] {
            assert_eq!(client.ask("/n/7").text(), "7", "{name}");
        }
    }
    let connect = [(":method", "CONNECT"), (":authority", "test:80")];
    let stream = client.raw_request(&connect, END_STREAM);
    assert_eq!(client.answer(stream).status(), 501);
    assert!(!site.log().contains("panicked"), "{}", site.log());
}

#[test]
fn a_body_of_another_length_than_announced_reaches_nobody() {
    let site = start();
    let mut client = Http2::open(site.address());
    for body in [&b"xxxx"[..], b"xxxxxx"] {
        let stream = client.request("POST", "/called", &[("content-length", "5")], 0);
        client.data(stream, body, END_STREAM);
        let answer = client.answer(stream);
        assert_eq!(answer.reset, Some(PROTOCOL_ERROR), "{answer:?}");
    }
    assert_eq!(client.ask("/calls").text(), "0");
}

/// What §5.1 and §6 do not allow.
fn out_of_order() -> Vec<(&'static str, Vec<u8>)> {
    let get = block(&fields("GET", "/n/1", &[]));
    let whole = END_HEADERS | END_STREAM;
    let padded = 8;
    vec![
        ("DATA on stream 0", frame(DATA, 0, 0, b"x")),
        ("DATA on an idle stream", frame(DATA, 0, 1, b"x")),
        ("HEADERS on stream 0", frame(HEADERS, whole, 0, &get)),
        ("HEADERS on an even stream", frame(HEADERS, whole, 2, &get)),
        (
            "RST_STREAM on an idle stream",
            frame(RST_STREAM, 0, 1, &CANCEL.to_be_bytes()),
        ),
        ("RST_STREAM of three bytes", frame(RST_STREAM, 0, 1, b"abc")),
        ("SETTINGS on a stream", frame(SETTINGS, 0, 1, b"")),
        ("SETTINGS of five bytes", frame(SETTINGS, 0, 0, b"abcde")),
        ("an ACK with a payload", frame(SETTINGS, 1, 0, b"abcdef")),
        (
            "a window that is too large",
            frame(SETTINGS, 0, 0, &[0, 4, 0x80, 0, 0, 0]),
        ),
        (
            "a frame size that is too small",
            frame(SETTINGS, 0, 0, &[0, 5, 0, 0, 0, 1]),
        ),
        (
            "a push of the client",
            frame(5, END_HEADERS, 1, b"\0\0\0\x02"),
        ),
        ("a PING of seven bytes", frame(PING, 0, 0, b"abcdefg")),
        ("a PING on a stream", frame(PING, 0, 1, b"abcdefgh")),
        (
            "a WINDOW_UPDATE of nothing",
            frame(WINDOW_UPDATE, 0, 0, &[0; 4]),
        ),
        (
            "a window beyond the largest",
            frame(WINDOW_UPDATE, 0, 0, &[0x7f, 255, 255, 255]),
        ),
        (
            "a CONTINUATION of nothing",
            frame(CONTINUATION, END_HEADERS, 1, &get),
        ),
        ("a PING before the CONTINUATION", {
            [
                frame(HEADERS, END_STREAM, 1, &get),
                frame(PING, 0, 0, b"abcdefgh"),
            ]
            .concat()
        }),
        (
            "a broken HPACK block",
            frame(HEADERS, whole, 1, &[0xff; 40]),
        ),
        ("an index of no table", frame(HEADERS, whole, 1, &[0xbf])),
        ("a frame that is too long", frame(DATA, 0, 1, &[0; 16_385])),
        (
            "padding longer than its frame",
            frame(HEADERS, padded | whole, 1, &[200, 0]),
        ),
        ("no frame", b"GET / HTTP/1.1\r\nhost: test\r\n\r\n".to_vec()),
    ]
}

#[test]
fn frames_out_of_order_end_their_connection_alone() {
    let site = start();
    let mut neighbour = Http2::open(site.address());
    for (name, bytes) in out_of_order() {
        let mut client = Http2::open_with(site.address(), &[]);
        client.send(&bytes);
        assert!(client.read_to_end(), "{name}");
        let code = client.goaways.last().map(|goaway| goaway.1);
        assert!(
            code.is_some_and(|code| code != NO_ERROR),
            "{name}: {code:?}"
        );
        assert!(client.so_far(1).statuses.is_empty(), "{name}");
        assert_eq!(neighbour.ask("/n/7").text(), "7", "{name}");
    }
    assert!(!site.log().contains("panicked"), "{}", site.log());
}

/// §4.1, §5.5.
#[test]
fn unknown_frames_settings_and_flags_change_nothing() {
    let site = start();
    let mut client = Http2::open_with(site.address(), &[(0xabcd, 7)]);
    client.send(&frame(0xfe, 0xff, 0, b"whatever"));
    let stream = client.stream();
    let get = block(&fields("GET", "/n/7", &[]));
    let (front, back) = get.split_at(10);
    client.send(&frame(HEADERS, END_STREAM | 0x40, stream, front));
    client.send(&frame(CONTINUATION, END_HEADERS | 0x40, stream, back));
    assert_eq!(client.answer(stream).text(), "7");
    // Trailers are not for the application.
    let stream = client.request("POST", "/sum", &[], 0);
    client.data(stream, &[7], 0);
    let trailers = block(&[("x-sum", "7")]);
    client.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &trailers));
    assert_eq!(client.answer(stream).text(), "1 7");
}
