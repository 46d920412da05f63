//! Connections are accepted, from each socket by a task of its own, and how that ends.
//!
//! A front with a successor just stops: what waits in its sockets is the successor's. Where nobody
//! comes after it, the kernel resets what waits when the last descriptor of a socket closes, though
//! the client was told that it is connected. So a socket that closes for good ends in three steps:
//!
//! 1. It takes no newcomers. A unix socket refuses them once it is shut down, and keeps what waits.
//!    One of TCP cannot do that: a filter drops each SYN, which the client sends again a second
//!    later, and then is refused, or finds the next server.
//! 2. What waits is accepted, what is half way through its handshake with it.
//! 3. It is shut down, so that nobody can connect, whichever processes still have it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use appliance_gateway::Gateway;
use socket2::{SockFilter, SockRef};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::connection;
use crate::respond::Origin;
use crate::serve::Front;
use crate::site::{ListenAt, Sites};
use crate::unix_listener::Listener;

mod half_open;

/// For the end of a handshake that has begun: a way to the other side of the world and back is
/// shorter.
const HANDSHAKE: Duration = Duration::from_millis(200);
/// Until it is looked whether there is one; each time twice as long. A segment that has passed the filter
/// is where the kernel shows it long before.
const FIRST_LOOK: Duration = Duration::from_millis(5);

/// Both ends of connections to a unix socket have no address: the one that nobody has stands for
/// them, and trust in `unix:` is trust in it ([`Network::UNIX`]).
///
/// [`Network::UNIX`]: appliance_project::Network
const UNIX_PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
pub(crate) const UNIX_LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 80);

/// How accepting from a socket ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Others go on.
    Leave,
    /// Nobody does.
    Close,
}

/// The tasks that accept connections; aborted when dropped.
#[derive(Debug, Default)]
pub(crate) struct Acceptors {
    tasks: JoinSet<()>,
    ends: Vec<(ListenAt, oneshot::Sender<End>)>,
}

impl Acceptors {
    pub(crate) fn add<G: Gateway>(
        &mut self,
        front: &Arc<Front<G>>,
        sites: Arc<Sites>,
        address: SocketAddr,
        listener: TcpListener,
    ) {
        let end = self.end_of(ListenAt::Address(address));
        let entrance = Entrance::new(front, sites, &listener);
        self.tasks.spawn(accept(entrance, listener, end));
    }

    pub(crate) fn add_unix<G: Gateway>(
        &mut self,
        front: &Arc<Front<G>>,
        sites: Arc<Sites>,
        path: PathBuf,
        listener: Listener,
    ) {
        let end = self.end_of(ListenAt::Unix(path));
        let entrance = Entrance::of_unix(front, sites);
        self.tasks.spawn(accept_unix(entrance, listener, end));
    }

    fn end_of(&mut self, at: ListenAt) -> oneshot::Receiver<End> {
        let (end, receiver) = oneshot::channel();
        self.ends.push((at, end));
        receiver
    }

    /// Accepts no more, within `grace`; those sockets that are among `closes` are closed for good.
    pub(crate) async fn end(mut self, closes: &[ListenAt], grace: Duration) {
        for (at, end) in self.ends.drain(..) {
            // A task whose socket another process has shut down is gone.
            let _ = end.send(match closes.contains(&at) {
                true => End::Close,
                false => End::Leave,
            });
        }
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, ended).await.is_err() {
            tracing::debug!("there was no room for all connections that waited");
        }
    }
}

/// Where connections come in.
struct Entrance<G> {
    front: Arc<Front<G>>,
    sites: Arc<Sites>,
    /// The local end of all connections, where a listener on one address knows it.
    local: Option<SocketAddr>,
    /// The other end, and whether it is trusted, of those that have no address.
    unix: Option<bool>,
}

impl<G: Gateway> Entrance<G> {
    fn new(front: &Arc<Front<G>>, sites: Arc<Sites>, listener: &TcpListener) -> Self {
        let bound = listener.local_addr().ok();
        Entrance {
            front: Arc::clone(front),
            sites,
            local: bound.filter(|address| !address.ip().is_unspecified()),
            unix: None,
        }
    }

    fn of_unix(front: &Arc<Front<G>>, sites: Arc<Sites>) -> Self {
        Entrance {
            front: Arc::clone(front),
            sites,
            local: Some(UNIX_LOCAL),
            unix: Some(front.proxies.trust(UNIX_PEER.ip())),
        }
    }

    /// Takes in what was accepted; false if the socket does not listen any more.
    async fn admit(&self, accepted: io::Result<(TcpStream, SocketAddr)>) -> bool {
        let front = &self.front;
        match accepted {
            Ok((tcp, peer)) => {
                front.shortage.succeeded();
                // Not before there is somebody who needs it.
                front.connections.room().await;
                self.receive(tcp, peer);
            }
            // The client has left the queue again.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return false,
            Err(error) => {
                front.shortage.failed(&error);
                front.connections.give_way().await;
            }
        }
        true
    }

    fn receive(&self, tcp: TcpStream, peer: SocketAddr) {
        let Some(local) = self.local.or_else(|| tcp.local_addr().ok()) else {
            return;
        };
        let front = &self.front;
        // Behind a trusted proxy or a gateway are many clients; and behind no address, who knows.
        let (is_trusted, counted) = match self.unix {
            Some(is_trusted) => (is_trusted, None),
            None => {
                let is_trusted = front.proxies.trust(peer.ip());
                let is_many = is_trusted || self.sites.is_uwsgi;
                (is_trusted, (!is_many).then_some(peer.ip()))
            }
        };
        // One that is too many is closed by being dropped.
        if let Ok(member) = front.connections.join(counted, front.head_ticks) {
            let origin = Origin {
                peer,
                local,
                is_trusted,
                is_tls: false,
            };
            let (front, sites) = (Arc::clone(front), Arc::clone(&self.sites));
            tokio::spawn(connection::serve(front, sites, tcp, origin, member));
        }
    }
}

async fn accept<G: Gateway>(
    entrance: Entrance<G>,
    listener: TcpListener,
    mut end: oneshot::Receiver<End>,
) {
    let end = loop {
        // The end comes first: in a flood of connections it would never be heard.
        tokio::select! {
            biased;
            end = &mut end => break end,
            accepted = listener.accept() => if !entrance.admit(accepted).await {
                return;
            }
        }
    };
    if end != Ok(End::Close) {
        return;
    }
    let socket = SockRef::from(&listener);
    if let Err(error) = socket.attach_filter(&DROP_NEWCOMERS) {
        tracing::debug!(%error, "connections that come now may be reset");
    }
    let until = Instant::now() + HANDSHAKE;
    let mut pause = FIRST_LOOK;
    loop {
        let look = until.min(Instant::now() + pause);
        while let Ok(accepted) = tokio::time::timeout_at(look, listener.accept()).await {
            if !entrance.admit(accepted).await {
                return;
            }
        }
        // Where the kernel does not tell, there may be one.
        let is_over = || -> io::Result<bool> { Ok(!half_open::any_at(listener.local_addr()?)?) };
        if look == until || is_over().unwrap_or(false) {
            break;
        }
        pause *= 2;
    }
    // What the runtime may not have heard of.
    let Ok(listener) = listener.into_std() else {
        return;
    };
    while let Some(accepted) = waiting(|| listener.accept()) {
        let accepted = accepted.and_then(|(tcp, peer)| Ok((in_runtime(tcp)?, peer)));
        if !entrance.admit(accepted).await {
            return;
        }
    }
    shut_down(SockRef::from(&listener));
}

async fn accept_unix<G: Gateway>(
    entrance: Entrance<G>,
    listener: Listener,
    mut end: oneshot::Receiver<End>,
) {
    let end = loop {
        tokio::select! {
            biased;
            end = &mut end => break end,
            accepted = listener.accept() => {
                let Some(accepted) = accepted else { return };
                if !entrance.admit(accepted.and_then(as_tcp)).await {
                    return;
                }
            }
        }
    };
    if end != Ok(End::Close) {
        return;
    }
    let listener = listener.into_std();
    shut_down(SockRef::from(&listener));
    while let Some(accepted) = waiting(|| listener.accept()) {
        if !entrance.admit(accepted.and_then(as_tcp)).await {
            return;
        }
    }
}

/// One more that waits in a socket; none if there is none.
fn waiting<T>(accept: impl FnOnce() -> io::Result<T>) -> Option<io::Result<T>> {
    match accept() {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        accepted => Some(accepted),
    }
}

fn shut_down(socket: SockRef<'_>) {
    // Another process may have been faster.
    if let Err(error) = socket.shutdown(Shutdown::Read) {
        tracing::debug!(%error, "a socket is shut down already");
    }
}

fn in_runtime(tcp: std::net::TcpStream) -> io::Result<TcpStream> {
    tcp.set_nonblocking(true)?;
    TcpStream::from_std(tcp)
}

/// A connection is read, written, polled and shut down by the same system calls whatever its family
/// is, and nothing else is asked of it: one type for both keeps the request path free of a branch.
fn as_tcp<A>((stream, _): (UnixStream, A)) -> io::Result<(TcpStream, SocketAddr)> {
    let tcp = in_runtime(std::net::TcpStream::from(OwnedFd::from(stream)))?;
    Ok((tcp, UNIX_PEER))
}

/// Of what reaches a listening socket, drops segments with SYN and without ACK. (The kernel shows a
/// filter the segment from its TCP header on: RFC 9293 §3.1 has the flags in byte 13.) Connections
/// that are accepted inherit it, and get no such segments.
const DROP_NEWCOMERS: [SockFilter; 5] = {
    const LOAD_BYTE: u16 = 0x30;
    const AND: u16 = 0x54;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    [
        SockFilter::new(LOAD_BYTE, 0, 0, FLAGS),
        SockFilter::new(AND, 0, 0, SYN | ACK),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ]
};
