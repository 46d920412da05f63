//! A request's body is received before the application is called, so that a slow client costs a
//! descriptor and never a Python thread. What exceeds `body_buffer` goes to an unlinked file
//! (nginx's `client_body_temp_path`).

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::Path;
use std::sync::Arc;

use appliance_gateway::RequestBody;
use appliance_message::{Chunked, Framing, Piece, Refusal};
use appliance_proxy::{Feeder, Upload};
use bytes::{Bytes, BytesMut};

use crate::connections::{Phase, Status};
use crate::files::read_piece;
use crate::socket::Socket;

/// Bytes collected before they are written to the spool file: each write is a trip to a thread
/// that may wait for the disk.
const SPOOL_PIECE: usize = 256 * 1024;

/// Bounds of a body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds<'a> {
    pub(crate) limit: u64,
    pub(crate) in_memory: u64,
    pub(crate) spool: &'a Path,
}

/// Whether a body of this length may come at all.
pub(crate) fn check(framing: Framing, limit: u64) -> Result<(), BodyError> {
    match framing {
        Framing::Length(len) if len > limit => Err(BodyError::TooLarge),
        _ => Ok(()),
    }
}

/// Why there is no body.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// 413.
    TooLarge,
    /// 408.
    TimedOut,
    /// The client left.
    Left,
    /// 400.
    Malformed(Refusal),
    /// Ours: 500.
    Spool(io::Error),
}

/// Receives the whole body.
pub(crate) async fn receive(
    socket: &mut Socket,
    framing: Framing,
    bounds: Bounds<'_>,
) -> Result<RequestBody, BodyError> {
    let mut reader = Reader::new(framing);
    let mut received = Received::default();
    if let Framing::Length(len) = framing {
        // What a client merely promises is believed up to the part that is kept in memory.
        received.waiting.reserve(len.min(bounds.in_memory) as usize);
    }
    while !reader.is_over() {
        let read = socket.body_bytes(|bytes| reader.take(bytes, &mut received.waiting));
        received.len += read.await??;
        if received.len.saturating_add(reader.announced()) > bounds.limit {
            return Err(BodyError::TooLarge);
        }
        received.spool_if_much(bounds).await?;
    }
    received.into_body(bounds).await
}

/// Receives and drops what is left of a body that nobody asked for, so that the connection can go
/// on with the next request.
pub(crate) async fn skip(socket: &mut Socket, framing: Framing) -> Result<(), BodyError> {
    let mut reader = Reader::new(framing);
    let mut dropped = BytesMut::new();
    while !reader.is_over() {
        let read = socket.body_bytes(|bytes| reader.take(bytes, &mut dropped));
        read.await??;
        dropped.clear();
    }
    Ok(())
}

/// Passes a body on as it comes; false if whoever was to have it wants no more. The client's
/// clock (`ticks`) stands while the other side makes it wait.
pub(crate) async fn pass_on(
    socket: &mut Socket,
    (status, ticks): (&Status, u32),
    framing: Framing,
    limit: u64,
    feeder: Feeder,
) -> Result<bool, BodyError> {
    let (mut reader, mut len) = (Reader::new(framing), 0_u64);
    while !reader.is_over() {
        status.enter(Phase::ReadingBody, ticks);
        let mut piece = BytesMut::new();
        let read = socket.body_bytes(|bytes| reader.take(bytes, &mut piece));
        len += read.await??;
        status.enter(Phase::Busy, 0);
        if len.saturating_add(reader.announced()) > limit {
            return Err(BodyError::TooLarge);
        }
        if !feeder.feed(piece.freeze()).await {
            return Ok(false);
        }
    }
    feeder.finish();
    Ok(true)
}

/// A body that is whole, on its way to another server.
pub(crate) fn upload(body: Option<RequestBody>) -> Upload {
    match body {
        Some(body) if !body.is_empty() => {
            let (upload, feeder) = Upload::streamed(Some(body.len()));
            if let Some(feeder) = feeder {
                tokio::spawn(feed(body, feeder));
            }
            upload
        }
        _ => Upload::none(),
    }
}

async fn feed(body: RequestBody, feeder: Feeder) {
    /// Bytes of a file that are read at once.
    const PIECE_BYTES: usize = 64 << 10;
    match body {
        RequestBody::Memory(bytes) => {
            if !feeder.feed(bytes).await {
                return;
            }
        }
        RequestBody::File { file, len } => {
            let (file, mut offset) = (Arc::new(file), 0);
            while offset < len {
                let piece = match read_piece(&file, offset, PIECE_BYTES).await {
                    Ok(piece) if !piece.is_empty() => Bytes::from(piece),
                    // Dropped unfinished, the feeder says that the body is not whole.
                    _ => return,
                };
                offset += piece.len() as u64;
                if !feeder.feed(piece).await {
                    return;
                }
            }
        }
    }
    feeder.finish();
}

/// Undoes the framing.
enum Reader {
    Length(u64),
    Chunked(Box<Chunked>, bool),
}

impl Reader {
    fn new(framing: Framing) -> Self {
        match framing {
            Framing::None => Reader::Length(0),
            Framing::Length(len) => Reader::Length(len),
            Framing::Chunked => Reader::Chunked(Box::default(), false),
        }
    }

    fn is_over(&self) -> bool {
        matches!(self, Reader::Length(0) | Reader::Chunked(_, true))
    }

    /// Bytes that will come, as far as their sender has said so.
    fn announced(&self) -> u64 {
        match self {
            Reader::Length(left) => *left,
            Reader::Chunked(decoder, _) => decoder.announced(),
        }
    }

    /// Adds the body's part of `bytes` to `body`. Returns how long that part is, and how many
    /// bytes were used.
    fn take(&mut self, bytes: &[u8], body: &mut BytesMut) -> (Result<u64, BodyError>, usize) {
        match self {
            Reader::Length(left) => {
                let len = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                body.extend_from_slice(&bytes[..len]);
                *left -= len as u64;
                (Ok(len as u64), len)
            }
            Reader::Chunked(decoder, is_over) => {
                let (mut rest, before) = (bytes, body.len());
                let end = loop {
                    match decoder.next(&mut rest) {
                        Ok(Piece::Data(data)) => body.extend_from_slice(data),
                        Ok(Piece::More) => break Ok(()),
                        Ok(Piece::End) => {
                            *is_over = true;
                            break Ok(());
                        }
                        Err(refusal) => break Err(BodyError::Malformed(refusal)),
                    }
                };
                let added = (body.len() - before) as u64;
                (end.map(|()| added), bytes.len() - rest.len())
            }
        }
    }
}

/// A body, as far as it is here.
#[derive(Debug, Default)]
pub(crate) struct Received {
    len: u64,
    waiting: BytesMut,
    file: Option<File>,
}

impl Received {
    /// Takes bytes of a body without a framing that would have to be undone.
    pub(crate) async fn add(&mut self, bytes: &[u8], bounds: Bounds<'_>) -> Result<(), BodyError> {
        self.len += bytes.len() as u64;
        if self.len > bounds.limit {
            return Err(BodyError::TooLarge);
        }
        self.waiting.extend_from_slice(bytes);
        self.spool_if_much(bounds).await
    }

    async fn spool_if_much(&mut self, bounds: Bounds<'_>) -> Result<(), BodyError> {
        if self.len > bounds.in_memory && self.waiting.len() >= SPOOL_PIECE {
            self.spool(bounds.spool).await?;
        }
        Ok(())
    }

    /// The whole body.
    pub(crate) async fn into_body(mut self, bounds: Bounds<'_>) -> Result<RequestBody, BodyError> {
        if self.len <= bounds.in_memory {
            return Ok(RequestBody::Memory(self.waiting.freeze()));
        }
        self.spool(bounds.spool).await?;
        let Some(mut file) = self.file else {
            return Err(BodyError::Spool(io::Error::other("no spool file")));
        };
        file.rewind().map_err(BodyError::Spool)?;
        Ok(RequestBody::File {
            file,
            len: self.len,
        })
    }

    /// Writes what waits to the file, where waiting for a disk is allowed.
    async fn spool(&mut self, folder: &Path) -> Result<(), BodyError> {
        let waiting: Bytes = self.waiting.split().freeze();
        let (file, folder) = (self.file.take(), folder.to_owned());
        let written = tokio::task::spawn_blocking(move || {
            let mut file = match file {
                Some(file) => file,
                None => tempfile::tempfile_in(folder)?,
            };
            file.write_all(&waiting)?;
            io::Result::Ok(file)
        });
        let written = written.await.map_err(io::Error::other).flatten();
        self.file = Some(written.map_err(BodyError::Spool)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
