//! What runs in this worker, told to the supervisor when it asks.
//!
//! Seeing it may mean to wait for the GIL, and the front's thread waits for nobody: each question
//! has a thread, as long as it takes.

use std::os::unix::net::UnixStream;
use std::sync::Arc;

use appliance_bridge::Inspector;
use appliance_project::wire::{FromWorker, RunningRequest};

use crate::control::tell;

/// What the kernel takes in one piece, even while another thread sends something: a message must
/// not be torn apart by another's. (Linux cuts a stream at 48 KB.)
const LONGEST: usize = 32 << 10;

/// Answers questions over the control socket.
#[derive(Clone)]
pub(crate) struct Answers {
    inspector: Arc<Inspector>,
    control: Arc<UnixStream>,
}

impl Answers {
    pub(crate) fn new(inspector: Inspector, control: UnixStream) -> Answers {
        Answers {
            inspector: Arc::new(inspector),
            control: Arc::new(control),
        }
    }

    /// Tells which requests run.
    pub(crate) fn look(&self) {
        self.answer(|inspector| {
            let (requests, more) = fitting(inspector.running());
            FromWorker::Sees { requests, more }
        });
    }

    /// Tells, and logs, the stack of a request, or of all that run.
    pub(crate) fn stacks(&self, ask: u64, request: Option<String>) {
        self.answer(move |inspector| {
            let text = shortened(inspector.stacks(request.as_deref()));
            FromWorker::Stacks { ask, text }
        });
    }

    fn answer(&self, see: impl FnOnce(&Inspector) -> FromWorker + Send + 'static) {
        let Answers { inspector, control } = self.clone();
        let spawned = std::thread::Builder::new()
            .name("appliance-look".to_owned())
            .spawn(move || tell(Some(&control), &see(&inspector)));
        // The supervisor does not wait for ever.
        if let Err(error) = spawned {
            tracing::warn!(%error, "cannot start the thread that looks at what runs");
        }
    }
}

/// As many as a message holds, and how many it does not.
fn fitting(mut requests: Vec<RunningRequest>) -> (Vec<RunningRequest>, usize) {
    let mut bytes = 0;
    let fits = |request: &RunningRequest| {
        bytes += serde_json::to_vec(request).map_or(LONGEST, |json| json.len() + 1);
        bytes < LONGEST
    };
    let count = requests.iter().map(fits).take_while(|fits| *fits).count();
    let more = requests.len() - count;
    requests.truncate(count);
    (requests, more)
}

/// With its end left out; JSON may take two bytes for one.
fn shortened(mut text: String) -> String {
    const MOST: usize = LONGEST / 2;
    if text.len() > MOST {
        let end = (0..=MOST).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or_default());
        text.push_str("\n… the log has the rest");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: String) -> RunningRequest {
        RunningRequest {
            id: "1".to_owned(),
            thread: 1,
            method: "GET".to_owned(),
            url,
            client: [127, 0, 0, 1].into(),
            age_ms: 1,
            at: None,
            within: None,
            unseen: None,
        }
    }

    #[test]
    fn a_message_holds_as_many_requests_as_go_through_in_one_piece() {
        let requests = vec![request("/\u{1}".repeat(500)); 100];
        let (told, more) = fitting(requests);
        assert_eq!(told.len() + more, 100);
        assert!(more > 0 && !told.is_empty());
        let message = FromWorker::Sees {
            requests: told,
            more,
        };
        assert!(serde_json::to_vec(&message).unwrap().len() < LONGEST + 100);
        assert_eq!(fitting(vec![request("/".to_owned())]).1, 0);
    }

    #[test]
    fn a_long_traceback_is_cut_between_two_characters() {
        let text = shortened("ü".repeat(LONGEST));
        assert!(text.len() < LONGEST && text.ends_with("the log has the rest"));
        assert_eq!(shortened("short".to_owned()), "short");
    }
}
