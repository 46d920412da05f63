//! News from Python threads to the front, in batches.
//!
//! Waking a task of another thread's runtime costs an eventfd write each time, and system calls
//! are what a small request is made of. So Python threads leave the wakers of the tasks they
//! have news for in a list; one task of the front calls them, where waking is free. The front
//! itself is only woken when it sleeps: its runtime reports that through
//! [`Outbox::front_parks`] and [`Outbox::front_wakes`]. A front too busy to sleep looks into the
//! list by [`Outbox::turn`], or static files could starve the application's answers.
//!
//! A thread that is about to serve its next call within microseconds holds its news back until
//! it has served them all ([`Outbox::hold`]): otherwise the front would wake, write one response
//! and sleep again, for each. Should such a call turn out slow after all, the front finds the
//! news by itself a millisecond later ([`Outbox::watch`]).

use std::future::poll_fn;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::sync::Notify;

use crate::queue::lock;

/// Longest that news are held back: the shortest time that tokio can measure.
const HELD_AT_MOST: Duration = Duration::from_millis(1);

/// The list of tasks to wake, shared by the front and the pool.
#[derive(Debug, Default)]
pub struct Outbox {
    inner: Mutex<Inner>,
    /// The front runs, and will look into the list before it sleeps.
    front_awake: AtomicBool,
    /// The list is not empty: spares [`Outbox::turn`] the lock.
    has_news: AtomicBool,
    /// A Python thread holds news back.
    held: AtomicBool,
    holding_begins: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    news: Vec<Waker>,
    /// The task inside [`Outbox::deliver`].
    courier: Option<Waker>,
}

impl Outbox {
    /// Wakes `task` soon. Called by Python threads.
    pub(crate) fn post(&self, task: Waker) {
        let courier = {
            let mut inner = lock(&self.inner);
            inner.news.push(task);
            self.has_news.store(true, Ordering::SeqCst);
            if inner.news.len() > 1 || self.held.load(Ordering::Relaxed) {
                return;
            }
            self.courier_of_sleeping_front(&inner)
        };
        if let Some(courier) = courier {
            courier.wake();
        }
    }

    /// Holds news back until [`release`](Self::release), or a millisecond.
    pub(crate) fn hold(&self) {
        self.held.store(true, Ordering::Relaxed);
    }

    /// Lets the news go that were held back.
    pub(crate) fn release(&self) {
        if !self.held.swap(false, Ordering::Relaxed) {
            return;
        }
        let courier = {
            let inner = lock(&self.inner);
            if inner.news.is_empty() {
                return;
            }
            self.courier_of_sleeping_front(&inner)
        };
        if let Some(courier) = courier {
            courier.wake();
        }
    }

    fn courier_of_sleeping_front(&self, inner: &Inner) -> Option<Waker> {
        match self.front_awake.load(Ordering::SeqCst) {
            true => None,
            false => inner.courier.clone(),
        }
    }

    /// Announces that news may be held back from now on. Called by the front.
    pub(crate) fn expect_holding(&self) {
        self.holding_begins.notify_one();
    }

    /// Wakes the front a millisecond after news may have been held back; it looks for news when it
    /// sleeps again. Never ends. To be spawned once on the front's runtime.
    pub async fn watch(&self) {
        loop {
            self.holding_begins.notified().await;
            tokio::time::sleep(HELD_AT_MOST).await;
        }
    }

    /// Wakes tasks as their news come in; never ends. To be spawned once on the front's runtime.
    pub async fn deliver(&self) {
        let mut batch = Vec::new();
        poll_fn(|context| {
            {
                let mut inner = lock(&self.inner);
                if !inner
                    .courier
                    .as_ref()
                    .is_some_and(|known| known.will_wake(context.waker()))
                {
                    inner.courier = Some(context.waker().clone());
                }
                std::mem::swap(&mut inner.news, &mut batch);
                self.has_news.store(false, Ordering::SeqCst);
            }
            batch.drain(..).for_each(Waker::wake);
            Poll::<()>::Pending
        })
        .await;
    }

    /// The front's thread is about to sleep: what came in while it ran is delivered first.
    pub fn front_parks(&self) {
        self.front_awake.store(false, Ordering::SeqCst);
        // The lock orders this check after any `post` that still saw the front awake.
        self.wake_courier(&lock(&self.inner));
    }

    /// The front's thread runs again.
    pub fn front_wakes(&self) {
        self.front_awake.store(true, Ordering::SeqCst);
    }

    /// To be called by the front between its connections' turns. Costs one load.
    pub fn turn(&self) {
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
