//! Bytes in both directions, once the connection has changed its protocol.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep};

use crate::socket::Socket;

/// Bytes read from the other server at once.
const READ_BYTES: usize = 16 << 10;

/// One direction.
#[derive(Default)]
struct Way {
    /// Read and not yet written.
    waiting: BytesMut,
    /// Nothing more will be read.
    is_over: bool,
    is_shut: bool,
}

/// Passes bytes until either side has left, or neither has sent any for as long as `silence`.
pub(super) async fn tunnel(
    client: &mut Socket,
    mut server: impl AsyncRead + AsyncWrite + Unpin,
    silence: Duration,
) {
    let (mut up, mut down) = (Way::default(), Way::default());
    let mut clock = pin!(sleep(silence));
    poll_fn(|context| {
        let mut has_moved = false;
        loop {
            let moved = match (
                step_up(&mut up, client, &mut server, context),
                step_down(&mut down, client, &mut server, context),
            ) {
                (Ok(up), Ok(down)) => up || down,
                _ => return Poll::Ready(()),
            };
            has_moved |= moved;
            if !moved {
                break;
            }
        }
        if down.is_over && down.waiting.is_empty() {
            return Poll::Ready(());
        }
        if has_moved {
            clock.as_mut().reset(Instant::now() + silence);
        }
        clock.as_mut().poll(context)
    })
    .await;
}

/// Client to server. Returns whether anything moved.
fn step_up(
    way: &mut Way,
    client: &mut Socket,
    server: &mut (impl AsyncWrite + Unpin),
    context: &mut Context<'_>,
) -> io::Result<bool> {
    let mut server = Pin::new(server);
    if !way.waiting.is_empty() {
        if let Poll::Ready(written) = server.as_mut().poll_write(context, &way.waiting) {
            way.waiting.advance(written?);
            return Ok(true);
        }
    } else if way.is_over {
        if !way.is_shut {
            way.is_shut = server.as_mut().poll_shutdown(context)?.is_ready();
        }
    } else if let Poll::Ready(read) = client.poll_any(context, &mut way.waiting) {
        way.is_over = !read?;
        return Ok(true);
    }
    let _ = server.poll_flush(context)?;
    Ok(false)
}

/// Server to client.
fn step_down(
    way: &mut Way,
    client: &mut Socket,
    server: &mut (impl AsyncRead + Unpin),
    context: &mut Context<'_>,
) -> io::Result<bool> {
    if !way.waiting.is_empty() {
        let Poll::Ready(written) = client.poll_some(context, &way.waiting) else {
            return Ok(false);
        };
        way.waiting.advance(written?);
        return Ok(true);
    }
    if way.is_over || client.poll_flush(context)?.is_pending() {
        return Ok(false);
    }
    let mut bytes = [0; READ_BYTES];
    let mut buffer = ReadBuf::new(&mut bytes);
    if Pin::new(server)
        .poll_read(context, &mut buffer)?
        .is_pending()
    {
        return Ok(false);
    }
    way.is_over = buffer.filled().is_empty();
    way.waiting.extend_from_slice(buffer.filled());
    Ok(true)
}
