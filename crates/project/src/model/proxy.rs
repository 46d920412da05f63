//! `proxy` of a route: other servers that answer.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Other servers that answer a route, and how one is chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proxy {
    /// `proxy`: at least one.
    pub targets: Vec<ProxyTarget>,
    /// `balance`. Default [`Balance::RoundRobin`].
    pub balance: Balance,
    /// `host`: whether targets see the client's Host field (default) or their own name.
    pub keeps_host: bool,
    /// `connect_timeout`: until a target takes a connection. Default 5 s; 10 ms to 10 min. After
    /// it another is tried.
    pub connect_timeout: Duration,
    /// `response_timeout`: until a target's head comes, and between two parts of its body. Default 60 s; 1 s to
    /// 24 h. After it: 504, or a cut response.
    pub response_timeout: Duration,
    /// `max_failures`: failures in a row after which a target is left out. Default 3; 1 to 1000.
    pub max_failures: u32,
    /// `fail_timeout`: for how long it is left out. Default 10 s; 100 ms to 1 h.
    pub fail_timeout: Duration,
    /// `health_check`: a path that well targets answer with 2xx or 3xx. Default: none is asked.
    pub health_check: Option<String>,
    /// `health_interval`: between two checks of a target. Default 5 s; 100 ms to 1 h.
    pub health_interval: Duration,
    /// `idle_connections`: kept open to each target, per worker. Default 32; 0 to 65536.
    pub idle_connections: usize,
    /// `ca`, `verify` and `server_name`.
    pub tls: ProxyTls,
    /// `hand_off`: whether targets may hand over to a file of this site.
    pub hands_off: bool,
    /// It is `dev.front`, in the place of files.
    #[serde(default)]
    pub is_dev_front: bool,
}

/// How targets of `https://` are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyTls {
    /// `verify` (default) and `ca`: whose certificates are believed. None: anybody's.
    pub trusts: Option<Trust>,
    /// `server_name`: what targets are asked for, and the name that their certificates have to be
    /// good for. Default: the host of each target.
    pub server_name: Option<String>,
}

/// Who vouches for other servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trust {
    /// The authorities in the store of the machine.
    System,
    /// Those of `ca`: their certificates in PEM.
    Authorities(String),
}

/// A server that requests are passed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyTarget {
    /// Where it listens.
    pub address: TargetAddress,
    /// What is spoken there.
    pub protocol: TargetProtocol,
    /// Stands in the place of the route's path; none: the request's path is passed on as it is.
    pub path: Option<String>,
    /// Its share of the requests, 1 to 1000, against those of the others.
    pub weight: u32,
    /// `backup`: asked only where none of the others can be.
    pub backup: bool,
}

/// What is spoken with a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TargetProtocol {
    /// `http://` and `unix:`: HTTP/1.1.
    Http,
    /// `h2c://`: HTTP/2 without TLS.
    H2c,
    /// `https://`: HTTP/2 if the target can, or else HTTP/1.1.
    Https,
    /// `uwsgi://`: the uwsgi protocol.
    Uwsgi,
}

/// Where a target listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TargetAddress {
    /// A host name or address, and a port. Names are looked up for each connection.
    Tcp(String, u16),
    /// A socket's absolute path.
    Unix(PathBuf),
}

impl std::fmt::Display for TargetAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TargetAddress::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            TargetAddress::Tcp(host, port) => write!(f, "{host}:{port}"),
            TargetAddress::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// `balance` of a proxy route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Balance {
    /// In turn, by weight.
    RoundRobin,
    /// The better of two taken at random: the one with fewer requests under way.
    LeastRequests,
    /// The same client address, the same target.
    Address,
    /// The same value of this field, the same target.
    Field(String),
}
