//! `start_response` and `write()`: the one object through which a call sends its response.
//!
//! The head leaves with the first non-empty chunk, or with the end of the response, as PEP 3333
//! demands; until then `start_response` may be called again with `exc_info`.

use std::sync::Arc;

use appliance_gateway::{Reply, ReplyBody, Timing};
use appliance_message::ResponseHead;
use bytes::Bytes;
use http::{Method, StatusCode};
use pyo3::exceptions::{PyAssertionError, PyBrokenPipeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::exchange::{ClientGone, Exchange};
use crate::file_wrapper::Section;
use crate::response_head;

/// The `start_response` of one request, and the state of its response.
#[pyclass(module = "appliance")]
pub(crate) struct StartResponse {
    exchange: Arc<Exchange>,
    /// A response to HEAD: its body is not sent, so its length cannot be wrong.
    bodiless: bool,
    head: Option<ResponseHead>,
    head_sent: bool,
    /// The application's Content-Length.
    declared_bytes: Option<u64>,
    sent_bytes: u64,
    /// There were bytes beyond the declared ones.
    exceeded: bool,
    /// The last chunk has been sent as such.
    is_complete: bool,
}

/// How a send went.
#[derive(Debug, PartialEq)]
pub(crate) enum Sent {
    /// Go on.
    Yes,
    /// Nobody wants more: the client has left, or has all that was declared.
    Enough,
}

#[pymethods]
impl StartResponse {
    #[pyo3(signature = (status, headers, exc_info = None))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        status: &Bound<'py, PyAny>,
        headers: &Bound<'py, PyAny>,
        exc_info: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Write>> {
        let mut this = slf.try_borrow_mut()?;
        match exc_info {
            Some(exc_info) if this.head_sent => return Err(reraise(exc_info)?),
            None if this.head.is_some() || this.head_sent => {
                return Err(PyAssertionError::new_err(
                    "start_response() was called twice; a second call needs exc_info",
                ));
            }
            _ => {}
        }
        let head = response_head::parse(status, headers)?;
        this.declared_bytes = head.length;
        this.bodiless |= matches!(
            head.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
        this.head = Some(head);
        drop(this);
        Bound::new(slf.py(), Write(slf.clone().unbind()))
    }
}

/// `write()`, as returned by `start_response`.
#[pyclass(frozen, module = "appliance")]
pub(crate) struct Write(Py<StartResponse>);

#[pymethods]
impl Write {
    fn __call__(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut responder = self.0.try_borrow_mut(py)?;
        responder.send(py, bytes_of(data)?, false)?;
        // Nothing else could tell it: an application that writes until it is done would go on.
        match responder.exchange.client_left() {
            true => Err(PyBrokenPipeError::new_err("the client has left")),
            false => Ok(()),
        }
    }
}

/// A chunk of a response, which must be `bytes`.
pub(crate) fn bytes_of<'a>(chunk: &'a Bound<'_, PyAny>) -> PyResult<&'a [u8]> {
    match chunk.cast::<PyBytes>() {
        Ok(bytes) => Ok(bytes.as_bytes()),
        Err(_) => Err(PyTypeError::new_err(format!(
            "the response must consist of bytes, not {}",
            chunk.get_type().name()?
        ))),
    }
}

impl StartResponse {
    pub(crate) fn new(exchange: Arc<Exchange>) -> Self {
        StartResponse {
            bodiless: exchange.request.method == Method::HEAD,
            exchange,
            head: None,
            head_sent: false,
            declared_bytes: None,
            sent_bytes: 0,
            exceeded: false,
            is_complete: false,
        }
    }

    /// Sends a chunk, with the head if that is still here. `last`: the application has no more.
    /// Spools it, or waits, detached, while the client is slow.
    pub(crate) fn send(&mut self, py: Python<'_>, chunk: &[u8], last: bool) -> PyResult<Sent> {
        self.check_started()?;
        if chunk.is_empty() {
            return Ok(match self.exchange.client_gone() {
                true => Sent::Enough,
                false => Sent::Yes,
            });
        }
        let chunk = self.within_declared(chunk);
        self.sent_bytes += chunk.len() as u64;
        let complete = match self.declared_bytes {
            Some(declared) => self.sent_bytes == declared,
            None => last,
        };
        let chunk = Bytes::copy_from_slice(chunk);
        let pushed = match self.head.take() {
            Some(head) => {
                self.head_sent = true;
                self.exchange
                    .begin(stream(head), chunk, complete)
                    .map(|()| None)
            }
            None => self.exchange.push(chunk, complete),
        };
        let sent = match pushed {
            Ok(Some(chunk)) => py.detach(|| self.exchange.push_slowly(chunk, complete)),
            Ok(None) => Ok(()),
            Err(ClientGone) => Err(ClientGone),
        };
        self.is_complete = complete && sent.is_ok();
        Ok(match sent {
            Ok(()) if !complete => Sent::Yes,
            _ => Sent::Enough,
        })
    }

    /// Hands a regular file to the front. `false`: the response has begun already or promises
    /// more than the file holds, so the file must be iterated.
    pub(crate) fn send_file(&mut self, section: Section) -> PyResult<bool> {
        self.check_started()?;
        let len = self.declared_bytes.unwrap_or(section.len);
        if len > section.len {
            return Ok(false);
        }
        let Some(mut head) = self.head.take() else {
            return Ok(false);
        };
        self.head_sent = true;
        self.sent_bytes = len;
        head.length = Some(len);
        let body = ReplyBody::File {
            file: section.file,
            offset: section.offset,
            len,
        };
        let _ = self.exchange.begin(reply(head, body), Bytes::new(), true);
        Ok(true)
    }

    /// The application has sent all it will.
    pub(crate) fn finish(&mut self) -> PyResult<()> {
        self.check_started()?;
        if let Some(declared) = self.declared_bytes
            && self.sent_bytes < declared
            && !self.bodiless
            && !self.exchange.client_gone()
        {
            return Err(PyValueError::new_err(format!(
                "the response ended after {} of the {declared} bytes that its Content-Length promised",
                self.sent_bytes
            )));
        }
        match self.head.take() {
            Some(head) => {
                self.head_sent = true;
                let _ = self.exchange.begin(stream(head), Bytes::new(), true);
            }
            None if self.is_complete => {}
            None => self.exchange.complete(),
        }
        Ok(())
    }

    /// The application's Content-Length, if it sent more.
    pub(crate) fn exceeded_bytes(&self) -> Option<u64> {
        self.declared_bytes.filter(|_| self.exceeded)
    }

    fn check_started(&self) -> PyResult<()> {
        if self.head.is_some() || self.head_sent {
            return Ok(());
        }
        Err(PyAssertionError::new_err(
            "the application sent its response before it called start_response()",
        ))
    }

    fn within_declared<'a>(&mut self, chunk: &'a [u8]) -> &'a [u8] {
        let Some(declared) = self.declared_bytes else {
            return chunk;
        };
        let room = usize::try_from(declared - self.sent_bytes).unwrap_or(usize::MAX);
        self.exceeded |= chunk.len() > room;
        &chunk[..chunk.len().min(room)]
    }
}

fn stream(head: ResponseHead) -> Reply<()> {
    reply(head, ReplyBody::Stream(()))
}

fn reply(head: ResponseHead, body: ReplyBody<()>) -> Reply<()> {
    Reply {
        head,
        body,
        // Known when it leaves.
        timing: Timing::default(),
    }
}

/// The exception that an application passed as `exc_info`, to be raised again.
fn reraise(exc_info: &Bound<'_, PyAny>) -> PyResult<PyErr> {
    let (_, value, traceback): (Bound<'_, PyAny>, Bound<'_, PyAny>, Bound<'_, PyAny>) =
        exc_info.cast::<PyTuple>()?.extract()?;
    let value = value.call_method1("with_traceback", (traceback,))?;
    Ok(PyErr::from_value(value))
}
