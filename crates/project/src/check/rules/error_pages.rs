//! `error_pages`, `intercept` and `maintenance_page`.

use std::path::{Path, PathBuf};

use figment::value::Value;

use crate::fault::{Fault, RuleProblem};
use crate::key_path::quoted;
use crate::model::ErrorPage;
use crate::reader::{Entry, Table};

use super::super::Check;
use super::super::paths::absolute;

/// They are kept in memory by every worker.
const LARGEST: u64 = 1 << 20;

impl Check<'_, '_> {
    /// The table's own pages, those for one status before those for a class, and then the site's.
    pub(super) fn error_pages(
        &mut self,
        table: &Table<'_>,
        site: Vec<ErrorPage>,
    ) -> Option<Vec<ErrorPage>> {
        if table.entry("error_pages").is_none() {
            return Some(site);
        }
        let dict = self.reader.table(table, "error_pages")?;
        let path = table.path.join("error_pages");
        let (mut pages, mut is_right) = (Vec::new(), true);
        for (name, value) in dict {
            let entry = Entry {
                path: path.join(name.as_str()),
                value,
            };
            let statuses = match statuses(name) {
                None => {
                    let found = name.clone();
                    self.rule_fault(&entry, RuleProblem::ErrorStatus { found })
                }
                known => known,
            };
            let files = match entry.value {
                Value::Array(..) => self.reader.elements(&entry),
                _ => vec![entry],
            };
            for file in files {
                match (statuses, self.page_at(&file)) {
                    (Some(statuses), Some(path)) => pages.push(ErrorPage { statuses, path }),
                    _ => is_right = false,
                }
            }
        }
        pages.extend(site);
        // Stable: a list's first stays first.
        pages.sort_by_key(|page| page.statuses.0 != page.statuses.1);
        is_right.then_some(pages)
    }

    pub(super) fn intercept(
        &mut self,
        table: &Table<'_>,
        site: bool,
        pages: Option<&[ErrorPage]>,
    ) -> Option<bool> {
        let intercept = self.flag_or(table, "intercept", site)?;
        match table.entry("intercept") {
            Some(entry) if intercept && pages.is_some_and(<[_]>::is_empty) => {
                self.rule_fault(&entry, RuleProblem::NothingToIntercept)
            }
            _ => Some(intercept),
        }
    }

    /// `maintenance_page`.
    pub(super) fn page(&mut self, table: &Table<'_>) -> Option<PathBuf> {
        let entry = table.entry("maintenance_page")?;
        self.page_at(&entry)
    }

    fn page_at(&mut self, entry: &Entry<'_>) -> Option<PathBuf> {
        let Some(text) = self.reader.text_of(entry).filter(|text| !text.is_empty()) else {
            let expected = "a path, as a string".to_owned();
            self.reader.expected(entry, entry.path.clone(), expected);
            return None;
        };
        let path = absolute(&self.folder, &text);
        let (is_file, exists) = (path.is_file(), path.exists());
        if !is_file {
            let fault = Fault::NoRegularFile {
                key: entry.path.clone(),
                path: path.clone(),
                exists,
                hooks: self.hooks && !exists,
            };
            if !self.not_served(fault, exists, entry) {
                return None;
            }
        } else if is_large(&path) {
            return self.rule_fault(entry, RuleProblem::LargePage { path });
        }
        let printed = quoted(&path.display().to_string());
        Some(self.reader.accept(entry, printed, path))
    }
}

fn is_large(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.len() > LARGEST)
}

fn statuses(name: &str) -> Option<(u16, u16)> {
    match name {
        "4xx" => Some((400, 499)),
        "5xx" => Some((500, 599)),
        other => {
            let status = other
                .parse()
                .ok()
                .filter(|status| (400..600).contains(status))?;
            (other.len() == 3).then_some((status, status))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_for_a_status_or_a_class_of_errors() {
        for (name, expected) in [
            ("404", Some((404, 404))),
            ("599", Some((599, 599))),
            ("4xx", Some((400, 499))),
            ("5xx", Some((500, 599))),
            ("200", None),
            ("600", None),
            ("+404", None),
            ("0404", None),
            ("3xx", None),
            ("5XX", None),
            ("", None),
        ] {
            assert_eq!(statuses(name), expected, "{name}");
        }
    }
}
