//! A response's body → DATA frames, as the client's windows allow.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};

use appliance_gateway::Incomplete;
use bytes::Bytes;
use h2::{Reason, SendStream};

use crate::connections::{Phase, Status};
use crate::files::read_piece;
use crate::response::FilePart;

use super::ledger::Ledger;

/// Bytes of a file that are read at once.
const PIECE_BYTES: u64 = 64 << 10;

/// The response did not come to its end.
#[derive(Debug)]
pub(super) enum Unsent {
    /// The client has taken its request back, or left.
    Left,
    /// It is not whole, and the stream has been reset, so that the client sees it.
    Cut,
}

/// A response's body on its way.
pub(super) struct Sender<'a> {
    pub(super) stream: SendStream<Bytes>,
    pub(super) status: &'a Status,
    pub(super) ledger: &'a Ledger,
    /// How many ticks the client may take nothing.
    pub(super) send_ticks: u32,
    /// What was handed over of the response.
    pub(super) sent_bytes: &'a mut u64,
}

impl Sender<'_> {
    /// Waits until the client takes more; up to `most` bytes.
    async fn room(&mut self, most: usize) -> Result<usize, Unsent> {
        self.stream.reserve_capacity(most);
        let room = poll_fn(|context| {
            let room = self.stream.poll_capacity(context);
            match (self.status.phase(), room.is_pending()) {
                (Phase::Busy, true) => self.status.enter(Phase::Blocked, self.send_ticks),
                (Phase::Blocked, false) => self.status.enter(Phase::Busy, 0),
                _ => {}
            }
            room
        });
        match room.await {
            Some(Ok(room)) => Ok(room.min(most)),
            Some(Err(_)) | None => Err(Unsent::Left),
        }
    }

    fn data(&mut self, bytes: Bytes, is_last: bool) -> Result<(), Unsent> {
        self.ledger.useful(bytes.len());
        *self.sent_bytes += bytes.len() as u64;
        let sent = self.stream.send_data(bytes, is_last);
        sent.map_err(|_| Unsent::Left)
    }

    fn cut(&mut self) -> Unsent {
        self.stream.send_reset(Reason::INTERNAL_ERROR);
        Unsent::Cut
    }

    /// Sends bytes that are in memory.
    pub(super) async fn memory(&mut self, mut bytes: Bytes, is_last: bool) -> Result<(), Unsent> {
        while !bytes.is_empty() {
            let room = self.room(bytes.len()).await?;
            let piece = bytes.split_to(room);
            self.data(piece, is_last && bytes.is_empty())?;
        }
        Ok(())
    }

    /// Sends a part of a file. It is read when there is room for it: who does not read holds none
    /// of it in memory.
    pub(super) async fn file(&mut self, part: FilePart) -> Result<(), Unsent> {
        let (mut offset, mut left) = (part.offset, part.len);
        if left == 0 {
            return self.data(Bytes::new(), true);
        }
        while left > 0 {
            let room = self.room(left.min(PIECE_BYTES) as usize).await?;
            let piece = match read_piece(&part.file, offset, room).await {
                Ok(piece) if !piece.is_empty() => Bytes::from(piece),
                // The file is shorter than it was, or cannot be read: what is missing cannot be
                // sent.
                _ => return Err(self.cut()),
            };
            offset += piece.len() as u64;
            left -= piece.len() as u64;
            self.data(piece, left == 0)?;
            // Others of the thread first.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Sends a body that comes block by block, each as soon as it is here.
    pub(super) async fn blocks<B>(&mut self, body: B) -> Result<(), Unsent>
    where
        B: http_body::Body<Data = Bytes, Error = Incomplete>,
    {
        let mut body = pin!(body);
        // The last block says that it is: one is kept until what follows is known, but not if
        // that has to be waited for.
        let mut kept: Option<Bytes> = None;
        loop {
            let next = poll_fn(|context| match body.as_mut().poll_frame(context) {
                Poll::Ready(frame) => Poll::Ready(Next::Frame(frame)),
                Poll::Pending if kept.is_some() => Poll::Ready(Next::Later),
                Poll::Pending => poll_left(&mut self.stream, context).map(|()| Next::Left),
            });
            match next.await {
                Next::Frame(Some(Ok(frame))) => {
                    let Ok(block) = frame.into_data() else {
                        continue; // There are no trailers in WSGI.
                    };
                    if block.is_empty() {
                        continue;
                    }
                    if let Some(before) = kept.replace(block) {
                        self.memory(before, false).await?;
                    }
                }
                Next::Frame(Some(Err(Incomplete))) => {
                    if let Some(before) = kept.take() {
                        self.memory(before, false).await?;
                    }
                    return Err(self.cut());
                }
                Next::Frame(None) => {
                    return match kept.take() {
                        Some(last) => self.memory(last, true).await,
                        None => self.data(Bytes::new(), true),
                    };
                }
                Next::Later => {
                    if let Some(block) = kept.take() {
                        self.memory(block, false).await?;
                    }
                }
                Next::Left => return Err(Unsent::Left),
            }
        }
    }
}

enum Next {
    Frame(Option<Result<http_body::Frame<Bytes>, Incomplete>>),
    /// Nothing more at the moment.
    Later,
    Left,
}

/// Whether the client has reset the stream, or the connection is gone.
fn poll_left(stream: &mut SendStream<Bytes>, context: &mut Context<'_>) -> Poll<()> {
    stream.poll_reset(context).map(drop)
}
