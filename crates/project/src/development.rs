//! `appliance dev`: how a project that was written for production is read to develop it.
//!
//! What belongs to the machine it is deployed on is taken out of the file's layer, with defaults for
//! development below it; the environment and `--set` mean what they always mean.

use figment::value::{Dict, Value};

use crate::key_path::quoted;
use crate::toml::index_of;

/// How `appliance dev` was asked to read a project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Development {
    /// Where every site listens instead, as `listen` has it.
    pub listen: Option<String>,
    /// Whether addresses of the file may be open to other machines.
    pub allow_remote: bool,
}

/// Keys of the file that mean nothing on a developer's machine: privileges, the background, files of
/// the system, where lines go, and what would hide a traceback or wait for one who stops it.
const LEFT_OUT: [(&str, &[&str]); 2] = [
    (
        "server",
        &[
            "master",
            "user",
            "group",
            "daemonize",
            "pidfile",
            "stop_timeout",
            "log",
            "log_level",
            "log_format",
        ],
    ),
    (
        "python",
        &[
            "processes",
            "cpu_affinity",
            "preload",
            "warm_up",
            "max_lifetime",
        ],
    ),
];

/// The same of sites and routes.
const LEFT_OUT_OF_SITES: [&str; 8] = [
    "access_log",
    "access_log_format",
    "access_log_errors",
    "access_log_sample",
    "error_pages",
    "intercept",
    "maintenance_page",
    "rate_limit",
];

/// What an address brings along.
const OF_ADDRESSES: [&str; 4] = ["listen", "tls", "proxy_protocol", "http2"];

impl Development {
    /// Takes out of a file's table what is production's. Returns flags that say where its sites listen instead.
    pub(crate) fn adapt(&self, file: &mut Dict) -> Vec<String> {
        for (name, keys) in LEFT_OUT {
            if let Some(Value::Dict(_, table)) = file.get_mut(name) {
                table.retain(|key, _| !keys.contains(&key.as_str()));
            }
        }
        if let Some(Value::Dict(_, server)) = file.get_mut("server")
            && server.get("admin").is_some_and(|admin| !is_loopback(admin))
        {
            server.remove("admin");
        }
        let mut listen = Vec::new();
        for (number, site) in sites_of(file) {
            site.retain(|key, _| !LEFT_OUT_OF_SITES.contains(&key.as_str()));
            for (_, route) in routes_of(site) {
                route.retain(|key, _| !LEFT_OUT_OF_SITES.contains(&key.as_str()));
            }
            if let Some(address) = &self.listen {
                site.retain(|key, _| !OF_ADDRESSES.contains(&key.as_str()));
                listen.push(format!("site.{number}.listen={}", quoted(address)));
            }
        }
        listen
    }
}

/// What is not an address is reported where it is read.
fn is_loopback(admin: &Value) -> bool {
    let address = admin.as_str().and_then(|text| text.parse().ok());
    address.is_none_or(|address: std::net::SocketAddr| address.ip().is_loopback())
}

/// Puts development's defaults in the place of production's.
pub(crate) fn put_defaults(defaults: &mut Dict) {
    let mut put = |table: &str, key: &str, value: Value| {
        if let Some(Value::Dict(_, table)) = defaults.get_mut(table) {
            table.insert(key.to_owned(), value);
        }
    };
    put("python", "processes", 1.into());
    // What happens is said in the terminal, in other words.
    put("server", "log_level", "warn".into());
    put("server", "stop_timeout", "2s".into());
    for (_, site) in sites_of(defaults) {
        site.insert("access_log".to_owned(), "stderr".into());
    }
}

/// Every site, by its number.
pub(crate) fn sites_of(top: &mut Dict) -> impl Iterator<Item = (&String, &mut Dict)> {
    let sites = match top.get_mut("site") {
        Some(Value::Dict(_, sites)) => Some(sites),
        _ => None,
    };
    let sites = sites.into_iter().flatten();
    sites
        .filter(|(number, _)| index_of(number).is_some())
        .filter_map(|(number, site)| Some((number, table(site)?)))
}

/// Every route of a site.
pub(crate) fn routes_of(site: &mut Dict) -> impl Iterator<Item = (&String, &mut Dict)> {
    let routes = site.get_mut("routes").and_then(table);
    let routes = routes.into_iter().flatten();
    routes.filter_map(|(path, route)| Some((path, table(route)?)))
}

fn table(value: &mut Value) -> Option<&mut Dict> {
    match value {
        Value::Dict(_, dict) => Some(dict),
        _ => None,
    }
}
