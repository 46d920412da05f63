//! `uwsgi://` addresses, checked.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where gateways speak the uwsgi protocol.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uwsgi {
    /// Addresses: on this machine alone, or with `server.trusted_proxies`.
    pub addresses: Vec<SocketAddr>,
    /// Unix sockets.
    pub unix: Vec<PathBuf>,
}
