//! Listening sockets: for each address as many as there are workers, held open by the supervisor.
//!
//! With SO_REUSEPORT the kernel spreads connections over the sockets of an address, so workers
//! never compete for one queue. And since a worker's sockets outlive it, connections that arrive
//! while it is being replaced wait for its successor.
//!
//! The sockets of an address are *lanes*. A reload to fewer workers keeps all of them and gives
//! each worker several: closing one would reset the connections that wait in it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;

use appliance_project::{Project, wire};
use socket2::{Domain, Protocol, Socket, Type};

use crate::activation::{ActivationError, Passed};
use crate::handover::{HandedLanes, HandedUnix};
use crate::unix_sockets::UnixSockets;
use crate::{sys, unix_sockets};

pub use bind_error::{BindError, Place};

mod bind_error;

/// Connections the kernel completes ahead of accept(2); `net.core.somaxconn` caps it.
pub(crate) const BACKLOG: i32 = 4096;

/// Where nobody listens any more.
#[derive(Debug, Clone, Default)]
pub(crate) struct Closed {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) unix: Vec<PathBuf>,
}

/// The sockets of all workers of a generation.
#[derive(Debug, Clone)]
pub(crate) struct Listeners {
    addresses: Vec<Lanes>,
    /// A service manager's, on which no site listens for now.
    unused: Vec<Lanes>,
    /// Workers to spread them over.
    slots: usize,
    unix: UnixSockets,
}

#[derive(Debug, Clone)]
struct Lanes {
    /// As in project.toml.
    address: SocketAddr,
    sockets: Vec<Arc<Socket>>,
    /// A service manager's: one, from which all workers accept.
    shared: bool,
}

impl Listeners {
    /// Listens on every address for each of `slots` workers.
    pub(crate) fn bind(
        &self,
        addresses: &[SocketAddr],
        slots: usize,
    ) -> Result<Listeners, BindError> {
        let listeners = self.successors(addresses, slots)?;
        listeners.open()?;
        Ok(listeners)
    }

    /// What a service manager has passed; each must be one of `addresses`, or a path of the project.
    pub(crate) fn passed(
        passed: Vec<Passed>,
        project: &Project,
        addresses: &[SocketAddr],
    ) -> Result<Listeners, ActivationError> {
        let mut listeners = Listeners::none();
        for one in passed {
            match &one.place {
                Place::Address(address) if addresses.contains(address) => {
                    listeners.unused.push(Lanes {
                        address: *address,
                        sockets: vec![Arc::new(one.socket)],
                        shared: true,
                    });
                }
                Place::Path(path) => match unix_sockets::written(path, project) {
                    Some(path) => listeners.unix.add_passed(path, one.socket),
                    None => return Err(one.unwanted()),
                },
                Place::Address(_) => return Err(one.unwanted()),
            }
        }
        Ok(listeners)
    }

    /// The sockets of the next generation: those of unchanged addresses, and new ones, which do
    /// not listen before [`Listeners::open`]. Until then the kernel gives them no connection.
    pub(crate) fn successors(
        &self,
        addresses: &[SocketAddr],
        slots: usize,
    ) -> Result<Listeners, BindError> {
        let mut distinct = addresses.to_vec();
        distinct.sort();
        distinct.dedup();
        self.refuse_taken(&distinct)?;
        let lanes = |address: &SocketAddr| {
            self.lanes(*address, slots)
                .map_err(|error| BindError::new(*address, error))
        };
        let shared = self.all().filter(|lanes| lanes.shared);
        let unused = shared.filter(|lanes| !distinct.contains(&lanes.address));
        Ok(Listeners {
            addresses: distinct.iter().map(lanes).collect::<Result<_, _>>()?,
            unused: unused.cloned().collect(),
            slots,
            unix: self.unix.clone(),
        })
    }

    fn all(&self) -> impl Iterator<Item = &Lanes> {
        self.addresses.iter().chain(&self.unused)
    }

    /// For workers that are never to serve.
    pub(crate) fn none() -> Listeners {
        Listeners {
            addresses: Vec::new(),
            unused: Vec::new(),
            slots: 0,
            unix: UnixSockets::default(),
        }
    }

    /// The workers they are spread over.
    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    /// For the next program of this process.
    pub(crate) fn hand_over(&self) -> Vec<HandedLanes> {
        let used = self.addresses.len();
        let handed = |(number, lanes): (usize, &Lanes)| HandedLanes {
            address: lanes.address,
            shared: lanes.shared,
            unused: number >= used,
            sockets: lanes
                .sockets
                .iter()
                .map(|socket| socket.as_raw_fd())
                .collect(),
        };
        self.all().enumerate().map(handed).collect()
    }

    /// From the last program of this process.
    pub(crate) fn adopt(
        (handed, unix): (&[HandedLanes], &[HandedUnix]),
        slots: usize,
    ) -> io::Result<Listeners> {
        let adopted = |lanes: &HandedLanes| -> io::Result<Lanes> {
            let sockets = lanes.sockets.iter();
            let adopted = sockets.map(|fd| Ok(Arc::new(Socket::from(sys::adopt(*fd)?))));
            Ok(Lanes {
                address: lanes.address,
                sockets: adopted.collect::<io::Result<_>>()?,
                shared: lanes.shared,
            })
        };
        let (unused, used): (Vec<_>, Vec<_>) = handed.iter().partition(|lanes| lanes.unused);
        Ok(Listeners {
            addresses: used.into_iter().map(adopted).collect::<io::Result<_>>()?,
            unused: unused.into_iter().map(adopted).collect::<io::Result<_>>()?,
            slots,
            unix: UnixSockets::adopt(unix)?,
        })
    }

    /// The same with the unix sockets of `project`, those of them kept that there are.
    pub(crate) fn with_unix(mut self, project: &Project) -> Result<Listeners, BindError> {
        self.unix = self.unix.successors(project)?;
        Ok(self)
    }

    pub(crate) fn unix(&self) -> &UnixSockets {
        &self.unix
    }

    /// What is closed for good when only `next` goes on. A service manager's sockets never are.
    pub(crate) fn closed_by(&self, next: Option<&Listeners>) -> Closed {
        let goes_on = |lanes: &Lanes| {
            let mut next = next.iter().flat_map(|next| next.all());
            lanes.shared || next.any(|other| other.address == lanes.address)
        };
        let addresses = self.addresses.iter().filter(|lanes| !goes_on(lanes));
        Closed {
            addresses: addresses.map(|lanes| lanes.address).collect(),
            unix: self.unix.closed_by(next.map(|next| &next.unix)),
        }
    }

    /// Lets connections come to every socket.
    pub(crate) fn open(&self) -> Result<(), BindError> {
        self.unix.open()?;
        for lanes in &self.addresses {
            for socket in &lanes.sockets {
                // On one that listens already this changes nothing.
                socket
                    .listen(BACKLOG)
                    .map_err(|error| BindError::new(lanes.address, error))?;
            }
        }
        Ok(())
    }

    /// SO_REUSEPORT would let us join any other server of the same user on the same port, and
    /// take half of its connections: without it, the kernel tells. What clashes with a socket of
    /// our own is left to `bind`: `0.0.0.0:80` may follow `127.0.0.1:80`.
    pub(crate) fn refuse_taken(&self, addresses: &[SocketAddr]) -> Result<(), BindError> {
        for address in addresses {
            if self.clashes(*address) {
                continue;
            }
            unbound(*address)
                .and_then(|socket| socket.bind(&(*address).into()))
                .map_err(|error| BindError::new(*address, error))?;
        }
        Ok(())
    }

    fn clashes(&self, address: SocketAddr) -> bool {
        self.all().any(|lanes| {
            let ours = lanes.address;
            let any = ours.ip().is_unspecified() || address.ip().is_unspecified();
            ours == address || ours.port() == address.port() && ours.port() != 0 && any
        })
    }

    /// With port 0 the first socket picks the port, and the others join it there.
    fn lanes(&self, address: SocketAddr, slots: usize) -> io::Result<Lanes> {
        let before = self.all().find(|lanes| lanes.address == address);
        if let Some(shared) = before.filter(|lanes| lanes.shared) {
            return Ok(shared.clone());
        }
        let mut sockets = before.map_or_else(Vec::new, |lanes| lanes.sockets.clone());
        let mut bound = address;
        if let Some(first) = sockets.first() {
            bound.set_port(port(first)?);
        }
        while sockets.len() < slots {
            let socket = joining(bound)?;
            bound.set_port(port(&socket)?);
            sockets.push(Arc::new(socket));
        }
        Ok(Lanes {
            address,
            sockets,
            shared: false,
        })
    }

    /// The sockets of all slots but this one. None where there are very many of them: each worker
    /// would have them all.
    pub(crate) fn of_others(&self, slot: Option<usize>) -> Vec<wire::OtherListener> {
        const MOST: usize = 256;
        let all: usize = self.addresses.iter().map(|lanes| lanes.sockets.len()).sum();
        if all > MOST {
            return Vec::new();
        }
        let others = (0..self.slots).filter(|other| Some(*other) != slot);
        // What is shared is every slot's own. The stand-in, which has none, takes it for the first's.
        let alone = |other: usize| {
            let is_first_of_stand_in = slot.is_none() && other == 0;
            move |lanes: &&Lanes| !lanes.shared || is_first_of_stand_in
        };
        let told = others.flat_map(|other| {
            let lanes = self.addresses.iter().filter(alone(other));
            let listeners = lanes.flat_map(move |lanes| self.lane(lanes, other));
            listeners.map(move |listener| wire::OtherListener {
                slot: other + 1,
                listener,
            })
        });
        told.collect()
    }

    /// What the worker in `slot` (from 0) is told of its sockets.
    pub(crate) fn of_slot(&self, slot: usize) -> Vec<wire::Listener> {
        let lanes = self.addresses.iter();
        lanes.flat_map(|lanes| self.lane(lanes, slot)).collect()
    }

    fn lane(&self, lanes: &Lanes, slot: usize) -> Vec<wire::Listener> {
        let first = if lanes.shared { 0 } else { slot };
        let sockets = lanes.sockets.iter().skip(first).step_by(self.slots.max(1));
        let told = sockets.map(|socket| wire::Listener {
            address: lanes.address,
            fd: socket.as_raw_fd(),
            outlives: lanes.shared,
        });
        told.collect()
    }

    /// Where clients connect to, with the ports that were picked.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses_where(|_| true)
    }

    /// The same, of some of the addresses in project.toml.
    pub(crate) fn addresses_where(&self, wanted: impl Fn(SocketAddr) -> bool) -> Vec<SocketAddr> {
        let picked = |lanes: &Lanes| {
            let mut address = lanes.address;
            if let Some(Ok(port)) = lanes.sockets.first().map(|socket| port(socket)) {
                address.set_port(port);
            }
            address
        };
        let lanes = self.addresses.iter().filter(|lanes| wanted(lanes.address));
        lanes.map(picked).collect()
    }
}

/// A socket on an address that others of ours may have, too.
fn joining(address: SocketAddr) -> io::Result<Socket> {
    let socket = unbound(address)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
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

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn local(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn every_slot_joins_the_port_the_first_one_picked() {
        let listeners = Listeners::none().bind(&[local(0), local(0)], 3).unwrap();
        let addresses = listeners.addresses();
        assert_eq!(addresses.len(), 1);
        assert_ne!(addresses[0].port(), 0);
        for slot in 0..3 {
            let sockets = listeners.of_slot(slot);
            assert_eq!(sockets.len(), 1);
            assert_eq!(sockets[0].address, local(0));
            let bound = listeners.addresses[0].sockets[slot].local_addr().unwrap();
            assert_eq!(bound.as_socket(), Some(addresses[0]));
        }
    }

    #[test]
    fn a_taken_port_names_the_process_that_has_it() {
        let other = TcpListener::bind(local(0)).unwrap();
        let address = other.local_addr().unwrap();
        let error = Listeners::none().bind(&[address], 1).unwrap_err();
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
        let other = joining(local(0)).unwrap();
        other.listen(BACKLOG).unwrap();
        let address = local(port(&other).unwrap());
        let error = Listeners::none().bind(&[address], 1).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn a_reload_keeps_sockets_and_their_connections() {
        let first = Listeners::none().bind(&[local(0)], 3).unwrap();
        let fds = |listeners: &Listeners, slot| -> Vec<_> {
            let sockets = listeners.of_slot(slot);
            sockets.iter().map(|listener| listener.fd).collect()
        };
        let one = |slot| fds(&first, slot)[0];
        let fewer = first.successors(&[local(0)], 2).unwrap();
        assert_eq!(fds(&fewer, 0), [one(0), one(2)]);
        assert_eq!(fds(&fewer, 1), [one(1)]);
        let more = fewer.successors(&[local(0)], 4).unwrap();
        assert_eq!(more.addresses(), first.addresses());
        assert_eq!(
            [0, 1, 2].map(|slot| fds(&more, slot)[0]),
            [0, 1, 2].map(one)
        );
        assert_eq!(fds(&more, 3).len(), 1);
    }

    #[test]
    fn a_new_socket_gets_no_connection_before_it_is_opened() {
        let first = Listeners::none().bind(&[local(0)], 1).unwrap();
        let address = first.addresses()[0];
        let next = first.successors(&[local(0)], 8).unwrap();
        let clients: Vec<_> = (0..64)
            .map(|_| std::net::TcpStream::connect(address).unwrap())
            .collect();
        let waiting = || {
            let socket = &next.addresses[0].sockets[0];
            std::iter::from_fn(|| socket.accept().ok()).count()
        };
        assert_eq!(waiting(), clients.len());
        next.open().unwrap();
        let _more: Vec<_> = (0..64)
            .map(|_| std::net::TcpStream::connect(address).unwrap())
            .collect();
        assert!(waiting() < 64);
    }

    /// Every address needs a port that is free on all of them, and on this machine others take
    /// ports meanwhile.
    fn on_a_free_port<T>(attempt: impl Fn(u16) -> Result<T, BindError>) -> T {
        const ATTEMPTS: usize = 50;
        let free = || {
            TcpListener::bind("0.0.0.0:0")
                .unwrap()
                .local_addr()
                .unwrap()
        };
        let mut attempts = (0..ATTEMPTS).map(|_| attempt(free().port()));
        attempts.find_map(Result::ok).unwrap()
    }

    #[test]
    fn every_address_may_follow_one_of_them() {
        on_a_free_port(|port| {
            let first = Listeners::none().bind(&[local(port)], 1)?;
            let all = SocketAddr::from(([0, 0, 0, 0], port));
            first.successors(&[all], 1)?.open()?;
            assert!(Listeners::none().refuse_taken(&[all]).is_err());
            Ok(())
        });
    }

    #[test]
    fn every_address_and_one_of_them_can_be_listened_on_together() {
        let listeners = on_a_free_port(|port| {
            let all = SocketAddr::from(([0, 0, 0, 0], port));
            Listeners::none().bind(&[all, local(port)], 2)
        });
        assert_eq!(listeners.addresses().len(), 2);
    }

    #[test]
    fn an_address_of_another_machine_is_refused() {
        // TEST-NET-1, RFC 5737: assigned to nobody.
        let address = SocketAddr::from(([192, 0, 2, 1], 8080));
        let error = Listeners::none().bind(&[address], 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot listen on `192.0.2.1:8080`: this machine does not have the address"
        );
    }
}
