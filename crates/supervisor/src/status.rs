//! What the server says of itself.

use std::convert::Infallible;
use std::path::Path;
use std::time::Instant;

use appliance_figures::{Levels, Totals};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::event::Event;
use crate::memory;
use crate::protocol::{Answer, PreloadStatus, Request, Status, WorkerStatus};
use crate::shared;
use crate::worker::Worker;

impl Status {
    /// Of a supervisor that has just begun.
    pub(crate) fn starting(project: &Path, began: Instant) -> Status {
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            project: project.to_owned(),
            state: "starting".to_owned(),
            generation: 0,
            uptime: began.elapsed().as_secs_f64(),
            python: String::new(),
            addresses: Vec::new(),
            https: Vec::new(),
            uwsgi: Vec::new(),
            unix: Vec::new(),
            uwsgi_unix: Vec::new(),
            workers: Vec::new(),
            preload: None,
            replaced: Default::default(),
            last_failure: None,
            counted: Vec::new(),
            total: Totals::default(),
            maintenance: shared::maintenance(),
            levels: Levels::default(),
            bucket_bounds: appliance_figures::bounds().collect(),
        }
    }
}

impl Status {
    /// Whether the application's requests would be answered by it.
    pub fn is_ready(&self) -> bool {
        const STAND_IN: usize = 0;
        let mut workers = self.workers.iter();
        let serves = workers.any(|worker| worker.worker != STAND_IN && worker.state == "serving");
        serves && self.state != "stopping"
    }
}

impl WorkerStatus {
    pub(crate) fn of(worker: &Worker) -> WorkerStatus {
        let usage = memory::usage(worker.pid).unwrap_or_default();
        WorkerStatus {
            worker: worker.number(),
            pid: worker.pid,
            state: worker.state.as_str().to_owned(),
            generation: worker.generation,
            uptime: worker.since.elapsed().as_secs_f64(),
            memory_bytes: usage.resident,
            cpu_seconds: usage.cpu.as_secs_f64(),
            levels: worker.levels(),
            ..WorkerStatus::default()
        }
    }
}

impl PreloadStatus {
    pub(crate) fn of(pid: Option<u32>) -> PreloadStatus {
        PreloadStatus {
            pid,
            memory_bytes: pid.and_then(memory::resident).unwrap_or_default(),
        }
    }
}

impl From<Status> for Answer {
    fn from(status: Status) -> Answer {
        Answer::Status {
            status: Box::new(status),
        }
    }
}

/// Answers for a server that installs packages or runs hooks and has no master yet.
pub(crate) async fn answer_while_preparing(
    events: &mut UnboundedReceiver<Event>,
    project: &Path,
    began: Instant,
) -> Infallible {
    loop {
        match events.recv().await {
            Some(Event::Asked(Request::Status { .. }, reply)) => {
                reply.send(&Status::starting(project, began).into());
            }
            Some(Event::Looked { answer, .. }) => {
                // Whoever has gone away does not need to know.
                let _ = answer.send(Status::starting(project, began));
            }
            Some(Event::Asked(_, reply)) => reply.failed(3, "error: the server is starting\n"),
            Some(Event::Worker(..) | Event::Prepared(_) | Event::Tried(..) | Event::Changed(_)) => {
            }
            None => std::future::pending().await,
        }
    }
}
