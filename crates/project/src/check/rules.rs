//! What holds on a route, or on a whole site, whoever answers.

use figment::value::Value;

use crate::model::Rules;
use crate::reader::{Entry, Table};

use super::Check;
use super::server::print_list;

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
        Some(Rules {
            methods: methods?,
            headers: headers?,
        })
    }

    fn methods(&mut self, table: &Table<'_>) -> Option<Vec<String>> {
        let entry = table.entry("methods")?;
        let texts = self.reader.list(table, "methods")?;
        let (mut methods, count) = (Vec::new(), texts.len());
        for (text, entry) in texts {
            if is_token(&text) && !text.bytes().any(|byte| byte.is_ascii_lowercase()) {
                methods.push(text);
            } else {
                let expected =
                    "a method, such as `\"GET\"`; they are written in capitals".to_owned();
                self.reader.expected(&entry, entry.path.clone(), expected);
            }
        }
        (methods.len() == count).then(|| self.reader.accept(&entry, print_list(&methods), methods))
    }

    /// The table's own fields after those of the site that it does not set anew.
    fn headers(
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
        let expected = match entry.value {
            _ if !is_token(name) => "under a field's name: letters, digits and `-`",
            _ if FRAMING.iter().any(|own| name.eq_ignore_ascii_case(own)) => {
                "another field: this one belongs to the connection, and the server writes it"
            }
            Value::String(_, text) if !text.bytes().any(|byte| byte.is_ascii_control()) => {
                let printed = crate::key_path::quoted(text);
                return Some(self.reader.accept(entry, printed, text.clone()));
            }
            _ => "a string without control characters",
        };
        self.reader
            .expected(entry, entry.path.clone(), expected.to_owned());
        None
    }
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
