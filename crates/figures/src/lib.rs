//! What a worker counts, in a page of memory that it shares with the supervisor.
//!
//! Counting costs a load and a store: no lock, no system call, no atomic read-modify-write. The
//! supervisor reads whenever somebody asks, and once more when the worker is dead, so that not
//! even a worker that was killed takes its last second with it.
//!
//! A process counts for itself alone, hence [`own`] and no handle that is passed around.

mod counter;
mod page;
mod totals;

use std::sync::OnceLock;

pub use counter::{BOUNDS_NS, Counter, Histogram, bounds};
pub use page::Page;
pub use totals::{Distribution, Levels, Requests, Totals};

/// The layout of [`Figures`]: to be raised with every change, for a supervisor of another version
/// that gets such a page at an upgrade.
const LAYOUT: u64 = 1;

/// All that is counted.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Figures {
    layout: Counter,
    /// By the front.
    pub front: Front,
    /// By the pool.
    pub pool: Pool,
}

/// What the front's thread counts, and nobody else: two cache lines away from what others do.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub struct Front {
    /// Requests, by the class of their answer's status; see [`Front::request`].
    requests: [Counter; 5],
    /// From the end of a request's head to the last byte of its answer.
    pub request_time: Histogram,
    /// Bytes of responses.
    pub bytes_sent: Counter,
    /// Connections that were accepted.
    pub connections: Counter,
    /// Those that are open.
    pub connections_open: Counter,
}

/// What Python's threads count while they hold the GIL.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub struct Pool {
    /// Python threads.
    pub threads: Counter,
    /// Those with a request.
    pub threads_busy: Counter,
    /// Calls that wait for a thread; written under the queue's lock.
    pub queue_length: Counter,
    /// How long calls waited for a thread.
    pub queue_time: Histogram,
    /// How long threads were at a call, up to the end of `close()`.
    pub application_time: Histogram,
}

impl Front {
    /// Counts a request that was answered with `status`; with none if its client left before.
    pub fn request(&self, status: Option<u16>) {
        let class = match status.map(|status| status / 100) {
            Some(class @ 2..=5) => usize::from(class) - 2,
            _ => 4,
        };
        self.requests[class].add(1);
    }
}

static OWN: OnceLock<&'static Figures> = OnceLock::new();

/// The figures of this process.
pub fn own() -> &'static Figures {
    OWN.get_or_init(|| Box::leak(Box::default()))
}

/// Has this process count in `page`. To be called before anybody counts.
pub fn count_in(page: Page) {
    OWN.get_or_init(|| Box::leak(Box::new(page)).figures());
}
