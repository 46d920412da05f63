//! The worker's wish for a successor, and what becomes of it where nobody can start one.

use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use appliance_project::wire::{FromWorker, Reason};

use crate::{control, process};

/// Says it to the supervisor, once for each reason.
pub(crate) struct Replacement {
    control: Option<UnixStream>,
    asked: Mutex<Vec<Reason>>,
}

impl Replacement {
    pub(crate) fn new(control: Option<UnixStream>) -> Self {
        Replacement {
            control,
            asked: Mutex::default(),
        }
    }

    /// Asks for a successor. Without a supervisor nobody can start one.
    pub(crate) fn ask(&self, reason: Reason) {
        {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            if asked.contains(&reason) {
                return;
            }
            asked.push(reason);
        }
        match &self.control {
            Some(control) => control::tell(Some(control), &FromWorker::Replace { reason }),
            None => tracing::error!(
                %reason,
                "this worker should be replaced, and there is no supervisor to do it \
                 (`server.master`)"
            ),
        }
    }
}

/// Without a supervisor: ends a worker in which no request gets on any more, for whoever restarts
/// it. As long as one thread serves, that is better than nothing. Never ends else.
pub(crate) async fn end_when_stuck(is_stuck: impl Fn() -> bool) {
    const LOOK: Duration = Duration::from_secs(1);
    while !is_stuck() {
        tokio::time::sleep(LOOK).await;
    }
    tracing::error!("no thread of this worker serves any more: stopping");
    process::ask_to_stop();
}
