//! Why nobody can listen somewhere, and what to do about it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::port_owner::{self, Owner};

/// What is listened on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An address, as in project.toml.
    Address(SocketAddr),
    /// A unix socket.
    Path(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Address(address) => address.fmt(f),
            Place::Path(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Why an address cannot be listened on.
#[derive(Debug)]
pub struct BindError {
    place: Place,
    pub(super) source: io::Error,
    owner: Option<Owner>,
}

impl BindError {
    pub(crate) fn new(address: SocketAddr, source: io::Error) -> BindError {
        let taken = source.kind() == io::ErrorKind::AddrInUse;
        let owner = if taken {
            port_owner::find(address)
        } else {
            None
        };
        BindError {
            place: Place::Address(address),
            source,
            owner,
        }
    }

    /// Of a unix socket.
    pub(crate) fn of_path(path: &Path, source: io::Error) -> BindError {
        BindError {
            place: Place::Path(path.to_owned()),
            source,
            owner: None,
        }
    }

    /// Which, as in project.toml.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What to do.
    pub fn hint(&self) -> Option<String> {
        let port = match &self.place {
            Place::Address(address) => address.port(),
            Place::Path(path) => return self.hint_at(path),
        };
        match self.source.kind() {
            io::ErrorKind::AddrInUse => Some(match &self.owner {
                Some(owner) => format!("stop it (`kill {}`) or choose another port", owner.pid),
                None => format!("`ss -ltnp 'sport = :{port}'` as root shows which one; or choose another port"),
            }),
            io::ErrorKind::PermissionDenied if port < 1024 => Some(
                "ports below 1024 need a privilege: `AmbientCapabilities=CAP_NET_BIND_SERVICE` in a \
                 systemd unit, `setcap cap_net_bind_service=+ep` on the binary, or a port from 1024"
                    .to_owned(),
            ),
            io::ErrorKind::AddrNotAvailable => Some(
                "`ip address` shows this machine's addresses; `0.0.0.0` and `[::]` stand for all of them"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

impl BindError {
    fn hint_at(&self, path: &Path) -> Option<String> {
        let folder = path.parent().unwrap_or(path).display();
        match self.source.kind() {
            io::ErrorKind::AddrInUse => Some(format!(
                "`ss -lxp src {}` as root shows which one; or choose another path",
                path.display()
            )),
            io::ErrorKind::AlreadyExists => Some("remove it, or choose another path".to_owned()),
            io::ErrorKind::NotFound => Some(format!(
                "create `{folder}`, or let systemd do so: `RuntimeDirectory=`"
            )),
            io::ErrorKind::PermissionDenied => Some(format!(
                "who starts the server, or `server.user` where the folder is that user's, must be allowed to write to `{folder}`"
            )),
            _ => None,
        }
    }

    fn about(&self, path: &Path, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on `unix:{}`: ", path.display())?;
        match self.source.kind() {
            io::ErrorKind::AddrInUse => f.write_str("another process answers there"),
            io::ErrorKind::AlreadyExists => f.write_str("there is a file that is no socket"),
            io::ErrorKind::NotFound => f.write_str("its folder does not exist"),
            _ => write!(f, "{}", self.source),
        }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = match &self.place {
            Place::Address(address) => *address,
            Place::Path(path) => return self.about(path, f),
        };
        match self.source.kind() {
            io::ErrorKind::AddrInUse => match &self.owner {
                Some(owner) => write!(
                    f,
                    "cannot listen on `{address}`: process {} (`{}`) has it",
                    owner.pid, owner.name
                ),
                None => write!(f, "cannot listen on `{address}`: another process has it"),
            },
            io::ErrorKind::PermissionDenied if address.port() < 1024 => {
                write!(f, "cannot listen on `{address}`: the port is privileged")
            }
            io::ErrorKind::AddrNotAvailable => {
                write!(
                    f,
                    "cannot listen on `{address}`: this machine does not have the address"
                )
            }
            _ => write!(f, "cannot listen on `{address}`: {}", self.source),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_privileged_port_says_what_it_needs() {
        let source = io::Error::from_raw_os_error(libc::EACCES);
        let error = BindError::new(SocketAddr::from(([127, 0, 0, 1], 80)), source);
        assert_eq!(
            error.to_string(),
            "cannot listen on `127.0.0.1:80`: the port is privileged"
        );
        assert!(
            error
                .hint()
                .unwrap()
                .starts_with("ports below 1024 need a privilege: ")
        );
    }
}
