//! The connections of a worker: what each is doing, since when, and how long it may.
//!
//! No connection keeps a timer. Once a second all are looked over, and those that dawdle are told
//! so; when the worker drains, all are.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;

/// How often connections are looked over, and the unit of their clocks.
const TICK: Duration = Duration::from_secs(1);
/// How soon a new connection that waits for room looks again.
const ROOM_PAUSE: Duration = Duration::from_millis(100);
/// Connections that give way at once where the system cannot give any more.
const GIVES_WAY: usize = 16;
/// Connections gone idle after which freed memory is given back: below, it is not worth the walk
/// through the heap.
const TRIM_AFTER: usize = 128;
/// Ticks that a head may take whose connection is about to be closed.
pub(crate) const DRAINING_HEAD_TICKS: u32 = 2;
/// Ticks for which a new connection is no idle one.
const ARRIVAL_TICKS: u32 = 2;
/// Length of a date such as `Sun, 06 Nov 1994 08:49:37 GMT`.
const DATE_LEN: usize = 29;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Between requests.
    Idle,
    /// The first bytes of a head are here.
    ReadingHead,
    /// A body is being received.
    ReadingBody,
    /// A request is being answered.
    Busy,
    /// The client takes none of what is sent to it.
    Blocked,
    /// The last answer is sent; the client may still be sending.
    Lingering,
    /// HTTP/2 with requests: each has an entry of its own.
    Streaming,
}

/// What a connection is told to do; later ones win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
#[repr(u8)]
pub(crate) enum Order {
    None,
    /// Close after the next answer.
    Drain,
    /// The same, and close now if there is no request.
    Leave,
    /// Its request has taken too long to arrive.
    TimeOut,
    /// Close now.
    Close,
}

/// One connection's state, shared by its task and the look-out. All of it is touched by one
/// thread: the atomics are there for the compiler.
#[derive(Debug)]
pub(crate) struct Status {
    phase: AtomicU8,
    since: AtomicU32,
    /// Ticks that the phase may last; 0 is for ever.
    patience: AtomicU32,
    order: AtomicU8,
    /// Nothing has come by it so far.
    is_new: AtomicBool,
    waker: OnceLock<Waker>,
    clock: Arc<Clock>,
}

/// Ticks since the start, and the date.
#[derive(Debug, Default)]
struct Clock {
    ticks: AtomicU32,
    date: Mutex<[u8; DATE_LEN]>,
}

impl Status {
    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Idle,
            1 => Phase::ReadingHead,
            2 => Phase::ReadingBody,
            3 => Phase::Busy,
            4 => Phase::Blocked,
            5 => Phase::Lingering,
            _ => Phase::Streaming,
        }
    }

    /// Enters a phase, which may last as many ticks; for 0, for ever.
    pub(crate) fn enter(&self, phase: Phase, patience: u32) {
        self.phase.store(phase as u8, Relaxed);
        self.patience.store(patience, Relaxed);
        self.is_new.store(false, Relaxed);
        self.touch();
    }

    /// Starts the clock of the current phase anew.
    pub(crate) fn touch(&self) {
        self.since.store(self.clock.ticks.load(Relaxed), Relaxed);
    }

    pub(crate) fn order(&self) -> Order {
        match self.order.load(Relaxed) {
            0 => Order::None,
            1 => Order::Drain,
            2 => Order::Leave,
            3 => Order::TimeOut,
            _ => Order::Close,
        }
    }

    pub(crate) fn set_waker(&self, waker: &Waker) {
        self.waker.get_or_init(|| waker.clone());
    }

    /// Adds the date of now, a second more or less, as a `Date` field's value.
    pub(crate) fn add_date(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&*lock(&self.clock.date));
    }

    pub(crate) fn tell(&self, order: Order) {
        if order > self.order() {
            self.order.store(order as u8, Relaxed);
            self.wake();
        }
    }

    /// Has its task look at it.
    pub(crate) fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// Whether its first request may be on its way, though nothing has come so far.
    fn is_arriving(&self) -> bool {
        self.is_new.load(Relaxed) && self.age() < ARRIVAL_TICKS
    }

    /// Has it leave when the time for that is over.
    fn bound_arrival(&self) {
        self.patience.store(ARRIVAL_TICKS, Relaxed);
    }

    fn age(&self) -> u32 {
        let now = self.clock.ticks.load(Relaxed);
        now.wrapping_sub(self.since.load(Relaxed))
    }

    fn overdue(&self) -> Order {
        let patience = self.patience.load(Relaxed);
        if patience == 0 || self.age() < patience {
            return Order::None;
        }
        match self.phase() {
            Phase::Idle => Order::Leave,
            Phase::ReadingHead | Phase::ReadingBody => Order::TimeOut,
            Phase::Busy | Phase::Streaming => Order::None,
            Phase::Blocked | Phase::Lingering => Order::Close,
        }
    }
}

/// The ticks after which a duration has surely passed: one more than it has seconds, since the
/// first comes at any time.
pub(crate) fn ticks(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis().div_ceil(TICK.as_millis()))
        .unwrap_or(u32::MAX)
        .saturating_add(1)
}

/// All connections of a worker.
#[derive(Debug)]
pub(crate) struct Connections {
    list: Mutex<Vec<Option<Arc<Status>>>>,
    vacant: Mutex<Vec<usize>>,
    open: AtomicUsize,
    /// Those of them that nobody waits for when everything stops.
    expendable: Arc<AtomicUsize>,
    at_most: usize,
    /// Open connections of each address, if they are bounded.
    per_address: Option<Mutex<HashMap<IpAddr, usize>>>,
    at_most_per_address: usize,
    ended: Notify,
    clock: Arc<Clock>,
    draining: AtomicBool,
}

/// A connection's membership; ends when dropped.
#[derive(Debug)]
pub(crate) struct Member {
    connections: Arc<Connections>,
    place: usize,
    /// None if its connections are not counted.
    address: Option<IpAddr>,
    /// It is no connection, but a stream of one.
    is_stream: bool,
    pub(crate) status: Arc<Status>,
}

/// There are as many connections of this address as there may be.
#[derive(Debug)]
pub(crate) struct TooMany;

impl Connections {
    pub(crate) fn new(at_most: usize, at_most_per_address: Option<usize>) -> Self {
        let connections = Connections {
            list: Mutex::default(),
            vacant: Mutex::default(),
            open: AtomicUsize::default(),
            expendable: Arc::default(),
            at_most,
            per_address: at_most_per_address.map(|_| Mutex::default()),
            at_most_per_address: at_most_per_address.unwrap_or(usize::MAX),
            ended: Notify::new(),
            clock: Arc::default(),
            draining: AtomicBool::default(),
        };
        connections.set_date();
        connections
    }

    /// Waits until there may be one more. The connection that has idled longest makes room.
    pub(crate) async fn room(&self) {
        while self.open() >= self.at_most {
            let ended = self.ended.notified();
            if let Some(status) = self.longest_idle() {
                status.tell(Order::Leave);
            }
            // One that goes idle ends nothing, but can be told to.
            let _ = tokio::time::timeout(ROOM_PAUSE, ended).await;
        }
    }

    /// Has some idle connections leave, those first that have idled longest, and waits for one to
    /// end, for a moment: the system cannot give any more.
    pub(crate) async fn give_way(&self) {
        let ended = self.ended.notified();
        for _ in 0..GIVES_WAY {
            match self.longest_idle() {
                Some(status) => status.tell(Order::Leave),
                None => break,
            }
        }
        let _ = tokio::time::timeout(ROOM_PAUSE, ended).await;
    }

    fn longest_idle(&self) -> Option<Arc<Status>> {
        let list = lock(&self.list);
        let idle = list
            .iter()
            .flatten()
            .filter(|status| status.phase() == Phase::Idle && status.order() < Order::Leave)
            // Its first request may be on its way, and would find nobody.
            .filter(|status| !status.is_arriving());
        idle.max_by_key(|status| status.age()).cloned()
    }

    pub(crate) fn join(
        self: &Arc<Self>,
        address: Option<IpAddr>,
        patience: u32,
    ) -> Result<Member, TooMany> {
        if let (Some(per_address), Some(address)) = (&self.per_address, address) {
            let mut per_address = lock(per_address);
            let open = per_address.entry(address).or_default();
            if *open >= self.at_most_per_address {
                return Err(TooMany);
            }
            *open += 1;
        }
        self.open.fetch_add(1, Relaxed);
        let figures = &appliance_figures::own().front;
        figures.connections.add(1);
        figures.connections_open.add(1);
        Ok(self.enlist(address, patience, false))
    }

    /// An entry for a stream of a connection that is there already.
    pub(crate) fn join_stream(self: &Arc<Self>) -> Member {
        self.enlist(None, 0, true)
    }

    fn enlist(self: &Arc<Self>, address: Option<IpAddr>, patience: u32, is_stream: bool) -> Member {
        let status = Arc::new(Status {
            phase: AtomicU8::new(Phase::Idle as u8),
            since: AtomicU32::new(self.clock.ticks.load(Relaxed)),
            patience: AtomicU32::new(patience),
            order: AtomicU8::new(Order::None as u8),
            is_new: AtomicBool::new(true),
            waker: OnceLock::new(),
            clock: Arc::clone(&self.clock),
        });
        if self.draining.load(Relaxed) {
            status.tell(Order::Drain);
            if !is_stream {
                status.bound_arrival();
            }
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
        Member {
            connections: Arc::clone(self),
            place,
            address,
            is_stream,
            status,
        }
    }

    /// Open connections.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Open connections that have to come to their end before everything may stop.
    pub(crate) fn needed(&self) -> usize {
        self.open().saturating_sub(self.expendable.load(Relaxed))
    }

    /// As long as what is returned lives, one connection is not waited for when everything stops.
    pub(crate) fn expendable(&self) -> Expendable {
        self.expendable.fetch_add(1, Relaxed);
        Expendable(Arc::clone(&self.expendable))
    }

    /// Connections and streams with a request whose answer is not out: neither those that only linger, nor
    /// those whose request never came to its end.
    pub(crate) fn unanswered(&self) -> usize {
        let list = lock(&self.list);
        let phases = list.iter().flatten().map(|status| status.phase());
        phases
            .filter(|phase| matches!(phase, Phase::Busy | Phase::Blocked))
            .count()
    }

    /// Looks over all connections every tick, and returns the memory of many idle ones by
    /// `give_memory_back`; never ends.
    pub(crate) async fn look_out(&self, give_memory_back: fn()) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut gone_idle = 0;
        loop {
            ticks.tick().await;
            self.set_date();
            self.clock.ticks.fetch_add(1, Relaxed);
            appliance_log::flush();
            for status in lock(&self.list).iter().flatten() {
                status.tell(status.overdue());
                gone_idle += usize::from(status.phase() == Phase::Idle && status.age() == 1);
            }
            if gone_idle >= TRIM_AFTER {
                gone_idle = 0;
                give_memory_back();
            }
        }
    }

    fn set_date(&self) {
        let date = httpdate::fmt_http_date(SystemTime::now());
        if let Ok(date) = date.as_bytes().try_into() {
            *lock(&self.clock.date) = date;
        }
    }

    /// Lets every connection finish its request and close; those without one are closed too if
    /// the order is to leave. What has only begun to arrive gets little time for the rest, and so
    /// does a connection that has just been accepted: its client cannot know, and its first request
    /// may be on its way.
    pub(crate) fn drain(&self, order: Order) {
        self.draining.store(true, Relaxed);
        for status in lock(&self.list).iter().flatten() {
            if order == Order::Leave && status.is_arriving() {
                status.tell(Order::Drain);
                status.bound_arrival();
                continue;
            }
            status.tell(order);
            if status.phase() == Phase::ReadingHead {
                status.enter(Phase::ReadingHead, DRAINING_HEAD_TICKS);
            }
        }
    }
}

/// See [`Connections::expendable`].
pub(crate) struct Expendable(Arc<AtomicUsize>);

impl Drop for Expendable {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let connections = &self.connections;
        lock(&connections.list)[self.place] = None;
        lock(&connections.vacant).push(self.place);
        if self.is_stream {
            return;
        }
        connections.open.fetch_sub(1, Relaxed);
        appliance_figures::own().front.connections_open.sub_one();
        if let (Some(per_address), Some(address)) = (&connections.per_address, &self.address) {
            let mut per_address = lock(per_address);
            if let Some(open) = per_address.get_mut(address) {
                *open -= 1;
                if *open == 0 {
                    per_address.remove(address);
                }
            }
        }
        connections.ended.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
