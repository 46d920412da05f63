//! The master: starts the workers, replaces those it loses, stops them.
//!
//! 1. [`Master::start`]: one worker in each slot; all must become ready, or none stays.
//! 2. [`Master::watch`]: a slot that loses its worker gets the next one, after its back-off.
//! 3. [`Master::stop`]: every worker drains; one that takes longer than `server.stop_timeout`
//!    is killed.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use appliance_project::wire::{FromWorker, ToWorker};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::Started;
use crate::control::{self, Control, Event, Exit, What, WorkerId};
use crate::error::{Halt, StartError, WorkerFailure};
use crate::lifecycle::{BackOff, End, State, Step};
use crate::listeners::Listeners;
use crate::memory;
use crate::signals::{Signals, Stop};
use crate::spawn::Launcher;

/// A worker ends its own requests at `server.stop_timeout`; this much later it is overdue.
const STOP_MARGIN: Duration = Duration::from_secs(1);

/// A signal that follows the first this closely is the same request: `timeout`, `tini -g` and
/// shells send theirs to the process and to its group.
const SAME_REQUEST: Duration = Duration::from_millis(300);

/// The workers and their slots.
pub(crate) struct Master {
    launcher: Launcher,
    listeners: Listeners,
    slots: Vec<Slot>,
    workers: BTreeMap<WorkerId, Worker>,
    /// Until the start is complete, if a summary will tell of it.
    in_summary: bool,
    /// Workers ever started.
    started: u64,
    events: UnboundedReceiver<Event>,
    reporter: UnboundedSender<Event>,
}

#[derive(Debug, Default)]
struct Slot {
    back_off: BackOff,
    /// When its next worker is started; none while it has one.
    due: Option<Instant>,
}

#[derive(Debug)]
struct Worker {
    slot: usize,
    pid: u32,
    state: State,
    since: Instant,
    control: Control,
    /// Whether it belongs to the start that the summary on a terminal is about.
    in_summary: bool,
    /// What it took when it became ready.
    memory_mb: u64,
    /// Whether it has ever been ready.
    served: bool,
    /// Whether it said that every request was finished.
    drained: bool,
    /// Why it says it cannot serve.
    failure: Option<WorkerFailure>,
}

/// How a stop went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every running request was finished, or an immediate stop was asked for.
    Stopped,
    /// A worker was still busy when `server.stop_timeout` had passed, or died while it drained.
    Overdue,
}

impl Master {
    pub(crate) fn new(launcher: Launcher, listeners: Listeners) -> Master {
        let slots = launcher.project.python.processes;
        let (reporter, events) = unbounded_channel();
        Master {
            launcher,
            listeners,
            slots: (0..slots).map(|_| Slot::default()).collect(),
            workers: BTreeMap::new(),
            in_summary: std::io::stderr().is_terminal(),
            started: 0,
            events,
            reporter,
        }
    }

    /// Starts a worker in every slot and waits until all are ready. Returns the Python they
    /// report.
    pub(crate) async fn start(&mut self, signals: &mut Signals) -> Result<String, Halt> {
        let result = self.start_all(signals).await;
        if result.is_err() {
            self.kill_all().await;
        }
        result
    }

    async fn start_all(&mut self, signals: &mut Signals) -> Result<String, Halt> {
        for slot in 0..self.slots.len() {
            self.launch(slot).map_err(|source| StartError::Launch {
                python: self.launcher.python.clone(),
                source,
            })?;
        }
        let mut version = String::new();
        while self
            .workers
            .values()
            .any(|worker| worker.state == State::Starting)
        {
            let event = tokio::select! {
                biased;
                stop = signals.stop() => return Err(Halt::Stopped(stop)),
                event = self.next_event() => event,
            };
            if let What::Said(FromWorker::Ready { python }) = &event.what {
                version.clone_from(python);
            }
            if let Some((worker, exit)) = self.take_in(event) {
                if let Some(stop) = stop_behind(exit, signals).await {
                    return Err(Halt::Stopped(stop));
                }
                return Err(StartError::Worker(worker.into_failure(exit)).into());
            }
            // Its siblings are about to fail in the same way: one traceback is enough.
            if let Some(failure) = self.take_failure() {
                return Err(StartError::Worker(failure).into());
            }
        }
        self.advance_all(Step::StartComplete);
        self.in_summary = false;
        Ok(version)
    }

    /// What there is to say after [`Master::start`].
    pub(crate) fn started(&self, python: String, after: Duration) -> Started<'_> {
        Started {
            project: &self.launcher.project,
            addresses: self.listeners.addresses(),
            python: Some(python),
            worker_memory_mb: self.workers.values().map(|worker| worker.memory_mb).max(),
            interpreter: self.launcher.python.clone(),
            after,
        }
    }

    /// Serves until a stop is asked for.
    pub(crate) async fn watch(&mut self, signals: &mut Signals) -> Stop {
        loop {
            let due = self.slots.iter().filter_map(|slot| slot.due).min();
            tokio::select! {
                biased;
                stop = signals.stop() => return stop,
                event = self.next_event() => {
                    if let Some((worker, exit)) = self.take_in(event) {
                        self.plan_successor(&worker, exit);
                    }
                    self.advance_all(Step::StartComplete);
                }
                () = sleep_until(due) => self.launch_due(),
            }
        }
    }

    /// Lets every worker finish what it does. A second TERM or INT ends them at once.
    pub(crate) async fn stop(mut self, signals: &mut Signals) -> Outcome {
        self.ask_all_to_stop().await;
        let timeout = self.launcher.project.server.stop_timeout;
        let asked_at = Instant::now();
        let deadline = asked_at + timeout + STOP_MARGIN;
        let mut outcome = Outcome::Stopped;
        while !self.workers.is_empty() {
            tokio::select! {
                biased;
                event = self.next_event() => {
                    if self.leaves_unfinished(&event) {
                        outcome = Outcome::Overdue;
                    }
                    self.take_in(event);
                }
                again = signals.stop() => {
                    if again != Stop::Quit && asked_at.elapsed() >= SAME_REQUEST {
                        tracing::warn!(signal = %again, "stopping at once");
                        self.kill_all().await;
                        return Outcome::Stopped;
                    }
                }
                () = sleep_until(Some(deadline)) => {
                    self.report_overdue(timeout);
                    self.kill_all().await;
                    return Outcome::Overdue;
                }
            }
        }
        outcome
    }

    /// Whether a worker has ended without saying that its requests were finished. (One that
    /// was killed while it started had none.)
    fn leaves_unfinished(&self, event: &Event) -> bool {
        let worker = self.workers.get(&event.worker);
        matches!(event.what, What::Exited(_))
            && worker.is_some_and(|worker| worker.served && !worker.drained)
    }

    /// A worker that is still importing serves nobody and need not be waited for.
    async fn ask_all_to_stop(&mut self) {
        for worker in self.workers.values_mut() {
            if worker.state == State::Starting {
                worker.control.kill();
            } else {
                worker.control.send(&ToWorker::Stop).await;
            }
        }
        self.advance_all(Step::AskedToStop);
    }

    fn report_overdue(&self, timeout: Duration) {
        for worker in self.workers.values() {
            tracing::warn!(
                worker = worker.slot + 1,
                pid = worker.pid,
                stop_timeout = ?timeout,
                "killing a worker whose requests did not end in time"
            );
        }
    }

    async fn kill_all(&mut self) {
        for worker in self.workers.values_mut() {
            worker.state = worker.state.after(Step::AskedToStop);
            worker.control.kill();
        }
        while !self.workers.is_empty() {
            let event = self.next_event().await;
            self.take_in(event);
        }
    }

    /// Books an event. Returns the worker that is gone without having been asked to go.
    fn take_in(&mut self, event: Event) -> Option<(Worker, Exit)> {
        match event.what {
            What::Said(message) => {
                let worker = self.workers.get_mut(&event.worker)?;
                worker.heard(message);
                None
            }
            What::Exited(exit) => {
                let mut worker = self.workers.remove(&event.worker)?;
                worker.state = worker.state.after(Step::Exited);
                (worker.state != State::Gone(End::Stopped)).then_some((worker, exit))
            }
        }
    }

    fn take_failure(&mut self) -> Option<WorkerFailure> {
        self.workers
            .values_mut()
            .find_map(|worker| worker.failure.take())
    }

    fn plan_successor(&mut self, worker: &Worker, exit: Exit) {
        let lifetime = worker.since.elapsed();
        let wait = self.slots[worker.slot].back_off.after_death(lifetime);
        worker.report_loss(exit, lifetime, wait);
        self.slots[worker.slot].due = Some(Instant::now() + wait);
    }

    fn launch_due(&mut self) {
        let now = Instant::now();
        for slot in 0..self.slots.len() {
            if self.slots[slot].due.is_none_or(|due| due > now) {
                continue;
            }
            self.slots[slot].due = None;
            if let Err(error) = self.launch(slot) {
                let wait = self.slots[slot].back_off.after_death(Duration::ZERO);
                tracing::error!(worker = slot + 1, %error, again_in = ?wait, "cannot start a worker");
                self.slots[slot].due = Some(now + wait.max(Duration::from_millis(100)));
            }
        }
    }

    fn launch(&mut self, slot: usize) -> std::io::Result<()> {
        let (command, socket) = self
            .launcher
            .supervised(slot, self.listeners.of_slot(slot))?;
        let child = command.spawn()?;
        let pid = child.id().unwrap_or_default();
        self.started += 1;
        let id = WorkerId(self.started);
        let control = control::follow(id, child, socket, self.reporter.clone())?;
        tracing::debug!(worker = slot + 1, pid, "worker starting");
        let since = Instant::now();
        let worker = Worker {
            slot,
            pid,
            state: State::Starting,
            since,
            control,
            in_summary: self.in_summary,
            memory_mb: 0,
            served: false,
            drained: false,
            failure: None,
        };
        self.workers.insert(id, worker);
        Ok(())
    }

    fn advance_all(&mut self, step: Step) {
        for worker in self.workers.values_mut() {
            worker.state = worker.state.after(step);
        }
    }

    /// The master itself can report, so the channel never ends.
    async fn next_event(&mut self) -> Event {
        match self.events.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }
}

impl Worker {
    fn heard(&mut self, message: FromWorker) {
        match message {
            FromWorker::Ready { .. } => {
                self.served = true;
                self.state = self.state.after(Step::ReportedReady);
                self.memory_mb = memory::resident_megabytes(self.pid).unwrap_or_default();
                self.report_ready();
            }
            FromWorker::Failed { error, key, hint } => {
                self.failure = Some(WorkerFailure::Reported { error, key, hint });
            }
            FromWorker::Replace { reason } => {
                tracing::info!(worker = self.slot + 1, pid = self.pid, %reason, "worker asks to be replaced");
            }
            FromWorker::Drained => {
                self.drained = true;
                tracing::debug!(worker = self.slot + 1, pid = self.pid, "worker drained");
            }
        }
    }

    /// The summary that a terminal gets tells the same of a whole start.
    fn report_ready(&self) {
        if self.in_summary {
            return;
        }
        tracing::info!(
            worker = self.slot + 1,
            pid = self.pid,
            after_ms = self.since.elapsed().as_millis(),
            memory_mb = self.memory_mb,
            "worker ready"
        );
    }

    fn into_failure(self, exit: Exit) -> WorkerFailure {
        let number = self.slot + 1;
        self.failure.unwrap_or(WorkerFailure::Died { number, exit })
    }

    fn report_loss(&self, exit: Exit, lifetime: Duration, wait: Duration) {
        let phrase = match &self.failure {
            Some(failure) => {
                tracing::error!(worker = self.slot + 1, pid = self.pid, reason = %failure, "worker cannot serve");
                return self.report_successor(wait);
            }
            None if self.state == State::Gone(End::NeverReady) => "worker died before it was ready",
            None => "worker died",
        };
        let worker = self.slot + 1;
        let lived = humane(lifetime);
        tracing::error!(worker, pid = self.pid, cause = %exit, lived, "{phrase}");
        self.report_successor(wait);
    }

    fn report_successor(&self, wait: Duration) {
        if wait > Duration::ZERO {
            tracing::warn!(worker = self.slot + 1, wait = ?wait, "starting the next worker after a pause");
        }
    }
}

/// A terminal or service manager signals all processes alike, and a worker that is still
/// importing dies of it: then the same signal is here, or about to be.
async fn stop_behind(exit: Exit, signals: &mut Signals) -> Option<Stop> {
    const SOON: Duration = Duration::from_millis(200);
    match exit {
        Exit::Signal(libc::SIGINT | libc::SIGTERM | libc::SIGQUIT | libc::SIGHUP) => {
            tokio::time::timeout(SOON, signals.stop()).await.ok()
        }
        _ => None,
    }
}

/// `250 ms`, `12 s`, `3 min`, `5 h`, `12 d`.
fn humane(duration: Duration) -> String {
    match duration.as_secs() {
        0 => format!("{} ms", duration.as_millis()),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86400),
    }
}

async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}
