//! The master: knows which worker is where, and turns events into the next step.
//!
//! 1. [`Master::start`]: the first generation is rolled out ([`rollout`]).
//! 2. [`Master::watch`]: workers that die or ask for it are replaced ([`replace`]), generations
//!    follow each other ([`rollout`]).
//! 3. [`Master::stop`]: every worker drains ([`stop`]).
//!
//! Nothing in here waits for one worker: each event and each deadline takes one step. What takes
//! long (packages, hooks) is a task of its own.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use appliance_figures::Totals;
use appliance_project::Sources;
use appliance_project::wire::FromWorker;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use crate::Started;
use crate::control::Reply;
use crate::development::Development;
use crate::error::{Halt, StartError, WorkerFailure};
use crate::event::Event;
use crate::folder::Folder;
use crate::generation::Generation;
use crate::lifecycle::{End, State, Step};
use crate::logs;
use crate::look::Look;
use crate::notify::Notifier;
use crate::process::{self, Exit, What, WorkerId};
use crate::protocol::Request;
use crate::signals::{Signals, Stop, Wish};
use crate::worker::{Role, Worker};

use cover::StandIn;
use inquiry::{Asker, Inquiries};
use replace::Slot;
use rollout::{Preparing, Rollout};
use upgrade::Trying;

mod cover;
mod develop;
mod inquiry;
mod manager;
mod replace;
mod report;
mod rollout;
mod stop;
mod upgrade;

pub use stop::Outcome;
pub(crate) use upgrade::{Inherited, Leave};

/// Where events come from, and how to add some.
pub(crate) type Events = (UnboundedSender<Event>, UnboundedReceiver<Event>);

/// The workers and their slots.
pub(crate) struct Master {
    /// What the project is read from, again at each reload.
    sources: Sources,
    folder: Folder,
    /// What serves; during the start, what is to serve.
    generation: Arc<Generation>,
    slots: Vec<Slot>,
    /// All of them: those that hold a slot, those that start and those that drain.
    workers: BTreeMap<WorkerId, Worker>,
    preparing: Option<Preparing>,
    rollout: Option<Rollout>,
    /// Who asked for a reload during another one, which may have read older files.
    reload_again: Option<Vec<Reply>>,
    stand_in: Option<StandIn>,
    trying: Option<Trying>,
    inherited: Option<Inherited>,
    leaving: Option<Leave>,
    /// Why the last reload failed, if it did.
    last_failure: Option<String>,
    /// How often workers were replaced, by reason.
    replaced: BTreeMap<String, u64>,
    /// What workers that are gone have counted, by their number.
    counted: BTreeMap<usize, Totals>,
    /// When the start began.
    began: Instant,
    start_failure: Option<StartError>,
    /// Questions that workers have not answered yet.
    inquiries: Inquiries,
    stopping: bool,
    manager: Notifier,
    /// `3.11.7 (CPython)`.
    python: String,
    /// Until the start is complete, if a summary will tell of it.
    in_summary: bool,
    /// Workers ever started.
    started: u64,
    /// Only for `appliance dev`.
    development: Option<Development>,
    events: UnboundedReceiver<Event>,
    reporter: UnboundedSender<Event>,
}

impl Master {
    pub(crate) fn new(
        sources: Sources,
        generation: Generation,
        (reporter, events): Events,
        began: Instant,
    ) -> Master {
        Master {
            sources,
            folder: Folder::current(),
            slots: Vec::new(),
            workers: BTreeMap::new(),
            preparing: None,
            rollout: None,
            reload_again: None,
            stand_in: None,
            trying: None,
            inherited: None,
            leaving: None,
            last_failure: None,
            replaced: BTreeMap::new(),
            counted: BTreeMap::new(),
            began,
            start_failure: None,
            inquiries: Inquiries::default(),
            stopping: false,
            manager: Notifier::default(),
            python: String::new(),
            in_summary: std::io::stderr().is_terminal(),
            started: 0,
            development: Development::of(generation.project(), &reporter),
            generation: Arc::new(generation),
            events,
            reporter,
        }
    }

    /// Starts a worker in every slot and waits until all serve, or none stays.
    pub(crate) async fn start(&mut self, signals: &mut Signals) -> Result<(), Halt> {
        self.roll_out_first();
        while self.rollout.is_some() {
            let deadline = self.next_deadline();
            tokio::select! {
                biased;
                stop = signals.stop() => {
                    self.kill_all().await;
                    return Err(Halt::Stopped(stop));
                }
                event = next(&mut self.events) => self.handle(event),
                () = sleep_until(deadline) => self.mind_the_time(),
            }
        }
        self.in_summary = false;
        let Some(error) = self.start_failure.take() else {
            return Ok(());
        };
        self.kill_all().await;
        match stop_behind(&error, signals).await {
            Some(stop) => Err(Halt::Stopped(stop)),
            None => Err(error.into()),
        }
    }

    /// What there is to say after [`Master::start`].
    pub(crate) fn summary(&self, after: Duration) -> Started<'_> {
        Started {
            project: self.generation.project(),
            addresses: self.generation.listeners.addresses(),
            https: self.generation.https(),
            uwsgi: self.generation.uwsgi(),
            python: Some(self.python.clone()),
            worker_memory_mb: self.workers.values().map(|worker| worker.memory_mb).max(),
            interpreter: self.generation.launcher.python.clone(),
            after,
        }
    }

    /// Serves until there is something else to do.
    pub(crate) async fn watch(&mut self, signals: &mut Signals) -> Leave {
        loop {
            self.tell_manager();
            let deadline = self.next_deadline();
            tokio::select! {
                biased;
                wish = signals.next() => match wish {
                    Wish::Stop(stop) => return Leave::Stop(stop),
                    Wish::Upgrade => self.upgrade(signals, None, Vec::new()),
                    Wish::Reload => self.reload(signals, Vec::new()),
                    // What there is to say is in the log.
                    Wish::Reopen => drop(logs::reopen()),
                },
                event = next(&mut self.events) => match event {
                    Event::Asked(Request::Reload, reply) => self.reload(signals, vec![reply]),
                    Event::Asked(Request::Upgrade { binary }, reply) => {
                        self.upgrade(signals, binary, vec![reply]);
                    }
                    Event::Changed(files) => self.reload_changed(signals, &files),
                    event => self.handle(event),
                },
                () = sleep_until(deadline) => self.mind_the_time(),
            }
            if self.may_reload()
                && let Some(asked) = self.reload_again.take()
            {
                self.reload(signals, asked);
            }
            self.start_replacements();
            self.cover_slots();
            if let Some(leave) = self.leaving.take() {
                return leave;
            }
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Worker(id, What::Said(message)) => self.hear(id, message),
            Event::Worker(id, What::HungUp) => {
                if let Some(worker) = self.workers.get_mut(&id) {
                    worker.hung_up = true;
                }
            }
            Event::Worker(id, What::Exited(exit)) => self.bury(id, exit),
            Event::Prepared(prepared) => self.roll_out_prepared(*prepared),
            // While the server starts: when it has, it reads what there is then.
            Event::Changed(_) => drop(self.reload_again.get_or_insert_default()),
            Event::Tried(binary, result) => self.tried(binary, result),
            Event::Looked { requests, answer } => self.tell_status(Asker::Admin(answer), requests),
            Event::Asked(Request::Status { requests }, reply) => {
                self.tell_status(Asker::Control(reply), requests);
            }
            Event::Asked(Request::Traceback { pid, request }, reply) => {
                self.ask_for_stacks(pid, request, reply);
            }
            Event::Asked(Request::Recycle { pid }, reply) => self.recycle(pid, &reply),
            Event::Asked(Request::Drain { pid }, reply) => self.drain(pid, &reply),
            Event::Asked(_, reply) => reply.failed(
                3,
                "error: the server is starting, stopping or becoming another binary\n",
            ),
        }
    }

    fn hear(&mut self, id: WorkerId, message: FromWorker) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        match message {
            FromWorker::Ready { python, can_look } => {
                worker.look = Look::of(can_look);
                worker.became_ready();
                self.python = python;
                self.take_up(id);
            }
            FromWorker::Replace { reason } => self.wish_replacement(id, reason),
            FromWorker::Failed { .. } => {
                worker.heard(message);
                self.give_up_rollout_of(id);
            }
            FromWorker::Sees { .. } => {
                worker.heard(message);
                self.has_looked(id);
            }
            FromWorker::Imported { files, all, broken } => {
                if let Some(development) = &mut self.development {
                    development.imported(files, all, broken);
                }
            }
            FromWorker::Stacks { ask, text } => self.tell_stacks(ask, text),
            FromWorker::Drained | FromWorker::Pong => worker.heard(message),
        }
    }

    /// A worker can serve: who waits for it?
    fn take_up(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        if worker.state != State::Ready {
            // It has been told to go meanwhile.
        } else if self.rollout.as_ref().is_some_and(|rollout| rollout.has(id)) {
            self.advance_rollout();
        } else if let Role::Slot(slot) = worker.role
            && self.slots[slot].successor() == Some(id)
        {
            self.succeed(slot);
        } else {
            worker.serve();
        }
    }

    fn bury(&mut self, id: WorkerId, exit: Exit) {
        let Some(mut worker) = self.workers.remove(&id) else {
            return;
        };
        worker.state = worker.state.after(Step::Exited);
        *self.counted.entry(worker.number()).or_default() += &worker.totals();
        self.has_gone(id);
        if self.rollout.as_ref().is_some_and(|rollout| rollout.has(id)) {
            self.give_up_rollout(StartError::Worker(worker.into_failure(exit)));
        } else if worker.state == State::Gone(End::Stopped) {
            worker.report_end(exit);
            self.succeed_drained(id);
        } else if let Role::Slot(slot) = worker.role {
            match self.slots[slot].successor() == Some(id) {
                true => self.successor_failed(slot, &worker, exit),
                false => self.holder_lost(slot, &worker, exit),
            }
        } else {
            self.stand_in_lost(&worker, exit);
        }
    }

    fn launch(&mut self, generation: &Generation, role: Role) -> std::io::Result<WorkerId> {
        let listeners = &generation.listeners;
        let (command, socket, figures) = generation.launcher.supervised(role, listeners)?;
        // The front without an application has nothing of it.
        let preload = generation.preload.as_ref();
        let preload = preload.filter(|_| role != Role::StandIn);
        let (process, pid) = command.start(preload)?;
        self.started += 1;
        let id = WorkerId(self.started);
        let control = process::follow(id, process, socket, self.reporter.clone())?;
        tracing::debug!(worker = role.number(), pid, "worker starting");
        let since = Instant::now();
        let worker = Worker {
            role,
            generation: generation.number,
            pid,
            state: State::Starting,
            since,
            deadline: Some(since + generation.project().python.start_timeout),
            control,
            figures: Some(figures),
            in_summary: self.in_summary,
            memory_mb: 0,
            served: false,
            drained: false,
            hung_up: false,
            covers: Vec::new(),
            look: Look::default(),
            answered: since,
            failure: None,
        };
        self.workers.insert(id, worker);
        Ok(id)
    }

    /// The next moment at which something is to be done.
    fn next_deadline(&self) -> Option<Instant> {
        let workers = self.workers.values().filter_map(|worker| worker.deadline);
        let now = Instant::now();
        let slots = self.slots.iter().filter_map(|slot| slot.next_due(now));
        let stand_in = self.stand_in.as_ref().and_then(StandIn::retires);
        let others = stand_in.into_iter().chain(self.manager.due());
        let inquiries = self.inquiries.due();
        workers.chain(slots).chain(others).chain(inquiries).min()
    }

    fn mind_the_time(&mut self) {
        let now = Instant::now();
        self.end_the_overdue(now);
        self.retire_stand_in(now);
        self.launch_due(now);
        self.mind_the_watchdog(now);
        self.answer_overdue(now);
    }

    /// A worker that is neither ready nor gone when it should be is killed.
    fn end_the_overdue(&mut self, now: Instant) {
        let timeout = self.generation.project().python.start_timeout;
        for worker in self.workers.values_mut() {
            if worker.deadline.is_none_or(|deadline| deadline > now) {
                continue;
            }
            worker.deadline = None;
            let number = worker.number();
            if worker.state == State::Starting {
                worker.failure = Some(WorkerFailure::Slow { number, timeout });
            } else {
                tracing::warn!(
                    worker = number,
                    pid = worker.pid,
                    "killing a worker whose requests did not end in time"
                );
            }
            worker.control.kill();
        }
    }
}

/// The master itself can report, so the channel never ends.
async fn next(events: &mut UnboundedReceiver<Event>) -> Event {
    match events.recv().await {
        Some(event) => event,
        None => std::future::pending().await,
    }
}

async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}

/// A terminal or service manager signals all processes alike, and a worker that is still
/// importing dies of it: then the same signal is here, or about to be.
async fn stop_behind(error: &StartError, signals: &mut Signals) -> Option<Stop> {
    const SOON: Duration = Duration::from_millis(200);
    match error {
        StartError::Worker(WorkerFailure::Died {
            exit: Exit::Signal(libc::SIGINT | libc::SIGTERM | libc::SIGQUIT | libc::SIGHUP),
            ..
        }) => tokio::time::timeout(SOON, signals.stop()).await.ok(),
        _ => None,
    }
}
