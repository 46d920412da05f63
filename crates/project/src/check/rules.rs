//! What holds on a route, or on a whole site, whoever answers. Each rule by itself: a route has
//! its site's where it has no own.

mod access;
mod headers;
mod password_file;
mod rate_limit;

use crate::fault::{Fault, RuleProblem};
use crate::model::Rules;
use crate::reader::{Entry, Table};

use super::Check;
use super::server::print_list;

impl Check<'_, '_> {
    /// The rules in a site's table or a route's; a route has its site's where it has no own.
    pub(super) fn rules(&mut self, table: &Table<'_>, site: Option<&Rules>) -> Option<Rules> {
        let inherited = site.cloned().unwrap_or_default();
        let methods = match table.entry("methods") {
            None => Some(inherited.methods),
            Some(_) => self.methods(table),
        };
        let headers = match table.entry("headers") {
            None => Some(inherited.headers),
            Some(_) => self.headers(table, inherited.headers),
        };
        let addresses = self.addresses(table, inherited.allow, inherited.deny);
        let passwords = self.passwords(table, inherited.passwords);
        let rate_limit = self.rate_limit(table, inherited.rate_limit);
        let (allow, deny) = addresses?;
        Some(Rules {
            methods: methods?,
            headers: headers?,
            allow,
            deny,
            passwords: passwords?,
            rate_limit: rate_limit?,
        })
    }

    fn methods(&mut self, table: &Table<'_>) -> Option<Vec<String>> {
        let entry = table.entry("methods")?;
        let texts = self.reader.list(table, "methods")?;
        let (mut methods, count) = (Vec::new(), texts.len());
        for (found, element) in texts {
            if is_token(&found) && !found.bytes().any(|byte| byte.is_ascii_lowercase()) {
                methods.push(found);
            } else {
                let key = entry.path.clone();
                let problem = RuleProblem::Method { found };
                self.reader.fault_at(Fault::Rule { key, problem }, &element);
            }
        }
        (methods.len() == count).then(|| self.reader.accept(&entry, print_list(&methods), methods))
    }

    fn rule_fault<T>(&mut self, entry: &Entry<'_>, problem: RuleProblem) -> Option<T> {
        let key = entry.path.clone();
        self.reader.fault_at(Fault::Rule { key, problem }, entry);
        None
    }
}

/// RFC 9110 §5.6.2.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
