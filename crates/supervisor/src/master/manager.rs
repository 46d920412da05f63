//! What the service manager hears of the master ([`crate::notify`]).
//!
//! Each round of the master's loop begins with a look at what has changed, so that nothing that
//! happens has to think of it; only the beginning of a reload is said where it happens, since one
//! that is refused at once would not be seen from here.

use std::time::Instant;

use appliance_project::wire::ToWorker;

use super::Master;
use crate::lifecycle::State;
use crate::notify::Notifier;

impl Master {
    pub(crate) fn manager(&mut self) -> &mut Notifier {
        &mut self.manager
    }

    /// The start is complete.
    pub(crate) fn tell_ready(&mut self) {
        let line = self.line();
        self.manager.ready(&line);
    }

    /// Says what is new since it was called last.
    pub(super) fn tell_manager(&mut self) {
        if !self.manager.is_there() {
            return;
        }
        let line = self.line();
        if self.manager.is_reloading() && self.may_reload() && self.inherited.is_none() {
            self.manager.ready(&line);
        } else {
            self.manager.status(&line);
        }
    }

    /// `serving: 4 workers, generation 2`.
    fn line(&self) -> String {
        let serving = |state: &State| *state == State::Serving;
        let states = self.workers.values().map(|worker| worker.state);
        let workers = match states.filter(serving).count() {
            1 => "1 worker".to_owned(),
            more => format!("{more} workers"),
        };
        let failed = match &self.last_failure {
            Some(_) => "; the last reload or upgrade failed, see the log",
            None => "",
        };
        let (state, generation) = (self.state(), self.generation.number);
        format!("{state}: {workers}, generation {generation}{failed}")
    }

    /// Keeps the manager's watchdog quiet while this loop goes round and, if any workers serve, at
    /// least one of their fronts answers. One that hangs is no reason to restart them all.
    pub(super) fn mind_the_watchdog(&mut self, now: Instant) {
        let Some(timeout) = self.manager.is_due(now) else {
            return;
        };
        let mut serving = self
            .workers
            .values_mut()
            .filter(|worker| worker.state == State::Serving)
            .peekable();
        let none = serving.peek().is_none();
        let mut answers = false;
        for worker in serving {
            answers |= now.saturating_duration_since(worker.answered) < timeout;
            worker.control.send(&ToWorker::Ping);
        }
        match none || answers {
            true => self.manager.alive(),
            false => tracing::error!(
                "no worker answers; the service manager is not told that all is well"
            ),
        }
    }
}
