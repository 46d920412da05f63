//! A request's body is received before the application is called, so that a slow client costs a
//! descriptor and never a Python thread. What exceeds `body_buffer` goes to an unlinked file
//! (nginx's `client_body_temp_path`).

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::Path;
use std::time::Duration;

use appliance_gateway::RequestBody;
use bytes::{Buf, Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// Longest pause between two pieces of a body: nginx's `client_body_timeout`.
const PAUSE: Duration = Duration::from_secs(60);

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

/// Why there is no body.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// 413.
    TooLarge,
    /// 408.
    TooSlow,
    /// The client left, or its framing is broken.
    Broken,
    /// Ours: 500.
    Spool(io::Error),
}

/// Receives the whole body.
pub(crate) async fn receive(
    mut body: Incoming,
    bounds: Bounds<'_>,
) -> Result<RequestBody, BodyError> {
    if body.is_end_stream() {
        return Ok(RequestBody::Memory(Bytes::new()));
    }
    if body.size_hint().lower() > bounds.limit {
        return Err(BodyError::TooLarge);
    }
    let mut received = Received::default();
    while let Some(data) = next_data(&mut body).await? {
        received.len += data.len() as u64;
        if received.len > bounds.limit {
            return Err(BodyError::TooLarge);
        }
        received.append(data);
        let is_large = received.len > bounds.in_memory;
        if is_large && received.waiting() >= SPOOL_PIECE {
            received
                .spool(bounds.spool)
                .await
                .map_err(BodyError::Spool)?;
        }
    }
    if received.len <= bounds.in_memory {
        return Ok(RequestBody::Memory(received.into_memory()));
    }
    received
        .spool(bounds.spool)
        .await
        .map_err(BodyError::Spool)?;
    let Some(mut file) = received.file else {
        return Err(BodyError::Spool(io::Error::other("no spool file")));
    };
    file.rewind().map_err(BodyError::Spool)?;
    Ok(RequestBody::File {
        file,
        len: received.len,
    })
}

async fn next_data(body: &mut Incoming) -> Result<Option<Bytes>, BodyError> {
    loop {
        let frame = tokio::time::timeout(PAUSE, body.frame()).await;
        match frame.map_err(|_| BodyError::TooSlow)? {
            None => return Ok(None),
            Some(Err(_)) => return Err(BodyError::Broken),
            // Trailers have no place in an environ.
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

#[derive(Default)]
struct Received {
    len: u64,
    /// A body of one piece is not copied.
    first: Bytes,
    more: BytesMut,
    file: Option<File>,
}

impl Received {
    fn append(&mut self, data: Bytes) {
        if self.first.is_empty() && self.more.is_empty() {
            self.first = data;
        } else {
            self.more.extend_from_slice(&data);
        }
    }

    fn waiting(&self) -> usize {
        self.first.len() + self.more.len()
    }

    fn into_memory(self) -> Bytes {
        if self.more.is_empty() {
            return self.first;
        }
        let mut all = BytesMut::with_capacity(self.waiting());
        all.extend_from_slice(&self.first);
        all.extend_from_slice(&self.more);
        all.freeze()
    }

    /// Writes what waits to the file, where waiting for a disk is allowed.
    async fn spool(&mut self, folder: &Path) -> io::Result<()> {
        let mut waiting = std::mem::take(&mut self.first).chain(std::mem::take(&mut self.more));
        let (file, folder) = (self.file.take(), folder.to_owned());
        let written = tokio::task::spawn_blocking(move || {
            let mut file = match file {
                Some(file) => file,
                None => tempfile::tempfile_in(folder)?,
            };
            while waiting.has_remaining() {
                let piece = waiting.chunk();
                file.write_all(piece)?;
                let len = piece.len();
                waiting.advance(len);
            }
            io::Result::Ok(file)
        });
        self.file = Some(written.await.map_err(io::Error::other)??);
        Ok(())
    }
}
