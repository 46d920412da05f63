//! `[site.tls]`, checked.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::certificate::Identity;

/// How a site answers at its `https://` addresses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tls {
    /// `certificate` and `key`: the files' contents, so that nobody but who reads the project
    /// needs to be able to read the key. They fit each other. One at least, and one of each kind
    /// of key at most.
    pub identities: Vec<Identity>,
    /// `minimum_version`. Default [`TlsVersion::V12`].
    pub minimum_version: TlsVersion,
    /// `client_certificate` and `client_ca`.
    pub clients: ClientCertificates,
    /// `reject_unknown_names`: handshakes for a name that no site of the address has are refused,
    /// if this site is the address's default. Otherwise it presents its certificate.
    pub reject_unknown_names: bool,
    /// `redirect_to_https`: where requests at the site's plain addresses are redirected.
    pub redirect: Option<HttpsRedirect>,
    /// `hsts` and its options.
    pub hsts: Option<Hsts>,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    V12,
    /// TLS 1.3 (RFC 8446).
    V13,
}

/// `client_certificate`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ClientCertificates {
    /// Nobody is asked for one.
    Off,
    /// Who has one may show it.
    Optional(Clients),
    /// The same, and nobody comes in without.
    Required(Clients),
}

/// Whose certificates are good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Clients {
    /// `client_ca`: the certificates, in PEM, of the authorities that vouch for clients.
    pub ca: String,
    /// `client_crl`: their revocation lists, in PEM.
    pub crl: Option<String>,
}

/// Where plain requests are redirected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HttpsRedirect {
    /// To this port: `https_port`, or the one of the site's first `https://` address.
    Port(u16),
    /// To the port that was free: that of the site's first `https://` address is 0.
    Picked,
}

/// `Strict-Transport-Security` (RFC 6797).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hsts {
    /// `hsts`: up to 10 years; 0 tells browsers to forget.
    pub max_age: Duration,
    /// `hsts_subdomains`.
    pub subdomains: bool,
    /// `hsts_preload`.
    pub preload: bool,
}
