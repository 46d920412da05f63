//! Who serves the connections of a slot whose worker is missing.
//!
//! - A sibling, as soon as the worker has closed its socket to the supervisor or is dead, and until its
//!   successor serves: the import takes long, and what waits in the slot's sockets need not wait for it.
//! - Without a sibling, and when the next attempt fails too: a *stand-in*, a front that has not
//!   imported the application. Files are answered, and 503 in the application's place.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Master;
use crate::lifecycle::State;
use crate::listeners::Closed;
use crate::process::{Exit, WorkerId};
use crate::worker::{Role, Worker, humane};

/// All slots must have been served this long before the stand-in goes: an application that dies of
/// its first request would have it started over and over.
const RECOVERED: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct StandIn {
    worker: WorkerId,
    since: Instant,
    /// Since when every slot is served again.
    recovered: Option<Instant>,
}

impl StandIn {
    /// When it is not needed any more.
    pub(super) fn retires(&self) -> Option<Instant> {
        Some(self.recovered? + RECOVERED)
    }
}

impl Master {
    /// Spreads the slots without a serving worker over those that serve.
    pub(super) fn cover_slots(&mut self) {
        let serves = |id: WorkerId| {
            let worker = self.workers.get(&id);
            worker.is_some_and(|worker| worker.state == State::Serving && !worker.hung_up)
        };
        let (mut serving, mut missing) = (Vec::new(), Vec::new());
        for (slot, place) in self.slots.iter().enumerate() {
            match place.holder().filter(|id| serves(*id)) {
                Some(id) => serving.push(id),
                None => missing.push(slot),
            }
        }
        let now = Instant::now();
        if let Some(stand_in) = &mut self.stand_in {
            let recovered = missing.is_empty();
            stand_in.recovered = recovered.then(|| stand_in.recovered.unwrap_or(now));
            if serving.is_empty() {
                serving.push(stand_in.worker);
            }
        }
        let mut covers: BTreeMap<WorkerId, Vec<usize>> = BTreeMap::new();
        // The same slot goes to the same worker as long as the same ones serve.
        for slot in missing {
            if let Some(id) = serving.get(slot % serving.len().max(1)) {
                covers.entry(*id).or_default().push(slot);
            }
        }
        for (id, worker) in &mut self.workers {
            if worker.state == State::Serving {
                worker.cover(covers.remove(id).unwrap_or_default());
            }
        }
    }

    /// One that a handover has brought along.
    pub(super) fn adopt_stand_in(&mut self) {
        let mut workers = self.workers.iter();
        let found = workers
            .find(|(_, worker)| worker.role == Role::StandIn && worker.state != State::Draining);
        self.stand_in = found.map(|(id, worker)| StandIn {
            worker: *id,
            since: worker.since,
            recovered: None,
        });
    }

    /// Whether a worker with the application accepts connections.
    pub(super) fn someone_serves(&self) -> bool {
        let mut holders = self.slots.iter().filter_map(|slot| slot.holder());
        holders.any(|id| {
            let worker = self.workers.get(&id);
            worker.is_some_and(|worker| worker.state == State::Serving)
        })
    }

    /// Starts a front without the application if nobody serves.
    pub(super) fn stand_in_if_needed(&mut self) {
        let has_application = self.generation.project().python.has_application();
        if self.someone_serves() || !has_application || self.stand_in.is_some() {
            return;
        }
        let generation = Arc::clone(&self.generation);
        match self.launch(&generation, Role::StandIn) {
            Ok(worker) => {
                tracing::error!(
                    "no worker can run the application: files are served, its routes answer 503"
                );
                self.stand_in = Some(StandIn {
                    worker,
                    since: Instant::now(),
                    recovered: None,
                });
            }
            Err(error) => tracing::error!(%error, "cannot start a front without the application"),
        }
    }

    /// The next worker that cannot run the application has another one started.
    pub(super) fn stand_in_lost(&mut self, worker: &Worker, exit: Exit) {
        worker.report_loss(exit, Duration::ZERO);
        self.stand_in = None;
    }

    pub(super) fn retire_stand_in(&mut self, now: Instant) {
        let grace = self.grace();
        let due = self.stand_in.as_ref().and_then(StandIn::retires);
        if due.is_none_or(|due| due > now) {
            return;
        }
        let Some(stand_in) = self.stand_in.take() else {
            return;
        };
        let after = humane(stand_in.since.elapsed());
        tracing::info!(after, "the application is served again by all workers");
        if let Some(worker) = self.workers.get_mut(&stand_in.worker) {
            worker.retire(grace, &Closed::default());
        }
    }
}
