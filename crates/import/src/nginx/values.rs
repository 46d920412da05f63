//! Directives whose value takes more than its key's type to read.

use std::path::Path;

use appliance_project::kind;

use crate::report::Verdict;

use super::level::{Level, Reader};
use super::scope::Scope;
use super::tree::Directive;

/// Variables that the application has anyway: those of `uwsgi_params`, and what configurations add
/// to them.
const STANDARD_PARAMS: [&str; 20] = [
    "QUERY_STRING",
    "REQUEST_METHOD",
    "CONTENT_TYPE",
    "CONTENT_LENGTH",
    "REQUEST_URI",
    "PATH_INFO",
    "DOCUMENT_ROOT",
    "SERVER_PROTOCOL",
    "REQUEST_SCHEME",
    "HTTPS",
    "REMOTE_ADDR",
    "REMOTE_PORT",
    "SERVER_PORT",
    "SERVER_NAME",
    "HTTP_HOST",
    "UWSGI_SCHEME",
    "HTTP_X_REAL_IP",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_HOST",
];

/// Whether a variable is one of nginx's `uwsgi_params`.
pub(super) fn is_standard_param(name: &str) -> bool {
    STANDARD_PARAMS.contains(&name)
}

impl Reader<'_, '_> {
    pub(super) fn index(&mut self, directive: &Directive, scope: &mut Scope) {
        let fit = |name: &&String| !name.contains(['/', '$']) && !name.starts_with('.');
        let names: Vec<String> = directive.args.iter().filter(fit).cloned().collect();
        let (verdict, text) = match names.as_slice() {
            [only] if only == "index.html" => (Verdict::Default, "`index.html` is the default"),
            _ if names.len() < directive.args.len() => {
                (Verdict::Missing, "only plain names are tried for a folder")
            }
            _ => (Verdict::Carried, "`index` of the routes with files"),
        };
        self.row(directive.place, verdict, text);
        scope.index = Some((names, directive.place));
    }

    /// 0 is no bound; here the widest stands for it.
    pub(super) fn body_size(&mut self, level: Level, directive: &Directive, scope: &mut Scope) {
        let word = directive.arg();
        let word = if word == "0" { "1t" } else { word };
        if let Some(of) = kind("[[site]]", "body_limit") {
            self.set(
                level,
                directive,
                ("[[site]]", "body_limit", of),
                &[word],
                scope,
            );
        }
    }

    /// Where it goes, and the least level.
    pub(super) fn error_log(&mut self, level: Level, directive: &Directive, scope: &mut Scope) {
        if matches!(level, Level::Server | Level::Location) {
            let text = "there is one log for the whole server, `server.log`";
            return self.row(directive.place, Verdict::Missing, text);
        }
        let word = directive.args.get(1).map_or("error", String::as_str);
        let text = match word {
            "info" | "notice" => "`server.log_level` is `info` by default",
            // What nginx's packages come with, or does unless told; here life-cycle events are worth
            // their lines.
            "warn" | "error" | "crit" | "alert" | "emerg" => {
                "`server.log_level` stays `info`, which tells of reloads and replaced workers"
            }
            "debug" => "`server.log_level = \"debug\"`",
            _ => return self.row(directive.place, Verdict::Missing, "this level is not known"),
        };
        self.log_file(level, directive, scope);
        let verdict = match word {
            "debug" => {
                let server = &mut self.import.draft.server;
                server.assume("log_level", "debug", "nginx's error_log");
                Verdict::Carried
            }
            _ => Verdict::Default,
        };
        self.row(directive.place, verdict, text);
    }

    /// The file of `error_log`; standard error is the default.
    fn log_file(&mut self, level: Level, directive: &Directive, scope: &mut Scope) {
        let to = directive.arg();
        if matches!(to, "stderr" | "/dev/stderr") {
            return;
        }
        if to == "/dev/null" {
            let text =
                "the log goes to standard error: it holds what the application prints as well";
            return self.row(directive.place, Verdict::Default, text);
        }
        let target = match to.split_once(':') {
            Some(("syslog", options)) => syslog(options),
            Some(("memory", _)) => {
                let text = "no log is kept in memory: `appliance top` and `/status` show what runs";
                return self.row(directive.place, Verdict::Missing, text);
            }
            _ => self.resolve(to),
        };
        if let Some(of) = kind("[server]", "log") {
            self.set(level, directive, ("[server]", "log", of), &[&target], scope);
        }
    }

    /// 0 turns keeping connections off, and a second value is only told to the client.
    pub(super) fn keepalive_timeout(
        &mut self,
        level: Level,
        directive: &Directive,
        scope: &mut Scope,
    ) {
        let zero = crate::convert::duration(&[directive.arg()]) == Some(0);
        let (name, word) = match zero {
            true => ("requests_per_connection", "1"),
            false => ("keep_alive_timeout", directive.arg()),
        };
        if let Some(of) = kind("[server]", name) {
            self.set(level, directive, ("[server]", name, of), &[word], scope);
        }
    }

    /// `4 32k`: so many buffers of that size, together the bound of a head.
    pub(super) fn large_headers(&mut self, level: Level, directive: &Directive, scope: &mut Scope) {
        let [count, size] = directive.args.as_slice() else {
            return self.row(
                directive.place,
                Verdict::Missing,
                "needs a number and a size",
            );
        };
        let size = crate::convert::size(size, crate::convert::Bare::Bytes);
        let total = size.zip(count.parse::<u64>().ok());
        let total = total.and_then(|(size, count)| size.checked_mul(count));
        let of = kind("[server]", "head_limit");
        if let (Some(total), Some(of)) = (total, of) {
            let total = total.to_string();
            self.set(
                level,
                directive,
                ("[server]", "head_limit", of),
                &[&total],
                scope,
            );
        } else {
            self.row(directive.place, Verdict::Missing, "its size cannot be read");
        }
    }

    pub(super) fn limit_conn(&mut self, level: Level, directive: &Directive, scope: &mut Scope) {
        let count = directive.args.get(1).map_or("", String::as_str);
        if let Some(of) = kind("[server]", "connections_per_address") {
            let key = ("[server]", "connections_per_address", of);
            self.set(level, directive, key, &[count], scope);
        }
    }

    /// nginx makes the folder. Spooled files have no name here, so the folder above it will do.
    pub(super) fn temp_path(&mut self, level: Level, directive: &Directive, scope: &mut Scope) {
        let folder = self.resolve(directive.arg());
        let disk = self.import.disk;
        let above = Path::new(&folder).parent().filter(|above| {
            !disk.is_folder(Path::new(&folder)) && above.parent().is_some() && disk.is_folder(above)
        });
        let folder = above.map_or_else(|| folder.clone(), |above| above.display().to_string());
        if let Some(of) = kind("[python]", "spool") {
            self.set(
                level,
                directive,
                ("[python]", "spool", of),
                &[&folder],
                scope,
            );
        }
    }

    pub(super) fn map(&mut self, directive: &Directive) {
        let text = match directive.args.last().map_or("", String::as_str) {
            "$connection_upgrade" => {
                "websockets pass through routes with `proxy` by themselves; WSGI has none"
            }
            _ => "there are no variables: look at where this one is used",
        };
        self.row(directive.place, Verdict::Missing, text);
    }

    pub(super) fn params(&mut self, directive: &Directive) {
        let name = directive.arg();
        match name {
            "SCRIPT_NAME" => self.row(
                directive.place,
                Verdict::Trap,
                "SCRIPT_NAME is always empty: set Django's `FORCE_SCRIPT_NAME`, or Flask's `APPLICATION_ROOT`",
            ),
            "UWSGI_SCRIPT" | "UWSGI_MODULE" | "UWSGI_CALLABLE" | "UWSGI_CHDIR" | "UWSGI_PYHOME" | "UWSGI_FILE" => {
                self.row(directive.place, Verdict::Missing, "the application is `python.module`, one for the project");
            }
            _ if is_standard_param(name) => {
                self.row(directive.place, Verdict::NotNeeded, "environ holds it");
            }
            _ => self.row(
                directive.place,
                Verdict::Missing,
                "environ has no keys of one's own: the application may read `[python.env]` from `os.environ`",
            ),
        }
    }

    pub(super) fn real_ip_header(&mut self, directive: &Directive) {
        match directive.arg().to_ascii_lowercase().as_str() {
            "x-forwarded-for" => self.row(
                directive.place,
                Verdict::Default,
                "`server.forwarded = \"x-forwarded\"` is the default",
            ),
            "forwarded" => {
                self.import
                    .draft
                    .server
                    .assume("forwarded", "forwarded", "nginx's real_ip_header");
                self.row(
                    directive.place,
                    Verdict::Carried,
                    "`server.forwarded = \"forwarded\"`",
                );
            }
            "proxy_protocol" => self.row(
                directive.place,
                Verdict::Default,
                "with `site.proxy_protocol` the client's address is the protocol's",
            ),
            other => {
                let text = format!(
                    "trusted proxies have to send `X-Forwarded-For` or `Forwarded`, not `{other}`"
                );
                self.row(directive.place, Verdict::Missing, text);
            }
        }
    }

    pub(super) fn worker_processes(&mut self, directive: &Directive) {
        let text = "every Python process has a front of its own: see `python.processes`";
        self.row(directive.place, Verdict::Default, text);
    }

    pub(super) fn condition(&mut self, directive: &Directive) {
        let restricts = directive.inner().iter().any(|inner| {
            inner.name == "return" && matches!(inner.arg(), "401" | "403" | "404" | "444" | "405")
        });
        let maintains = directive.arg().contains("-f")
            && (directive.inner().iter())
                .any(|inner| inner.name == "return" && inner.arg() == "503");
        if maintains {
            let text = "`appliance maintenance on` does it, and `maintenance_page` is its page";
            return self.row(directive.place, Verdict::Default, text);
        }
        let text = "there are no conditions: let the application decide";
        let (verdict, text) = match restricts {
            true => (
                Verdict::Trap,
                format!("what was refused here is let through: {text}"),
            ),
            false => (Verdict::Missing, text.to_owned()),
        };
        self.row(directive.place, verdict, text);
    }
}

/// `server=192.0.2.1:514,facility=local7` or `server=unix:/dev/log`, as `server.log` names it.
fn syslog(options: &str) -> String {
    let server = options
        .split(',')
        .find_map(|option| option.strip_prefix("server="));
    match server.map(|server| (server, server.strip_prefix("unix:"))) {
        None => "syslog".to_owned(),
        Some((_, Some(socket))) => format!("syslog:{socket}"),
        Some((server, None)) => format!("syslog://{server}"),
    }
}
