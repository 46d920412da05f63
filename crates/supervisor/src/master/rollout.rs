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

use appliance_project::model::Server;
use appliance_project::{Project, Setting};

use super::{Leave, Master};
use crate::control::Reply;
use crate::daemon;
use crate::development::Development;
use crate::error::{Halt, StartError};
use crate::event::Event;
use crate::explain;
use crate::generation::Generation;
use crate::lifecycle::State;
use crate::logs;
use crate::master::replace::Slot;
use crate::process::WorkerId;
use crate::signals::Signals;
use crate::stage::Stage;
use crate::sys;
use crate::worker::Role;

/// Exit statuses of `appliance reload`: those of `appliance serve`.
const BAD_PROJECT: u8 = 1;
const NOT_STARTED: u8 = 3;

/// A generation whose workers are starting.
#[derive(Debug)]
pub(super) struct Rollout {
    generation: Arc<Generation>,
    /// By slot; the first one alone until it is ready.
    members: Vec<WorkerId>,
    began: Instant,
    kind: Kind,
    /// Who waits for the outcome.
    pub(super) asked: Vec<Reply>,
}

/// What it is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The start: nothing serves yet.
    First,
    Reload,
    /// What serves was started by another binary.
    Upgrade,
}

/// A generation whose packages and hooks are being run.
#[derive(Debug)]
pub(super) struct Preparing {
    began: Instant,
    /// For messages.
    project: Project,
    settings: Vec<Setting>,
    pub(super) asked: Vec<Reply>,
}

impl Rollout {
    pub(super) fn new(generation: Arc<Generation>, kind: Kind, asked: Vec<Reply>) -> Rollout {
        Rollout {
            generation,
            members: Vec::new(),
            began: Instant::now(),
            kind,
            asked,
        }
    }

    pub(super) fn has(&self, id: WorkerId) -> bool {
        self.members.contains(&id)
    }
}

impl Master {
    /// Begins to reload, or notes that it is to be done after the reload that is under way.
    pub(super) fn reload(&mut self, signals: &Signals, asked: Vec<Reply>) {
        if !self.may_reload() {
            self.reload_again.get_or_insert_default().extend(asked);
            return;
        }
        let began = Instant::now();
        tracing::info!(file = %self.sources.file.display(), "reloading");
        self.manager.reloading();
        self.folder.enter();
        let mut loaded = match appliance_project::load(&self.sources) {
            Ok(loaded) => loaded,
            Err(report) => return self.refuse(&asked, BAD_PROJECT, &report.to_string()),
        };
        if !loaded.warnings.is_empty() {
            let warnings = loaded.warnings.to_string();
            appliance_log::text(&warnings);
            asked
                .iter()
                .for_each(|reply| reply.progress(warnings.trim_end()));
        }
        self.warn_of_what_stays(&loaded.project.server);
        let account = &self.generation.project().server.account;
        loaded.project.server.account.clone_from(account);
        daemon::claim_streams(&mut loaded.project);
        if let Err(error) = logs::open(&loaded.project) {
            let text = explain::plain(&StartError::Log(error), &loaded.project, &loaded.settings);
            return self.refuse(&asked, NOT_STARTED, &text);
        }
        let stage = match Stage::new(signals, asked.clone()) {
            Ok(stage) => stage,
            Err(error) => return self.refuse(&asked, NOT_STARTED, &format!("error: {error}\n")),
        };
        let has_hooks = (self.development.as_mut()).is_none_or(Development::needs_hooks);
        self.preparing = Some(Preparing {
            began,
            project: loaded.project.clone(),
            settings: loaded.settings.clone(),
            asked,
        });
        let prepared = Arc::clone(&self.generation).next(loaded, stage, has_hooks);
        let reporter = self.reporter.clone();
        tokio::spawn(async move {
            // Nobody listens only when the supervisor itself is at its end.
            let _ = reporter.send(Event::Prepared(Box::new(prepared.await)));
        });
    }

    /// The supervisor's own settings. And `user`: what belongs to one user now (the control socket,
    /// the virtualenv, what the application has written) would have to change hands.
    fn warn_of_what_stays(&self, next: &Server) {
        let now = &self.generation.project().server;
        let changed = [
            ("server.master", now.master != next.master),
            ("server.user", now.account != next.account),
            ("server.daemonize", now.daemonize != next.daemonize),
            ("server.control", now.control != next.control),
            ("server.pidfile", now.pidfile != next.pidfile),
            ("server.admin", now.admin != next.admin),
        ];
        for (key, _) in changed.iter().filter(|(_, changed)| *changed) {
            tracing::warn!(
                key,
                "a reload does not change this setting; the next start does"
            );
        }
    }

    pub(super) fn may_reload(&self) -> bool {
        self.preparing.is_none() && self.rollout.is_none() && self.trying.is_none()
    }

    /// All workers at once: nobody is served yet whom they could slow down.
    pub(super) fn roll_out_first(&mut self) {
        let generation = Arc::clone(&self.generation);
        let slots = generation.slots();
        self.rollout = Some(Rollout::new(generation, Kind::First, Vec::new()));
        self.launch_members(slots);
    }

    pub(super) fn roll_out_prepared(&mut self, prepared: Result<Generation, Halt>) {
        let Some(preparing) = self.preparing.take() else {
            return;
        };
        let Preparing {
            began,
            project,
            settings,
            asked,
        } = preparing;
        let generation = match prepared {
            Ok(generation) => Arc::new(generation),
            Err(Halt::Stopped(_)) => return,
            Err(Halt::Failed(error)) => {
                let text = explain::plain(&error, &project, &settings);
                show_traceback(&error, &asked);
                return self.refuse(&asked, NOT_STARTED, &text);
            }
        };
        self.rollout = Some(Rollout {
            began,
            ..Rollout::new(generation, Kind::Reload, asked)
        });
        self.launch_members(1);
    }

    /// Starts members until there are `count`.
    pub(super) fn launch_members(&mut self, count: usize) {
        while let Some(rollout) = &self.rollout
            && rollout.members.len() < count
        {
            let generation = Arc::clone(&rollout.generation);
            let slot = rollout.members.len();
            match (
                self.launch(&generation, Role::Slot(slot)),
                &mut self.rollout,
            ) {
                (Ok(id), Some(rollout)) => rollout.members.push(id),
                (Ok(_), None) => {}
                (Err(source), _) => self.give_up_rollout(generation.launcher.failure(source)),
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
        let grace = self.grace_of_predecessors();
        let next = &rollout.generation.listeners;
        let closed = self.generation.listeners.closed_by(Some(next));
        // The browser of whoever develops would get the old code's answer once more.
        let closes_idle = self.generation.project().dev.is_some();
        for (id, worker) in &mut self.workers {
            if !rollout.has(*id) && worker.state != State::Draining {
                match closes_idle {
                    true => worker.retire_at_once(grace, &closed),
                    false => worker.retire(grace, &closed),
                }
            }
        }
        self.slots = rollout.members.iter().copied().map(Slot::held_by).collect();
        self.generation = Arc::clone(&rollout.generation);
        logs::apply(self.generation.project());
        self.stand_in = None;
        self.bound_predecessors();
        if rollout.kind != Kind::First {
            self.report_rollout(&rollout);
        }
        self.upgraded();
        sys::forget_code();
    }

    fn report_rollout(&mut self, rollout: &Rollout) {
        let generation = self.generation.number;
        let workers = self.slots.len();
        let after_ms = rollout.began.elapsed().as_millis();
        let version = env!("CARGO_PKG_VERSION");
        let (reason, done) = match rollout.kind {
            Kind::Upgrade => ("upgrade", format!("upgraded to {version}")),
            Kind::First | Kind::Reload => ("reload", "reloaded".to_owned()),
        };
        self.count(reason, workers);
        self.last_failure = None;
        tracing::info!(generation, workers, after_ms, "{done}");
        let workers = match workers {
            1 => "1 worker".to_owned(),
            more => format!("{more} workers"),
        };
        let text = format!("{done}: generation {generation}, {workers}, ready in {after_ms} ms");
        let asked = rollout.asked.iter();
        asked.for_each(|reply| reply.done(text.as_str()));
        if let Some(development) = &mut self.development {
            development.reloaded(self.generation.project(), after_ms);
        }
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
        if rollout.kind == Kind::First {
            self.start_failure = Some(error);
            return;
        }
        let generation = &rollout.generation;
        let text = explain::plain(&error, generation.project(), &generation.settings);
        show_traceback(&error, &rollout.asked);
        match rollout.kind {
            Kind::Upgrade => self.leaving = Some(Leave::HandBack { why: text }),
            Kind::First | Kind::Reload => self.refuse(&rollout.asked, NOT_STARTED, &text),
        }
    }

    /// Says why there is no new generation.
    fn refuse(&mut self, asked: &[Reply], exit_status: u8, why: &str) {
        // What was opened for the new generation is closed.
        logs::apply(self.generation.project());
        tracing::error!("the reload failed; what served before serves on");
        appliance_log::text(why);
        asked
            .iter()
            .for_each(|reply| reply.failed(exit_status, why));
        self.last_failure = Some(why.to_owned());
        if let Some(development) = &mut self.development {
            development.failed();
        }
    }
}

/// The worker has written it to the log, which those who asked may not see.
fn show_traceback(error: &StartError, asked: &[Reply]) {
    if let Some(traceback) = explain::traceback(error) {
        let lines = traceback.trim_end();
        asked.iter().for_each(|reply| reply.progress(lines));
    }
}
