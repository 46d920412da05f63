//! What is known of a request when its answer is out: for the figures, and for whoever logs it.

use std::net::SocketAddr;
use std::time::Instant;

use appliance_gateway::Timing;
use appliance_message::{Head, ResponseHead};
use http::StatusCode;

use crate::access_log::{End, Entry};
use crate::clock;
use crate::request::Client;
use crate::serve::Front;
use crate::site::Site;

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

    /// The request is this site's, or what was no request came to it. Begins a line of the site's
    /// access log, if it has one.
    pub(crate) fn is_of<G>(
        &mut self,
        site: &Site,
        front: &Front<G>,
        head: Option<&Head>,
        (client, local): (Client, SocketAddr),
    ) {
        self.tells_timing = site.server_timing;
        if let Some(log) = &site.access_log {
            let mut entry = log.begin(head, client, local);
            entry.id = log.has_id().then(|| front.next_id());
            self.entry = Some(entry);
        }
    }

    /// An answer is begun, with this head as it will be sent.
    pub(crate) fn answers_with(&mut self, head: &ResponseHead) {
        self.status = Some(head.status);
        if let Some(entry) = &mut self.entry {
            entry.note_response(head);
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
