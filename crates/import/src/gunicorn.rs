//! gunicorn's command line. `gunicorn.conf.py` is a program, which is not run to find out what it
//! sets: its settings have the same names.

use crate::Import;
use crate::command::Word;
use crate::convert::Bare;
use crate::nginx_address;
use crate::report::Verdict;
use crate::source::Place;

/// What becomes of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// This key of this table says the same.
    Key(&'static str, &'static str),
    /// Code of its own reads it.
    Construct(Construct),
    /// Replaced by a default.
    Default(&'static str),
    /// Not needed any more.
    NotNeeded(&'static str),
    /// Not supported, and what to do.
    Missing(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Construct {
    Bind,
    Chdir,
    Config,
    Env,
    Pythonpath,
    WorkerClass,
}

use Fate::{Default, Key, Missing, NotNeeded};

/// Long name, letter or a space, whether it takes a value, and what becomes of it.
#[rustfmt::skip]
static ROWS: &[(&str, char, bool, Fate)] = &[
    ("bind", 'b', true, Fate::Construct(Construct::Bind)),
    ("chdir", ' ', true, Fate::Construct(Construct::Chdir)),
    ("config", 'c', true, Fate::Construct(Construct::Config)),
    ("env", 'e', true, Fate::Construct(Construct::Env)),
    ("pythonpath", ' ', true, Fate::Construct(Construct::Pythonpath)),
    ("worker-class", 'k', true, Fate::Construct(Construct::WorkerClass)),
    ("workers", 'w', true, Key("[python]", "processes")),
    ("threads", ' ', true, Key("[python]", "threads")),
    ("timeout", 't', true, Key("[python]", "request_timeout")),
    ("max-requests", ' ', true, Key("[python]", "max_requests")),
    ("graceful-timeout", ' ', true, Key("[server]", "stop_timeout")),
    ("keep-alive", ' ', true, Key("[server]", "keep_alive_timeout")),
    ("limit-request-fields", ' ', true, Key("[server]", "head_fields")),
    ("pid", 'p', true, Key("[server]", "pidfile")),
    ("log-level", ' ', true, Key("[server]", "log_level")),
    ("worker-connections", ' ', true, Key("[server]", "connections")),
    ("max-requests-jitter", ' ', true, Default("`max_requests` is spread over workers by itself")),
    ("limit-request-line", ' ', true, Default("the whole head is bounded, by `server.head_limit`")),
    ("limit-request-field_size", ' ', true, Default("the whole head is bounded, by `server.head_limit`")),
    ("preload", ' ', false, Key("[python]", "preload")),
    ("backlog", ' ', true, Default("connections wait in the kernel's queue, `net.core.somaxconn` long")),
    ("worker-tmp-dir", ' ', true, NotNeeded("workers beat over a pipe, not a file")),
    ("capture-output", ' ', false, Default("what the application prints is in the log")),
    ("enable-stdio-inheritance", 'R', false, Default("what the application prints is in the log")),
    ("name", 'n', true, NotNeeded("processes are named for their project file")),
    ("reuse-port", ' ', false, NotNeeded("every worker has sockets of its own")),
    ("no-sendfile", ' ', false, NotNeeded("files are sent as their size asks for")),
    ("sendfile", ' ', false, NotNeeded("files are sent as their size asks for")),
    ("tmp-upload-dir", ' ', true, Key("[python]", "spool")),
    ("umask", 'm', true, Key("[server]", "umask")),
    ("daemon", 'D', false, Default("appliance stays in the foreground, for systemd or a container to run")),
    ("user", 'u', true, Key("[server]", "user")),
    ("group", 'g', true, Key("[server]", "group")),
    ("access-logfile", ' ', true, Missing("set `site.access_log` and `server.log` by hand, whose formats are others")),
    ("access-logformat", ' ', true, Missing("set `site.access_log` and `server.log` by hand, whose formats are others")),
    ("disable-redirect-access-to-syslog", ' ', false, NotNeeded("there is nothing to set")),
    ("error-logfile", ' ', true, Default("the log goes to standard error")),
    ("log-file", ' ', true, Default("the log goes to standard error")),
    ("log-config", ' ', true, Missing("configure logging in the application")),
    ("log-config-dict", ' ', true, Missing("configure logging in the application")),
    ("log-syslog", ' ', false, Missing("set `server.log = \"syslog\"`")),
    ("logger-class", ' ', true, Missing("configure logging in the application")),
    ("statsd-host", ' ', true, Missing("`server.admin` has metrics for Prometheus")),
    ("statsd-prefix", ' ', true, Missing("`server.admin` has metrics for Prometheus")),
    ("dogstatsd-tags", ' ', true, Missing("`server.admin` has metrics for Prometheus")),
    ("reload", ' ', false, Missing("`appliance reload` takes up new code")),
    ("reload-engine", ' ', true, Missing("`appliance reload` takes up new code")),
    ("reload-extra-file", ' ', true, Missing("`appliance reload` takes up new code")),
    ("forwarded-allow-ips", ' ', true, Missing("nginx is gone; if another proxy stays in front, list it in `server.trusted_proxies`")),
    ("proxy-allow-from", ' ', true, Missing("list the proxies in `server.trusted_proxies`")),
    ("proxy-protocol", ' ', false, Missing("`site.proxy_protocol = true`, with the proxies in `server.trusted_proxies`")),
    ("secure-scheme-headers", ' ', true, Missing("trusted proxies send `X-Forwarded-Proto`")),
    ("forwarder-headers", ' ', true, Missing("trusted proxies send `X-Forwarded-*` or `Forwarded`")),
    ("certfile", ' ', true, Missing("set `certificate` and `key` in `[site.tls]`")),
    ("keyfile", ' ', true, Missing("set `certificate` and `key` in `[site.tls]`")),
    ("ca-certs", ' ', true, Missing("set `client_ca` in `[site.tls]`")),
    ("ssl-version", ' ', true, Default("TLS has one good set of parameters")),
    ("ciphers", ' ', true, Default("TLS has one good set of parameters")),
    ("paste", ' ', true, Missing("write a module that makes the application, and name it in `python.module`")),
    ("paster", ' ', true, Missing("write a module that makes the application, and name it in `python.module`")),
    ("spew", ' ', false, Missing("use a debugger with `appliance serve --no-supervisor`")),
    ("check-config", ' ', false, NotNeeded("`appliance check` does it")),
    ("print-config", ' ', false, NotNeeded("`appliance check --show` does it")),
    ("initgroups", ' ', false, NotNeeded("the service's own")),
    ("strip-header-spaces", ' ', false, NotNeeded("such requests are refused")),
    ("permit-obsolete-folding", ' ', false, Missing("such requests are refused")),
    ("permit-unconventional-http-method", ' ', false, NotNeeded("methods are the application's")),
    ("permit-unconventional-http-version", ' ', false, Missing("such requests are refused")),
    ("casefold-http-method", ' ', false, Missing("methods are passed on as they are")),
    ("header-map", ' ', true, Default("fields with underscores never reach the application")),
];

/// Reads gunicorn's arguments.
pub(crate) fn import(import: &mut Import<'_>, words: &[Word]) {
    import.python.program = Some("gunicorn");
    let options = options(import, words);
    // Paths count from there, wherever it stands.
    for (name, value, place) in &options {
        if name == "chdir" {
            import.python.chdir = Some((value.clone(), *place));
        }
    }
    for (name, value, place) in options {
        one(import, &name, &value, place);
    }
    // Without an address, a file of settings or a socket of systemd's may have one: it is left open.
}

fn options(import: &mut Import<'_>, words: &[Word]) -> Vec<(String, String, Place)> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        at += 1;
        let Some((row, inline)) = row(&word.text) else {
            match word.text.starts_with('-') {
                true => import.row(
                    word.place,
                    Verdict::Missing,
                    "the importer does not know this option of gunicorn's",
                ),
                false => import.python.module = Some((word.text.clone(), word.place)),
            }
            continue;
        };
        let (name, _, takes_value, _) = *row;
        let (value, place) = match (inline, words.get(at)) {
            (Some(value), _) => (value, word.place),
            (None, Some(next)) if takes_value => {
                at += 1;
                (next.text.clone(), word.place.to(next.place))
            }
            _ => (String::new(), word.place),
        };
        out.push((name.to_owned(), value, place));
    }
    out
}

type Row = (&'static str, char, bool, Fate);

/// The row of `--workers`, `--workers=4`, `-w`, `-w4`, and the value in the word.
fn row(word: &str) -> Option<(&'static Row, Option<String>)> {
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (long, None),
        };
        let row = ROWS.iter().find(|(other, ..)| *other == name)?;
        return Some((row, value));
    }
    let rest = word.strip_prefix('-')?;
    let letter = rest.chars().next()?;
    let row = ROWS
        .iter()
        .find(|(_, short, ..)| *short == letter && letter != ' ')?;
    let value = rest[letter.len_utf8()..].trim_start_matches('=');
    Some((row, (!value.is_empty()).then(|| value.to_owned())))
}

fn one(import: &mut Import<'_>, name: &str, value: &str, place: Place) {
    let Some((.., fate)) = ROWS.iter().find(|(other, ..)| *other == name) else {
        return;
    };
    match *fate {
        Key(_, "max_requests" | "request_timeout") if value == "0" => {
            import.row(
                place,
                Verdict::Default,
                "0 is no bound of its own: the default holds",
            );
        }
        Key(_, "log_level") if matches!(value, "warning" | "critical") => {
            let word = if value == "warning" { "warn" } else { "error" };
            import.set(("[server]", "log_level"), &[word], Bare::Bytes, place);
        }
        Key(header, key) => import.set((header, key), &[value], Bare::Bytes, place),
        Default(text) => import.row(place, Verdict::Default, text),
        NotNeeded(text) => import.row(place, Verdict::NotNeeded, text),
        Missing(text) => import.row(place, Verdict::Missing, text),
        Fate::Construct(construct) => self::construct(import, construct, value, place),
    }
}

fn construct(import: &mut Import<'_>, construct: Construct, value: &str, place: Place) {
    match construct {
        Construct::Chdir => {}
        Construct::Bind => bind(import, value, place),
        Construct::Config => {
            let text = "a program, which is not run: write its settings by hand; `appliance import` reads those of the command line";
            import.python.unread = true;
            import.row(place, Verdict::Missing, text);
        }
        Construct::Env => import.variable(value, place),
        Construct::Pythonpath => {
            let folders = value.split(',').filter(|folder| !folder.is_empty());
            let folders: Vec<_> = folders.map(|folder| (folder.to_owned(), place)).collect();
            import.python.pythonpath.extend(folders);
        }
        Construct::WorkerClass => match value.rsplit('.').next().unwrap_or_default() {
            "sync" | "gthread" | "ThreadWorker" | "SyncWorker" => {
                import.row(place, Verdict::Default, "requests run in threads");
            }
            value if value.to_lowercase().contains("uvicorn") => {
                import.row(
                    place,
                    Verdict::Missing,
                    "appliance runs WSGI applications, and this one is ASGI",
                );
            }
            _ => import.row(
                place,
                Verdict::Missing,
                "requests run in threads: set `python.threads` to how many may wait at once",
            ),
        },
    }
}

/// Where nginx reached it, or visitors did.
fn bind(import: &mut Import<'_>, value: &str, place: Place) {
    let address = nginx_address(value);
    let is_socket = address.starts_with("unix:") || value.starts_with("fd://");
    import.python.bound.push(address.clone());
    if is_socket {
        return import.row(
            place,
            Verdict::NotNeeded,
            "there is no socket between front and application",
        );
    }
    let written = match value.rsplit_once(':') {
        Some(("localhost", port)) => format!("127.0.0.1:{port}"),
        Some(("", port)) => format!("0.0.0.0:{port}"),
        Some((_, port)) if port.parse::<u16>().is_ok() => value.to_owned(),
        _ => address,
    };
    import.python.http.push((written, place));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_one() {
        for (name, _, _, fate) in ROWS {
            if let Key(header, key) = fate {
                assert!(appliance_project::kind(header, key).is_some(), "{name}");
            }
        }
    }

    #[test]
    fn options_are_read_in_every_form() {
        for (word, name, value) in [
            ("--workers=4", "workers", Some("4")),
            ("--workers", "workers", None),
            ("-w4", "workers", Some("4")),
            ("-w", "workers", None),
        ] {
            let (row, inline) = row(word).unwrap();
            assert_eq!((row.0, inline.as_deref()), (name, value), "{word}");
        }
        assert!(row("shop.wsgi").is_none());
        assert!(row("-").is_none());
    }
}
