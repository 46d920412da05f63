//! `start_response(status, headers)` → a checked response head (PEP 3333, "The start_response()
//! Callable"). What could split or reframe a response is refused here, by name.

use appliance_gateway::Reason;
use bytes::Bytes;
use http::header::{CONNECTION, PROXY_AUTHENTICATE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::response::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};

/// Fields of the connection, not of the response: "applications are forbidden" to set them
/// (PEP 3333, "Other HTTP Features").
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Checks what the application gave.
pub(crate) fn parse(status: &Bound<'_, PyAny>, headers: &Bound<'_, PyAny>) -> PyResult<Parts> {
    let (code, reason) = parse_status(status)?;
    let (mut head, ()) = Response::new(()).into_parts();
    head.status = code;
    if let Some(reason) = reason {
        head.extensions.insert(reason);
    }
    let headers = headers.cast::<PyList>().map_err(|_| {
        PyTypeError::new_err(format!(
            "headers must be a list of tuples, not {}",
            kind(headers)
        ))
    })?;
    head.headers.reserve(headers.len());
    for field in headers.iter() {
        let (name, value) = parse_field(&field)?;
        head.headers.append(name, value);
    }
    Ok(head)
}

fn parse_status(status: &Bound<'_, PyAny>) -> PyResult<(StatusCode, Option<Reason>)> {
    let text = latin1(status, "status")?;
    let bad = || {
        PyValueError::new_err(format!(
            "status must be like '200 OK', with a code from 200 to 999, not {}",
            shown(status)
        ))
    };
    let (code, reason) = text.split_at_checked(3).ok_or_else(bad)?;
    let code = StatusCode::from_bytes(code).map_err(|_| bad())?;
    let reason = match reason {
        [] => &[],
        [b' ', reason @ ..] => reason,
        _ => return Err(bad()),
    };
    if code.is_informational() || reason.iter().any(|byte| is_control(*byte)) {
        return Err(bad());
    }
    let usual = code.canonical_reason().unwrap_or_default();
    let own = !reason.is_empty() && reason != usual.as_bytes();
    Ok((code, own.then(|| Reason(Bytes::copy_from_slice(reason)))))
}

fn parse_field(field: &Bound<'_, PyAny>) -> PyResult<(HeaderName, HeaderValue)> {
    let pair = field
        .cast::<PyTuple>()
        .ok()
        .filter(|pair| pair.len() == 2)
        .ok_or_else(|| {
            PyTypeError::new_err(format!(
                "headers must hold tuples (name, value), not {}",
                shown(field)
            ))
        })?;
    let (name_given, value_given) = (pair.get_item(0)?, pair.get_item(1)?);
    let name = HeaderName::from_bytes(&latin1(&name_given, "a header name")?).map_err(|_| {
        PyValueError::new_err(format!("{} is not a header name", shown(&name_given)))
    })?;
    if HOP_BY_HOP.contains(&name) {
        return Err(PyValueError::new_err(format!(
            "header '{name}' is hop-by-hop: it belongs to the server, not to the application"
        )));
    }
    let value =
        HeaderValue::from_bytes(&latin1(&value_given, "a header value")?).map_err(|_| {
            PyValueError::new_err(format!(
                "the value of header '{name}' holds a control character: {}",
                shown(&value_given)
            ))
        })?;
    Ok((name, value))
}

/// A `str` whose code points are bytes.
fn latin1(text: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<u8>> {
    let string = text
        .cast::<PyString>()
        .map_err(|_| PyTypeError::new_err(format!("{what} must be a str, not {}", kind(text))))?;
    let not_latin1 = || {
        PyValueError::new_err(format!(
            "{what} holds a character that is not latin-1: {}",
            shown(text)
        ))
    };
    let string = string.to_str().map_err(|_| not_latin1())?;
    if string.is_ascii() {
        return Ok(string.as_bytes().to_vec());
    }
    string
        .chars()
        .map(|c| u8::try_from(u32::from(c)).map_err(|_| not_latin1()))
        .collect()
}

fn is_control(byte: u8) -> bool {
    byte < b' ' && byte != b'\t' || byte == 0x7f
}

fn kind(object: &Bound<'_, PyAny>) -> String {
    object
        .get_type()
        .name()
        .map_or_else(|_| "an object".to_owned(), |name| name.to_string())
}

fn shown(object: &Bound<'_, PyAny>) -> String {
    object
        .repr()
        .map_or_else(|_| kind(object), |text| text.to_string_lossy().into_owned())
}
