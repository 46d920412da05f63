//! One worker as the master knows it: where it stands, and the log lines of its life.

use std::time::{Duration, Instant};

use appliance_figures::{Levels, Page, Totals};
use appliance_project::wire::{FromWorker, ToWorker};

use crate::error::WorkerFailure;
use crate::lifecycle::{End, State, Step};
use crate::listeners::Closed;
use crate::look::Look;
use crate::memory;
use crate::process::{Control, Exit};

/// What a worker is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// To serve in this slot, from 0.
    Slot(usize),
    /// To answer files, and 503 for the application, while no worker can run that.
    StandIn,
}

impl Role {
    /// As people and the log count: from 1; 0 is the stand-in.
    pub(crate) fn number(self) -> usize {
        match self {
            Role::Slot(slot) => slot + 1,
            Role::StandIn => 0,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) role: Role,
    pub(crate) generation: u64,
    pub(crate) pid: u32,
    pub(crate) state: State,
    pub(crate) since: Instant,
    /// By when it must have gone one step further: become ready, or drained.
    pub(crate) deadline: Option<Instant>,
    pub(crate) control: Control,
    /// What it counts; none if a supervisor of another version has started it.
    pub(crate) figures: Option<Page>,
    /// Whether it belongs to the start that the summary on a terminal is about.
    pub(crate) in_summary: bool,
    /// What it took when it became ready.
    pub(crate) memory_mb: u64,
    /// Whether it has ever been told to serve.
    pub(crate) served: bool,
    /// Whether it said that every request was finished.
    pub(crate) drained: bool,
    /// Whether it has closed its end of the socket: its death is about to be known.
    pub(crate) hung_up: bool,
    /// Other slots, from 0, whose connections it accepts.
    pub(crate) covers: Vec<usize>,
    /// Which requests it is at.
    pub(crate) look: Look,
    /// When it last answered, or began to serve.
    pub(crate) answered: Instant,
    /// Why it says it cannot serve.
    pub(crate) failure: Option<WorkerFailure>,
}

impl Worker {
    /// See [`Role::number`].
    pub(crate) fn number(&self) -> usize {
        self.role.number()
    }

    /// What it has counted; still there when it is gone.
    pub(crate) fn totals(&self) -> Totals {
        self.figures.as_ref().map(Page::totals).unwrap_or_default()
    }

    /// What it is at.
    pub(crate) fn levels(&self) -> Levels {
        self.figures.as_ref().map(Page::levels).unwrap_or_default()
    }

    /// Whether it can be asked what it is at: one that has not served hears nothing else.
    pub(crate) fn can_look(&self) -> bool {
        self.look.knows && self.served
    }

    /// Lets it accept connections.
    pub(crate) fn serve(&mut self) {
        self.control.send(&ToWorker::Serve);
        self.state = self.state.after(Step::ToldToServe);
        self.served = true;
        self.answered = Instant::now();
    }

    /// Lets it accept connections of other slots, from 0: of these, and of no others any more.
    pub(crate) fn cover(&mut self, slots: Vec<usize>) {
        if self.covers != slots {
            let numbers = slots.iter().map(|slot| slot + 1).collect();
            self.control.send(&ToWorker::Cover { slots: numbers });
            self.covers = slots;
        }
    }

    /// Lets it go, since others serve in its place, but for what is `closed`: what it does is
    /// finished, within `grace`, and clients of idle connections get an answer that tells them to
    /// close, if they ask soon.
    pub(crate) fn retire(&mut self, grace: Duration, closed: &Closed) {
        const IDLE: Duration = Duration::from_secs(5);
        self.leave(grace, IDLE, closed);
    }

    /// The same, but idle connections have no further answer: it would be that of old code.
    pub(crate) fn retire_at_once(&mut self, grace: Duration, closed: &Closed) {
        // None at all would mean that the whole server stops, WebSockets included.
        const IDLE: Duration = Duration::from_millis(1);
        self.leave(grace, IDLE, closed);
    }

    /// Lets it finish what it does, for `grace`, since the server stops.
    pub(crate) fn stop(&mut self, grace: Duration, closed: &Closed) {
        self.leave(grace, Duration::ZERO, closed);
    }

    /// One that is still importing has nothing to finish.
    fn leave(&mut self, grace: Duration, idle: Duration, closed: &Closed) {
        match self.state {
            State::Starting => self.control.kill(),
            _ => {
                let idle_ms = u64::try_from(idle.as_millis()).unwrap_or_default();
                self.control.send(&ToWorker::Stop {
                    idle_ms,
                    closes: closed.addresses.clone(),
                    closes_unix: closed.unix.clone(),
                });
            }
        }
        self.state = self.state.after(Step::AskedToStop);
        self.deadline = Some(Instant::now() + grace);
    }

    pub(crate) fn kill(&mut self) {
        self.state = self.state.after(Step::AskedToStop);
        self.deadline = None;
        self.control.kill();
    }

    pub(crate) fn became_ready(&mut self) {
        self.state = self.state.after(Step::ReportedReady);
        if self.state == State::Ready {
            self.deadline = None;
        }
        self.memory_mb = memory::resident_megabytes(self.pid).unwrap_or_default();
        // The summary that a terminal gets tells the same of a whole start.
        if !self.in_summary {
            tracing::info!(
                worker = self.number(),
                pid = self.pid,
                generation = self.generation,
                after_ms = self.since.elapsed().as_millis(),
                memory_mb = self.memory_mb,
                "worker ready"
            );
        }
    }

    /// Takes in what it says of its own end.
    pub(crate) fn heard(&mut self, message: FromWorker) {
        match message {
            FromWorker::Failed {
                error,
                key,
                hint,
                traceback,
            } => {
                self.failure = Some(WorkerFailure::Reported {
                    error,
                    key,
                    hint,
                    traceback,
                });
            }
            FromWorker::Drained => self.drained = true,
            FromWorker::Pong => self.answered = Instant::now(),
            FromWorker::Sees { requests, more } => self.look.saw(requests, more),
            FromWorker::Ready { .. }
            | FromWorker::Replace { .. }
            | FromWorker::Imported { .. }
            | FromWorker::Stacks { .. } => {}
        }
    }

    pub(crate) fn into_failure(self, exit: Exit) -> WorkerFailure {
        let number = self.number();
        self.failure.unwrap_or(WorkerFailure::Died { number, exit })
    }

    /// The end of one that was asked to go.
    pub(crate) fn report_end(&self, exit: Exit) {
        let (worker, pid, generation) = (self.number(), self.pid, self.generation);
        let lived = humane(self.since.elapsed());
        match (self.drained, self.served) {
            (true, true) => {
                tracing::info!(worker, pid, generation, lived, "worker drained and gone");
            }
            (false, true) => {
                tracing::warn!(worker, pid, generation, cause = %exit, lived, "worker gone with requests unfinished");
            }
            (_, false) => {
                tracing::debug!(worker, pid, generation, cause = %exit, "worker gone before it served");
            }
        }
    }

    /// The end of one that was needed; the next is started after `wait`.
    pub(crate) fn report_loss(&self, exit: Exit, wait: Duration) {
        let (worker, pid) = (self.number(), self.pid);
        if let Some(failure) = &self.failure {
            tracing::error!(worker, pid, reason = %failure, "worker cannot serve");
        } else {
            let phrase = match self.state == State::Gone(End::NeverReady) {
                true => "worker died before it was ready",
                false => "worker died",
            };
            let lived = humane(self.since.elapsed());
            tracing::error!(worker, pid, cause = %exit, lived, "{phrase}");
        }
        if wait > Duration::ZERO {
            tracing::warn!(worker, wait = ?wait, "starting the next worker after a pause");
        }
    }
}

/// `250 ms`, `12 s`, `3 min`, `5 h`, `12 d`.
pub(crate) fn humane(duration: Duration) -> String {
    match duration.as_secs() {
        0 => format!("{} ms", duration.as_millis()),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86400),
    }
}
