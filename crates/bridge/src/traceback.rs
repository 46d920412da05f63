//! Python's exceptions as text for the log.

use pyo3::prelude::*;

/// The whole traceback as Python prints it, without the final line break. Falls back to the
/// exception alone when the `traceback` module itself fails.
pub(crate) fn format(py: Python<'_>, error: &PyErr) -> String {
    let lines = || -> PyResult<String> {
        let lines: Vec<String> = py
            .import("traceback")?
            .call_method1(
                "format_exception",
                // The value alone would do, but only a raised one is sure to hold its traceback.
                (error.get_type(py), error.value(py), error.traceback(py)),
            )?
            .extract()?;
        Ok(lines.concat())
    };
    let text = lines().unwrap_or_else(|_| error.to_string());
    text.trim_end().to_owned()
}

/// `ValueError: the message`, on one line.
pub(crate) fn summary(py: Python<'_>, error: &PyErr) -> String {
    let name = error
        .get_type(py)
        .name()
        .map_or_else(|_| "exception".to_owned(), |name| name.to_string());
    let message = error.value(py).str().map_or_else(
        |_| String::new(),
        |text| text.to_string_lossy().into_owned(),
    );
    match message.lines().next() {
        Some(first) if !first.is_empty() => format!("{name}: {first}"),
        _ => name,
    }
}
