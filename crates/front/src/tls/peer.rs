//! What the application hears of a connection's TLS.

use std::sync::Arc;

use appliance_gateway::{ClientCertificate, Tls};
use rustls::pki_types::CertificateDer;
use rustls::server::UnbufferedServerConnection;
use rustls::{CipherSuite, ProtocolVersion, ServerConfig};
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::pem::LineEnding;
use x509_cert::der::{Decode, EncodePem};

/// What a connection's handshake says of its requests.
#[derive(Debug, Clone)]
pub(crate) struct Secured {
    /// What the application hears.
    pub(crate) about: Arc<Tls>,
    /// As whom we shook hands.
    site: Arc<ServerConfig>,
}

impl Secured {
    /// Of a connection whose handshake is done.
    pub(super) fn new(
        connection: &UnbufferedServerConnection,
        name: Option<Box<str>>,
        site: Arc<ServerConfig>,
    ) -> Secured {
        Secured {
            about: Arc::new(about(connection, name)),
            site,
        }
    }

    /// Whether it was that site.
    pub(super) fn is_of(&self, site: &Arc<ServerConfig>) -> bool {
        Arc::ptr_eq(&self.site, site)
    }
}

fn about(connection: &UnbufferedServerConnection, server_name: Option<Box<str>>) -> Tls {
    let suite = connection.negotiated_cipher_suite();
    let client = connection.peer_certificates().and_then(<[_]>::first);
    Tls {
        protocol: match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLSv1.3",
        },
        cipher: suite.map_or("", |suite| openssl_name(suite.suite())),
        server_name,
        client: client.and_then(client_certificate),
    }
}

/// As nginx and Apache say it.
fn openssl_name(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => {
            "ECDHE-ECDSA-CHACHA20-POLY1305"
        }
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "ECDHE-RSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-RSA-CHACHA20-POLY1305",
        other => other.as_str().unwrap_or_default(),
    }
}

/// None for one that was verified and yet cannot be read: then nobody is said to be there.
fn client_certificate(der: &CertificateDer<'_>) -> Option<ClientCertificate> {
    let parsed = CertificateInner::<Raw>::from_der(der).ok()?;
    let signed = parsed.tbs_certificate();
    let serial = signed.serial_number().as_bytes();
    Some(ClientCertificate {
        subject: signed.subject().to_string(),
        issuer: signed.issuer().to_string(),
        serial: serial.iter().map(|byte| format!("{byte:02X}")).collect(),
        pem: parsed.to_pem(LineEnding::LF).ok()?,
    })
}
