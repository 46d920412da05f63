//! What a worker says of the requests that it is at, when somebody asks.

use std::time::{Duration, Instant};

use appliance_project::wire::RunningRequest;

use crate::memory;
use crate::protocol::WorkerStatus;

/// However many ask, no worker's GIL is taken for it more often.
const FRESH: Duration = Duration::from_millis(200);
/// The same for its share of memory, which costs the kernel a walk through all of it.
const SHARE_FRESH: Duration = Duration::from_secs(5);

/// A question or its answer may be lost where a socket's buffer is full.
const LOST: Duration = Duration::from_secs(30);

/// The last answer of a worker, and whether one is to come.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// It understands the question.
    pub(crate) knows: bool,
    /// When it was asked, until it answers.
    asked: Option<Instant>,
    seen: Option<Seen>,
    share: Option<(Instant, Option<u64>)>,
}

#[derive(Debug)]
struct Seen {
    at: Instant,
    requests: Vec<RunningRequest>,
    more: usize,
}

/// What is to be done before a worker's requests are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Ask,
    Wait,
    /// They are known, or nobody would hear of them in time.
    Nothing,
}

impl Look {
    pub(crate) fn of(knows: bool) -> Look {
        Look {
            knows,
            ..Look::default()
        }
    }

    /// What is missing; a worker that does not answer for `patience` is not waited for again, and
    /// only asked again after [`LOST`].
    pub(crate) fn need(&self, patience: Duration) -> Need {
        let fresh = |seen: &Seen| seen.at.elapsed() < FRESH;
        match self.asked {
            Some(asked) if asked.elapsed() < patience => Need::Wait,
            Some(asked) if asked.elapsed() < LOST => Need::Nothing,
            Some(_) => Need::Ask,
            None if self.seen.as_ref().is_some_and(fresh) => Need::Nothing,
            None => Need::Ask,
        }
    }

    pub(crate) fn was_asked(&mut self) {
        self.asked = Some(Instant::now());
    }

    pub(crate) fn saw(&mut self, requests: Vec<RunningRequest>, more: usize) {
        self.asked = None;
        self.seen = Some(Seen {
            at: Instant::now(),
            requests,
            more,
        });
    }

    /// Adds what is known to the status of the worker with this process.
    pub(crate) fn tell(&mut self, status: &mut WorkerStatus) {
        // What it saw before it stopped answering says nothing of now.
        if let (Some(seen), None) = (&self.seen, self.asked) {
            status.requests = Some(seen.requests.clone());
            status.more_requests = seen.more;
        }
        let known = self.share.filter(|(at, _)| at.elapsed() < SHARE_FRESH);
        let share = known.unwrap_or_else(|| (Instant::now(), memory::proportional(status.pid)));
        self.share = Some(share);
        status.pss_bytes = share.1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_has_one_question_at_a_time_and_none_for_a_fresh_answer() {
        let patience = Duration::from_secs(60);
        let mut look = Look::of(true);
        assert_eq!(look.need(patience), Need::Ask);
        look.was_asked();
        assert_eq!(look.need(patience), Need::Wait);
        look.saw(Vec::new(), 0);
        assert_eq!(look.need(patience), Need::Nothing);
        std::thread::sleep(FRESH);
        assert_eq!(look.need(patience), Need::Ask);
    }

    #[test]
    fn who_does_not_answer_is_not_waited_for_and_tells_nothing_old() {
        let mut look = Look::of(true);
        look.saw(Vec::new(), 3);
        let mut status = WorkerStatus::default();
        look.tell(&mut status);
        assert_eq!(
            (status.requests, status.more_requests),
            (Some(Vec::new()), 3)
        );
        look.was_asked();
        assert_eq!(look.need(Duration::ZERO), Need::Nothing);
        let mut status = WorkerStatus::default();
        look.tell(&mut status);
        assert_eq!(status.requests, None);
    }
}
