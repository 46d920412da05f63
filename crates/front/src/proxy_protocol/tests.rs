//! The specification's examples, and what it forbids.

use super::{Header, MAX_BYTES, Malformed, V2, parse};

fn relayed(source: &str, destination: &str) -> Header {
    let socket = |text: &str| text.parse().expect("a socket address");
    Header::Relayed {
        source: socket(source),
        destination: socket(destination),
    }
}

/// A header of version 2.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let len = u16::try_from(rest.len()).expect("a length").to_be_bytes();
    [V2, &[command, family], &len, rest].concat()
}

/// Addresses and ports of an IPv4 client.
const OF_IPV4: [u8; 12] = [192, 168, 0, 1, 192, 168, 0, 11, 0xdc, 0x04, 0x01, 0xbb];

fn of_ipv6() -> Vec<u8> {
    let mut addresses = vec![0; 32];
    (addresses[0], addresses[1], addresses[15]) = (0x20, 0x01, 1);
    addresses[31] = 1;
    [addresses, vec![0x30, 0x39, 0, 80]].concat()
}

/// Good headers of both versions.
fn good() -> Vec<(Vec<u8>, Header)> {
    let v4 = relayed("192.168.0.1:56324", "192.168.0.11:443");
    let v6 = relayed("[2001::1]:12345", "[::1]:80");
    let text = |line: &str| format!("PROXY {line}\r\n").into_bytes();
    let longest = "f".repeat(4) + &":ffff".repeat(7);
    let extended = [&OF_IPV4[..], b"\x01\x00\x02h2\x20\x00\x05\x01\0\0\0\0"].concat();
    vec![
        (text("TCP4 192.168.0.1 192.168.0.11 56324 443"), v4),
        (text("TCP6 2001::1 ::1 12345 80"), v6),
        (
            text("TCP4 255.255.255.255 255.255.255.255 65535 65535"),
            relayed("255.255.255.255:65535", "255.255.255.255:65535"),
        ),
        (
            text(&format!("TCP6 {longest} {longest} 65535 0")),
            relayed(&format!("[{longest}]:65535"), &format!("[{longest}]:0")),
        ),
        (
            text("TCP6 ::ffff:1.2.3.4 ::1 1 2"),
            relayed("1.2.3.4:1", "[::1]:2"),
        ),
        (text("UNKNOWN"), Header::Unknown),
        (
            text(&format!("UNKNOWN {longest} {longest} 65535 65535")),
            Header::Unknown,
        ),
        (text("UNKNOWN whatever \0"), Header::Unknown),
        (binary(0x21, 0x11, &OF_IPV4), v4),
        (binary(0x21, 0x11, &extended), v4),
        (binary(0x21, 0x21, &of_ipv6()), v6),
        (binary(0x20, 0x00, &[]), Header::Local),
        (binary(0x20, 0x11, &OF_IPV4), Header::Local),
        (binary(0x20, 0xff, b"ignored"), Header::Local),
        (binary(0x21, 0x00, &[]), Header::Unknown),
        (binary(0x21, 0x00, b"ignored"), Header::Unknown),
        (binary(0x21, 0x10, &OF_IPV4), Header::Unknown),
        (binary(0x21, 0x12, &OF_IPV4), Header::Unknown),
        (binary(0x21, 0x31, &[0; 216]), Header::Unknown),
        (
            binary(0x21, 0x11, &[0; MAX_BYTES - 16]),
            relayed("0.0.0.0:0", "0.0.0.0:0"),
        ),
    ]
}

#[test]
fn good_headers_say_who_connects() {
    for (bytes, header) in good() {
        let followed = [&bytes[..], b"GET / HTTP/1.1\r\n"].concat();
        assert_eq!(parse(&bytes), Ok(Some((header, bytes.len()))));
        assert_eq!(parse(&followed), Ok(Some((header, bytes.len()))));
    }
}

#[test]
fn part_of_a_header_asks_for_more() {
    for (bytes, _) in good() {
        for end in 0..bytes.len() {
            assert_eq!(parse(&bytes[..end]), Ok(None), "{:?}", &bytes[..end]);
        }
    }
}

#[test]
fn lines_that_are_not_exactly_right_are_refused() {
    for line in [
        "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\n",
        "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\rX\r\n",
        "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443 \r\n",
        "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443 1\r\n",
        "PROXY TCP4 192.168.0.1 192.168.0.11 56324\r\n",
        "PROXY TCP4  192.168.0.1 192.168.0.11 56324 443\r\n",
        "PROXY TCP4 192.168.0.1\t192.168.0.11 56324 443\r\n",
        "PROXY TCP4 192.168.0.01 192.168.0.11 56324 443\r\n",
        "PROXY TCP4 192.168.0.256 192.168.0.11 56324 443\r\n",
        "PROXY TCP4 192.168.0 192.168.0.11 56324 443\r\n",
        "PROXY TCP4 192.168.0.1 192.168.0.11 056324 443\r\n",
        "PROXY TCP4 192.168.0.1 192.168.0.11 65536 443\r\n",
        "PROXY TCP4 192.168.0.1 192.168.0.11 +1 443\r\n",
        "PROXY TCP4 192.168.0.1 192.168.0.11  443\r\n",
        "PROXY TCP4 192.168.0.1 192.168.0.11 -1 443\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 192.168.0.1 192.168.0.11 1 2\r\n",
        "PROXY TCP6 ::1::1 ::1 1 2\r\n",
        "PROXY TCP6 [::1] ::1 1 2\r\n",
        "PROXY TCP6 fe80::1%1 ::1 1 2\r\n",
        "PROXY tcp4 192.168.0.1 192.168.0.11 1 2\r\n",
        "PROXY TCP5 192.168.0.1 192.168.0.11 1 2\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY \r\n",
        "PROXY\r\n",
        "PROXY\tTCP4 192.168.0.1 192.168.0.11 1 2\r\n",
        "PROXY  TCP4 192.168.0.1 192.168.0.11 1 2\r\n",
        "proxy TCP4 192.168.0.1 192.168.0.11 1 2\r\n",
        " PROXY TCP4 192.168.0.1 192.168.0.11 1 2\r\n",
        "PROXY TCP4 192.168.0.\u{e9} 192.168.0.11 1 2\r\n",
        "POST / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\n",
        "\r\nG",
        "\u{16}\u{3}\u{1}",
    ] {
        assert_eq!(parse(line.as_bytes()), Err(Malformed), "{line:?}");
    }
}

#[test]
fn a_line_without_end_is_refused_at_its_longest() {
    let line = format!("PROXY UNKNOWN {}", "x".repeat(200));
    assert_eq!(parse(&line.as_bytes()[..106]), Ok(None));
    assert_eq!(parse(&line.as_bytes()[..107]), Err(Malformed));
    assert_eq!(parse(line.as_bytes()), Err(Malformed));
}

#[test]
fn binary_headers_that_are_not_exactly_right_are_refused() {
    for (command, family, rest) in [
        (0x11, 0x11, &OF_IPV4[..]), // version 1
        (0x31, 0x11, &OF_IPV4),
        (0x22, 0x11, &OF_IPV4), // no such command
        (0x21, 0x41, &OF_IPV4), // no such family
        (0x21, 0x13, &OF_IPV4), // no such protocol
        (0x21, 0x11, &OF_IPV4[..11]),
        (0x21, 0x11, &[]),
        (0x21, 0x21, &OF_IPV4),
        (0x21, 0x21, &[0; 35]),
    ] {
        let bytes = binary(command, family, rest);
        assert_eq!(parse(&bytes), Err(Malformed), "{bytes:?}");
    }
    let too_long = binary(0x21, 0x11, &[0; MAX_BYTES - 15]);
    assert_eq!(parse(&too_long[..16]), Err(Malformed));
    for at in 0..V2.len() {
        let mut bytes = binary(0x21, 0x11, &OF_IPV4);
        bytes[at] ^= 0x20;
        assert_eq!(parse(&bytes[..=at]), Err(Malformed), "{at}");
    }
}

/// xorshift64: the same sequence in every run.
fn random(state: &mut u64) -> u8 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    state.to_be_bytes()[0]
}

#[test]
fn random_bytes_never_panic_and_never_take_more_than_there_is() {
    let (headers, mut state) = (good(), 0x9E37_79B9_7F4A_7C15);
    for round in 0..200_000 {
        let (mut bytes, _) = headers[round % headers.len()].clone();
        for _ in 0..=random(&mut state) % 4 {
            let at = usize::from(random(&mut state)) % bytes.len();
            bytes[at] = random(&mut state);
        }
        bytes.truncate(usize::from(random(&mut state)) + 1);
        if let Ok(Some((_, len))) = parse(&bytes) {
            assert!(len <= bytes.len() && len <= MAX_BYTES, "{bytes:?}");
        }
    }
}
