//! Who may come in: by address, and by password.

use figment::value::Value;

use crate::fault::RuleProblem;
use crate::key_path::quoted;
use crate::model::Passwords;
use crate::network::Network;
use crate::reader::{Entry, Table};

use super::super::Check;
use super::password_file;

const REALM: &str = "Restricted";

impl Check<'_, '_> {
    /// `allow` and `deny`.
    pub(super) fn addresses(
        &mut self,
        table: &Table<'_>,
        site_allows: Vec<Network>,
        site_denies: Vec<Network>,
    ) -> Option<(Vec<Network>, Vec<Network>)> {
        let allow = match table.entry("allow") {
            None => Some(site_allows),
            Some(entry) => match self.networks(table, "allow") {
                Some(none) if none.is_empty() => {
                    self.rule_fault(&entry, RuleProblem::NobodyAllowed)
                }
                networks => networks.map(without_places),
            },
        };
        let denied = table.entry("deny").map(|_| self.networks(table, "deny"));
        let allow = allow?;
        let allowed = |network: &Network| allow.contains(network);
        let deny = match denied {
            // What a route allows in so many words, its site's `deny` does not take back.
            None => site_denies
                .into_iter()
                .filter(|network| !allowed(network))
                .collect(),
            Some(networks) => {
                let networks = networks?;
                if let Some((network, entry)) = networks.iter().find(|(one, _)| allowed(one)) {
                    let network = *network;
                    return self.rule_fault(entry, RuleProblem::AllowedAndDenied { network });
                }
                without_places(networks)
            }
        };
        Some((allow, deny))
    }

    /// `password_file` and `realm`.
    pub(super) fn passwords(
        &mut self,
        table: &Table<'_>,
        site: Option<Passwords>,
    ) -> Option<Option<Passwords>> {
        let inherited_realm = site.as_ref().map(|passwords| passwords.realm.clone());
        let users = match table.entry("password_file") {
            None => site.map(|passwords| passwords.users),
            Some(entry) => match entry.value {
                Value::Bool(_, false) => {
                    self.reader.accept(&entry, "false".to_owned(), ());
                    None
                }
                _ => Some(self.users(table)?),
            },
        };
        let realm = match table.entry("realm") {
            None => inherited_realm.unwrap_or_else(|| REALM.to_owned()),
            Some(entry) if users.is_none() => {
                return self.rule_fault(&entry, RuleProblem::RealmAlone);
            }
            Some(_) => self.realm(table)?,
        };
        Some(users.map(|users| Passwords { realm, users }))
    }

    fn realm(&mut self, table: &Table<'_>) -> Option<String> {
        let (text, entry) = self.reader.text(table, "realm")?;
        let fits = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        match text.bytes().all(fits) {
            true => Some(self.reader.accept(&entry, quoted(&text), text)),
            false => self.rule_fault(&entry, RuleProblem::Realm),
        }
    }

    fn users(&mut self, table: &Table<'_>) -> Option<Vec<(String, String)>> {
        let (path, entry) = self.path(table, "password_file")?;
        let path = self.must_be_file(path, &entry)?;
        let problem = match std::fs::read_to_string(&path) {
            Ok(text) => match password_file::parse(&text) {
                Ok(users) if users.is_empty() => RuleProblem::NoUsers { path },
                Ok(users) => return Some(users),
                Err((line, problem)) => RuleProblem::PasswordLine {
                    path,
                    line,
                    problem,
                },
            },
            Err(error) => RuleProblem::Unreadable {
                path,
                reason: error.to_string(),
            },
        };
        self.rule_fault(&entry, problem)
    }
}

pub(super) fn without_places(networks: Vec<(Network, Entry<'_>)>) -> Vec<Network> {
    networks.into_iter().map(|(network, _)| network).collect()
}
