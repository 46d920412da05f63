//! `compress`: which types are compressed on the fly.

use figment::value::Value;

use crate::fault::RuleProblem;
use crate::reader::Table;

use super::super::Check;
use super::super::server::print_list;
use super::files::is_media_type;

/// What `true` means. Not fonts but for the old ones, nor what is compressed in itself.
const TYPES: [&str; 16] = [
    "text/*",
    "application/atom+xml",
    "application/geo+json",
    "application/graphql-response+json",
    "application/javascript",
    "application/json",
    "application/ld+json",
    "application/manifest+json",
    "application/problem+json",
    "application/rss+xml",
    "application/wasm",
    "application/x-ndjson",
    "application/xhtml+xml",
    "application/xml",
    "application/yaml",
    "image/svg+xml",
];

impl Check<'_, '_> {
    pub(super) fn compress(&mut self, table: &Table<'_>, site: Vec<String>) -> Option<Vec<String>> {
        let Some(entry) = table.entry("compress") else {
            return Some(site);
        };
        match entry.value {
            Value::Bool(_, true) => {
                let types = TYPES.map(str::to_owned).to_vec();
                Some(self.reader.accept(&entry, "true".to_owned(), types))
            }
            Value::Bool(_, false) => {
                Some(self.reader.accept(&entry, "false".to_owned(), Vec::new()))
            }
            Value::Array(..) => {
                let mut types = Vec::new();
                for (found, entry) in self.reader.list(table, "compress")? {
                    if !is_media_type(&found) || found.contains(';') {
                        return self.rule_fault(&entry, RuleProblem::MediaType { found });
                    }
                    types.push(found.to_ascii_lowercase());
                }
                Some(self.reader.accept(&entry, print_list(&types), types))
            }
            _ => self.reader.refuse(table, "compress", &entry),
        }
    }
}
