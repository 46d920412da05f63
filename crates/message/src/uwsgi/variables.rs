//! A packet's variables → what they mean.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use http::{Method, Version};

use crate::assemble::Writer;
use crate::parse::{TOO_MANY_FIELDS, is_target};
use crate::syntax::{is_control_free, is_token, trim};
use crate::{Limits, Name, Refusal, Target};

use super::{Mount, Packet, Told, packet};

/// What the request itself decides, as the gateway tells it; all others are for the application.
#[derive(Default)]
struct Variables<'b> {
    method: Option<&'b [u8]>,
    uri: Option<&'b [u8]>,
    path: Option<&'b [u8]>,
    query: Option<&'b [u8]>,
    script_name: &'b [u8],
    protocol: Option<&'b [u8]>,
    content_type: &'b [u8],
    content_length: &'b [u8],
    https: &'b [u8],
    /// `UWSGI_SCHEME`, or else `REQUEST_SCHEME`.
    schemes: [&'b [u8]; 2],
    fields: Vec<(&'b [u8], &'b [u8])>,
    told: Told,
}

pub(super) fn read(mut block: &[u8], limits: Limits) -> Result<Packet, Refusal> {
    let mut variables = Variables::default();
    while !block.is_empty() {
        let (name, value) = packet::next(&mut block)?;
        variables.take(name, value)?;
        if variables.fields.len() > limits.fields || variables.told.variables.len() > limits.fields
        {
            return Err(TOO_MANY_FIELDS);
        }
    }
    variables.packet()
}

impl<'b> Variables<'b> {
    fn take(&mut self, name: &'b [u8], value: &'b [u8]) -> Result<(), Refusal> {
        match name {
            b"REQUEST_METHOD" => self.method = Some(value),
            b"REQUEST_URI" => self.uri = Some(value),
            b"PATH_INFO" => self.path = Some(value),
            b"QUERY_STRING" => self.query = Some(value),
            b"SCRIPT_NAME" => self.script_name = value,
            b"SERVER_PROTOCOL" => self.protocol = Some(value),
            b"CONTENT_TYPE" => self.content_type = value,
            b"CONTENT_LENGTH" => self.content_length = value,
            b"HTTPS" => self.https = value,
            b"UWSGI_SCHEME" => self.schemes[0] = value,
            b"REQUEST_SCHEME" => self.schemes[1] = value,
            b"REMOTE_ADDR" => self.told.client = client(value)?,
            b"REMOTE_PORT" => self.told.client_port = port(value)?.unwrap_or(0),
            b"SERVER_PORT" => self.told.server_port = port(value)?,
            // Never empty, says PEP 3333: there is another.
            b"SERVER_NAME" if value.is_empty() => {}
            _ => match name.split_at_checked(5) {
                Some((b"HTTP_", field)) => self.fields.push((field, value)),
                // Orders to uWSGI: UWSGI_SCRIPT, UWSGI_CHDIR, UWSGI_POSTFILE, UWSGI_SETENV.
                Some((b"UWSGI", _)) => {}
                _ => self.told.variables.extend(further(name, value)),
            },
        }
        Ok(())
    }

    fn packet(mut self) -> Result<Packet, Refusal> {
        let method = self
            .method
            .ok_or(Refusal::bad("there is no REQUEST_METHOD"))?;
        if !is_token(method) {
            return Err(Refusal::bad("the method is no token"));
        }
        let method =
            Method::from_bytes(method).map_err(|_| Refusal::bad("the method is no token"))?;
        let path = self.place()?;
        let (target, form) = self.target(&method, path.as_deref())?;
        let mut writer = Writer::default();
        writer.add(method.as_str().as_bytes());
        writer.add(b" ");
        let target = writer.add(&target);
        let (version, protocol) = version(self.protocol);
        writer.add(protocol);
        self.write_fields(&mut writer)?;
        let mut head = writer.head(method, version, form, target);
        if let Some(path) = path.filter(|_| form == Target::Origin) {
            let query = match self.query {
                Some(query) if query.iter().all(|byte| is_target(*byte)) => {
                    Some(query).filter(|query| !query.is_empty())
                }
                Some(_) => return Err(Refusal::bad("QUERY_STRING holds what no query may")),
                None => head.query(),
            };
            if head.path() != path || head.query().unwrap_or_default() != query.unwrap_or_default()
            {
                let query = query.map(<[u8]>::to_vec);
                head.rewrite(&path, query.as_deref());
            }
        }
        self.told.is_https = self.is_https();
        let told = self.told;
        Ok(Packet { head, told })
    }

    /// The path that the gateway means, escaped; none if it names none. A prefix that it has for the
    /// application may be part of `PATH_INFO`, as of nginx's `$document_uri`, or stand before it.
    fn place(&mut self) -> Result<Option<Vec<u8>>, Refusal> {
        let mut prefix = self.script_name;
        while let Some(shorter) = prefix.strip_suffix(b"/") {
            prefix = shorter;
        }
        let path = self.path.filter(|path| !path.is_empty());
        let path = match (prefix, path) {
            (b"", None) => return Ok(None),
            (b"", Some(path)) => path.to_vec(),
            (prefix, None) => prefix.to_vec(),
            (prefix, Some(path)) if self.is_below(prefix, path) => path.to_vec(),
            (prefix, Some(path)) => [prefix, path].concat(),
        };
        if !path.starts_with(b"/") {
            return Err(Refusal::bad("PATH_INFO does not begin with a slash"));
        }
        if !prefix.is_empty() {
            let script_name = std::str::from_utf8(prefix)
                .map_err(|_| Refusal::bad("SCRIPT_NAME is not UTF-8"))?;
            self.told.mount = Some(Mount {
                script_name: Arc::from(script_name),
                prefix: escape(prefix).into(),
            });
        }
        Ok(Some(escape(&path)))
    }

    /// Whether `path` holds the prefix already. `/a/a/b` below `/a` may be meant either way: what
    /// was asked for decides.
    fn is_below(&self, prefix: &[u8], path: &[u8]) -> bool {
        let holds = path
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"));
        let asked = self
            .uri
            .and_then(|uri| uri.split(|byte| *byte == b'?').next());
        let joined = || escape(&[prefix, path].concat());
        holds && asked.is_none_or(|asked| asked != joined())
    }

    /// What was asked for: `REQUEST_URI`, or else what the other variables say.
    fn target(&self, method: &Method, path: Option<&[u8]>) -> Result<(Vec<u8>, Target), Refusal> {
        let uri = match (self.uri.filter(|uri| !uri.is_empty()), path) {
            (Some(uri), _) => uri.to_vec(),
            (None, Some(path)) => match self.query.filter(|query| !query.is_empty()) {
                Some(query) => [path, b"?", query].concat(),
                None => path.to_vec(),
            },
            (None, None) => return Err(Refusal::bad("there is neither REQUEST_URI nor PATH_INFO")),
        };
        if !uri.iter().all(|byte| is_target(*byte)) {
            return Err(Refusal::bad("the target holds what no target may"));
        }
        match uri.as_slice() {
            [b'/', ..] => Ok((uri, Target::Origin)),
            b"*" if method == Method::OPTIONS => Ok((uri, Target::Asterisk)),
            _ => Err(Refusal::bad("REQUEST_URI does not begin with a slash")),
        }
    }

    fn write_fields(&self, writer: &mut Writer) -> Result<(), Refusal> {
        if !self.content_type.is_empty() {
            write_field(writer, b"content-type", self.content_type)?;
        }
        if !self.content_length.is_empty() {
            write_field(writer, b"content-length", self.content_length)?;
        }
        for (name, value) in &self.fields {
            let hyphen = |byte: &u8| match byte {
                b'_' => b'-',
                byte => byte.to_ascii_lowercase(),
            };
            let name: Vec<u8> = name.iter().map(hyphen).collect();
            if !is_of_the_connection(Name::of(&name)) {
                write_field(writer, &name, value)?;
            }
        }
        writer.add(b"\r\n");
        Ok(())
    }

    /// In the order that uWSGI has.
    fn is_https(&self) -> bool {
        let [scheme, request_scheme] = self.schemes;
        if !scheme.is_empty() {
            return scheme.eq_ignore_ascii_case(b"https");
        }
        let https = self.https;
        https.eq_ignore_ascii_case(b"on")
            || https == b"1"
            || request_scheme.eq_ignore_ascii_case(b"https")
    }
}

fn write_field(writer: &mut Writer, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
    if !is_token(name) {
        return Err(Refusal::bad("a field's name is no token"));
    }
    if !is_control_free(value) {
        return Err(Refusal::bad("a field's value holds a control character"));
    }
    writer.field(Name::of(name), name, trim(value));
    Ok(())
}

/// What was between the client and the gateway, which has undone it; and what has a variable of its
/// own. (`Expect` as well: the gateway has the body, or will have it.)
fn is_of_the_connection(name: Name) -> bool {
    matches!(
        name,
        Name::Connection
            | Name::ContentLength
            | Name::ContentType
            | Name::Expect
            | Name::KeepAlive
            | Name::ProxyConnection
            | Name::Te
            | Name::Trailer
            | Name::TransferEncoding
            | Name::Upgrade
    )
}

/// The version that the client has spoken, and the end of the request's line. Who does not say is
/// not taken for a client that knows anything newer.
fn version(protocol: Option<&[u8]>) -> (Version, &'static [u8]) {
    match protocol.unwrap_or_default() {
        b"HTTP/1.1" => (Version::HTTP_11, b" HTTP/1.1\r\n"),
        b"HTTP/2" | b"HTTP/2.0" => (Version::HTTP_2, b" HTTP/2.0\r\n"),
        b"HTTP/3" | b"HTTP/3.0" => (Version::HTTP_3, b" HTTP/3.0\r\n"),
        _ => (Version::HTTP_10, b" HTTP/1.0\r\n"),
    }
}

/// nginx says `unix:` of the clients of a unix socket.
fn client(value: &[u8]) -> Result<Option<IpAddr>, Refusal> {
    match value {
        b"" => Ok(None),
        b"unix:" => Ok(Some(Ipv4Addr::UNSPECIFIED.into())),
        value => {
            let address = std::str::from_utf8(value)
                .ok()
                .and_then(|text| text.parse().ok());
            match address {
                Some(address) => Ok(Some(address)),
                None => Err(Refusal::bad("REMOTE_ADDR is no address")),
            }
        }
    }
}

fn port(value: &[u8]) -> Result<Option<u16>, Refusal> {
    if value.is_empty() {
        return Ok(None);
    }
    let is_number = value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).ok().filter(|_| is_number);
    match text.and_then(|text| text.parse().ok()) {
        Some(port) => Ok(Some(port)),
        None => Err(Refusal::bad("a port is no number")),
    }
}

/// A variable for the application, if its name is plain: with a dot it would be one of Python's own,
/// such as `wsgi.input`.
fn further(name: &[u8], value: &[u8]) -> Option<(Box<str>, Box<[u8]>)> {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let is_ours = matches!(name, b"GATEWAY_INTERFACE" | b"SERVER_SOFTWARE");
    let name = std::str::from_utf8(name).ok()?;
    (name.bytes().all(|byte| is_plain(&byte)) && !is_ours).then(|| (name.into(), value.into()))
}

/// The path as it would be sent: whoever undoes the escapes gets the same bytes.
fn escape(path: &[u8]) -> Vec<u8> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte);
    let mut escaped = Vec::with_capacity(path.len());
    for byte in path {
        match is_plain(*byte) {
            true => escaped.push(*byte),
            false => escaped.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    escaped
}
