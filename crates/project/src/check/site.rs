//! One `[[site]]`.

use std::net::SocketAddr;

use figment::value::Value;

use crate::fault::Fault;
use crate::model::Site;
use crate::reader::{Entry, Table};

use super::Check;
use super::address;
use super::host_name;
use super::server::print_list;

impl Check<'_, '_> {
    pub(super) fn site(&mut self, table: &Table<'_>, value: &Value) -> Option<Site> {
        let listen = self
            .required(table, value, "listen")
            .and_then(|entry| self.listen(&entry));
        let server_name = self.server_name(table);
        let proxy_protocol = self.reader.flag(table, "proxy_protocol");
        let body_limit = self.reader.size(table, "body_limit");
        let body_timeout = self.reader.duration(table, "body_timeout");
        let send_timeout = self.reader.duration(table, "send_timeout");
        let rules = self.rules(table, None);
        // Where the site's own settings are wrong there will be no site, but its routes are checked.
        let site_rules = rules.clone().unwrap_or_default();
        let routes = self.required(table, value, "routes").and_then(|entry| {
            self.routes(table, &entry, body_limit.unwrap_or_default(), &site_rules)
        });
        Some(Site {
            listen: listen?,
            server_name: server_name?,
            proxy_protocol: proxy_protocol?,
            body_limit_bytes: body_limit?,
            body_timeout: body_timeout?,
            send_timeout: send_timeout?,
            rules: rules?,
            routes: routes?,
        })
    }

    fn required<'d>(&mut self, table: &Table<'d>, value: &Value, name: &str) -> Option<Entry<'d>> {
        let entry = table.entry(name);
        if entry.is_none() {
            let place = self.reader.header_place(&table.path, value);
            self.reader.error(
                Fault::Missing {
                    key: table.path.join(name),
                },
                place,
            );
        }
        entry
    }

    fn listen(&mut self, entry: &Entry<'_>) -> Option<Vec<SocketAddr>> {
        let entries = match entry.value {
            Value::Array(..) => self.reader.elements(entry),
            _ => vec![entry.clone()],
        };
        if entries.is_empty() {
            self.reader.fault_at(
                Fault::BadText {
                    key: entry.path.clone(),
                    empty: true,
                },
                entry,
            );
            return None;
        }
        let mut addresses: Vec<SocketAddr> = Vec::new();
        let count = entries.len();
        for element in entries {
            match self.address(entry, &element) {
                Some(address) if addresses.contains(&address) => {
                    self.reader
                        .fault_at(Fault::AddressTwice { address }, &element);
                }
                Some(address) => addresses.push(address),
                None => {}
            }
        }
        let printed: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
        (addresses.len() == count)
            .then(|| self.reader.accept(entry, print_list(&printed), addresses))
    }

    fn address(&mut self, list: &Entry<'_>, entry: &Entry<'_>) -> Option<SocketAddr> {
        let text = match entry.value {
            Value::String(_, text) => text.clone(),
            Value::Num(..) if entry.value.to_i128().is_some() => entry
                .value
                .to_i128()
                .map(|port| port.to_string())
                .unwrap_or_default(),
            _ => {
                let expected = crate::keys::Kind::Listen.expected();
                self.reader.expected(entry, list.path.clone(), expected);
                return None;
            }
        };
        match address::parse(&text) {
            Ok(address) => Some(address),
            Err(problem) => {
                self.reader.fault_at(
                    Fault::Address {
                        found: text,
                        problem,
                    },
                    entry,
                );
                None
            }
        }
    }

    fn server_name(&mut self, table: &Table<'_>) -> Option<Vec<String>> {
        let texts = self.reader.list(table, "server_name")?;
        let (mut names, count) = (Vec::<String>::new(), texts.len());
        for (text, entry) in texts {
            match host_name::parse(&text) {
                Ok(name) if names.contains(&name) => {
                    self.reader.fault_at(Fault::HostNameTwice { name }, &entry);
                }
                Ok(name) => names.push(name),
                Err(problem) => self.reader.fault_at(
                    Fault::HostName {
                        found: text,
                        problem,
                    },
                    &entry,
                ),
            }
        }
        let entry = table.entry("server_name")?;
        (names.len() == count).then(|| self.reader.accept(&entry, print_list(&names), names))
    }
}
