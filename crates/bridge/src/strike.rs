//! The second rung: an exception in just the thread that runs an overdue request.
//!
//! Raising it needs the GIL, which the overdue request may keep: so it is a thread of its own that
//! waits for it, and the watch goes on. How long it waits tells the watch whether the GIL is to be
//! had ([`Striker::gil_kept_since`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;

use crate::overdue::Overdue;
use crate::post::{Post, Stage};
use crate::stack::{self, Frame};

pyo3::create_exception!(
    appliance,
    RequestTimeout,
    PyBaseException,
    "Raised in a request that has taken longer than `python.request_timeout`; its client has been \
     answered 504.\n\nNot an `Exception`, as little as `asyncio.CancelledError` and \
     `gevent.Timeout` are: code that goes on after any error of its own must not go on after \
     this one. `finally` and `with` do what they are for."
);

/// Lets the application catch it: `from appliance import RequestTimeout`. Where the project has a
/// module of that name, it has that. To be called before the application is imported.
pub(crate) fn publish(py: Python<'_>) -> PyResult<()> {
    let finder = py.import("importlib.machinery")?.getattr("PathFinder")?;
    if finder.call_method1("find_spec", ("appliance",))?.is_none() {
        let module = PyModule::new(py, "appliance")?;
        module.add("RequestTimeout", py.get_type::<RequestTimeout>())?;
        let modules = py.import("sys")?.getattr("modules")?;
        modules.set_item("appliance", module)?;
    }
    Ok(())
}

/// The watch's end of the striking thread.
pub(crate) struct Striker {
    errands: Sender<Errand>,
    /// When it was last sent for the GIL, until it has had it.
    sent: Option<Instant>,
    has_had_it: Arc<AtomicBool>,
}

enum Errand {
    Strike(Arc<Overdue>),
    /// Take the GIL, and leave it.
    TakeGil,
}

impl Striker {
    /// Starts the thread, which ends with the handle.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn start(posts: Arc<[Post]>) -> std::io::Result<Self> {
        let (errands, receiver) = channel();
        let has_had_it = Arc::new(AtomicBool::new(false));
        let had = Arc::clone(&has_had_it);
        std::thread::Builder::new()
            .name("appliance-strike".to_owned())
            .spawn(move || run_errands(&posts, &receiver, &had))?;
        Ok(Striker {
            errands,
            sent: None,
            has_had_it,
        })
    }

    /// Ends the request, as soon as the GIL is to be had.
    pub(crate) fn strike(&self, overdue: Arc<Overdue>) {
        // Nobody is there only while the process ends.
        let _ = self.errands.send(Errand::Strike(overdue));
    }

    /// Finds out whether the GIL is to be had: see [`gil_kept_since`](Self::gil_kept_since).
    pub(crate) fn try_gil(&mut self, now: Instant) {
        if self.sent.is_none() && self.errands.send(Errand::TakeGil).is_ok() {
            self.sent = Some(now);
        }
    }

    /// Since when the GIL was tried for and not to be had.
    pub(crate) fn gil_kept_since(&mut self) -> Option<Instant> {
        if self.has_had_it.swap(false, Ordering::Relaxed) {
            self.sent = None;
        }
        self.sent
    }
}

fn run_errands(posts: &[Post], errands: &Receiver<Errand>, has_had_gil: &AtomicBool) {
    while let Ok(errand) = errands.recv() {
        match errand {
            Errand::TakeGil => {
                Python::try_attach(|_| has_had_gil.store(true, Ordering::Relaxed));
            }
            Errand::Strike(overdue) => {
                let post = &posts[overdue.place];
                // None while the interpreter ends: nobody waits for the request any more.
                let struck = Python::try_attach(|py| strike(py, post, &overdue));
                if let Some(stack) = struck {
                    overdue.report(|| match stack {
                        Some(frames) => stack::print(&frames),
                        None => "it has ended meanwhile".to_owned(),
                    });
                }
            }
        }
    }
}

/// Raises the exception if the request still runs; returns where it is.
fn strike(py: Python<'_>, post: &Post, overdue: &Arc<Overdue>) -> Option<Vec<Frame>> {
    let thread = post.thread()?;
    // From here to the exception no bytecode is executed, so the GIL is kept, and the frames are
    // this request's.
    let frames = stack::of_thread(py, thread);
    post.look(|running| {
        if !running.is(&overdue.exchange) {
            return None;
        }
        if !matches!(running.stage, Stage::Lost) {
            running.stage = Stage::Struck(Instant::now(), Arc::clone(overdue));
        }
        thread.set_async_exception(py, Some(py.get_type::<RequestTimeout>().as_any()));
        Some(frames)
    })?
}
