//! A request's body, received before anybody is given the request, as with HTTP/1.1.

use std::future::poll_fn;
use std::task::Poll;

use appliance_gateway::RequestBody;
use appliance_proxy::Feeder;
use bytes::Bytes;
use h2::RecvStream;

use crate::connections::{Order, Phase, Status};
use crate::request_body::{BodyError, Bounds, Received};

use super::ledger::Ledger;

/// How much of a body that nobody wants is taken, and for how long.
const LINGER_BYTES: usize = 1 << 20;
const LINGER_TICKS: u32 = 2;

/// Receives the whole body. The client may send on as what it has sent is put away: never before,
/// so that no more than a window of it is held.
pub(super) async fn receive(
    stream: &mut RecvStream,
    bounds: Bounds<'_>,
    status: &Status,
    ledger: &Ledger,
) -> Result<RequestBody, BodyError> {
    let mut received = Received::default();
    while let Some(bytes) = next(stream, status).await? {
        // Frames without bytes are no progress.
        if !bytes.is_empty() {
            status.touch();
        }
        ledger.useful(bytes.len());
        received.add(&bytes, bounds).await?;
        stream
            .flow_control()
            .release_capacity(bytes.len())
            .map_err(|_| BodyError::Left)?;
    }
    received.into_body(bounds).await
}

/// Passes a body on as it comes; false if whoever was to have it wants no more. The client's clock
/// (`ticks`) stands while the other side makes it wait, and so does the client: its window is
/// what has not been passed on.
pub(super) async fn pass_on(
    stream: &mut RecvStream,
    (status, ticks): (&Status, u32),
    limit: u64,
    ledger: &Ledger,
    feeder: Feeder,
) -> Result<bool, BodyError> {
    let mut len = 0;
    status.enter(Phase::ReadingBody, ticks);
    while let Some(bytes) = next(stream, status).await? {
        let piece = bytes.len();
        if piece == 0 {
            continue;
        }
        ledger.useful(piece);
        len += piece as u64;
        if len > limit {
            return Err(BodyError::TooLarge);
        }
        status.enter(Phase::Busy, 0);
        if !feeder.feed(bytes).await {
            return Ok(false);
        }
        stream
            .flow_control()
            .release_capacity(piece)
            .map_err(|_| BodyError::Left)?;
        status.enter(Phase::ReadingBody, ticks);
    }
    status.enter(Phase::Busy, 0);
    feeder.finish();
    Ok(true)
}

/// Takes a little of a body that nobody wants, after its answer has been sent: clients exist (curl
/// before 8) that lose an answer when they are told at once that they need not send the rest
/// (RFC 9113 §8.1, `NO_ERROR`), which is what dropping `stream` does.
pub(super) async fn linger(stream: &mut RecvStream, status: &Status) {
    if stream.is_end_stream() {
        return;
    }
    let mut left = LINGER_BYTES;
    status.enter(Phase::ReadingBody, LINGER_TICKS);
    while let Ok(Some(bytes)) = next(stream, status).await {
        left = left.saturating_sub(bytes.len());
        if left == 0 || stream.flow_control().release_capacity(bytes.len()).is_err() {
            return;
        }
    }
}

/// What comes next; none at the body's end. An error is also what the crate makes of a body that
/// has another length than was announced.
async fn next(stream: &mut RecvStream, status: &Status) -> Result<Option<Bytes>, BodyError> {
    poll_fn(|context| match status.order() {
        Order::TimeOut => Poll::Ready(Err(BodyError::TimedOut)),
        _ => stream
            .poll_data(context)
            .map(|data| data.transpose().map_err(|_| BodyError::Left)),
    })
    .await
}
