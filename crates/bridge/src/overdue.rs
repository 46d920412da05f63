//! A request that was given up, and what the log says of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::exchange::{Exchange, GivenUp};

/// A request that was given up.
pub(crate) struct Overdue {
    /// The number of its thread, from 0.
    pub(crate) place: usize,
    pub(crate) exchange: Arc<Exchange>,
    /// What its client got.
    pub(crate) given_up: GivenUp,
    pub(crate) timeout: Duration,
    pub(crate) age: Duration,
    /// Whether the log has it: with the GIL or without, whichever comes first.
    pub(crate) is_told: AtomicBool,
}

impl Overdue {
    /// Tells of it, once, with the stack or why there is none.
    pub(crate) fn report(&self, stack: impl FnOnce() -> String) {
        // First, since a signal to see the stack may end what it waits for.
        if self.is_told.swap(true, Ordering::Relaxed) {
            return;
        }
        let stack = stack();
        let outcome = match self.given_up {
            GivenUp::Answered => "was answered 504",
            GivenUp::Cut => "was cut",
            GivenUp::Complete => "goes on after its response",
            GivenUp::Gone => "goes on without its client",
        };
        tracing::error!(
            "a request took longer than its {:?} and {outcome}: {}, {:.1} s old, in thread \
             appliance-{}\n{stack}",
            self.timeout,
            self.exchange,
            self.age.as_secs_f64(),
            self.place + 1
        );
    }
}
