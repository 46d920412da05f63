//! What is known of a request when its answer is out: for the figures, and for whoever logs it.

use std::time::Instant;

use appliance_gateway::Timing;
use http::StatusCode;

use crate::access_log::{End, Entry};
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
    /// Whether the client is told.
    pub(crate) tells_timing: bool,
    /// The line that it will be, where there is an access log.
    pub(crate) entry: Option<Box<Entry>>,
    /// Bytes that were sent of its response, and those of the response's head.
    pub(crate) sent_bytes: u64,
    pub(crate) head_bytes: u64,
}

impl Account {
    pub(crate) fn open() -> Account {
        Account {
            began: clock::of_this_turn(),
            status: None,
            timing: None,
            tells_timing: false,
            entry: None,
            sent_bytes: 0,
            head_bytes: 0,
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let took = clock::read().saturating_duration_since(self.began);
        let figures = &appliance_figures::own().front;
        figures.request(self.status.map(|status| status.as_u16()));
        figures.request_time.record(took);
        if let Some(entry) = &self.entry {
            entry.write(End {
                status: self.status,
                timing: self.timing,
                took,
                sent_bytes: self.sent_bytes,
                head_bytes: self.head_bytes,
            });
        }
    }
}
