//! `certificate` and `key` of `[site.tls]`: PEM files, which must fit each other.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use figment::value::Value;

use crate::certificate::{Identity, IdentityProblem, PemProblem, Statement, Validity};
use crate::fault::{Fault, TlsFault};
use crate::key_path::quoted;
use crate::reader::{Entry, Table};

use super::Check;
use super::paths::absolute;
use super::server::print_list;

/// A certificate that expires earlier should have been renewed: authorities that are asked by
/// programs renew at 30 days, or at a third of a short life.
const SOON: Duration = Duration::from_secs(5 * 86400);

/// A file of the table.
pub(super) struct File<'d> {
    pub(super) text: String,
    pub(super) path: PathBuf,
    pub(super) entry: Entry<'d>,
}

impl Check<'_, '_> {
    /// Certificates with their keys: mostly one, or one for each kind of key.
    pub(super) fn identities(
        &mut self,
        table: &Table<'_>,
        value: &Value,
        names: &[String],
    ) -> Option<Vec<Identity>> {
        let mut missing = false;
        for name in ["certificate", "key"] {
            if table.entry(name).is_none() {
                missing = true;
                let place = self.reader.header_place(&table.path, value);
                let key = table.path.join(name);
                self.reader.error(Fault::Missing { key }, place);
            }
        }
        let certificates = self.pem_files(table, "certificate");
        let keys = self.pem_files(table, "key");
        let (certificates, keys) = match (certificates, keys) {
            (Some(certificates), Some(keys)) if !missing => (certificates, keys),
            _ => return None,
        };
        if certificates.len() != keys.len() {
            let fault = TlsFault::Pairs {
                certificates: certificates.len(),
                keys: keys.len(),
            };
            self.reader
                .fault_at(Fault::Tls(fault), &table.entry("key")?);
            return None;
        }
        let count = keys.len();
        let mut identities: Vec<Identity> = Vec::new();
        let mut kinds = Vec::new();
        for (certificate, key) in certificates.iter().zip(keys) {
            let (identity, kind) = self.identity(certificate, key, names)?;
            if kinds.contains(&kind) {
                let fault = TlsFault::SameKind { kind };
                self.reader.fault_at(Fault::Tls(fault), &certificate.entry);
                return None;
            }
            kinds.push(kind);
            identities.push(identity);
        }
        (identities.len() == count).then_some(identities)
    }

    /// And the kind of its key.
    fn identity(
        &mut self,
        certificate: &File<'_>,
        key: File<'_>,
        names: &[String],
    ) -> Option<(Identity, String)> {
        match Identity::new(certificate.text.clone(), key.text.clone()) {
            Ok((identity, statement)) => {
                self.judge(&statement, certificate, names);
                Some((identity, statement.kind))
            }
            Err(IdentityProblem::Certificate(problem)) => self.not_pem(certificate, problem),
            Err(IdentityProblem::Key(problem)) => self.not_pem(&key, problem),
            Err(IdentityProblem::Mismatch) => {
                let fault = TlsFault::Mismatch {
                    certificate: certificate.path.clone(),
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
    pub(super) fn file<'d>(&mut self, table: &Table<'d>, name: &str) -> Option<File<'d>> {
        let (path, entry) = self.path(table, name)?;
        self.opened(path, entry)
    }

    /// The same of one file or a list of them.
    fn pem_files<'d>(&mut self, table: &Table<'d>, name: &str) -> Option<Vec<File<'d>>> {
        let entry = table.entry(name)?;
        let listed = self.reader.list(table, name)?;
        if listed.is_empty() {
            return self.reader.refuse(table, name, &entry);
        }
        let paths: Vec<PathBuf> = listed
            .iter()
            .map(|(text, _)| absolute(&self.folder, text))
            .collect();
        let printed: Vec<String> = paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        let printed = match (printed.as_slice(), entry.value) {
            ([one], Value::String(..)) => quoted(one),
            _ => print_list(&printed),
        };
        let paths = self.reader.accept(&entry, printed, paths);
        let mut files = Vec::new();
        let count = paths.len();
        for (path, (_, entry)) in paths.into_iter().zip(listed) {
            files.extend(self.opened(path, entry));
        }
        (files.len() == count).then_some(files)
    }

    fn opened<'d>(&mut self, path: PathBuf, entry: Entry<'d>) -> Option<File<'d>> {
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

    pub(super) fn not_pem<T>(&mut self, file: &File<'_>, problem: PemProblem) -> Option<T> {
        let fault = TlsFault::Pem {
            key: file.entry.path.clone(),
            path: file.path.clone(),
            problem,
        };
        self.reader.fault_at(Fault::Tls(fault), &file.entry);
        None
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
