//! `wsgi.file_wrapper` (PEP 3333, "Optional Platform-Specific File Handling").
//!
//! A wrapper around a regular file is handed to the front, which sends the file itself: the
//! Python thread is free at once. Anything else is iterated like any other response.

use std::fs::File;
use std::os::fd::RawFd;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::sys;

#[pyclass(module = "appliance")]
pub(crate) struct FileWrapper {
    file: Py<PyAny>,
    block_size: usize,
}

/// A regular file and the part of it that is to be sent.
pub(crate) struct Section {
    pub(crate) file: File,
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

#[pymethods]
impl FileWrapper {
    #[new]
    #[pyo3(signature = (file, block_size = 65536))]
    fn new(file: Py<PyAny>, block_size: usize) -> Self {
        FileWrapper { file, block_size }
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let block = self.file.call_method1(py, "read", (self.block_size,))?;
        let end = match block.cast_bound::<PyBytes>(py) {
            Ok(bytes) => bytes.as_bytes().is_empty(),
            Err(_) => !block.is_truthy(py)?,
        };
        Ok((!end).then_some(block))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        match self.file.getattr(py, "close") {
            Ok(close) => close.call0(py).map(drop),
            Err(_) => Ok(()),
        }
    }
}

impl FileWrapper {
    /// The rest of the file from its current position, if it is a regular file. Whatever goes
    /// wrong here only means that the wrapper is iterated instead.
    pub(crate) fn section(&self, py: Python<'_>) -> Option<Section> {
        let file = plain_file(self.file.bind(py).clone())?;
        let fd: RawFd = file.call_method0("fileno").ok()?.extract().ok()?;
        let offset: u64 = file.call_method0("tell").ok()?.extract().ok()?;
        let file = sys::duplicate(fd).ok()?;
        let metadata = file.metadata().ok()?;
        let len = metadata.len().checked_sub(offset)?;
        metadata.is_file().then_some(Section { file, offset, len })
    }
}

/// The file of `io` itself, perhaps inside a wrapper (`tempfile`'s, Django's) that keeps it as
/// `file`. Others have a descriptor too, but not its bytes: gzip's file is the compressed one.
fn plain_file(mut file: Bound<'_, PyAny>) -> Option<Bound<'_, PyAny>> {
    for _ in 0..3 {
        let kind = file.get_type();
        let is_of_io = kind.module().ok()?.to_str().ok()? == "_io";
        match kind.name().ok()?.to_str().ok()? {
            "BufferedReader" | "BufferedRandom" | "FileIO" if is_of_io => return Some(file),
            _ => file = file.getattr("file").ok()?,
        }
    }
    None
}
