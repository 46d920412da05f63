//! What the supervisor hands over: the spec, and the descriptors that it names.
#![allow(unsafe_code)] // descriptors arrive as numbers

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use appliance_project::Project;
use appliance_project::wire::WorkerSpec;

/// What this worker is to do.
pub(crate) struct Assignment {
    pub(crate) slot: usize,
    pub(crate) project: Project,
    pub(crate) listeners: Vec<(SocketAddr, TcpListener)>,
    pub(crate) control: Option<UnixStream>,
}

impl Assignment {
    pub(crate) fn read(path: &str) -> std::io::Result<Self> {
        let spec: WorkerSpec = serde_json::from_slice(&std::fs::read(path)?)?;
        Ok(Assignment {
            slot: spec.slot,
            project: spec.project,
            listeners: spec
                .listeners
                .iter()
                .map(|listener| (listener.address, TcpListener::from(adopt(listener.fd))))
                .collect(),
            control: spec.control.map(|fd| UnixStream::from(adopt(fd))),
        })
    }
}

/// Takes over an inherited descriptor. What the application starts must not inherit it.
fn adopt(fd: RawFd) -> OwnedFd {
    // SAFETY: fcntl(2) with F_SETFD touches no memory.
    unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    // SAFETY: the supervisor opened this descriptor for this process and named it once in the
    // spec, which is read once.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
