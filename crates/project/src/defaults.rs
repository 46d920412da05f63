//! The bottom layer: the default of every key, and of every key of each site and files route
//! that the layers above have.

use figment::value::{Dict, Value};

use crate::key_path::KeyPath;
use crate::keys::{DEV, Default, HOOKS, PROXY, PYTHON, ROUTE, SERVER, SITE, Section, TLS};
use crate::toml::{self, index_of};

/// The defaults under the table `written`.
pub(crate) fn under(written: &Dict) -> Dict {
    let mut defaults = Dict::new();
    for (name, section) in [
        ("server", &SERVER),
        ("python", &PYTHON),
        ("hooks", &HOOKS),
        ("dev", &DEV),
    ] {
        defaults.insert(name.to_owned(), of(section).into());
    }
    if let Some(Value::Dict(_, sites)) = written.get("site") {
        let numbered = sites
            .iter()
            .filter(|(number, _)| index_of(number).is_some());
        let sites: Dict = numbered
            .map(|(number, site)| (number.clone(), of_site(site)))
            .collect();
        defaults.insert("site".to_owned(), sites.into());
    }
    defaults
}

/// The defaults of a section's keys.
pub(crate) fn of(section: &Section) -> Dict {
    let written = section.keys.iter().filter_map(|key| match key.default {
        Default::Toml(text) => {
            let (value, _) = toml::value(&KeyPath::default(), text).ok()?;
            Some((key.name.to_owned(), value))
        }
        Default::Said(_) | Default::Required => None,
    });
    written.collect()
}

fn of_site(site: &Value) -> Value {
    let mut defaults = of(&SITE);
    if site.find_ref("tls").is_some() {
        defaults.insert("tls".to_owned(), of(&TLS).into());
    }
    if let Some(Value::Dict(_, routes)) = site.find_ref("routes") {
        let routes: Dict = routes
            .iter()
            .filter_map(|(path, route)| Some((path.clone(), of_route(route)?)))
            .collect();
        if !routes.is_empty() {
            defaults.insert("routes".to_owned(), routes.into());
        }
    }
    defaults.into()
}

fn of_route(route: &Value) -> Option<Value> {
    if route.find_ref("files").is_some() {
        return Some(of(&ROUTE).into());
    }
    let proxy = route.find_ref("proxy")?.as_dict()?;
    proxy.contains_key("to").then(|| {
        let proxy = ("proxy".to_owned(), of(&PROXY).into());
        Dict::from([proxy]).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SECTIONS;

    #[test]
    fn every_default_is_toml() {
        for key in SECTIONS.iter().flat_map(|section| section.keys) {
            if let Default::Toml(text) = key.default {
                assert!(
                    toml::value(&KeyPath::default(), text).is_ok(),
                    "{}",
                    key.name
                );
            }
        }
    }
}
