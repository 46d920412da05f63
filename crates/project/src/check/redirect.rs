//! Routes that answer by themselves: `redirect`, `respond`.

use figment::value::Value;

use crate::fault::Fault;
use crate::key_path::quoted;
use crate::model::{Pattern, Redirect, Respond, Template};
use crate::reader::{Table, whole};

use super::Check;
use super::template;

impl Check<'_, '_> {
    pub(super) fn redirect(
        &mut self,
        table: &Table<'_>,
        pattern: Option<&Pattern>,
    ) -> Option<Redirect> {
        let status = self.status(table, 302);
        let to = self.template(table, "redirect", pattern);
        let status = status?;
        if !matches!(status, 301 | 302 | 303 | 307 | 308) {
            let fault = Fault::NoRedirect {
                status: status.into(),
            };
            self.reader.fault_at(fault, &table.entry("status")?);
            return None;
        }
        Some(Redirect { to: to?, status })
    }

    /// A target with variables; what it may name depends on the route's pattern.
    pub(super) fn template(
        &mut self,
        table: &Table<'_>,
        key: &'static str,
        pattern: Option<&Pattern>,
    ) -> Option<Template> {
        let (text, entry) = self.reader.text(table, key)?;
        // Without a pattern, that is what has been reported.
        let expression = match pattern? {
            Pattern::Expression(expression) => expression.compile().ok(),
            _ => None,
        };
        match template::parse(&text, expression.as_ref(), key == "rewrite") {
            Ok(template) => Some(self.reader.accept(&entry, quoted(&text), template)),
            Err(problem) => {
                let fault = Fault::Template {
                    key,
                    found: text,
                    problem,
                };
                self.reader.fault_at(fault, &entry);
                None
            }
        }
    }

    pub(super) fn respond(&mut self, table: &Table<'_>) -> Option<Respond> {
        let entry = table.entry("respond")?;
        if let Value::String(_, text) = entry.value {
            let status = self.status(table, 200)?;
            let text = self.reader.accept(&entry, quoted(text), text.clone());
            return self
                .no_redirect(status, "status", table)
                .map(|status| Respond {
                    status,
                    text: Some(text),
                });
        }
        if let Some(status) = table.entry("status") {
            let fault = Fault::TwoStatuses;
            self.reader.fault_at(fault, &status);
        }
        let status = whole(entry.value).filter(|status| (200..=599).contains(status));
        let Some(status) = status.and_then(|status| u16::try_from(status).ok()) else {
            return self.reader.refuse(table, "respond", &entry);
        };
        let status = self.no_redirect(status, "respond", table)?;
        Some(
            self.reader
                .accept(&entry, status.to_string(), Respond { status, text: None }),
        )
    }

    fn status(&mut self, table: &Table<'_>, default: u16) -> Option<u16> {
        match table.entry("status") {
            None => Some(default),
            Some(_) => u16::try_from(self.reader.count(table, "status")??).ok(),
        }
    }

    /// Also no 206 and no 304, which answer to fields of the request, and not nginx's 444.
    fn no_redirect(&mut self, status: u16, key: &str, table: &Table<'_>) -> Option<u16> {
        if !(300..400).contains(&status) && status != 206 && status != 444 {
            return Some(status);
        }
        let entry = table.entry(key)?;
        let fault = Fault::RespondRedirects { status };
        self.reader.fault_at(fault, &entry);
        None
    }
}
