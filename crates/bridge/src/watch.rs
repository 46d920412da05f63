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
//!    Those which stand still because another call keeps the GIL are spared: their clocks stand,
//!    for `timeout_grace` at most.
//! 3. A thread that has not come back `timeout_grace` later is lost: the worker asks to be
//!    replaced.
//!
//! A call that keeps the GIL for `timeout_grace` has its worker replaced, however long it may take.
//!
//! What the timeout covers: the time in which the application is at work and its client waits for
//! the next bytes. Not the queue, which has its own bound: a request that waited long has not less
//! time to be answered in, or an overload would end in exceptions. Not a response that gets on,
//! however long it is (uWSGI's harakiri ends downloads), and not the waits for a slow client.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use appliance_gateway::GatewayError;
use appliance_project::wire::Reason;
use pyo3::prelude::*;

use crate::call::Call;
use crate::exchange::Exchange;
use crate::gil::Gil;
use crate::overdue::Overdue;
use crate::post::{Post, Running, Stage};
use crate::queue::{Queue, lock};
use crate::stack::Mirror;

/// How often the watch looks while something runs or waits.
const TICK: Duration = Duration::from_millis(200);
/// How often it looks else. No timeout is shorter, so none can be missed.
const IDLE_TICK: Duration = Duration::from_secs(1);
/// A call that has sent nothing for so long may keep the GIL. Few do: seeing whether it is to be
/// had costs those at work a switch.
const SLOW: Duration = Duration::from_millis(400);
/// Who wants the GIL has it within some 5 ms for each that competes: in a fifth of this.
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
    stuck: Arc<AtomicBool>,
    mirror: SharedMirror,
}

/// Python's own `faulthandler` in one place, or why there is none: it knows one descriptor.
pub(crate) type SharedMirror = Arc<Mutex<Result<Mirror, String>>>;

struct Look {
    posts: Arc<[Post]>,
    queue: Arc<Queue<Call>>,
    limits: Limits,
    ask: AskReplacement,
    gil: Gil,
    /// Nobody gets on, and one of them never will: see [`Watch::is_stuck`].
    stuck: Arc<AtomicBool>,
    last: Instant,
    /// The time without the GIL that the log has told of, by its beginning.
    told: Option<Instant>,
    mirror: SharedMirror,
}

/// What a look at a post has found.
enum Found {
    Overdue(Arc<Overdue>),
    /// The exception cannot be raised.
    NoGil(Arc<Overdue>),
    Lost(Arc<Overdue>),
}

/// What holds for all posts at one look.
#[derive(Clone, Copy)]
struct Moment {
    now: Instant,
    grace: Duration,
    /// For how long the GIL was not to be had.
    gil_kept: Duration,
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
        let mirror: SharedMirror = Arc::new(Mutex::new(mirror));
        let mut look = Look {
            gil: Gil::new(Arc::clone(&posts)),
            posts,
            queue,
            limits,
            ask,
            stuck: Arc::default(),
            last: Instant::now(),
            told: None,
            mirror: Arc::clone(&mirror),
        };
        let stuck = Arc::clone(&look.stuck);
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
            stuck,
            mirror,
        })
    }

    /// For whoever else wants to see the stack of a thread that keeps the GIL.
    pub(crate) fn mirror(&self) -> SharedMirror {
        Arc::clone(&self.mirror)
    }

    /// Whether no call gets on any more: all threads are lost, or one is and keeps the GIL.
    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
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
        let waiting = self.turn_away_waiting(now);
        let moment = Moment {
            now,
            grace: self.limits.grace,
            gil_kept: self.gil.look(now),
        };
        if moment.gil_kept >= TICK {
            self.gil.spare_bystanders(now - self.last, moment.grace);
        }
        let (mut running, mut slow) = (false, false);
        // Answers before words: a log that nobody reads may block.
        let found: Vec<Found> = self
            .posts
            .iter()
            .enumerate()
            .filter_map(|(place, post)| {
                post.look(|call| {
                    running = true;
                    slow |= call.idle_for(now) >= SLOW;
                    call.climb(place, moment)
                })?
            })
            .collect();
        if slow {
            self.gil.try_for(now);
        }
        let is_new = self.told != self.gil.kept_since;
        if moment.gil_kept >= moment.grace && is_new && self.gil.has_looked() {
            self.told = self.gil.kept_since;
            self.report_kept_gil(moment.gil_kept);
        }
        for found in found {
            self.act_on(found);
        }
        let lost = self.posts.iter().filter(|post| post.is_lost()).count();
        let gil_is_kept = moment.gil_kept >= GIL_PATIENCE;
        let stuck = lost == self.posts.len() || lost > 0 && gil_is_kept;
        self.stuck.store(stuck, Ordering::Relaxed);
        self.last = now;
        if running || waiting { TICK } else { IDLE_TICK }
    }

    fn act_on(&mut self, found: Found) {
        match found {
            Found::Overdue(overdue) => self.gil.strike(overdue),
            Found::NoGil(overdue) => {
                let what = match self.gil.is_kept_by(overdue.place) {
                    true => "it keeps the GIL, so no other request of this worker gets on",
                    false => "the GIL is not to be had, so no request of this worker gets on",
                };
                overdue.report(|| {
                    let stack = self.stack_without_gil(overdue.place, &overdue.exchange);
                    format!("{what}\n{stack}")
                });
                (self.ask)(Reason::Stuck);
            }
            Found::Lost(overdue) => {
                tracing::error!(
                    "a request goes on {:?} after it was given up, and its thread is lost: {}",
                    self.limits.grace,
                    overdue.exchange
                );
                (self.ask)(Reason::Stuck);
            }
        }
    }

    /// A call may have a long timeout, but none may stop all others for as long: its worker is
    /// replaced, and if it ends while that drains, it is answered.
    ///
    /// One that waits in C with the GIL cannot be told from those that it holds up, nor can a
    /// thread of the application's own: then the log names the oldest request, without a stack,
    /// since a signal could end what it waits for.
    fn report_kept_gil(&mut self, gil_kept: Duration) {
        let keeper = self.gil.keeper();
        let call = |running: &mut Running| Arc::clone(&running.exchange);
        let named = keeper.or_else(|| self.oldest());
        if let Some(place) = named
            && let Some(exchange) = self.posts[place].look(call)
        {
            let (seconds, thread) = (gil_kept.as_secs_f64(), place + 1);
            match keeper {
                Some(_) => tracing::error!(
                    "a request has kept the GIL for {seconds:.0} s, so no other request of this \
                     worker gets on: {exchange}, in thread appliance-{thread}\n{}",
                    self.stack_without_gil(place, &exchange)
                ),
                None => tracing::error!(
                    "the GIL has not been to be had for {seconds:.0} s, so no request of this \
                     worker gets on, the oldest: {exchange}, in thread appliance-{thread}"
                ),
            }
        }
        (self.ask)(Reason::Stuck);
    }

    /// The place of the call that began first.
    fn oldest(&self) -> Option<usize> {
        let began = |place: &usize| self.posts[*place].look(|running| running.began);
        let places = (0..self.posts.len()).filter(|place| began(place).is_some());
        places.min_by_key(began)
    }

    fn stack_without_gil(&self, place: usize, exchange: &Arc<Exchange>) -> String {
        show(&self.mirror, &self.posts[place], exchange)
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
                first.exchange
            );
        }
        true
    }
}

/// The stack of a thread that computes and keeps the GIL: a signal ends what another one waits for.
pub(crate) fn show(mirror: &SharedMirror, post: &Post, exchange: &Arc<Exchange>) -> String {
    let stack = match &mut *lock(mirror) {
        Ok(mirror) => mirror.read(|| post.signal(exchange)),
        Err(error) => return format!("its stack is not to be had: {error}"),
    };
    stack.unwrap_or_else(|| "its stack is not to be had: it reacts to no signal".to_owned())
}

impl Running {
    /// Takes the next rung, if it is time.
    fn climb(&mut self, place: usize, moment: Moment) -> Option<Found> {
        let Moment {
            now,
            grace,
            gil_kept,
        } = moment;
        let idle_for = self.idle_for(now);
        let next = match &self.stage {
            Stage::InTime if idle_for >= self.timeout => {
                let overdue = Arc::new(self.give_up(place, now));
                (
                    Stage::Overdue(now, Arc::clone(&overdue)),
                    Found::Overdue(overdue),
                )
            }
            Stage::Overdue(since, overdue)
                if now - *since >= GIL_PATIENCE || gil_kept >= GIL_PATIENCE =>
            {
                let overdue = Arc::clone(overdue);
                (
                    Stage::NoGil(*since, Arc::clone(&overdue)),
                    Found::NoGil(overdue),
                )
            }
            Stage::NoGil(since, overdue) | Stage::Struck(since, overdue)
                if now - *since >= grace =>
            {
                (Stage::Lost, Found::Lost(Arc::clone(overdue)))
            }
            _ => return None,
        };
        self.stage = next.0;
        Some(next.1)
    }

    fn give_up(&self, place: usize, now: Instant) -> Overdue {
        Overdue {
            place,
            exchange: Arc::clone(&self.exchange),
            given_up: self.exchange.fail(GatewayError::Timeout),
            timeout: self.timeout,
            age: now - self.began,
            is_told: AtomicBool::new(false),
        }
    }
}
