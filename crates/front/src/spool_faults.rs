//! Request bodies that cannot be spooled, as on a full disk: said at once, and then once a minute
//! with how many there were. A line for each would be the clients' to write, on a disk that may be
//! the one that is full.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const REPEAT: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct SpoolFaults(Mutex<Option<Said>>);

#[derive(Debug)]
struct Said {
    last: Instant,
    /// Requests that have failed since then.
    unsaid: u64,
}

impl SpoolFaults {
    pub(crate) const fn new() -> Self {
        SpoolFaults(Mutex::new(None))
    }

    /// A request has failed.
    pub(crate) fn report(&self, error: &io::Error) {
        match self.note(Instant::now()) {
            // The first, as a rule.
            Some(1) => {
                tracing::error!(%error, "cannot spool a request body; `python.spool` names the folder");
            }
            Some(requests) => {
                tracing::error!(%error, requests, "request bodies still cannot be spooled; `python.spool` names the folder");
            }
            None => {}
        }
    }

    /// How many requests there are to tell of, if it is time for that.
    fn note(&self, now: Instant) -> Option<u64> {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unsaid = said.as_ref().map_or(0, |said| said.unsaid) + 1;
        if let Some(said) = &mut *said
            && now - said.last < REPEAT
        {
            said.unsaid = unsaid;
            return None;
        }
        *said = Some(Said {
            last: now,
            unsaid: 0,
        });
        Some(unsaid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_of_failures_is_an_hour_of_minutes_and_every_one_is_counted() {
        let faults = SpoolFaults::new();
        let began = Instant::now();
        let at = |tenth: u64| began + Duration::from_millis(100 * tenth);
        let told: Vec<u64> = (0..=36_000).filter_map(|t| faults.note(at(t))).collect();
        assert_eq!(told.len(), 61);
        assert_eq!(told[0], 1);
        assert!(told[1..].iter().all(|count| *count == 600), "{told:?}");
    }
}
