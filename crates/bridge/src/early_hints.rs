//! `wsgi.early_hints`: a 103 (RFC 8297) before the response, so that a browser fetches what the
//! page will need while the application still makes it. Called as gunicorn's is:
//! `environ["wsgi.early_hints"]([("Link", "</a.css>; rel=preload; as=style")])`.

use std::sync::Arc;

use pyo3::prelude::*;

use crate::post::Post;
use crate::response_head;

/// One for each pool thread, made once: requests that give no hints pay nothing for it.
///
/// It speaks for the call that its thread runs at that moment. Called from another thread it does
/// nothing, since an environ kept there may belong to a request long gone, and its hint would
/// reach another client.
#[pyclass(frozen, module = "appliance")]
pub(crate) struct EarlyHints {
    posts: Arc<[Post]>,
    place: usize,
}

impl EarlyHints {
    pub(crate) fn new(posts: Arc<[Post]>, place: usize) -> Self {
        EarlyHints { posts, place }
    }
}

#[pymethods]
impl EarlyHints {
    /// Sends a 103 with these fields at once. Nothing is sent to clients of HTTP/1.0, nor when the
    /// response's head has left.
    fn __call__(&self, headers: &Bound<'_, PyAny>) -> PyResult<()> {
        let fields = response_head::parse_hints(headers)?;
        if let Some(exchange) = self.posts[self.place].own_exchange() {
            exchange.hint(fields);
        }
        Ok(())
    }
}
