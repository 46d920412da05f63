//! Questions about running requests, which workers answer when they can: nobody waits for them
//! longer than [`PATIENCE`], and the master not at all.

use std::time::{Duration, Instant};

use appliance_project::wire::ToWorker;
use tokio::sync::oneshot;

use super::Master;
use crate::control::Reply;
use crate::look::Need;
use crate::process::WorkerId;
use crate::protocol::Status;

/// A worker waits up to 250 ms for the GIL, and may first have to wait for a processor.
const PATIENCE: Duration = Duration::from_secs(1);
/// The stack of a thread that keeps the GIL takes longer.
const STACKS_PATIENCE: Duration = Duration::from_secs(5);
/// Exit status.
const NOT_DONE: u8 = 3;

/// What was asked and is not answered.
#[derive(Debug, Default)]
pub(super) struct Inquiries {
    status: Vec<StatusInquiry>,
    stacks: Vec<StacksInquiry>,
    last_number: u64,
}

#[derive(Debug)]
struct StatusInquiry {
    asker: Asker,
    /// For the answers of these workers.
    waits: Vec<WorkerId>,
    until: Instant,
}

#[derive(Debug)]
struct StacksInquiry {
    number: u64,
    worker: WorkerId,
    reply: Reply,
    until: Instant,
}

/// Who wants to know how the server fares.
#[derive(Debug)]
pub(super) enum Asker {
    Control(Reply),
    Admin(oneshot::Sender<Status>),
}

impl Asker {
    fn tell(self, status: Status) {
        match self {
            Asker::Control(reply) => reply.send(&status.into()),
            // Whoever has gone away does not need to know.
            Asker::Admin(answer) => drop(answer.send(status)),
        }
    }
}

impl Inquiries {
    /// When the next of them has waited long enough.
    pub(super) fn due(&self) -> Option<Instant> {
        let status = self.status.iter().map(|inquiry| inquiry.until);
        let stacks = self.stacks.iter().map(|inquiry| inquiry.until);
        status.chain(stacks).min()
    }
}

impl Master {
    /// Tells how the server fares; with `requests`, when the workers have said what runs.
    pub(super) fn tell_status(&mut self, asker: Asker, requests: bool) {
        if !requests {
            return asker.tell(self.status());
        }
        let mut waits = Vec::new();
        for (id, worker) in &mut self.workers {
            if !worker.can_look() {
                continue;
            }
            match worker.look.need(PATIENCE) {
                Need::Nothing => continue,
                Need::Wait => {}
                Need::Ask => {
                    worker.control.send(&ToWorker::Look);
                    worker.look.was_asked();
                }
            }
            waits.push(*id);
        }
        self.inquiries.status.push(StatusInquiry {
            asker,
            waits,
            until: Instant::now() + PATIENCE,
        });
        self.answer_complete(|_| false);
    }

    /// A worker has answered.
    pub(super) fn has_looked(&mut self, id: WorkerId) {
        for inquiry in &mut self.inquiries.status {
            inquiry.waits.retain(|waits| *waits != id);
        }
        self.answer_complete(|_| false);
    }

    /// A worker answers no more.
    pub(super) fn has_gone(&mut self, id: WorkerId) {
        self.has_looked(id);
        self.give_up_stacks(|inquiry| inquiry.worker == id, "the worker is gone");
    }

    pub(super) fn answer_overdue(&mut self, now: Instant) {
        self.answer_complete(|inquiry| inquiry.until <= now);
        let overdue = |inquiry: &StacksInquiry| inquiry.until <= now;
        self.give_up_stacks(overdue, "the worker does not answer");
    }

    fn answer_complete(&mut self, is_overdue: impl Fn(&StatusInquiry) -> bool) {
        let complete =
            |inquiry: &mut StatusInquiry| inquiry.waits.is_empty() || is_overdue(inquiry);
        let answered: Vec<_> = self.inquiries.status.extract_if(.., complete).collect();
        for inquiry in answered {
            let status = self.status_with_requests();
            inquiry.asker.tell(status);
        }
    }

    fn status_with_requests(&mut self) -> Status {
        let mut status = self.status();
        for told in &mut status.workers {
            let mut workers = self.workers.values_mut();
            if let Some(worker) = workers.find(|worker| worker.pid == told.pid) {
                worker.look.tell(told);
            }
        }
        status
    }

    /// Has the worker with this process write the stack of a request, or of all, to the log.
    pub(super) fn ask_for_stacks(&mut self, pid: u32, request: Option<String>, reply: Reply) {
        let mut workers = self.workers.iter();
        let found = workers.find(|(_, worker)| worker.pid == pid && worker.can_look());
        let Some((id, worker)) = found else {
            return reply.failed(NOT_DONE, "error: no worker with this process serves\n");
        };
        self.inquiries.last_number += 1;
        let number = self.inquiries.last_number;
        let ask = number;
        worker.control.send(&ToWorker::Stacks { ask, request });
        self.inquiries.stacks.push(StacksInquiry {
            number,
            worker: *id,
            reply,
            until: Instant::now() + STACKS_PATIENCE,
        });
    }

    pub(super) fn tell_stacks(&mut self, number: u64, text: String) {
        let stacks = &mut self.inquiries.stacks;
        if let Some(place) = stacks.iter().position(|inquiry| inquiry.number == number) {
            stacks.swap_remove(place).reply.done(text);
        }
    }

    fn give_up_stacks(&mut self, is_meant: impl Fn(&StacksInquiry) -> bool, why: &str) {
        let meant = |inquiry: &mut StacksInquiry| is_meant(inquiry);
        for inquiry in self.inquiries.stacks.extract_if(.., meant) {
            inquiry.reply.failed(NOT_DONE, format!("error: {why}\n"));
        }
    }
}
