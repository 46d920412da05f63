//! What each thread of the pool is at, for the watch to see.
//!
//! A thread notes a call as it begins and strikes it out as it ends: two uncontended locks and a
//! few stores. The watch looks at all posts several times a second, and needs no GIL for it.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::call::{Call, Label};
use crate::exchange::{Exchange, GivenUp};
use crate::queue::lock;
use crate::sys::{self, ThreadId};

/// The place of one thread.
#[derive(Default)]
pub(crate) struct Post {
    running: Mutex<Option<Running>>,
    thread: OnceLock<ThreadId>,
}

/// A call that a thread is at.
pub(crate) struct Running {
    pub(crate) label: Label,
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) began: Instant,
    pub(crate) timeout: Duration,
    /// What the application had sent when it was last looked at, and when that last changed.
    pub(crate) sent: (u32, Instant),
    pub(crate) stage: Stage,
}

/// How far the ladder was climbed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Stage {
    InTime,
    /// The client has its answer since then; the exception waits for the GIL.
    Overdue(Instant, GivenUp),
    /// The same, and the stack was logged without the GIL.
    Logged(Instant, GivenUp),
    /// The exception was raised in the thread then.
    Struck(Instant),
    /// The thread did not come back.
    Lost,
}

/// A call that ended after it had been given up.
pub(crate) struct Latecomer {
    label: Label,
    took: Duration,
    was_lost: bool,
}

impl Latecomer {
    pub(crate) fn report(&self) {
        let after = match self.was_lost {
            true => "a request that had been given up for lost has ended",
            false => "a request that had been given up has ended",
        };
        let took = self.took.as_secs_f64();
        tracing::info!(
            "{after} after {took:.1} s, and its thread serves on: {}",
            self.label
        );
    }
}

impl Post {
    /// The calling thread takes its place.
    pub(crate) fn take(&self) {
        let _ = self.thread.set(ThreadId::of_this_thread());
    }

    pub(crate) fn thread(&self) -> Option<ThreadId> {
        self.thread.get().copied()
    }

    /// The thread begins with `call`.
    pub(crate) fn begin(&self, call: &Call, at: Instant, timeout: Duration) {
        let running = Running {
            label: call.label(),
            exchange: Arc::clone(&call.exchange),
            began: at,
            timeout,
            sent: (0, at),
            stage: Stage::InTime,
        };
        *lock(&self.running) = Some(running);
    }

    /// The thread has ended its call; says so if that had been given up. An exception that it
    /// has not raised yet is taken back: it was not meant for the next call.
    ///
    /// Whoever raises it holds the GIL, as the caller does here, so none can come in between.
    pub(crate) fn end(&self, py: Python<'_>) -> Option<Latecomer> {
        let running = lock(&self.running).take()?;
        if running.stage == Stage::InTime {
            return None;
        }
        ThreadId::of_this_thread().set_async_exception(py, None);
        Some(Latecomer {
            took: running.began.elapsed(),
            was_lost: running.stage == Stage::Lost,
            label: running.label,
        })
    }

    /// Looks at the call that runs, if one does. `look` must not wait for anything.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&mut Running) -> T) -> Option<T> {
        lock(&self.running).as_mut().map(look)
    }

    /// Has the thread show its stack if it is still at the call of `exchange`.
    pub(crate) fn signal(&self, exchange: &Arc<Exchange>) -> bool {
        let thread = self.thread();
        let send = |running: &mut Running| {
            running.is(exchange) && thread.is_some_and(|thread| thread.send(sys::stack_signal()))
        };
        self.look(send) == Some(true)
    }

    /// Whether the thread is lost.
    pub(crate) fn is_lost(&self) -> bool {
        self.look(|running| running.stage == Stage::Lost) == Some(true)
    }
}

impl Running {
    /// Since when the application has sent nothing, or computes without having been waited for.
    /// A wait for a slow client is none of its own.
    pub(crate) fn idle_since(&mut self, now: Instant) -> Instant {
        match self.exchange.sent() {
            Some(sent) if sent == self.sent.0 => {}
            Some(sent) => self.sent = (sent, now),
            None => self.sent.1 = now,
        }
        self.sent.1
    }

    /// Whether it is the call of this exchange.
    pub(crate) fn is(&self, exchange: &Arc<Exchange>) -> bool {
        Arc::ptr_eq(&self.exchange, exchange)
    }
}
