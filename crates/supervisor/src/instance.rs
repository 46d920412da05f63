//! A project has one server: the lock that says so, the control socket, the pidfile.
//!
//! Both files are locked (flock(2)) for as long as the server lives, and hold its process id. The
//! lock, not the number, says whether it lives: numbers come round again.

use std::fmt;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{
    DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown,
};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use appliance_project::{Project, wire};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::handover::{HandedInstance, HandedLock};
use crate::listeners::BindError;
use crate::{admin, place, sys};

/// Of a lock file: whoever can open it can lock it, and would keep a server from starting.
const OWN: u32 = 0o600;
/// Of a pidfile: others read it.
const READABLE: u32 = 0o644;

/// The one server of a project; its files go with it.
#[derive(Debug)]
pub(crate) struct Instance {
    /// Where requests come in.
    pub(crate) listener: UnixListener,
    /// The admin listener.
    pub(crate) admin: Option<TcpListener>,
    /// The socket's own file.
    socket: PathBuf,
    lock: LockFile,
    pidfile: Option<LockFile>,
}

impl Instance {
    /// Becomes the one server of `project`, which the user calls `file`.
    pub(crate) fn claim(project: &Project, file: &Path) -> Result<Instance, InstanceError> {
        let control = project.server.control.as_deref();
        if let Some(pid) = place::running(file, control) {
            return Err(InstanceError::Running { pid });
        }
        let socket =
            place::of_server(file, control).map_err(|(folder, source)| InstanceError::Control {
                path: folder,
                source,
            })?;
        let control = |source| InstanceError::Control {
            path: socket.clone(),
            source,
        };
        let lock = match LockFile::take(&socket.with_extension("lock"), OWN) {
            Ok(lock) => lock,
            Err(Refusal::Held(pid)) => return Err(InstanceError::Running { pid }),
            Err(Refusal::Foreign) => {
                return Err(InstanceError::Control {
                    path: socket.with_extension("lock"),
                    source: io::ErrorKind::AlreadyExists.into(),
                });
            }
            Err(Refusal::System(source)) => return Err(control(source)),
        };
        let pidfile = take_pidfile(project)?;
        let admin = project.server.admin.map(admin::bind).transpose();
        let admin = admin.map_err(InstanceError::Admin)?;
        let listener = listen(&socket).map_err(control)?;
        let instance = Instance {
            listener,
            admin,
            socket,
            lock,
            pidfile,
        };
        instance
            .give_to(project)
            .map_err(|source| InstanceError::Control {
                path: instance.socket.clone(),
                source,
            })?;
        Ok(instance)
    }

    /// Lets the user that workers run as connect, too. What it may ask for is another matter
    /// ([`crate::control`]).
    pub(crate) fn give_to(&self, project: &Project) -> io::Result<()> {
        match &project.server.account {
            Some(account) => chown(&self.socket, Some(account.uid), None),
            None => Ok(()),
        }
    }

    /// For the next program of this process.
    pub(crate) fn hand_over(&self) -> Option<HandedInstance> {
        let handed = |lock: &LockFile| {
            Some(HandedLock {
                file: lock.file.as_ref()?.as_raw_fd(),
                path: lock.path.clone(),
            })
        };
        Some(HandedInstance {
            listener: self.listener.as_raw_fd(),
            admin: self.admin.as_ref().map(TcpListener::as_raw_fd),
            socket: self.socket.clone(),
            lock: handed(&self.lock)?,
            pidfile: self.pidfile.as_ref().and_then(handed),
        })
    }

    /// From the last program of this process.
    pub(crate) fn adopt(handed: &HandedInstance) -> io::Result<Instance> {
        let adopted = |lock: &HandedLock| -> io::Result<LockFile> {
            Ok(LockFile {
                file: Some(sys::adopt(lock.file)?.into()),
                path: lock.path.clone(),
            })
        };
        Ok(Instance {
            listener: sys::adopt(handed.listener)?.into(),
            admin: match handed.admin {
                Some(fd) => Some(sys::adopt(fd)?.into()),
                None => None,
            },
            socket: handed.socket.clone(),
            lock: adopted(&handed.lock)?,
            pidfile: handed.pidfile.as_ref().map(adopted).transpose()?,
        })
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        remove(&self.socket);
    }
}

/// The pidfile of a server without a supervisor: the lock outlives the exec, and the worker removes
/// the file.
pub(crate) fn leave_pidfile(project: &Project) -> Result<Option<wire::Leftover>, InstanceError> {
    let Some(mut pidfile) = take_pidfile(project)? else {
        return Ok(None);
    };
    let found = pidfile.file.as_ref().and_then(|file| file.metadata().ok());
    let path = pidfile.path.clone();
    pidfile.stay();
    Ok(found.map(|found| wire::Leftover {
        path,
        file: (found.dev(), found.ino()),
    }))
}

fn take_pidfile(project: &Project) -> Result<Option<LockFile>, InstanceError> {
    let Some(path) = project.server.pidfile.clone() else {
        return Ok(None);
    };
    match LockFile::take(&path, READABLE) {
        Ok(file) => Ok(Some(file)),
        Err(Refusal::Held(pid)) => Err(InstanceError::PidfileHeld { path, pid }),
        Err(Refusal::Foreign) => Err(InstanceError::NoPidfile { path }),
        Err(Refusal::System(source)) => Err(InstanceError::Pidfile { path, source }),
    }
}

/// Whoever may write to it commands the server: its owner, and nobody for a moment before.
fn listen(path: &Path) -> io::Result<UnixListener> {
    const BACKLOG: i32 = 16;
    match fs::symlink_metadata(path) {
        // Whoever left it here is gone: we have the lock.
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path)?,
        Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// A locked file with this process's id in it.
#[derive(Debug)]
struct LockFile {
    file: Option<File>,
    path: PathBuf,
}

#[derive(Debug)]
enum Refusal {
    /// By a process of this id.
    Held(u32),
    /// What is in it was not written by a server.
    Foreign,
    System(io::Error),
}

impl LockFile {
    fn take(path: &Path, mode: u32) -> Result<LockFile, Refusal> {
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(mode)
                .open(path)
                .map_err(Refusal::System)?;
            let before = read_pid(&mut file)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(Refusal::Held(before.unwrap_or(0))),
                Err(TryLockError::Error(error)) => return Err(Refusal::System(error)),
            }
            // Its last holder removes it before the lock is free.
            if !is_at(&file, path) {
                continue;
            }
            if let Some(pid) = before {
                tracing::info!(file = %path.display(), pid, "a server has left this file behind");
            }
            write_pid(&mut file).map_err(Refusal::System)?;
            return Ok(LockFile {
                file: Some(file),
                path: path.to_owned(),
            });
        }
    }

    /// Keeps file and lock beyond this process's program.
    fn stay(&mut self) {
        if let Some(file) = self.file.take()
            && let Err(error) = crate::sys::keep_open(file)
        {
            tracing::warn!(%error, file = %self.path.display(), "the pidfile stays unlocked");
        }
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        if self.file.is_some() {
            remove(&self.path);
        }
    }
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, file = %path.display(), "a file stays behind");
    }
}

/// None for an empty file.
fn read_pid(file: &mut File) -> Result<Option<u32>, Refusal> {
    const LONGEST: u64 = 32;
    let mut text = String::new();
    match file.take(LONGEST).read_to_string(&mut text) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(Refusal::Foreign),
        Err(error) => return Err(Refusal::System(error)),
    }
    match text.trim() {
        "" => Ok(None),
        number => number.parse().map(Some).map_err(|_| Refusal::Foreign),
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(ours), Ok(named)) = (file.metadata(), path.metadata()) else {
        return false;
    };
    (ours.dev(), ours.ino()) == (named.dev(), named.ino())
}

/// Creates a folder that nobody else can write to; one that somebody else could have made is
/// refused. Root's can be entered: sockets in it may be `server.user`'s.
pub(crate) fn private_folder(path: &Path, user: u32) -> io::Result<()> {
    const ROOT: u32 = 0;
    const PRIVATE: u32 = 0o700;
    const ENTERED: u32 = 0o711;
    match fs::DirBuilder::new().mode(PRIVATE).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(path)?;
    let others_may_write = found.mode() & 0o022 != 0;
    if !found.is_dir() || found.uid() != user || others_may_write {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "others may write to it",
        ));
    }
    if user == ROOT && found.mode() & 0o777 == PRIVATE {
        fs::set_permissions(path, Permissions::from_mode(ENTERED))?;
    }
    Ok(())
}

/// Why this cannot be the project's server.
#[derive(Debug)]
pub enum InstanceError {
    /// There is one.
    Running {
        /// Its process.
        pid: u32,
    },
    /// The control socket cannot be opened.
    Control {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// `server.admin` cannot be listened on.
    Admin(BindError),
    /// A live process has the pidfile.
    PidfileHeld {
        /// `server.pidfile`.
        path: PathBuf,
        /// Its process.
        pid: u32,
    },
    /// `server.pidfile` is a file of something else.
    NoPidfile {
        /// `server.pidfile`.
        path: PathBuf,
    },
    /// The pidfile cannot be written.
    Pidfile {
        /// `server.pidfile`.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Whether something else's file is in the way.
fn is_foreign(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AlreadyExists
}

impl InstanceError {
    /// The key of project.toml at fault.
    pub fn key(&self) -> &'static str {
        match self {
            InstanceError::Running { .. } | InstanceError::Control { .. } => "server.control",
            InstanceError::Admin(_) => "server.admin",
            _ => "server.pidfile",
        }
    }

    /// What to do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            InstanceError::Running { .. } => "`appliance reload` makes it take up changes, `appliance stop` ends it; \
                 two at once need two `server.control`"
                .to_owned(),
            InstanceError::Control { path, source } if is_foreign(source) => format!(
                "it is not overwritten: choose another path, or remove `{}`",
                path.display()
            ),
            InstanceError::Control { .. } => {
                "`server.control` says where it is: a folder this user may write to, in at most 107 bytes"
                    .to_owned()
            }
            InstanceError::Admin(error) => return error.hint(),
            InstanceError::PidfileHeld { .. } => {
                "each server needs a pidfile of its own".to_owned()
            }
            InstanceError::NoPidfile { path } => format!(
                "it is not overwritten: choose another path, or remove `{}`",
                path.display()
            ),
            InstanceError::Pidfile { .. } => return None,
        })
    }
}

impl fmt::Display for InstanceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InstanceError::Running { pid } => {
                write!(f, "this project is being served already, by process {pid}")
            }
            InstanceError::Control { path, source } if is_foreign(source) => write!(
                f,
                "`{}` is in the way of the control socket: it is a file of something else",
                path.display()
            ),
            InstanceError::Control { path, source } => {
                write!(
                    f,
                    "cannot open the control socket `{}`: {source}",
                    path.display()
                )
            }
            InstanceError::Admin(error) => error.fmt(f),
            InstanceError::PidfileHeld { path, pid } => write!(
                f,
                "the pidfile `{}` belongs to process {pid}, which is running",
                path.display()
            ),
            InstanceError::NoPidfile { path } => write!(
                f,
                "`{}` is no pidfile: it holds something else than a process id",
                path.display()
            ),
            InstanceError::Pidfile { path, source } => {
                write!(f, "cannot write the pidfile `{}`: {source}", path.display())
            }
        }
    }
}

impl std::error::Error for InstanceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            InstanceError::Control { source, .. } | InstanceError::Pidfile { source, .. } => {
                Some(source)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_file_has_one_holder_and_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pid");
        let held = LockFile::take(&path, READABLE).unwrap();
        let pid = std::process::id();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{pid}\n"));
        assert!(
            matches!(LockFile::take(&path, READABLE), Err(Refusal::Held(holder)) if holder == pid)
        );
        drop(held);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_dead_server_left_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pid");
        // This process lives, but it has not locked the file.
        fs::write(&path, format!("{}\nand more", "4711")).unwrap();
        assert!(matches!(
            LockFile::take(&path, READABLE),
            Err(Refusal::Foreign)
        ));
        fs::write(&path, "4711\n").unwrap();
        let held = LockFile::take(&path, READABLE).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("{}\n", std::process::id())
        );
        drop(held);
    }

    #[test]
    fn files_of_something_else_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("thesis.tex");
        fs::write(&path, "\\documentclass{article}").unwrap();
        assert!(matches!(
            LockFile::take(&path, READABLE),
            Err(Refusal::Foreign)
        ));
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "\\documentclass{article}"
        );
    }

    #[test]
    fn folders_that_others_may_write_to_are_refused() {
        let parent = tempfile::tempdir().unwrap();
        let user = crate::sys::user();
        let folder = parent.path().join("run");
        private_folder(&folder, user).unwrap();
        private_folder(&folder, user).unwrap();
        let mode = if user == 0 { 0o711 } else { 0o700 };
        assert_eq!(folder.metadata().unwrap().mode() & 0o777, mode);
        assert!(private_folder(&folder, user + 1).is_err());
        fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
        assert!(private_folder(&folder, user).is_err());
    }
}
