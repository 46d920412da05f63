//! A connection's records: handshake, reading, writing, closing.
//!
//! rustls works on our buffers: [`UnbufferedServerConnection`] takes what has been read and says
//! what it is, and what is to be written. All connections of the thread share the
//! buffers for what is whole. A connection owns what is left over: the
//! beginning of a record, and what its socket did not take.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use rustls::ServerConfig;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeTlsData, UnbufferedStatus};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::config::SiteTls;
use super::peer::Secured;

/// Plaintext sealed at once.
const WRITE_BYTES: usize = 64 << 10;
/// The plaintext of a record while a response is young. A record can be read when all of it is
/// there: three of these fit into the first flight of a new connection (ten segments, RFC 6928),
/// and none of the usual 16 KB.
const SMALL_RECORD: usize = 4 << 10;
/// Bytes of a response after which records are as large as they may be (RFC 8446 §5.1): fewer of
/// them are less work, and the window has grown.
const YOUNG_BYTES: usize = 64 << 10;
const LARGE_RECORD: usize = 16 << 10;
/// Room for the records of `WRITE_BYTES`, each with some 30 bytes of its own, and for a few
/// messages of a handshake.
const SEALED_BYTES: usize = WRITE_BYTES + (8 << 10);
/// Enough for one alert.
const ALERT_BYTES: usize = 64;

thread_local! {
    static RECORD: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static SEALED: RefCell<Box<[u8]>> = RefCell::new(vec![0; SEALED_BYTES].into());
    static FILE: RefCell<Box<[u8]>> = RefCell::new(vec![0; WRITE_BYTES].into());
}

/// The TLS of a connection.
pub(crate) struct Tls {
    connection: UnbufferedServerConnection,
    /// Read, and not yet a whole record or message.
    incoming: Vec<u8>,
    /// Sealed, and not yet taken by the socket.
    outgoing: BytesMut,
    /// Plaintext of the current response that has been sealed.
    sent: usize,
    /// The client has said that it sends no more.
    ended: bool,
    /// Nothing is to be said any more, not even farewell.
    mute: bool,
    site: Arc<ServerConfig>,
    /// The host that the client names, until it is in `secured`.
    name: Option<Box<str>>,
    /// None before the handshake is done.
    secured: Option<Secured>,
}

impl Tls {
    /// With what has been read since the connection began.
    pub(crate) fn new(
        site: &SiteTls,
        name: Option<Box<str>>,
        incoming: Vec<u8>,
    ) -> Result<Self, rustls::Error> {
        Ok(Tls {
            connection: UnbufferedServerConnection::new(Arc::clone(&site.config))?,
            incoming,
            outgoing: BytesMut::new(),
            sent: 0,
            ended: false,
            mute: false,
            site: Arc::clone(&site.config),
            name,
            secured: None,
        })
    }

    /// Completes the handshake. Plaintext that came with its end goes to `plain`.
    pub(crate) fn poll_handshake(
        &mut self,
        tcp: &mut TcpStream,
        context: &mut Context<'_>,
        buffer: &mut [u8],
        plain: &mut Vec<u8>,
    ) -> Poll<io::Result<()>> {
        if !self.incoming.is_empty() {
            let mut held = std::mem::take(&mut self.incoming);
            self.open(&mut held, plain)
                .inspect_err(|_| self.send_alert(tcp, context))?;
        }
        while self.connection.is_handshaking() {
            // What the client waits for.
            ready!(self.poll_flush(tcp, context))?;
            if !ready!(self.poll_open(tcp, context, buffer, plain))? {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        self.secured = Some(Secured::new(
            &self.connection,
            self.name.take(),
            Arc::clone(&self.site),
        ));
        // Tickets; the client waits for none of them.
        let _ = self.poll_flush(tcp, context)?;
        Poll::Ready(Ok(()))
    }

    /// What it says of requests; none before the handshake is done.
    pub(crate) fn secured(&self) -> Option<&Secured> {
        self.secured.as_ref()
    }

    /// The protocol that client and server agreed upon (RFC 7301).
    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        self.connection.alpn_protocol()
    }

    /// Adds the plaintext that comes next to `plain`; nothing at its end.
    pub(crate) fn poll_read(
        &mut self,
        tcp: &mut TcpStream,
        context: &mut Context<'_>,
        buffer: &mut [u8],
        plain: &mut Vec<u8>,
    ) -> Poll<io::Result<()>> {
        while plain.is_empty() && !self.ended {
            // Answers to the client's changes of keys and the like. That they have to wait is no
            // reason to stop reading.
            let _ = self.poll_flush(tcp, context)?;
            if !ready!(self.poll_open(tcp, context, buffer, plain))? {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once, and opens what is whole. False at the end of the connection, whether that was
    /// announced or not: every message of HTTP says itself where it ends.
    fn poll_open(
        &mut self,
        tcp: &mut TcpStream,
        context: &mut Context<'_>,
        buffer: &mut [u8],
        plain: &mut Vec<u8>,
    ) -> Poll<io::Result<bool>> {
        let held = self.incoming.len();
        let Some(room) = buffer.get_mut(held..).filter(|room| !room.is_empty()) else {
            return Poll::Ready(Err(io::Error::other(
                "a message of a handshake is too long",
            )));
        };
        let mut room = ReadBuf::new(room);
        ready!(Pin::new(&mut *tcp).poll_read(context, &mut room))?;
        let read = room.filled().len();
        if read == 0 {
            return Poll::Ready(Ok(false));
        }
        buffer[..held].copy_from_slice(&self.incoming);
        let opened = self.open(&mut buffer[..held + read], plain);
        opened.inspect_err(|_| self.send_alert(tcp, context))?;
        Poll::Ready(Ok(true))
    }

    /// Opens the records in `bytes`, and keeps the rest.
    fn open(&mut self, bytes: &mut [u8], plain: &mut Vec<u8>) -> io::Result<()> {
        let mut used = 0;
        loop {
            let UnbufferedStatus { discard, state } =
                self.connection.process_tls_records(&mut bytes[used..]);
            match state.map_err(io::Error::other)? {
                ConnectionState::ReadTraffic(mut records) => {
                    while let Some(record) = records.next_record() {
                        plain.extend_from_slice(record.map_err(io::Error::other)?.payload);
                    }
                }
                ConnectionState::EncodeTlsData(message) => queue(message, &mut self.outgoing)?,
                ConnectionState::TransmitTlsData(sent) => sent.done(),
                ConnectionState::PeerClosed | ConnectionState::Closed => {
                    self.ended = true;
                    self.incoming = Vec::new();
                    return Ok(());
                }
                ConnectionState::WriteTraffic(_) | ConnectionState::BlockedHandshake => {
                    used += discard;
                    self.incoming = match &bytes[used..] {
                        [] => Vec::new(),
                        rest => rest.to_vec(),
                    };
                    return Ok(());
                }
                // Nobody is offered to send any.
                _ => return Err(io::Error::other("early data")),
            }
            used += discard;
        }
    }

    /// Says why the connection ends.
    fn send_alert(&mut self, tcp: &mut TcpStream, context: &mut Context<'_>) {
        self.mute = true;
        // Once is enough: what came before it has been queued.
        if let Ok(ConnectionState::EncodeTlsData(message)) =
            self.connection.process_tls_records(&mut []).state
        {
            let _ = queue(message, &mut self.outgoing);
        }
        let _ = self.poll_flush(tcp, context);
    }

    /// Begins a response: its first records are small.
    pub(crate) fn begin_response(&mut self) {
        self.sent = 0;
    }

    /// Whether there are bytes which only wait for the socket.
    pub(crate) fn has_outgoing(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether there is the beginning of a record.
    pub(crate) fn has_incoming(&self) -> bool {
        !self.incoming.is_empty()
    }

    /// Writes what waits for the socket.
    pub(crate) fn poll_flush(
        &mut self,
        tcp: &mut TcpStream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let written = ready!(Pin::new(&mut *tcp).poll_write(context, &self.outgoing))?;
            self.outgoing.advance(written);
            if self.outgoing.is_empty() {
                self.outgoing = BytesMut::new();
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Takes bytes from the front of the slices; returns how many. They are on their way when
    /// nothing is [outgoing](Self::has_outgoing) any more.
    pub(crate) fn poll_write(
        &mut self,
        tcp: &mut TcpStream,
        context: &mut Context<'_>,
        slices: [&[u8]; 3],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_flush(tcp, context))?;
        SEALED.with_borrow_mut(|sealed| {
            let (taken, len) = self.seal(slices, sealed)?;
            self.write(tcp, context, &sealed[..len])?;
            Poll::Ready(Ok(taken))
        })
    }

    /// The same, of a head and up to `len` bytes of a file; returns how many of the file's. The
    /// head goes out whole, so it must be short.
    pub(crate) fn poll_write_file(
        &mut self,
        tcp: &mut TcpStream,
        context: &mut Context<'_>,
        head: &[u8],
        (file, offset, len): (&File, u64, u64),
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_flush(tcp, context))?;
        FILE.with_borrow_mut(|bytes| {
            let room = WRITE_BYTES.saturating_sub(head.len());
            let len = usize::try_from(len).map_or(room, |len| len.min(room));
            let got = file.read_at(&mut bytes[..len], offset)?;
            SEALED.with_borrow_mut(|sealed| {
                let (_, sealed_len) = self.seal([head, &bytes[..got], b""], sealed)?;
                self.write(tcp, context, &sealed[..sealed_len])?;
                Poll::Ready(Ok(got))
            })
        })
    }

    /// Seals the slices' first bytes. Returns how many, and how long that is sealed.
    fn seal(&mut self, slices: [&[u8]; 3], to: &mut [u8]) -> io::Result<(usize, usize)> {
        let all: usize = slices.iter().map(|slice| slice.len()).sum();
        let (all, mut taken, mut len) = (all.min(WRITE_BYTES), 0, 0);
        while taken < all {
            let most = match self.sent < YOUNG_BYTES {
                true => SMALL_RECORD,
                false => LARGE_RECORD,
            };
            let record = most.min(all - taken);
            let rest = crate::socket::skip(slices, taken);
            let first = rest.iter().find(|slice| !slice.is_empty());
            len += match first.and_then(|first| first.get(..record)) {
                Some(bytes) => self.seal_record(bytes, &mut to[len..])?,
                None => RECORD.with_borrow_mut(|joined| {
                    joined.clear();
                    for slice in rest {
                        let missing = record - joined.len();
                        joined.extend_from_slice(&slice[..missing.min(slice.len())]);
                    }
                    self.seal_record(joined, &mut to[len..])
                })?,
            };
            taken += record;
            self.sent = self.sent.saturating_add(record);
        }
        Ok((taken, len))
    }

    fn seal_record(&mut self, bytes: &[u8], to: &mut [u8]) -> io::Result<usize> {
        let mut len = 0;
        loop {
            // What is held back may be half a message, whose place rustls remembers: it wants to
            // see the same bytes again.
            let held = &mut self.incoming;
            match self
                .connection
                .process_tls_records(held)
                .state
                .map_err(io::Error::other)?
            {
                ConnectionState::WriteTraffic(mut traffic) => {
                    let sealed = traffic.encrypt(bytes, &mut to[len..]);
                    return Ok(len + sealed.map_err(io::Error::other)?);
                }
                ConnectionState::EncodeTlsData(mut message) => {
                    len += message.encode(&mut to[len..]).map_err(io::Error::other)?;
                }
                ConnectionState::TransmitTlsData(sent) => sent.done(),
                ConnectionState::PeerClosed => self.ended = true,
                _ => return Err(io::ErrorKind::NotConnected.into()),
            }
        }
    }

    /// Writes what the socket takes, and keeps the rest.
    fn write(
        &mut self,
        tcp: &mut TcpStream,
        context: &mut Context<'_>,
        mut bytes: &[u8],
    ) -> io::Result<()> {
        while !bytes.is_empty() {
            match Pin::new(&mut *tcp).poll_write(context, bytes) {
                Poll::Ready(written) => bytes = &bytes[written?..],
                Poll::Pending => {
                    self.outgoing.extend_from_slice(bytes);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Nothing is said from now on: the client is to see that the connection was cut.
    pub(crate) fn mute(&mut self) {
        self.mute = true;
    }

    /// Says that nothing more will be sent: without that, an end might have been cut off by
    /// somebody on the way. Not where a record is half sent, which is a cut itself.
    pub(crate) fn say_farewell(&mut self, tcp: &TcpStream) {
        if self.mute || self.has_outgoing() {
            return;
        }
        self.mute = true;
        let mut alert = [0; ALERT_BYTES];
        let state = self
            .connection
            .process_tls_records(&mut self.incoming)
            .state;
        if let Ok(ConnectionState::WriteTraffic(mut traffic)) = state
            && let Ok(len) = traffic.queue_close_notify(&mut alert)
        {
            // For a socket that takes not even this, there is nobody who reads.
            let _ = tcp.try_write(&alert[..len]);
        }
    }
}

fn queue<D>(mut message: EncodeTlsData<'_, D>, to: &mut BytesMut) -> io::Result<()> {
    use rustls::unbuffered::{EncodeError, InsufficientSizeError};
    let before = to.len();
    // It says how long it is by not fitting in.
    if let Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) =
        message.encode(&mut [])
    {
        to.resize(before + required_size, 0);
        message
            .encode(&mut to[before..])
            .map_err(io::Error::other)?;
    }
    Ok(())
}
