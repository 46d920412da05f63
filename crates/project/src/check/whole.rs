//! What only shows when the whole project is seen: sites that clash, and routes that need an
//! application.

use std::net::SocketAddr;
use std::path::Path;

use figment::value::Value;

use crate::fault::{Fault, TlsFault, UwsgiFault};
use crate::key_path::KeyPath;
use crate::model::{Server, Site};
use crate::reader::{Entry, Table, whole};
use crate::toml::is_indexed;

use super::Check;
use super::application::is_wsgi;

impl Check<'_, '_> {
    /// Compares every site with those before it.
    pub(super) fn across_sites(&mut self, sites: &[(usize, Site)], top: &Table<'_>) {
        for (i, (number, site)) in sites.iter().enumerate() {
            let key = |name: &str| site_entry(top, *number, name);
            for address in &site.listen {
                self.clash(&sites[..=i], *address, key("listen"));
                for (other, earlier) in &sites[..i] {
                    if earlier.listen.contains(address) {
                        self.same_https(site, (*other, earlier), *address, key("listen"));
                        let element = key("listen").map(|listen| self.element(&listen, *address));
                        let place = (address.to_string(), element);
                        let uwsgi = |site: &Site| site.uwsgi.addresses.contains(address);
                        self.same_uwsgi(uwsgi(site), uwsgi(earlier), *other, &place);
                        self.same_protocol(site, (*other, earlier), &place);
                        self.same_http2(site, (*other, earlier), &place);
                        self.same_listener(site, (*other, earlier), &place, &key);
                    }
                }
            }
            for path in &site.unix {
                for (other, earlier) in &sites[..i] {
                    if earlier.unix.contains(path) {
                        let element = key("listen").map(|listen| self.unix_element(&listen, path));
                        let place = (format!("unix:{}", path.display()), element);
                        let uwsgi = |site: &Site| site.uwsgi.unix.contains(path);
                        self.same_uwsgi(uwsgi(site), uwsgi(earlier), *other, &place);
                        self.same_protocol(site, (*other, earlier), &place);
                        self.same_http2(site, (*other, earlier), &place);
                        self.same_listener(site, (*other, earlier), &place, &key);
                    }
                }
            }
        }
    }

    /// Two addresses of one port, one of which is part of the other.
    fn clash(&mut self, sites: &[(usize, Site)], address: SocketAddr, listen: Option<Entry<'_>>) {
        let others = sites.iter().flat_map(|(_, site)| &site.listen);
        let before = others.take_while(|other| **other != address);
        let part = |other: &&SocketAddr| {
            other.port() == address.port()
                && address.port() != 0
                && other.is_ipv4() == address.is_ipv4()
                && (other.ip().is_unspecified() || address.ip().is_unspecified())
        };
        if let (Some(other), Some(entry)) = (before.copied().find(|other| part(&other)), listen) {
            let entry = self.element(&entry, address);
            self.reader
                .fault_at(Fault::AddressClash { address, other }, &entry);
        }
    }

    /// The element of the list which says `address`, for a caret under it alone.
    pub(super) fn element<'d>(&self, listen: &Entry<'d>, address: SocketAddr) -> Entry<'d> {
        let says = |entry: &Entry<'_>| {
            let text = match entry.value {
                Value::String(_, text) => text.clone(),
                other => whole(other)
                    .map(|port| port.to_string())
                    .unwrap_or_default(),
            };
            super::address::parse(&text).is_ok_and(|(parsed, _)| parsed == address)
        };
        let elements = self.reader.elements(listen);
        elements
            .into_iter()
            .find(says)
            .unwrap_or_else(|| listen.clone())
    }

    /// The same for a unix socket.
    fn unix_element<'d>(&self, listen: &Entry<'d>, path: &Path) -> Entry<'d> {
        let says = |entry: &Entry<'_>| {
            let text = entry.value.as_str().unwrap_or_default();
            super::address::unix(text, &self.folder)
                .is_some_and(|found| found.is_ok_and(|(found, _)| found == path))
        };
        let mut elements = self.reader.elements(listen).into_iter();
        elements.find(says).unwrap_or_else(|| listen.clone())
    }

    /// `place` is the address, and where it stands.
    fn same_listener<'d>(
        &mut self,
        site: &Site,
        (other, earlier): (usize, &Site),
        (address, element): &(String, Option<Entry<'d>>),
        key: &impl Fn(&str) -> Option<Entry<'d>>,
    ) {
        let both_unnamed = site.server_name.is_empty() && earlier.server_name.is_empty();
        if let (true, Some(entry)) = (both_unnamed, element) {
            let address = address.clone();
            self.reader
                .fault_at(Fault::TwoUnnamed { address, other }, entry);
        }
        let is_any = |site: &Site| site.default || site.server_name.is_empty();
        let by_default = site.default || earlier.default;
        if let (true, Some(entry)) = (
            by_default && is_any(site) && is_any(earlier),
            key("default").filter(|_| site.default).or(key("listen")),
        ) {
            let both = site.default && earlier.default;
            let fault = Fault::TwoDefaults {
                address: address.clone(),
                other,
                both,
            };
            self.reader.fault_at(fault, &entry);
        }
        let Some(names) = key("server_name") else {
            return;
        };
        let elements = match names.value {
            Value::Array(..) => self.reader.elements(&names),
            _ => vec![names],
        };
        for entry in elements {
            let names = super::host_name::parse(entry.value.as_str().unwrap_or_default());
            let mut names = names.unwrap_or_default().into_iter();
            if let Some(name) = names.find(|name| earlier.server_name.contains(name)) {
                self.reader.fault_at(
                    Fault::SameName {
                        name,
                        address: address.clone(),
                        other,
                    },
                    &entry,
                );
            }
        }
    }

    /// Whether TLS and the PROXY protocol are spoken is settled before a site is known.
    fn same_https(
        &mut self,
        site: &Site,
        (other, earlier): (usize, &Site),
        address: SocketAddr,
        listen: Option<Entry<'_>>,
    ) {
        let here = site.https.contains(&address);
        if let (true, Some(listen)) = (here != earlier.https.contains(&address), &listen) {
            let fault = TlsFault::Differs {
                address,
                here,
                other,
            };
            let entry = self.element(listen, address);
            self.reader.fault_at(Fault::Tls(fault), &entry);
        }
    }

    fn same_uwsgi(
        &mut self,
        here: bool,
        there: bool,
        other: usize,
        (address, element): &(String, Option<Entry<'_>>),
    ) {
        if let (true, Some(entry)) = (here != there, element) {
            let fault = UwsgiFault::Differs {
                address: address.clone(),
                here,
                other,
            };
            self.reader.fault_at(Fault::Uwsgi(fault), entry);
        }
    }

    fn same_protocol(
        &mut self,
        site: &Site,
        (other, earlier): (usize, &Site),
        (address, element): &(String, Option<Entry<'_>>),
    ) {
        let here = site.proxy_protocol;
        if let (true, Some(entry)) = (here != earlier.proxy_protocol, element) {
            let fault = Fault::ProxyProtocolDiffers {
                address: address.clone(),
                here,
                other,
            };
            self.reader.fault_at(fault, entry);
        }
    }

    /// Neither is it known when a connection begins with HTTP/2.
    fn same_http2(
        &mut self,
        site: &Site,
        (other, earlier): (usize, &Site),
        (address, element): &(String, Option<Entry<'_>>),
    ) {
        let (here, there) = (site.http2, earlier.http2);
        if let (true, Some(entry)) = (here != there, element) {
            let fault = Fault::Http2Differs {
                address: address.clone(),
                here: here.as_str(),
                there: there.as_str(),
                other,
            };
            self.reader.fault_at(fault, entry);
        }
    }

    /// A header of the PROXY protocol is taken from trusted proxies alone, so there must be some; and
    /// so are uwsgi packets, but for those of gateways on this machine.
    pub(super) fn proxies_of_sites(
        &mut self,
        sites: &[(usize, Site)],
        server: &Server,
        top: &Table<'_>,
    ) {
        if !server.trusted_proxies.is_empty() {
            return;
        }
        for (number, _) in sites.iter().filter(|(_, site)| site.proxy_protocol) {
            if let Some(entry) = site_entry(top, *number, "proxy_protocol") {
                self.reader.fault_at(Fault::NobodyTrusted, &entry);
            }
        }
        for (number, site) in sites {
            let mut addresses = site.uwsgi.addresses.iter();
            let open = addresses.find(|address| !address.ip().is_loopback());
            if let (Some(address), Some(listen)) = (open, site_entry(top, *number, "listen")) {
                let fault = UwsgiFault::NobodyTrusted { address: *address };
                let entry = self.element(&listen, *address);
                self.reader.fault_at(Fault::Uwsgi(fault), &entry);
            }
        }
    }

    /// A `wsgi` route needs `python.module`. Looks at what was written, so that another mistake
    /// in the same site does not hide this one.
    pub(super) fn application_of_routes(&mut self, top: &Table<'_>) {
        let Some(Value::Dict(_, python)) = top.dict.get("python") else {
            return;
        };
        // A `[[python]]` has been reported; its `module` stands one level below.
        if python.contains_key("module") || is_indexed(python) {
            return;
        }
        let sites = top.dict.get("site").and_then(Value::as_dict);
        let sites = sites.into_iter().flatten();
        let site_path = KeyPath::new(["site"]);
        for (number, site) in sites {
            let routes = site.find_ref("routes").and_then(Value::as_dict);
            for (route, value) in routes
                .into_iter()
                .flatten()
                .filter(|(_, value)| is_wsgi(value))
            {
                let path = site_path
                    .join(number.as_str())
                    .join("routes")
                    .join(route.as_str());
                let place = self.reader.key_place(&path.join("wsgi"), value);
                self.reader.error(
                    Fault::NoModule {
                        route: route.clone(),
                    },
                    place,
                );
            }
        }
    }
}

/// The value of a site's key.
fn site_entry<'d>(top: &Table<'d>, number: usize, name: &str) -> Option<Entry<'d>> {
    let number = number.to_string();
    let site = top.dict.get("site")?.as_dict()?.get(&number)?.as_dict()?;
    let path = KeyPath::new(["site", number.as_str(), name]);
    Some(Entry {
        path,
        value: site.get(name)?,
    })
}
