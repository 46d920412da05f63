//! `headers`: fields of responses.

use figment::value::Value;

use crate::fault::RuleProblem;
use crate::key_path::quoted;
use crate::reader::{Entry, Table};

use super::super::Check;
use super::is_token;

/// Fields that the server writes itself, since they say where a message ends.
const FRAMING: [&str; 6] = [
    "connection",
    "content-length",
    "keep-alive",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl Check<'_, '_> {
    /// The table's own fields after those of the site that it does not set anew.
    pub(super) fn headers(
        &mut self,
        table: &Table<'_>,
        mut fields: Vec<(String, String)>,
    ) -> Option<Vec<(String, String)>> {
        let dict = self.reader.table(table, "headers")?;
        let path = table.path.join("headers");
        let mut is_right = true;
        for (name, value) in dict {
            let entry = Entry {
                path: path.join(name.as_str()),
                value,
            };
            match self.header(name, &entry) {
                Some(value) => {
                    fields.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
                    fields.push((name.clone(), value));
                }
                None => is_right = false,
            }
        }
        is_right.then_some(fields)
    }

    fn header(&mut self, name: &str, entry: &Entry<'_>) -> Option<String> {
        let name = name.to_owned();
        if !is_token(&name) {
            return self.rule_fault(entry, RuleProblem::FieldName { name });
        }
        if FRAMING.iter().any(|own| name.eq_ignore_ascii_case(own)) {
            return self.rule_fault(entry, RuleProblem::FramingField { name });
        }
        match entry.value {
            Value::String(_, text) if !text.bytes().any(|byte| byte.is_ascii_control()) => {
                Some(self.reader.accept(entry, quoted(text), text.clone()))
            }
            Value::String(..) => self.rule_fault(entry, RuleProblem::FieldValue),
            _ => {
                let expected = "a string".to_owned();
                self.reader.expected(entry, entry.path.clone(), expected);
                None
            }
        }
    }
}
