//! Reloads of a project that is being developed ([`crate::development`]).

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::Master;
use crate::control::Reply;
use crate::development;
use crate::lifecycle::State;
use crate::logs;
use crate::signals::Signals;

/// For how long a page may keep its WebSocket to the front's development server: when that is cut,
/// the page is loaded anew, with everything lost that was typed into it.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Predecessors that may wait for their last request at the same time.
const MOST_PREDECESSORS: usize = 4;

impl Master {
    /// Files have changed.
    pub(super) fn reload_changed(&mut self, signals: &Signals, files: &BTreeSet<PathBuf>) {
        let Some(development) = &mut self.development else {
            return;
        };
        development.changed(files);
        let asked = self.call_off_rollout();
        development::forget_bytecode(files);
        self.reload(signals, asked);
    }

    /// What starts has read older files. Returns who waits for it.
    fn call_off_rollout(&mut self) -> Vec<Reply> {
        let Some(rollout) = self.rollout.take() else {
            return Vec::new();
        };
        for worker in self.workers.iter_mut().filter(|(id, _)| rollout.has(**id)) {
            worker.1.kill();
        }
        logs::apply(self.generation.project());
        rollout.asked
    }

    /// How long those may take to drain whose successors serve.
    pub(super) fn grace_of_predecessors(&self) -> Duration {
        match self.development {
            Some(_) => PATIENCE,
            None => self.grace(),
        }
    }

    /// Ends the oldest of those that drain, if there are many.
    pub(super) fn bound_predecessors(&mut self) {
        if self.development.is_none() {
            return;
        }
        let mut draining: Vec<_> = self
            .workers
            .values_mut()
            .filter(|worker| worker.state == State::Draining)
            .collect();
        let surplus = draining.len().saturating_sub(MOST_PREDECESSORS);
        draining
            .iter_mut()
            .take(surplus)
            .for_each(|worker| worker.kill());
    }
}
