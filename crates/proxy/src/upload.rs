//! A request's body on its way to a target.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

/// Pieces that may wait for the target.
const PIECES: usize = 4;

/// The client left before its body's end, or sent no body at all.
#[derive(Debug, Clone, Copy)]
pub struct Left;

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the client left before the end of its request's body")
    }
}

impl std::error::Error for Left {}

/// A body that comes piece by piece, or none. Clones take from the same pieces.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Bytes still to come, if that is known.
    left: Option<u64>,
    pieces: Option<Arc<Pieces>>,
}

#[derive(Debug)]
struct Pieces {
    receiver: Mutex<mpsc::Receiver<Result<Bytes, Left>>>,
    has_begun: AtomicBool,
    /// The client is to send the next.
    are_awaited: AtomicBool,
    taken: AtomicU64,
}

/// The end at which pieces come in. Dropped without [`Feeder::finish`] it tells the target that
/// the body is not whole.
#[derive(Debug)]
pub struct Feeder(Option<mpsc::Sender<Result<Bytes, Left>>>);

impl Upload {
    /// No body.
    pub fn none() -> Self {
        Upload {
            left: Some(0),
            pieces: None,
        }
    }

    /// A body of this length, or of one that nobody knows yet, and the end at which it comes in.
    pub fn streamed(length: Option<u64>) -> (Upload, Option<Feeder>) {
        let (sender, receiver) = mpsc::channel(PIECES);
        let pieces = Pieces {
            receiver: Mutex::new(receiver),
            has_begun: AtomicBool::new(false),
            are_awaited: AtomicBool::new(false),
            taken: AtomicU64::new(0),
        };
        let upload = Upload {
            left: length,
            pieces: Some(Arc::new(pieces)),
        };
        (upload, Some(Feeder(Some(sender))))
    }

    /// Whether nothing of it has been taken, so that another target can have it.
    pub(crate) fn is_whole(&self) -> bool {
        let begun = |pieces: &Arc<Pieces>| pieces.has_begun.load(Ordering::Relaxed);
        !self.pieces.as_ref().is_some_and(begun)
    }

    /// How many pieces the target has taken, and whether it is the client that it waits for.
    pub(crate) fn progress(&self) -> (u64, bool) {
        let Some(pieces) = &self.pieces else {
            return (0, false);
        };
        let taken = pieces.taken.load(Ordering::Relaxed);
        (taken, pieces.are_awaited.load(Ordering::Relaxed))
    }
}

impl Feeder {
    /// Passes a piece on, when there is room. False: nobody wants it any more.
    pub async fn feed(&self, piece: Bytes) -> bool {
        match &self.0 {
            Some(sender) => piece.is_empty() || sender.send(Ok(piece)).await.is_ok(),
            None => false,
        }
    }

    /// The body is whole.
    pub fn finish(mut self) {
        self.0 = None;
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        if let Some(sender) = self.0.take() {
            // With no room the target is slow, and its connection is closed with the request.
            let _ = sender.try_send(Err(Left));
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Left;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Left>>> {
        let Some(pieces) = &self.pieces else {
            return Poll::Ready(None);
        };
        let polled = {
            let mut receiver = pieces
                .receiver
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            receiver.poll_recv(context)
        };
        pieces
            .are_awaited
            .store(polled.is_pending(), Ordering::Relaxed);
        if let Poll::Ready(Some(Ok(piece))) = &polled {
            pieces.taken.fetch_add(1, Ordering::Relaxed);
            pieces.has_begun.store(true, Ordering::Relaxed);
            let len = piece.len() as u64;
            self.left = self.left.map(|left| left.saturating_sub(len));
        }
        polled.map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map(SizeHint::with_exact).unwrap_or_default()
    }
}
