//! `wsgi.errors` → the log, line by line.

use std::borrow::Cow;
use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::queue::lock;

/// A text stream whose every line becomes a line of the log. One for all requests of a pool
/// thread, as PEP 3333 allows ("Input and Error Streams").
#[pyclass(frozen, module = "appliance")]
#[derive(Default)]
pub(crate) struct ErrorStream {
    unfinished: Mutex<String>,
}

#[pymethods]
impl ErrorStream {
    fn write(&self, text: &Bound<'_, PyString>) -> PyResult<usize> {
        // Before the lock: this may run Python code, which may come back here.
        let printable = printable(text)?;
        let mut unfinished = lock(&self.unfinished);
        unfinished.push_str(&printable);
        let Some(end) = unfinished.rfind('\n') else {
            return text.len();
        };
        for line in unfinished[..end].split('\n') {
            tracing::warn!(target: "wsgi.errors", "{line}");
        }
        unfinished.drain(..=end);
        text.len()
    }

    fn writelines(&self, lines: &Bound<'_, PyAny>) -> PyResult<()> {
        for line in lines.try_iter()? {
            self.write(line?.cast()?)?;
        }
        Ok(())
    }

    /// Whatever has no end of line yet gets it: at the application's wish, and with its request.
    pub(crate) fn flush(&self) {
        let unfinished = std::mem::take(&mut *lock(&self.unfinished));
        if !unfinished.is_empty() {
            tracing::warn!(target: "wsgi.errors", "{unfinished}");
        }
    }
}

/// A file name that is not UTF-8 holds surrogates: an application that reports it must not fail
/// for that. Escaped as Python's own standard error does.
fn printable<'a>(text: &'a Bound<'_, PyString>) -> PyResult<Cow<'a, str>> {
    if let Ok(text) = text.to_str() {
        return Ok(Cow::Borrowed(text));
    }
    let escaped: Vec<u8> = text
        .call_method1("encode", ("utf-8", "backslashreplace"))?
        .extract()?;
    Ok(Cow::Owned(String::from_utf8_lossy(&escaped).into_owned()))
}
