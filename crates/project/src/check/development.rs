//! `[dev]`, and what `appliance dev` makes of sites.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use figment::value::{Dict, Value};

use crate::development::{routes_of, sites_of};
use crate::fault::Fault;
use crate::key_path::quoted;
use crate::model::{Dev, Proxy, Target, TargetAddress, TargetProtocol};
use crate::reader::{Entry, Table};

use super::Check;
use super::paths::absolute;
use super::proxy::target;
use super::server::print_list;

/// Until hot updates come a WebSocket may be silent, and a server that is started has to be seen at
/// once.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

impl Check<'_, '_> {
    pub(super) fn dev(&mut self, table: &Table<'_>) -> Option<Dev> {
        let front = match table.entry("front") {
            None => Some(None),
            Some(_) => self.front(table).map(Some),
        };
        let command = self.reader.list(table, "command").and_then(|words| {
            let words: Vec<String> = words.into_iter().map(|(word, _)| word).collect();
            let entry = table.entry("command")?;
            Some(self.reader.accept(&entry, print_list(&words), words))
        });
        let watch = self.reader.list(table, "watch").and_then(|texts| {
            let paths: Vec<_> = texts
                .iter()
                .map(|(text, _)| absolute(&self.folder, text))
                .collect();
            let printed: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
            let entry = table.entry("watch")?;
            Some(self.reader.accept(&entry, print_list(&printed), paths))
        });
        Some(Dev {
            front: front?,
            command: command?,
            watch: watch?,
            remote: self
                .development
                .is_some_and(|asked| asked.allow_remote || asked.listen.is_some()),
        })
    }

    fn front(&mut self, table: &Table<'_>) -> Option<String> {
        let (text, entry) = self.reader.text(table, "front")?;
        if let Some(front) = front(&text) {
            return Some(self.reader.accept(&entry, quoted(&front), front));
        }
        let expected = "a server's URL without a path, such as \"http://127.0.0.1:5173\"";
        self.reader
            .expected(&entry, entry.path.clone(), expected.to_owned());
        None
    }

    /// Tracebacks and sources are for who sits at this machine.
    pub(super) fn stays_here(&mut self, addresses: &[SocketAddr], listen: &Entry<'_>) {
        let Some(development) = self.development else {
            return;
        };
        if development.allow_remote || development.listen.is_some() {
            return;
        }
        for address in addresses.iter().filter(|one| !one.ip().is_loopback()) {
            let entry = self.element(listen, *address);
            let address = *address;
            self.reader
                .fault_at(Fault::RemoteDevelopment { address }, &entry);
        }
    }
}

/// The server's URL, as routes have it: without a path.
fn front(text: &str) -> Option<String> {
    let text = text.strip_suffix('/').unwrap_or(text);
    let target = target(text, 1).ok().filter(|one| one.path.is_none())?;
    let is_tcp = matches!(target.address, TargetAddress::Tcp(..));
    let is_http = matches!(
        target.protocol,
        TargetProtocol::Http | TargetProtocol::Https
    );
    (is_tcp && is_http).then(|| text.to_owned())
}

/// Lets `dev.front` answer in the place of the single-page front's files. A wrong one is reported
/// where it stands, and nowhere else.
pub(super) fn to_front(merged: &mut Dict) {
    let dev = merged.get("dev").and_then(Value::as_dict);
    let Some(written) = dev.and_then(|dev| dev.get("front")).cloned() else {
        return;
    };
    let Some(url) = written.as_str().and_then(front) else {
        return;
    };
    for (_, site) in sites_of(merged) {
        let roots: Vec<String> = routes_of(site)
            .filter(|(path, route)| is_front(path, route))
            .filter_map(|(_, route)| files(route))
            .collect();
        for (_, route) in routes_of(site) {
            let folder = files(route);
            let is_inside = |root: &String| {
                let folder = folder.as_deref().map(|text| absolute(Path::new("/"), text));
                folder.is_some_and(|folder| folder.starts_with(absolute(Path::new("/"), root)))
            };
            if !route.contains_key("wsgi") && roots.iter().any(is_inside) {
                route.clear();
                route.insert(
                    "proxy".to_owned(),
                    Value::String(written.tag(), url.clone()),
                );
            }
        }
    }
}

fn is_front(path: &str, route: &Dict) -> bool {
    let is_alone = !route.contains_key("wsgi");
    is_alone && (path == "/" || route.contains_key("fallback"))
}

fn files(route: &Dict) -> Option<String> {
    route.get("files")?.as_str().map(str::to_owned)
}

/// Routes of the front wait for it as long as it takes, and see at once that it is there.
pub(super) fn be_patient(target: &mut Target, dev: &Dev) {
    let Some(Ok(front)) = dev.front.as_deref().map(|url| self::target(url, 1)) else {
        return;
    };
    if let Target::Proxy(proxy) = target
        && proxy.targets == [front]
    {
        *proxy = Proxy {
            response_timeout: PATIENCE,
            max_failures: u32::MAX,
            is_dev_front: true,
            ..proxy.clone()
        };
    }
}
