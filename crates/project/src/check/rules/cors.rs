//! `cors`: which other sites' scripts may read responses.

use std::time::Duration;

use figment::value::Value;

use crate::fault::{Fault, RuleProblem};
use crate::keys::CORS;
use crate::model::Cors;
use crate::reader::{Entry, Table};

use super::super::Check;
use super::super::server::print_list;
use super::is_token;

const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
const MAX_AGE: Duration = Duration::from_secs(3600);

impl Check<'_, '_> {
    pub(super) fn cors(&mut self, table: &Table<'_>, site: Option<Cors>) -> Option<Option<Cors>> {
        let Some(entry) = table.entry("cors") else {
            return Some(site);
        };
        match entry.value {
            Value::Bool(_, false) => Some(self.reader.accept(&entry, "false".to_owned(), None)),
            Value::String(..) | Value::Array(..) => {
                let origins = self.origins_alone(table, &entry)?;
                let printed = print_list(&origins);
                let cors = with_defaults(origins);
                Some(self.reader.accept(&entry, printed, Some(cors)))
            }
            Value::Dict(_, dict) => {
                let table = Table {
                    path: entry.path.clone(),
                    section: &CORS,
                    dict,
                };
                self.cors_table(&table, &entry).map(Some)
            }
            _ => self.reader.refuse(table, "cors", &entry),
        }
    }

    /// The short form: an origin, or several.
    fn origins_alone(&mut self, table: &Table<'_>, entry: &Entry<'_>) -> Option<Vec<String>> {
        let elements = match entry.value {
            Value::Array(..) => self.reader.elements(entry),
            _ => vec![entry.clone()],
        };
        if elements.is_empty() {
            return self.rule_fault(entry, RuleProblem::NoOrigins);
        }
        let mut texts = Vec::new();
        for element in elements {
            match self.reader.text_of(&element) {
                Some(text) => texts.push((text, element)),
                None => return self.reader.refuse(table, "cors", &element),
            }
        }
        self.origins(texts)
    }

    fn cors_table(&mut self, table: &Table<'_>, whole: &Entry<'_>) -> Option<Cors> {
        self.reader.known_keys(table);
        let origins = match table.entry("origins") {
            Some(entry) => match self.reader.list(table, "origins") {
                Some(none) if none.is_empty() => self.rule_fault(&entry, RuleProblem::NoOrigins),
                texts => texts.and_then(|texts| self.origins(texts)),
            },
            None => {
                let key = table.path.join("origins");
                self.reader.fault_at(Fault::Missing { key }, whole);
                None
            }
        };
        let credentials = self.flag_or(table, "credentials", false);
        let methods = match table.entry("methods") {
            None => Some(METHODS.map(str::to_owned).to_vec()),
            Some(_) => self.methods(table),
        };
        let headers = self.field_names(table, "headers");
        let expose = self.field_names(table, "expose");
        let max_age = match table.entry("max_age") {
            None => Some(MAX_AGE),
            Some(_) => self.reader.duration(table, "max_age"),
        };
        let cors = Cors {
            origins: origins?,
            credentials: credentials?,
            methods: methods?,
            headers: headers?,
            expose: expose?,
            max_age: max_age?,
        };
        match table.entry("credentials") {
            Some(entry) if cors.credentials && cors.origins.iter().any(|one| one == "*") => {
                self.rule_fault(&entry, RuleProblem::EverybodysCredentials)
            }
            _ => Some(cors),
        }
    }

    fn origins(&mut self, texts: Vec<(String, Entry<'_>)>) -> Option<Vec<String>> {
        let (mut origins, count) = (Vec::new(), texts.len());
        for (found, entry) in texts {
            match is_origin(&found) {
                true => origins.push(found),
                false => {
                    self.rule_fault::<()>(&entry, RuleProblem::Origin { found });
                }
            }
        }
        (origins.len() == count).then_some(origins)
    }

    fn field_names(&mut self, table: &Table<'_>, name: &str) -> Option<Vec<String>> {
        if table.entry(name).is_none() {
            return Some(Vec::new());
        }
        let mut names = Vec::new();
        for (name, entry) in self.reader.list(table, name)? {
            if !is_token(&name) {
                return self.rule_fault(&entry, RuleProblem::FieldName { name });
            }
            names.push(name);
        }
        Some(names)
    }
}

fn with_defaults(origins: Vec<String>) -> Cors {
    Cors {
        origins,
        credentials: false,
        methods: METHODS.map(str::to_owned).to_vec(),
        headers: Vec::new(),
        expose: Vec::new(),
        max_age: MAX_AGE,
    }
}

/// `*`, or scheme and host as browsers send them: in lower case, without a path, without the
/// scheme's own port.
fn is_origin(text: &str) -> bool {
    if text == "*" {
        return true;
    }
    let Some((scheme, host)) = text.split_once("://") else {
        return false;
    };
    let host = host.strip_prefix("*.").unwrap_or(host);
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let in_name =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._[]:".contains(&byte);
    let in_scheme = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let own_port = match scheme {
        "http" => "80",
        "https" => "443",
        _ => "",
    };
    let port_fits = port.is_none_or(|port| {
        port != own_port
            && port
                .parse::<u16>()
                .is_ok_and(|number| number.to_string() == port)
    });
    !scheme.is_empty()
        && scheme.bytes().all(in_scheme)
        && !name.is_empty()
        && name.bytes().all(in_name)
        && port_fits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_as_browsers_send_them() {
        for origin in [
            "*",
            "https://example.com",
            "https://*.example.com",
            "http://localhost:3000",
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
            "http://[::1]",
            "chrome-extension://abcdef",
        ] {
            assert!(is_origin(origin), "{origin}");
        }
        for other in [
            "",
            "null",
            "example.com",
            "https://",
            "https://example.com/",
            "https://example.com/app",
            "https://Example.com",
            "https://example.com:443",
            "http://example.com:80",
            "https://example.com:0x1",
            "https://a.*.example.com",
            "https://*",
            "https://a b",
            "https://user@example.com",
        ] {
            assert!(!is_origin(other), "{other}");
        }
    }
}
