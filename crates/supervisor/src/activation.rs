//! Socket activation (sd_listen_fds(3)): a service manager listens first, and hands the sockets over
//! as descriptors from 3 on. Connections that come before the server is ready, or while it is being
//! restarted, wait in them; and a port below 1024 needs no root here.
//!
//! A socket serves the `listen` address that it is bound to, or the path. The manager has made one for
//! each, so that all workers accept from the same; a path's file is the manager's, rights and all.

use std::fmt;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::path::Path;

use socket2::{SockRef, Socket, Type};

use crate::listeners::Place;
use crate::sys;

/// The first descriptor that is handed over.
const FIRST: RawFd = 3;

/// A socket of the service manager's.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) place: Place,
    pub(crate) socket: Socket,
    /// Its `FileDescriptorName=`.
    name: String,
}

/// Takes over what this process was given, if anything. To be called once, and before anything else
/// opens files.
pub(crate) fn take() -> Result<Vec<Passed>, ActivationError> {
    let variable = |name| std::env::var(name).unwrap_or_default();
    // Some ancestor's, otherwise, who did not clear its environment.
    if variable("LISTEN_PID") != std::process::id().to_string() {
        return Ok(Vec::new());
    }
    let count = count(&variable("LISTEN_FDS"))?;
    let names = variable("LISTEN_FDNAMES");
    let mut names = names.split(':');
    let passed = (FIRST..FIRST + count).map(|fd| {
        let name = names.next().unwrap_or_default();
        take_one(fd, name)
    });
    passed.collect()
}

fn count(text: &str) -> Result<RawFd, ActivationError> {
    const MOST: RawFd = 4096;
    let count = text.parse().ok();
    count
        .filter(|count| (0..=MOST).contains(count))
        .ok_or_else(|| ActivationError::Count {
            found: text.to_owned(),
        })
}

fn take_one(fd: RawFd, name: &str) -> Result<Passed, ActivationError> {
    let name = match name {
        "" | "unknown" => format!("descriptor {fd}"),
        name => name.to_owned(),
    };
    let wrong = |reason: String| ActivationError::Unusable {
        name: name.clone(),
        reason,
    };
    let place = {
        let borrowed = sys::borrow(fd).map_err(|error| wrong(error.to_string()))?;
        examine(borrowed).map_err(wrong)?
    };
    let system = |error: io::Error| wrong(error.to_string());
    let socket = Socket::from(sys::adopt(fd).map_err(system)?);
    socket.set_nonblocking(true).map_err(system)?;
    Ok(Passed {
        place,
        socket,
        name,
    })
}

/// Where a socket listens that can serve HTTP, or why it cannot.
fn examine(fd: BorrowedFd<'_>) -> Result<Place, String> {
    let socket = SockRef::from(&fd);
    let system = |error: io::Error| error.to_string();
    let kind = socket.r#type().map_err(|_| "it is no socket".to_owned())?;
    let address = socket.local_addr().map_err(system)?;
    let path = address.as_pathname().map(Path::to_owned);
    let place = address.as_socket().map(Place::Address);
    let Some(place) = place.or(path.map(Place::Path)) else {
        return Err("`listen` is an address and a port, or the path of a unix socket".to_owned());
    };
    if kind != Type::STREAM {
        return Err(format!(
            "`{place}` is no stream socket: write `ListenStream=`"
        ));
    }
    if !socket.is_listener().map_err(system)? {
        return Err(format!("`{place}` does not listen: write `Accept=no`"));
    }
    if let Place::Address(address) = place
        && address.is_ipv6()
        && !socket.only_v6().map_err(system)?
    {
        return Err(format!(
            "`{address}` takes IPv4 connections as well, which `listen` keeps apart: write \
             `BindIPv6Only=ipv6-only`, and `ListenStream=0.0.0.0:{}` for the others",
            address.port()
        ));
    }
    Ok(place)
}

impl Passed {
    /// For a socket on which no site listens.
    pub(crate) fn unwanted(&self) -> ActivationError {
        ActivationError::Unwanted {
            name: self.name.clone(),
            place: self.place.clone(),
        }
    }
}

/// Why what the service manager hands over cannot be used.
#[derive(Debug)]
pub enum ActivationError {
    /// `LISTEN_FDS` is no number of descriptors.
    Count {
        /// What it is.
        found: String,
    },
    /// A descriptor cannot serve HTTP.
    Unusable {
        /// Its name, or number.
        name: String,
        /// Why.
        reason: String,
    },
    /// No site listens there.
    Unwanted {
        /// Its name, or number.
        name: String,
        /// Where it listens.
        place: Place,
    },
}

impl ActivationError {
    /// What to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            ActivationError::Unwanted { place, .. } => {
                let stream = place.to_string();
                let stream = stream.trim_start_matches("unix:");
                Some(format!(
                    "add `\"{place}\"` to the `listen` of a site, or take `ListenStream={stream}` out of the \
                     socket unit"
                ))
            }
            _ => None,
        }
    }
}

impl fmt::Display for ActivationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ActivationError::Count { found } => {
                write!(
                    f,
                    "`LISTEN_FDS` must be a number of descriptors, found `{found}`"
                )
            }
            ActivationError::Unusable { name, reason } => write!(
                f,
                "the service manager has passed a socket that cannot be used (`{name}`): {reason}"
            ),
            ActivationError::Unwanted { name, place } => write!(
                f,
                "the service manager has passed a socket on `{place}` (`{name}`), where no site listens"
            ),
        }
    }
}

impl std::error::Error for ActivationError {}
