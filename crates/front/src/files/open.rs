//! Opens files below a folder and nowhere else.
//!
//! `openat2(2)` with `RESOLVE_BENEATH` makes the kernel itself refuse every way out: `..`,
//! absolute names, symbolic links that leave. It also refuses absolute links that point *into*
//! the folder, and old kernels or container policies lack it altogether; for these two the name
//! is resolved first and the result is then opened segment by segment without following links.
//! The folder itself is looked up anew each time, since a deployment swaps the link to it.
//!
//! With [`Access::Cached`] nothing here waits for a disk: what the kernel does not hold in memory
//! is [`io::ErrorKind::WouldBlock`], and the caller repeats the call where waiting is allowed.
//! Measured with nothing kept in memory: a request for a small file costs 12 us of CPU this way
//! and 34 us through the pool, one for a missing file 6.5 and 28.
#![allow(unsafe_code)] // openat2 and preadv2 have no safe wrapper in std

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Component, Path};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a call may wait for a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Only what the kernel has in memory: for the front's own thread.
    Cached,
    /// As long as it takes: for the blocking pool.
    Wait,
}

/// What to open a name for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// `fstat` alone: touches nothing, needs no permission to read.
    Stat,
    /// Its contents. `O_NONBLOCK`, since opening a FIFO would wait for its writer.
    Read,
}

impl Purpose {
    fn flags(self) -> libc::c_int {
        let purpose = match self {
            Purpose::Stat => libc::O_PATH,
            Purpose::Read => libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY,
        };
        purpose | libc::O_CLOEXEC
    }
}

/// Identity and state of a file: two equal stamps mean the same contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    /// Length in bytes.
    pub(super) len: u64,
    /// Last modification, seconds and nanoseconds since 1970.
    pub(super) modified: (i64, i64),
    /// Last change of the inode: catches replaced files with a copied or fixed `mtime`.
    pub(super) changed: (i64, i64),
}

/// What a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A regular file.
    File(Stamp),
    /// A folder.
    Folder,
    /// A device, FIFO or socket: never served.
    Other,
}

/// `fstat`.
pub(super) fn kind(file: &File) -> io::Result<Kind> {
    let meta = file.metadata()?;
    Ok(if meta.is_file() {
        Kind::File(Stamp {
            device: meta.dev(),
            inode: meta.ino(),
            len: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        })
    } else if meta.is_dir() {
        Kind::Folder
    } else {
        Kind::Other
    })
}

/// The folder of a route, as it is now.
pub(super) struct Root<'a> {
    path: &'a Path,
    folder: File,
    access: Access,
}

impl<'a> Root<'a> {
    /// Opens the folder itself, following links.
    pub(super) fn open(path: &'a Path, access: Access) -> io::Result<Root<'a>> {
        let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
        let folder = match access {
            Access::Wait => File::options()
                .read(true)
                .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
                .open(path)?,
            Access::Cached => {
                let name = c_string(path.as_os_str().as_bytes())?;
                openat2(None, &name, flags, libc::RESOLVE_CACHED).map_err(wait_if_unsupported)?
            }
        };
        Ok(Root {
            path,
            folder,
            access,
        })
    }

    /// Opens `name`, a relative path without `..`, if it lies below the folder. What lies outside
    /// is `EXDEV`.
    pub(super) fn file(&self, name: &[u8], purpose: Purpose) -> io::Result<File> {
        let c_name = c_string(if name.is_empty() { b"." } else { name })?;
        let mut resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_MAGICLINKS;
        if self.access == Access::Cached {
            resolve |= libc::RESOLVE_CACHED;
        }
        let error = match openat2(Some(&self.folder), &c_name, purpose.flags(), resolve) {
            Ok(file) => return Ok(file),
            Err(error) => error,
        };
        // EAGAIN where waiting is allowed: somebody renamed a folder meanwhile.
        let code = error.raw_os_error();
        let unsure = matches!(code, Some(libc::EXDEV | libc::EAGAIN)) || is_unsupported(&error);
        if !unsure || (code == Some(libc::EAGAIN) && self.access == Access::Cached) {
            return Err(error);
        }
        match self.access {
            Access::Cached => Err(io::ErrorKind::WouldBlock.into()),
            Access::Wait => self.file_by_walking(name, purpose),
        }
    }

    /// Resolves first, then opens each segment of the result from the folder down. The second
    /// step follows no link, so whoever swaps one in between gains nothing.
    fn file_by_walking(&self, name: &[u8], purpose: Purpose) -> io::Result<File> {
        let top = self.path.canonicalize()?;
        let target = top.join(OsStr::from_bytes(name)).canonicalize()?;
        let leaves = |_| io::Error::from_raw_os_error(libc::EXDEV);
        let below = target.strip_prefix(&top).map_err(leaves)?;
        let mut at = File::options()
            .read(true)
            .custom_flags(libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW)
            .open(&top)?;
        let mut segments = below.components().peekable();
        if segments.peek().is_none() {
            return openat(&at, c".", purpose.flags());
        }
        while let Some(segment) = segments.next() {
            let Component::Normal(segment) = segment else {
                return Err(io::ErrorKind::NotFound.into());
            };
            let flags = match segments.peek() {
                Some(_) => libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC,
                None => purpose.flags(),
            };
            at = openat(
                &at,
                &c_string(segment.as_bytes())?,
                flags | libc::O_NOFOLLOW,
            )?;
        }
        Ok(at)
    }
}

/// Reads up to `len` bytes from `offset` on: fewer if the file has shrunk since.
pub(super) fn read_from(
    file: &File,
    offset: u64,
    len: usize,
    access: Access,
) -> io::Result<Vec<u8>> {
    let mut contents = vec![0; len];
    let mut filled = 0;
    while filled < len {
        let rest = &mut contents[filled..];
        let at = offset + filled as u64;
        let got = match access {
            Access::Wait => file.read_at(rest, at),
            Access::Cached => read_at_cached(file, rest, at),
        };
        match got {
            Ok(0) => break,
            Ok(got) => filled += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    contents.truncate(filled);
    Ok(contents)
}

fn read_at_cached(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let vector = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
    // SAFETY: `vector` is one valid iovec over `buffer`, which is exclusively borrowed here and
    // may be written for its whole length; the descriptor is open as long as `file` is borrowed.
    let got = unsafe { libc::preadv2(file.as_raw_fd(), &vector, 1, offset, libc::RWF_NOWAIT) };
    usize::try_from(got).map_err(|_| wait_if_unsupported(io::Error::last_os_error()))
}

/// Set once `openat2` turned out to be missing (Linux before 5.6) or forbidden (seccomp).
static OPENAT2_MISSING: AtomicBool = AtomicBool::new(false);

fn openat2(
    folder: Option<&File>,
    name: &CString,
    flags: libc::c_int,
    resolve: u64,
) -> io::Result<File> {
    if OPENAT2_MISSING.load(Ordering::Relaxed) {
        return Err(io::Error::from_raw_os_error(libc::ENOSYS));
    }
    // SAFETY: all-zero is a valid `open_how`: plain integers.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = flags as u64;
    how.resolve = resolve;
    let folder = folder.map_or(libc::AT_FDCWD, AsRawFd::as_raw_fd);
    // SAFETY: `name` is NUL-terminated and `how` an `open_how` of the size stated; both live
    // until the call returns, and the kernel writes to neither.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            folder,
            name.as_ptr(),
            &how,
            size_of::<libc::open_how>(),
        )
    };
    let error = match own(fd) {
        Ok(file) => return Ok(file),
        Err(error) => error,
    };
    if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) {
        OPENAT2_MISSING.store(true, Ordering::Relaxed);
    }
    Err(error)
}

fn openat(folder: &File, name: &std::ffi::CStr, flags: libc::c_int) -> io::Result<File> {
    // SAFETY: `name` is NUL-terminated and outlives the call; the descriptor is open while
    // `folder` is borrowed. No O_CREAT, so no mode is read.
    let fd = unsafe { libc::openat(folder.as_raw_fd(), name.as_ptr(), flags | libc::O_CLOEXEC) };
    own(fd.into())
}

fn own(fd: libc::c_long) -> io::Result<File> {
    match libc::c_int::try_from(fd) {
        // SAFETY: the kernel has just returned this descriptor to us: it is open and nobody
        // else's.
        Ok(fd) if fd >= 0 => Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) })),
        _ => Err(io::Error::last_os_error()),
    }
}

fn c_string(name: &[u8]) -> io::Result<CString> {
    CString::new(name).map_err(|_| io::ErrorKind::NotFound.into())
}

/// `EINVAL`: a kernel (before 5.12) or file system that knows `openat2` but not this flag.
fn is_unsupported(error: &io::Error) -> bool {
    let unsupported = [libc::ENOSYS, libc::EPERM, libc::EINVAL, libc::EOPNOTSUPP];
    error
        .raw_os_error()
        .is_some_and(|code| unsupported.contains(&code))
}

fn wait_if_unsupported(error: io::Error) -> io::Error {
    if is_unsupported(&error) {
        io::ErrorKind::WouldBlock.into()
    } else {
        error
    }
}

#[cfg(test)]
mod tests;
