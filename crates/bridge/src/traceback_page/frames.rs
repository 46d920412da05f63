//! A chain of exceptions, taken apart by Python's own `traceback`.

use std::path::Path;

use pyo3::exceptions::PySyntaxError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::development::is_installed;
use crate::traceback;

/// Lines of source before and behind the one that is at it.
const AROUND: usize = 5;
/// Frames at both ends that are shown of a deep recursion.
pub(super) const FIRST: usize = 20;
const LAST: usize = 40;
/// Exceptions that are shown of a chain.
const LONGEST_CHAIN: usize = 10;

/// One exception of a chain.
pub(super) struct Raised {
    /// `ValueError: the message`; of a syntax error several lines.
    pub(super) title: String,
    /// The outermost first.
    pub(super) frames: Vec<Frame>,
    /// Frames that are left out behind the first [`FIRST`].
    pub(super) left_out: usize,
    /// What it has to do with the one before it.
    pub(super) follows: Option<&'static str>,
}

/// Where it was.
pub(super) struct Frame {
    pub(super) file: String,
    pub(super) line: usize,
    /// None for a file that is no Python yet.
    pub(super) function: Option<String>,
    /// Of the project itself.
    pub(super) is_own: bool,
    /// The number of the first line, and the lines.
    pub(super) source: (usize, Vec<String>),
}

const CAUSED: &str = "The above exception was the direct cause of the following exception:";
const DURING: &str = "During handling of the above exception, another exception occurred:";

/// The causes first, as Python prints them. Empty if Python itself fails at it.
pub(super) fn chain(py: Python<'_>, raised: &PyErr, folder: &Path) -> Vec<Raised> {
    take_apart(py, raised, folder).unwrap_or_else(|error| {
        let error = traceback::summary(py, &error);
        tracing::debug!(error, "an exception cannot be taken apart");
        Vec::new()
    })
}

fn take_apart(py: Python<'_>, raised: &PyErr, folder: &Path) -> PyResult<Vec<Raised>> {
    let mut chain = Vec::new();
    let mut next = Some((raised.clone_ref(py), None));
    while let Some((error, leads_to)) = next.take()
        && chain.len() < LONGEST_CHAIN
    {
        chain.push((one(py, &error, folder)?, leads_to));
        let value = error.value(py);
        let cause = value.getattr("__cause__")?;
        let context = value.getattr("__context__")?;
        let hidden: bool = value.getattr("__suppress_context__")?.extract()?;
        next = match (cause.is_none(), context.is_none() || hidden) {
            (false, _) => Some((PyErr::from_value(cause), Some(CAUSED))),
            (true, false) => Some((PyErr::from_value(context), Some(DURING))),
            (true, true) => None,
        };
    }
    // What an exception leads to is said before the one that it leads to.
    let mut ordered: Vec<Raised> = Vec::new();
    let mut follows = None;
    for (mut raised, leads_to) in chain.into_iter().rev() {
        raised.follows = follows;
        follows = leads_to;
        ordered.push(raised);
    }
    Ok(ordered)
}

fn one(py: Python<'_>, error: &PyErr, folder: &Path) -> PyResult<Raised> {
    let module = py.import("traceback")?;
    let value = error.value(py);
    let title: Vec<String> = module
        .call_method1("format_exception_only", (error.get_type(py), value))?
        .extract()?;
    let stack = module.call_method1("extract_tb", (error.traceback(py),))?;
    let stack = stack.cast::<PyList>()?;
    let left_out = stack.len().saturating_sub(FIRST + LAST);
    let mut frames = Vec::new();
    for (at, summary) in stack.iter().enumerate() {
        if at < FIRST || at >= FIRST + left_out {
            let line: Option<usize> = summary.getattr("lineno")?.extract()?;
            let function = Some(summary.getattr("name")?.extract()?);
            let file = summary.getattr("filename")?.extract()?;
            frames.push(frame(py, file, line.unwrap_or(0), function, folder)?);
        }
    }
    if error.is_instance_of::<PySyntaxError>(py)
        && let Ok(file) = value.getattr("filename").and_then(|file| file.extract())
        && let Ok(line) = value.getattr("lineno").and_then(|line| line.extract())
    {
        frames.push(frame(py, file, line, None, folder)?);
    }
    Ok(Raised {
        title: title.concat().trim_end().to_owned(),
        frames,
        left_out,
        follows: None,
    })
}

fn frame(
    py: Python<'_>,
    file: String,
    line: usize,
    function: Option<String>,
    folder: &Path,
) -> PyResult<Frame> {
    let cache = py.import("linecache")?;
    cache.call_method1("checkcache", (&file,))?;
    let lines: Vec<String> = cache.call_method1("getlines", (&file,))?.extract()?;
    let first = line.saturating_sub(AROUND).max(1);
    let last = line.saturating_add(AROUND).min(lines.len());
    let source = lines.get(first - 1..last).unwrap_or_default().to_vec();
    let path = Path::new(&file);
    let is_own = path.starts_with(folder) && !is_installed(path);
    Ok(Frame {
        file,
        line,
        function,
        is_own,
        source: (first, source),
    })
}
