//! The bounded queue of calls, and who takes from it.
//!
//! Threads that share a GIL do not go faster for being more: handing the GIL over costs more
//! than a small request. So one thread serves as long as it gets on, taking call after call
//! without letting go of the GIL, and another joins only when those at work are blocked. What
//! tells is their load: how much of its time each runs, in sum. One runs all the time, or ten run a
//! tenth of it each: either way there is a GIL's worth of work in progress.
//!
//! 1. Calls come in bursts: whoever pushes says, by [`Queue::rouse`], when the burst is over.
//!    Waking a thread for each call would have it sleep again before the next.
//! 2. If no thread is at work then, one is woken. If some are, that arms the *sentry*: an idle
//!    thread that looks, at once and then every [`SENTRY_TICK`], at their load. If it is below
//!    [`BLOCKED`] (they wait for a database, a socket, a lock), the sentry joins them. It also joins
//!    when no call was taken for [`STALL`]: one that computes for a minute must not hold up the
//!    others for as long.
//! 3. A thread finding the queue empty goes idle; so does one that is not alone when, having served
//!    [`STINT`], it sees a load of [`FULL`]: they wait for the GIL. If calls still wait it becomes the
//!    sentry, and joins again if it was wrong.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use appliance_figures::Counter;

use crate::sys::ThreadState;

/// How often the sentry looks: long beside a request of some 20 us, short beside a wait for
/// a database.
const SENTRY_TICK: Duration = Duration::from_millis(2);
/// How long the sentry stays after the queue was last seen waiting: waking it anew for every
/// burst would cost more than its ticks.
const SENTRY_STAYS: Duration = Duration::from_millis(20);
/// How long calls wait for a thread that computes: a few of the 5 ms after which Python's threads
/// take turns anyway. (One that waits for a processor does not compute: two would wait for it.)
const STALL: Duration = Duration::from_millis(20);
/// How long a thread serves before it considers going idle again.
const STINT: Duration = Duration::from_millis(50);
/// A load below which another thread joins.
const BLOCKED: f64 = 0.85;
/// A load from which on one thread less would do.
const FULL: f64 = 0.95;

/// Locks, also after a panic elsewhere: every critical section here leaves a sound state.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A bounded queue of `T` and the threads that serve from it.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    capacity: usize,
    /// Calls have come since the last [`Queue::rouse`].
    has_come: AtomicBool,
    /// As many as `state.waiting` holds, for a look without the lock.
    waiting: AtomicUsize,
    /// The same, for the world.
    length: &'static Counter,
}

struct State<T> {
    waiting: VecDeque<T>,
    members: Vec<Member>,
    /// Idle members, the one to wake next (warmest caches) last.
    idle: Vec<usize>,
    sentry: Option<usize>,
    at_work: usize,
    /// Calls taken so far, wrapping: whether it changes is all that counts.
    taken: u64,
    closed: bool,
}

struct Member {
    thread: Thread,
    kernel: ThreadState,
    at_work: bool,
    /// Since when it is at work, or idle.
    since: Instant,
    /// Since when it is at work or has last considered going idle.
    stint_since: Instant,
    /// How long it was at work before.
    worked: Duration,
    /// At the last look: how long it had been at work, and how much of that running.
    seen: (Duration, Duration),
    /// What part of its time it ran before that.
    load: f64,
}

/// A thread's place in the queue's list.
#[derive(Clone, Copy)]
pub(crate) struct Place(usize);

/// What an idle thread is told.
#[derive(PartialEq, Debug)]
pub(crate) enum Duty {
    /// Serve from the queue until [`Queue::next`] returns nothing.
    Serve,
    /// The queue is closed and empty.
    Leave,
}

impl<T> Queue<T> {
    /// A queue of `capacity`, whose length is told in `length`.
    pub(crate) fn new(capacity: usize, length: &'static Counter) -> Self {
        Queue {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                members: Vec::new(),
                idle: Vec::new(),
                sentry: None,
                at_work: 0,
                taken: 0,
                closed: false,
            }),
            capacity,
            has_come: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            length,
        }
    }

    /// To be called with the lock held.
    fn tell_length(&self, state: &State<T>) {
        self.waiting.store(state.waiting.len(), Ordering::Relaxed);
        self.length.set(state.waiting.len() as u64);
    }

    /// Enqueues a call; gives it back when the queue is full or closed. To be followed by a
    /// [`rouse`](Self::rouse) before the caller sleeps.
    pub(crate) fn push(&self, call: T) -> Result<(), T> {
        let mut state = lock(&self.state);
        if state.waiting.len() >= self.capacity || state.closed {
            return Err(call);
        }
        state.waiting.push_back(call);
        self.tell_length(&state);
        self.has_come.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Sees to it that somebody serves what has come. Costs one load when nothing has.
    pub(crate) fn rouse(&self) {
        if !self.has_come.load(Ordering::Relaxed) {
            return;
        }
        let wake = {
            let mut state = lock(&self.state);
            self.has_come.store(false, Ordering::Relaxed);
            if state.waiting.is_empty() {
                None
            } else if state.at_work == 0 {
                state.employ_next()
            } else if state.sentry.is_none() {
                state.sentry = state.idle.last().copied();
                state
                    .sentry
                    .map(|place| state.members[place].thread.clone())
            } else {
                None
            }
        };
        if let Some(thread) = wake {
            thread.unpark();
        }
    }

    /// Takes out the calls at the head that `is_meant`.
    pub(crate) fn remove_while(&self, is_meant: impl Fn(&T) -> bool) -> Vec<T> {
        let mut state = lock(&self.state);
        let mut removed = Vec::new();
        while state.waiting.front().is_some_and(&is_meant) {
            removed.extend(state.waiting.pop_front());
        }
        self.tell_length(&state);
        removed
    }

    /// How many calls wait, or waited a moment ago.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Joins the calling thread, idle at first.
    pub(crate) fn join(&self) -> Place {
        let mut state = lock(&self.state);
        let now = Instant::now();
        state.members.push(Member {
            thread: std::thread::current(),
            kernel: ThreadState::of_this_thread(),
            at_work: false,
            since: now,
            stint_since: now,
            worked: Duration::ZERO,
            seen: (Duration::ZERO, Duration::ZERO),
            load: 0.0,
        });
        let place = state.members.len() - 1;
        state.idle.push(place);
        if state.at_work == 0 && !state.waiting.is_empty() {
            state.employ(place);
        }
        Place(place)
    }

    /// Sleeps until there is work for this thread. Not to be called with the GIL held.
    pub(crate) fn wait(&self, Place(me): Place) -> Duty {
        let mut seen_waiting = Instant::now();
        let mut stalled = Stalled::default();
        loop {
            let looks_again = {
                let mut state = lock(&self.state);
                if state.members[me].at_work {
                    return Duty::Serve;
                }
                if state.closed && state.waiting.is_empty() {
                    return Duty::Leave;
                }
                if state.sentry == Some(me) {
                    if !state.waiting.is_empty() {
                        seen_waiting = Instant::now();
                        // Where nobody is at work, a burst is coming in, and whoever pushes will
                        // wake a thread at its end.
                        let blocked =
                            state.at_work > 0 && state.load() < BLOCKED && !state.anyone_runs();
                        if blocked || stalled.for_long(state.taken, || state.computed()) {
                            state.employ(me);
                            return Duty::Serve;
                        }
                    } else {
                        stalled = Stalled::default();
                        if seen_waiting.elapsed() > SENTRY_STAYS {
                            state.sentry = None;
                        }
                    }
                }
                // Nobody wakes those who wait for the last calls of a closed queue.
                state.sentry == Some(me) || state.closed
            };
            if looks_again {
                std::thread::park_timeout(SENTRY_TICK);
            } else {
                std::thread::park();
                seen_waiting = Instant::now();
                stalled = Stalled::default();
            }
        }
    }

    /// The next call for a thread at work; `None` sends it back to [`wait`](Self::wait).
    pub(crate) fn next(&self, Place(me): Place) -> Option<T> {
        let mut state = lock(&self.state);
        let retires = state.at_work > 1
            && !state.closed
            && state.members[me].stint_since.elapsed() > STINT
            && {
                state.members[me].stint_since = Instant::now();
                state.load() >= FULL
            };
        if !retires && let Some(call) = state.waiting.pop_front() {
            self.tell_length(&state);
            state.taken = state.taken.wrapping_add(1);
            return Some(call);
        }
        let member = &mut state.members[me];
        member.at_work = false;
        member.worked += member.since.elapsed();
        state.at_work -= 1;
        state.idle.push(me);
        if retires {
            // What was seen of the others is how they fared with one more.
            state
                .members
                .iter_mut()
                .for_each(|member| member.load = 1.0);
        }
        if !state.waiting.is_empty() && state.sentry.is_none() {
            state.sentry = Some(me);
        }
        None
    }

    /// Lets nothing more in. What waits is still served.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        for member in &state.members {
            member.thread.unpark();
        }
    }
}

/// Since when the same number of calls has been taken, and how much had been computed then.
#[derive(Default)]
struct Stalled(Option<(u64, Instant, Duration)>);

impl Stalled {
    fn for_long(&mut self, taken: u64, computed: impl Fn() -> Duration) -> bool {
        match self.0 {
            Some((known, since, before)) if known == taken => {
                since.elapsed() > STALL && computed().saturating_sub(before) > STALL / 2
            }
            _ => {
                self.0 = Some((taken, Instant::now(), computed()));
                false
            }
        }
    }
}

impl Member {
    /// What part of its time at work since the last look it has run, or waited for a processor. What
    /// it does at this moment tells less: it waits for a lock now and then however busy it is.
    fn load(&mut self) -> f64 {
        /// In less, there is too little to see.
        const TELLING: Duration = Duration::from_micros(500);
        let worked = self.worked + self.since.elapsed();
        let since_look = worked.saturating_sub(self.seen.0);
        if since_look >= TELLING
            && let Some((computed, waited)) = self.kernel.times()
        {
            let ran = (computed + waited).saturating_sub(self.seen.1);
            self.seen = (worked, computed + waited);
            self.load = ran.as_secs_f64() / since_look.as_secs_f64();
        }
        self.load
    }
}

impl<T> State<T> {
    fn employ_next(&mut self) -> Option<Thread> {
        let place = *self.idle.last()?;
        self.employ(place);
        Some(self.members[place].thread.clone())
    }

    fn employ(&mut self, place: usize) {
        self.idle.retain(|idle| *idle != place);
        if self.sentry == Some(place) {
            self.sentry = None;
        }
        let (member, now) = (&mut self.members[place], Instant::now());
        member.at_work = true;
        (member.since, member.stint_since) = (now, now);
        self.at_work += 1;
        // Those still idle watch over what waits.
        if self.sentry.is_none()
            && self.waiting.len() > 1
            && let Some(next) = self.idle.last()
        {
            self.sentry = Some(*next);
            self.members[*next].thread.unpark();
        }
    }

    /// How much of its time each thread at work runs, as far as the kernel sees, in sum.
    fn load(&mut self) -> f64 {
        let at_work = self.members.iter_mut().filter(|member| member.at_work);
        // All are looked at, so that each look is at the time since the one before.
        at_work.map(Member::load).sum()
    }

    /// Whether any thread at work runs at this moment, or waits for a processor; if that is all it has
    /// done for a while, its load does not show it yet.
    fn anyone_runs(&self) -> bool {
        let mut at_work = self.members.iter().filter(|member| member.at_work);
        at_work.any(|member| member.kernel.is_running())
    }

    /// Processor time of those at work.
    fn computed(&self) -> Duration {
        let at_work = self.members.iter().filter(|member| member.at_work);
        let times = at_work.filter_map(|member| member.kernel.times());
        times.map(|(computed, _)| computed).sum()
    }
}
