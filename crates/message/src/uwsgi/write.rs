//! [`Head`] → packet, with the variables that nginx's `uwsgi_params` names.

use std::fmt;

use crate::{Head, Name};

use super::packet::WSGI;

/// What a packet says of a request beside its head.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// The client's address; empty if it has none.
    pub client: &'a [u8],
    /// The client's port, in digits; empty if nobody knows it.
    pub client_port: &'a [u8],
    /// Whether the client was reached by TLS.
    pub is_https: bool,
}

/// A request cannot be written as a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwritable {
    /// It takes more than the 65535 bytes that a packet has.
    TooLarge,
    /// Nobody knows how long its body is.
    NoLength,
}

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unwritable::TooLarge => "the request's head is larger than a uwsgi packet",
            Unwritable::NoLength => "the uwsgi protocol has no body without a length",
        })
    }
}

impl std::error::Error for Unwritable {}

/// The packet of a request; its body follows as it is.
///
/// # Errors
/// When there is no packet for it.
pub fn write(head: &Head, of: Circumstances<'_>) -> Result<Vec<u8>, Unwritable> {
    if head.has(Name::TransferEncoding) {
        return Err(Unwritable::NoLength);
    }
    let scheme: &[u8] = if of.is_https { b"https" } else { b"http" };
    let (name, port) = host_and_port(head.host().unwrap_or_default());
    let usual: &[u8] = if of.is_https { b"443" } else { b"80" };
    let mut packet = vec![WSGI, 0, 0, 0];
    for (variable, value) in [
        (&b"QUERY_STRING"[..], head.query().unwrap_or_default()),
        (b"REQUEST_METHOD", head.method.as_str().as_bytes()),
        (
            b"CONTENT_TYPE",
            head.get(Name::ContentType).unwrap_or_default(),
        ),
        (
            b"CONTENT_LENGTH",
            head.get(Name::ContentLength).unwrap_or_default(),
        ),
        (b"REQUEST_URI", head.target()),
        (b"PATH_INFO", &unescape(head.path())),
        (b"DOCUMENT_ROOT", b""),
        (b"SERVER_PROTOCOL", b"HTTP/1.1"),
        (b"REQUEST_SCHEME", scheme),
        (b"REMOTE_ADDR", of.client),
        (b"REMOTE_PORT", of.client_port),
        (b"SERVER_PORT", port.unwrap_or(usual)),
        (b"SERVER_NAME", name),
    ] {
        // CGI has no empty port, and applications read it as a number.
        if variable != b"REMOTE_PORT" || !value.is_empty() {
            add(&mut packet, variable, value)?;
        }
    }
    if of.is_https {
        add(&mut packet, b"HTTPS", b"on")?;
    }
    for (known, spelled, value) in head.fields() {
        // For an underscore would pass for a hyphen there; and `HTTP_PROXY` is obeyed by libraries.
        let stays = matches!(known, Name::Proxy | Name::ContentLength | Name::ContentType)
            || spelled.contains(&b'_');
        if !stays {
            let upper = spelled.iter().map(|byte| match byte {
                b'-' => b'_',
                byte => byte.to_ascii_uppercase(),
            });
            let variable: Vec<u8> = b"HTTP_".iter().copied().chain(upper).collect();
            add(&mut packet, &variable, value)?;
        }
    }
    let len = u16::try_from(packet.len() - super::HEAD_BYTES).map_err(|_| Unwritable::TooLarge)?;
    packet[1..3].copy_from_slice(&len.to_le_bytes());
    Ok(packet)
}

fn add(packet: &mut Vec<u8>, name: &[u8], value: &[u8]) -> Result<(), Unwritable> {
    for text in [name, value] {
        let len = u16::try_from(text.len()).map_err(|_| Unwritable::TooLarge)?;
        packet.extend_from_slice(&len.to_le_bytes());
        packet.extend_from_slice(text);
    }
    Ok(())
}

fn host_and_port(host: &[u8]) -> (&[u8], Option<&[u8]>) {
    let end = memchr::memrchr(b']', host).unwrap_or(0);
    match memchr::memchr(b':', &host[end..]) {
        Some(at) => (&host[..end + at], Some(&host[end + at + 1..])),
        None => (host, None),
    }
}

/// Undoes escapes; what is none stays.
fn unescape(path: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let (mut plain, mut rest) = (Vec::with_capacity(path.len()), path);
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let escaped = match (byte, after) {
            (b'%', [high, low, ..]) => digit(*high).zip(digit(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                plain.push(high << 4 | low);
                rest = &after[2..];
            }
            None => plain.push(*byte),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use crate::uwsgi;

    const LIMITS: Limits = Limits {
        bytes: 100_000,
        fields: 100,
    };

    fn head(text: &str) -> Head {
        let text = text.replace('\n', "\r\n") + "\r\n\r\n";
        crate::parse(text.as_bytes(), &mut 0, LIMITS)
            .unwrap()
            .unwrap()
            .0
    }

    const OF: Circumstances<'_> = Circumstances {
        client: b"192.0.2.1",
        client_port: b"4711",
        is_https: true,
    };

    #[test]
    fn what_is_written_is_read_as_the_same_request() {
        let text = "POST /a%20b/%C3%BC%25?q=%20 HTTP/1.1\nHost: site.test:8443\nContent-Length: 4\n\
                    Content-Type: text/plain\nX-Own: 1\nX_Own: 2\nProxy: evil";
        let sent = head(text);
        let bytes = write(&sent, OF).unwrap();
        let (packet, len) = uwsgi::parse(&bytes, LIMITS).unwrap().unwrap();
        assert_eq!(len, bytes.len());
        assert_eq!(packet.head.line(), sent.line());
        assert_eq!(
            (packet.head.path(), packet.head.query()),
            (sent.path(), sent.query())
        );
        let fields: Vec<_> = packet
            .head
            .fields()
            .map(|(_, name, value)| (name, value))
            .collect();
        let expected: [(&[u8], &[u8]); 4] = [
            (b"content-type", b"text/plain"),
            (b"content-length", b"4"),
            (b"host", b"site.test:8443"),
            (b"x-own", b"1"),
        ];
        assert_eq!(fields, expected);
        let told = packet.told;
        assert_eq!(told.client.unwrap().to_string(), "192.0.2.1");
        assert_eq!(told.client_port, 4711);
        assert_eq!(told.server_port, Some(8443));
        assert_eq!(told.variable("SERVER_NAME"), Some(&b"site.test"[..]));
        assert!(told.is_https);
    }

    #[test]
    fn hosts_are_told_from_ports() {
        for (host, name, port) in [
            ("a.test", "a.test", None),
            ("a.test:80", "a.test", Some("80")),
            ("[::1]", "[::1]", None),
            ("[::1]:80", "[::1]", Some("80")),
            ("", "", None),
        ] {
            let expected = (name.as_bytes(), port.map(str::as_bytes));
            assert_eq!(host_and_port(host.as_bytes()), expected, "{host}");
        }
    }

    #[test]
    fn what_no_packet_holds_is_said() {
        let long = format!("GET / HTTP/1.1\nHost: a\nX-Long: {}", "x".repeat(65_500));
        assert_eq!(write(&head(&long), OF), Err(Unwritable::TooLarge));
        let chunked = "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked";
        assert_eq!(write(&head(chunked), OF), Err(Unwritable::NoLength));
    }
}
