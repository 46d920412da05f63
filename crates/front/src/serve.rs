//! The front of a worker: its listeners, and its end.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use appliance_gateway::{Gateway, RequestId};
use appliance_message::Limits;
use appliance_project::Project;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::accept::Acceptors;
use crate::connections::{Connections, Order, ticks};
use crate::files::Cache;
use crate::proxies::Proxies;
use crate::request_id::RequestIds;
use crate::respond::{Overload, Stranger};
use crate::shortage::Shortage;
use crate::site::{ListenAt, Sites};
use crate::tls::{Tickets, TlsError};
use crate::unix_listener::Listener;
use crate::uwsgi::Complaints;

/// Bytes of files that a worker keeps in memory.
const FILE_CACHE_BYTES: usize = 64 << 20;

/// What requests of all connections share.
pub struct Front<G> {
    pub(crate) gateway: G,
    pub(crate) connections: Arc<Connections>,
    give_memory_back: fn(),
    pub(crate) head_limits: Limits,
    pub(crate) head_ticks: u32,
    pub(crate) keep_alive_ticks: u32,
    pub(crate) requests_per_connection: u64,
    pub(crate) http2_streams: u32,
    pub(crate) proxies: Proxies,
    pub(crate) body_buffer_bytes: u64,
    pub(crate) spool: PathBuf,
    pub(crate) overload: Overload,
    pub(crate) stranger: Stranger,
    pub(crate) complaints: Complaints,
    pub(crate) shortage: Shortage,
    pub(crate) listeners: HashMap<ListenAt, Arc<Sites>>,
    ids: RequestIds,
}

impl<G: Gateway> Front<G> {
    /// A front for the sites of `project`. `give_memory_back` returns freed memory to the system.
    ///
    /// # Errors
    /// When a site's certificate or key cannot be used.
    pub fn new(
        project: &Project,
        gateway: G,
        tickets: &Arc<Tickets>,
        give_memory_back: fn(),
    ) -> Result<Arc<Self>, TlsError> {
        let cache = Arc::new(Cache::new(FILE_CACHE_BYTES));
        let server = &project.server;
        Ok(Arc::new(Front {
            gateway,
            connections: Arc::new(Connections::new(
                server.connections,
                server.connections_per_address,
            )),
            head_limits: Limits {
                bytes: server.head_limit_bytes,
                fields: server.head_fields,
            },
            head_ticks: ticks(server.head_timeout),
            keep_alive_ticks: ticks(server.keep_alive_timeout),
            requests_per_connection: server.requests_per_connection.unwrap_or(u64::MAX),
            http2_streams: server.http2_streams,
            proxies: Proxies::new(server),
            give_memory_back,
            body_buffer_bytes: project.python.body_buffer_bytes,
            spool: project.python.spool.clone(),
            overload: Overload::new(),
            stranger: Stranger::default(),
            complaints: Complaints::default(),
            shortage: Shortage::default(),
            listeners: Sites::by_listener(&project.sites, &cache, tickets)?,
            ids: RequestIds::new(),
        }))
    }
}

impl<G> Front<G> {
    /// Who answers the application's requests.
    pub fn gateway(&self) -> &G {
        &self.gateway
    }

    pub(crate) fn next_id(&self) -> RequestId {
        self.ids.next()
    }
}

/// What a worker accepts from, each socket with what project.toml calls it.
#[derive(Debug)]
pub struct Listeners {
    /// Addresses.
    pub addresses: Vec<(SocketAddr, std::net::TcpListener)>,
    /// Unix sockets.
    pub unix: Vec<(PathBuf, std::os::unix::net::UnixListener)>,
}

impl From<Vec<(SocketAddr, std::net::TcpListener)>> for Listeners {
    fn from(addresses: Vec<(SocketAddr, std::net::TcpListener)>) -> Self {
        let unix = Vec::new();
        Listeners { addresses, unix }
    }
}

/// How a front leaves.
#[derive(Debug, Clone, Default)]
pub struct Leave {
    /// How long idle connections may wait for their last request.
    pub idle: Duration,
    /// The sockets that nobody accepts from afterwards. What waits in them is answered, and they
    /// are shut down, for all who have them.
    pub closes: Vec<ListenAt>,
}

/// Serves on `listeners` (each with the address by which project.toml names it) until `stop`
/// resolves, then accepts no more and lets running requests finish, for at most `grace`. Returns
/// how many connections had to be left.
///
/// To be run on a tokio runtime of one thread, with I/O and time enabled.
///
/// # Errors
/// When a listener cannot be registered with the runtime, or has no site.
pub async fn serve<G: Gateway>(
    front: Arc<Front<G>>,
    listeners: impl Into<Listeners>,
    stop: impl Future<Output = Leave>,
    grace: Duration,
) -> io::Result<usize> {
    let mut acceptors = Acceptors::default();
    let listeners = listeners.into();
    for (path, listener) in listeners.unix {
        let sites = front.listeners.get(&ListenAt::Unix(path.clone()));
        let no_site = || io::Error::other(format!("no site listens on {}", path.display()));
        let sites = Arc::clone(sites.ok_or_else(no_site)?);
        listener.set_nonblocking(true)?;
        let listener = Listener::new(listener)?;
        acceptors.add_unix(&front, sites, path, listener);
    }
    for (address, listener) in listeners.addresses {
        let sites = front
            .listeners
            .get(&ListenAt::Address(address))
            .ok_or_else(|| io::Error::other(format!("no site listens on {address}")))?;
        // Accepted sockets inherit it: one system call less for each connection.
        socket2::SockRef::from(&listener).set_tcp_nodelay(true)?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        if address.port() == 0 {
            let port = listener.local_addr()?.port();
            let tls = sites.all().filter_map(|site| site.tls.as_ref());
            tls.for_each(|tls| tls.picked(address, port));
        }
        acceptors.add(&front, Arc::clone(sites), address, listener);
    }
    // Aborted when this function ends.
    let _checking = check_others(&front);
    let connections = Arc::clone(&front.connections);
    let give_memory_back = front.give_memory_back;
    let look_out = tokio::spawn(async move { connections.look_out(give_memory_back).await });
    let leave = stop.await;
    let began = Instant::now();
    // Time to leave before it is up.
    let idle = leave.idle.min(grace / 2);
    front.connections.drain(match idle.is_zero() {
        true => Order::Leave,
        false => Order::Drain,
    });
    acceptors.end(&leave.closes, grace).await;
    let left = drain(&front.connections, began, grace, idle).await;
    look_out.abort();
    Ok(left)
}

/// Has the other servers checked that are to be.
fn check_others<G>(front: &Front<G>) -> tokio::task::JoinSet<()> {
    let sites = front.listeners.values();
    let mut others: Vec<_> = sites.flat_map(|sites| sites.others()).collect();
    // A site may have several names and addresses.
    others.sort_by_key(|others| Arc::as_ptr(others));
    others.dedup_by_key(|others| Arc::as_ptr(others));
    let mut checking = tokio::task::JoinSet::new();
    for others in others
        .into_iter()
        .filter(|others| others.proxy.is_checked())
    {
        let others = Arc::clone(others);
        checking.spawn(async move { others.proxy.check().await });
    }
    checking
}

async fn drain(
    connections: &Connections,
    began: Instant,
    grace: Duration,
    idle: Duration,
) -> usize {
    let mut patient = !idle.is_zero();
    let is_end = idle.is_zero();
    let waits = || match is_end {
        true => connections.needed(),
        false => connections.open(),
    };
    while waits() > 0 && began.elapsed() < grace {
        if patient && began.elapsed() >= idle {
            patient = false;
            connections.drain(Order::Leave);
        }
        tokio::time::sleep(match patient {
            true => idle.min(Duration::from_millis(20)),
            false => Duration::from_millis(2),
        })
        .await;
    }
    match is_end {
        true => connections.unanswered().min(connections.needed()),
        false => connections.unanswered(),
    }
}
