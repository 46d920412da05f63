//! `[site.tls]`: files are read here, and must fit each other.

use std::net::SocketAddr;
use std::time::Duration;

use figment::value::Value;
use rustls::RootCertStore;

use crate::certificate::{PemProblem, certificates, revocation_lists};
use crate::fault::{Fault, TlsFault};
use crate::keys::TLS;
use crate::model::{ClientCertificates, Clients, Hsts, HttpsRedirect, Tls, TlsVersion};
use crate::reader::Table;

use super::Check;
use super::application::optional;

const YEAR: Duration = Duration::from_secs(365 * 86400);

/// What the rest of the site says.
pub(super) struct Around<'a> {
    pub(super) listen: &'a [SocketAddr],
    pub(super) https: &'a [SocketAddr],
    pub(super) names: &'a [String],
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
        let identities = self.identities(&table, value, around.names);
        let minimum_version = self.reader.choice(&table, "minimum_version");
        let reject_unknown_names = self.reader.flag(&table, "reject_unknown_names");
        let redirect = self.https_redirect(&table, around);
        let hsts = self.hsts(&table);
        let clients = self.clients(&table);
        Some(Tls {
            identities: identities?,
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
        if let (None, Some(entry)) = (&ca, table.entry("client_crl")) {
            let fault = TlsFault::NoClientCa { key: "client_crl" };
            self.reader.fault_at(Fault::Tls(fault), &entry);
            return None;
        }
        let crl = optional(table, "client_crl", || self.revoked(table))?;
        let usual = if ca.is_some() { "required" } else { "off" };
        if choice.is_none() {
            self.reader
                .assume(table, "client_certificate", crate::key_path::quoted(usual));
        }
        match (choice.unwrap_or(usual), ca) {
            ("off", None) => Some(ClientCertificates::Off),
            ("optional", Some(ca)) => Some(ClientCertificates::Optional(Clients { ca, crl })),
            ("required", Some(ca)) => Some(ClientCertificates::Required(Clients { ca, crl })),
            (_, ca) => {
                let fault = match ca {
                    None => TlsFault::NoClientCa {
                        key: "client_certificate",
                    },
                    Some(_) => TlsFault::ClientCaUnused,
                };
                let entry = table.entry("client_certificate")?;
                self.reader.fault_at(Fault::Tls(fault), &entry);
                None
            }
        }
    }

    fn revoked(&mut self, table: &Table<'_>) -> Option<String> {
        let file = self.file(table, "client_crl")?;
        match revocation_lists(&file.text) {
            Ok(_) => Some(file.text),
            Err(problem) => self.not_pem(&file, problem),
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
