//! What can be wrong with `[site.tls]` and `https://` addresses.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::certificate::PemProblem;
use crate::key_path::KeyPath;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TlsFault {
    /// An `https://` address of a site without `[site.tls]`.
    NoTls {
        address: SocketAddr,
    },
    /// `[site.tls]` of a site without an `https://` address.
    NoHttps,
    /// Two sites of one address, one of which says `https://`.
    Differs {
        address: SocketAddr,
        here: bool,
        other: usize,
    },
    /// The file cannot be read.
    Unreadable {
        key: KeyPath,
        path: PathBuf,
        reason: String,
        /// The system forbids it.
        denied: bool,
        /// There is something of that name.
        exists: bool,
    },
    /// The file is not what it should be.
    Pem {
        key: KeyPath,
        path: PathBuf,
        problem: PemProblem,
    },
    /// The key is another certificate's.
    Mismatch {
        certificate: PathBuf,
        key: PathBuf,
    },
    /// Not as many keys as certificates.
    Pairs {
        certificates: usize,
        keys: usize,
    },
    /// Two certificates of which one would never be shown.
    SameKind {
        kind: String,
    },
    /// Out of its time since or until then.
    NotYet {
        path: PathBuf,
        from: String,
    },
    Expired {
        path: PathBuf,
        until: String,
    },
    /// Not for long any more.
    ExpiresSoon {
        path: PathBuf,
        until: String,
    },
    /// Good for other names.
    NotCovered {
        path: PathBuf,
        name: String,
    },
    /// Clients are asked, but nobody vouches for them.
    NoClientCa {
        key: &'static str,
    },
    /// Somebody vouches for clients, but nobody asks.
    ClientCaUnused,
    /// An option of `hsts` alone.
    NoHsts {
        key: &'static str,
    },
    /// `hsts_preload` whose conditions are not met.
    Preload,
    /// There is nothing to redirect.
    NothingRedirected {
        key: &'static str,
    },
    /// A key about servers of `https://`, of which the proxy route has none.
    NoSecureTarget {
        key: &'static str,
    },
    /// Authorities for certificates that nobody verifies.
    CaUnused,
    /// The machine's store has no certificate.
    NoSystemAuthorities {
        reason: Option<String>,
    },
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsFault::NoTls { address } => write!(
                f,
                "`https://{address}` needs `[site.tls]` with `certificate` and `key`"
            ),
            TlsFault::NoHttps => f.write_str(
                "the site has `[site.tls]`, but no `https://` address that would use it",
            ),
            TlsFault::Differs {
                address,
                here,
                other,
            } => {
                let (here, there) = match here {
                    true => ("https", "http"),
                    false => ("http", "https"),
                };
                write!(
                    f,
                    "`{address}` is `{here}://` here, but `{there}://` in `site.{other}`"
                )
            }
            TlsFault::Unreadable {
                key, path, reason, ..
            } => {
                write!(f, "`{key}`: `{}` cannot be read: {reason}", path.display())
            }
            TlsFault::Pem { key, path, problem } => {
                write!(f, "`{key}`: `{}` {}", path.display(), Told(problem))
            }
            TlsFault::Mismatch { certificate, key } => write!(
                f,
                "the key `{}` is not that of the certificate `{}`",
                key.display(),
                certificate.display()
            ),
            TlsFault::Pairs { certificates, keys } => {
                let s = |count: &usize| if *count == 1 { "" } else { "s" };
                write!(
                    f,
                    "{certificates} certificate{} with {keys} key{}: each has one of its own",
                    s(certificates),
                    s(keys)
                )
            }
            TlsFault::SameKind { kind } => write!(
                f,
                "two certificates have keys of the same kind, {kind}: the second would never be shown"
            ),
            TlsFault::NotYet { path, from } => {
                write!(
                    f,
                    "the certificate `{}` is not valid before {from}",
                    path.display()
                )
            }
            TlsFault::Expired { path, until } => {
                write!(
                    f,
                    "the certificate `{}` has expired: {until}",
                    path.display()
                )
            }
            TlsFault::ExpiresSoon { path, until } => {
                write!(
                    f,
                    "the certificate `{}` expires soon: {until}",
                    path.display()
                )
            }
            TlsFault::NotCovered { path, name } => {
                write!(
                    f,
                    "the certificate `{}` is not good for `{name}`",
                    path.display()
                )
            }
            TlsFault::NoClientCa { key } => {
                write!(f, "`{key}` needs `client_ca`: who vouches for clients")
            }
            TlsFault::ClientCaUnused => {
                f.write_str("`client_ca` has no use with `client_certificate = \"off\"`")
            }
            TlsFault::NoHsts { key } => write!(f, "`{key}` belongs to `hsts`, which is missing"),
            TlsFault::Preload => f.write_str(
                "`hsts_preload` needs `hsts` of a year or more and `hsts_subdomains = true`",
            ),
            TlsFault::NothingRedirected { key } => {
                write!(
                    f,
                    "`{key}` has no use: the site has no plain address to redirect from"
                )
            }
            TlsFault::NoSecureTarget { key } => write!(
                f,
                "`{key}` has no use: no server of the route has an `https://` URL"
            ),
            TlsFault::CaUnused => f.write_str("`ca` has no use with `verify = false`"),
            TlsFault::NoSystemAuthorities { reason } => {
                f.write_str("this machine knows no certificate authority that could vouch for it")?;
                match reason {
                    Some(reason) => write!(f, ": {reason}"),
                    None => Ok(()),
                }
            }
        }
    }
}

/// A problem as the end of a sentence about its file.
struct Told<'p>(&'p PemProblem);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            PemProblem::NotPem => {
                f.write_str("is not PEM text: it has no `-----BEGIN …-----` line")
            }
            PemProblem::Lacks => f.write_str("is PEM text, but holds something else"),
            PemProblem::KeyInstead => f.write_str("holds a private key and no certificate"),
            PemProblem::CertificateInstead => f.write_str("holds a certificate and no private key"),
            PemProblem::Encrypted => f.write_str("is a key with a password"),
            PemProblem::Malformed(reason) => {
                write!(f, "cannot be understood: {}", reason.to_lowercase())
            }
        }
    }
}

impl TlsFault {
    pub(crate) fn help(&self) -> &'static str {
        match self {
            TlsFault::NoHttps => {
                "write `listen = \"https://:443\"`, or `[\"https://:443\", \":80\"]`"
            }
            TlsFault::Differs { .. } => {
                "a connection's site is not known when it begins: say the same in both, or listen on two ports"
            }
            TlsFault::Unreadable { denied: true, .. } => {
                "whoever starts the server must be able to read it: root, or a group of the file's"
            }
            TlsFault::Pem { key, problem, .. } => pem_help(key, problem),
            TlsFault::Mismatch { .. } => {
                "the site's own certificate comes first in its file; and a renewal changes both files"
            }
            TlsFault::Pairs { .. } => "they belong together in the order in which they are listed",
            TlsFault::SameKind { .. } => {
                "other names take a site of their own: the name that a client asks for decides"
            }
            TlsFault::Expired { .. } => "browsers refuse it; renew it, then run `appliance reload`",
            TlsFault::ExpiresSoon { .. } => "renew it, then run `appliance reload`",
            TlsFault::NotYet { .. } => {
                "browsers refuse it until then; is this machine's clock right?"
            }
            TlsFault::NotCovered { .. } => {
                "browsers refuse it for that name: `openssl x509 -noout -ext subjectAltName -in FILE` shows its names"
            }
            TlsFault::ClientCaUnused | TlsFault::CaUnused => "leave out one of the two",
            TlsFault::NoSystemAuthorities { .. } => {
                "install the package `ca-certificates`, or name the authority: `proxy = { to = \"https://…\", ca = \"authority.pem\" }`"
            }
            TlsFault::NoSecureTarget { .. } => {
                "leave it out, or write `https://` for a server that speaks TLS"
            }
            TlsFault::NoClientCa { .. } => "add `client_ca = \"clients.pem\"`",
            TlsFault::Unreadable { .. } => {
                "mend the path: unless it begins with `/`, it begins at this file's folder"
            }
            TlsFault::NoTls { .. } => {
                "`[site.tls]`, `certificate = \"fullchain.pem\"`, `key = \"privkey.pem\"`: a line each"
            }
            TlsFault::NoHsts { .. } => "add `hsts = \"30d\"`",
            TlsFault::Preload => {
                "write `hsts = \"1y\"` and `hsts_subdomains = true`, or leave it out"
            }
            TlsFault::NothingRedirected { .. } => {
                "add one to `listen`, such as \":80\", or leave this out"
            }
        }
    }
}

/// The certificate and the key of a site may have been mixed up; of other keys, nothing stands
/// beside them.
fn pem_help(key: &KeyPath, problem: &PemProblem) -> &'static str {
    let name = |wanted: &str| key.segments().iter().any(|segment| segment == wanted);
    match problem {
        PemProblem::NotPem => {
            "`openssl x509 -inform der -in FILE` and `openssl pkey -inform der -in FILE` make PEM of DER"
        }
        PemProblem::KeyInstead | PemProblem::CertificateInstead
            if name("certificate") || name("key") =>
        {
            "`certificate` and `key` may be the wrong way round"
        }
        PemProblem::Encrypted => "`openssl pkey -in FILE -out NEW` removes the password",
        PemProblem::Malformed(_) => "it may have been cut or changed: copy it anew",
        _ if name("client_crl") => {
            "a revocation list stands behind `-----BEGIN X509 CRL-----`: it is made by the authority"
        }
        _ if name("key") => "a key stands behind `-----BEGIN PRIVATE KEY-----`",
        _ => "a certificate stands behind `-----BEGIN CERTIFICATE-----`",
    }
}
