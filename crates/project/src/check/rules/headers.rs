//! `headers`: what is done to fields of responses.

use figment::value::Value;

use crate::fault::RuleProblem;
use crate::key_path::quoted;
use crate::model::FieldRule;
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
    /// The table's own rules after those of the site for other fields.
    pub(super) fn headers(
        &mut self,
        table: &Table<'_>,
        mut fields: Vec<(String, FieldRule)>,
    ) -> Option<Vec<(String, FieldRule)>> {
        let dict = self.reader.table(table, "headers")?;
        let path = table.path.join("headers");
        let mut is_right = true;
        for (name, value) in dict {
            let entry = Entry {
                path: path.join(name.as_str()),
                value,
            };
            match self.field_rule(name, &entry) {
                Some(rule) => {
                    fields.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
                    fields.push((name.clone(), rule));
                }
                None => is_right = false,
            }
        }
        is_right.then_some(fields)
    }

    fn field_rule(&mut self, name: &str, entry: &Entry<'_>) -> Option<FieldRule> {
        let name = name.to_owned();
        if !is_token(&name) {
            return self.rule_fault(entry, RuleProblem::FieldName { name });
        }
        if FRAMING.iter().any(|own| name.eq_ignore_ascii_case(own)) {
            return self.rule_fault(entry, RuleProblem::FramingField { name });
        }
        let (rule, text): (fn(String) -> FieldRule, _) = match entry.value {
            Value::Bool(_, false) => {
                return Some(
                    self.reader
                        .accept(entry, "false".to_owned(), FieldRule::Remove),
                );
            }
            Value::String(_, text) => (FieldRule::Set, text),
            Value::Dict(_, dict) => {
                let mut members = dict.iter();
                match (members.next(), members.next()) {
                    (Some((key, Value::String(_, text))), None) if key == "add" => {
                        (FieldRule::Add, text)
                    }
                    (Some((key, Value::String(_, text))), None) if key == "if_absent" => {
                        (FieldRule::IfAbsent, text)
                    }
                    _ => return self.rule_fault(entry, RuleProblem::FieldRule),
                }
            }
            _ => return self.rule_fault(entry, RuleProblem::FieldRule),
        };
        if text.bytes().any(|byte| byte.is_ascii_control()) {
            return self.rule_fault(entry, RuleProblem::FieldValue);
        }
        let rule = rule(text.clone());
        let printed = match &rule {
            FieldRule::Add(text) => format!("{{ add = {} }}", quoted(text)),
            FieldRule::IfAbsent(text) => format!("{{ if_absent = {} }}", quoted(text)),
            _ => quoted(text),
        };
        Some(self.reader.accept(entry, printed, rule))
    }
}
