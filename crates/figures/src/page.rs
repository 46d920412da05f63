//! The memory in which a worker counts and the supervisor reads.
#![allow(unsafe_code)] // mmap(2), and a reference into it

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr::NonNull;

use crate::{Figures, LAYOUT, Levels, Totals};

/// A memory file with [`Figures`] in it, mapped into this process.
#[derive(Debug)]
pub struct Page {
    file: File,
    at: NonNull<Figures>,
}

// SAFETY: the mapping belongs to no thread, and all that is in it is atomic.
unsafe impl Send for Page {}
// SAFETY: the same.
unsafe impl Sync for Page {}

impl Page {
    const BYTES: usize = size_of::<Figures>();

    /// Makes a page of a memory file that is empty and can be sealed.
    ///
    /// # Errors
    /// What the system says: no memory, no such file.
    pub fn make(file: File) -> io::Result<Page> {
        file.set_len(Self::BYTES as u64)?;
        // The application's own code could else cut the file off under whoever reads it: SIGBUS.
        let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
        // SAFETY: F_ADD_SEALS takes an integer and no pointer.
        if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let page = Page::map(file)?;
        page.figures().layout.set(LAYOUT);
        Ok(page)
    }

    /// Opens a page that another process has made.
    ///
    /// # Errors
    /// When it is none, or one of another version; and what the system says.
    pub fn open(file: File) -> io::Result<Page> {
        // SAFETY: F_GET_SEALS takes no argument.
        let seals = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GET_SEALS) };
        let is_sealed = seals != -1 && seals & libc::F_SEAL_SHRINK != 0;
        if !is_sealed || file.metadata()?.len() != Self::BYTES as u64 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let page = Page::map(file)?;
        match page.figures().layout.get() {
            LAYOUT => Ok(page),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn map(file: File) -> io::Result<Page> {
        // SAFETY: a new mapping, at an address that the kernel chooses, touches no memory of ours.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                Self::BYTES,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let at = NonNull::new(at.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Page { file, at })
    }

    /// The descriptor, to be inherited.
    pub fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// To count in, and to read from.
    pub(crate) fn figures(&self) -> &Figures {
        // SAFETY: mapped as long as `self` lives, of this size since its file can neither shrink
        // nor be mapped shorter, page-aligned; all of it is atomic numbers, for which any bits do.
        unsafe { self.at.as_ref() }
    }

    /// What has been counted so far.
    pub fn totals(&self) -> Totals {
        Totals::of(self.figures())
    }

    /// How it is at the moment.
    pub fn levels(&self) -> Levels {
        Levels::of(self.figures())
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: mapped by `map`, and no reference into it outlives `self`.
        unsafe { libc::munmap(self.at.as_ptr().cast(), Self::BYTES) };
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::FromRawFd;
    use std::time::Duration;

    use super::*;
    use crate::BOUNDS_NS;

    fn memory_file() -> File {
        // SAFETY: the name is NUL-terminated; the descriptor is new and nobody else's.
        unsafe {
            let fd = libc::memfd_create(c"figures".as_ptr(), libc::MFD_ALLOW_SEALING);
            assert!(fd >= 0);
            File::from_raw_fd(fd)
        }
    }

    #[test]
    fn one_counts_and_the_other_reads() {
        let read = Page::make(memory_file()).unwrap();
        let counted = Page::open(read.file.try_clone().unwrap()).unwrap();
        let front = &counted.figures().front;
        for status in [Some(200), Some(204), Some(304), Some(404), Some(503), None] {
            front.request(status);
        }
        front.request_time.record(Duration::from_micros(100));
        front.request_time.record(Duration::from_micros(101));
        front.request_time.record(Duration::from_secs(3600));
        front.connections_open.add(3);
        front.connections_open.sub_one();

        let totals = read.totals();
        let by_class = totals.requests.by_class().map(|(_, count)| count);
        assert_eq!(by_class, [2, 1, 1, 1, 1]);
        let time = &totals.request_time;
        assert_eq!(time.buckets.len(), BOUNDS_NS.len() + 1);
        assert_eq!((time.buckets[0], time.buckets[1]), (1, 1));
        assert_eq!(time.buckets.last(), Some(&1));
        assert_eq!((time.count(), time.sum_ns), (3, 3_600_000_201_000));
        assert_eq!(read.levels().connections_open, 2);
        // What it has counted stays when it is gone.
        drop(counted);
        assert_eq!(read.totals(), totals);
    }

    #[test]
    fn sums_hold_what_their_parts_held_and_pass_through_json() {
        let page = Page::make(memory_file()).unwrap();
        page.figures().front.request(Some(200));
        page.figures()
            .pool
            .queue_time
            .record(Duration::from_millis(1));
        let part = page.totals();
        let mut sum = Totals::default();
        sum += &part;
        assert_eq!(sum, part);
        sum += &part;
        assert_eq!(sum.requests.successful, 2);
        assert_eq!(sum.queue_time.count(), 2);
        assert_eq!(sum.queue_time.sum_ns, 2_000_000);
        let text = serde_json::to_string(&sum).unwrap();
        assert_eq!(serde_json::from_str::<Totals>(&text).unwrap(), sum);
        assert_eq!(
            serde_json::from_str::<Totals>("{}").unwrap(),
            Totals::default()
        );
    }

    #[test]
    fn nobody_can_cut_the_page_off() {
        let page = Page::make(memory_file()).unwrap();
        assert!(page.file.set_len(0).is_err());
        assert!(page.file.set_len(1 << 20).is_err());
    }

    #[test]
    fn what_is_no_page_is_refused() {
        let not_sealed = memory_file();
        not_sealed.set_len(Page::BYTES as u64).unwrap();
        assert!(Page::open(not_sealed).is_err());
        assert!(Page::open(tempfile::tempfile().unwrap()).is_err());
        let other = Page::make(memory_file()).unwrap();
        other.figures().layout.set(LAYOUT + 1);
        let error = Page::open(other.file.try_clone().unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    }
}
