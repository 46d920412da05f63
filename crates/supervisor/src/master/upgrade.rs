//! How the supervisor becomes another binary, and back.
//!
//! 1. The new binary rehearses ([`crate::trial`]) beside what serves.
//! 2. This process becomes the new binary ([`crate::handover`]); the workers stay its children.
//! 3. The new binary rolls out a generation of its own. If that fails after all, the process
//!    becomes the old binary again, with the workers it had.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use appliance_figures::Page;
use appliance_log::HandedSource;
use appliance_project::wire::Reason;

use super::replace::Slot;
use super::rollout::{Kind, Rollout};
use super::{Events, Master};
use crate::control::Reply;
use crate::daemon;
use crate::event::Event;
use crate::generation::Generation;
use crate::handover::{self, HandedSlot, HandedWorker, Handover};
use crate::instance::Instance;
use crate::listeners::Listeners;
use crate::logs::{self, HandedLog};
use crate::look::Look;
use crate::process::{self, Process, WorkerId};
use crate::signals::{Signals, Stop};
use crate::stage::Stage;
use crate::sys;
use crate::trial::{self, Refused};
use crate::worker::{Role, Worker};

const NOT_STARTED: u8 = 3;

/// Why the master does not watch any more.
#[derive(Debug)]
pub(crate) enum Leave {
    /// A stop was asked for.
    Stop(Stop),
    /// This binary has rehearsed well.
    HandOver { binary: PathBuf },
    /// The old binary is to go on, for this reason.
    HandBack { why: String },
}

/// An upgrade that is being rehearsed.
#[derive(Debug)]
pub(super) struct Trying {
    pub(super) asked: Vec<Reply>,
}

/// What the old binary has left, until nobody wants to go back to it.
#[derive(Debug)]
pub(crate) struct Inherited {
    pub(crate) binary: File,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) own: serde_json::Value,
    /// Its sockets: this program's generation may have others.
    pub(crate) listeners: Listeners,
    /// Who waits for the outcome.
    pub(crate) asked: Vec<Reply>,
}

impl Master {
    /// Begins to upgrade; without a binary, to what is now where this one was started from.
    pub(super) fn upgrade(
        &mut self,
        signals: &Signals,
        binary: Option<PathBuf>,
        asked: Vec<Reply>,
    ) {
        if self.development.is_some() || !self.may_reload() {
            let text = match self.development.is_some() {
                true => "error: `appliance dev` is not upgraded: start the other binary\n",
                false => "error: a reload or an upgrade is under way\n",
            };
            let text = text.to_owned();
            return refuse(
                &asked,
                &Refused {
                    exit_status: NOT_STARTED,
                    text,
                },
            );
        }
        let binary = binary.unwrap_or_else(own_path);
        tracing::info!(binary = %binary.display(), "upgrading");
        self.manager.reloading();
        self.folder.enter();
        let stage = match Stage::new(signals, asked.clone()) {
            Ok(stage) => stage,
            Err(error) => {
                let text = format!("error: {error}\n");
                return refuse(
                    &asked,
                    &Refused {
                        exit_status: NOT_STARTED,
                        text,
                    },
                );
            }
        };
        self.trying = Some(Trying { asked });
        let reporter = self.reporter.clone();
        tokio::spawn(async move {
            let result = trial::of(&binary, stage).await;
            // Nobody listens only when the supervisor itself is at its end.
            let _ = reporter.send(Event::Tried(binary, result));
        });
    }

    pub(super) fn tried(&mut self, binary: PathBuf, result: Result<(), Refused>) {
        match result {
            Ok(()) => self.leaving = Some(Leave::HandOver { binary }),
            Err(refused) => {
                let asked = self.trying.take().map(|trying| trying.asked);
                self.last_failure = Some(refused.text.clone());
                refuse(&asked.unwrap_or_default(), &refused);
            }
        }
    }

    /// Becomes `binary`; returns only when that fails.
    pub(crate) async fn hand_over(&mut self, instance: &Instance, binary: &Path) {
        self.settle().await;
        for reply in self.reload_again.take().unwrap_or_default() {
            reply.failed(
                NOT_STARTED,
                "error: the server becomes another binary, which reads everything anew\n",
            );
        }
        let asked = self.trying.take().map(|trying| trying.asked);
        let asked = asked.unwrap_or_default();
        let error = self.try_hand_over(instance, binary, &asked);
        let text = format!("error: cannot run `{}`: {error}\n", binary.display());
        refuse(
            &asked,
            &Refused {
                exit_status: NOT_STARTED,
                text,
            },
        );
    }

    fn try_hand_over(&self, instance: &Instance, binary: &Path, asked: &[Reply]) -> io::Error {
        let old = match File::open("/proc/self/exe") {
            Ok(old) => old,
            Err(error) => return error,
        };
        let own = match serde_json::to_value(self.generation.own()) {
            Ok(own) => own,
            Err(error) => return error.into(),
        };
        let left = Inherited {
            binary: old,
            arguments: handover::arguments(),
            own,
            listeners: self.generation.listeners.clone(),
            asked: asked.to_vec(),
        };
        // The thread that reads the pipes does not survive exec.
        let sources = appliance_log::pause();
        let error = match self.handover(instance, &left, &sources) {
            Some(handover) => handover.exec(binary),
            None => io::ErrorKind::NotFound.into(),
        };
        logs::go_on(self.generation.project(), sources);
        error
    }

    /// Becomes the old binary; returns only when that fails.
    pub(crate) async fn hand_back(&mut self, instance: &Instance, why: String) {
        self.settle().await;
        let Some(inherited) = self.inherited.take() else {
            return;
        };
        let asked = inherited.asked.clone();
        let sources = appliance_log::pause();
        let handover = self.handover(instance, &inherited, &sources);
        let error = handover.map(|mut handover| handover.give_back(why.clone()));
        logs::go_on(self.generation.project(), sources);
        if let Some(error) = error {
            tracing::error!(%error, "the old binary cannot go on; the old workers serve on");
        }
        refuse(
            &asked,
            &Refused {
                exit_status: NOT_STARTED,
                text: why,
            },
        );
    }

    /// Lets tasks finish what they are at, so that nothing is forgotten with this program.
    async fn settle(&mut self) {
        const ROUNDS: usize = 16;
        self.generation.end_preload().await;
        for slot in &mut self.slots {
            let successor = slot.call_off_successor();
            if let Some(worker) = successor.and_then(|id| self.workers.get_mut(&id)) {
                worker.kill();
            }
        }
        for _ in 0..ROUNDS {
            tokio::task::yield_now().await;
            while let Ok(event) = self.events.try_recv() {
                self.handle(event);
            }
        }
    }

    fn handover(
        &self,
        instance: &Instance,
        left: &Inherited,
        sources: &[HandedSource],
    ) -> Option<Handover> {
        let slots = self.slots.iter().map(|slot| HandedSlot {
            holder: slot.holder().map(|id| id.0),
            // An older binary does not know that one, and the next one replaces all of them.
            wish: slot.wish().filter(|reason| *reason != Reason::Recycle),
        });
        let workers = self.workers.iter();
        Some(Handover {
            version: handover::VERSION,
            returned: None,
            generation: self.generation.number,
            uptime_ms: millis(self.began.elapsed()),
            python: self.python.clone(),
            replaced: self.replaced.clone(),
            counted: self.counted.clone(),
            started: self.started,
            lanes: left.listeners.hand_over(),
            unix: left.listeners.unix().hand_over(),
            spread: left.listeners.slots(),
            slots: slots.collect(),
            workers: workers.map(|(id, worker)| handed(*id, worker)).collect(),
            instance: instance.hand_over()?,
            logs: sources.iter().map(HandedLog::of).collect(),
            asked: left.asked.iter().map(Reply::fd).collect(),
            binary: left.binary.as_raw_fd(),
            arguments: left.arguments.clone(),
            shared: crate::shared::fd(),
            background: daemon::file().map(Path::to_owned),
            own: left.own.clone(),
        })
    }

    /// The master of a server that another program has run until now.
    pub(crate) fn adopt(
        sources: appliance_project::Sources,
        generation: Generation,
        events: Events,
        handed: &Handover,
    ) -> io::Result<Master> {
        let age = Duration::from_millis(handed.uptime_ms);
        let now = Instant::now();
        let began = now.checked_sub(age).unwrap_or(now);
        let mut master = Master::new(sources, generation, events, began);
        master.in_summary = false;
        master.python.clone_from(&handed.python);
        master.replaced.clone_from(&handed.replaced);
        master.counted.clone_from(&handed.counted);
        master.started = handed.started;
        for worker in &handed.workers {
            master.adopt_worker(worker)?;
        }
        let known = |id: &u64| master.workers.contains_key(&WorkerId(*id));
        let slots = handed.slots.iter().map(|slot| {
            let holder = slot.holder.filter(known).map(WorkerId);
            Slot::handed(holder, slot.wish)
        });
        master.slots = slots.collect();
        master.adopt_stand_in();
        Ok(master)
    }

    fn adopt_worker(&mut self, handed: &HandedWorker) -> io::Result<()> {
        let id = WorkerId(handed.id);
        let process = Process::adopted(handed.pid)?;
        let socket = sys::adopt(handed.control)?.into();
        let control = process::follow(id, process, socket, self.reporter.clone())?;
        let figures = handed.figures.and_then(|fd| {
            let page = Page::open(sys::adopt(fd).ok()?.into());
            page.inspect_err(|error| tracing::warn!(worker = handed.pid, %error, "a worker's figures cannot be read; they are not counted"))
                .ok()
        });
        let now = Instant::now();
        let deadline = handed.deadline_in_ms.map(Duration::from_millis);
        let worker = Worker {
            role: handed.slot.map_or(Role::StandIn, Role::Slot),
            generation: handed.generation,
            pid: handed.pid,
            state: handed.state,
            since: now
                .checked_sub(Duration::from_millis(handed.age_ms))
                .unwrap_or(now),
            deadline: deadline.map(|deadline| now + deadline),
            control,
            figures,
            in_summary: false,
            memory_mb: 0,
            served: handed.served,
            drained: handed.drained,
            // The one who follows it sees that, too.
            hung_up: false,
            covers: handed.covers.clone(),
            look: Look::of(handed.can_look),
            answered: now,
            failure: None,
        };
        self.workers.insert(id, worker);
        Ok(())
    }

    /// Rolls out this program's own generation.
    pub(crate) fn roll_out_inherited(&mut self, inherited: Inherited) {
        let asked = inherited.asked.clone();
        self.inherited = Some(inherited);
        self.rollout = Some(Rollout::new(
            Arc::clone(&self.generation),
            Kind::Upgrade,
            asked,
        ));
        self.launch_members(1);
    }

    /// The upgrade is complete.
    pub(super) fn upgraded(&mut self) {
        self.inherited = None;
    }

    /// The new binary has given up.
    pub(crate) fn came_back(&mut self, why: &str, asked: Vec<Reply>) {
        self.last_failure = Some(why.to_owned());
        refuse(
            &asked,
            &Refused {
                exit_status: NOT_STARTED,
                text: why.to_owned(),
            },
        );
    }
}

fn refuse(asked: &[Reply], refused: &Refused) {
    tracing::error!("the upgrade failed; what served before serves on");
    appliance_log::text(&refused.text);
    asked
        .iter()
        .for_each(|reply| reply.failed(refused.exit_status, refused.text.as_str()));
}

fn handed(id: WorkerId, worker: &Worker) -> HandedWorker {
    let now = Instant::now();
    let deadline = worker
        .deadline
        .map(|deadline| deadline.saturating_duration_since(now));
    HandedWorker {
        id: id.0,
        slot: match worker.role {
            Role::Slot(slot) => Some(slot),
            Role::StandIn => None,
        },
        generation: worker.generation,
        pid: worker.pid,
        state: worker.state,
        age_ms: millis(worker.since.elapsed()),
        deadline_in_ms: deadline.map(millis),
        control: worker.control.fd(),
        figures: worker.figures.as_ref().map(Page::fd),
        served: worker.served,
        drained: worker.drained,
        can_look: worker.look.knows,
        covers: worker.covers.clone(),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Where this program was started from. A file that was replaced is marked by the kernel.
fn own_path() -> PathBuf {
    let path = std::env::current_exe().unwrap_or_else(|_| "appliance".into());
    let text = path.to_string_lossy();
    match text.strip_suffix(" (deleted)") {
        Some(path) => PathBuf::from(path),
        None => path,
    }
}
