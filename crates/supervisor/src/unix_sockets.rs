//! Unix sockets that sites listen on: one for each path, from which all workers accept. (What
//! SO_REUSEPORT does for addresses, no option does for paths.)
//!
//! 1. What a dead server left at the path is taken away; what somebody answers at is not.
//! 2. The socket is bound and given its rights. Nobody can connect before it listens, so there is
//!    no moment in which it has others.
//! 3. It is kept by generations that have it, which may change its file's rights (`socket_mode`).
//! 4. Its file goes with the last of them, if it is still the same file.
//!
//! A service manager's socket is none of this server's making: neither its file nor its rights are
//! touched, and it stays open while no site listens on it.
//!
//! Where `server.user` could put something else at the path, all of this is done as that user.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use appliance_project::Project;
use appliance_project::wire;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::confine::Confines;
use crate::handover::HandedUnix;
use crate::listeners::{BACKLOG, BindError};
use crate::sys;

/// The unix sockets of a generation.
#[derive(Debug, Clone, Default)]
pub(crate) struct UnixSockets {
    used: Vec<Arc<UnixSocket>>,
    /// A service manager's, on which no site listens for now.
    unused: Vec<Arc<UnixSocket>>,
    /// The rights that files of this server's making are to have, and whose they are.
    rights: Option<(u32, Confines)>,
}

#[derive(Debug)]
struct UnixSocket {
    path: PathBuf,
    socket: Socket,
    /// Device and inode of its file.
    file: (u64, u64),
    /// It is a service manager's.
    outlives: bool,
}

/// Of no file.
const NO_FILE: (u64, u64) = (0, 0);

/// How the project writes the path of a socket that somebody else has bound.
pub(crate) fn written(path: &Path, project: &Project) -> Option<PathBuf> {
    let mut paths = project.sites.iter().flat_map(|site| &site.unix);
    let same = |written: &Path| match (identity(written), identity(path)) {
        (Ok(written), Ok(bound)) => written == bound,
        _ => false,
    };
    let written = paths.find(|written| *written == path || same(written));
    written.cloned()
}

impl UnixSockets {
    /// Adds a service manager's.
    pub(crate) fn add_passed(&mut self, path: PathBuf, socket: Socket) {
        self.unused.push(Arc::new(UnixSocket {
            path,
            socket,
            file: NO_FILE,
            outlives: true,
        }));
    }

    fn all(&self) -> impl Iterator<Item = &Arc<UnixSocket>> {
        self.used.iter().chain(&self.unused)
    }

    /// Those of the next generation: the ones that there are, and new ones, which do not listen yet.
    pub(crate) fn successors(&self, project: &Project) -> Result<UnixSockets, BindError> {
        let confines = Confines::of(&project.server);
        let mode = project.server.socket_mode;
        let mut paths: Vec<&PathBuf> = project.sites.iter().flat_map(|site| &site.unix).collect();
        paths.sort();
        paths.dedup();
        let sockets = paths.iter().map(|path| {
            if let Some(known) = self.all().find(|known| known.path == **path) {
                return Ok(Arc::clone(known));
            }
            let bound = bind(path, mode, &confines);
            bound
                .map(Arc::new)
                .map_err(|source| BindError::of_path(path, source))
        });
        let used = sockets.collect::<Result<_, _>>()?;
        let kept = self.all().filter(|unix| unix.outlives);
        let unused = kept.filter(|unix| !paths.contains(&&unix.path));
        Ok(UnixSockets {
            used,
            unused: unused.cloned().collect(),
            rights: Some((mode, confines)),
        })
    }

    /// Lets connections come, of those whom the files' rights let.
    pub(crate) fn open(&self) -> Result<(), BindError> {
        self.used.iter().try_for_each(|unix| {
            let ruled = match &self.rights {
                Some((mode, confines)) => unix.rule(*mode, confines),
                None => Ok(()),
            };
            let opened = ruled.and_then(|()| unix.socket.listen(BACKLOG));
            opened.map_err(|source| BindError::of_path(&unix.path, source))
        })
    }

    /// Those that are not among the `next`.
    pub(crate) fn closed_by(&self, next: Option<&UnixSockets>) -> Vec<PathBuf> {
        let goes_on = |unix: &&Arc<UnixSocket>| {
            let mut next = next.iter().flat_map(|next| next.all());
            unix.outlives || next.any(|other| other.path == unix.path)
        };
        let closed = self.used.iter().filter(|unix| !goes_on(unix));
        closed.map(|unix| unix.path.clone()).collect()
    }

    /// What a worker is told of them.
    pub(crate) fn told(&self) -> Vec<wire::UnixListener> {
        let told = self.used.iter().map(|unix| wire::UnixListener {
            path: unix.path.clone(),
            fd: unix.socket.as_raw_fd(),
            outlives: unix.outlives,
        });
        told.collect()
    }

    /// Their files, for a worker that takes this process's place.
    pub(crate) fn leftovers(&self) -> Vec<wire::Leftover> {
        let own = self.used.iter().filter(|unix| !unix.outlives);
        let files = own.map(|unix| wire::Leftover {
            path: unix.path.clone(),
            file: unix.file,
        });
        files.collect()
    }

    /// For the next program of this process.
    pub(crate) fn hand_over(&self) -> Vec<HandedUnix> {
        let used = self.used.len();
        let handed = |(number, unix): (usize, &Arc<UnixSocket>)| HandedUnix {
            path: unix.path.clone(),
            fd: unix.socket.as_raw_fd(),
            file: unix.file,
            outlives: unix.outlives,
            unused: number >= used,
        };
        self.all().enumerate().map(handed).collect()
    }

    pub(crate) fn adopt(handed: &[HandedUnix]) -> io::Result<UnixSockets> {
        let adopted = |unix: &HandedUnix| -> io::Result<Arc<UnixSocket>> {
            Ok(Arc::new(UnixSocket {
                path: unix.path.clone(),
                socket: Socket::from(sys::adopt(unix.fd)?),
                file: unix.file,
                outlives: unix.outlives,
            }))
        };
        let (unused, used): (Vec<_>, Vec<_>) = handed.iter().partition(|unix| unix.unused);
        Ok(UnixSockets {
            used: used.into_iter().map(adopted).collect::<io::Result<_>>()?,
            unused: unused.into_iter().map(adopted).collect::<io::Result<_>>()?,
            rights: None,
        })
    }
}

impl UnixSocket {
    /// Gives its file other rights, where it has them not.
    fn rule(&self, mode: u32, confines: &Confines) -> io::Result<()> {
        const RIGHTS: u32 = 0o7777;
        let found = fs::symlink_metadata(&self.path);
        let is_due = found.is_ok_and(|found| {
            (found.dev(), found.ino()) == self.file && found.mode() & RIGHTS != mode
        });
        let set = || fs::set_permissions(&self.path, Permissions::from_mode(mode));
        match is_due {
            true if confines.can_move(&self.path) => confines.act(set)?,
            true => set(),
            false => Ok(()),
        }
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        if !self.outlives
            && identity(&self.path).is_ok_and(|file| file == self.file)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::debug!(%error, path = %self.path.display(), "a socket stays behind");
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

fn bind(path: &Path, mode: u32, confines: &Confines) -> io::Result<UnixSocket> {
    if confines.can_move(path) {
        return confines.act(|| make(path, mode))?;
    }
    let unix = make(path, mode)?;
    confines.give_file(path)?;
    Ok(unix)
}

fn make(path: &Path, mode: u32) -> io::Result<UnixSocket> {
    clear(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let unix = UnixSocket {
        path: path.to_owned(),
        socket,
        file: identity(path)?,
        outlives: false,
    };
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    Ok(unix)
}

/// Takes away what a dead server has left behind.
fn clear(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // One whose queue is full does not take it, and yet there is somebody.
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    fn mine() -> Confines {
        Confines::none()
    }

    #[test]
    fn a_socket_has_its_rights_and_goes_when_nobody_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.sock");
        let unix = bind(&path, 0o620, &mine()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o620);
        let early = UnixStream::connect(&path).unwrap_err();
        assert_eq!(early.kind(), io::ErrorKind::ConnectionRefused);
        unix.socket.listen(BACKLOG).unwrap();
        UnixStream::connect(&path).unwrap();
        drop(unix);
        assert!(!path.exists());
    }

    #[test]
    fn what_was_left_behind_is_taken_away_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let unix = bind(&path, 0o660, &mine()).unwrap();
        unix.socket.listen(BACKLOG).unwrap();
        let taken = bind(&path, 0o660, &mine()).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        // Another server's, which has taken this one for dead.
        fs::remove_file(&path).unwrap();
        let other = UnixListener::bind(&path).unwrap();
        drop(unix);
        assert!(path.exists());
        drop(other);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "a file").unwrap();
        let foreign = bind(&path, 0o660, &mine()).unwrap_err();
        assert_eq!(foreign.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"a file");
    }
}
