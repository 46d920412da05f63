//! What is known of a request when its answer is out: for the figures, and for whoever logs it.

use std::time::Instant;

use appliance_gateway::Timing;
use http::StatusCode;

use crate::clock;

/// A request, from the end of its head; it is counted when this is dropped, which also happens
/// where its connection is closed in the middle.
#[derive(Debug)]
pub(crate) struct Account {
    began: Instant,
    /// Of the answer that was begun; none if the client left before.
    pub(crate) status: Option<StatusCode>,
    /// Of the application, if that answered.
    pub(crate) timing: Option<Timing>,
}

impl Account {
    pub(crate) fn open() -> Account {
        Account {
            began: clock::of_this_turn(),
            status: None,
            timing: None,
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let took = clock::read().saturating_duration_since(self.began);
        let figures = &appliance_figures::own().front;
        figures.request(self.status.map(|status| status.as_u16()));
        figures.request_time.record(took);
    }
}
