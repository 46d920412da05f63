//! `python.max_requests`: calls after which the worker asks to be replaced.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use appliance_project::wire::Reason;

use crate::watch::AskReplacement;

/// Counts calls.
pub(crate) struct Quota {
    served: AtomicU64,
    limit: u64,
    ask: AskReplacement,
}

impl Quota {
    /// After `max_requests` and up to a tenth more: workers that started together and share their
    /// load evenly would all go at once.
    pub(crate) fn new(max_requests: u64, ask: AskReplacement) -> Self {
        let jitter = RandomState::new().hash_one(std::process::id()) % (max_requests / 10 + 1);
        Quota {
            served: AtomicU64::new(0),
            limit: max_requests.saturating_add(jitter),
            ask,
        }
    }

    /// A call has ended.
    pub(crate) fn count(&self) {
        if self.served.fetch_add(1, Ordering::Relaxed) + 1 == self.limit {
            (self.ask)(Reason::MaxRequests);
        }
    }
}
