//! A request → its `environ` (PEP 3333, "environ Variables").
//!
//! What never changes lies ready in a dictionary that is copied; the names of usual header
//! fields lie ready as Python strings. Bytes become `str` as latin-1, as PEP 3333 demands.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use appliance_gateway::Request;
use http::header::{self, HeaderMap, HeaderName};
use http::{Method, Version};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::error_stream::ErrorStream;
use crate::file_wrapper::FileWrapper;
use crate::input::Input;

/// Whether an application may be called from elsewhere at the same time.
#[derive(Clone, Copy)]
pub(crate) struct Concurrency {
    pub(crate) multithread: bool,
    pub(crate) multiprocess: bool,
}

/// Builds environs; one for each pool thread.
pub(crate) struct EnvironBuilder {
    template: Py<PyDict>,
    errors: Py<ErrorStream>,
    keys: Keys,
    fields: HashMap<HeaderName, Py<PyString>>,
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
    path_info = "PATH_INFO",
    query_string = "QUERY_STRING",
    request_uri = "REQUEST_URI",
    content_type = "CONTENT_TYPE",
    content_length = "CONTENT_LENGTH",
    server_name = "SERVER_NAME",
    server_port = "SERVER_PORT",
    server_protocol = "SERVER_PROTOCOL",
    remote_addr = "REMOTE_ADDR",
    remote_port = "REMOTE_PORT",
    input = "wsgi.input",
    http_10 = "HTTP/1.0",
    http_11 = "HTTP/1.1",
    http_2 = "HTTP/2.0",
    get = "GET",
    post = "POST",
}

/// Fields whose Python names lie ready.
const USUAL_FIELDS: [HeaderName; 24] = [
    header::HOST,
    header::USER_AGENT,
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONNECTION,
    header::COOKIE,
    header::DNT,
    header::FORWARDED,
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::ORIGIN,
    header::PRAGMA,
    header::RANGE,
    header::REFERER,
    HeaderName::from_static("sec-fetch-dest"),
    HeaderName::from_static("sec-fetch-mode"),
    HeaderName::from_static("sec-fetch-site"),
    HeaderName::from_static("upgrade-insecure-requests"),
    HeaderName::from_static("x-csrftoken"),
    HeaderName::from_static("x-requested-with"),
];

impl EnvironBuilder {
    pub(crate) fn new(py: Python<'_>, concurrency: Concurrency) -> PyResult<Self> {
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
        Ok(EnvironBuilder {
            template: template.unbind(),
            errors: errors.unbind(),
            keys: Keys::new(py),
            fields: USUAL_FIELDS
                .into_iter()
                .map(|name| {
                    (
                        name.clone(),
                        PyString::intern(py, &field_key(&name)).unbind(),
                    )
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
        request: Request,
    ) -> PyResult<Bound<'py, PyDict>> {
        let environ = self.template.bind(py).copy()?;
        let head = &request.head;
        let keys = &self.keys;
        match head.method {
            Method::GET => environ.set_item(&keys.request_method, &keys.get)?,
            Method::POST => environ.set_item(&keys.request_method, &keys.post)?,
            ref method => environ.set_item(&keys.request_method, method.as_str())?,
        }
        let protocol = match head.version {
            Version::HTTP_10 => &keys.http_10,
            Version::HTTP_2 => &keys.http_2,
            _ => &keys.http_11,
        };
        environ.set_item(&keys.server_protocol, protocol)?;
        let path = head.uri.path().as_bytes();
        let query = head.uri.query().unwrap_or_default();
        if memchr::memchr(b'%', path).is_none() {
            environ.set_item(&keys.path_info, latin1(py, path))?;
        } else {
            let decoded: Vec<u8> = percent_encoding::percent_decode(path).collect();
            environ.set_item(&keys.path_info, latin1(py, &decoded))?;
        }
        environ.set_item(&keys.query_string, latin1(py, query.as_bytes()))?;
        let target = head
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str());
        environ.set_item(&keys.request_uri, latin1(py, target.as_bytes()))?;
        self.set_addresses(py, &environ, request.local, request.peer)?;
        self.set_fields(py, &environ, &head.headers)?;
        self.set_body(py, &environ, request)?;
        Ok(environ)
    }

    fn set_addresses(
        &mut self,
        py: Python<'_>,
        environ: &Bound<'_, PyDict>,
        local: SocketAddr,
        peer: SocketAddr,
    ) -> PyResult<()> {
        let keys = &self.keys;
        let (_, name, port) = match &mut self.local {
            Some(known) if known.0 == local => known,
            other => other.insert((
                local,
                PyString::new(py, &local.ip().to_string()).unbind(),
                PyString::new(py, &local.port().to_string()).unbind(),
            )),
        };
        environ.set_item(&keys.server_name, &*name)?;
        environ.set_item(&keys.server_port, &*port)?;
        let (_, address) = match &mut self.peer {
            Some(known) if known.0 == peer.ip() => known,
            other => {
                let text = PyString::new(py, &peer.ip().to_canonical().to_string());
                other.insert((peer.ip(), text.unbind()))
            }
        };
        environ.set_item(&keys.remote_addr, &*address)?;
        environ.set_item(&keys.remote_port, peer.port().to_string())
    }

    fn set_fields(
        &self,
        py: Python<'_>,
        environ: &Bound<'_, PyDict>,
        fields: &HeaderMap,
    ) -> PyResult<()> {
        for name in fields.keys() {
            if is_withheld(name) {
                continue;
            }
            let mut values = fields.get_all(name).iter().map(|value| value.as_bytes());
            let first = values.next().unwrap_or_default();
            let value = match values.next() {
                None => latin1(py, first),
                Some(second) => {
                    let separator: &[u8] = if name == header::COOKIE { b"; " } else { b", " };
                    let all: Vec<&[u8]> = [first, second].into_iter().chain(values).collect();
                    latin1(py, &all.join(separator))
                }
            };
            if name == header::CONTENT_TYPE {
                environ.set_item(&self.keys.content_type, value)?;
            } else if let Some(key) = self.fields.get(name) {
                environ.set_item(key, value)?;
            } else {
                environ.set_item(field_key(name), value)?;
            }
        }
        Ok(())
    }

    fn set_body(
        &self,
        py: Python<'_>,
        environ: &Bound<'_, PyDict>,
        request: Request,
    ) -> PyResult<()> {
        let fields = &request.head.headers;
        let framed = fields.contains_key(header::CONTENT_LENGTH)
            || fields.contains_key(header::TRANSFER_ENCODING);
        let len = request.body.len();
        if framed || len > 0 {
            environ.set_item(&self.keys.content_length, len.to_string())?;
        }
        let input: Input = request.body.into();
        environ.set_item(&self.keys.input, Bound::new(py, input)?)
    }
}

/// Fields that never reach the application:
///
/// - `content-length` has a variable of its own, and the body's framing is undone;
/// - hop-by-hop fields are between the client and us (RFC 9110 §7.6.1);
/// - `proxy` would become `HTTP_PROXY`, which HTTP clients in the application obey ("httpoxy");
/// - a name with an underscore would pass for its twin with a hyphen.
fn is_withheld(name: &HeaderName) -> bool {
    const WITHHELD: [HeaderName; 6] = [
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::TE,
        header::TRAILER,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy"),
    ];
    WITHHELD.contains(name) || name.as_str().contains('_')
}

fn field_key(name: &HeaderName) -> String {
    let name = name.as_str();
    let mut key = String::with_capacity(5 + name.len());
    key.push_str("HTTP_");
    key.extend(name.chars().map(|c| match c {
        '-' => '_',
        c => c.to_ascii_uppercase(),
    }));
    key
}

/// Bytes as `str`, each byte one code point.
fn latin1<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    match std::str::from_utf8(bytes) {
        Ok(ascii) if ascii.is_ascii() => PyString::new(py, ascii),
        _ => PyString::new(
            py,
            &bytes
                .iter()
                .map(|byte| char::from(*byte))
                .collect::<String>(),
        ),
    }
}
