//! Whether a target is well: as its answers show, and as its health check says.
//!
//! Failures in a row put it aside for `fail_timeout`; then one request may try it again, and the
//! next failure puts it aside at once. Its health check, where there is one, puts it aside for as
//! long as it fails.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How a target does.
#[derive(Debug)]
pub(crate) struct Health {
    epoch: Instant,
    max_failures: u32,
    fail_timeout: Duration,
    failures: AtomicU32,
    /// Milliseconds since `epoch`; 0: it is not put aside.
    aside_until: AtomicU64,
    fails_check: AtomicBool,
}

impl Health {
    pub(crate) fn new(max_failures: u32, fail_timeout: Duration) -> Self {
        Health {
            epoch: Instant::now(),
            max_failures,
            fail_timeout,
            failures: AtomicU32::new(0),
            aside_until: AtomicU64::new(0),
            fails_check: AtomicBool::new(false),
        }
    }

    /// Whether it may get a request.
    pub(crate) fn is_well(&self) -> bool {
        let aside_until = self.aside_until.load(Ordering::Relaxed);
        !self.fails_check.load(Ordering::Relaxed) && (aside_until == 0 || aside_until <= self.now())
    }

    /// It answered. Returns whether it had been put aside.
    pub(crate) fn succeeded(&self) -> bool {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        self.aside_until.load(Ordering::Relaxed) != 0
            && self.aside_until.swap(0, Ordering::Relaxed) != 0
    }

    /// It did not answer. Returns whether it is put aside with that, and was not before.
    pub(crate) fn failed(&self) -> bool {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if failures < self.max_failures {
            return false;
        }
        let until = self.now() + u64::try_from(self.fail_timeout.as_millis()).unwrap_or(u64::MAX);
        self.aside_until.swap(until.max(1), Ordering::Relaxed) == 0
    }

    /// What its health check says. Returns whether that is news.
    pub(crate) fn checked(&self, is_well: bool) -> bool {
        self.fails_check.swap(!is_well, Ordering::Relaxed) == is_well
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_put_a_target_aside_and_an_answer_brings_it_back() {
        let health = Health::new(3, Duration::from_secs(3600));
        assert!(!health.failed() && !health.failed() && health.is_well());
        assert!(!health.succeeded());
        assert!(!health.failed() && !health.failed() && health.is_well());
        assert!(health.failed());
        assert!(!health.is_well());
        assert!(!health.failed(), "it is aside already");
        assert!(health.succeeded() && health.is_well());
    }

    #[test]
    fn its_time_over_one_more_failure_is_enough() {
        let health = Health::new(2, Duration::from_millis(1));
        health.failed();
        health.failed();
        std::thread::sleep(Duration::from_millis(5));
        assert!(health.is_well());
        let health = Health::new(2, Duration::from_secs(3600));
        health.failed();
        health.failed();
        assert!(!health.is_well());
    }

    #[test]
    fn a_failing_check_counts_whatever_the_answers_are() {
        let health = Health::new(1, Duration::from_millis(1));
        assert!(!health.checked(true));
        assert!(health.checked(false) && !health.checked(false));
        health.succeeded();
        assert!(!health.is_well());
        assert!(health.checked(true) && health.is_well());
    }
}
