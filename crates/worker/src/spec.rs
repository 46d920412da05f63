//! What the supervisor hands over: the spec, and the descriptors that it names.
#![allow(unsafe_code)] // descriptors arrive as numbers

use std::collections::HashMap;
use std::fs::File;
use std::io::Seek;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use appliance_front::ListenAt;
use appliance_project::Project;
use appliance_project::model::LogTarget;
use appliance_project::tickets::TicketSecret;
use appliance_project::wire::{ForkOrder, WorkerSpec};

use crate::alone::{Leftovers, Manager};

/// What this worker is to do.
pub(crate) struct Assignment {
    pub(crate) slot: usize,
    pub(crate) project: Project,
    pub(crate) tickets: TicketSecret,
    pub(crate) listeners: Vec<(SocketAddr, TcpListener)>,
    /// Those of other slots, with the slot.
    pub(crate) others: Vec<(usize, SocketAddr, TcpListener)>,
    pub(crate) unix: Vec<(PathBuf, UnixListener)>,
    /// The sockets that go with the server.
    pub(crate) own: Vec<ListenAt>,
    /// For lines of access logs.
    pub(crate) access_logs: Vec<(LogTarget, OwnedFd)>,
    /// For its lines of the log.
    pub(crate) log: Option<OwnedFd>,
    pub(crate) control: Option<UnixStream>,
    pub(crate) figures: Option<File>,
    pub(crate) counts: Option<OwnedFd>,
    pub(crate) manager: Option<Manager>,
    pub(crate) leftovers: Leftovers,
    /// It is to fork workers, not to serve.
    pub(crate) preloads: bool,
    /// What `ps` is to show.
    pub(crate) label: String,
}

impl Assignment {
    pub(crate) fn read(path: &str) -> std::io::Result<Self> {
        let spec: WorkerSpec = serde_json::from_slice(&std::fs::read(path)?)?;
        close_on_exec_all();
        Ok(Assignment::of(spec))
    }

    /// `spec`, whose descriptors are this process's.
    fn of(spec: WorkerSpec) -> Self {
        let own = own_sockets(&spec);
        Assignment {
            own,
            slot: spec.slot,
            project: spec.project,
            tickets: spec.tickets,
            listeners: spec
                .listeners
                .iter()
                .map(|listener| (listener.address, TcpListener::from(adopt(listener.fd))))
                .collect(),
            others: spec
                .others
                .iter()
                .map(|other| {
                    let listener = TcpListener::from(adopt(other.listener.fd));
                    (other.slot, other.listener.address, listener)
                })
                .collect(),
            unix: spec
                .unix
                .into_iter()
                .map(|unix| (unix.path, UnixListener::from(adopt(unix.fd))))
                .collect(),
            access_logs: spec
                .access_logs
                .into_iter()
                .map(|(target, fd)| (target, adopt(fd)))
                .collect(),
            log: spec.log.map(adopt),
            control: spec.control.map(|fd| UnixStream::from(adopt(fd))),
            figures: spec.figures.map(|fd| File::from(adopt(fd))),
            counts: spec.counts.map(adopt),
            manager: spec
                .manager
                .map(|manager| Manager::new(adopt(manager.fd), manager.watchdog_ms)),
            leftovers: Leftovers(spec.leftovers),
            preloads: spec.preload,
            label: spec.label,
        }
    }

    /// What came with `order`, in `received`.
    pub(crate) fn of_fork(order: &ForkOrder, received: Vec<OwnedFd>) -> std::io::Result<Self> {
        let missing = || std::io::Error::other("descriptors are missing");
        if received.len() != order.descriptors.len() {
            return Err(missing());
        }
        let mut received = received.into_iter();
        let spec = File::from(received.next().ok_or_else(missing)?);
        let mut spec: WorkerSpec = serde_json::from_reader(rewound(spec)?)?;
        let numbers = order.descriptors[1..].iter().copied();
        // The spec owns them from now on, as it does those that were inherited.
        let numbers: HashMap<RawFd, RawFd> =
            numbers.zip(received.map(IntoRawFd::into_raw_fd)).collect();
        spec.renumber(|fd| numbers.get(&fd).copied())
            .ok_or_else(missing)?;
        Ok(Assignment::of(spec))
    }
}

fn rewound(mut file: File) -> std::io::Result<std::io::BufReader<File>> {
    file.rewind()?;
    Ok(std::io::BufReader::new(file))
}

/// All but those of a service manager, in which connections wait for the next server.
fn own_sockets(spec: &WorkerSpec) -> Vec<ListenAt> {
    let listeners = spec.listeners.iter().filter(|listener| !listener.outlives);
    let addresses = listeners.map(|listener| ListenAt::Address(listener.address));
    let unix = spec.unix.iter().filter(|unix| !unix.outlives);
    let unix = unix.map(|unix| ListenAt::Unix(unix.path.clone()));
    addresses.chain(unix).collect()
}

/// What the supervisor handed over (sockets, the library, the spec) is for this process, not
/// for what the application starts. A descriptor inherited from whoever started the supervisor
/// stays, as a shell's `3>file` should.
fn close_on_exec_all() {
    let Ok(descriptors) = std::fs::read_dir("/proc/self/fd") else {
        return;
    };
    for entry in descriptors.flatten() {
        let ours = std::fs::read_link(entry.path()).is_ok_and(|target| {
            let target = target.to_string_lossy();
            target.starts_with("socket:") || target.starts_with("/memfd:appliance_worker")
        });
        let fd = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        if let (true, Some(fd @ 3..)) = (ours, fd) {
            // SAFETY: fcntl(2) with F_SETFD touches no memory.
            unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
}

/// Takes over an inherited descriptor.
fn adopt(fd: RawFd) -> OwnedFd {
    // SAFETY: the supervisor opened this descriptor for this process and named it once in the
    // spec, which is read once.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
