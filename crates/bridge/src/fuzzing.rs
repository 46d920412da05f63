//! What `tests/fuzz` calls and nothing else may: the way from a request's head to its environ.
//!
//! Compiled only with the feature `fuzzing`, which no other crate of the workspace asks for.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use appliance_gateway::{RequestBody, RequestId};
use appliance_message::Head;
use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::early_hints::EarlyHints;
use crate::environ::{Concurrency, EnvironBuilder, Origin};
use crate::post::Post;

/// The variables of a request that are strings, for the application on port 80 of 192.0.2.1 and a
/// client at port 5 of 192.0.2.2. To be called in a Python process.
///
/// # Errors
/// Python's, as text.
pub fn environ(head: &Head, body: Bytes) -> Result<Vec<(String, String)>, String> {
    Python::attach(|py| strings(py, head, body).map_err(|error| error.to_string()))
}

fn strings(py: Python<'_>, head: &Head, body: Bytes) -> PyResult<Vec<(String, String)>> {
    thread_local! {
        // As in a pool's thread, whose builder serves one request after the other.
        static BUILDER: RefCell<Option<EnvironBuilder>> = const { RefCell::new(None) };
    }
    let address = |host, port| SocketAddr::from((Ipv4Addr::new(192, 0, 2, host), port));
    let origin = Origin {
        local: address(1, 80),
        peer: address(2, 5),
        is_https: false,
        user: None,
        tls: None,
        told: None,
    };
    let environ = BUILDER.with_borrow_mut(|builder| {
        let builder = match builder {
            Some(builder) => builder,
            none => none.insert(new_builder(py)?),
        };
        let request = (head, &RequestId::Number(7));
        builder.build(py, request, None, RequestBody::Memory(body), origin)
    })?;
    let mut strings = Vec::new();
    for (key, value) in environ {
        if let Ok(value) = value.cast_into::<PyString>() {
            strings.push((key.extract()?, value.extract()?));
        }
    }
    Ok(strings)
}

fn new_builder(py: Python<'_>) -> PyResult<EnvironBuilder> {
    let concurrency = Concurrency {
        multithread: true,
        multiprocess: true,
    };
    let posts: Arc<[Post]> = Arc::new([Post::default()]);
    EnvironBuilder::new(py, concurrency, EarlyHints::new(posts, 0))
}
