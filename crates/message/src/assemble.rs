//! The parts of a request that has come in frames → [`Head`] (RFC 9113 §8).
//!
//! What one who reads on cannot tell from an HTTP/1.1 request: the parts are written down as one
//! would send them, under the same rules. `:authority` becomes the Host field (§8.3.1), crumbs of
//! a cookie become one field (§8.2.3).

use http::{Method, Version};

use crate::head::{Field, Span, Text};
use crate::parse::{Limits, TOO_MANY_BYTES, TOO_MANY_FIELDS, is_target};
use crate::syntax::{is_control_free, is_tchar, trim};
use crate::{Head, Name, Refusal, Target};

/// A request as HTTP/2 brings it.
#[derive(Debug)]
pub struct Parts<'a, F> {
    /// `:method`.
    pub method: Method,
    /// `:path`; none for CONNECT.
    pub path: Option<&'a [u8]>,
    /// `:authority`.
    pub authority: Option<&'a [u8]>,
    /// The fields, in order: names in lower case, and values.
    pub fields: F,
}

impl Head {
    /// A head of these parts.
    ///
    /// # Errors
    /// When they are malformed (400) or beyond the limits (431).
    pub fn assemble<'a, F>(parts: Parts<'a, F>, limits: Limits) -> Result<Head, Refusal>
    where
        F: Iterator<Item = (&'a [u8], &'a [u8])>,
    {
        let mut writer = Writer::default();
        let target = parts.path.or(parts.authority).unwrap_or_default();
        let form = form(&parts.method, parts.path, target)?;
        writer.add(parts.method.as_str().as_bytes());
        writer.add(b" ");
        let target = writer.add(target);
        writer.add(b" HTTP/2.0\r\n");
        if let Some(authority) = parts.authority {
            if !is_control_free(authority) {
                return Err(Refusal::bad("the authority holds a control character"));
            }
            writer.field(Name::Host, b"host", authority);
        }
        let mut cookies: Vec<&[u8]> = Vec::new();
        for (name, value) in parts.fields {
            let known = check(name, value)?;
            // HPACK's own measure counts 32 bytes more for each: this one holds whoever decodes.
            if writer.fields.len() + cookies.len() >= limits.fields {
                return Err(TOO_MANY_FIELDS);
            }
            if writer.bytes.len() + name.len() + value.len() > limits.bytes {
                return Err(TOO_MANY_BYTES);
            }
            match (known, parts.authority) {
                (Name::Cookie, _) => cookies.push(trim(value)),
                (Name::Host, Some(authority)) if same_host(authority, trim(value)) => {}
                (Name::Host, Some(_)) => {
                    return Err(Refusal::bad("the host differs from the authority"));
                }
                _ => writer.field(known, name, trim(value)),
            }
        }
        if !cookies.is_empty() {
            writer.field(Name::Cookie, b"cookie", &cookies.join(&b"; "[..]));
        }
        writer.add(b"\r\n");
        if writer.bytes.len() > limits.bytes {
            return Err(TOO_MANY_BYTES);
        }
        Ok(writer.head(parts.method, Version::HTTP_2, form, target))
    }
}

fn form(method: &Method, path: Option<&[u8]>, target: &[u8]) -> Result<Target, Refusal> {
    if target.is_empty() || !target.iter().all(|byte| is_target(*byte)) {
        return Err(Refusal::bad("the target holds what no target may"));
    }
    match (path, target) {
        (None, _) if method == Method::CONNECT => Ok(Target::Authority),
        (None, _) => Err(Refusal::bad("there is no path")),
        (Some(_), _) if method == Method::CONNECT => Err(Refusal::bad("CONNECT with a path")),
        (_, [b'/', ..]) => Ok(Target::Origin),
        (_, b"*") if method == Method::OPTIONS => Ok(Target::Asterisk),
        _ => Err(Refusal::bad("the path does not begin with a slash")),
    }
}

/// RFC 9113 §8.2.1 and §8.2.2.
fn check(name: &[u8], value: &[u8]) -> Result<Name, Refusal> {
    let is_lower = |byte: &u8| is_tchar(*byte) && !byte.is_ascii_uppercase();
    if name.is_empty() || !name.iter().all(is_lower) {
        return Err(Refusal::bad("a field's name is no token in lower case"));
    }
    if !is_control_free(value) {
        return Err(Refusal::bad("a field's value holds a control character"));
    }
    let known = Name::of(name);
    match known {
        Name::Connection
        | Name::KeepAlive
        | Name::ProxyConnection
        | Name::TransferEncoding
        | Name::Upgrade => Err(Refusal::bad("a field that is the connection's")),
        Name::Te if !value.eq_ignore_ascii_case(b"trailers") => {
            Err(Refusal::bad("TE says something else than trailers"))
        }
        known => Ok(known),
    }
}

/// Hosts are the same in any case (RFC 9110 §4.2.3).
fn same_host(one: &[u8], other: &[u8]) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Writes a head down.
#[derive(Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
    fields: Vec<Field>,
    present: u64,
    repeated: u64,
}

impl Writer {
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Span {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        let end = self.bytes.len() as u32;
        Span { start, end }
    }

    pub(crate) fn field(&mut self, known: Name, name: &[u8], value: &[u8]) {
        let spelled = self.add(name);
        self.add(b": ");
        let value = self.add(value);
        self.add(b"\r\n");
        self.repeated |= self.present & known.bit();
        self.present |= known.bit();
        self.fields.push(Field {
            name: known,
            spelled,
            value,
        });
    }

    pub(crate) fn head(self, method: Method, version: Version, form: Target, target: Span) -> Head {
        let text = &self.bytes[target.start as usize..target.end as usize];
        let question = memchr::memchr(b'?', text).filter(|_| form == Target::Origin);
        let (path, query) = match question {
            _ if form == Target::Authority => (Span::default(), None),
            None => (target, None),
            Some(at) => {
                let at = target.start + at as u32;
                let path = Span { end: at, ..target };
                let start = at + 1;
                (path, Some(Span { start, ..target }))
            }
        };
        Head {
            method,
            version,
            form,
            text: Box::new(Text {
                target,
                path,
                query,
                authority: (form == Target::Authority).then_some(target),
                told_host: None,
                fields: self.fields,
                present: self.present,
                repeated: self.repeated,
                bytes: self.bytes.into(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    const LIMITS: Limits = Limits {
        bytes: 300,
        fields: 6,
    };

    fn assemble(
        method: &str,
        path: Option<&str>,
        authority: Option<&str>,
        fields: &[(&str, &str)],
    ) -> Result<Head, Refusal> {
        let parts = Parts {
            method: Method::from_bytes(method.as_bytes()).unwrap(),
            path: path.map(str::as_bytes),
            authority: authority.map(str::as_bytes),
            fields: fields
                .iter()
                .map(|(name, value)| (name.as_bytes(), value.as_bytes())),
        };
        Head::assemble(parts, LIMITS)
    }

    #[test]
    fn parts_become_what_http_1_would_have_sent() {
        let fields = [
            ("cookie", "a=1"),
            ("accept", " text/html "),
            ("cookie", "b=2"),
            ("te", "trailers"),
            ("x-own", ""),
        ];
        let head = assemble("POST", Some("/a/b?c=d?e"), Some("example.com:8"), &fields).unwrap();
        assert_eq!(head.line(), b"POST /a/b?c=d?e HTTP/2.0");
        assert_eq!(head.target(), b"/a/b?c=d?e");
        assert_eq!(head.path(), b"/a/b");
        assert_eq!(head.query(), Some(&b"c=d?e"[..]));
        assert_eq!(head.host(), Some(&b"example.com:8"[..]));
        assert_eq!(head.get(Name::Cookie), Some(&b"a=1; b=2"[..]));
        assert_eq!(head.get(Name::Accept), Some(&b"text/html"[..]));
        assert!(!head.repeats(Name::Cookie) && head.version == Version::HTTP_2);
        let names: Vec<&[u8]> = head.fields().map(|(_, name, _)| name).collect();
        assert_eq!(names, [&b"host"[..], b"accept", b"te", b"x-own", b"cookie"]);
    }

    #[test]
    fn targets_have_the_form_of_their_method() {
        let form = |method, path, authority| {
            assemble(method, path, authority, &[]).map(|head| (head.form, head.path().to_vec()))
        };
        let expected = |form, path: &str| Ok((form, path.as_bytes().to_vec()));
        assert_eq!(
            form("OPTIONS", Some("*"), Some("a")),
            expected(Target::Asterisk, "*")
        );
        assert_eq!(
            form("CONNECT", None, Some("a:1")),
            expected(Target::Authority, "")
        );
        assert_eq!(
            form("GET", Some("/"), None),
            expected(Target::Origin, "/"),
            "a request may come without an authority"
        );
        for (method, path, authority) in [
            ("GET", Some("*"), Some("a")),
            ("GET", Some("a"), Some("a")),
            ("GET", Some(""), Some("a")),
            ("GET", Some("http://a/"), Some("a")),
            ("GET", Some("/a b"), Some("a")),
            ("GET", Some("/a\r\nb: c"), Some("a")),
            ("GET", Some("/a#b"), Some("a")),
            ("GET", None, Some("a")),
            ("CONNECT", Some("/"), Some("a:1")),
            ("CONNECT", None, None),
            ("GET", Some("/"), Some("a\r\nb")),
        ] {
            let refusal = form(method, path, authority).unwrap_err();
            assert_eq!(
                refusal.status,
                StatusCode::BAD_REQUEST,
                "{method} {path:?} {authority:?}"
            );
        }
    }

    #[test]
    fn the_host_field_may_only_repeat_the_authority() {
        let head = assemble("GET", Some("/"), Some("a.b"), &[("host", "A.b")]).unwrap();
        assert!(!head.repeats(Name::Host));
        assert_eq!(head.host(), Some(&b"a.b"[..]));
        assert!(assemble("GET", Some("/"), Some("a.b"), &[("host", "c.d")]).is_err());
        let head = assemble("GET", Some("/"), None, &[("host", "c.d")]).unwrap();
        assert_eq!(head.host(), Some(&b"c.d"[..]));
        let twice = [("host", "a"), ("host", "b")];
        let head = assemble("GET", Some("/"), None, &twice).unwrap();
        assert!(head.repeats(Name::Host), "refused with the site");
    }

    #[test]
    fn fields_of_a_connection_or_in_another_spelling_are_refused() {
        for (name, value) in [
            ("connection", "close"),
            ("keep-alive", "1"),
            ("proxy-connection", "close"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("te", "gzip"),
            ("te", "trailers, gzip"),
            ("Accept", "*/*"),
            ("", "a"),
            ("a b", "c"),
            ("a:", "c"),
            (":path", "/"),
            ("a", "b\r\nc: d"),
            ("a", "b\0"),
        ] {
            let refusal = assemble("GET", Some("/"), Some("a"), &[(name, value)]).unwrap_err();
            assert_eq!(refusal.status, StatusCode::BAD_REQUEST, "{name}: {value}");
        }
    }

    #[test]
    fn limits_hold_whatever_the_encoding() {
        let long = "x".repeat(300);
        for fields in [
            vec![("a", long.as_str())],
            vec![("cookie", long.as_str())],
            vec![("cookie", "a"); 6],
            vec![("a", "b"); 6],
        ] {
            let refusal = assemble("GET", Some("/"), Some("a"), &fields).unwrap_err();
            assert_eq!(refusal.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        }
        assert!(assemble("GET", Some("/"), Some("a"), &[("a", "b"); 5]).is_ok());
    }
}
