//! `[server]` and `[hooks]`.

use std::net::SocketAddr;

use crate::fault::Fault;
use crate::key_path::quoted;
use crate::model::{Forwarded, Hooks, Server};
use crate::network::Network;
use crate::reader::{Entry, Table};

use super::Check;
use super::application::optional;

impl Check<'_, '_> {
    pub(super) fn server(&mut self, table: &Table<'_>) -> Option<Server> {
        let master = self.reader.flag(table, "master");
        let stop_timeout = self.reader.duration(table, "stop_timeout");
        let account = self.account(table);
        let umask = optional(table, "umask", || self.umask(table));
        let no_new_privileges = self.reader.flag(table, "no_new_privileges");
        let read_write_paths = optional(table, "read_write_paths", || {
            self.folders(table, "read_write_paths")
        });
        if let (Some(false), Some(entry)) = (no_new_privileges, table.entry("read_write_paths")) {
            self.reader.fault_at(Fault::PathsWithPrivileges, &entry);
        }
        let daemonize = optional(table, "daemonize", || {
            Some(self.path(table, "daemonize")?.0)
        });
        if let (Some(false), Some(entry)) = (master, table.entry("daemonize")) {
            self.reader.fault_at(Fault::DaemonWithoutMaster, &entry);
        }
        let control = optional(table, "control", || Some(self.path(table, "control")?.0));
        let pidfile = optional(table, "pidfile", || Some(self.path(table, "pidfile")?.0));
        let admin = optional(table, "admin", || self.admin(table));
        let log = self.log(table);
        let head_limit = self.reader.size(table, "head_limit");
        let head_fields = self.reader.count(table, "head_fields");
        let head_timeout = self.reader.duration(table, "head_timeout");
        let keep_alive_timeout = self.reader.duration(table, "keep_alive_timeout");
        let connections = self.reader.count(table, "connections");
        let per_address = self.bound(table, "connections_per_address");
        let requests = self.bound(table, "requests_per_connection");
        let http2_streams = self.reader.count(table, "http2_streams");
        let trusted_proxies = self.trusted_proxies(table);
        let socket_mode = self.mode(table, "socket_mode");
        let forwarded = self.reader.choice(table, "forwarded");
        Some(Server {
            master: master?,
            stop_timeout: stop_timeout?,
            account: account?,
            umask: umask?,
            no_new_privileges: no_new_privileges?,
            read_write_paths: read_write_paths?,
            daemonize: daemonize?,
            control: control?,
            pidfile: pidfile?,
            admin: admin?,
            log: log?,
            head_limit_bytes: usize::try_from(head_limit?).ok()?,
            head_fields: head_fields??,
            head_timeout: head_timeout?,
            keep_alive_timeout: keep_alive_timeout?,
            connections: connections??,
            connections_per_address: per_address?,
            requests_per_connection: requests?.map(|count| count as u64),
            http2_streams: u32::try_from(http2_streams??).ok()?,
            trusted_proxies: trusted_proxies?,
            socket_mode: socket_mode?,
            forwarded: match forwarded? {
                "forwarded" => Forwarded::Forwarded,
                _ => Forwarded::XForwarded,
            },
        })
    }

    fn trusted_proxies(&mut self, table: &Table<'_>) -> Option<Vec<Network>> {
        let networks = self.networks(table, "trusted_proxies")?;
        for (network, entry) in &networks {
            if network.is_everything() {
                let network = *network;
                let place = self.reader.value_place(entry);
                self.reader.warn(Fault::TrustsAll { network }, place);
            }
        }
        Some(networks.into_iter().map(|(network, _)| network).collect())
    }

    /// A list of networks, each with its place.
    pub(super) fn networks<'d>(
        &mut self,
        table: &Table<'d>,
        name: &str,
    ) -> Option<Vec<(Network, Entry<'d>)>> {
        let texts = self.reader.list(table, name)?;
        let (mut networks, count) = (Vec::new(), texts.len());
        for (found, entry) in texts {
            match Network::parse(&found) {
                Ok(network) => networks.push((network, entry)),
                Err(problem) => {
                    let key = table.path.join(name);
                    let fault = Fault::Network {
                        key,
                        found,
                        problem,
                    };
                    self.reader.fault_at(fault, &entry);
                }
            }
        }
        let entry = table.entry(name)?;
        let printed: Vec<String> = networks.iter().map(|(one, _)| one.to_string()).collect();
        (networks.len() == count)
            .then(|| self.reader.accept(&entry, print_list(&printed), networks))
    }

    /// A count that may be left out; `None` inside if it is.
    fn bound(&mut self, table: &Table<'_>, name: &str) -> Option<Option<usize>> {
        match table.entry(name) {
            None => Some(None),
            Some(_) => self.reader.count(table, name),
        }
    }

    /// No port alone: what is open to everybody should have been meant to be.
    fn admin(&mut self, table: &Table<'_>) -> Option<SocketAddr> {
        let (text, entry) = self.reader.text(table, "admin")?;
        match text.parse() {
            Ok(address) => Some(self.reader.accept(&entry, quoted(&text), address)),
            Err(_) => {
                let expected = "an address with a port, such as \"127.0.0.1:9100\"".to_owned();
                self.reader.expected(&entry, entry.path.clone(), expected);
                None
            }
        }
    }

    pub(super) fn hooks(&mut self, table: &Table<'_>) -> Option<Hooks> {
        let commands = self.reader.list(table, "before_start")?;
        let before_start: Vec<String> = commands.into_iter().map(|(text, _)| text).collect();
        let entry = table.entry("before_start")?;
        let printed = print_list(&before_start);
        Some(self.reader.accept(&entry, printed, Hooks { before_start }))
    }
}

/// `["a", "b"]`.
pub(super) fn print_list<T: AsRef<str>>(texts: &[T]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quoted(text.as_ref())).collect();
    format!("[{}]", quoted.join(", "))
}
