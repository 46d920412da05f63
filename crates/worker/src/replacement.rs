//! The worker's wish for a successor.

use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::PoisonError;

use appliance_project::wire::{FromWorker, Reason};

use crate::control;

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
