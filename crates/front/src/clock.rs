//! The time, read seldom.
//!
//! A request begins when its thread wakes up and finds it, or when it has sent the answer before:
//! [`of_this_turn`] is the time of whichever was last. So one clock call per wake-up and one per
//! answer do for all requests, and the time that a request waits for others of its thread counts
//! as its own.

use std::cell::Cell;
use std::time::Instant;

thread_local! {
    static LAST_READ: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// To be called on the front's thread whenever it wakes up.
pub fn woke() {
    read();
}

/// The time now.
pub(crate) fn read() -> Instant {
    let now = Instant::now();
    LAST_READ.set(Some(now));
    now
}

/// The time when it was last read.
pub(crate) fn of_this_turn() -> Instant {
    LAST_READ.get().unwrap_or_else(read)
}
