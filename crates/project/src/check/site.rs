//! One `[[site]]`.

use std::net::SocketAddr;
use std::path::PathBuf;

use figment::value::Value;

use crate::fault::{Fault, TlsFault};
use crate::model::{Http2, Site, Uwsgi};
use crate::reader::{Entry, Table};

use super::Check;
use super::address::{self, Speaks};
use super::application::optional;
use super::host_name;
use super::server::print_list;
use super::tls::Around;

/// What a site listens on.
#[derive(Default)]
struct Listen {
    addresses: Vec<SocketAddr>,
    /// Those of them that speak TLS.
    https: Vec<SocketAddr>,
    unix: Vec<PathBuf>,
    uwsgi: Uwsgi,
}

impl Listen {
    /// The address as it is shown; an error if it is there already.
    fn add(&mut self, address: SocketAddr, speaks: Speaks) -> Result<String, String> {
        if self.addresses.contains(&address) {
            return Err(address.to_string());
        }
        self.addresses.push(address);
        match speaks {
            Speaks::Http => {}
            Speaks::Https => self.https.push(address),
            Speaks::Uwsgi => self.uwsgi.addresses.push(address),
        }
        Ok(format!("{}{address}", speaks.scheme()))
    }

    fn add_unix(&mut self, path: PathBuf, speaks: Speaks) -> Result<String, String> {
        let shown = format!("unix:{}", path.display());
        if self.unix.contains(&path) {
            return Err(shown);
        }
        if speaks == Speaks::Uwsgi {
            self.uwsgi.unix.push(path.clone());
        }
        self.unix.push(path);
        Ok(format!("{}{shown}", speaks.scheme()))
    }
}

impl Check<'_, '_> {
    pub(super) fn site(&mut self, table: &Table<'_>, value: &Value) -> Option<Site> {
        let listen = self
            .required(table, value, "listen")
            .and_then(|entry| self.listen(&entry));
        let server_name = self.server_name(table);
        let is_good = listen.is_some();
        let Listen {
            addresses,
            https,
            unix,
            uwsgi,
        } = listen.unwrap_or_default();
        let listen = is_good.then_some(addresses);
        let tls = optional(table, "tls", || {
            let around = Around {
                listen: listen.as_deref()?,
                https: &https,
                names: server_name.as_deref().unwrap_or_default(),
            };
            self.tls(table, &around)
        });
        if table.entry("tls").is_none() {
            self.needs_tls(table, &https);
        }
        let default = self.reader.flag(table, "default");
        let sendfile_roots = self.folders(table, "sendfile_roots");
        let proxy_protocol = self.reader.flag(table, "proxy_protocol");
        let http2 = self.reader.choice(table, "http2");
        let body_limit = self.reader.size(table, "body_limit");
        let body_timeout = self.reader.duration(table, "body_timeout");
        let send_timeout = self.reader.duration(table, "send_timeout");
        let access_log = self.access_log(table);
        let server_timing = self.reader.flag(table, "server_timing");
        let rules = self.rules(table, None);
        // Where the site's own settings are wrong there will be no site, but its routes are checked.
        let site_rules = rules.clone().unwrap_or_default();
        let routes = self.required(table, value, "routes").and_then(|entry| {
            self.routes(table, &entry, body_limit.unwrap_or_default(), &site_rules)
        });
        Some(Site {
            listen: listen?,
            unix,
            https,
            uwsgi,
            tls: tls?,
            server_name: server_name?,
            default: default?,
            sendfile_roots: sendfile_roots?,
            proxy_protocol: proxy_protocol?,
            http2: match http2? {
                "off" => Http2::Off,
                "always" => Http2::Always,
                _ => Http2::Tls,
            },
            body_limit_bytes: body_limit?,
            body_timeout: body_timeout?,
            send_timeout: send_timeout?,
            access_log: access_log?,
            server_timing: server_timing?,
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

    /// Without a certificate nobody speaks TLS.
    fn needs_tls(&mut self, table: &Table<'_>, https: &[SocketAddr]) {
        if let (Some(address), Some(listen)) = (https.first(), table.entry("listen")) {
            let entry = self.element(&listen, *address);
            let fault = TlsFault::NoTls { address: *address };
            self.reader.fault_at(Fault::Tls(fault), &entry);
        }
    }

    fn listen(&mut self, entry: &Entry<'_>) -> Option<Listen> {
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
        let mut listen = Listen::default();
        let mut printed = Vec::new();
        let count = entries.len();
        for element in entries {
            let folder = self.folder.clone();
            let text = element.value.as_str().unwrap_or_default();
            let added = match address::unix(text, &folder) {
                Some(Ok((path, speaks))) => listen.add_unix(path, speaks),
                Some(Err(problem)) => {
                    let found = text.to_owned();
                    self.reader
                        .fault_at(Fault::Address { found, problem }, &element);
                    continue;
                }
                None => match self.address(entry, &element) {
                    Some((address, speaks)) => listen.add(address, speaks),
                    None => continue,
                },
            };
            match added {
                Ok(shown) => printed.push(shown),
                Err(address) => self
                    .reader
                    .fault_at(Fault::AddressTwice { address }, &element),
            }
        }
        self.stays_here(&listen.addresses, entry);
        (printed.len() == count).then(|| self.reader.accept(entry, print_list(&printed), listen))
    }

    fn address(&mut self, list: &Entry<'_>, entry: &Entry<'_>) -> Option<(SocketAddr, Speaks)> {
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
        let (mut names, mut count) = (Vec::<String>::new(), texts.len());
        for (text, entry) in texts {
            match host_name::parse(&text) {
                Ok(parsed) => match parsed.iter().find(|name| names.contains(name)) {
                    Some(name) => {
                        let name = name.clone();
                        self.reader.fault_at(Fault::HostNameTwice { name }, &entry);
                    }
                    None => {
                        count += parsed.len() - 1;
                        names.extend(parsed);
                    }
                },
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
