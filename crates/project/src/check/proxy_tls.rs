//! `ca`, `verify` and `server_name` of a proxy route: how servers of `https://` are known.

use rustls::pki_types::ServerName;

use crate::certificate;
use crate::fault::{Fault, TlsFault};
use crate::key_path::quoted;
use crate::model::{ProxyTarget, ProxyTls, TargetProtocol, Trust};
use crate::reader::{Entry, Table};

use super::Check;
use super::application::optional;

impl Check<'_, '_> {
    /// `to` is where the route names its servers.
    pub(super) fn proxy_tls(
        &mut self,
        table: &Table<'_>,
        to: &Entry<'_>,
        targets: &[ProxyTarget],
    ) -> Option<ProxyTls> {
        let is_secure = |target: &ProxyTarget| target.protocol == TargetProtocol::Https;
        let any_secure = targets.iter().any(is_secure);
        let verifies = self.reader.flag(table, "verify");
        let authorities = optional(table, "ca", || self.authorities(table, "ca"));
        let server_name = optional(table, "server_name", || self.asked_for(table));
        if !any_secure {
            self.nothing_to_secure(table, verifies == Some(false))?;
        }
        let trusts = match (verifies?, authorities?) {
            (true, Some(authorities)) => Some(Trust::Authorities(authorities)),
            (true, None) => {
                if any_secure {
                    self.must_know_authorities(to)?;
                }
                Some(Trust::System)
            }
            (false, None) => None,
            (false, Some(_)) => {
                let entry = table.entry("ca")?;
                self.reader.fault_at(Fault::Tls(TlsFault::CaUnused), &entry);
                return None;
            }
        };
        Some(ProxyTls {
            trusts,
            server_name: server_name?,
        })
    }

    fn nothing_to_secure(&mut self, table: &Table<'_>, is_lax: bool) -> Option<()> {
        let written = |key: &&str| (*key != "verify" || is_lax) && table.entry(key).is_some();
        let Some(key) = ["ca", "verify", "server_name"].into_iter().find(written) else {
            return Some(());
        };
        let fault = TlsFault::NoSecureTarget { key };
        self.reader.fault_at(Fault::Tls(fault), &table.entry(key)?);
        None
    }

    fn must_know_authorities(&mut self, to: &Entry<'_>) -> Option<()> {
        let (found, reason) = certificate::system_authorities();
        if found.is_empty() {
            let fault = TlsFault::NoSystemAuthorities { reason };
            self.reader.fault_at(Fault::Tls(fault), to);
            return None;
        }
        Some(())
    }

    fn asked_for(&mut self, table: &Table<'_>) -> Option<String> {
        let (text, entry) = self.reader.text(table, "server_name")?;
        if ServerName::try_from(text.as_str()).is_err() {
            let expected = "a host name or an address, such as \"api.example.com\"".to_owned();
            self.reader.expected(&entry, entry.path.clone(), expected);
            return None;
        }
        Some(self.reader.accept(&entry, quoted(&text), text))
    }
}
