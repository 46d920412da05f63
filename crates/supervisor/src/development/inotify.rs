//! Folders under the kernel's watch (inotify(7)). Not files: editors replace a file by renaming
//! another one over it, and the watch would stay with the old one.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

use crate::sys;

/// Events that are read at once.
const BUFFER_BYTES: usize = 16 << 10;

/// What has happened in a folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// This file or folder has come, gone or been written.
    Path { path: PathBuf, is_folder: bool },
    /// More than the kernel has kept.
    Much,
}

/// The folders.
pub(super) struct Inotify {
    fd: AsyncFd<OwnedFd>,
    folders: HashMap<i32, PathBuf>,
    /// Said once.
    has_complained: bool,
}

impl Inotify {
    pub(super) fn new() -> io::Result<Inotify> {
        let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        Ok(Inotify {
            fd: sys::await_readable(fd)?,
            folders: HashMap::new(),
            has_complained: false,
        })
    }

    /// Watches a folder, which goes by this path from now on. One that is not there is none.
    pub(super) fn add(&mut self, folder: &Path) {
        // A file that is only opened to be written, and left as it is, has not been saved.
        let flags = WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVE
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::ONLYDIR
            | WatchFlags::EXCL_UNLINK;
        match inotify::add_watch(&self.fd, folder, flags) {
            Ok(number) => drop(self.folders.insert(number, folder.to_owned())),
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(_) if self.has_complained => {}
            Err(error) => {
                self.has_complained = true;
                let hint = match error {
                    Errno::NOSPC => {
                        "; `sysctl fs.inotify.max_user_watches` is how many folders may be"
                    }
                    _ => "",
                };
                let folder = folder.display();
                tracing::warn!(%folder, %error, "a folder cannot be watched{hint}");
            }
        }
    }

    /// Waits until something happens. Losing the race in a `select!` loses nothing.
    pub(super) async fn next(&mut self) -> io::Result<Vec<Seen>> {
        let mut ready = self.fd.readable().await?;
        let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
        let mut reader = Reader::new(ready.get_inner(), &mut buffer);
        let mut seen = Vec::new();
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                Err(Errno::WOULDBLOCK) => break,
                Err(error) => return Err(error.into()),
            };
            let flags = event.events();
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                seen.push(Seen::Much);
            } else if flags.contains(ReadFlags::IGNORED) {
                self.folders.remove(&event.wd());
            } else if let (Some(folder), Some(name)) =
                (self.folders.get(&event.wd()), event.file_name())
            {
                let is_folder = flags.contains(ReadFlags::ISDIR);
                // What is created is empty, but for a link and a folder.
                let path = folder.join(OsStr::from_bytes(name.to_bytes()));
                let is_new = flags.contains(ReadFlags::CREATE);
                if !is_new || is_folder || path.is_symlink() {
                    seen.push(Seen::Path { path, is_folder });
                }
            }
        }
        ready.clear_ready();
        Ok(seen)
    }
}
