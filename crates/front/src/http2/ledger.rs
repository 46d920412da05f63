//! What a connection costs, and what it is good for.
//!
//! Most frames of HTTP/2 cost the client nothing and the server a little: a request that is taken
//! back at once ("rapid reset", CVE-2023-44487), PING, SETTINGS, empty DATA. None is wrong in
//! itself, so the connection's balance is what counts. No clock is read for it: who asks for
//! something in between pays by that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::connections::{Order, Phase, Status};

/// Requests that the client may take back, beyond one for each that it has waited for. Pages that
/// are left while they load take back some dozens.
const TAKEN_BACK: u32 = 100;
/// Bytes that the client may send for each byte of request or response (nginx's figure, too), and
/// those that it has free: about 60 000 PINGs.
const BYTES_FOR_ONE: u64 = 8;
const FREE_BYTES: u64 = 1 << 20;
/// Ticks that a client has to close a connection which has nothing left to do.
const LEAVING_TICKS: u32 = 5;
/// Bytes that are written at once only as the rest of a response.
const REST_BYTES: usize = 1 << 10;

/// Shared by a connection and its streams, all of one thread: the atomics are there for the
/// compiler.
#[derive(Debug)]
pub(super) struct Ledger {
    status: Arc<Status>,
    keep_alive_ticks: u32,
    streams: AtomicU32,
    is_leaving: AtomicBool,
    answered: AtomicU32,
    taken_back: AtomicU32,
    received: AtomicU64,
    useful: AtomicU64,
}

impl Ledger {
    pub(super) fn new(status: Arc<Status>, keep_alive_ticks: u32) -> Self {
        Ledger {
            status,
            keep_alive_ticks,
            streams: AtomicU32::new(0),
            is_leaving: AtomicBool::new(false),
            answered: AtomicU32::new(0),
            taken_back: AtomicU32::new(0),
            received: AtomicU64::new(0),
            useful: AtomicU64::new(0),
        }
    }

    /// A stream begins.
    pub(super) fn open(self: &Arc<Self>) -> Open {
        self.streams.fetch_add(1, Relaxed);
        self.status.enter(Phase::Streaming, 0);
        Open(Arc::clone(self))
    }

    /// There is no stream.
    pub(super) fn rest(&self) {
        match self.is_leaving.load(Relaxed) {
            true => self.status.enter(Phase::Lingering, LEAVING_TICKS),
            false => self.status.enter(Phase::Idle, self.keep_alive_ticks),
        }
    }

    /// The connection is to end; true for the first time.
    pub(super) fn leave(&self) -> bool {
        if self.is_leaving.swap(true, Relaxed) {
            return false;
        }
        if self.streams.load(Relaxed) == 0 {
            self.rest();
        }
        true
    }

    pub(super) fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Relaxed);
    }

    /// The client takes what is sent. While the connection ends that gives it more time, but not
    /// for answers to its PINGs.
    pub(super) fn taken(&self, bytes: usize) {
        if bytes >= REST_BYTES && self.status.phase() == Phase::Lingering {
            self.status.touch();
        }
    }

    /// Bytes of a request or a response.
    pub(super) fn useful(&self, bytes: usize) {
        self.useful.fetch_add(bytes as u64, Relaxed);
    }

    /// A request was answered to its end.
    pub(super) fn answered(&self) {
        self.answered.fetch_add(1, Relaxed);
    }

    /// The client did not wait for an answer.
    pub(super) fn taken_back(&self) {
        self.taken_back.fetch_add(1, Relaxed);
        if self.is_abused() {
            // Whoever runs the connection may be asleep.
            self.status.wake();
        }
    }

    /// Whether the connection is more trouble than use.
    pub(super) fn is_abused(&self) -> bool {
        let most = self.answered.load(Relaxed).saturating_add(TAKEN_BACK);
        let useful = self.useful.load(Relaxed).saturating_mul(BYTES_FOR_ONE);
        self.taken_back.load(Relaxed) > most
            || self.received.load(Relaxed) > useful.saturating_add(FREE_BYTES)
    }
}

/// A stream that is open until this is dropped.
#[derive(Debug)]
pub(super) struct Open(Arc<Ledger>);

impl Drop for Open {
    fn drop(&mut self) {
        let ledger = &self.0;
        let is_last = ledger.streams.fetch_sub(1, Relaxed) == 1;
        if is_last && ledger.status.order() < Order::Close {
            ledger.rest();
        }
    }
}
