//! The end of a process whose threads are stuck.
#![allow(unsafe_code)] // _exit, kill

use std::time::Duration;

use pyo3::prelude::*;

/// How long Python may take to flush its streams.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Has the process stop as if it had been told so from outside.
pub(crate) fn ask_to_stop() {
    // SAFETY: getpid(2) and kill(2) touch no memory; the signal's handler is tokio's.
    unsafe { libc::kill(libc::getpid(), libc::SIGTERM) };
}

/// Ends the process a second from now, whoever holds the GIL then.
pub(crate) fn end_soon(status: u8) {
    std::thread::spawn(move || {
        std::thread::sleep(LAST_WORDS);
        // SAFETY: _exit(2) runs no destructors and touches no memory of ours.
        unsafe { libc::_exit(status.into()) };
    });
}

/// Ends the process without Python's own end, which would wait for the threads that are stuck.
/// Returns only if that fails.
pub(crate) fn end_now(py: Python<'_>, status: u8) -> u8 {
    let flush_and_end = || -> PyResult<()> {
        let sys = py.import("sys")?;
        sys.getattr("stdout")?.call_method0("flush")?;
        sys.getattr("stderr")?.call_method0("flush")?;
        py.import("os")?.call_method1("_exit", (status,)).map(drop)
    };
    if let Err(error) = flush_and_end() {
        tracing::error!(%error, "cannot end at once");
    }
    status
}
