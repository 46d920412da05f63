//! A client's socket: what has been read and not used, and what is known of the response. How bytes
//! go out: [`outgoing`].
//!
//! All connections of a worker read into one buffer, so that one that idles owns none.

mod outgoing;
mod packet;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use appliance_message::{Head, Limits, Refusal, parse};
use bytes::{Buf, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;

use crate::connections::{Order, Phase, Status};
use crate::proxy_protocol::{self, Header};
use crate::request_body::BodyError;
use crate::site::Sites;
use crate::tls::{Hello, Secured, Step, Tls};

pub(crate) use self::outgoing::skip;
pub(crate) use self::packet::NextPacket;

/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;
/// Bytes of further requests that are read while one is answered.
const READ_AHEAD_BYTES: usize = 64 << 10;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into());
    /// What was sealed in it.
    static PLAIN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

pub(crate) struct Socket {
    tcp: TcpStream,
    /// None: what is read and written is what goes over the wire.
    tls: Option<Box<Tls>>,
    unread: BytesMut,
    /// How much of `unread` is known not to hold the end of a head.
    seen: usize,
    status: Arc<Status>,
    send_ticks: u32,
    /// Of the current response.
    sent_bytes: u64,
    head_bytes: u64,
    /// Something of the current response has been sent.
    has_begun: bool,
}

/// What a connection began with that was to begin with TLS.
pub(crate) enum Greeting {
    Tls,
    /// A request in plain text.
    Plain,
    /// No handshake, none in time, or one that has failed.
    Nothing,
}

/// How the wait for a request's head ended.
pub(crate) enum NextHead {
    Head(Head),
    /// No request, but bytes; perhaps such as begin like a HEAD request.
    Refused {
        refusal: Refusal,
        is_head: bool,
    },
    /// A head that did not come to its end in time.
    TimedOut,
    /// The client has closed its side, or left.
    End,
}

impl Socket {
    pub(crate) fn new(tcp: TcpStream, status: Arc<Status>) -> Self {
        Socket {
            tcp,
            tls: None,
            unread: BytesMut::new(),
            seen: 0,
            status,
            send_ticks: 0,
            sent_bytes: 0,
            head_bytes: 0,
            has_begun: false,
        }
    }

    /// How many ticks the client may take nothing of what is sent.
    pub(crate) fn set_send_ticks(&mut self, ticks: u32) {
        self.send_ticks = ticks;
    }

    /// Reads up to the end of a head. The phase becomes `ReadingHead` with its first byte.
    pub(crate) fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        limits: Limits,
        head_ticks: u32,
    ) -> Poll<NextHead> {
        if self.status.order() == Order::TimeOut {
            return Poll::Ready(NextHead::TimedOut);
        }
        loop {
            if self.seen < self.unread.len() {
                if self.status.phase() == Phase::Idle {
                    self.status.enter(Phase::ReadingHead, head_ticks);
                }
                match parse(&self.unread, &mut self.seen, limits) {
                    Ok(Some((head, len))) => {
                        self.unread.advance(len);
                        self.forget_if_empty();
                        return Poll::Ready(NextHead::Head(head));
                    }
                    Ok(None) => self.seen = self.unread.len(),
                    Err(refusal) => return Poll::Ready(self.refused(refusal)),
                }
            }
            let found = ready!(self.poll_read(context, |socket, bytes| {
                // The usual case: a whole head at once, which is never copied into `unread`.
                if socket.unread.is_empty()
                    && let Ok(Some((head, len))) = parse(bytes, &mut 0, limits)
                {
                    socket.unread.extend_from_slice(&bytes[len..]);
                    return Some(head);
                }
                socket.unread.extend_from_slice(bytes);
                None
            }));
            match found {
                Ok(Some(Some(head))) => return Poll::Ready(NextHead::Head(head)),
                Ok(Some(None)) => {}
                Ok(None) if !self.unread.is_empty() => {
                    return Poll::Ready(self.refused(Refusal::UNFINISHED));
                }
                Ok(None) | Err(_) => return Poll::Ready(NextHead::End),
            }
        }
    }

    /// Reads the header of the PROXY protocol; none if there is another beginning, or none in time.
    pub(crate) async fn proxy_header(&mut self) -> Option<Header> {
        poll_fn(|context| {
            loop {
                if self.status.order() >= Order::Leave {
                    return Poll::Ready(None);
                }
                match proxy_protocol::parse(&self.unread) {
                    Ok(Some((header, len))) => {
                        self.unread.advance(len);
                        self.forget_if_empty();
                        return Poll::Ready(Some(header));
                    }
                    Ok(None) => {}
                    Err(_) => return Poll::Ready(None),
                }
                let read = ready!(self.poll_read(context, |socket, bytes| {
                    socket.unread.extend_from_slice(bytes);
                }));
                if !matches!(read, Ok(Some(()))) {
                    return Poll::Ready(None);
                }
            }
        })
        .await
    }

    /// Shakes hands, as one of these sites.
    pub(crate) async fn greet(&mut self, sites: &Sites) -> Greeting {
        let mut hello = Hello::default();
        let (site, name) = loop {
            match hello.read(&self.unread, sites) {
                Step::For(site, name) => break (site, name),
                Step::Plain => return Greeting::Plain,
                Step::Refused(alert) => {
                    let _ = self.send([&alert, b"", b""]).await;
                    return Greeting::Nothing;
                }
                Step::More => {}
            }
            let more = poll_fn(|context| {
                if self.status.order() >= Order::Leave {
                    return Poll::Ready(None);
                }
                let read = self.poll_read(context, |socket, bytes| {
                    socket.unread.extend_from_slice(bytes);
                });
                read.map(|read| read.ok().flatten())
            });
            if more.await.is_none() {
                return Greeting::Nothing;
            }
        };
        let Ok(mut tls) = Tls::new(site, name, std::mem::take(&mut self.unread).into()) else {
            return Greeting::Nothing;
        };
        let mut plain = Vec::new();
        let done = poll_fn(|context| {
            if self.status.order() >= Order::Leave {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            BUFFER.with_borrow_mut(|buffer| {
                tls.poll_handshake(&mut self.tcp, context, buffer, &mut plain)
            })
        });
        if let Err(error) = done.await {
            tracing::debug!(%error, "a TLS handshake failed");
            return Greeting::Nothing;
        }
        let alpn = tls.alpn().map(String::from_utf8_lossy);
        tracing::debug!(alpn = alpn.as_deref(), about = ?tls.secured(), "a TLS handshake is done");
        self.unread.extend_from_slice(&plain);
        self.tls = Some(Box::new(tls));
        Greeting::Tls
    }

    /// Whether this is the protocol that client and server have agreed upon in their handshake.
    pub(crate) fn has_agreed_on(&self, protocol: &[u8]) -> bool {
        let tls = self.tls.as_ref();
        tls.is_some_and(|tls| tls.alpn() == Some(protocol))
    }

    /// What is to be said of its TLS; none if it is not ours.
    pub(crate) fn secured(&self) -> Option<&Secured> {
        self.tls.as_ref()?.secured()
    }

    fn refused(&self, refusal: Refusal) -> NextHead {
        NextHead::Refused {
            refusal,
            is_head: self.unread.starts_with(b"HEAD "),
        }
    }

    /// Reads once and hands the bytes over; none at the client's end.
    fn poll_read<T>(
        &mut self,
        context: &mut Context<'_>,
        take: impl FnOnce(&mut Self, &[u8]) -> T,
    ) -> Poll<io::Result<Option<T>>> {
        BUFFER.with_borrow_mut(|buffer| {
            if self.tls.is_some() {
                return PLAIN.with_borrow_mut(|plain| {
                    plain.clear();
                    if let Some(tls) = &mut self.tls {
                        ready!(tls.poll_read(&mut self.tcp, context, buffer, plain))?;
                    }
                    Poll::Ready(Ok(match &plain[..] {
                        [] => None,
                        bytes => Some(take(self, bytes)),
                    }))
                });
            }
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut self.tcp).poll_read(context, &mut buffer))?;
            let bytes = buffer.filled();
            Poll::Ready(Ok(match bytes {
                [] => None,
                bytes => Some(take(self, bytes)),
            }))
        })
    }

    /// Waits for bytes of a body, and lends what is there: `use_bytes` says how many it used.
    pub(crate) async fn body_bytes<T>(
        &mut self,
        mut use_bytes: impl FnMut(&[u8]) -> (T, usize),
    ) -> Result<T, BodyError> {
        if !self.unread.is_empty() {
            let (result, used) = use_bytes(&self.unread);
            self.unread.advance(used);
            self.forget_if_empty();
            return Ok(result);
        }
        poll_fn(|context| {
            if self.status.order() == Order::TimeOut {
                return Poll::Ready(Err(BodyError::TimedOut));
            }
            let read = ready!(self.poll_read(context, |socket, bytes| {
                socket.status.touch();
                let (result, used) = use_bytes(bytes);
                socket.unread.extend_from_slice(&bytes[used..]);
                result
            }));
            Poll::Ready(read.ok().flatten().ok_or(BodyError::Left))
        })
        .await
    }

    fn forget_if_empty(&mut self) {
        self.seen = 0;
        if self.unread.is_empty() {
            self.unread = BytesMut::new();
        }
    }

    /// Whether the client has left, or closed its side, which is the same to us as it is to
    /// nginx. Reads ahead to learn that; pending while nothing is known.
    pub(crate) fn poll_left(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.unread.len() < READ_AHEAD_BYTES {
            let read = ready!(self.poll_read(context, |socket, bytes| {
                socket.unread.extend_from_slice(bytes);
            }));
            if !matches!(read, Ok(Some(()))) {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// Adds whatever comes to `bytes`; false at the client's end.
    pub(crate) fn poll_any(
        &mut self,
        context: &mut Context<'_>,
        bytes: &mut BytesMut,
    ) -> Poll<io::Result<bool>> {
        if !self.unread.is_empty() {
            bytes.unsplit(std::mem::take(&mut self.unread));
            return Poll::Ready(Ok(true));
        }
        let read = self.poll_read(context, |_, read| bytes.extend_from_slice(read));
        read.map_ok(|read| read.is_some())
    }

    /// Whether what nobody has used yet begins so.
    pub(crate) fn begins_with(&self, bytes: &[u8]) -> bool {
        self.unread.starts_with(bytes)
    }

    /// Reads what comes, for a protocol that keeps its own buffer.
    pub(crate) fn poll_read_into(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unread.is_empty() && self.tls.is_none() {
            return Pin::new(&mut self.tcp).poll_read(context, buffer);
        }
        if self.unread.is_empty() {
            let read = self.poll_read(context, |socket, bytes| {
                let len = bytes.len().min(buffer.remaining());
                buffer.put_slice(&bytes[..len]);
                socket.unread.extend_from_slice(&bytes[len..]);
            });
            return read.map_ok(|_| ());
        }
        let len = self.unread.len().min(buffer.remaining());
        buffer.put_slice(&self.unread[..len]);
        self.unread.advance(len);
        self.forget_if_empty();
        Poll::Ready(Ok(()))
    }

    /// Whether there are bytes that nobody has used: read, or still with the kernel.
    pub(crate) fn has_unread(&self) -> bool {
        !self.unread.is_empty()
            || self.tls.as_ref().is_some_and(|tls| tls.has_incoming())
            || matches!(
                SockRef::from(&self.tcp).peek(&mut [MaybeUninit::uninit()]),
                Ok(1..)
            )
    }

    /// A response is to be sent.
    pub(crate) fn begin_response(&mut self) {
        self.has_begun = false;
        if let Some(tls) = &mut self.tls {
            tls.begin_response();
        }
        (self.sent_bytes, self.head_bytes) = (0, 0);
    }

    /// The response's head has so many bytes.
    pub(crate) fn head_is(&mut self, bytes: usize) {
        self.head_bytes = bytes as u64;
    }

    /// Bytes that were sent of the response, and those of its head.
    pub(crate) fn sent(&self) -> (u64, u64) {
        (self.sent_bytes, self.head_bytes)
    }

    fn count(&mut self, sent: usize) {
        self.sent_bytes += sent as u64;
        appliance_figures::own().front.bytes_sent.add(sent as u64);
    }

    /// Whether something of the response has been sent.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Keeps the clock of the client's patience.
    fn mind<T>(&mut self, result: Poll<T>) -> Poll<T> {
        self.has_begun |= result.is_ready();
        match (self.status.phase(), result.is_pending()) {
            (Phase::Busy, true) => self.status.enter(Phase::Blocked, self.send_ticks),
            (Phase::Blocked, false) => self.status.enter(Phase::Busy, 0),
            _ => {}
        }
        result
    }

    /// Whatever is written from now on resets the connection, which the client sees.
    pub(crate) fn will_reset(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.mute();
        }
        let _ = SockRef::from(&self.tcp).set_linger(Some(std::time::Duration::ZERO));
    }

    /// Says that nothing more will be sent. Returns whether the client can still be heard.
    pub(crate) fn shut(&mut self) -> bool {
        self.say_farewell();
        SockRef::from(&self.tcp).shutdown(Shutdown::Write).is_ok()
    }

    fn say_farewell(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.say_farewell(&self.tcp);
        }
    }

    /// Drops what the client sends, until it closes, or has sent so much.
    pub(crate) async fn drop_unread(&mut self, mut most: u64) {
        self.unread = BytesMut::new();
        // Nobody wants to know what it means.
        self.tls = None;
        while most > 0 {
            let read = poll_fn(|context| {
                self.poll_read(context, |socket, bytes| {
                    socket.status.touch();
                    bytes.len() as u64
                })
            });
            match read.await {
                Ok(Some(bytes)) => most = most.saturating_sub(bytes),
                _ => return,
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.say_farewell();
    }
}
