//! A request → its `environ` (PEP 3333, "environ Variables").
//!
//! What never changes lies ready in a dictionary that is copied; the names of usual header
//! fields lie ready as Python strings. Bytes become `str` as latin-1, as PEP 3333 demands.

use std::net::{IpAddr, SocketAddr};

use appliance_gateway::{Mount, RequestBody, RequestId, Tls};
use appliance_message::uwsgi::Told;
use appliance_message::{Head, Name, Target};
use http::{Method, Version};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::early_hints::EarlyHints;
use crate::error_stream::ErrorStream;
use crate::file_wrapper::FileWrapper;
use crate::input::Input;
use crate::sys::latin1;

/// Whether an application may be called from elsewhere at the same time.
#[derive(Clone, Copy)]
pub(crate) struct Concurrency {
    pub(crate) multithread: bool,
    pub(crate) multiprocess: bool,
}

/// Where a request comes from.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
    pub(crate) is_https: bool,
    /// Who has given the right password.
    pub(crate) user: Option<&'a str>,
    /// The connection's TLS, if it is ours.
    pub(crate) tls: Option<&'a Tls>,
    /// What a gateway in front of us says.
    pub(crate) told: Option<&'a Told>,
}

/// Builds environs; one for each pool thread.
pub(crate) struct EnvironBuilder {
    template: Py<PyDict>,
    errors: Py<ErrorStream>,
    keys: Keys,
    /// The keys of usual fields, by the name's number; none for those that are withheld.
    fields: Vec<Option<Py<PyString>>>,
    /// `SERVER_NAME` and `SERVER_PORT` as last built: rarely another.
    local: Option<(SocketAddr, Py<PyString>, Py<PyString>)>,
    /// `REMOTE_ADDR` as last built.
    peer: Option<(IpAddr, Py<PyString>)>,
}

macro_rules! keys {
    ($($field:ident = $name:literal),* $(,)?) => {
        /// Keys set anew for each request, interned.
        struct Keys { $($field: Py<PyString>),* }
        impl Keys {
            fn new(py: Python<'_>) -> Self {
                Keys { $($field: PyString::intern(py, $name).unbind()),* }
            }
        }
    };
}

keys! {
    request_method = "REQUEST_METHOD",
    script_name = "SCRIPT_NAME",
    path_info = "PATH_INFO",
    query_string = "QUERY_STRING",
    request_uri = "REQUEST_URI",
    content_length = "CONTENT_LENGTH",
    server_name = "SERVER_NAME",
    server_port = "SERVER_PORT",
    server_protocol = "SERVER_PROTOCOL",
    remote_addr = "REMOTE_ADDR",
    remote_port = "REMOTE_PORT",
    request_id = "HTTP_X_REQUEST_ID",
    input = "wsgi.input",
    url_scheme = "wsgi.url_scheme",
    https_is = "HTTPS",
    https = "https",
    on = "on",
    http_10 = "HTTP/1.0",
    http_11 = "HTTP/1.1",
    http_2 = "HTTP/2.0",
    http_3 = "HTTP/3.0",
    get = "GET",
    post = "POST",
}

impl EnvironBuilder {
    pub(crate) fn new(
        py: Python<'_>,
        concurrency: Concurrency,
        hints: EarlyHints,
    ) -> PyResult<Self> {
        let template = PyDict::new(py);
        let errors = Bound::new(py, ErrorStream::default())?;
        template.set_item("SCRIPT_NAME", "")?;
        template.set_item(
            "SERVER_SOFTWARE",
            concat!("appliance/", env!("CARGO_PKG_VERSION")),
        )?;
        template.set_item("wsgi.version", (1, 0))?;
        template.set_item("wsgi.url_scheme", "http")?;
        template.set_item("wsgi.errors", &errors)?;
        template.set_item("wsgi.multithread", concurrency.multithread)?;
        template.set_item("wsgi.multiprocess", concurrency.multiprocess)?;
        template.set_item("wsgi.run_once", false)?;
        template.set_item("wsgi.input_terminated", true)?;
        template.set_item("wsgi.file_wrapper", py.get_type::<FileWrapper>())?;
        template.set_item("wsgi.early_hints", Bound::new(py, hints)?)?;
        Ok(EnvironBuilder {
            template: template.unbind(),
            errors: errors.unbind(),
            keys: Keys::new(py),
            fields: Name::USUAL
                .iter()
                .map(|name| {
                    let key = field_key(*name, name.text().as_bytes())?;
                    Some(PyString::intern(py, &key).unbind())
                })
                .collect(),
            local: None,
            peer: None,
        })
    }

    /// The request is over, and so is its last line in `wsgi.errors`.
    pub(crate) fn flush_errors(&self) {
        self.errors.get().flush();
    }

    pub(crate) fn build<'py>(
        &mut self,
        py: Python<'py>,
        (head, id): (&Head, &RequestId),
        mount: Option<&Mount>,
        body: RequestBody,
        origin: Origin<'_>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let environ = self.template.bind(py).copy()?;
        let keys = &self.keys;
        environ.set_item(&keys.request_id, id.text(&mut [0; 16]))?;
        match head.method {
            Method::GET => environ.set_item(&keys.request_method, &keys.get)?,
            Method::POST => environ.set_item(&keys.request_method, &keys.post)?,
            ref method => environ.set_item(&keys.request_method, method.as_str())?,
        }
        let protocol = match head.version {
            Version::HTTP_10 => &keys.http_10,
            Version::HTTP_2 => &keys.http_2,
            Version::HTTP_3 => &keys.http_3,
            _ => &keys.http_11,
        };
        environ.set_item(&keys.server_protocol, protocol)?;
        let mut path = head.path();
        if let Some(mount) = mount {
            environ.set_item(&keys.script_name, latin1(py, mount.script_name.as_bytes())?)?;
            path = path.get(mount.len..).unwrap_or_default();
        }
        let has_escapes = memchr::memchr(b'%', path).is_some();
        let path_info = if has_escapes {
            let decoded: Vec<u8> = percent_encoding::percent_decode(path).collect();
            latin1(py, &decoded)?
        } else {
            latin1(py, path)?
        };
        environ.set_item(&keys.path_info, &path_info)?;
        environ.set_item(
            &keys.query_string,
            latin1(py, head.query().unwrap_or_default())?,
        )?;
        let uri = match head.form {
            Target::Origin if head.target() == path && !has_escapes => path_info,
            Target::Origin => latin1(py, head.target())?,
            _ => latin1(py, &head.path_and_query())?,
        };
        environ.set_item(&keys.request_uri, uri)?;
        self.set_addresses(py, &environ, origin)?;
        self.set_fields(py, &environ, head)?;
        self.set_body(py, &environ, head, body)?;
        if let Some(told) = origin.told {
            set_told(&environ, told, origin.user.is_some())?;
        }
        Ok(environ)
    }

    fn set_addresses(
        &mut self,
        py: Python<'_>,
        environ: &Bound<'_, PyDict>,
        Origin {
            local,
            peer,
            is_https,
            user,
            tls,
            ..
        }: Origin<'_>,
    ) -> PyResult<()> {
        let keys = &self.keys;
        if let Some(user) = user {
            environ.set_item("REMOTE_USER", latin1(py, user.as_bytes())?)?;
            environ.set_item("AUTH_TYPE", "Basic")?;
        }
        if is_https {
            environ.set_item(&keys.url_scheme, &keys.https)?;
            environ.set_item(&keys.https_is, &keys.on)?;
        }
        if let Some(tls) = tls {
            set_tls(environ, tls)?;
        }
        let (_, name, port) = match &mut self.local {
            Some(known) if known.0 == local => known,
            other => other.insert((
                local,
                PyString::new(py, &server_name(local.ip())).unbind(),
                PyString::new(py, &local.port().to_string()).unbind(),
            )),
        };
        environ.set_item(&keys.server_name, &*name)?;
        environ.set_item(&keys.server_port, &*port)?;
        let (_, address) = match &mut self.peer {
            Some(known) if known.0 == peer.ip() => known,
            other => {
                let text = PyString::new(py, &remote_addr(peer.ip()));
                other.insert((peer.ip(), text.unbind()))
            }
        };
        environ.set_item(&keys.remote_addr, &*address)?;
        match peer.port() {
            0 => Ok(()),
            port => environ.set_item(&keys.remote_port, itoa::Buffer::new().format(port)),
        }
    }

    fn set_fields(&self, py: Python<'_>, environ: &Bound<'_, PyDict>, head: &Head) -> PyResult<()> {
        for (name, spelled, value) in head.fields() {
            let value = match name {
                // The target's, which counts more (RFC 9112 §3.2.2).
                Name::Host => head.host().unwrap_or(value),
                _ => value,
            };
            match self.fields.get(name as usize) {
                Some(None) => {}
                Some(Some(key)) if head.repeats(name) => {
                    add(py, environ, key.bind(py), name, value)?;
                }
                Some(Some(key)) => environ.set_item(key, latin1(py, value)?)?,
                None => {
                    if let Some(key) = field_key(name, spelled) {
                        add(py, environ, &PyString::new(py, &key), name, value)?;
                    }
                }
            }
        }
        // An HTTP/1.0 request may have no Host field, and yet a proxy or its target names a host.
        if !head.has(Name::Host)
            && let (Some(Some(key)), Some(host)) =
                (self.fields.get(Name::Host as usize), head.host())
        {
            environ.set_item(key, latin1(py, host)?)?;
        }
        Ok(())
    }

    fn set_body(
        &self,
        py: Python<'_>,
        environ: &Bound<'_, PyDict>,
        head: &Head,
        body: RequestBody,
    ) -> PyResult<()> {
        let framed = head.has(Name::ContentLength) || head.has(Name::TransferEncoding);
        let len = body.len();
        if framed || len > 0 {
            environ.set_item(&self.keys.content_length, itoa::Buffer::new().format(len))?;
        }
        let input: Input = body.into();
        environ.set_item(&self.keys.input, Bound::new(py, input)?)
    }
}

/// A unix socket has no address, which is written `0.0.0.0`, and yet this variable is never empty.
fn server_name(local: IpAddr) -> String {
    match local.is_unspecified() {
        true => "localhost".to_owned(),
        false => local.to_string(),
    }
}

/// Empty for the peer of a unix socket, as gunicorn has it: applications look for addresses here.
fn remote_addr(peer: IpAddr) -> String {
    match peer.is_unspecified() {
        true => String::new(),
        false => peer.to_canonical().to_string(),
    }
}

/// What nginx has variables for, by the names that they have in the usual `uwsgi_param` lines. No
/// field can pass for one of these: theirs begin with `HTTP_`.
fn set_tls(environ: &Bound<'_, PyDict>, tls: &Tls) -> PyResult<()> {
    environ.set_item("SSL_PROTOCOL", tls.protocol)?;
    environ.set_item("SSL_CIPHER", tls.cipher)?;
    if let Some(name) = &tls.server_name {
        environ.set_item("SSL_SERVER_NAME", &**name)?;
    }
    let Some(client) = &tls.client else {
        return environ.set_item("SSL_CLIENT_VERIFY", "NONE");
    };
    environ.set_item("SSL_CLIENT_VERIFY", "SUCCESS")?;
    environ.set_item("SSL_CLIENT_S_DN", &client.subject)?;
    environ.set_item("SSL_CLIENT_I_DN", &client.issuer)?;
    environ.set_item("SSL_CLIENT_SERIAL", &client.serial)?;
    environ.set_item("SSL_CLIENT_CERT", &client.pem)
}

/// A gateway's own variables, `SERVER_NAME` among them: none is a field, a key of Python's own, or one
/// that the request decides. Who has given the password that a route of ours asks for is not for
/// it to say.
fn set_told(environ: &Bound<'_, PyDict>, told: &Told, knows_user: bool) -> PyResult<()> {
    for (name, value) in &told.variables {
        if !(knows_user && matches!(&**name, "REMOTE_USER" | "AUTH_TYPE")) {
            environ.set_item(&**name, latin1(environ.py(), value)?)?;
        }
    }
    Ok(())
}

/// Adds a field that may be there already: several make one list (RFC 9110 §5.3), cookies one
/// string (RFC 6265 §5.4).
fn add(
    py: Python<'_>,
    environ: &Bound<'_, PyDict>,
    key: &Bound<'_, PyString>,
    name: Name,
    value: &[u8],
) -> PyResult<()> {
    let value = latin1(py, value)?;
    match environ.get_item(key)? {
        None => environ.set_item(key, value),
        Some(before) => {
            let separator = if name == Name::Cookie { "; " } else { ", " };
            environ.set_item(key, before.add(separator)?.add(value)?)
        }
    }
}

/// The key of a field; none for those that never reach the application:
///
/// - `content-length` has a variable of its own, and the body's framing is undone;
/// - hop-by-hop fields are between the client and us (RFC 9110 §7.6.1);
/// - `proxy` would become `HTTP_PROXY`, which HTTP clients in the application obey ("httpoxy");
/// - `x-request-id` is set by us, from a trusted proxy's or anew;
/// - a name with an underscore would pass for its twin with a hyphen.
fn field_key(name: Name, spelled: &[u8]) -> Option<String> {
    match name {
        Name::ContentLength
        | Name::KeepAlive
        | Name::Proxy
        | Name::ProxyConnection
        | Name::Te
        | Name::Trailer
        | Name::TransferEncoding
        | Name::XRequestId => return None,
        Name::ContentType => return Some("CONTENT_TYPE".to_owned()),
        _ if spelled.contains(&b'_') => return None,
        _ => {}
    }
    let upper = spelled.iter().map(|byte| match byte {
        b'-' => '_',
        byte => char::from(byte.to_ascii_uppercase()),
    });
    Some("HTTP_".chars().chain(upper).collect())
}
