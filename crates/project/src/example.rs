//! For a value that will not do, one that would: what `help:` says beneath it.

use crate::key_path::KeyPath;
use crate::keys::{CORS, DEV, Default, HOOKS, Key, Kind, PROXY, PYTHON, RATE_LIMIT, ROUTE, SERVER};
use crate::keys::{SITE, Section, TLS, TOP};

/// Values of keys whose default is none, or shows little.
static EXAMPLES: &[(&str, &str)] = &[
    ("admin", "\"127.0.0.1:9100\""),
    ("allow", "[\"10.0.0.0/8\"]"),
    ("backup", "\"http://127.0.0.1:3001\""),
    ("before_start", "[\"python manage.py migrate --noinput\"]"),
    ("body_limit", "\"20MB\""),
    ("burst", "20"),
    ("ca", "\"authority.pem\""),
    ("cache", "{ \"*.woff2\" = \"1y\" }"),
    ("certificate", "\"fullchain.pem\""),
    ("charset", "\"utf-8\""),
    ("chdir", "\"backend\""),
    ("client_ca", "\"clients.pem\""),
    ("client_certificate", "\"optional\""),
    ("client_crl", "\"revoked.pem\""),
    ("command", "[\"npm\", \"run\", \"dev\"]"),
    ("compress", "true"),
    ("connections_per_address", "100"),
    ("control", "\"/run/shop/control.sock\""),
    ("cors", "\"https://app.example.com\""),
    ("cpu_affinity", "1"),
    ("daemonize", "\"shop.log\""),
    ("deny", "[\"192.0.2.0/24\"]"),
    ("dev", "{ front = \"http://127.0.0.1:5173\" }"),
    ("env", "{ DJANGO_SETTINGS_MODULE = \"config.settings\" }"),
    (
        "error_pages",
        "{ 404 = \"404.html\", \"5xx\" = \"error.html\" }",
    ),
    ("expose", "[\"X-Total-Count\"]"),
    ("extensions", "[\".html\"]"),
    ("fallback", "\"/index.html\""),
    ("files", "\"dist\""),
    ("front", "\"http://127.0.0.1:5173\""),
    ("group", "\"www-data\""),
    ("headers", "{ X-Robots-Tag = \"noindex\" }"),
    ("health_check", "\"/healthz\""),
    (
        "hooks",
        "{ before_start = [\"python manage.py migrate --noinput\"] }",
    ),
    ("hsts", "\"30d\""),
    ("https_port", "443"),
    ("intercept", "true"),
    ("key", "\"privkey.pem\""),
    ("listen", "8080"),
    ("log_max_age", "\"7d\""),
    ("log_max_size", "\"100MB\""),
    ("maintenance_allow", "[\"10.0.0.0/8\"]"),
    ("maintenance_page", "\"maintenance.html\""),
    ("max_age", "\"1h\""),
    ("max_lifetime", "\"12h\""),
    ("max_requests", "10000"),
    ("memory_limit", "\"512MB\""),
    ("memory_soft_limit", "\"512MB\""),
    ("methods", "[\"GET\", \"HEAD\", \"POST\"]"),
    ("module", "\"config.wsgi:application\""),
    ("mount", "true"),
    ("origins", "[\"https://app.example.com\"]"),
    ("password_file", "\"staff.htpasswd\""),
    ("pidfile", "\"/run/shop/shop.pid\""),
    ("proxy", "\"http://127.0.0.1:3000\""),
    ("python", "{ module = \"config.wsgi:application\" }"),
    ("rate", "\"10/s\""),
    ("rate_limit", "\"10/s\""),
    ("read_write_paths", "[\"media\", \"data\"]"),
    ("realm", "\"Staff only\""),
    ("redirect", "\"/new\""),
    ("redirect_to_https", "true"),
    ("request_timeout", "\"60s\""),
    ("requests_per_connection", "1000"),
    ("requirements", "\"requirements.txt\""),
    ("respond", "404"),
    ("rewrite", "\"/new\""),
    ("routes", "{ \"/\" = { files = \"dist\" } }"),
    ("security_headers", "true"),
    ("sendfile_roots", "[\"media\"]"),
    ("server", "{ log_level = \"info\" }"),
    ("server_name", "\"shop.example.com\""),
    (
        "site",
        "[{ listen = 8080, routes = { \"/\" = { files = \"dist\" } } }]",
    ),
    ("spool", "\"/var/tmp\""),
    ("status", "301"),
    (
        "tls",
        "{ certificate = \"fullchain.pem\", key = \"privkey.pem\" }",
    ),
    ("to", "\"http://127.0.0.1:3000\""),
    ("trusted_proxies", "[\"10.0.0.0/8\"]"),
    (
        "types",
        "{ \".webmanifest\" = \"application/manifest+json\" }",
    ),
    ("umask", "\"027\""),
    ("user", "\"www-data\""),
    ("virtualenv", "\".venv\""),
    ("warm_up", "[\"/health\"]"),
    ("watch", "[\"data\"]"),
    ("wsgi", "true"),
];

/// What could be written at `path`, where `found` will not do.
pub(crate) fn of(path: &KeyPath, found: &str) -> Option<String> {
    let key = key_at(path)?;
    if let Some(meant) = without_quotes(key, found) {
        return Some(format!("write `{} = {meant}`, without quotes", key.name));
    }
    Some(match key.default {
        Default::Toml(text) if !is_empty(text) => {
            format!("`{} = {text}` is the default", key.name)
        }
        _ => format!("for example `{} = {}`", key.name, example(key)?),
    })
}

/// A value of the key.
pub(crate) fn example(key: &Key) -> Option<&'static str> {
    let listed = EXAMPLES.iter().find(|(name, _)| *name == key.name);
    match (listed, key.default) {
        (_, Default::Toml(text)) if !is_empty(text) => Some(text),
        (Some((_, text)), _) => Some(text),
        _ => None,
    }
}

/// Whether a default shows nothing of what may be written.
fn is_empty(default: &str) -> bool {
    default == "[]"
}

/// A number or flag that was written as a text.
fn without_quotes(key: &Key, found: &str) -> Option<String> {
    let text = found
        .trim_matches('`')
        .strip_prefix('"')?
        .strip_suffix('"')?;
    let fits = match key.kind {
        Kind::Flag => matches!(text, "true" | "false"),
        Kind::Count(min, max, _) => text.parse().is_ok_and(|n| (min..=max).contains(&n)),
        _ => false,
    };
    fits.then(|| text.to_owned())
}

/// The key whose value `path` is, or is a part of.
fn key_at(path: &KeyPath) -> Option<&'static Key> {
    below(&TOP, path.segments())
}

fn below(section: &'static Section, segments: &[String]) -> Option<&'static Key> {
    let (name, rest) = segments.split_first()?;
    let key = section.key(name)?;
    // A site's number and a route's path are no keys.
    let (inner, rest): (_, &[String]) = match key.name {
        "server" => (&SERVER, rest),
        "python" => (&PYTHON, rest),
        "hooks" => (&HOOKS, rest),
        "dev" => (&DEV, rest),
        "site" => (&SITE, rest.get(1..).unwrap_or_default()),
        "tls" => (&TLS, rest),
        "routes" => (&ROUTE, rest.get(1..).unwrap_or_default()),
        "rate_limit" => (&RATE_LIMIT, rest),
        "proxy" => (&PROXY, rest),
        "cors" => (&CORS, rest),
        _ => return Some(key),
    };
    Some(below(inner, rest).unwrap_or(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SECTIONS;

    #[test]
    fn every_key_has_an_example_and_every_example_a_key() {
        let keys = || {
            std::iter::once(&TOP)
                .chain(SECTIONS)
                .flat_map(|one| one.keys)
        };
        for key in keys() {
            let text = example(key).or(matches!(key.kind, Kind::Flag).then_some("true"));
            let text = text.unwrap_or_else(|| panic!("no example of `{}`", key.name));
            let value = crate::toml::value(&KeyPath::default(), text);
            assert!(value.is_ok(), "{}", key.name);
        }
        for (name, _) in EXAMPLES {
            assert!(keys().any(|key| key.name == *name), "{name}");
        }
        assert!(EXAMPLES.is_sorted());
    }

    #[test]
    fn a_path_leads_to_the_innermost_key() {
        for (path, expected) in [
            (&["server", "log"][..], Some("log")),
            (&["site", "0"], Some("site")),
            (&["site", "0", "listen", "1"], Some("listen")),
            (&["site", "0", "routes", "/a"], Some("routes")),
            (
                &["site", "0", "routes", "/a", "proxy", "to", "0"],
                Some("to"),
            ),
            (
                &["site", "0", "routes", "/a", "proxy", "http://b"],
                Some("proxy"),
            ),
            (&["site", "0", "cors", "max_age"], Some("max_age")),
            (&["nothing"], None),
        ] {
            let key = key_at(&KeyPath::new(path.iter().copied()));
            assert_eq!(key.map(|key| key.name), expected, "{path:?}");
        }
    }
}
