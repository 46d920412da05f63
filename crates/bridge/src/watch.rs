//! `python.request_timeout`, rung by rung, and `python.queue_timeout`.
//!
//! One thread, which never waits for the GIL, looks at what runs and what waits a few times a
//! second: no request has a timer of its own.
//!
//! 1. A call whose application has sent nothing for `request_timeout` is given up: the client gets
//!    504, or, when the head has left already, the end of its connection.
//! 2. Python's stack goes to the log, and [`RequestTimeout`](crate::strike::RequestTimeout) is
//!    raised in the thread (`strike`). If the GIL is not to be had, the stack is had without it
//!    (`stack`), and the worker asks to be replaced: no other request in it gets on.
//! 3. A thread that has not come back `timeout_grace` later is lost: the worker asks to be
//!    replaced.
//!
//! What the timeout covers: the time in which the application is at work and its client waits for
//! the next bytes. Not the queue, which has its own bound: a request that waited long has not less
//! time to be answered in, or an overload would end in exceptions. Not a response that gets on,
//! however long it is (uWSGI's harakiri ends downloads), and not the waits for a slow client.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use appliance_gateway::GatewayError;
use appliance_project::wire::Reason;
use pyo3::prelude::*;

use crate::call::{Call, Label};
use crate::exchange::{Exchange, GivenUp};
use crate::post::{Post, Running, Stage};
use crate::queue::Queue;
use crate::stack::Mirror;
use crate::strike::Striker;

/// How often the watch looks while something runs or waits.
const TICK: Duration = Duration::from_millis(200);
/// How often it looks else. No timeout is shorter, so none can be missed.
const IDLE_TICK: Duration = Duration::from_secs(1);
/// A thread that wants the GIL has it within some 5 ms for each that competes.
const GIL_PATIENCE: Duration = Duration::from_secs(1);

/// Asks the supervisor for a successor.
pub(crate) type AskReplacement = Arc<dyn Fn(Reason) + Send + Sync>;

/// The clocks.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) grace: Duration,
    pub(crate) queue: Duration,
}

/// The watch's thread; it ends when this is dropped.
pub(crate) struct Watch {
    thread: std::thread::Thread,
    ended: Arc<AtomicBool>,
}

struct Look {
    posts: Arc<[Post]>,
    queue: Arc<Queue<Call>>,
    limits: Limits,
    ask: AskReplacement,
    striker: Option<Striker>,
    mirror: Result<Mirror, String>,
}

/// A request that was given up.
pub(crate) struct Overdue {
    pub(crate) place: usize,
    pub(crate) exchange: Arc<Exchange>,
    label: Label,
    given_up: GivenUp,
    timeout: Duration,
    age: Duration,
}

/// What a look at a post has found.
enum Found {
    Overdue(Overdue),
    KeepsGil(Overdue),
    Lost(Label),
}

impl Watch {
    /// Starts watching.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn start(
        py: Python<'_>,
        posts: Arc<[Post]>,
        queue: Arc<Queue<Call>>,
        limits: Limits,
        ask: AskReplacement,
    ) -> std::io::Result<Self> {
        let mirror = Mirror::new(py).map_err(|error| error.to_string());
        let mut look = Look {
            posts,
            queue,
            limits,
            ask,
            striker: None,
            mirror,
        };
        let ended = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&ended);
        let thread = std::thread::Builder::new()
            .name("appliance-watch".to_owned())
            .spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let nap = look.around(Instant::now());
                    std::thread::park_timeout(nap);
                }
            })?;
        Ok(Watch {
            thread: thread.thread().clone(),
            ended,
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.unpark();
    }
}

impl Look {
    /// One look at everything; returns how long the next may wait.
    fn around(&mut self, now: Instant) -> Duration {
        let mut busy = self.turn_away_waiting(now);
        let grace = self.limits.grace;
        // Answers before words: a log that nobody reads may block.
        let found: Vec<Found> = self
            .posts
            .iter()
            .enumerate()
            .filter_map(|(place, post)| {
                post.look(|running| {
                    busy = true;
                    running.climb(place, now, grace)
                })?
            })
            .collect();
        for found in found {
            self.act_on(found);
        }
        if busy { TICK } else { IDLE_TICK }
    }

    fn act_on(&mut self, found: Found) {
        match found {
            Found::Overdue(overdue) => self.strike(overdue),
            Found::KeepsGil(overdue) => {
                let stack = self.stack_without_gil(&overdue);
                overdue.report(&format!(
                    "it keeps the GIL, so no other request of this worker gets on\n{stack}"
                ));
                (self.ask)(Reason::Stuck);
            }
            Found::Lost(label) => {
                tracing::error!(
                    "a request goes on {:?} after RequestTimeout was to end it, and its thread is lost: {label}",
                    self.limits.grace
                );
                (self.ask)(Reason::Stuck);
            }
        }
    }

    fn strike(&mut self, overdue: Overdue) {
        if self.striker.is_none() {
            match Striker::start(Arc::clone(&self.posts)) {
                Ok(striker) => self.striker = Some(striker),
                Err(error) => tracing::error!(%error, "cannot start the thread that ends requests"),
            }
        }
        if let Some(striker) = &self.striker {
            striker.strike(overdue);
        }
    }

    fn stack_without_gil(&mut self, overdue: &Overdue) -> String {
        let mirror = match &mut self.mirror {
            Ok(mirror) => mirror,
            Err(error) => return format!("its stack is not to be had: {error}"),
        };
        let post = &self.posts[overdue.place];
        let stack = mirror.read(|| post.signal(&overdue.exchange));
        stack.unwrap_or_else(|| "its stack is not to be had: it reacts to no signal".to_owned())
    }

    /// Answers those that have waited too long. Returns whether any wait.
    fn turn_away_waiting(&self, now: Instant) -> bool {
        if self.queue.waiting() == 0 {
            return false;
        }
        let Some(oldest) = now.checked_sub(self.limits.queue) else {
            return true;
        };
        let waited = self.queue.remove_while(|call| call.came <= oldest);
        for call in &waited {
            call.exchange.fail(GatewayError::Waited);
        }
        if let Some(first) = waited.first() {
            tracing::warn!(
                requests = waited.len(),
                "requests waited {:?} for a thread and were answered 503, the first: {}; see \
                 `python.threads`, `python.processes` and `python.queue_timeout`",
                self.limits.queue,
                first.label()
            );
        }
        true
    }
}

impl Running {
    /// Takes the next rung, if it is time.
    fn climb(&mut self, place: usize, now: Instant, grace: Duration) -> Option<Found> {
        match self.stage {
            Stage::InTime => {
                let idle_since = self.idle_since(now);
                if now.saturating_duration_since(idle_since) < self.timeout {
                    return None;
                }
                let given_up = self.exchange.fail(GatewayError::Timeout);
                self.stage = Stage::Overdue(now, given_up);
                Some(Found::Overdue(self.overdue(place, now, given_up)))
            }
            Stage::Overdue(since, given_up) if now - since >= GIL_PATIENCE => {
                self.stage = Stage::Logged(since, given_up);
                Some(Found::KeepsGil(self.overdue(place, now, given_up)))
            }
            Stage::Logged(since, _) | Stage::Struck(since) if now - since >= grace => {
                self.stage = Stage::Lost;
                Some(Found::Lost(self.label.clone()))
            }
            _ => None,
        }
    }

    fn overdue(&self, place: usize, now: Instant, given_up: GivenUp) -> Overdue {
        Overdue {
            place,
            exchange: Arc::clone(&self.exchange),
            label: self.label.clone(),
            given_up,
            timeout: self.timeout,
            age: now - self.began,
        }
    }
}

impl Overdue {
    /// Tells of it, with the stack or why there is none.
    pub(crate) fn report(&self, stack: &str) {
        let outcome = match self.given_up {
            GivenUp::Answered => "was answered 504",
            GivenUp::Cut => "was cut",
            GivenUp::Complete => "goes on after its response",
            GivenUp::Gone => "goes on without its client",
        };
        tracing::error!(
            "a request took longer than its {:?} and {outcome}: {}, {:.1} s old, in thread \
             appliance-{}\n{stack}",
            self.timeout,
            self.label,
            self.age.as_secs_f64(),
            self.place + 1
        );
    }
}
