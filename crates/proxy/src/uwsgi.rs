//! A target that speaks the uwsgi protocol, as hyper sees it: a connection of HTTP/1.1, good for one
//! request.
//!
//! 1. The head that hyper writes becomes a packet; the body goes as it is, which is why it must have a
//!    length.
//! 2. An answer that begins with a status line is HTTP/1.1 already, ended by the connection's end or its
//!    length. One as of CGI (`Status:` among the fields, or none for 200) is given its line.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use appliance_message::uwsgi::{Circumstances, write};
use appliance_message::{Limits, parse};
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What hyper writes at most: more than a packet holds.
const LIMITS: Limits = Limits {
    bytes: 1 << 20,
    fields: 2000,
};
/// The longest head of an answer without a status line.
const ANSWER_HEAD_BYTES: usize = 64 << 10;

/// The client's port, for such targets alone. No field of a packet has an underscore in its name: it
/// becomes a variable and no field.
pub(crate) const REMOTE_PORT: &str = "remote_port";

/// A connection to such a target.
#[derive(Debug)]
pub(crate) struct Translated<S> {
    stream: S,
    /// The head of the request, while it is written.
    head: Option<Vec<u8>>,
    /// The packet, as far as it has not gone.
    packet: BytesMut,
    /// The beginning of the answer, until it is known what it is.
    beginning: Option<Vec<u8>>,
    /// What hyper is to read before all else.
    unread: BytesMut,
}

impl<S> Translated<S> {
    pub(crate) fn new(stream: S) -> Self {
        Translated {
            stream,
            head: Some(Vec::new()),
            packet: BytesMut::new(),
            beginning: Some(Vec::new()),
            unread: BytesMut::new(),
        }
    }

    /// Takes bytes of the request's head, and of what follows it.
    fn take(&mut self, mut head: Vec<u8>) -> io::Result<()> {
        let parsed = parse(&head, &mut 0, LIMITS);
        let parsed = parsed.map_err(|refusal| io::Error::other(refusal.reason))?;
        let Some((request, len)) = parsed else {
            self.head = Some(head);
            return Ok(());
        };
        let field = |name: &[u8]| {
            let mut fields = request.fields();
            fields
                .find(|(_, spelled, _)| spelled.eq_ignore_ascii_case(name))
                .map_or(&b""[..], |(_, _, value)| value)
        };
        // `request` has set both, whatever the client has sent.
        let client = match field(b"x-real-ip") {
            b"unknown" => b"",
            client => client,
        };
        let of = Circumstances {
            client,
            client_port: field(REMOTE_PORT.as_bytes()),
            is_https: field(b"x-forwarded-proto") == b"https",
        };
        let packet = write(&request, of);
        self.packet
            .extend_from_slice(&packet.map_err(io::Error::other)?);
        self.packet.extend_from_slice(&head.split_off(len));
        Ok(())
    }

    /// Whether the answer's beginning has been understood: then hyper gets it.
    fn understand(&mut self, is_end: bool) {
        let Some(beginning) = &self.beginning else {
            return;
        };
        const HTTP: &[u8] = b"HTTP/";
        let is_http = HTTP.starts_with(&beginning[..beginning.len().min(HTTP.len())]);
        let is_known = match is_http {
            true => beginning.len() >= HTTP.len(),
            false => ends_head(beginning) || beginning.len() > ANSWER_HEAD_BYTES,
        };
        if !is_known && !is_end {
            return;
        }
        let beginning = self.beginning.take().unwrap_or_default();
        if is_http || !ends_head(&beginning) {
            self.unread.extend_from_slice(&beginning);
            return;
        }
        let (status, line) = status(&beginning).unwrap_or((b"200 OK", 0..0));
        self.unread.extend_from_slice(b"HTTP/1.1 ");
        self.unread.extend_from_slice(status);
        self.unread.extend_from_slice(b"\r\n");
        self.unread.extend_from_slice(&beginning[..line.start]);
        self.unread.extend_from_slice(&beginning[line.end..]);
    }
}

fn ends_head(bytes: &[u8]) -> bool {
    bytes.windows(4).any(|end| end == b"\r\n\r\n") || bytes.windows(2).any(|end| end == b"\n\n")
}

/// `200 OK`, of the field `Status`, and where that stands with its end.
fn status(head: &[u8]) -> Option<(&[u8], Range<usize>)> {
    let mut start = 0;
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        let end = start + line.len();
        if line.trim_ascii().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_at_checked(7)
            && name.eq_ignore_ascii_case(b"status:")
        {
            return Some((value.trim_ascii(), start..end));
        }
        start = end;
    }
    None
}

impl<S: AsyncWrite + Unpin> Translated<S> {
    fn poll_packet(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.packet.is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(context, &self.packet))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.packet.advance(sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Translated<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.beginning.is_some() && this.unread.is_empty() {
            let mut bytes = [0; 4096];
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut read))?;
            let is_end = read.filled().is_empty();
            if let Some(beginning) = &mut this.beginning {
                beginning.extend_from_slice(read.filled());
            }
            this.understand(is_end);
            if is_end {
                break;
            }
        }
        if this.unread.is_empty() {
            return match this.beginning {
                Some(_) => Poll::Ready(Ok(())),
                None => Pin::new(&mut this.stream).poll_read(context, buffer),
            };
        }
        let len = this.unread.len().min(buffer.remaining());
        buffer.put_slice(&this.unread[..len]);
        this.unread.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Translated<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Some(mut head) = this.head.take() {
            let before = head.len();
            slices
                .iter()
                .for_each(|slice| head.extend_from_slice(slice));
            let taken = head.len() - before;
            this.take(head)?;
            return Poll::Ready(Ok(taken));
        }
        ready!(this.poll_packet(context))?;
        Pin::new(&mut this.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_packet(context))?;
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_packet(context))?;
        Pin::new(&mut this.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    async fn answered(answer: &[u8]) -> String {
        let (mut target, here) = duplex(16);
        let mut translated = Translated::new(here);
        let answer = answer.to_vec();
        let sending = tokio::spawn(async move {
            let _ = target.write_all(&answer).await;
        });
        let mut read = String::new();
        translated.read_to_string(&mut read).await.unwrap();
        sending.await.unwrap();
        read
    }

    #[tokio::test]
    async fn answers_get_the_status_line_that_they_lack() {
        for (answer, read) in [
            (
                "HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody",
                "HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody",
            ),
            (
                "A: b\r\nStatus: 404 Not Found\r\n\r\nbody",
                "HTTP/1.1 404 Not Found\r\nA: b\r\n\r\nbody",
            ),
            (
                "A: b\r\n\r\nStatus: 500",
                "HTTP/1.1 200 OK\r\nA: b\r\n\r\nStatus: 500",
            ),
            ("garbage", "garbage"),
            ("HT", "HT"),
            ("", ""),
        ] {
            assert_eq!(answered(answer.as_bytes()).await, read, "{answer}");
        }
    }

    #[tokio::test]
    async fn a_head_becomes_a_packet_however_it_is_written() {
        let request = b"POST /a?b HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\nx-real-ip: 192.0.2.1\r\nremote_port: 4711\r\n\r\nbody";
        for size in [1, 7, 1000] {
            let (mut target, here) = duplex(1 << 16);
            let mut translated = Translated::new(here);
            for piece in request.chunks(size) {
                translated.write_all(piece).await.unwrap();
            }
            translated.shutdown().await.unwrap();
            drop(translated);
            let mut sent = Vec::new();
            target.read_to_end(&mut sent).await.unwrap();
            let (packet, len) = appliance_message::uwsgi::parse(&sent, LIMITS)
                .unwrap()
                .unwrap();
            assert_eq!(packet.head.line(), b"POST /a?b HTTP/1.1");
            assert_eq!(packet.told.client.unwrap().to_string(), "192.0.2.1");
            assert_eq!(packet.told.client_port, 4711);
            assert_eq!(packet.told.variable("HTTP_REMOTE_PORT"), None);
            assert_eq!(&sent[len..], b"body");
        }
    }
}
