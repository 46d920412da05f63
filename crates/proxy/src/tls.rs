//! TLS with targets: whom they have to be, and why they are not.

use std::io;
use std::sync::{Arc, OnceLock};

use appliance_project::certificate;
use appliance_project::model::{ProxyTls, Trust};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The protocols that may follow (RFC 7301).
pub(crate) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// Our side of handshakes with the targets of a route.
#[derive(Debug, Clone)]
pub(crate) struct Configs {
    /// For HTTP/2 or HTTP/1.1, as the target likes.
    either: Arc<ClientConfig>,
    /// For HTTP/1.1 alone, which can change to other protocols.
    http1: Arc<ClientConfig>,
    server_name: Option<String>,
}

/// Our side of handshakes with one target.
#[derive(Clone)]
pub(crate) struct Tls {
    config: TlsConnector,
    name: ServerName<'static>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Configs {
    /// None where nobody can be spoken to, which has been logged.
    pub(crate) fn new(written: &ProxyTls) -> Option<Configs> {
        let made = config(written, &[HTTP2, HTTP1])
            .and_then(|either| Ok((either, config(written, &[HTTP1])?)));
        match made {
            Ok((either, http1)) => Some(Configs {
                either: Arc::new(either),
                http1: Arc::new(http1),
                server_name: written.server_name.clone(),
            }),
            Err(error) => {
                tracing::error!("no server can be reached by TLS: {error}");
                None
            }
        }
    }

    /// For a target at this host: HTTP/2 if it can, and for HTTP/1.1 alone.
    pub(crate) fn of(&self, host: &str) -> Option<(Tls, Tls)> {
        let name = self.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).ok()?;
        let tls = |config: &Arc<ClientConfig>| Tls {
            config: TlsConnector::from(Arc::clone(config)),
            name: name.clone(),
        };
        Some((tls(&self.either), tls(&self.http1)))
    }
}

fn config(written: &ProxyTls, protocols: &[&[u8]]) -> Result<ClientConfig, String> {
    let provider = certificate::provider();
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let verifier: Arc<dyn ServerCertVerifier> = match &written.trusts {
        Some(trust) => Arc::new(Known::new(trust, provider)?),
        None => Arc::new(Anybody(provider)),
    };
    let mut config = builder
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

/// Believes what an authority vouches for, and certificates that are known themselves: one that a
/// server has signed itself, as `openssl req -x509` makes it, says of itself that it is an
/// authority, and the library takes no authority for a server.
#[derive(Debug)]
struct Known {
    by_authority: Arc<WebPkiServerVerifier>,
    themselves: Vec<CertificateDer<'static>>,
}

impl Known {
    fn new(trust: &Trust, provider: Arc<CryptoProvider>) -> Result<Known, String> {
        /// Some 150 certificates, for all routes of the worker.
        static SYSTEM: OnceLock<Arc<RootCertStore>> = OnceLock::new();
        let (roots, themselves) = match trust {
            Trust::System => {
                let system = SYSTEM.get_or_init(|| store(certificate::system_authorities().0));
                (Arc::clone(system), Vec::new())
            }
            Trust::Authorities(pem) => {
                let found = certificate::certificates(pem);
                let found = found.map_err(|problem| format!("{problem:?}"))?;
                (store(found.clone()), found)
            }
        };
        let builder = WebPkiServerVerifier::builder_with_provider(roots, provider);
        Ok(Known {
            by_authority: builder.build().map_err(|error| error.to_string())?,
            themselves,
        })
    }
}

fn store(certificates: Vec<CertificateDer<'static>>) -> Arc<RootCertStore> {
    let mut store = RootCertStore::empty();
    // Stores of machines hold certificates that no library can read.
    store.add_parsable_certificates(certificates);
    Arc::new(store)
}

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let by_authority = &self.by_authority;
        let Some(known) = self.themselves.iter().find(|known| *known == server) else {
            return by_authority.verify_server_cert(server, between, name, ocsp, now);
        };
        verify_server_name(&ParsedCertificate::try_from(server)?, name)?;
        match certificate::is_in_its_time(known) {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(Error::InvalidCertificate(CertificateError::Expired)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let by_authority = &self.by_authority;
        by_authority.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let by_authority = &self.by_authority;
        by_authority.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_authority.supported_verify_schemes()
    }
}

impl Tls {
    pub(crate) async fn shake_hands(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let shaken = self.config.connect(self.name.clone(), stream).await;
        shaken.map_err(|error| self.explain(error))
    }

    /// What an operator can act on.
    fn explain(&self, error: io::Error) -> io::Error {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        let name = self.name.to_str();
        let text = match inner {
            Some(Error::InvalidCertificate(problem)) => match problem {
                // An authority of the same name with another key vouches for nothing either.
                CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                    "nobody who is trusted vouches for its certificate (`ca` names an authority)"
                        .to_owned()
                }
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => {
                    format!(
                        "its certificate is not good for `{name}` (`server_name` is another name to ask for)"
                    )
                }
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    "its certificate has expired".to_owned()
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    "its certificate is not valid yet".to_owned()
                }
                other => format!("its certificate is not good: {other}"),
            },
            Some(Error::InvalidMessage(_)) => "it does not speak TLS".to_owned(),
            Some(Error::AlertReceived(alert)) => {
                format!("it refused the TLS handshake for `{name}`: {alert:?}")
            }
            Some(other) => format!("the TLS handshake failed: {other}"),
            None if error.kind() == io::ErrorKind::UnexpectedEof => {
                "it hung up in the TLS handshake".to_owned()
            }
            None => return error,
        };
        io::Error::new(error.kind(), text)
    }
}

/// Believes every certificate, but not that somebody has its key who has not.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
