//! `sendfile(2)` underneath hyper, which knows nothing of it.
//!
//! 1. A body hands hyper a *stand-in*: a slice of the right length over memory that is never
//!    touched, whose address says which part of which file it stands for.
//! 2. [`SendfileStream`] recognises the address in `poll_write_vectored` and calls `sendfile`.
//!
//! All stand-ins lie in one mapping of zero pages, private to this process, and overlap: it is the
//! address of a slice's *end* that is unique to it, since hyper moves the start forward as bytes
//! go out. So there is no mapping per file, nothing to fault when a file is truncated (then
//! `sendfile` reports the end, and the connection is cut), and no address space that an
//! `RLIMIT_AS` would miss: about 2 MB in all.
//!
//! The price: whoever copies a stand-in instead of passing it on sends zeros. Therefore only a
//! request that comes with a [`Sendfile`] gets one, and that comes from a [`SendfileStream`] alone.
//! The connection must be HTTP/1.1 by hyper with `writev(true)` and without `pipeline_flush`,
//! which would switch hyper to its copying strategy; nothing between body and hyper may read
//! the data (compression must leave such a response alone).
#![allow(unsafe_code)] // sendfile has no safe wrapper in std; hyper's read cursor is unsafe

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::rt::ReadBufCursor;
use memmap2::{Mmap, MmapMut};
use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio::net::TcpStream;

/// Longest stand-in.
const PIECE: usize = 2 << 20;

/// Most stand-ins at a time: one or two for each connection that is being sent a file.
const SLOTS: usize = 1 << 16;

/// Bytes after which a connection lets the others of its thread go first.
const TURN: usize = 2 << 20;

/// Says that a response may hold stand-ins.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Sendfile {}

/// A plain TCP connection for hyper, by which file bodies are sent with `sendfile`.
#[derive(Debug)]
pub struct SendfileStream {
    tcp: TcpStream,
    sent_in_turn: usize,
}

impl SendfileStream {
    /// Wraps a connection.
    pub fn new(tcp: TcpStream) -> SendfileStream {
        SendfileStream {
            tcp,
            sent_in_turn: 0,
        }
    }

    /// For the answers to requests that arrive over this connection.
    pub fn token(&self) -> Sendfile {
        Sendfile {}
    }

    /// The connection itself.
    pub fn get_ref(&self) -> &TcpStream {
        &self.tcp
    }

    /// Fields and whatever else precedes a stand-in: held back until the file's first bytes join
    /// them in one segment. One slice at a time is enough, hyper keeps the head in one.
    fn poll_write_ahead(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.tcp.poll_write_ready(cx))?;
            match self
                .tcp
                .try_io(Interest::WRITABLE, || send_more(&self.tcp, bytes))
            {
                Err(error) if is_transient(&error) => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn poll_sendfile(&mut self, cx: &mut Context<'_>, part: &Part) -> Poll<io::Result<usize>> {
        if self.sent_in_turn >= TURN {
            self.sent_in_turn = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            ready!(self.tcp.poll_write_ready(cx))?;
            match self
                .tcp
                .try_io(Interest::WRITABLE, || send_part(&self.tcp, part))
            {
                // The file is shorter than it was: what is missing cannot be sent.
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Ok(sent) => {
                    self.sent_in_turn += sent;
                    return Poll::Ready(Ok(sent));
                }
                Err(error) if is_transient(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl hyper::rt::Read for SendfileStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // SAFETY: tokio's ReadBuf only ever writes initialised bytes into the slice.
        let mut buffer = tokio::io::ReadBuf::uninit(unsafe { cursor.as_mut() });
        ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut buffer))?;
        let filled = buffer.filled().len();
        // SAFETY: the first `filled` bytes of the cursor's slice have just been initialised.
        unsafe { cursor.advance(filled) };
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for SendfileStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Some(first) = slices.iter().position(|slice| is_stand_in(slice)) else {
            self.sent_in_turn = 0;
            return Pin::new(&mut self.tcp).poll_write_vectored(cx, slices);
        };
        match slices[..first].iter().find(|slice| !slice.is_empty()) {
            Some(ahead) => self.poll_write_ahead(cx, ahead),
            None => match part(&slices[first]) {
                Some(part) => self.poll_sendfile(cx, &part),
                None => Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
            },
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// A slice that stands for the file's bytes from `offset` on, up to `len` of them; none if there
/// are too many at the moment, or no memory for the mapping.
pub(super) fn stand_in(file: &Arc<File>, offset: u64, len: u64) -> Option<Bytes> {
    let len = usize::try_from(len).map_or(PIECE, |len| len.min(PIECE));
    let memory = memory()?;
    let slot = registry().claim(Extent {
        file: file.clone(),
        end: offset + len as u64,
    })?;
    let end = PIECE + slot;
    Some(Bytes::from_owner(StandIn {
        slot,
        bytes: &memory[end - len..end],
    }))
}

/// Keeps the slot until hyper has sent or dropped the last of the slice.
struct StandIn {
    slot: usize,
    bytes: &'static [u8],
}

impl AsRef<[u8]> for StandIn {
    fn as_ref(&self) -> &[u8] {
        self.bytes
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        registry().release(self.slot);
    }
}

/// The zero pages. Nobody reads them: they never become resident.
fn memory() -> Option<&'static Mmap> {
    static MEMORY: OnceLock<Option<Mmap>> = OnceLock::new();
    let map = || {
        MmapMut::map_anon(PIECE + SLOTS)
            .and_then(MmapMut::make_read_only)
            .ok()
    };
    MEMORY.get_or_init(map).as_ref()
}

fn is_stand_in(slice: &[u8]) -> bool {
    let Some(memory) = memory() else { return false };
    memory.as_ptr_range().contains(&slice.as_ptr())
}

#[derive(Debug, Default)]
struct Registry {
    extents: Vec<Option<Extent>>,
    free: Vec<usize>,
}

/// The file behind a stand-in, and where in it the stand-in's end lies.
#[derive(Debug, Clone)]
struct Extent {
    file: Arc<File>,
    end: u64,
}

impl Registry {
    fn claim(&mut self, extent: Extent) -> Option<usize> {
        if let Some(slot) = self.free.pop() {
            self.extents[slot] = Some(extent);
            return Some(slot);
        }
        let slot = self.extents.len();
        (slot < SLOTS).then(|| {
            self.extents.push(Some(extent));
            slot
        })
    }

    fn release(&mut self, slot: usize) {
        self.extents[slot] = None;
        self.free.push(slot);
    }
}

fn registry() -> MutexGuard<'static, Registry> {
    static REGISTRY: Mutex<Registry> = Mutex::new(Registry {
        extents: Vec::new(),
        free: Vec::new(),
    });
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What (the rest of) a stand-in stands for.
struct Part {
    file: Arc<File>,
    offset: u64,
    len: usize,
}

fn part(slice: &[u8]) -> Option<Part> {
    let end = slice.as_ptr_range().end.addr() - memory()?.as_ptr().addr();
    let extent = registry().extents.get(end.checked_sub(PIECE)?)?.clone()?;
    let offset = extent.end.checked_sub(slice.len() as u64)?;
    Some(Part {
        file: extent.file,
        offset,
        len: slice.len(),
    })
}

fn send_part(tcp: &TcpStream, part: &Part) -> io::Result<usize> {
    let mut offset = libc::off64_t::try_from(part.offset).map_err(io::Error::other)?;
    // SAFETY: both descriptors are open while `tcp` and `part` are borrowed; `offset` is a valid
    // place to read from and write to.
    let sent = unsafe {
        libc::sendfile64(
            tcp.as_raw_fd(),
            part.file.as_raw_fd(),
            &mut offset,
            part.len,
        )
    };
    match usize::try_from(sent) {
        Ok(sent) => Ok(sent),
        Err(_) => match io::Error::last_os_error() {
            // File systems without support for it (some FUSE).
            error if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) => {
                copy_part(tcp, part)
            }
            error => Err(error),
        },
    }
}

fn copy_part(tcp: &TcpStream, part: &Part) -> io::Result<usize> {
    let mut buffer = vec![0; part.len.min(64 << 10)];
    let got = part.file.read_at(&mut buffer, part.offset)?;
    send(tcp, &buffer[..got], 0)
}

fn send_more(tcp: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    send(tcp, bytes, libc::MSG_MORE)
}

fn send(tcp: &TcpStream, bytes: &[u8], flags: libc::c_int) -> io::Result<usize> {
    // SAFETY: `bytes` is readable for its length and the descriptor open for the call.
    let sent = unsafe {
        let flags = flags | libc::MSG_NOSIGNAL;
        libc::send(tcp.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags)
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// `WouldBlock` has cleared tokio's readiness: the next `poll_write_ready` waits.
fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
