//! A client's request, written anew for a target.
//!
//! What concerns the client's connection stays with it (RFC 9110 §7.6.1): the fields that
//! `Connection` names, and those of the kind. Who the client is goes along in `X-Forwarded-*`; of
//! such fields only a trusted proxy's have come this far, and are added to.

use std::net::IpAddr;

use appliance_message::{Head, Name, list};
use appliance_project::model::{ProxyTarget, TargetProtocol};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Uri, Version};

use crate::upload::Upload;
use crate::uwsgi;

/// What is known of a request.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// As it came, without fields of untrusted proxies.
    pub head: &'a Head,
    /// The path below the route's, in normal form.
    pub below: &'a str,
    /// The other end of the client's connection.
    pub peer: IpAddr,
    /// Who that is, or whom a trusted proxy names.
    pub client: IpAddr,
    /// Its port; 0 if nobody knows it.
    pub client_port: u16,
    /// The client, or the first proxy before it, was reached by TLS.
    pub is_https: bool,
    /// What the request is called.
    pub id: &'a str,
}

/// Fields that concern one connection alone.
const OF_THE_CONNECTION: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REMOTE_PORT: HeaderName = HeaderName::from_static(uwsgi::REMOTE_PORT);

/// Where a request goes, and as what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Destination<'a> {
    pub(crate) written: &'a ProxyTarget,
    pub(crate) authority: &'a str,
    pub(crate) keeps_host: bool,
    /// It can change the connection's protocol.
    pub(crate) can_switch: bool,
}

/// Why a request cannot be passed on.
#[derive(Debug)]
pub(crate) struct Unfit;

impl Asked<'_> {
    /// The protocol that the client asks to change to (RFC 9110 §7.8).
    pub(crate) fn upgrade(&self) -> Option<&[u8]> {
        let head = self.head;
        let mut named = head.all(Name::Connection).flat_map(list);
        match head.version == Version::HTTP_11
            && named.any(|name| name.eq_ignore_ascii_case(b"upgrade"))
        {
            true => self.field(b"upgrade"),
            false => None,
        }
    }

    /// The first field of this name, in lower case.
    pub(crate) fn field(&self, name: &[u8]) -> Option<&[u8]> {
        let mut fields = self.head.fields();
        fields
            .find(|(_, spelled, _)| spelled.eq_ignore_ascii_case(name))
            .map(|(_, _, value)| value)
    }

    /// As HTTP/1.1 has it.
    pub(crate) fn rewritten(
        &self,
        to: Destination<'_>,
        upload: Upload,
    ) -> Result<Request<Upload>, Unfit> {
        let mut request = Request::new(upload);
        *request.method_mut() = self.head.method.clone();
        *request.uri_mut() = self.uri(to)?;
        *request.headers_mut() = self.fields(to)?;
        Ok(request)
    }

    fn uri(&self, to: Destination<'_>) -> Result<Uri, Unfit> {
        let mut text = format!("http://{}", to.authority);
        match &to.written.path {
            Some(path) => {
                let both = path.ends_with('/') && self.below.starts_with('/');
                text.push_str(&path[..path.len() - usize::from(both)]);
                if !both
                    && !path.ends_with('/')
                    && !self.below.is_empty()
                    && !self.below.starts_with('/')
                {
                    text.push('/');
                }
                escape(self.below.as_bytes(), &mut text);
            }
            None => escape(self.head.path(), &mut text),
        }
        if let Some(query) = self.head.query() {
            text.push('?');
            escape(query, &mut text);
        }
        text.parse().map_err(|_| Unfit)
    }

    fn fields(&self, to: Destination<'_>) -> Result<HeaderMap, Unfit> {
        let head = self.head;
        let named: Vec<&[u8]> = head.all(Name::Connection).flat_map(list).collect();
        let mut fields = HeaderMap::with_capacity(16);
        for (_, spelled, value) in head.fields() {
            let name = HeaderName::from_bytes(spelled).map_err(|_| Unfit)?;
            let stays = OF_THE_CONNECTION.contains(&name)
                || named.iter().any(|named| named.eq_ignore_ascii_case(spelled))
                // The body has a length of its own, and 100 was sent by us.
                || name == header::CONTENT_LENGTH
                || name == header::EXPECT
                || name == header::HOST;
            if !stays {
                fields.append(name, HeaderValue::from_bytes(value).map_err(|_| Unfit)?);
            }
        }
        let asked_host = head.host().map(HeaderValue::from_bytes);
        let asked_host = asked_host.transpose().map_err(|_| Unfit)?;
        let own = HeaderValue::from_str(to.authority).map_err(|_| Unfit)?;
        let host = asked_host.clone().filter(|_| to.keeps_host).unwrap_or(own);
        fields.insert(header::HOST, host);
        self.say_who(&mut fields, asked_host)?;
        if to.written.protocol == TargetProtocol::Uwsgi {
            // Whatever the client has sent under that name.
            fields.remove(REMOTE_PORT);
            if self.client_port != 0 {
                fields.insert(REMOTE_PORT, self.client_port.into());
            }
        }
        if let Some(protocol) = self.upgrade().filter(|_| to.can_switch) {
            fields.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            let protocol = HeaderValue::from_bytes(protocol).map_err(|_| Unfit)?;
            fields.insert(header::UPGRADE, protocol);
        }
        Ok(fields)
    }

    fn say_who(&self, fields: &mut HeaderMap, host: Option<HeaderValue>) -> Result<(), Unfit> {
        let mut hops = Vec::new();
        for hop in fields.get_all(&FORWARDED_FOR) {
            hops.extend_from_slice(hop.as_bytes());
            hops.extend_from_slice(b", ");
        }
        hops.extend_from_slice(spelled(self.peer).as_bytes());
        let said = |text: &[u8]| HeaderValue::from_bytes(text).map_err(|_| Unfit);
        fields.insert(FORWARDED_FOR, said(&hops)?);
        fields.insert(REAL_IP, said(spelled(self.client).as_bytes())?);
        let scheme = if self.is_https { "https" } else { "http" };
        fields.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme));
        if let Some(host) = host {
            fields.insert(FORWARDED_HOST, host);
        }
        fields.insert(REQUEST_ID, said(self.id.as_bytes())?);
        Ok(())
    }
}

/// Adds bytes of a path or query, those that no URI may hold (RFC 3986 §2) as escapes.
fn escape(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        match byte {
            b'"' | b'#' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => {
                text.push_str(&format!("%{byte:02X}"));
            }
            byte if byte.is_ascii_graphic() => text.push(char::from(*byte)),
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
}

/// `unknown` is the peer of a unix socket, which has no address (RFC 7239 §6.2 has the same word).
fn spelled(address: IpAddr) -> String {
    match address.is_unspecified() {
        true => "unknown".to_owned(),
        false => address.to_canonical().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use appliance_message::{Limits, parse};
    use appliance_project::model::TargetAddress;

    use super::*;

    fn head(text: &str) -> Head {
        let limits = Limits {
            bytes: 8 << 10,
            fields: 100,
        };
        let text = text.replace('\n', "\r\n") + "\r\n\r\n";
        parse(text.as_bytes(), &mut 0, limits).unwrap().unwrap().0
    }

    fn sent(text: &str, path: Option<&str>, below: &str, keeps_host: bool) -> String {
        let head = head(text);
        let asked = Asked {
            head: &head,
            below,
            peer: "10.0.0.9".parse().unwrap(),
            client: "192.0.2.1".parse().unwrap(),
            client_port: 4711,
            is_https: true,
            id: "1",
        };
        let written = ProxyTarget {
            address: TargetAddress::Tcp("node".into(), 3000),
            protocol: TargetProtocol::Http,
            path: path.map(str::to_owned),
            weight: 1,
            backup: false,
        };
        let to = Destination {
            written: &written,
            authority: "node:3000",
            keeps_host,
            can_switch: true,
        };
        let request = asked.rewritten(to, Upload::none()).unwrap();
        let mut fields: Vec<String> = request
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        fields.sort();
        format!(
            "{} {}\n{}",
            request.method(),
            request.uri(),
            fields.join("\n")
        )
    }

    #[test]
    fn what_concerns_the_connection_stays_and_who_asks_goes_along() {
        let text = "GET /a HTTP/1.1\nHost: site.test\nConnection: close, X-Hop\nX-Hop: 1\nTE: trailers\n\
                    Keep-Alive: 5\nAccept: a\nX-Forwarded-For: 192.0.2.1\nX-Other: 2";
        assert_eq!(
            sent(text, None, "", true),
            "GET http://node:3000/a\naccept: a\nhost: site.test\nx-forwarded-for: 192.0.2.1, 10.0.0.9\n\
             x-forwarded-host: site.test\nx-forwarded-proto: https\nx-other: 2\nx-real-ip: 192.0.2.1\n\
             x-request-id: 1"
        );
        let own = sent(text, None, "", false);
        assert!(own.contains("\nhost: node:3000\n"), "{own}");
    }

    #[test]
    fn an_upgrade_is_asked_for_anew() {
        let text = "GET /ws HTTP/1.1\nHost: a\nConnection: keep-alive, Upgrade\nUpgrade: websocket\nSec-WebSocket-Key: x";
        let sent = sent(text, None, "", true);
        for field in [
            "connection: upgrade",
            "upgrade: websocket",
            "sec-websocket-key: x",
        ] {
            assert!(sent.contains(field), "{sent}");
        }
    }

    #[test]
    fn a_path_goes_as_it_came_or_in_the_place_of_the_route() {
        for (target, path, below, expected) in [
            ("/api/a%2Fb?x=1", None, "/ignored", "/api/a%2Fb?x=1"),
            ("/api/{x}?y=\"|", None, "", "/api/%7Bx%7D?y=%22%7C"),
            ("/api/x", Some("/"), "/x", "/x"),
            ("/api", Some("/"), "", "/"),
            ("/api/x?q", Some("/v2"), "/x", "/v2/x?q"),
            ("/api/x", Some("/v2/"), "x", "/v2/x"),
            ("/api/x", Some("/v2"), "x", "/v2/x"),
        ] {
            let text = format!("GET {target} HTTP/1.1\nHost: a");
            let sent = sent(&text, path, below, true);
            let line = sent.lines().next().unwrap();
            assert_eq!(line, format!("GET http://node:3000{expected}"), "{target}");
        }
    }
}
