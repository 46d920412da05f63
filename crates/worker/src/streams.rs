//! What Python prints: line by line, and each line in one piece.

use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Lets `sys.stdout` and `sys.stderr` write each line when it ends, under a lock.
///
/// - Standard output holds back what is printed where that is no terminal: for a program that
///   serves, until it ends.
/// - With `PYTHONUNBUFFERED` the streams have no buffer, and no lock either: of two threads that wait
///   for a full pipe one would write into the other's line.
pub(crate) fn print_whole_lines(py: Python<'_>) {
    for name in ["stdout", "stderr"] {
        // It is `None` in a process that was started without.
        if let Err(error) = by_line(py, name) {
            tracing::debug!(%error, name, "a stream stays as it is");
        }
    }
}

fn by_line(py: Python<'_>, name: &str) -> PyResult<()> {
    let sys = py.import("sys")?;
    let stream = sys.getattr(name)?;
    let options = PyDict::new(py);
    options.set_item("line_buffering", true)?;
    let buffer = stream.getattr("buffer")?;
    if has_buffer(&buffer)? {
        stream.call_method("reconfigure", (), Some(&options))?;
        return Ok(());
    }
    let io = py.import("io")?;
    for property in ["encoding", "errors"] {
        options.set_item(property, stream.getattr(property)?)?;
    }
    // Of its own: the one there is takes what the descriptor was at the start for what it is now,
    // and would be closed together with its buffer.
    let borrows = PyDict::new(py);
    borrows.set_item("closefd", false)?;
    let descriptor = stream.call_method0("fileno")?;
    let raw = io.call_method("FileIO", (descriptor, "wb"), Some(&borrows))?;
    let buffered = io.call_method1("BufferedWriter", (raw,))?;
    let text = io.call_method("TextIOWrapper", (buffered,), Some(&options))?;
    sys.setattr(name, text)
}

/// What has a buffer has something raw below it.
fn has_buffer(buffer: &Bound<'_, PyAny>) -> PyResult<bool> {
    match buffer.getattr("raw") {
        Ok(_) => Ok(true),
        Err(error) if error.is_instance_of::<PyAttributeError>(buffer.py()) => Ok(false),
        Err(error) => Err(error),
    }
}
