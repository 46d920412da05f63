//! What a site says in a handshake.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use appliance_project::certificate::{self, IdentityProblem, PemProblem};
use appliance_project::model::{ClientCertificates, Clients, Http2, Tls, TlsVersion};
use aws_lc_rs::digest;
use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, VerifierBuilderError,
    WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::policy::{self, RedirectTo};
use super::tickets::{SiteTickets, Tickets};
use crate::http2;

/// The protocols that may follow, best first (RFC 7301).
const ALPN: [&[u8]; 2] = [http2::ALPN, b"http/1.1"];

/// A site's side of a handshake.
#[derive(Debug)]
pub(crate) struct SiteTls {
    pub(super) config: Arc<ServerConfig>,
    /// Clients are asked for a certificate: another site's handshake will not do for this one.
    pub(super) asks_client: bool,
    pub(super) redirect: Option<RedirectTo>,
    pub(super) hsts: Option<Vec<u8>>,
    /// As the default of an address: names that no site has are refused.
    pub(super) rejects_unknown: bool,
}

/// A certificate or key that was good when the project was read, and is not now.
#[derive(Debug)]
pub struct TlsError(String);

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot use the certificate or the key: {}", self.0)
    }
}

impl std::error::Error for TlsError {}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        TlsError(error.to_string())
    }
}

impl From<VerifierBuilderError> for TlsError {
    fn from(error: VerifierBuilderError) -> Self {
        TlsError(error.to_string())
    }
}

impl From<IdentityProblem> for TlsError {
    fn from(problem: IdentityProblem) -> Self {
        TlsError(format!("{problem:?}"))
    }
}

impl From<PemProblem> for TlsError {
    fn from(problem: PemProblem) -> Self {
        TlsError(format!("{problem:?}"))
    }
}

impl SiteTls {
    /// For a site whose first `https://` address is this.
    pub(crate) fn new(
        (tls, http2): (&Tls, Http2),
        address: Option<&SocketAddr>,
        tickets: &Arc<Tickets>,
    ) -> Result<SiteTls, TlsError> {
        let provider = certificate::provider();
        let keys = tls
            .identities
            .iter()
            .map(|identity| Ok(Arc::new(identity.certified_key(&provider)?)))
            .collect::<Result<Vec<_>, IdentityProblem>>()?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions(tls.minimum_version))?;
        let builder = match verifier(&tls.clients, &provider)? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(ByKind(keys)));
        let protocols = match http2 {
            Http2::Off => &ALPN[1..],
            Http2::Tls | Http2::Always => &ALPN,
        };
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        // Tickets do without a memory, which the next connection's worker would not share.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = Arc::new(SiteTickets::new(Arc::clone(tickets), what_holds(tls)));
        Ok(SiteTls {
            config: Arc::new(config),
            asks_client: tls.clients != ClientCertificates::Off,
            redirect: RedirectTo::new(tls.redirect, address),
            hsts: tls.hsts.map(policy::hsts_line),
            rejects_unknown: tls.reject_unknown_names,
        })
    }
}

/// Shows the first certificate whose signatures the client can check.
#[derive(Debug)]
struct ByKind(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for ByKind {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let offered = hello.signature_schemes();
        let fits = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(offered).is_some();
        self.0.iter().find(fits).or(self.0.first()).cloned()
    }
}

fn versions(minimum: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static ALL: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
    match minimum {
        TlsVersion::V12 => &ALL,
        TlsVersion::V13 => &ALL[..1],
    }
}

fn verifier(
    clients: &ClientCertificates,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    let (authorities, optional) = match clients {
        ClientCertificates::Off => return Ok(None),
        ClientCertificates::Optional(authorities) => (authorities, true),
        ClientCertificates::Required(authorities) => (authorities, false),
    };
    let mut roots = RootCertStore::empty();
    for authority in certificate::certificates(&authorities.ca)? {
        roots.add(authority)?;
    }
    let roots = Arc::new(roots);
    let mut builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
    if let Some(crl) = &authorities.crl {
        builder = builder.with_crls(certificate::revocation_lists(crl)?);
    }
    if optional {
        builder = builder.allow_unauthenticated();
    }
    Ok(Some(builder.build()?))
}

/// What a session must have met to be resumed: a ticket from before a reload is no way around the
/// client certificates that are required since.
fn what_holds(tls: &Tls) -> [u8; digest::SHA256_OUTPUT_LEN] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(match tls.minimum_version {
        TlsVersion::V12 => b"1.2",
        TlsVersion::V13 => b"1.3",
    });
    match &tls.clients {
        ClientCertificates::Off => context.update(b"off"),
        ClientCertificates::Optional(clients) => add(&mut context, b"optional", clients),
        ClientCertificates::Required(clients) => add(&mut context, b"required", clients),
    }
    let mut policy = [0; digest::SHA256_OUTPUT_LEN];
    for (to, from) in policy.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    policy
}

fn add(context: &mut digest::Context, how: &[u8], clients: &Clients) {
    let crl = clients.crl.as_deref().unwrap_or_default();
    // Their lengths, so that no two pairs of texts look alike.
    for text in [how, clients.ca.as_bytes(), crl.as_bytes()] {
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text);
    }
}
