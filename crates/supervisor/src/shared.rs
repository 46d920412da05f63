//! The memory file that all workers share, of whatever generation: what they count together, and
//! the word that there is maintenance. Whoever maps it gives it its length.
//!
//! It goes over to the next program of this process, but not to the next server: after a restart
//! there is no maintenance.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use appliance_project::wire::MAINTENANCE_WORD;

use crate::sys::{self, Execution};

static FILE: OnceLock<Option<File>> = OnceLock::new();
const PLACE: u64 = (MAINTENANCE_WORD * size_of::<u64>()) as u64;

/// None if the system has none to give; then each worker counts alone.
fn file() -> Option<&'static File> {
    // Workers close it to what they start by the beginning of its name.
    let create = || sys::memory_file(c"appliance_worker_shared", Execution::Denied).ok();
    FILE.get_or_init(create).as_ref()
}

/// The descriptor, for a worker or a handover.
pub(crate) fn fd() -> Option<RawFd> {
    file().map(AsRawFd::as_raw_fd)
}

/// From the last program of this process.
pub(crate) fn adopt(fd: RawFd) -> io::Result<()> {
    let file = File::from(sys::adopt(fd)?);
    // Nobody has asked for another one yet.
    let _ = FILE.set(Some(file));
    Ok(())
}

pub(crate) fn set_maintenance(is_on: bool) -> io::Result<()> {
    let file = file().ok_or(io::ErrorKind::Unsupported)?;
    file.write_all_at(&u64::from(is_on).to_ne_bytes(), PLACE)
}

pub(crate) fn maintenance() -> bool {
    let mut word = [0; size_of::<u64>()];
    let read = FILE.get().and_then(Option::as_ref);
    let read = read.map(|file| file.read_exact_at(&mut word, PLACE));
    matches!(read, Some(Ok(()))) && u64::from_ne_bytes(word) != 0
}
