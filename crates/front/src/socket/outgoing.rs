//! How bytes go out.

use std::fs::File;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncWrite, Interest};
use tokio::net::TcpStream;

use crate::sendfile::{send_more, sendfile};

use super::Socket;

/// Bytes of a file after which a connection lets the others of its thread go first.
const TURN_BYTES: u64 = 2 << 20;

/// What is left to be sent of a file.
struct Rest<'a> {
    file: &'a File,
    offset: u64,
    len: u64,
    /// Since others could go first.
    in_turn: u64,
}

impl Rest<'_> {
    async fn advance(&mut self, sent: usize) -> io::Result<()> {
        let sent = sent as u64;
        if sent == 0 && self.len > 0 {
            // The file is shorter than it was: what is missing cannot be sent.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += sent;
        self.len -= sent;
        self.in_turn += sent;
        if self.in_turn >= TURN_BYTES {
            self.in_turn = 0;
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

impl Socket {
    /// Sends a part of these bytes. What TLS has sealed may still be here:
    /// [`poll_flush`](Self::poll_flush) sends it.
    pub(crate) fn poll_some(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = match &mut self.tls {
            Some(tls) => tls.poll_write(&mut self.tcp, context, [bytes, b"", b""]),
            None => Pin::new(&mut self.tcp).poll_write(context, bytes),
        };
        let result = self.mind(result);
        result.map_ok(|sent| {
            self.count(sent);
            sent
        })
    }

    /// Sends what has been sealed.
    pub(crate) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.has_outgoing() {
            ready!(self.poll_some(context, b""))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes some of these slices, for a protocol that keeps the clock of its client's patience
    /// itself.
    pub(crate) fn poll_write_from(
        &mut self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = match &mut self.tls {
            None => Pin::new(&mut self.tcp).poll_write_vectored(context, slices),
            Some(tls) => {
                let slice = |at| slices.get(at).map_or(&b""[..], |slice: &IoSlice<'_>| slice);
                tls.poll_write(&mut self.tcp, context, [0, 1, 2].map(slice))
            }
        };
        let written = ready!(written)?;
        self.count(written);
        Poll::Ready(Ok(written))
    }

    /// Sends all of these slices, in order.
    pub(crate) async fn send(&mut self, slices: [&[u8]; 3]) -> io::Result<()> {
        let mut sent = 0;
        let len: usize = slices.iter().map(|slice| slice.len()).sum();
        while sent < len || self.has_outgoing() {
            let now = poll_fn(|context| {
                let result = if let Some(tls) = &mut self.tls {
                    tls.poll_write(&mut self.tcp, context, skip(slices, sent))
                } else if sent == 0 && slices[1].is_empty() && slices[2].is_empty() {
                    Pin::new(&mut self.tcp).poll_write(context, slices[0])
                } else {
                    let rest = skip(slices, sent).map(IoSlice::new);
                    Pin::new(&mut self.tcp).poll_write_vectored(context, &rest)
                };
                self.mind(result)
            })
            .await?;
            self.count(now);
            sent += now;
        }
        Ok(())
    }

    fn has_outgoing(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.has_outgoing())
    }

    /// Sends a head, then a part of a file.
    pub(crate) async fn send_file(
        &mut self,
        head: &[u8],
        file: &File,
        offset: u64,
        len: u64,
    ) -> io::Result<()> {
        let mut rest = Rest {
            file,
            offset,
            len,
            in_turn: 0,
        };
        if self.tls.is_some() {
            return Box::pin(self.seal_file(head, rest)).await;
        }
        let mut sent = 0;
        while sent < head.len() {
            let now = self.write(|tcp| send_more(tcp, &head[sent..])).await?;
            self.count(now);
            sent += now;
        }
        while rest.len > 0 {
            let sent = self.write(|tcp| sendfile(tcp, file, rest.offset, rest.len));
            let sent = sent.await?;
            self.count(sent);
            rest.advance(sent).await?;
        }
        Ok(())
    }

    /// The same over TLS: the kernel cannot send what is not sealed.
    async fn seal_file(&mut self, mut head: &[u8], mut rest: Rest<'_>) -> io::Result<()> {
        /// A longer head leaves by itself.
        const SHORT: usize = 16 << 10;
        if head.len() > SHORT {
            self.send([head, b"", b""]).await?;
            head = b"";
        }
        while rest.len > 0 || !head.is_empty() || self.has_outgoing() {
            let sent = poll_fn(|context| {
                let Some(tls) = &mut self.tls else {
                    return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
                };
                let part = (rest.file, rest.offset, rest.len);
                let result = tls.poll_write_file(&mut self.tcp, context, head, part);
                self.mind(result)
            });
            let sent = sent.await?;
            self.count(head.len() + sent);
            head = b"";
            rest.advance(sent).await?;
        }
        Ok(())
    }

    async fn write(
        &mut self,
        mut operation: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> io::Result<usize> {
        poll_fn(|context| {
            loop {
                if self.tcp.poll_write_ready(context)?.is_pending() {
                    return self.mind(Poll::Pending);
                }
                let result = self.tcp.try_io(Interest::WRITABLE, || operation(&self.tcp));
                match result {
                    Err(error) if is_transient(&error) => {}
                    result => return self.mind(Poll::Ready(result)),
                }
            }
        })
        .await
    }
}

/// The slices without their first `sent` bytes.
pub(crate) fn skip(slices: [&[u8]; 3], mut sent: usize) -> [&[u8]; 3] {
    slices.map(|slice| {
        let skipped = sent.min(slice.len());
        sent -= skipped;
        &slice[skipped..]
    })
}

/// `WouldBlock` has cleared tokio's readiness: the next `poll_write_ready` waits.
fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
