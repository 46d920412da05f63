//! Numbers that one thread at a time writes and anybody may read.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// A number. Those who write it take turns: they are one thread, or hold the GIL or a lock.
///
/// So a load and a store do for what an atomic addition would take some twenty times as long.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, more: u64) {
        self.set(self.get().wrapping_add(more));
    }

    /// Takes one away again.
    pub fn sub_one(&self) {
        self.set(self.get().wrapping_sub(1));
    }

    /// Sets it.
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// Its value a moment ago.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Upper bounds of a histogram's buckets in nanoseconds; the last one has none. From a file out of
/// memory to the longest timeouts, in steps of 2 to 2.5.
pub const BOUNDS_NS: [u64; 17] = {
    const US: u64 = 1_000;
    const MS: u64 = 1_000_000;
    const S: u64 = 1_000_000_000;
    [
        100 * US,
        250 * US,
        500 * US,
        MS,
        2500 * US,
        5 * MS,
        10 * MS,
        25 * MS,
        50 * MS,
        100 * MS,
        250 * MS,
        500 * MS,
        S,
        2500 * MS,
        5 * S,
        10 * S,
        60 * S,
    ]
};

/// The same in seconds.
pub fn bounds() -> impl Iterator<Item = f64> {
    // One division of integers that a float holds exactly is rounded once: 0.0001 is 0.0001.
    BOUNDS_NS.iter().map(|bound| *bound as f64 / 1e9)
}

/// How often something took how long.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Histogram {
    buckets: [Counter; BOUNDS_NS.len() + 1],
    sum_ns: Counter,
}

impl Histogram {
    /// Counts one.
    pub fn record(&self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_NS.iter().position(|bound| took <= *bound);
        self.buckets[bucket.unwrap_or(BOUNDS_NS.len())].add(1);
        self.sum_ns.add(took);
    }

    pub(crate) fn buckets(&self) -> Vec<u64> {
        self.buckets.iter().map(Counter::get).collect()
    }

    pub(crate) fn sum_ns(&self) -> u64 {
        self.sum_ns.get()
    }
}
