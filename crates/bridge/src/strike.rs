//! The second rung: an exception in just the thread that runs an overdue request.
//!
//! Raising it needs the GIL, which the overdue request may keep: so it is a thread of its own that
//! waits for it, and the watch goes on.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;

use crate::post::{Post, Stage};
use crate::stack;
use crate::watch::Overdue;

pyo3::create_exception!(
    appliance,
    RequestTimeout,
    PyBaseException,
    "Raised in a request that has taken longer than `python.request_timeout`; its client has been \
     answered 504.\n\nNot an `Exception`, as little as `asyncio.CancelledError` and \
     `gevent.Timeout` are: code that goes on after any error of its own must not go on after \
     this one. `finally` and `with` do what they are for."
);

/// Hands overdue requests to the striking thread.
pub(crate) struct Striker(Sender<Overdue>);

impl Striker {
    /// Starts the thread, which ends with the last of the handles.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn start(posts: Arc<[Post]>) -> std::io::Result<Self> {
        let (sender, receiver) = channel();
        std::thread::Builder::new()
            .name("appliance-strike".to_owned())
            .spawn(move || strike_all(&posts, &receiver))?;
        Ok(Striker(sender))
    }

    pub(crate) fn strike(&self, overdue: Overdue) {
        // Gone only with the process.
        let _ = self.0.send(overdue);
    }
}

fn strike_all(posts: &[Post], overdue: &Receiver<Overdue>) {
    while let Ok(overdue) = overdue.recv() {
        // None while the interpreter ends: then nobody waits for the request either.
        let Some(()) = Python::try_attach(|py| strike(py, &posts[overdue.place], &overdue)) else {
            return;
        };
    }
}

fn strike(py: Python<'_>, post: &Post, overdue: &Overdue) {
    let Some(thread) = post.thread() else { return };
    let runs_it = || post.look(|running| running.is(&overdue.exchange)) == Some(true);
    // From the look to the frames no bytecode is executed, so the GIL is kept: they are this
    // request's.
    let stack = match runs_it() {
        true => stack::of_thread(py, thread),
        false => None,
    };
    let logged = post.look(|running| {
        if !running.is(&overdue.exchange) {
            return false;
        }
        let logged = matches!(running.stage, Stage::Logged(..));
        if running.stage != Stage::Lost {
            running.stage = Stage::Struck(Instant::now());
        }
        thread.set_async_exception(py, Some(py.get_type::<RequestTimeout>().as_any()));
        logged
    });
    match (logged, stack) {
        (Some(true), _) => {}
        (Some(false), Some(stack)) => overdue.report(&stack),
        (Some(false), None) => overdue.report("its stack is not to be had"),
        (None, Some(stack)) => overdue.report(&stack),
        (None, None) => overdue.report("it ended just then"),
    }
}
