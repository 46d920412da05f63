//! The connections of a worker: what each is doing, and since when.
//!
//! No connection keeps a timer. Once a second all are looked over: those that dawdle are closed,
//! those that idle are *parked* (see [`crate::connection`]), and when the worker drains, those
//! without a request are closed at once.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Duration;

/// How often connections are looked over, and the unit of the clocks below.
const TICK: Duration = Duration::from_secs(1);
/// Ticks after which an idle connection is parked.
const PARK_AFTER: u32 = 1;
/// Ticks until an idle connection is closed: nginx's default `keepalive_timeout`, 75 s.
const KEEP_ALIVE: u32 = 75;
/// Ticks that a request's head may take (nginx's `client_header_timeout`), 20 s.
const HEAD_TIMEOUT: u32 = 20;
/// Ticks that a client may take none of what is sent to it: nginx's `send_timeout`, 60 s.
const SEND_TIMEOUT: u32 = 60;
/// Ticks without a byte after which a refused client is given up: nginx's `lingering_timeout`, 5 s.
const LINGER_PAUSE: u32 = 5;
/// Parked connections after which freed memory is given back: below, it is not worth the walk
/// through the heap.
const TRIM_AFTER: usize = 128;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Between requests.
    Idle,
    /// The first bytes of a head are here.
    ReadingHead,
    /// A request is being answered.
    Busy,
    /// The last answer is sent; the client may still be sending.
    Lingering,
}

/// What a connection is told to do; later ones win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
#[repr(u8)]
pub(crate) enum Order {
    None,
    /// Free what an idle connection does not need.
    Park,
    /// Finish the request at hand, then close.
    Drain,
    /// Close now.
    Close,
}

/// One connection's state, shared by its task and the look-out. All of it is touched by one
/// thread: the atomics are there for the compiler.
#[derive(Debug)]
pub(crate) struct Status {
    phase: AtomicU8,
    since: AtomicU32,
    order: AtomicU8,
    waker: OnceLock<Waker>,
    /// hyper has handed all bytes of the last response to the kernel.
    pub(crate) flushed: AtomicBool,
    /// hyper waits for bytes from the client.
    pub(crate) awaits_bytes: AtomicBool,
    /// hyper's state has been dropped.
    pub(crate) parked: AtomicBool,
    /// The client takes none of what is sent to it.
    pub(crate) write_blocked: AtomicBool,
    /// The last request came with a body, of which something may be unread.
    pub(crate) had_body: AtomicBool,
    now: Arc<AtomicU32>,
}

impl Status {
    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Idle,
            1 => Phase::ReadingHead,
            2 => Phase::Busy,
            _ => Phase::Lingering,
        }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
        self.touch();
    }

    /// Starts the clock of the current phase anew.
    pub(crate) fn touch(&self) {
        self.since.store(self.now.load(Relaxed), Relaxed);
    }

    pub(crate) fn order(&self) -> Order {
        match self.order.load(Relaxed) {
            0 => Order::None,
            1 => Order::Park,
            2 => Order::Drain,
            _ => Order::Close,
        }
    }

    pub(crate) fn obeyed(&self) {
        self.order.store(Order::None as u8, Relaxed);
    }

    pub(crate) fn set_waker(&self, waker: &Waker) {
        self.waker.get_or_init(|| waker.clone());
    }

    fn tell(&self, order: Order) {
        if order > self.order() {
            self.order.store(order as u8, Relaxed);
            if let Some(waker) = self.waker.get() {
                waker.wake_by_ref();
            }
        }
    }

    fn overdue(&self, now: u32) -> Order {
        let ticks = now.wrapping_sub(self.since.load(Relaxed));
        match self.phase() {
            Phase::Idle if ticks >= KEEP_ALIVE => Order::Close,
            Phase::Idle if ticks > PARK_AFTER && !self.parked.load(Relaxed) => Order::Park,
            Phase::ReadingHead if ticks >= HEAD_TIMEOUT => Order::Close,
            Phase::Busy if ticks >= SEND_TIMEOUT && self.write_blocked.load(Relaxed) => {
                Order::Close
            }
            Phase::Lingering if ticks >= LINGER_PAUSE => Order::Close,
            _ => Order::None,
        }
    }
}

/// All connections of a worker.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    list: Mutex<Vec<Option<Arc<Status>>>>,
    vacant: Mutex<Vec<usize>>,
    open: AtomicUsize,
    now: Arc<AtomicU32>,
    draining: AtomicBool,
    parked: AtomicUsize,
}

/// A connection's membership; ends when dropped.
#[derive(Debug)]
pub(crate) struct Member {
    connections: Arc<Connections>,
    place: usize,
    pub(crate) status: Arc<Status>,
}

impl Connections {
    pub(crate) fn join(self: &Arc<Self>) -> Member {
        let status = Arc::new(Status {
            phase: AtomicU8::new(Phase::Idle as u8),
            since: AtomicU32::new(self.now.load(Relaxed)),
            order: AtomicU8::new(Order::None as u8),
            waker: OnceLock::new(),
            flushed: AtomicBool::new(true),
            awaits_bytes: AtomicBool::new(false),
            write_blocked: AtomicBool::new(false),
            parked: AtomicBool::new(false),
            had_body: AtomicBool::new(false),
            now: Arc::clone(&self.now),
        });
        if self.draining.load(Relaxed) {
            status.tell(Order::Drain);
        }
        let mut list = lock(&self.list);
        let place = match lock(&self.vacant).pop() {
            Some(place) => {
                list[place] = Some(Arc::clone(&status));
                place
            }
            None => {
                list.push(Some(Arc::clone(&status)));
                list.len() - 1
            }
        };
        self.open.fetch_add(1, Relaxed);
        Member {
            connections: Arc::clone(self),
            place,
            status,
        }
    }

    /// Open connections.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Connections with a request whose answer is not out: neither those that only linger, nor
    /// those whose request never came to its end.
    pub(crate) fn unanswered(&self) -> usize {
        let list = lock(&self.list);
        let phases = list.iter().flatten().map(|status| status.phase());
        phases
            .filter(|phase| matches!(phase, Phase::Busy | Phase::Idle))
            .count()
    }

    /// Looks over all connections every tick, and returns the memory of many parked ones by
    /// `give_memory_back`; never ends.
    pub(crate) async fn look_out(&self, give_memory_back: fn()) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now = self.now.fetch_add(1, Relaxed).wrapping_add(1);
            for status in lock(&self.list).iter().flatten() {
                status.tell(status.overdue(now));
            }
            if self.parked.load(Relaxed) >= TRIM_AFTER {
                self.parked.store(0, Relaxed);
                give_memory_back();
            }
        }
    }

    pub(crate) fn count_parked(&self) {
        self.parked.fetch_add(1, Relaxed);
    }

    /// Lets every connection finish its request and close.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Relaxed);
        for status in lock(&self.list).iter().flatten() {
            status.tell(Order::Drain);
        }
    }
}

impl Member {
    pub(crate) fn count_parked(&self) {
        self.connections.count_parked();
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        lock(&self.connections.list)[self.place] = None;
        lock(&self.connections.vacant).push(self.place);
        self.connections.open.fetch_sub(1, Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
