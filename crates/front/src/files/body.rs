//! A part of a file as a response body: by `sendfile` where the connection can, otherwise read
//! in pieces by the blocking pool.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::task::JoinHandle;

use super::sendfile::{self, Sendfile};

/// Bytes read at once: large enough that the way through the pool costs little, small enough for
/// many connections.
const PIECE: u64 = 256 << 10;

/// `len` bytes of `file` from `offset` on. The body fails if the file turns out to be shorter,
/// which cuts the connection: the client sees that the response is incomplete.
///
/// `len` must not exceed the response's Content-Length: hyper would cut a stand-in at its end, and
/// the end is what says which file it stands for (see [`sendfile`]).
///
/// With [`Sendfile`] the kernel copies the bytes.
pub fn file_body(
    file: impl Into<Arc<File>>,
    offset: u64,
    len: u64,
    sendfile: Option<Sendfile>,
) -> Body {
    if len == 0 {
        return Body::empty();
    }
    let way = match sendfile {
        Some(_) => Way::Sendfile,
        None => Way::Read(None),
    };
    Body::new(FileBody {
        file: file.into(),
        offset,
        left: len,
        way,
    })
}

struct FileBody {
    file: Arc<File>,
    offset: u64,
    left: u64,
    way: Way,
}

enum Way {
    Sendfile,
    Read(Option<JoinHandle<io::Result<Bytes>>>),
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let bytes = match ready!(self.poll_bytes(cx)) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.left = 0;
                return Poll::Ready(Some(Err(error)));
            }
        };
        self.offset += bytes.len() as u64;
        self.left -= bytes.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl FileBody {
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        if matches!(self.way, Way::Sendfile) {
            match sendfile::stand_in(&self.file, self.offset, self.left) {
                Some(bytes) => return Poll::Ready(Ok(bytes)),
                None => self.way = Way::Read(None),
            }
        }
        let Way::Read(reading) = &mut self.way else {
            return Poll::Pending;
        };
        let (offset, len) = (self.offset, self.left.min(PIECE));
        let task = reading.get_or_insert_with(|| {
            let file = self.file.clone();
            tokio::task::spawn_blocking(move || read(&file, offset, len))
        });
        let result = ready!(Pin::new(task).poll(cx));
        *reading = None;
        Poll::Ready(result.unwrap_or_else(|failed| Err(io::Error::other(failed))))
    }
}

fn read(file: &File, offset: u64, len: u64) -> io::Result<Bytes> {
    let mut piece = vec![0; len as usize];
    file.read_exact_at(&mut piece, offset)?;
    Ok(piece.into())
}
