//! A response of the front's own: a head, and a body that needs no Python.

use std::fs::File;
use std::sync::Arc;

use appliance_message::ResponseHead;
use bytes::Bytes;
use http::StatusCode;

use crate::error_page::Form;

/// A response.
#[derive(Debug)]
pub struct Response {
    /// Status and fields.
    pub head: ResponseHead,
    /// What follows; never sent in answer to HEAD.
    pub body: Body,
}

/// Where a body's bytes come from.
#[derive(Debug)]
pub enum Body {
    /// There is none.
    Empty,
    /// These bytes.
    Memory(Bytes),
    /// A page of our own about an error, in this form: another may stand for it.
    Page(Bytes, Form),
    /// A part of a file.
    File(FilePart),
}

/// A part of a file. If the file turns out to be shorter the connection is cut, so that the client
/// sees that the response is incomplete.
#[derive(Debug)]
pub struct FilePart {
    /// The file.
    pub file: Arc<File>,
    /// Where the part begins.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
}

impl Response {
    /// A response without fields and without a body.
    pub fn new(status: StatusCode) -> Self {
        Response {
            head: ResponseHead::new(status),
            body: Body::Empty,
        }
    }

    /// Adds a field. Names and values are ours, or have been checked.
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.head.fields.add(name, value);
        self
    }

    /// Sets the body and its length.
    pub fn with_body(mut self, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        self.head.length = Some(bytes.len() as u64);
        self.body = Body::Memory(bytes);
        self
    }
}
