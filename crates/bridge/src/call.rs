//! One WSGI call, top to bottom:
//!
//! 1. the request becomes `environ`;
//! 2. the application is called with it and a `start_response`;
//! 3. what it returns is sent, chunk by chunk, or handed over as a file;
//! 4. `close()` is called, once, on every path;
//! 5. an exception goes to the log whole, and to the client as 500, or as a cut response when
//!    the head has left already.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use appliance_gateway::{Callee, RequestBody, Tls};
use appliance_message::uwsgi::Told;
use pyo3::exceptions::PyBrokenPipeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::application::Applications;
use crate::development::Development;
use crate::environ::{EnvironBuilder, Origin};
use crate::exchange::Exchange;
use crate::file_wrapper::FileWrapper;
use crate::start_response::{Sent, StartResponse, bytes_of};
use crate::strike::RequestTimeout;
use crate::traceback;

/// A request in the queue.
pub(crate) struct Call {
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) body: RequestBody,
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
    pub(crate) is_https: bool,
    /// Whose password the front has seen.
    pub(crate) user: Option<Box<str>>,
    /// The connection's TLS, if it is ours.
    pub(crate) tls: Option<Arc<Tls>>,
    /// What a gateway in front of us says.
    pub(crate) told: Option<Box<Told>>,
    /// Who is called, if not the project's application with the whole path.
    pub(crate) callee: Option<Box<Callee>>,
    /// How long it may take, if not as long as any.
    pub(crate) timeout: Option<Duration>,
    /// When it came into the queue.
    pub(crate) came: Instant,
}

impl Call {
    /// Serves the call, which a thread has taken at `began`.
    ///
    /// # Errors
    /// The traceback of what the application raised, which is in the log; none if the exception
    /// was ours. The exchange is to be failed then; else it has come to its end.
    pub(crate) fn run(
        self,
        py: Python<'_>,
        (applications, development): (&Applications, Option<&Development>),
        builder: &mut EnvironBuilder,
        began: Instant,
    ) -> Result<(), Option<String>> {
        let exchange = self.exchange;
        let waited = began.saturating_duration_since(self.came);
        if !exchange.take_up(began, waited) {
            return Ok(());
        }
        if let Some(page) = applications.broken() {
            page.send(&exchange);
            return Ok(());
        }
        let origin = Origin {
            local: self.local,
            peer: self.peer,
            is_https: self.is_https,
            user: self.user.as_deref(),
            tls: self.tls.as_deref(),
            told: self.told.as_deref(),
        };
        let callee = self.callee.as_deref();
        let mount = callee.and_then(|callee| callee.mount.as_ref());
        let application = applications.get(callee.and_then(|callee| callee.other));
        let served = builder
            .build(
                py,
                (&exchange.request, &exchange.id),
                mount,
                self.body,
                origin,
            )
            .and_then(|environ| serve(py, (application?, development), environ, &exchange));
        builder.flush_errors();
        served.map_err(|error| {
            let is_foreign = !is_ours(py, &exchange, &error);
            let logged = is_foreign
                .then(|| log(py, &exchange, "the application raised an exception", &error));
            if let (Some(development), true) = (development, is_foreign) {
                development.page_of(py, &error).send(&exchange);
            }
            logged
        })
    }
}

fn serve<'py>(
    py: Python<'py>,
    (application, development): (&Py<PyAny>, Option<&Development>),
    environ: Bound<'py, PyDict>,
    exchange: &Arc<Exchange>,
) -> PyResult<()> {
    let responder = Bound::new(py, StartResponse::new(Arc::clone(exchange)))?;
    let app_iter = application.bind(py).call1((environ, &responder))?;
    if let Some(development) = development {
        // Whoever sees the answer may change what has made it.
        development.look_for_imports(py);
    }
    let sent = send(&app_iter, &responder).and_then(|()| responder.try_borrow_mut()?.finish());
    if let Err(error) = close(&app_iter) {
        log(
            py,
            exchange,
            "close() of the response raised an exception",
            &error,
        );
    }
    if let Some(declared) = responder.try_borrow()?.exceeded_bytes() {
        tracing::warn!(
            "the application sent more than its Content-Length of {declared} bytes, and the \
             rest was dropped: {exchange}"
        );
    }
    sent
}

/// Whether we raised it ourselves, and it is no fault of the application: at the deadline, where
/// it was logged with the stack, or in `write()` because the client has left.
fn is_ours(py: Python<'_>, exchange: &Exchange, error: &PyErr) -> bool {
    error.is_instance_of::<RequestTimeout>(py)
        || exchange.client_left() && error.is_instance_of::<PyBrokenPipeError>(py)
}

/// Returns the traceback that it has logged.
fn log(py: Python<'_>, exchange: &Exchange, what: &'static str, error: &PyErr) -> String {
    let traceback = traceback::format(py, error);
    tracing::error!("{what}: {exchange}\n{traceback}");
    traceback
}

/// Sends what the application returned, as far as somebody wants it.
fn send(app_iter: &Bound<'_, PyAny>, responder: &Bound<'_, StartResponse>) -> PyResult<()> {
    let py = app_iter.py();
    if let Ok(wrapper) = app_iter.cast_exact::<FileWrapper>()
        && let Some(section) = wrapper.try_borrow()?.section(py)
        && responder.try_borrow_mut()?.send_file(section)?
    {
        return Ok(());
    }
    if let Ok(list) = app_iter.cast_exact::<PyList>() {
        return send_known(list.iter(), list.len(), responder);
    }
    if let Ok(tuple) = app_iter.cast_exact::<PyTuple>() {
        return send_known(tuple.iter(), tuple.len(), responder);
    }
    for chunk in app_iter.try_iter()? {
        let chunk = chunk?;
        if responder
            .try_borrow_mut()?
            .send(py, bytes_of(&chunk)?, false)?
            == Sent::Enough
        {
            break;
        }
    }
    Ok(())
}

/// Of a list it is known which chunk is the last: a single one gets its Content-Length and
/// leaves in one go.
fn send_known<'py>(
    chunks: impl Iterator<Item = Bound<'py, PyAny>>,
    len: usize,
    responder: &Bound<'py, StartResponse>,
) -> PyResult<()> {
    for (at, chunk) in chunks.enumerate() {
        let last = at + 1 == len;
        let sent = responder
            .try_borrow_mut()?
            .send(chunk.py(), bytes_of(&chunk)?, last)?;
        if sent == Sent::Enough {
            break;
        }
    }
    Ok(())
}

fn close(app_iter: &Bound<'_, PyAny>) -> PyResult<()> {
    // A list has none, and asking it would raise an AttributeError for each request.
    if app_iter.is_exact_instance_of::<PyList>() {
        return Ok(());
    }
    match app_iter.getattr_opt(intern!(app_iter.py(), "close"))? {
        Some(close) => close.call0().map(drop),
        None => Ok(()),
    }
}
