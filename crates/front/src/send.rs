//! A response → bytes on the socket.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::Poll;

use appliance_gateway::Incomplete;
use appliance_message::ResponseHead;
use bytes::Bytes;
use http::{Method, StatusCode, Version};

use crate::connections::Status;
use crate::response::{Body, Response};
use crate::rules::Visit;
use crate::socket::Socket;

/// Blocks of a stream up to this length are copied behind what else is to be sent: cheaper than a
/// further slice.
const COPIED_BYTES: usize = 4 << 10;
/// Bytes of a stream after which they are sent, however much more is there already.
const ENOUGH_BYTES: usize = 64 << 10;

/// What the request and its connection have to say about the response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner<'a> {
    pub(crate) is_head: bool,
    pub(crate) version: Version,
    /// The connection goes on after the response.
    pub(crate) keeps_alive: bool,
    /// The rules that have the last word about it.
    pub(crate) visit: Option<&'a Visit<'a>>,
    /// The line of `Strict-Transport-Security` that it gets, unless it has its own.
    pub(crate) hsts: Option<&'a [u8]>,
}

impl Manner<'_> {
    pub(crate) fn new(method: &Method, version: Version, keeps_alive: bool) -> Self {
        Manner {
            is_head: method == Method::HEAD,
            version,
            keeps_alive,
            visit: None,
            hsts: None,
        }
    }

    /// For the answer to something that is no request.
    pub(crate) fn of_refusal(is_head: bool) -> Self {
        Manner {
            is_head,
            version: Version::HTTP_11,
            keeps_alive: false,
            visit: None,
            hsts: None,
        }
    }

    /// The line of `Strict-Transport-Security`, or nothing.
    pub(crate) fn hsts_line(&self, head: &ResponseHead) -> &[u8] {
        let has_own = || head.fields.get("strict-transport-security").is_some();
        self.hsts.filter(|_| !has_own()).unwrap_or_default()
    }

    /// Whether a response with this status comes with a body (RFC 9110 §6.4.1).
    fn has_body(self, status: StatusCode) -> bool {
        !self.is_head && !is_bodiless(status)
    }
}

/// Whether responses with this status have no body (RFC 9110 §6.4.1).
pub(crate) fn is_bodiless(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// How a body is delimited.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Delimiter {
    /// Its length is known, or there is none.
    Length,
    Chunks,
    /// The connection's end.
    Close,
}

/// Writes status line and fields, for a body of this length, if that is known.
fn encode(
    head: &ResponseHead,
    length: Option<u64>,
    manner: Manner<'_>,
    status: &Status,
) -> (Vec<u8>, Delimiter) {
    let [shared, own] = head.fields.blocks();
    let mut out = Vec::with_capacity(shared.len() + own.len() + 160);
    let mut digits = itoa::Buffer::new();
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(head.status.as_str().as_bytes());
    out.push(b' ');
    let usual = head.status.canonical_reason().unwrap_or_default();
    out.extend_from_slice(head.reason.as_deref().unwrap_or(usual.as_bytes()));
    out.extend_from_slice(b"\r\n");
    if !head.dated {
        out.extend_from_slice(b"Date: ");
        status.add_date(&mut out);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(shared);
    out.extend_from_slice(own);
    out.extend_from_slice(manner.hsts_line(head));
    let mut closes = !manner.keeps_alive;
    let mut delimiter = Delimiter::Length;
    if is_bodiless(head.status) {
        // RFC 9110 §8.6: no length with a 204. With a 304 it would be that of the 200, of which
        // applications that set it to 0 know nothing.
    } else if let Some(length) = length {
        out.extend_from_slice(b"Content-Length: ");
        out.extend_from_slice(digits.format(length).as_bytes());
        out.extend_from_slice(b"\r\n");
    } else if manner.is_head {
        // What GET would say is not known.
    } else if manner.version == Version::HTTP_10 {
        delimiter = Delimiter::Close;
        closes = true;
    } else {
        delimiter = Delimiter::Chunks;
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    if closes {
        out.extend_from_slice(b"Connection: close\r\n");
    } else if manner.version == Version::HTTP_10 {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
    out.extend_from_slice(b"\r\n");
    (out, delimiter)
}

/// Sends a response of the front's own.
pub(crate) async fn response(
    socket: &mut Socket,
    status: &Status,
    response: Response,
    manner: Manner<'_>,
) -> io::Result<()> {
    let length = response.head.length.unwrap_or(0);
    let (head, _) = encode(&response.head, Some(length), manner, status);
    socket.head_is(head.len());
    match response.body {
        _ if !manner.has_body(response.head.status) => socket.send([&head, b"", b""]).await,
        Body::Empty => socket.send([&head, b"", b""]).await,
        Body::Memory(bytes) | Body::Page(bytes, _) => socket.send([&head, &bytes, b""]).await,
        Body::File(part) => {
            socket
                .send_file(&head, &part.file, part.offset, part.len)
                .await
        }
    }
}

/// How a stream ended.
#[derive(Debug, PartialEq)]
pub(crate) enum StreamEnd {
    Complete,
    /// All was sent, and the connection's end is the body's.
    CompleteByClosing,
    /// The client has left.
    Left,
    /// The application stopped before its end: the connection must be cut.
    Cut,
}

enum Next {
    Block(Bytes),
    /// Nothing more at the moment.
    Flush,
    End(StreamEnd),
}

/// Sends a response whose body comes block by block: each as soon as it is here, and those that
/// are here together in one go.
pub(crate) async fn stream<B>(
    socket: &mut Socket,
    status: &Status,
    head: ResponseHead,
    body: B,
    manner: Manner<'_>,
) -> io::Result<StreamEnd>
where
    B: http_body::Body<Data = Bytes, Error = Incomplete>,
{
    let mut body = pin!(body);
    let length = head.length.or_else(|| body.size_hint().exact());
    let (mut out, delimiter) = encode(&head, length, manner, status);
    socket.head_is(out.len());
    if !manner.has_body(head.status) {
        socket.send([&out, b"", b""]).await?;
        return Ok(StreamEnd::Complete);
    }
    loop {
        let next = poll_fn(|context| {
            if let Poll::Ready(frame) = body.as_mut().poll_frame(context) {
                return Poll::Ready(
                    match frame.map(|frame| frame.map(http_body::Frame::into_data)) {
                        Some(Ok(Ok(block))) => Next::Block(block),
                        // There are no trailers in WSGI.
                        Some(Ok(Err(_))) => Next::Flush,
                        Some(Err(Incomplete)) => Next::End(StreamEnd::Cut),
                        None => Next::End(StreamEnd::Complete),
                    },
                );
            }
            if !out.is_empty() {
                return Poll::Ready(Next::Flush);
            }
            socket
                .poll_left(context)
                .map(|()| Next::End(StreamEnd::Left))
        });
        match next.await {
            Next::Block(block) if block.is_empty() => {}
            Next::Block(block) => {
                let end: &[u8] = match delimiter {
                    Delimiter::Chunks => {
                        out.extend_from_slice(format!("{:x}\r\n", block.len()).as_bytes());
                        b"\r\n"
                    }
                    _ => b"",
                };
                if block.len() <= COPIED_BYTES {
                    out.extend_from_slice(&block);
                    out.extend_from_slice(end);
                    if out.len() < ENOUGH_BYTES {
                        continue;
                    }
                    socket.send([&out, b"", b""]).await?;
                } else {
                    socket.send([&out, &block, end]).await?;
                }
                out.clear();
            }
            Next::Flush => {
                socket.send([&out, b"", b""]).await?;
                out.clear();
            }
            Next::End(end) => {
                match (&end, delimiter) {
                    (StreamEnd::Complete, Delimiter::Chunks) => out.extend_from_slice(b"0\r\n\r\n"),
                    // An orderly close would pass for the body's end.
                    (StreamEnd::Cut, Delimiter::Close) => socket.will_reset(),
                    _ => {}
                }
                socket.send([&out, b"", b""]).await?;
                return Ok(match delimiter {
                    Delimiter::Close if end == StreamEnd::Complete => StreamEnd::CompleteByClosing,
                    _ => end,
                });
            }
        }
    }
}
