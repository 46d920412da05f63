//! `wsgi.input`: a request body that is already here, as the file object of PEP 3333.
//!
//! The body ends where it ends (`wsgi.input_terminated`): reading past it gives `b""`, however
//! the client framed it, and nothing here ever waits for a client.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use appliance_gateway::RequestBody;
use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

/// How much of a spooled body is read ahead, for `readline`.
const READ_AHEAD_BYTES: usize = 64 * 1024;

/// Reads of this size and more let other threads run: they may wait for a disk.
const DETACHED_FROM: usize = 64 * 1024;

#[pyclass(module = "appliance")]
pub(crate) struct Input {
    source: Source,
}

enum Source {
    Memory(Bytes),
    File { reader: BufReader<File>, left: u64 },
}

impl From<RequestBody> for Input {
    fn from(body: RequestBody) -> Self {
        let source = match body {
            RequestBody::Memory(bytes) => Source::Memory(bytes),
            RequestBody::File { file, len } => Source::File {
                reader: BufReader::with_capacity(READ_AHEAD_BYTES, file),
                left: len,
            },
        };
        Input { source }
    }
}

#[pymethods]
impl Input {
    /// `read([size])`: everything that is left without a size, or with a negative one.
    #[pyo3(signature = (size = None))]
    fn read<'py>(&mut self, py: Python<'py>, size: Option<i64>) -> PyResult<Bound<'py, PyBytes>> {
        let len = usize::try_from(limit(size).min(self.left()))?;
        match &mut self.source {
            Source::Memory(bytes) => Ok(PyBytes::new(py, &bytes.split_to(len))),
            Source::File { reader, left } => {
                let read = PyBytes::new_with(py, len, |buffer| match len {
                    0..DETACHED_FROM => Ok(reader.read_exact(buffer)?),
                    _ => Ok(py.detach(|| reader.read_exact(buffer))?),
                })?;
                *left -= len as u64;
                Ok(read)
            }
        }
    }

    /// `readline([size])`: up to and including the next `\n`, at most `size` bytes.
    #[pyo3(signature = (size = None))]
    fn readline<'py>(
        &mut self,
        py: Python<'py>,
        size: Option<i64>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.line(limit(size))?))
    }

    /// `readlines([hint])`: lines until at least `hint` bytes are read; all of them without a
    /// positive hint.
    #[pyo3(signature = (hint = None))]
    fn readlines<'py>(
        &mut self,
        py: Python<'py>,
        hint: Option<i64>,
    ) -> PyResult<Bound<'py, PyList>> {
        let enough = match hint {
            Some(hint) if hint > 0 => hint.unsigned_abs(),
            _ => u64::MAX,
        };
        let lines = PyList::empty(py);
        let mut bytes = 0;
        while bytes < enough {
            let line = self.line(u64::MAX)?;
            if line.is_empty() {
                break;
            }
            bytes += line.len() as u64;
            lines.append(PyBytes::new(py, &line))?;
        }
        Ok(lines)
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let line = self.line(u64::MAX)?;
        Ok((!line.is_empty()).then(|| PyBytes::new(py, &line)))
    }
}

impl Input {
    fn left(&self) -> u64 {
        match &self.source {
            Source::Memory(bytes) => bytes.len() as u64,
            Source::File { left, .. } => *left,
        }
    }

    fn line(&mut self, at_most: u64) -> PyResult<Bytes> {
        match &mut self.source {
            Source::Memory(bytes) => {
                let at_most = usize::try_from(at_most)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                let end = memchr::memchr(b'\n', &bytes[..at_most]).map_or(at_most, |at| at + 1);
                Ok(bytes.split_to(end))
            }
            Source::File { reader, left } => {
                let mut line = Vec::new();
                reader
                    .take(at_most.min(*left))
                    .read_until(b'\n', &mut line)?;
                *left -= line.len() as u64;
                Ok(line.into())
            }
        }
    }
}

/// A missing or negative size means no limit.
fn limit(size: Option<i64>) -> u64 {
    size.and_then(|size| u64::try_from(size).ok())
        .unwrap_or(u64::MAX)
}
