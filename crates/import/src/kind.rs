//! What a file configures: by its name, and where that says nothing by what it begins with.

use std::path::Path;

/// A source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Nginx,
    UwsgiIni,
    UwsgiXml,
    UwsgiYaml,
    UwsgiJson,
    Systemd,
    Unit,
}

/// The kind of a file; none for what is none of them.
pub(crate) fn of(path: &Path, text: &str) -> Option<Kind> {
    let extension = path
        .extension()
        .map(|extension| extension.to_string_lossy().to_lowercase());
    let lines = || text.lines().map(str::trim);
    let has = |line: &str| lines().any(|other| other == line);
    let begin = text.trim_start_matches('\u{feff}').trim_start();
    match extension.as_deref() {
        Some("service") => Some(Kind::Systemd),
        Some("xml") => Some(Kind::UwsgiXml),
        Some("yaml" | "yml") => Some(Kind::UwsgiYaml),
        Some("ini") => Some(Kind::UwsgiIni),
        Some("py" | "toml" | "sh" | "md" | "html" | "js" | "css" | "socket" | "timer") => None,
        _ if begin.starts_with('{') => {
            match begin.contains("\"uwsgi\"") && !begin.contains("\"listeners\"") {
                true => Some(Kind::UwsgiJson),
                false => Some(Kind::Unit),
            }
        }
        _ if begin.starts_with("<uwsgi") || begin.starts_with("<?xml") => Some(Kind::UwsgiXml),
        _ if has("[uwsgi]") => Some(Kind::UwsgiIni),
        _ if has("[Service]") => Some(Kind::Systemd),
        _ if has("uwsgi:") => Some(Kind::UwsgiYaml),
        // What is left and has nginx's punctuation; its own reader says what is wrong with it.
        Some("conf") => Some(Kind::Nginx),
        _ if text.contains([';', '{', '}']) => Some(Kind::Nginx),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_name_or_by_what_they_hold() {
        for (path, text, expected) in [
            ("nginx.conf", "", Some(Kind::Nginx)),
            ("sites-enabled/shop", "server {\n}", Some(Kind::Nginx)),
            ("uwsgi.ini", "", Some(Kind::UwsgiIni)),
            ("shop.conf", "# c\n[uwsgi]\n", Some(Kind::UwsgiIni)),
            ("uwsgi.xml", "", Some(Kind::UwsgiXml)),
            ("config", "<uwsgi>", Some(Kind::UwsgiXml)),
            ("uwsgi.yml", "", Some(Kind::UwsgiYaml)),
            ("shop.service", "", Some(Kind::Systemd)),
            ("unit", "[Service]\n", Some(Kind::Systemd)),
            ("config.json", " {\"listeners\": {}}", Some(Kind::Unit)),
            ("uwsgi.json", "{\"uwsgi\": {}}", Some(Kind::UwsgiJson)),
            ("gunicorn.conf.py", "bind = 1;", None),
            ("notes", "hello", None),
            ("empty", "", None),
        ] {
            assert_eq!(of(Path::new(path), text), expected, "{path}");
        }
    }
}
