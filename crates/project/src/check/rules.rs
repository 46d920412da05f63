//! What holds on a route, or on a whole site, whoever answers. Each rule by itself: a route has
//! its site's where it has no own.

mod access;
mod compress;
mod cors;
mod error_pages;
mod files;
mod headers;
mod password_file;
mod rate_limit;

pub use files::directives as cache_directives;

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
        let security_headers = self.flag_or(table, "security_headers", inherited.security_headers);
        let cors = self.cors(table, inherited.cors);
        let error_pages = self.error_pages(table, inherited.error_pages);
        let intercept = self.intercept(table, inherited.intercept, error_pages.as_deref());
        let maintenance_page = match table.entry("maintenance_page") {
            None => Some(inherited.maintenance_page),
            Some(_) => self.page(table).map(Some),
        };
        let maintenance_allow = match table.entry("maintenance_allow") {
            None => Some(inherited.maintenance_allow),
            Some(_) => self
                .networks(table, "maintenance_allow")
                .map(access::without_places),
        };
        let compress = self.compress(table, inherited.compress);
        let mut files = self.file_rules(table, inherited.files);
        if let (Some(files), Some(types)) = (&mut files, &compress) {
            files.compress.clone_from(types);
        }
        let (allow, deny) = addresses?;
        Some(Rules {
            methods: methods?,
            headers: headers?,
            security_headers: security_headers?,
            cors: cors?,
            error_pages: error_pages?,
            intercept: intercept?,
            compress: compress?,
            maintenance_page: maintenance_page?,
            maintenance_allow: maintenance_allow?,
            files: files?,
            allow,
            deny,
            passwords: passwords?,
            rate_limit: rate_limit?,
        })
    }

    fn flag_or(&mut self, table: &Table<'_>, name: &str, otherwise: bool) -> Option<bool> {
        match table.entry(name) {
            None => Some(otherwise),
            Some(_) => self.reader.flag(table, name),
        }
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
