//! `[site.tls]`: files are read here, and must fit each other.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use figment::value::Value;
use rustls::RootCertStore;

use crate::certificate::{
    Identity, IdentityProblem, PemProblem, Statement, Validity, certificates,
};
use crate::fault::{Fault, TlsFault};
use crate::keys::TLS;
use crate::model::{ClientCertificates, Hsts, HttpsRedirect, Tls, TlsVersion};
use crate::reader::{Entry, Table};

use super::Check;
use super::application::optional;

/// A certificate that expires earlier should have been renewed: authorities that are asked by
/// programs renew at 30 days, or at a third of a short life.
const SOON: Duration = Duration::from_secs(5 * 86400);
const YEAR: Duration = Duration::from_secs(365 * 86400);

/// What the rest of the site says.
pub(super) struct Around<'a> {
    pub(super) listen: &'a [SocketAddr],
    pub(super) https: &'a [SocketAddr],
    pub(super) names: &'a [String],
}

/// A file of the table.
struct File<'d> {
    text: String,
    path: PathBuf,
    entry: Entry<'d>,
}

impl Check<'_, '_> {
    pub(super) fn tls(&mut self, site: &Table<'_>, around: &Around<'_>) -> Option<Tls> {
        let value = site.entry("tls")?.value;
        let table = Table {
            path: site.path.join("tls"),
            section: &TLS,
            dict: self.reader.table(site, "tls")?,
        };
        self.reader.known_keys(&table);
        if around.https.is_empty() {
            self.at_header(&table, value, TlsFault::NoHttps);
        }
        let identity = self.identity(&table, value, around.names);
        let minimum_version = self.reader.choice(&table, "minimum_version");
        let reject_unknown_names = self.reader.flag(&table, "reject_unknown_names");
        let redirect = self.https_redirect(&table, around);
        let hsts = self.hsts(&table);
        let clients = self.clients(&table);
        Some(Tls {
            identity: identity?,
            minimum_version: match minimum_version? {
                "1.3" => TlsVersion::V13,
                _ => TlsVersion::V12,
            },
            clients: clients?,
            reject_unknown_names: reject_unknown_names?,
            redirect: redirect?,
            hsts: hsts?,
        })
        .filter(|_| !around.https.is_empty())
    }

    fn at_header(&mut self, table: &Table<'_>, value: &Value, fault: TlsFault) {
        let place = self.reader.header_place(&table.path, value);
        self.reader.error(Fault::Tls(fault), place);
    }

    fn identity(&mut self, table: &Table<'_>, value: &Value, names: &[String]) -> Option<Identity> {
        let mut missing = false;
        for name in ["certificate", "key"] {
            if table.entry(name).is_none() {
                missing = true;
                let place = self.reader.header_place(&table.path, value);
                let key = table.path.join(name);
                self.reader.error(Fault::Missing { key }, place);
            }
        }
        let certificate = self.file(table, "certificate");
        let key = self.file(table, "key");
        let (certificate, key) = match (certificate, key) {
            (Some(certificate), Some(key)) if !missing => (certificate, key),
            _ => return None,
        };
        match Identity::new(certificate.text.clone(), key.text.clone()) {
            Ok((identity, statement)) => {
                self.judge(&statement, &certificate, names);
                Some(identity)
            }
            Err(IdentityProblem::Certificate(problem)) => self.not_pem(&certificate, problem),
            Err(IdentityProblem::Key(problem)) => self.not_pem(&key, problem),
            Err(IdentityProblem::Mismatch) => {
                let fault = TlsFault::Mismatch {
                    certificate: certificate.path,
                    key: key.path,
                };
                self.reader.fault_at(Fault::Tls(fault), &key.entry);
                None
            }
        }
    }

    /// Warnings: whoever has no better certificate at the moment serves at least those who do not
    /// mind, and the server's other sites.
    fn judge(&mut self, statement: &Statement, file: &File<'_>, names: &[String]) {
        let now = SystemTime::now();
        let path = || file.path.clone();
        let until = || statement.until_text.clone();
        let fault = match statement.validity(now) {
            Validity::NotYet => Some(TlsFault::NotYet {
                path: path(),
                from: statement.from_text.clone(),
            }),
            Validity::Expired => Some(TlsFault::Expired {
                path: path(),
                until: until(),
            }),
            Validity::Good if statement.validity(now + SOON) == Validity::Expired => {
                Some(TlsFault::ExpiresSoon {
                    path: path(),
                    until: until(),
                })
            }
            Validity::Good => None,
        };
        let uncovered = names.iter().filter(|name| !statement.covers(name));
        let uncovered = uncovered.map(|name| TlsFault::NotCovered {
            path: path(),
            name: name.clone(),
        });
        for fault in fault.into_iter().chain(uncovered) {
            let place = self.reader.value_place(&file.entry);
            self.reader.warn(Fault::Tls(fault), place);
        }
    }

    /// The text of the file that the key names.
    fn file<'d>(&mut self, table: &Table<'d>, name: &str) -> Option<File<'d>> {
        let (path, entry) = self.path(table, name)?;
        match read(&path) {
            Ok(text) => Some(File { text, path, entry }),
            Err(error) => {
                let fault = TlsFault::Unreadable {
                    key: entry.path.clone(),
                    path,
                    reason: reason(&error),
                    denied: error.kind() == io::ErrorKind::PermissionDenied,
                    exists: error.kind() != io::ErrorKind::NotFound,
                };
                self.reader.fault_at(Fault::Tls(fault), &entry);
                None
            }
        }
    }

    fn not_pem<T>(&mut self, file: &File<'_>, problem: PemProblem) -> Option<T> {
        let fault = TlsFault::Pem {
            key: file.entry.path.clone(),
            path: file.path.clone(),
            problem,
        };
        self.reader.fault_at(Fault::Tls(fault), &file.entry);
        None
    }

    fn https_redirect(
        &mut self,
        table: &Table<'_>,
        around: &Around<'_>,
    ) -> Option<Option<HttpsRedirect>> {
        let plain = around
            .listen
            .iter()
            .any(|address| !around.https.contains(address));
        let wanted = optional(table, "redirect_to_https", || {
            self.reader.flag(table, "redirect_to_https")
        })?;
        let port = optional(table, "https_port", || {
            self.reader.count(table, "https_port")
        })?;
        let redirects = wanted.unwrap_or(plain);
        let idle = [
            ("redirect_to_https", wanted == Some(true) && !plain),
            ("https_port", port.is_some() && !(redirects && plain)),
        ];
        for (key, _) in idle.iter().filter(|(_, idle)| *idle) {
            if let Some(entry) = table.entry(key) {
                self.reader
                    .fault_at(Fault::Tls(TlsFault::NothingRedirected { key }), &entry);
                return None;
            }
        }
        if wanted.is_none() {
            self.reader
                .assume(table, "redirect_to_https", plain.to_string());
        }
        let own = around.https.first().map(SocketAddr::port);
        let told = port.flatten().and_then(|port| u16::try_from(port).ok());
        Some(redirects.then(|| match told.or(own) {
            Some(0) | None => HttpsRedirect::Picked,
            Some(port) => HttpsRedirect::Port(port),
        }))
    }

    fn hsts(&mut self, table: &Table<'_>) -> Option<Option<Hsts>> {
        let subdomains = self.reader.flag(table, "hsts_subdomains")?;
        let preload = self.reader.flag(table, "hsts_preload")?;
        let max_age = optional(table, "hsts", || self.reader.duration(table, "hsts"))?;
        let Some(max_age) = max_age else {
            let options = [("hsts_subdomains", subdomains), ("hsts_preload", preload)];
            for (key, _) in options.iter().filter(|(_, set)| *set) {
                if let Some(entry) = table.entry(key) {
                    self.reader
                        .fault_at(Fault::Tls(TlsFault::NoHsts { key }), &entry);
                    return None;
                }
            }
            return Some(None);
        };
        if let (true, Some(entry)) = (
            preload && !(subdomains && max_age >= YEAR),
            table.entry("hsts_preload"),
        ) {
            self.reader.fault_at(Fault::Tls(TlsFault::Preload), &entry);
            return None;
        }
        Some(Some(Hsts {
            max_age,
            subdomains,
            preload,
        }))
    }

    fn clients(&mut self, table: &Table<'_>) -> Option<ClientCertificates> {
        let ca = optional(table, "client_ca", || self.authorities(table, "client_ca"))?;
        let choice = optional(table, "client_certificate", || {
            self.reader.choice(table, "client_certificate")
        })?;
        let usual = if ca.is_some() { "required" } else { "off" };
        if choice.is_none() {
            self.reader
                .assume(table, "client_certificate", crate::key_path::quoted(usual));
        }
        match (choice.unwrap_or(usual), ca) {
            ("off", None) => Some(ClientCertificates::Off),
            ("optional", Some(ca)) => Some(ClientCertificates::Optional(ca)),
            ("required", Some(ca)) => Some(ClientCertificates::Required(ca)),
            (_, ca) => {
                let fault = match ca {
                    None => TlsFault::NoClientCa,
                    Some(_) => TlsFault::ClientCaUnused,
                };
                let entry = table.entry("client_certificate")?;
                self.reader.fault_at(Fault::Tls(fault), &entry);
                None
            }
        }
    }

    /// The certificates of the file that the key names.
    pub(super) fn authorities(&mut self, table: &Table<'_>, name: &str) -> Option<String> {
        let file = self.file(table, name)?;
        let authorities = match certificates(&file.text) {
            Ok(authorities) => authorities,
            Err(problem) => return self.not_pem(&file, problem),
        };
        let mut store = RootCertStore::empty();
        for authority in authorities {
            if let Err(error) = store.add(authority) {
                return self.not_pem(&file, PemProblem::Malformed(error.to_string()));
            }
        }
        Some(file.text)
    }
}

/// A text; bytes that are not UTF-8 are not PEM either, and are said not to be.
fn read(path: &Path) -> io::Result<String> {
    /// What is longer is no certificate: a device, or a name taken for another.
    const LONGEST: u64 = 1 << 20;
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    if metadata.len() > LONGEST {
        return Err(io::Error::other("it is longer than a megabyte"));
    }
    Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
}

/// The system's reason, as ours are.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}
