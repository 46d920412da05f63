//! What the master says of itself and its workers.

use super::Master;
use crate::protocol::{Status, WorkerStatus};

impl Master {
    pub(super) fn status(&self) -> Status {
        let mut workers: Vec<WorkerStatus> = self.workers.values().map(WorkerStatus::of).collect();
        // Stable: those of one slot stay in the order of their start.
        workers.sort_by_key(|worker| worker.worker);
        let replaced = self.replaced.iter();
        Status {
            state: self.state().to_owned(),
            generation: self.generation.number,
            python: self.python.clone(),
            addresses: self.generation.listeners.addresses(),
            workers,
            replaced: replaced
                .map(|(reason, count)| ((*reason).to_owned(), *count))
                .collect(),
            last_failure: self.last_failure.clone(),
            ..Status::starting(&self.generation.project().file, self.began)
        }
    }

    fn state(&self) -> &'static str {
        if self.stopping {
            "stopping"
        } else if self.slots.is_empty() {
            "starting"
        } else if self.may_reload() {
            "serving"
        } else {
            "reloading"
        }
    }
}
