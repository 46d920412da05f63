//! What a client leaves unread of its response, in a file without a name.
//!
//! Without it a client that reads slowly, or not at all, would keep a Python thread for as long
//! as `send_timeout` lets it. One Python thread writes to the file's end and the front reads
//! behind it; what lies between is in the page cache, as a rule. The file begins anew when the
//! front has taken all of it, so that it is never longer than the bound.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::queue::lock;

/// Most bytes that the front reads at once.
const PIECE_BYTES: u64 = 64 << 10;

/// Files from this length on are closed by a thread of their own: to free the pages of 1 GB takes
/// the kernel some 50 ms, in which the front would serve nobody.
const LONG_BYTES: u64 = 16 << 20;

/// How often it is said that responses cannot be spooled.
const REPEAT: Duration = Duration::from_secs(60);

/// Where responses are spooled, and how much of each.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    /// Bytes of one response; 0: none is.
    most_bytes: u64,
    reported: Mutex<Option<Instant>>,
}

impl Spool {
    pub(crate) fn new(folder: PathBuf, most_bytes: u64) -> Self {
        Spool {
            folder,
            most_bytes,
            reported: Mutex::default(),
        }
    }

    /// Says that the folder cannot be written to, once a minute.
    pub(crate) fn report(&self, error: &io::Error) {
        let mut reported = lock(&self.reported);
        if reported.is_none_or(|at| at.elapsed() >= REPEAT) {
            *reported = Some(Instant::now());
            tracing::error!(
                %error,
                "cannot spool a response, so its thread waits for the client; `python.spool` \
                 names the folder"
            );
        }
    }
}

/// The spooled part of one response: what follows the chunks in memory.
#[derive(Debug, Default)]
pub(crate) struct Spooled {
    file: Option<Arc<File>>,
    /// Bytes in the file that are part of the response.
    written: u64,
    /// How many of them the front has.
    taken: u64,
    /// Most that were ever written.
    longest: u64,
    /// A write has failed: no further one until all is taken.
    failed: bool,
}

/// A place at the end of the file for one chunk.
pub(crate) struct Place {
    file: Option<Arc<File>>,
    offset: u64,
}

impl Place {
    /// Writes the chunk there, to a new file if there is none yet. May wait for a disk.
    pub(crate) fn write(self, chunk: &[u8], spool: &Spool) -> io::Result<Arc<File>> {
        let file = match self.file {
            Some(file) => file,
            None => Arc::new(tempfile::tempfile_in(&spool.folder)?),
        };
        file.write_all_at(chunk, self.offset)?;
        Ok(file)
    }
}

/// A piece of the file that the front is to read.
pub(crate) struct Piece {
    file: Arc<File>,
    offset: u64,
    len: usize,
}

impl Piece {
    pub(crate) fn read(&self) -> io::Result<Bytes> {
        let mut bytes = vec![0; self.len];
        self.file.read_exact_at(&mut bytes, self.offset)?;
        Ok(bytes.into())
    }
}

impl Spooled {
    /// Bytes that the front has not taken.
    pub(crate) fn len(&self) -> u64 {
        self.written - self.taken
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where a chunk of this length goes, if there is room for it.
    pub(crate) fn place(&self, len: usize, spool: &Spool) -> Option<Place> {
        let fits = self.written.saturating_add(len as u64) <= spool.most_bytes;
        (fits && !self.failed).then(|| Place {
            file: self.file.clone(),
            offset: self.written,
        })
    }

    /// A chunk of this length is at its place.
    pub(crate) fn has_written(&mut self, len: usize, file: Arc<File>) {
        self.file = Some(file);
        self.written += len as u64;
        self.longest = self.longest.max(self.written);
    }

    /// A chunk could not be written.
    pub(crate) fn has_failed(&mut self) {
        self.failed = true;
    }

    /// What the front is to read next.
    pub(crate) fn piece(&self) -> Option<Piece> {
        let len = self.len().min(PIECE_BYTES) as usize;
        let file = self.file.as_ref().filter(|_| len > 0)?;
        Some(Piece {
            file: Arc::clone(file),
            offset: self.taken,
            len,
        })
    }

    /// The front has read this many bytes.
    pub(crate) fn take(&mut self, len: usize) {
        self.taken += len as u64;
        if self.is_empty() {
            (self.written, self.taken) = (0, 0);
            // There may be room again.
            self.failed = false;
        }
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        let file = self.file.take();
        if self.longest >= LONG_BYTES {
            // Where no thread can be had, the file is closed here.
            let _ = std::thread::Builder::new()
                .name("appliance-close".to_owned())
                .stack_size(64 << 10)
                .spawn(move || drop(file));
        }
    }
}
