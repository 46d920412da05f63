//! `start_response(status, headers)` → a checked response head (PEP 3333, "The start_response()
//! Callable"). What could split or reframe a response is refused here, by name.

use std::borrow::Cow;

use appliance_message::{Fields, ResponseHead, is_control_free, is_token};
use http::StatusCode;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};

/// Fields of the connection, not of the response: "applications are forbidden" to set them
/// (PEP 3333, "Other HTTP Features").
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Checks what the application gave.
pub(crate) fn parse(
    status: &Bound<'_, PyAny>,
    headers: &Bound<'_, PyAny>,
) -> PyResult<ResponseHead> {
    let mut head = parse_status(status)?;
    add_fields(&mut head, headers)?;
    Ok(head)
}

/// Checks the fields of an interim response, which has no body to be framed (RFC 9110 §8.6).
pub(crate) fn parse_hints(headers: &Bound<'_, PyAny>) -> PyResult<Fields> {
    let mut head = ResponseHead::new(StatusCode::EARLY_HINTS);
    add_fields(&mut head, headers)?;
    match head.length {
        None => Ok(head.fields),
        Some(_) => Err(PyValueError::new_err(
            "early hints must not hold a Content-Length: they have no body",
        )),
    }
}

fn add_fields(head: &mut ResponseHead, headers: &Bound<'_, PyAny>) -> PyResult<()> {
    let headers = headers.cast::<PyList>().map_err(|_| {
        PyTypeError::new_err(format!(
            "headers must be a list of tuples, not {}",
            kind(headers)
        ))
    })?;
    /// Of a usual field's line.
    const LINE_BYTES: usize = 48;
    head.fields = Fields::with_capacity(headers.len() * LINE_BYTES);
    for field in headers.iter() {
        add_field(head, &field)?;
    }
    Ok(())
}

fn parse_status(status: &Bound<'_, PyAny>) -> PyResult<ResponseHead> {
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
    if code.is_informational() || !is_control_free(reason) {
        return Err(bad());
    }
    let usual = code.canonical_reason().unwrap_or_default();
    let own = !reason.is_empty() && reason != usual.as_bytes();
    let mut head = ResponseHead::new(code);
    head.reason = own.then(|| reason.into());
    Ok(head)
}

fn add_field(head: &mut ResponseHead, field: &Bound<'_, PyAny>) -> PyResult<()> {
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
    let name = latin1(&name_given, "a header name")?;
    let name = std::str::from_utf8(&name)
        .ok()
        .filter(|name| is_token(name.as_bytes()))
        .ok_or_else(|| {
            PyValueError::new_err(format!("{} is not a header name", shown(&name_given)))
        })?;
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    if HOP_BY_HOP.into_iter().any(is) {
        return Err(PyValueError::new_err(format!(
            "header '{name}' is hop-by-hop: it belongs to the server, not to the application"
        )));
    }
    let value = latin1(&value_given, "a header value")?;
    if !is_control_free(&value) {
        return Err(PyValueError::new_err(format!(
            "the value of header '{name}' holds a control character: {}",
            shown(&value_given)
        )));
    }
    if is("content-length") {
        head.length = Some(content_length(head, &value)?);
        return Ok(());
    }
    head.dated |= is("date");
    head.hands_over |= hands_over(name);
    head.fields.add(name, &value);
    Ok(())
}

/// Whether this is a field by which an application hands over to the server.
fn hands_over(name: &str) -> bool {
    let begins = |known: &str| {
        let start = name.get(..known.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(known))
    };
    begins("x-") && (begins("x-accel-") || name.eq_ignore_ascii_case("x-sendfile"))
}

/// RFC 9110 §8.6: 1*DIGIT, so no sign, which `parse` would take.
fn content_length(head: &ResponseHead, value: &[u8]) -> PyResult<u64> {
    let text = std::str::from_utf8(value).unwrap_or_default();
    let digits = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match digits.and_then(|digits| digits.parse().ok()) {
        Some(length) if head.length.is_none() => Ok(length),
        _ => Err(PyValueError::new_err(format!(
            "Content-Length must be one whole number, not '{}'",
            String::from_utf8_lossy(value)
        ))),
    }
}

/// A `str` whose code points are bytes.
fn latin1<'a>(text: &'a Bound<'_, PyAny>, what: &str) -> PyResult<Cow<'a, [u8]>> {
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
        return Ok(Cow::Borrowed(string.as_bytes()));
    }
    string
        .chars()
        .map(|c| u8::try_from(u32::from(c)).map_err(|_| not_latin1()))
        .collect::<PyResult<Vec<u8>>>()
        .map(Cow::Owned)
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
