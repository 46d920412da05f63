//! News from Python threads to the front, in batches.
//!
//! Waking a task of another thread's runtime costs an eventfd write each time, and what wakes
//! the front for one response and again for the next request costs more than either takes. So:
//!
//! 1. Python threads leave the wakers of the tasks they have news for in a list; one task of the
//!    front calls them ([`Outbox::deliver`]), where waking is free.
//! 2. The front is only woken when it sleeps ([`Outbox::front_parks`], [`Outbox::front_wakes`]). One
//!    too busy to sleep looks into the list by [`Outbox::turn`], or static files could starve
//!    the application's answers.
//! 3. While Python has more to do than it can ([`Outbox::nap`]), reading further requests is of no
//!    use to anybody: the front sleeps without looking at its sockets, for a bounded time, and
//!    Python threads hold whole responses back as long ([`Outbox::hold`]). They then leave
//!    together, and the requests they provoke arrive together. Each wake-up saved is two
//!    switches between threads on one processor, which cost a Django view a tenth of its time.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::queue::lock;

/// The list of tasks to wake, shared by the front and the pool.
#[derive(Debug, Default)]
pub struct Outbox {
    inner: Mutex<Inner>,
    /// Ends a nap.
    wanted: Condvar,
    /// The list is not empty: spares [`Outbox::turn`] the lock.
    has_news: AtomicBool,
}

#[derive(Debug, Default)]
struct Inner {
    news: Vec<Waker>,
    /// The task inside [`Outbox::deliver`].
    courier: Option<Waker>,
    front: Front,
    held: bool,
}

/// What the front's thread does.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Front {
    /// Waits for its sockets: an eventfd wakes it.
    #[default]
    Sleeps,
    /// Waits for news, or the end of its nap.
    Naps,
    /// Runs, and will look into the list before it sleeps.
    Runs,
}

impl Outbox {
    /// Wakes `task` soon; if the news are `urgent`, whether they are held back or not. Called by
    /// Python threads.
    pub(crate) fn post(&self, task: Waker, urgent: bool) {
        let mut inner = lock(&self.inner);
        inner.news.push(task);
        inner.held &= !urgent;
        self.has_news.store(true, Ordering::Relaxed);
        // The first of several has woken the front already.
        if inner.front == Front::Naps && !inner.held
            || inner.front == Front::Sleeps && inner.news.len() == 1
        {
            self.wake_front(inner);
        }
    }

    /// Lets a nap go on although there is news.
    pub(crate) fn hold(&self) {
        lock(&self.inner).held = true;
    }

    /// Undoes [`hold`](Self::hold).
    pub(crate) fn release(&self) {
        let mut inner = lock(&self.inner);
        inner.held = false;
        if inner.front == Front::Naps && !inner.news.is_empty() {
            self.wake_front(inner);
        }
    }

    fn wake_front(&self, mut inner: std::sync::MutexGuard<'_, Inner>) {
        if inner.front == Front::Naps {
            inner.front = Front::Runs;
            drop(inner);
            self.wanted.notify_one();
        } else if let Some(courier) = inner.courier.clone() {
            drop(inner);
            courier.wake();
        }
    }

    /// Wakes tasks as their news come in; never ends. To be spawned once on the front's runtime.
    pub async fn deliver(&self) {
        let mut batch = Vec::new();
        poll_fn(|context| {
            {
                let mut inner = lock(&self.inner);
                match &mut inner.courier {
                    Some(known) => known.clone_from(context.waker()),
                    none => *none = Some(context.waker().clone()),
                }
                std::mem::swap(&mut inner.news, &mut batch);
                self.has_news.store(false, Ordering::Relaxed);
            }
            batch.drain(..).for_each(Waker::wake);
            Poll::<()>::Pending
        })
        .await;
    }

    /// Sleeps on the front's thread until there is news that is not held back. Returns whether
    /// there is any.
    pub(crate) fn nap(&self, at_most: Duration) -> bool {
        let mut inner = lock(&self.inner);
        if !inner.news.is_empty() {
            return true;
        }
        inner.front = Front::Naps;
        let (mut inner, _) = self
            .wanted
            .wait_timeout_while(inner, at_most, |inner| inner.front == Front::Naps)
            .unwrap_or_else(PoisonError::into_inner);
        inner.front = Front::Runs;
        !inner.news.is_empty()
    }

    /// The front's thread is about to sleep: what came in while it ran is delivered first.
    pub(crate) fn front_parks(&self) {
        let mut inner = lock(&self.inner);
        inner.front = Front::Sleeps;
        self.wake_courier(&inner);
    }

    /// The front's thread runs again.
    pub(crate) fn front_wakes(&self) {
        lock(&self.inner).front = Front::Runs;
    }

    /// To be called by the front between its connections' turns. Costs one load.
    pub(crate) fn turn(&self) {
        if self.has_news.load(Ordering::Relaxed) {
            self.wake_courier(&lock(&self.inner));
        }
    }

    fn wake_courier(&self, inner: &Inner) {
        if let (false, Some(courier)) = (inner.news.is_empty(), &inner.courier) {
            courier.wake_by_ref();
        }
    }
}
