//! A site's certificate and key: PEM text, and what it means.
//!
//! Who reads the project reads the files; workers get their contents. Both make the same of them,
//! here.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use serde::{Deserialize, Serialize};
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::Decode;

/// A certificate chain and its private key, in PEM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    chain: String,
    key: Secret,
}

/// Text that no log may show.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// What is wrong with a PEM file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PemProblem {
    /// No line of it is PEM's.
    NotPem,
    /// It is PEM, but without what was looked for.
    Lacks,
    /// It holds a key where a certificate should be.
    KeyInstead,
    /// It holds a certificate where a key should be.
    CertificateInstead,
    /// The key wants a password.
    Encrypted,
    /// It ends before its end, or its text is no base64; or what that says is no certificate or
    /// no key.
    Malformed(String),
}

/// Why there is no identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityProblem {
    /// The certificate's file.
    Certificate(PemProblem),
    /// The key's file.
    Key(PemProblem),
    /// Each may be good, but the key is not this certificate's.
    Mismatch,
}

impl Identity {
    /// An identity whose parts fit, and what its first certificate says.
    pub(crate) fn new(
        chain: String,
        key: String,
    ) -> Result<(Identity, Statement), IdentityProblem> {
        let identity = Identity {
            chain,
            key: Secret(key),
        };
        let certified = identity.certified_key(&provider())?;
        let mut statement = certified
            .cert
            .first()
            .ok_or(PemProblem::Lacks)
            .and_then(Statement::of)
            .map_err(IdentityProblem::Certificate)?;
        statement.kind = format!("{:?}", certified.key.algorithm());
        Ok((identity, statement))
    }

    /// For a TLS library.
    ///
    /// # Errors
    /// When the text is not what it must be, or the key is not the certificate's.
    pub fn certified_key(
        &self,
        provider: &CryptoProvider,
    ) -> Result<CertifiedKey, IdentityProblem> {
        let chain = certificates(&self.chain).map_err(IdentityProblem::Certificate)?;
        let key = private_key(&self.key.0).map_err(IdentityProblem::Key)?;
        let key = provider.key_provider.load_private_key(key);
        let key = key.map_err(|error| IdentityProblem::Key(malformed(&error)))?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) => Ok(certified),
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                Err(IdentityProblem::Mismatch)
            }
            Err(error) => Err(IdentityProblem::Certificate(malformed(&error))),
        }
    }
}

/// The cryptography of the whole server.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The certificates of a PEM text; at least one.
///
/// # Errors
/// When there is none, or the text is malformed.
pub fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, PemProblem> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let found = found.map_err(|error| PemProblem::Malformed(error.to_string()))?;
    match found.is_empty() {
        false => Ok(found),
        true if !text.contains("-----BEGIN ") => Err(PemProblem::NotPem),
        true if text.contains("PRIVATE KEY-----") => Err(PemProblem::KeyInstead),
        true => Err(PemProblem::Lacks),
    }
}

/// The revocation lists of a PEM text; at least one.
///
/// # Errors
/// When there is none, or the text is malformed.
pub fn revocation_lists(
    text: &str,
) -> Result<Vec<CertificateRevocationListDer<'static>>, PemProblem> {
    let found = CertificateRevocationListDer::pem_slice_iter(text.as_bytes());
    let found: Result<Vec<_>, _> = found.collect();
    let found = found.map_err(|error| malformed(&error))?;
    match found.is_empty() {
        false => Ok(found),
        true if !text.contains("-----BEGIN ") => Err(PemProblem::NotPem),
        true => Err(PemProblem::Lacks),
    }
}

/// The authorities in the store of the machine, where its package manager keeps them (or where
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` say), and why there may be fewer than there should.
pub fn system_authorities() -> (Vec<CertificateDer<'static>>, Option<String>) {
    let found = rustls_native_certs::load_native_certs();
    let reason = found.errors.first().map(ToString::to_string);
    (found.certs, reason)
}

/// Whether a certificate has neither expired nor is of the future.
pub fn is_in_its_time(certificate: &CertificateDer<'static>) -> bool {
    let statement = Statement::of(certificate);
    statement.is_ok_and(|said| said.validity(SystemTime::now()) == Validity::Good)
}

fn private_key(text: &str) -> Result<PrivateKeyDer<'static>, PemProblem> {
    use rustls::pki_types::pem::Error;
    match PrivateKeyDer::from_pem_slice(text.as_bytes()) {
        Ok(key) => Ok(key),
        Err(Error::NoItemsFound) => Err(match text {
            text if !text.contains("-----BEGIN ") => PemProblem::NotPem,
            text if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") => PemProblem::Encrypted,
            text if text.contains("-----BEGIN CERTIFICATE-----") => PemProblem::CertificateInstead,
            _ => PemProblem::Lacks,
        }),
        Err(error) => Err(PemProblem::Malformed(error.to_string())),
    }
}

fn malformed(error: &dyn fmt::Display) -> PemProblem {
    PemProblem::Malformed(error.to_string())
}

/// What a certificate says of itself, as far as a server's operator wants to know.
#[derive(Debug)]
pub(crate) struct Statement {
    certificate: CertificateDer<'static>,
    from: SystemTime,
    until: SystemTime,
    /// `2026-01-31T12:00:00Z`.
    pub(crate) from_text: String,
    pub(crate) until_text: String,
    /// Of its key: `RSA`, `ECDSA`. Empty where nobody has looked.
    pub(crate) kind: String,
}

/// Whether a certificate is good at a moment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Validity {
    Good,
    NotYet,
    Expired,
}

impl Statement {
    fn of(certificate: &CertificateDer<'static>) -> Result<Statement, PemProblem> {
        let parsed = CertificateInner::<Raw>::from_der(certificate);
        let parsed = parsed.map_err(|error| malformed(&error))?;
        let validity = parsed.tbs_certificate().validity();
        Ok(Statement {
            certificate: certificate.clone(),
            from: validity.not_before.to_system_time(),
            until: validity.not_after.to_system_time(),
            from_text: validity.not_before.to_string(),
            until_text: validity.not_after.to_string(),
            kind: String::new(),
        })
    }

    pub(crate) fn validity(&self, now: SystemTime) -> Validity {
        match now {
            now if now < self.from => Validity::NotYet,
            now if now > self.until => Validity::Expired,
            _ => Validity::Good,
        }
    }

    /// Whether it is good for a host; of `*.example.com`, for any name below `example.com`.
    pub(crate) fn covers(&self, host: &str) -> bool {
        let host = match host.strip_prefix('*') {
            Some(rest) => format!("any{rest}"),
            None => host.to_owned(),
        };
        let (Ok(certificate), Ok(name)) = (
            ParsedCertificate::try_from(&self.certificate),
            ServerName::try_from(host),
        ) else {
            return false;
        };
        rustls::client::verify_server_name(&certificate, &name).is_ok()
    }
}
