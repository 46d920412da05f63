//! What each thread of the pool is at, for the watch to see.
//!
//! A thread notes a call as it begins and strikes it out as it ends: two uncontended locks and a
//! few stores. The watch looks at all posts several times a second, and needs no GIL for it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use appliance_gateway::GatewayError;
use pyo3::prelude::*;

use crate::call::Call;
use crate::exchange::Exchange;
use crate::overdue::Overdue;
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
    pub(crate) exchange: Arc<Exchange>,
    /// Whose request it is.
    pub(crate) peer: SocketAddr,
    pub(crate) began: Instant,
    pub(crate) timeout: Duration,
    /// What the application had sent when it was last looked at.
    sent: u32,
    /// When that last changed, or when the clock was set for another reason.
    idle_since: Instant,
    /// How much its clock was put back.
    spared: Duration,
    pub(crate) stage: Stage,
}

/// How far the ladder was climbed.
pub(crate) enum Stage {
    InTime,
    /// The client has its answer since then; the exception waits for the GIL.
    Overdue(Instant, Arc<Overdue>),
    /// The same, and the GIL is not to be had.
    NoGil(Instant, Arc<Overdue>),
    /// The exception was raised in the thread then.
    Struck(Instant, Arc<Overdue>),
    /// The thread did not come back.
    Lost,
}

/// A call that ended after it had been given up.
pub(crate) struct Latecomer {
    exchange: Arc<Exchange>,
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
            self.exchange
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
            exchange: Arc::clone(&call.exchange),
            peer: call.peer,
            began: at,
            timeout,
            sent: 0,
            idle_since: at,
            spared: Duration::ZERO,
            stage: Stage::InTime,
        };
        *lock(&self.running) = Some(running);
    }

    /// There will be no response to the thread's call, or no more of it.
    pub(crate) fn fail(&self) {
        if let Some(exchange) = self.look(|running| Arc::clone(&running.exchange)) {
            exchange.fail(GatewayError::Failed);
        }
    }

    /// The thread has ended its call; says so if that had been given up. An exception that it
    /// has not raised yet is taken back: it was not meant for the next call.
    ///
    /// Whoever raises it holds the GIL, as the caller does here, so none can come in between.
    pub(crate) fn end(&self, py: Python<'_>) -> Option<Latecomer> {
        let running = lock(&self.running).take()?;
        if matches!(running.stage, Stage::InTime) {
            return None;
        }
        ThreadId::of_this_thread().set_async_exception(py, None);
        Some(Latecomer {
            took: running.began.elapsed(),
            was_lost: matches!(running.stage, Stage::Lost),
            exchange: running.exchange,
        })
    }

    /// Looks at the call that runs, if one does. `look` must not wait for anything.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&mut Running) -> T) -> Option<T> {
        lock(&self.running).as_mut().map(look)
    }

    /// The exchange of the call that the calling thread runs, if this is its place.
    pub(crate) fn own_exchange(&self) -> Option<Arc<Exchange>> {
        if self.thread()?.ident() != ThreadId::of_this_thread().ident() {
            return None;
        }
        self.look(|running| Arc::clone(&running.exchange))
    }

    /// Has the thread show its stack if it is still at the call of `exchange`.
    pub(crate) fn signal(&self, exchange: &Arc<Exchange>) -> bool {
        let thread = self.thread();
        let send = |running: &mut Running| {
            running.is(exchange) && thread.is_some_and(|thread| thread.send(sys::stack_signal()))
        };
        self.look(send) == Some(true)
    }

    /// Processor time that the thread has taken; none without a call.
    pub(crate) fn cpu_time(&self) -> Duration {
        let time = self.look(|_| ()).and_then(|()| self.thread()?.cpu_time());
        time.unwrap_or_default()
    }

    /// Whether the thread is lost.
    pub(crate) fn is_lost(&self) -> bool {
        self.look(|running| matches!(running.stage, Stage::Lost)) == Some(true)
    }
}

impl Running {
    /// For how long the application has sent nothing. A wait for a slow client is none of its
    /// own.
    pub(crate) fn idle_for(&mut self, now: Instant) -> Duration {
        match self.exchange.sent() {
            Some(sent) if sent == self.sent => {}
            Some(sent) => (self.sent, self.idle_since) = (sent, now),
            None => self.idle_since = now,
        }
        now.saturating_duration_since(self.idle_since)
    }

    /// Puts its clock back by `time`, in which another call kept the GIL; by `most` in sum, so that
    /// its client has an answer some day.
    pub(crate) fn spare(&mut self, time: Duration, most: Duration) {
        let time = time.min(most.saturating_sub(self.spared));
        self.spared += time;
        self.idle_since += time;
    }

    /// Whether it is the call of this exchange.
    pub(crate) fn is(&self, exchange: &Arc<Exchange>) -> bool {
        Arc::ptr_eq(&self.exchange, exchange)
    }
}
