#![allow(clippy::unwrap_used)] // a failed step is a failed test

use super::*;
use crate::Framing;

const LIMITS: Limits = Limits {
    bytes: 256,
    fields: 4,
};

fn whole(text: &str) -> Result<Option<(Head, usize)>, Refusal> {
    parse(text.as_bytes(), &mut 0, LIMITS)
}

fn head(text: &str) -> Head {
    let (head, len) = whole(text).unwrap().unwrap();
    assert_eq!(len, text.len(), "{text:?}");
    head
}

fn status(text: &str) -> u16 {
    whole(text).expect_err(text).status.as_u16()
}

#[test]
fn a_request_is_read() {
    let head = head(
        "PATCH /a%2F?b?c HTTP/1.1\r\nHost: x:1\r\nX-Y:\t z \t\r\ncookie: a\r\nCookie:b\r\n\r\n",
    );
    assert_eq!(head.method, "PATCH");
    assert_eq!(head.path(), b"/a%2F");
    assert_eq!(head.query(), Some(&b"b?c"[..]));
    assert_eq!(head.host(), Some(&b"x:1"[..]));
    assert_eq!(head.line(), b"PATCH /a%2F?b?c HTTP/1.1");
    let cookies: Vec<_> = head.all(Name::Cookie).collect();
    assert_eq!(cookies, [b"a", b"b"]);
    assert!(head.repeats(Name::Cookie) && !head.repeats(Name::Host));
    let unusual = head.fields().find(|(name, ..)| *name == Name::Other);
    assert_eq!(unusual, Some((Name::Other, &b"X-Y"[..], &b"z"[..])));
    assert_eq!(head.framing(), Ok(Framing::None));
}

#[test]
fn targets_have_four_forms() {
    for (line, form, path, query, host) in [
        ("GET / HTTP/1.1", Target::Origin, "/", None, "h"),
        ("GET //a HTTP/1.1", Target::Origin, "//a", None, "h"),
        ("GET /? HTTP/1.1", Target::Origin, "/", Some(""), "h"),
        (
            "GET http://o/a?b HTTP/1.1",
            Target::Absolute,
            "/a",
            Some("b"),
            "o",
        ),
        (
            "GET HTTPS://o:8 HTTP/1.1",
            Target::Absolute,
            "/",
            None,
            "o:8",
        ),
        (
            "GET http://o?b HTTP/1.1",
            Target::Absolute,
            "/",
            Some("b"),
            "o",
        ),
        ("OPTIONS * HTTP/1.1", Target::Asterisk, "*", None, "h"),
        (
            "CONNECT o:443 HTTP/1.1",
            Target::Authority,
            "",
            None,
            "o:443",
        ),
    ] {
        let head = head(&format!("{line}\r\nHost: h\r\n\r\n"));
        assert_eq!(head.form, form, "{line}");
        assert_eq!(head.path(), path.as_bytes(), "{line}");
        assert_eq!(head.query(), query.map(str::as_bytes), "{line}");
        assert_eq!(head.host(), Some(host.as_bytes()), "{line}");
    }
}

#[test]
fn what_is_no_request_is_refused() {
    for (request, expected) in [
        ("GET /\r\n\r\n", 400),
        ("GET  / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1 \r\n\r\n", 400),
        ("GET /a b HTTP/1.1\r\n\r\n", 400),
        ("GET /#a HTTP/1.1\r\n\r\n", 400),
        ("GET a HTTP/1.1\r\n\r\n", 400),
        ("GET * HTTP/1.1\r\n\r\n", 400),
        ("GET ftp://a/ HTTP/1.1\r\n\r\n", 400),
        ("GET http:///a HTTP/1.1\r\n\r\n", 400),
        ("GET http://u@a/ HTTP/1.1\r\n\r\n", 400),
        ("G(T / HTTP/1.1\r\n\r\n", 400),
        ("GET / http/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.10\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\n\r\n", 505),
        ("GET / HTTP/0.9\r\n\r\n", 505),
        ("GET / HTTP/1.1\n", 400),
        ("GET / HTTP/1.1\r\nA: b\n", 400),
        ("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nA: b\0\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nA: b\x7f\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nA : b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nA\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n A: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nA\u{e9}: b\r\n\r\n", 400),
        ("\x16\x03\x01", 400),
        ("\r\n\r\n\r\n\r\n\r\nGET", 400),
        ("\rGET / HTTP/1.1\r\n\r\n", 400),
        ("\nGET / HTTP/1.1\r\n\r\n", 400),
        (" GET / HTTP/1.1\r\n\r\n", 400),
    ] {
        assert_eq!(status(request), expected, "{request:?}");
    }
}

#[test]
fn heads_are_bounded() {
    let long = "x".repeat(300);
    assert_eq!(status(&format!("GET /{long}")), 414);
    assert_eq!(status(&format!("GET /{long} HTTP/1.1\r\n\r\n")), 414);
    assert_eq!(status(&format!("GET / HTTP/1.1\r\nA: {long}")), 431);
    assert_eq!(status(&format!("GET / HTTP/1.1\r\nA: {long}\r\n\r\n")), 431);
    let five = "A: b\r\n".repeat(5);
    assert_eq!(status(&format!("GET / HTTP/1.1\r\n{five}\r\n")), 431);
    assert!(whole("GET / HTTP/1.1\r\n").unwrap().is_none());
}

#[test]
fn it_does_not_matter_how_the_bytes_arrive() {
    let request = "\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\nGET";
    let mut seen = 0;
    for len in 0..request.len() - 3 {
        let parsed = parse(&request.as_bytes()[..len], &mut seen, LIMITS);
        assert!(parsed.unwrap().is_none(), "{len}");
    }
    let (head, len) = parse(request.as_bytes(), &mut seen, LIMITS)
        .unwrap()
        .unwrap();
    assert_eq!((head.path(), len), (&b"/a"[..], request.len() - 3));
}

#[test]
fn a_body_has_one_length_or_none() {
    for (fields, expected) in [
        ("", Ok(Framing::None)),
        ("Content-Length: 0\r\n", Ok(Framing::None)),
        ("Content-Length: 007\r\n", Ok(Framing::Length(7))),
        (
            "Content-Length: 18446744073709551615\r\n",
            Ok(Framing::Length(u64::MAX)),
        ),
        ("Content-Length: 18446744073709551616\r\n", Err(400)),
        ("Content-Length:\r\n", Err(400)),
        ("Content-Length: +5\r\n", Err(400)),
        ("Content-Length: 5, 5\r\n", Err(400)),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", Err(400)),
        ("Transfer-Encoding: chunked\r\n", Ok(Framing::Chunked)),
        ("Transfer-Encoding: ChunKed\t\r\n", Ok(Framing::Chunked)),
        ("Transfer-Encoding: , chunked\r\n", Err(400)),
        ("Transfer-Encoding: chunked,\r\n", Err(400)),
        ("Transfer-Encoding: gzip, chunked\r\n", Err(501)),
        (
            "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
            Err(501),
        ),
        ("Transfer-Encoding: chunked, gzip\r\n", Err(400)),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            Err(400),
        ),
        ("Transfer-Encoding: xchunked\r\n", Err(400)),
        ("Transfer-Encoding: \"chunked\"\r\n", Err(400)),
        ("Transfer-Encoding:\r\n", Err(400)),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            Err(400),
        ),
    ] {
        let head = head(&format!("POST / HTTP/1.1\r\n{fields}\r\n"));
        let framing = head.framing().map_err(|refusal| refusal.status.as_u16());
        assert_eq!(framing, expected, "{fields:?}");
    }
    let old = head("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert!(old.framing().is_err());
}

#[test]
fn connections_go_on_as_their_client_wants() {
    for (version, field, goes_on) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: te, CLOSE\r\n", false),
        ("1.1", "Connection: closed\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ] {
        let head = head(&format!("GET / HTTP/{version}\r\n{field}\r\n"));
        assert_eq!(head.keeps_alive(), goes_on, "{version} {field:?}");
    }
}

#[test]
fn any_bytes_are_read_or_refused() {
    let alphabet: &[&str] = &[
        "GET",
        " ",
        "/",
        "HTTP/1.1",
        "\r\n",
        "\r",
        "\n",
        ":",
        "Host",
        "a",
        "\0",
        "\t",
        "\u{e9}",
        "*",
        "http://",
        "?",
        "\r\n\r\n",
        "Content-Length: 1",
    ];
    let mut seed: u64 = 1;
    for _ in 0..50_000 {
        let mut request = String::from("GET / HTTP/1.1\r\n");
        request.truncate((seed >> 40) as usize % 17);
        for _ in 0..8 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            request.push_str(alphabet[(seed >> 33) as usize % alphabet.len()]);
        }
        if let Ok(Some((head, len))) = whole(&request) {
            assert!(len <= request.len());
            let _ = (
                head.framing(),
                head.host(),
                head.keeps_alive(),
                head.path_and_query(),
            );
        }
    }
}
