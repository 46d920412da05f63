//! `wsgi.errors` → the log, line by line.

use std::sync::Mutex;

use pyo3::prelude::*;

use crate::queue::lock;

/// A text stream whose every line becomes a line of the log. One for all requests of a worker,
/// as PEP 3333 allows ("Input and Error Streams").
#[pyclass(frozen, module = "appliance")]
#[derive(Default)]
pub(crate) struct ErrorStream {
    unfinished: Mutex<String>,
}

#[pymethods]
impl ErrorStream {
    fn write(&self, text: &str) -> usize {
        let mut unfinished = lock(&self.unfinished);
        unfinished.push_str(text);
        while let Some(end) = unfinished.find('\n') {
            tracing::warn!(target: "wsgi.errors", "{}", &unfinished[..end]);
            unfinished.drain(..=end);
        }
        text.chars().count()
    }

    fn writelines(&self, lines: &Bound<'_, PyAny>) -> PyResult<()> {
        for line in lines.try_iter()? {
            self.write(line?.extract()?);
        }
        Ok(())
    }

    fn flush(&self) {
        let unfinished = std::mem::take(&mut *lock(&self.unfinished));
        if !unfinished.is_empty() {
            tracing::warn!(target: "wsgi.errors", "{unfinished}");
        }
    }
}
