//! How generations follow each other.
//!
//! 1. The project file is read and checked anew, packages and hooks run beside what serves.
//! 2. One worker of the new generation starts; when it is ready, so do the others. An application
//!    that cannot be imported costs one attempt.
//! 3. When all are ready: they accept connections, and the old ones drain.
//!
//! Whatever fails before step 3 ends the new generation and leaves the old one as it was.

use std::sync::Arc;
use std::time::Instant;

use super::Master;
use crate::error::{Halt, StartError};
use crate::event::Event;
use crate::explain;
use crate::generation::Generation;
use crate::lifecycle::State;
use crate::master::replace::Slot;
use crate::process::WorkerId;
use crate::signals::Signals;
use crate::sys;

/// A generation whose workers are starting.
#[derive(Debug)]
pub(super) struct Rollout {
    generation: Arc<Generation>,
    /// By slot; the first one alone until it is ready.
    members: Vec<WorkerId>,
    began: Instant,
    /// Whether nothing serves yet.
    first: bool,
}

/// A generation whose packages and hooks are being run.
#[derive(Debug)]
pub(super) struct Preparing {
    began: Instant,
}

impl Rollout {
    pub(super) fn has(&self, id: WorkerId) -> bool {
        self.members.contains(&id)
    }
}

impl Master {
    /// Begins to reload, or notes that it is to be done after the reload that is under way.
    pub(super) fn reload(&mut self) {
        self.reload_again = !self.may_reload();
        if self.reload_again {
            return;
        }
        let began = Instant::now();
        tracing::info!(file = %self.generation.project().file.display(), "reloading");
        let loaded = match appliance_project::load(&self.sources) {
            Ok(loaded) => loaded,
            Err(report) => return refuse(&report.to_string()),
        };
        let signals = match Signals::new() {
            Ok(signals) => signals,
            Err(error) => return refuse(&format!("error: {error}\n")),
        };
        let prepared = Arc::clone(&self.generation).next(loaded, signals);
        let reporter = self.reporter.clone();
        self.preparing = Some(Preparing { began });
        tokio::spawn(async move {
            // Nobody listens only when the supervisor itself is at its end.
            let _ = reporter.send(Event::Prepared(Box::new(prepared.await)));
        });
    }

    pub(super) fn may_reload(&self) -> bool {
        self.preparing.is_none() && self.rollout.is_none()
    }

    /// All workers at once: nobody is served yet whom they could slow down.
    pub(super) fn roll_out_first(&mut self) {
        let generation = Arc::clone(&self.generation);
        let slots = generation.slots();
        self.roll_out(generation, slots, Instant::now(), true);
    }

    pub(super) fn roll_out_prepared(&mut self, prepared: Result<Generation, Halt>) {
        let Some(preparing) = self.preparing.take() else {
            return;
        };
        match prepared {
            Ok(generation) => self.roll_out(Arc::new(generation), 1, preparing.began, false),
            Err(Halt::Failed(error)) => refuse(&explain::plain(&error, &self.generation)),
            Err(Halt::Stopped(_)) => {}
        }
    }

    fn roll_out(
        &mut self,
        generation: Arc<Generation>,
        at_once: usize,
        began: Instant,
        first: bool,
    ) {
        self.rollout = Some(Rollout {
            generation,
            members: Vec::new(),
            began,
            first,
        });
        self.launch_members(at_once);
    }

    /// Starts members until there are `count`.
    fn launch_members(&mut self, count: usize) {
        while let Some(rollout) = &self.rollout
            && rollout.members.len() < count
        {
            let generation = Arc::clone(&rollout.generation);
            let slot = rollout.members.len();
            match (self.launch(&generation, slot), &mut self.rollout) {
                (Ok(id), Some(rollout)) => rollout.members.push(id),
                (Ok(_), None) => {}
                (Err(source), _) => self.give_up_rollout(StartError::Launch {
                    python: generation.launcher.python.clone(),
                    source,
                }),
            }
        }
    }

    /// One more member is ready.
    pub(super) fn advance_rollout(&mut self) {
        let Some(rollout) = &self.rollout else {
            return;
        };
        let ready = |id| {
            let worker = self.workers.get(id);
            worker.is_some_and(|worker| worker.state == State::Ready)
        };
        if !rollout.members.iter().all(ready) {
            return;
        }
        let slots = rollout.generation.slots();
        if rollout.members.len() < slots {
            self.launch_members(slots);
        } else if let Some(rollout) = self.rollout.take() {
            self.switch_to(rollout);
        }
    }

    fn switch_to(&mut self, rollout: Rollout) {
        if let Err(error) = rollout.generation.listeners.open() {
            self.rollout = Some(rollout);
            return self.give_up_rollout(error.into());
        }
        for id in &rollout.members {
            if let Some(worker) = self.workers.get_mut(id) {
                worker.serve();
            }
        }
        let grace = self.grace();
        for (id, worker) in &mut self.workers {
            if !rollout.has(*id) && worker.state != State::Draining {
                worker.stop(grace);
            }
        }
        self.slots = rollout.members.iter().copied().map(Slot::held_by).collect();
        self.generation = rollout.generation;
        if !rollout.first {
            tracing::info!(
                generation = self.generation.number,
                workers = self.slots.len(),
                after_ms = rollout.began.elapsed().as_millis(),
                "reloaded"
            );
        }
        sys::forget_code();
    }

    /// If this worker belongs to a rollout: its siblings are about to fail in the same way, and
    /// one traceback is enough.
    pub(super) fn give_up_rollout_of(&mut self, id: WorkerId) {
        if !self.rollout.as_ref().is_some_and(|rollout| rollout.has(id)) {
            return;
        }
        let worker = self.workers.get_mut(&id);
        if let Some(failure) = worker.and_then(|worker| worker.failure.take()) {
            self.give_up_rollout(StartError::Worker(failure));
        }
    }

    pub(super) fn give_up_rollout(&mut self, error: StartError) {
        let Some(rollout) = self.rollout.take() else {
            return;
        };
        for id in &rollout.members {
            if let Some(worker) = self.workers.get_mut(id) {
                worker.kill();
            }
        }
        if rollout.first {
            self.start_failure = Some(error);
        } else {
            refuse(&explain::plain(&error, &rollout.generation));
        }
    }
}

/// Says why there is no new generation.
fn refuse(why: &str) {
    tracing::error!("the reload failed; what served before serves on");
    anstream::eprint!("{why}");
}
