//! What PEP 3333 promises to an application, kept by the real binary.
//!
//! Where an application is more than a few lines, it lies in `tests/apps`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

#[path = "wsgi/any_request.rs"]
mod any_request;
#[path = "wsgi/body.rs"]
mod body;
#[path = "wsgi/close.rs"]
mod close;
#[path = "wsgi/early_hints.rs"]
mod early_hints;
#[path = "wsgi/environ.rs"]
mod environ;
#[path = "wsgi/errors.rs"]
mod errors;
#[path = "wsgi/file_wrapper.rs"]
mod file_wrapper;
#[path = "wsgi/head.rs"]
mod head;
#[path = "wsgi/input.rs"]
mod input;
#[path = "wsgi/pool.rs"]
mod pool;
#[path = "wsgi/spool.rs"]
mod spool;
#[path = "wsgi/streaming.rs"]
mod streaming;

use support::{Appliance, Response};

/// A request with a body of known length.
fn post(path: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A request with a body in chunks of `size` bytes.
fn post_chunked(path: &str, body: &[u8], size: usize) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n");
    let mut request = head.into_bytes();
    for chunk in body.chunks(size) {
        request.extend(format!("{:x}\r\n", chunk.len()).bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    request
}

/// The response to `request`, on a connection of its own.
#[track_caller]
fn respond(site: &Appliance, request: impl AsRef<[u8]>) -> Response {
    let mut connection = site.connect();
    connection.send(request);
    connection.response()
}
