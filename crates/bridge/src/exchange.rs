//! One request's answer on its way from a Python thread to the front.
//!
//! The Python side pushes a head and chunks, and the front takes them as the client does. While
//! more than `response_buffer` bytes lie here, further ones go to a file ([`spool`](crate::spool));
//! when that has `response_spool` bytes, or cannot be written, the Python side waits, without the
//! GIL. Once a chunk is in the file all later ones go there too, until the front has taken the
//! last of them: their order is that of the application. Whichever side leaves first tells the
//! other: a dropped [`ReplyStream`] ends the call, a call that ends early makes the stream an error.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use appliance_gateway::{
    Answering, GatewayError, Incomplete, News, Reply, ReplyBody, RequestId, Timing,
};
use appliance_message::Fields;
use bytes::Bytes;
use http::Version;
use http_body::{Body, Frame, SizeHint};

use crate::outbox::Outbox;
use crate::queue::lock;
use crate::spool::{Piece, Spool, Spooled};

/// How long a full buffer may wait for its client before the response is spooled. One that reads
/// as fast as the network goes takes half of the buffer in a fraction of it, and its response
/// never sees a disk.
const PATIENCE: Duration = Duration::from_millis(10);

/// As many 103s may wait for a client that does not read; what is more is dropped.
const WAITING_HINTS: usize = 16;

/// The client has left or needs no more bytes (a HEAD request).
#[derive(Debug)]
pub(crate) struct ClientGone;

/// What a client got whose request was given up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum GivenUp {
    /// 504.
    Answered,
    /// A response that was cut, since its head had left.
    Cut,
    /// The whole response: only the application went on.
    Complete,
    /// Nothing: it had left.
    Gone,
}

pub(crate) struct Exchange {
    pub(crate) request: appliance_message::Head,
    pub(crate) id: RequestId,
    state: Mutex<State>,
    /// Signalled when bytes were taken or the client left; only a full buffer waits on it.
    taken: Condvar,
    outbox: Arc<Outbox>,
    buffer_bytes: usize,
    spool: Arc<Spool>,
}

struct State {
    /// When a thread took the call, and how long it had waited until then.
    taken: Option<(Instant, Duration)>,
    /// 103s that are to leave before the head.
    hints: VecDeque<Fields>,
    head: Head,
    /// The first of the chunks, which often is the only one; empty if there is none.
    first: Bytes,
    /// Further ones.
    chunks: VecDeque<Bytes>,
    buffered_bytes: usize,
    /// What follows `chunks`.
    spooled: Spooled,
    end: End,
    client_gone: bool,
    python_waits: bool,
    /// How often the application has sent something, wrapping.
    sent: u32,
    front: Option<Waker>,
}

enum Head {
    Awaited,
    Ready(Result<Reply<()>, GatewayError>),
    Taken,
}

#[derive(Clone, Copy, PartialEq)]
enum End {
    Open,
    Complete,
    Cut,
}

/// What the log says of a request.
impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = String::from_utf8_lossy(self.request.target());
        write!(f, "{} {target} (request {})", self.request.method, self.id)
    }
}

impl Exchange {
    pub(crate) fn new(
        request: appliance_message::Head,
        id: RequestId,
        outbox: Arc<Outbox>,
        buffer_bytes: usize,
        spool: Arc<Spool>,
    ) -> Self {
        Exchange {
            request,
            id,
            state: Mutex::new(State {
                taken: None,
                hints: VecDeque::new(),
                head: Head::Awaited,
                first: Bytes::new(),
                chunks: VecDeque::new(),
                buffered_bytes: 0,
                spooled: Spooled::default(),
                end: End::Open,
                client_gone: false,
                python_waits: false,
                sent: 0,
                front: None,
            }),
            taken: Condvar::new(),
            outbox,
            buffer_bytes,
            spool,
        }
    }

    // The Python side.

    /// A thread takes the call, at this time, after it has waited for so long. Returns whether
    /// anybody is still there for the answer.
    pub(crate) fn take_up(&self, at: Instant, waited: Duration) -> bool {
        let mut state = lock(&self.state);
        state.taken = Some((at, waited));
        !state.client_gone
    }

    /// Sends an interim response, if the head is still here and the client knows of such
    /// responses (RFC 9110 §15.2: HTTP/1.0 does not).
    pub(crate) fn hint(&self, fields: Fields) {
        let mut state = lock(&self.state);
        if matches!(state.head, Head::Awaited)
            && !state.client_gone
            && state.hints.len() < WAITING_HINTS
            && self.request.version != Version::HTTP_10
        {
            state.hints.push_back(fields);
            let _ = self.tell_front(state);
        }
    }

    /// Sends the head with the first chunk. `complete`: there will be no more.
    pub(crate) fn begin(
        &self,
        mut reply: Reply<()>,
        first: Bytes,
        complete: bool,
    ) -> Result<(), ClientGone> {
        let now = Instant::now();
        let mut state = lock(&self.state);
        state.check_open()?;
        if let Some((at, queued)) = state.taken {
            reply.timing = Timing {
                queued,
                application: now.saturating_duration_since(at),
            };
        }
        state.head = Head::Ready(Ok(reply));
        state.complete_if(complete);
        state.append(first);
        self.tell_front(state)
    }

    /// Sends a whole response in the place of the application's, if nothing of that was sent. Whether
    /// it is the answer.
    pub(crate) fn answer(&self, reply: Reply<()>, body: Bytes) -> bool {
        let state = lock(&self.state);
        let awaited = matches!(state.head, Head::Awaited) && state.end == End::Open;
        drop(state);
        // Where the deadline comes in between, `begin` has nothing to add to.
        awaited && self.begin(reply, body, true).is_ok()
    }

    /// There will be no response from the application: what `error` says, or, when the head
    /// has left already, a response that is cut so that the client sees it is not whole.
    pub(crate) fn fail(&self, error: GatewayError) -> GivenUp {
        let mut state = lock(&self.state);
        let awaited = matches!(state.head, Head::Awaited);
        let given_up = match state.end {
            _ if state.client_gone => GivenUp::Gone,
            End::Open if awaited => GivenUp::Answered,
            End::Open => GivenUp::Cut,
            End::Complete | End::Cut => GivenUp::Complete,
        };
        if awaited {
            state.head = Head::Ready(Err(error));
        }
        if state.end == End::Open {
            state.end = End::Cut;
        }
        let _ = self.tell_front(state);
        given_up
    }

    /// How often the application has sent something; none while it waits for a slow client to
    /// take it.
    pub(crate) fn sent(&self) -> Option<u32> {
        let state = lock(&self.state);
        (!state.python_waits).then_some(state.sent)
    }

    /// Sends a chunk, or returns it if there is no room: then it is to be
    /// [pushed slowly](Self::push_slowly).
    pub(crate) fn push(&self, chunk: Bytes, complete: bool) -> Result<Option<Bytes>, ClientGone> {
        let mut state = lock(&self.state);
        state.check_open()?;
        if !state.has_room(self.buffer_bytes) {
            return Ok(Some(chunk));
        }
        state.complete_if(complete);
        state.append(chunk);
        self.tell_front(state).map(|()| None)
    }

    /// Sends a chunk by way of a file, or waits until the client has taken half of the buffer.
    /// Not to be called with the GIL held.
    pub(crate) fn push_slowly(&self, chunk: Bytes, complete: bool) -> Result<(), ClientGone> {
        self.outbox.release();
        let impatient_at = Instant::now() + PATIENCE;
        let mut state = lock(&self.state);
        loop {
            state.check_open()?;
            if state.has_room(self.buffer_bytes / 2) {
                state.complete_if(complete);
                state.append(chunk);
                return self.tell_front(state);
            }
            let patience = match state.spooled.is_empty() {
                true => impatient_at.saturating_duration_since(Instant::now()),
                false => Duration::ZERO,
            };
            let place = state.spooled.place(chunk.len(), &self.spool);
            if let Some(place) = place.filter(|_| patience.is_zero()) {
                // Nobody else writes, and the front reads before this place.
                drop(state);
                let written = place.write(&chunk, &self.spool);
                state = lock(&self.state);
                state.check_open()?;
                match written {
                    Ok(file) => {
                        state.complete_if(complete);
                        state.has_spooled(chunk.len(), file);
                        return self.tell_front(state);
                    }
                    Err(error) => {
                        state.spooled.has_failed();
                        self.spool.report(&error);
                        continue;
                    }
                }
            }
            state = self.wait(state, patience);
        }
    }

    /// Waits until something was taken or the client has left; no longer than `patience`, if that
    /// is not zero.
    fn wait<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        patience: Duration,
    ) -> MutexGuard<'a, State> {
        state.python_waits = true;
        let mut state = match patience.is_zero() {
            true => (self.taken.wait(state)).unwrap_or_else(PoisonError::into_inner),
            false => {
                let waited = self.taken.wait_timeout(state, patience);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        state.python_waits = false;
        state
    }

    /// The response is whole.
    pub(crate) fn complete(&self) {
        let mut state = lock(&self.state);
        if state.end == End::Open {
            state.end = End::Complete;
            let _ = self.tell_front(state);
        }
    }

    /// Whether the client has left before the response was whole.
    pub(crate) fn client_left(&self) -> bool {
        let state = lock(&self.state);
        state.client_gone && state.end == End::Open
    }

    pub(crate) fn client_gone(&self) -> bool {
        lock(&self.state).client_gone
    }

    fn tell_front(&self, mut state: MutexGuard<'_, State>) -> Result<(), ClientGone> {
        let front = state.front.take();
        let gone = state.client_gone;
        // A block of a response that goes on is not to be delayed (PEP 3333, "Buffering and
        // Streaming").
        let urgent = state.end == End::Open;
        drop(state);
        if let Some(front) = front {
            self.outbox.post(front, urgent);
        }
        if gone { Err(ClientGone) } else { Ok(()) }
    }

    // The front's side.

    /// Reads from the spool; not under the lock, which Python threads take with the GIL.
    fn take(&self, piece: &Piece) -> Result<Bytes, Incomplete> {
        let read = piece.read();
        let mut state = lock(&self.state);
        match read {
            Ok(bytes) => {
                state.spooled.take(bytes.len());
                if state.python_waits {
                    self.taken.notify_one();
                }
                Ok(bytes)
            }
            Err(error) => {
                tracing::error!(%error, "cannot read a spooled response");
                Err(Incomplete)
            }
        }
    }

    /// The future of the head; dropping it says that the client has left.
    pub(crate) fn reply(self: Arc<Self>) -> AwaitReply {
        AwaitReply(Some(ReplyStream {
            exchange: self,
            first: Bytes::new(),
            is_all: false,
        }))
    }
}

impl State {
    /// Bytes that nobody takes, or that come after the end, must not pile up here: one that was
    /// given up has been answered.
    fn check_open(&self) -> Result<(), ClientGone> {
        match self.client_gone || self.end != End::Open {
            true => Err(ClientGone),
            false => Ok(()),
        }
    }

    fn has_room(&self, most_bytes: usize) -> bool {
        self.buffered_bytes <= most_bytes && self.spooled.is_empty()
    }

    fn complete_if(&mut self, complete: bool) {
        if complete {
            self.end = End::Complete;
        }
    }

    fn has_spooled(&mut self, len: usize, file: Arc<File>) {
        self.sent = self.sent.wrapping_add(1);
        self.spooled.has_written(len, file);
    }

    fn append(&mut self, chunk: Bytes) {
        self.sent = self.sent.wrapping_add(1);
        if chunk.is_empty() {
            return;
        }
        let before = self.buffered_bytes;
        self.buffered_bytes += chunk.len();
        match before {
            0 => self.first = chunk,
            _ => self.chunks.push_back(chunk),
        }
    }

    fn next_chunk(&mut self) -> Option<Bytes> {
        let chunk = match self.first.is_empty() {
            false => std::mem::take(&mut self.first),
            true => self.chunks.pop_front()?,
        };
        self.buffered_bytes -= chunk.len();
        Some(chunk)
    }

    /// Whether the response is whole and the front has all of it.
    fn is_all_taken(&self) -> bool {
        self.end == End::Complete && self.buffered_bytes == 0 && self.spooled.is_empty()
    }

    fn register(&mut self, context: &Context<'_>) {
        match &mut self.front {
            Some(known) => known.clone_from(context.waker()),
            None => self.front = Some(context.waker().clone()),
        }
    }
}

/// Resolves to the application's head.
pub(crate) struct AwaitReply(Option<ReplyStream>);

impl Answering<ReplyStream> for AwaitReply {
    fn poll_news(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<News<ReplyStream>, GatewayError>> {
        let Some(stream) = &mut self.0 else {
            return Poll::Pending; // polled after its end: nothing will come
        };
        let taken = {
            let mut state = lock(&stream.exchange.state);
            if let Some(hints) = state.hints.pop_front() {
                return Poll::Ready(Ok(News::Hints(hints)));
            }
            if !matches!(state.head, Head::Ready(_)) {
                state.register(context);
                return Poll::Pending;
            }
            stream.first = state.next_chunk().unwrap_or_default();
            stream.is_all = state.is_all_taken();
            if state.python_waits {
                stream.exchange.taken.notify_one();
            }
            match std::mem::replace(&mut state.head, Head::Taken) {
                Head::Ready(result) => result,
                Head::Awaited | Head::Taken => unreachable!("checked above"),
            }
        };
        let stream = self.0.take();
        let whole = |reply: Reply<()>| Reply {
            head: reply.head,
            timing: reply.timing,
            body: match (reply.body, stream) {
                (ReplyBody::File { file, offset, len }, _) => ReplyBody::File { file, offset, len },
                (ReplyBody::Stream(()), Some(stream)) => ReplyBody::Stream(stream),
                (ReplyBody::Stream(()), None) => unreachable!("checked above"),
            },
        };
        Poll::Ready(taken.map(|reply| News::Reply(whole(reply))))
    }
}

/// The chunks of a response as the application yields them.
pub struct ReplyStream {
    exchange: Arc<Exchange>,
    /// What was there with the head; empty if nothing was, or it has been taken.
    first: Bytes,
    /// There is nothing behind it, and the exchange need not be asked.
    is_all: bool,
}

impl fmt::Debug for ReplyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyStream").finish_non_exhaustive()
    }
}

impl Body for ReplyStream {
    type Data = Bytes;
    type Error = Incomplete;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Incomplete>>> {
        let this = self.get_mut();
        if !this.first.is_empty() {
            let first = std::mem::take(&mut this.first);
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if this.is_all {
            return Poll::Ready(None);
        }
        let exchange = &this.exchange;
        let mut state = lock(&exchange.state);
        if let Some(chunk) = state.next_chunk() {
            if state.python_waits {
                exchange.taken.notify_one();
            }
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        if let Some(piece) = state.spooled.piece() {
            drop(state);
            return Poll::Ready(Some(exchange.take(&piece).map(Frame::data)));
        }
        match state.end {
            End::Complete => Poll::Ready(None),
            End::Cut => Poll::Ready(Some(Err(Incomplete))),
            End::Open => {
                state.register(context);
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_empty() && (self.is_all || lock(&self.exchange.state).is_all_taken())
    }

    fn size_hint(&self) -> SizeHint {
        let first = self.first.len() as u64;
        if self.is_all {
            return SizeHint::with_exact(first);
        }
        let state = lock(&self.exchange.state);
        match state.end {
            End::Complete => {
                SizeHint::with_exact(first + state.buffered_bytes as u64 + state.spooled.len())
            }
            End::Open | End::Cut => SizeHint::default(),
        }
    }
}

impl Drop for ReplyStream {
    fn drop(&mut self) {
        if self.is_all {
            return;
        }
        let mut state = lock(&self.exchange.state);
        state.client_gone = true;
        state.front = None;
        state.first.clear();
        state.chunks.clear();
        state.buffered_bytes = 0;
        let spooled = std::mem::take(&mut state.spooled);
        // A condition variable's notification is a system call even when nobody waits.
        if state.python_waits {
            self.exchange.taken.notify_one();
        }
        // Its file is closed without the lock.
        drop(state);
        drop(spooled);
    }
}
