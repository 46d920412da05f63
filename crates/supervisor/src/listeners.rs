//! Listening sockets: one for each worker slot and address, held open by the supervisor.
//!
//! With SO_REUSEPORT the kernel spreads connections over the sockets of an address, so workers
//! never compete for one queue. And since a slot's socket outlives the slot's worker, connections
//! that arrive while a worker is being replaced wait for its successor.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use appliance_project::wire;
use socket2::{Domain, Protocol, Socket, Type};

use crate::port_owner::{self, Owner};

/// Connections the kernel completes ahead of accept(2); `net.core.somaxconn` caps it.
const BACKLOG: i32 = 4096;

/// The sockets of all slots.
#[derive(Debug)]
pub(crate) struct Listeners {
    /// By slot, then by address.
    slots: Vec<Vec<Listener>>,
}

#[derive(Debug)]
struct Listener {
    /// As in project.toml.
    address: SocketAddr,
    socket: Socket,
}

impl Listeners {
    /// Binds every address for each of `slots` slots.
    pub(crate) fn bind(addresses: &[SocketAddr], slots: usize) -> Result<Listeners, BindError> {
        Listeners::refuse_taken(addresses)?;
        let mut distinct = addresses.to_vec();
        distinct.sort();
        distinct.dedup();
        let mut listeners = Listeners {
            slots: (0..slots).map(|_| Vec::new()).collect(),
        };
        for address in distinct {
            listeners
                .bind_slots(address)
                .map_err(|error| BindError::new(address, error))?;
        }
        Ok(listeners)
    }

    /// Fails if an address cannot be had.
    ///
    /// SO_REUSEPORT would let us join any other server of the same user on the same port, and
    /// take half of its connections: without it, the kernel tells.
    pub(crate) fn refuse_taken(addresses: &[SocketAddr]) -> Result<(), BindError> {
        for address in addresses {
            unbound(*address)
                .and_then(|socket| socket.bind(&(*address).into()))
                .map_err(|error| BindError::new(*address, error))?;
        }
        Ok(())
    }

    /// With port 0 the first slot's socket picks the port, and the others join it there.
    fn bind_slots(&mut self, address: SocketAddr) -> io::Result<()> {
        let mut bound = address;
        for slot in &mut self.slots {
            let socket = listening(bound)?;
            bound.set_port(port(&socket)?);
            slot.push(Listener { address, socket });
        }
        Ok(())
    }

    /// What the worker in `slot` (from 0) is told of its sockets.
    pub(crate) fn of_slot(&self, slot: usize) -> Vec<wire::Listener> {
        self.slots[slot]
            .iter()
            .map(|listener| wire::Listener {
                address: listener.address,
                fd: listener.socket.as_raw_fd(),
            })
            .collect()
    }

    /// Where clients connect to, with the ports that were picked.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let first = self.slots.first().map(Vec::as_slice).unwrap_or_default();
        first
            .iter()
            .map(|listener| {
                let mut address = listener.address;
                address.set_port(port(&listener.socket).unwrap_or(address.port()));
                address
            })
            .collect()
    }
}

fn listening(address: SocketAddr) -> io::Result<Socket> {
    let socket = unbound(address)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// Non-blocking, close-on-exec.
fn unbound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    // Connections of the last run may linger in TIME_WAIT.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `[::]:80` beside `0.0.0.0:80` is two addresses, as they are written.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn port(socket: &Socket) -> io::Result<u16> {
    let address = socket.local_addr()?;
    Ok(address.as_socket().map_or(0, |address| address.port()))
}

/// Why an address cannot be listened on.
#[derive(Debug)]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
    owner: Option<Owner>,
}

impl BindError {
    fn new(address: SocketAddr, source: io::Error) -> BindError {
        let taken = source.kind() == io::ErrorKind::AddrInUse;
        let owner = if taken {
            port_owner::find(address)
        } else {
            None
        };
        BindError {
            address,
            source,
            owner,
        }
    }

    /// Which, as in project.toml.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to do.
    pub fn hint(&self) -> Option<String> {
        let port = self.address.port();
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

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address;
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
    use std::net::TcpListener;

    use super::*;

    fn local(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn every_slot_joins_the_port_the_first_one_picked() {
        let listeners = Listeners::bind(&[local(0), local(0)], 3).unwrap();
        let addresses = listeners.addresses();
        assert_eq!(addresses.len(), 1);
        assert_ne!(addresses[0].port(), 0);
        for slot in 0..3 {
            let sockets = listeners.of_slot(slot);
            assert_eq!(sockets.len(), 1);
            assert_eq!(sockets[0].address, local(0));
            let bound = listeners.slots[slot][0].socket.local_addr().unwrap();
            assert_eq!(bound.as_socket(), Some(addresses[0]));
        }
    }

    #[test]
    fn a_taken_port_names_the_process_that_has_it() {
        let other = TcpListener::bind(local(0)).unwrap();
        let address = other.local_addr().unwrap();
        let error = Listeners::bind(&[address], 1).unwrap_err();
        let pid = std::process::id();
        let name = std::fs::read_to_string("/proc/self/comm").unwrap();
        assert_eq!(
            error.to_string(),
            format!(
                "cannot listen on `{address}`: process {pid} (`{}`) has it",
                name.trim()
            )
        );
        assert_eq!(
            error.hint().unwrap(),
            format!("stop it (`kill {pid}`) or choose another port")
        );
    }

    /// The kernel alone would let us share it.
    #[test]
    fn a_port_shared_by_reuseport_counts_as_taken() {
        let other = listening(local(0)).unwrap();
        let address = local(port(&other).unwrap());
        let error = Listeners::bind(&[address], 1).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn every_address_and_one_of_them_can_be_listened_on_together() {
        let port = TcpListener::bind(local(0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let all = SocketAddr::from(([0, 0, 0, 0], port));
        assert_eq!(
            Listeners::bind(&[all, local(port)], 2)
                .unwrap()
                .addresses()
                .len(),
            2
        );
    }

    #[test]
    fn an_address_of_another_machine_is_refused() {
        // TEST-NET-1, RFC 5737: assigned to nobody.
        let address = SocketAddr::from(([192, 0, 2, 1], 8080));
        let error = Listeners::bind(&[address], 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot listen on `192.0.2.1:8080`: this machine does not have the address"
        );
    }

    #[test]
    fn a_privileged_port_says_what_it_needs() {
        let source = io::Error::from_raw_os_error(libc::EACCES);
        let error = BindError::new(local(80), source);
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
