//! What the project's own programs (workers, hooks, pip) may do: whom they run as, and with what.
//!
//! A supervisor that is root stays root, so that a reload may listen on further privileged ports
//! and start workers of `server.user` again. Whatever belongs to that user (its interpreter, its
//! virtualenv, its hooks) it neither runs nor writes as root: each program changes to the user
//! before its exec, each file of the virtualenv is written by a thread that has.
//!
//! `PR_SET_DUMPABLE` stays: without it a worker's `/proc/self` belongs to root, where it could not
//! open the library it is made of; and `py-spy` of the same user would see nothing.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, fchown, lchown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use appliance_project::Project;
use appliance_project::model::{Account, Server};

use crate::sys::{self, Sacrifice};

const ROOT: u32 = 0;

/// What a service manager tells the supervisor, and nobody else.
const NOT_FOR_CHILDREN: [&str; 6] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
];

/// The confines of a project's programs.
#[derive(Debug, Clone)]
pub(crate) struct Confines {
    /// Whom they run as, if that is somebody else.
    account: Option<Account>,
    umask: Option<u32>,
    no_new_privileges: bool,
}

impl Confines {
    pub(crate) fn of(server: &Server) -> Confines {
        Confines {
            account: server.account.clone().filter(|account| !is_me(account)),
            umask: server.umask,
            no_new_privileges: server.no_new_privileges,
        }
    }

    /// For a worker: whatever visitors may make of it, it cannot become more than it is.
    pub(crate) fn worker(&self, command: &mut Command) {
        self.apply(command, self.no_new_privileges);
    }

    /// For a hook, `venv` or pip. What the operator runs may be `sudo`.
    pub(crate) fn helper(&self, command: &mut Command) {
        self.apply(command, false);
    }

    fn apply(&self, command: &mut Command, privileges: bool) {
        for name in NOT_FOR_CHILDREN {
            command.env_remove(name);
        }
        sys::sacrifice(
            command,
            Sacrifice {
                account: self.account.clone(),
                privileges,
                umask: self.umask,
            },
        );
    }

    /// Does `action`, which is about files of theirs, as the user they run as.
    pub(crate) fn act<T: Send>(&self, action: impl FnOnce() -> T + Send) -> io::Result<T> {
        match &self.account {
            Some(account) => sys::as_account(account, action),
            None => Ok(action()),
        }
    }

    /// Makes a pipe theirs: who opens an end of it once more, by `/proc/self/fd`, must own it.
    pub(crate) fn give(&self, pipe: impl AsFd) -> io::Result<()> {
        match &self.account {
            Some(account) => fchown(pipe, Some(account.uid), Some(account.gid)),
            None => Ok(()),
        }
    }

    /// Makes a file theirs, in a folder where they cannot put another in its place.
    pub(crate) fn give_file(&self, path: &Path) -> io::Result<()> {
        match &self.account {
            Some(account) => lchown(path, Some(account.uid), Some(account.gid)),
            None => Ok(()),
        }
    }

    /// Of whoever starts the server.
    #[cfg(test)]
    pub(crate) fn none() -> Confines {
        Confines {
            account: None,
            umask: None,
            no_new_privileges: true,
        }
    }

    /// Whether the user they run as may put something else at this path, which this process can.
    pub(crate) fn can_move(&self, path: &Path) -> bool {
        let Some(account) = &self.account else {
            return false;
        };
        let real = path.parent().and_then(|folder| folder.canonicalize().ok());
        let real = real.as_deref();
        let replaces = |folder: &Path, others: u32, of: u32| {
            folder.metadata().is_ok_and(|found| {
                let mode = found.mode();
                found.uid() == account.uid
                    || account.groups.contains(&found.gid()) && mode & 0o020 != 0
                    || mode & others == of
            })
        };
        // In a sticky folder (`/tmp`) everybody adds names, but replaces none of others.
        let adds = |folder: &Path| replaces(folder, 0o002, 0o002);
        let moves = |folder: &Path| replaces(folder, 0o1002, 0o002);
        let written = path.parent();
        let mut above = written.into_iter().chain(real).flat_map(Path::ancestors);
        written.is_some_and(adds) || real.is_some_and(adds) || above.any(moves)
    }

    /// `USER` and the like, where they are not those of this process.
    pub(crate) fn variables(&self) -> Vec<(OsString, OsString)> {
        let Some(account) = &self.account else {
            return Vec::new();
        };
        match &account.login {
            Some(login) => vec![
                ("USER".into(), login.name.clone().into()),
                ("LOGNAME".into(), login.name.clone().into()),
                ("HOME".into(), login.home.clone().into()),
            ],
            None => vec![("HOME".into(), "/".into())],
        }
    }

    /// Whose rights count, for messages about what is denied.
    pub(crate) fn whom(&self) -> Option<&str> {
        self.account.as_ref().map(|account| account.name.as_str())
    }

    /// Fails if they could not be kept, or the project could not work within them.
    pub(crate) fn check(&self, project: &Project) -> Result<(), ConfineError> {
        let Some(account) = &self.account else {
            return Ok(());
        };
        if !sys::may_become_another() {
            return Err(ConfineError::NotPermitted {
                user: account.name.clone(),
                uid: sys::user(),
            });
        }
        self.check_spool(&project.python.spool)
    }

    /// The first large upload would find out otherwise. A program asks, since access lists and
    /// read-only mounts count as well.
    fn check_spool(&self, folder: &Path) -> Result<(), ConfineError> {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "test -w \"$1\" && test -x \"$1\"", "sh"])
            .arg(folder)
            .stdin(Stdio::null());
        self.helper(&mut command);
        match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(_) => Err(ConfineError::Spool {
                user: self.whom().unwrap_or_default().to_owned(),
                folder: folder.to_owned(),
            }),
            Err(source) => Err(ConfineError::System {
                user: self.whom().unwrap_or_default().to_owned(),
                source,
            }),
        }
    }
}

fn is_me(account: &Account) -> bool {
    account.uid == sys::user() && account.gid == sys::group()
}

/// Before anything else of a start: fails if it would fail for want of rights, and says what an
/// operator who starts a server as root should know, once.
pub(crate) fn begin(project: &Project) -> Result<(), ConfineError> {
    Confines::of(&project.server).check(project)?;
    warn_of_root(project);
    Ok(())
}

fn warn_of_root(project: &Project) {
    if sys::user() != ROOT {
        return;
    }
    let Some(account) = &project.server.account else {
        tracing::warn!(
            "the workers run as root: whoever finds a hole in the application owns the machine; \
             `server.user` names another user"
        );
        return;
    };
    if account.uid != ROOT && is_theirs(&project.file, account) {
        tracing::warn!(
            file = %project.file.display(),
            user = account.name,
            "the project file can be changed by the user that workers run as, who becomes root by it at \
             the next start: give the file and its folder to root"
        );
    }
}

/// Whether `account` may write to the file, or put another one in its place.
fn is_theirs(file: &Path, account: &Account) -> bool {
    let writable = |path: &Path| {
        path.metadata().is_ok_and(|found| {
            let mode = found.mode();
            found.uid() == account.uid && mode & 0o200 != 0
                || account.groups.contains(&found.gid()) && mode & 0o020 != 0
                || mode & 0o1002 == 0o002
        })
    };
    writable(file) || file.parent().is_some_and(writable)
}

/// Why the confines cannot be kept.
#[derive(Debug)]
pub enum ConfineError {
    /// This process may not change its user.
    NotPermitted {
        /// `server.user`.
        user: String,
        /// This process's.
        uid: u32,
    },
    /// `python.spool` cannot be written.
    Spool {
        /// `server.user`.
        user: String,
        /// `python.spool`.
        folder: PathBuf,
    },
    /// The system refuses.
    System {
        /// `server.user`.
        user: String,
        /// Why.
        source: io::Error,
    },
}

impl ConfineError {
    /// The key of project.toml at fault.
    pub fn key(&self) -> &'static str {
        match self {
            ConfineError::Spool { .. } => "python.spool",
            _ => "server.user",
        }
    }

    /// What to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            ConfineError::NotPermitted { uid: ROOT, .. } => Some(
                "this root has no CAP_SETUID and CAP_SETGID: let the container or unit that it runs in keep \
                 them, or run it as that user and leave the key out"
                    .to_owned(),
            ),
            ConfineError::NotPermitted { user, .. } => Some(format!(
                "start it as root, or as `{user}`; without the key it runs as whoever starts it"
            )),
            ConfineError::Spool { user, folder } => Some(format!(
                "`chown {user} {}`, or name another folder",
                folder.display()
            )),
            ConfineError::System { .. } => None,
        }
    }
}

impl fmt::Display for ConfineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfineError::NotPermitted { user, uid } => {
                write!(
                    f,
                    "only root can start workers as `{user}`: this is user {uid}"
                )
            }
            ConfineError::Spool { user, folder } => {
                write!(
                    f,
                    "`{user}` (`server.user`) cannot write to `{}`",
                    folder.display()
                )
            }
            ConfineError::System { user, source } => {
                write!(f, "cannot run programs as `{user}`: {source}")
            }
        }
    }
}

impl std::error::Error for ConfineError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ConfineError::System { source, .. } => Some(source),
            _ => None,
        }
    }
}
