//! Where a project's control socket is, so that commands find its server without being told.
//!
//! `server.control`, or else a name made of the project file's path, in the first of these folders
//! that can be had: systemd's `$RUNTIME_DIRECTORY`, for root `/run/appliance`,
//! `$XDG_RUNTIME_DIR/appliance`, and `appliance-UID` in the temporary folder.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Component, Path, PathBuf};

use crate::instance::private_folder;
use crate::sys;

const SYSTEM: &str = "/run/appliance";

/// Where the server of `file` opens its socket; if that is nowhere, the last folder tried.
pub(crate) fn of_server(
    file: &Path,
    control: Option<&Path>,
) -> Result<PathBuf, (PathBuf, io::Error)> {
    if let Some(path) = control {
        return Ok(path.to_owned());
    }
    let user = sys::user();
    let mut failure = (PathBuf::from(SYSTEM), io::ErrorKind::NotFound.into());
    for folder in folders(user) {
        match private_folder(&folder, user) {
            Ok(()) => return Ok(folder.join(name(&logical(file)))),
            Err(error) => failure = (folder, error),
        }
    }
    Err(failure)
}

/// The process that serves `file`, if one answers. The kernel says who opened the socket.
pub(crate) fn running(file: &Path, control: Option<&Path>) -> Option<u32> {
    sys::peer(&connect(file, control)?).ok()
}

/// A connection to the server of `file`.
pub(crate) fn connect(file: &Path, control: Option<&Path>) -> Option<UnixStream> {
    let paths = candidates(file, control);
    paths.iter().find_map(|path| UnixStream::connect(path).ok())
}

/// Every place at which the server of `file` may have its socket.
pub(crate) fn candidates(file: &Path, control: Option<&Path>) -> Vec<PathBuf> {
    if let Some(path) = control {
        return vec![path.to_owned()];
    }
    let mut folders = folders(sys::user());
    folders.push(SYSTEM.into());
    // For root, who looks after the servers of others.
    if let Ok(owner) = file.metadata().map(|found| found.uid()) {
        folders.push(format!("/run/user/{owner}/appliance").into());
        folders.push(temporary(owner));
    }
    let mut names = vec![name(&logical(file))];
    names.extend(std::path::absolute(file).ok().map(|file| name(&file)));
    names.extend(file.canonicalize().ok().map(|file| name(&file)));
    let mut paths: Vec<PathBuf> = Vec::new();
    for path in folders
        .iter()
        .flat_map(|folder| names.iter().map(|name| folder.join(name)))
    {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}

fn folders(user: u32) -> Vec<PathBuf> {
    const ROOT: u32 = 0;
    let absolute = |name| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let mut folders = Vec::new();
    folders.extend(absolute("RUNTIME_DIRECTORY"));
    folders.extend((user == ROOT).then(|| SYSTEM.into()));
    folders.extend(absolute("XDG_RUNTIME_DIR").map(|folder| folder.join("appliance")));
    folders.push(temporary(user));
    folders
}

fn temporary(user: u32) -> PathBuf {
    std::env::temp_dir().join(format!("appliance-{user}"))
}

/// Absolute, by the names that were used to come here: a release behind a symbolic link
/// (`/srv/shop/current`) keeps its name when the link moves on. The shell knows that name, the
/// kernel does not.
pub(crate) fn logical(file: &Path) -> PathBuf {
    let folder = std::env::var_os("PWD").map(PathBuf::from);
    let folder = folder.filter(|folder| folder.is_absolute() && is_here(folder));
    let path = match folder {
        Some(folder) => folder.join(file),
        None => std::path::absolute(file).unwrap_or_else(|_| file.to_owned()),
    };
    let parts = path.components();
    parts.filter(|part| *part != Component::CurDir).collect()
}

fn is_here(folder: &Path) -> bool {
    let identity = |path: &Path| path.metadata().map(|found| (found.dev(), found.ino())).ok();
    let there = identity(folder);
    there.is_some() && there == identity(Path::new("."))
}

/// `shop-8c2f0a….sock`: the folder's name, for people, and the path, for certainty. Short, since a
/// socket's path has at most 107 bytes.
fn name(file: &Path) -> String {
    const LONGEST: usize = 24;
    let folder = file.parent().and_then(Path::file_name).unwrap_or_default();
    let plain: String = folder
        .to_string_lossy()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-' || *c == '_')
        .take(LONGEST)
        .collect();
    let hash = fnv(file.as_os_str().as_encoded_bytes());
    format!("{plain}-{hash:016x}.sock")
}

/// FNV-1a: the same in every version of the binary, as the standard library's need not be.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_folder_and_stays() {
        let file = Path::new("/srv/my shop/project.toml");
        assert_eq!(name(file), "myshop-10360b4cca7c8956.sock");
        assert_ne!(name(file), name(Path::new("/srv/my shop/other.toml")));
        assert_eq!(fnv(b"a"), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn a_set_socket_is_the_only_place() {
        let control = Path::new("/run/shop.sock");
        let paths = candidates(Path::new("project.toml"), Some(control));
        assert_eq!(paths, [control]);
    }

    #[test]
    fn paths_are_the_same_whether_said_short_or_long() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(
            logical(Path::new("./a/./b.toml")),
            logical(&here.join("a/b.toml"))
        );
    }
}
