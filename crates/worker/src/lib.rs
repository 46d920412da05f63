//! What a worker process runs: the extension module `appliance_worker`, loaded by the project's
//! own interpreter.
//!
//! The supervisor's `-c` program imports it and calls [`run`](appliance_worker::run). From then
//! on the process is: the main thread, which runs the front detached from the interpreter, and
//! the pool's Python threads.

mod alone;
mod control;
mod cover;
mod inspect;
mod life;
mod log;
mod memory;
mod preload;
mod process;
mod recycling;
mod replacement;
mod spec;
mod streams;

/// The worker library of appliance.
#[pyo3::pymodule]
mod appliance_worker {
    use pyo3::prelude::*;

    /// `run(spec_path) -> int`: serves until told to stop; the process's exit status.
    #[pyfunction]
    fn run(py: Python<'_>, spec_path: &str) -> u8 {
        crate::life::run(py, spec_path)
    }
}
