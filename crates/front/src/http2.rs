//! An HTTP/2 connection (RFC 9113): many requests at once, each a task of its own.
//!
//! 1. Frames, HPACK and flow control are the `h2` crate's; it reads and writes through [`wire`].
//! 2. A stream becomes a [`Head`](appliance_message::Head) ([`head`]) and goes the way of every
//!    request ([`crate::request`]), in [`stream`].
//! 3. Its response goes out as the client's windows allow ([`send`]), and no faster: what a slow
//!    client leaves unread stays where it is, and others pass it.
//! 4. A connection that does nothing but work is cut ([`ledger`]).
//!
//! Each stream has a clock of its own in [`crate::connections`], where one would find that of an
//! HTTP/1.1 request: body and send timeouts mean the same.
//!
//! A connection leaves in two steps (§6.8): a GOAWAY that refuses nothing, and, when the client
//! has shown that it has read that, a second one which names the last request. So no request is
//! lost on the way.

mod body;
mod head;
mod ledger;
mod pass_on;
mod send;
mod stream;
mod wire;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use appliance_gateway::Gateway;
use bytes::Bytes;
use h2::Reason;
use h2::server::Builder;

use crate::connections::{Order, Phase, Status};
use crate::respond::Origin;
use crate::serve::Front;
use crate::site::Sites;
use crate::socket::Socket;

use self::ledger::Ledger;
use self::stream::Stream;
use self::wire::Wire;

/// What it is called in a TLS handshake (§3.2).
pub(crate) const ALPN: &[u8] = b"h2";

/// How a connection of a client begins that knows that we speak HTTP/2 (§3.4), as far as it could
/// be a request of HTTP/1.1.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";

/// Bytes of request bodies that a stream, and all streams of a connection together, may have on
/// their way to us. 1 MB carries 100 Mbit/s over 80 ms. That much a connection can also make us
/// hold while a body waits for the disk; half of it is one stream's, so that an upload which waits
/// does not stop the others.
const STREAM_WINDOW: u32 = 512 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// Bytes of a response that a stream hands over before the last ones are written: four frames of
/// the usual length.
const SEND_BUFFER: usize = 64 << 10;
/// Streams that may end in an error of the client's, in the life of a connection.
const ERRORS_AT_MOST: usize = 256;
/// HPACK counts so much for each field besides its bytes (RFC 7541 §4.1).
const FIELD_OVERHEAD: usize = 32;

/// How a connection has ended.
#[derive(Debug, PartialEq)]
pub(crate) enum End {
    /// Both sides know the last request.
    Agreed,
    /// The client has broken the protocol, or meant harm, or is gone.
    Failed,
}

/// Serves a connection to its end.
pub(crate) async fn serve<G: Gateway>(
    socket: &mut Socket,
    front: &Arc<Front<G>>,
    sites: &Arc<Sites>,
    origin: Origin,
    status: &Arc<Status>,
) -> End {
    let ledger = Arc::new(Ledger::new(Arc::clone(status), front.keep_alive_ticks));
    let secured = socket.secured().cloned().map(Arc::new);
    let wire = Wire::new(socket, Arc::clone(&ledger));
    status.enter(Phase::ReadingHead, front.head_ticks);
    let mut handshake = builder(front).handshake::<_, Bytes>(wire);
    let shaken = poll_fn(|context| match status.order() {
        Order::TimeOut => Poll::Ready(None),
        _ => Pin::new(&mut handshake).poll(context).map(Result::ok),
    });
    let Some(mut connection) = shaken.await else {
        return End::Failed;
    };
    ledger.rest();
    let mut left = front.requests_per_connection;
    let mut is_cut = false;
    loop {
        let next = poll_fn(|context| {
            if ledger.is_abused() && !is_cut {
                is_cut = true;
                connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            } else if (left == 0 || status.order() >= Order::Drain) && ledger.leave() {
                connection.graceful_shutdown();
            }
            connection.poll_accept(context)
        });
        match next.await {
            Some(Ok((request, respond))) => {
                left = left.saturating_sub(1);
                let stream = Stream::new(front, sites, (origin, secured.clone()), &ledger);
                tokio::spawn(stream.serve(request, respond));
            }
            Some(Err(error)) => {
                tracing::debug!(peer = %origin.peer, %error, "an HTTP/2 connection has failed");
                return End::Failed;
            }
            None if is_cut => return End::Failed,
            None => return End::Agreed,
        }
    }
}

fn builder<G>(front: &Front<G>) -> Builder {
    let limits = front.head_limits;
    let list = limits.bytes + limits.fields * FIELD_OVERHEAD;
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(front.http2_streams)
        // More than it allows is answered 431; four times as much ends the connection. How many
        // CONTINUATION frames a head may take follows from it as well.
        .max_header_list_size(u32::try_from(list).unwrap_or(u32::MAX))
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_local_error_reset_streams(Some(ERRORS_AT_MOST));
    builder
}

#[cfg(test)]
mod tests;
