//! Slots, and how their workers follow each other.
//!
//! - A worker that asks to be replaced serves on until its successor is ready; then the successor
//!   accepts from the very same sockets, and the predecessor drains. One slot at a time, unless
//!   a worker hangs: it may need its successor more than the others theirs.
//! - A worker that is lost gets its successor at once, or after its slot's back-off.

use std::sync::Arc;
use std::time::{Duration, Instant};

use appliance_project::wire::Reason;

use super::Master;
use crate::control::Reply;
use crate::lifecycle::{BackOff, End, State};
use crate::listeners::Closed;
use crate::process::{Exit, WorkerId};
use crate::worker::{Role, Worker};

/// The exit status of who asked for what cannot be done.
const NOT_DONE: u8 = 3;
const NOT_SERVING: &str = "error: no worker with this process serves any more\n";
const NOBODY_ELSE: &str = "error: no other worker would serve meanwhile\n\
                           hint: recycle it, which starts its successor first\n";

/// A worker's place: the sockets that it and its successors accept from.
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// Who serves, or will when it is ready.
    holder: Option<WorkerId>,
    /// Whether the holder is to be replaced.
    replacement: Option<Replacement>,
    back_off: BackOff,
    /// Who has left the slot, without a successor, and drains.
    drains: Option<WorkerId>,
    /// When its next holder is started; none while it has one.
    due: Option<Instant>,
}

#[derive(Debug)]
struct Replacement {
    reason: Reason,
    asked: Instant,
    successor: Option<WorkerId>,
    /// After a successor that failed.
    not_before: Option<Instant>,
    back_off: BackOff,
}

impl Slot {
    pub(super) fn held_by(holder: WorkerId) -> Slot {
        Slot {
            holder: Some(holder),
            ..Slot::default()
        }
    }

    /// One that a handover has brought along.
    pub(super) fn handed(holder: Option<WorkerId>, wish: Option<Reason>) -> Slot {
        Slot {
            holder,
            replacement: wish.map(Replacement::wished),
            due: holder.is_none().then(Instant::now),
            ..Slot::default()
        }
    }

    /// Whether its holder wants to be replaced.
    pub(super) fn wish(&self) -> Option<Reason> {
        Some(self.replacement.as_ref()?.reason)
    }

    /// The wish stays.
    pub(super) fn call_off_successor(&mut self) -> Option<WorkerId> {
        self.replacement.as_mut()?.successor.take()
    }

    pub(super) fn holder(&self) -> Option<WorkerId> {
        self.holder
    }

    pub(super) fn successor(&self) -> Option<WorkerId> {
        self.replacement.as_ref()?.successor
    }

    /// What has been due for a while waits for something else than the clock.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        let replacement = self.replacement.as_ref();
        let again = replacement.and_then(|replacement| replacement.not_before);
        self.due.or(again.filter(|moment| *moment > now))
    }

    /// Whether a successor can be started now.
    fn wants_successor(&self, now: Instant) -> Option<&Replacement> {
        let replacement = self.replacement.as_ref()?;
        let waits = replacement.not_before.is_some_and(|moment| moment > now);
        (replacement.successor.is_none() && !waits).then_some(replacement)
    }
}

impl Master {
    /// A worker wants to be replaced; nobody else decides that for it.
    pub(super) fn wish_replacement(&mut self, id: WorkerId, reason: Reason) {
        let Some(worker) = self.workers.get(&id) else {
            return;
        };
        let Role::Slot(slot) = worker.role else {
            return;
        };
        let Some(slot) = self.slots.get_mut(slot) else {
            return;
        };
        if worker.state != State::Serving || slot.holder != Some(id) {
            return;
        }
        match &mut slot.replacement {
            // One that comes to hang while it waits for its turn waits no longer.
            Some(replacement) if reason == Reason::Stuck => replacement.reason = reason,
            Some(_) => {}
            None => slot.replacement = Some(Replacement::wished(reason)),
        }
    }

    /// As somebody has asked: successor first.
    pub(super) fn recycle(&mut self, pid: u32, reply: &Reply) {
        match self.serving_slot(pid) {
            Some((id, slot)) => {
                self.wish_replacement(id, Reason::Recycle);
                let worker = slot + 1;
                reply.done(format!(
                    "worker {worker}, process {pid}: its successor starts, then it drains"
                ));
            }
            None => reply.failed(NOT_DONE, NOT_SERVING),
        }
    }

    /// As somebody has asked, for whom there is no room for both: it goes first, and others serve
    /// its slot until its successor does.
    pub(super) fn drain(&mut self, pid: u32, reply: &Reply) {
        let Some((id, slot)) = self.serving_slot(pid) else {
            return reply.failed(NOT_DONE, NOT_SERVING);
        };
        let serving = |other: &&Slot| {
            let worker = other.holder.and_then(|id| self.workers.get(&id));
            worker.is_some_and(|worker| worker.state == State::Serving)
        };
        if self.rollout.is_some() || self.slots.iter().filter(serving).count() < 2 {
            return reply.failed(NOT_DONE, NOBODY_ELSE);
        }
        let grace = self.grace();
        let place = &mut self.slots[slot];
        let successor = place.replacement.take().and_then(|one| one.successor);
        place.holder = successor;
        place.drains = successor.is_none().then_some(id);
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.retire(grace, &Closed::default());
        }
        let worker = slot + 1;
        tracing::info!(
            worker,
            pid,
            "draining a worker as asked; its successor follows it"
        );
        reply.done(format!(
            "worker {worker}, process {pid}: it drains, and its successor starts when it is gone"
        ));
    }

    /// The worker of this process, if it serves, and its slot.
    fn serving_slot(&self, pid: u32) -> Option<(WorkerId, usize)> {
        let serves = |worker: &Worker| worker.pid == pid && worker.state == State::Serving;
        let (id, _) = self.workers.iter().find(|(_, worker)| serves(worker))?;
        let slot = self
            .slots
            .iter()
            .position(|slot| slot.holder == Some(*id))?;
        Some((*id, slot))
    }

    /// One that was drained is gone.
    pub(super) fn succeed_drained(&mut self, id: WorkerId) {
        let mut slots = self.slots.iter_mut();
        let Some(slot) = slots.find(|slot| slot.drains == Some(id)) else {
            return;
        };
        slot.drains = None;
        slot.due = Some(Instant::now());
        self.count("drain", 1);
    }

    /// Starts the successors whose turn it is. A rollout replaces everybody anyway.
    pub(super) fn start_replacements(&mut self) {
        if self.rollout.is_some() {
            return;
        }
        let now = Instant::now();
        let mut waiting: Vec<(Instant, usize, Reason)> = Vec::new();
        for (slot, place) in self.slots.iter().enumerate() {
            if let Some(replacement) = place.wants_successor(now) {
                waiting.push((replacement.asked, slot, replacement.reason));
            }
        }
        waiting.sort();
        for (_, slot, reason) in waiting {
            let one_is_starting = self.slots.iter().any(|slot| slot.successor().is_some());
            if reason == Reason::Stuck || !one_is_starting {
                self.start_successor(slot, reason);
            }
        }
    }

    fn start_successor(&mut self, slot: usize, reason: Reason) {
        let generation = Arc::clone(&self.generation);
        let launched = self.launch(&generation, Role::Slot(slot));
        let Some(replacement) = &mut self.slots[slot].replacement else {
            return;
        };
        match launched {
            Ok(id) => {
                tracing::info!(worker = slot + 1, %reason, "replacing a worker");
                replacement.successor = Some(id);
                replacement.not_before = None;
            }
            Err(error) => replacement.fail(slot, &error, Duration::ZERO),
        }
    }

    /// The successor in `slot` is ready.
    pub(super) fn succeed(&mut self, slot: usize) {
        let grace = self.grace();
        let Some(replacement) = self.slots[slot].replacement.take() else {
            return;
        };
        self.count(replacement.reason.as_str(), 1);
        let place = &mut self.slots[slot];
        let predecessor = std::mem::replace(&mut place.holder, replacement.successor);
        if let Some(successor) = place.holder.and_then(|id| self.workers.get_mut(&id)) {
            successor.serve();
        }
        let predecessor = predecessor.and_then(|id| self.workers.get_mut(&id));
        if let Some(predecessor) = predecessor {
            predecessor.retire(grace, &Closed::default());
            tracing::info!(
                worker = slot + 1,
                reason = %replacement.reason,
                pid = predecessor.pid,
                after_ms = replacement.asked.elapsed().as_millis(),
                "worker replaced; it drains"
            );
        }
    }

    /// The predecessor serves on.
    pub(super) fn successor_failed(&mut self, slot: usize, successor: &Worker, exit: Exit) {
        let lifetime = successor.since.elapsed();
        if let Some(replacement) = &mut self.slots[slot].replacement {
            let cause = match &successor.failure {
                Some(failure) => failure.to_string(),
                None => exit.to_string(),
            };
            replacement.fail(slot, &cause, lifetime);
        }
    }

    /// The slot's holder has died.
    pub(super) fn holder_lost(&mut self, number: usize, worker: &Worker, exit: Exit) {
        self.count("crash", 1);
        let slot = &mut self.slots[number];
        let replacement = slot.replacement.take();
        // Its successor is on the way already.
        slot.holder = replacement.and_then(|replacement| replacement.successor);
        let wait = match slot.holder {
            Some(_) => Duration::ZERO,
            None => {
                let wait = slot.back_off.after_death(worker.since.elapsed());
                slot.due = Some(Instant::now() + wait);
                wait
            }
        };
        worker.report_loss(exit, wait);
        if worker.state == State::Gone(End::NeverReady) || wait > Duration::ZERO {
            self.stand_in_if_needed();
        }
    }

    /// Starts holders in slots that have waited long enough.
    pub(super) fn launch_due(&mut self, now: Instant) {
        /// A process that cannot even be started is not tried again at once.
        const LEAST: Duration = Duration::from_millis(100);
        let generation = Arc::clone(&self.generation);
        for slot in 0..self.slots.len() {
            if self.slots[slot].due.is_none_or(|due| due > now) {
                continue;
            }
            self.slots[slot].due = None;
            match self.launch(&generation, Role::Slot(slot)) {
                Ok(id) => self.slots[slot].holder = Some(id),
                Err(error) => {
                    let wait = self.slots[slot].back_off.after_death(Duration::ZERO);
                    let wait = wait.max(LEAST);
                    tracing::error!(worker = slot + 1, %error, again_in = ?wait, "cannot start a worker");
                    self.slots[slot].due = Some(now + wait);
                }
            }
        }
    }
}

impl Replacement {
    fn wished(reason: Reason) -> Replacement {
        Replacement {
            reason,
            asked: Instant::now(),
            successor: None,
            not_before: None,
            back_off: BackOff::default(),
        }
    }

    fn fail(&mut self, slot: usize, cause: &dyn std::fmt::Display, lifetime: Duration) {
        // The first failure is a failure: no second try at once.
        const LEAST: Duration = Duration::from_secs(1);
        let wait = self.back_off.after_death(lifetime).max(LEAST);
        tracing::error!(
            worker = slot + 1,
            reason = %self.reason,
            %cause,
            again_in = ?wait,
            "the worker's successor cannot serve; it serves on itself"
        );
        self.successor = None;
        self.not_before = Some(Instant::now() + wait);
    }
}
