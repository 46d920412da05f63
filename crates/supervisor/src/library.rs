//! The worker library as a descriptor that an interpreter can load.
//!
//! It lies in memory (memfd): one sealed copy, whose pages all workers share, and which no
//! deployment can replace under a running server. Where the system forbids executing from memory
//! files (`vm.memfd_noexec=2`, some security modules), it lies in a file that is unlinked as soon
//! as it is written. Both are reached as `/proc/self/fd/N`.

use std::fmt;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::sys::{self, Execution};

/// The worker library, open for as long as workers are started.
#[derive(Debug)]
pub(crate) struct Library {
    file: File,
}

impl Library {
    /// Prepares `bytes`, in memory or else in one of `folders`.
    pub(crate) fn open(bytes: &'static [u8], folders: &[PathBuf]) -> Result<Library, LibraryError> {
        let file = match in_memory(bytes) {
            Ok(file) => file,
            Err(memory) => {
                tracing::debug!(error = %memory, "no execution from memory files: using a file");
                in_folder_of(bytes, folders).map_err(|tried| LibraryError { memory, tried })?
            }
        };
        sys::forget_pages(bytes);
        Ok(Library { file })
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

fn in_memory(bytes: &[u8]) -> io::Result<File> {
    let mut file = sys::memory_file(c"appliance_worker", Execution::Allowed)?;
    file.write_all(bytes)?;
    sys::may_execute(&file)?;
    sys::seal(&file)?;
    Ok(file)
}

/// The first folder that lets code be mapped from its files wins.
fn in_folder_of(bytes: &[u8], folders: &[PathBuf]) -> Result<File, Vec<(PathBuf, io::Error)>> {
    let mut tried = Vec::new();
    for folder in folders {
        match in_folder(bytes, folder) {
            Ok(file) => return Ok(file),
            Err(error) => tried.push((folder.clone(), error)),
        }
    }
    Err(tried)
}

/// Writes the library into a private folder in `parent`, opens it for reading and removes both
/// names: whoever reads the temporary folder finds nothing to replace.
fn in_folder(bytes: &[u8], parent: &Path) -> io::Result<File> {
    // Mode 0700 from the start.
    let folder = tempfile::Builder::new()
        .prefix("appliance-")
        .tempdir_in(parent)?;
    let path = folder.path().join("appliance_worker.so");
    // Workers of `server.user` open it again, by `/proc/self/fd`.
    const FOR_ALL: u32 = 0o444;
    let mut writer = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FOR_ALL)
        .open(&path)?;
    writer.set_permissions(Permissions::from_mode(FOR_ALL))?;
    writer.write_all(bytes)?;
    drop(writer);
    let file = File::open(&path)?;
    sys::may_execute(&file)?;
    folder.close()?;
    Ok(file)
}

/// Why the worker library can be loaded from nowhere.
#[derive(Debug)]
pub struct LibraryError {
    memory: io::Error,
    tried: Vec<(PathBuf, io::Error)>,
}

impl fmt::Display for LibraryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot load the worker library from memory ({})",
            self.memory
        )?;
        for (folder, error) in &self.tried {
            write!(f, " or from `{}` ({error})", folder.display())?;
        }
        Ok(())
    }
}

impl std::error::Error for LibraryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: &[u8] = b"what the library holds";

    fn read_through_proc(file: &File) -> Vec<u8> {
        std::fs::read(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap()
    }

    #[test]
    fn memory_holds_the_library_and_cannot_be_changed() {
        let mut file = in_memory(BYTES).unwrap();
        assert_eq!(read_through_proc(&file), BYTES);
        assert_eq!(
            file.write(b"x").unwrap_err().raw_os_error(),
            Some(libc::EPERM)
        );
    }

    #[test]
    fn a_folder_holds_the_library_without_a_name() {
        let parent = tempfile::tempdir().unwrap();
        let file = in_folder(BYTES, parent.path()).unwrap();
        assert_eq!(read_through_proc(&file), BYTES);
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn folders_are_tried_in_order_and_each_failure_is_told() {
        let parent = tempfile::tempdir().unwrap();
        let missing = parent.path().join("missing");
        assert!(in_folder_of(BYTES, &[missing.clone(), parent.path().to_owned()]).is_ok());

        let tried = in_folder_of(BYTES, std::slice::from_ref(&missing)).unwrap_err();
        let error = LibraryError {
            memory: io::Error::from_raw_os_error(libc::EACCES),
            tried,
        };
        let text = error.to_string();
        let expected = format!(
            "cannot load the worker library from memory (Permission denied (os error 13)) or from `{}` (",
            missing.display()
        );
        assert!(text.starts_with(&expected), "{text}");
    }
}
