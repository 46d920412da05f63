//! What becomes of each of uWSGI's options: the one table of this source. As with nginx's, an
//! option that the table of keys has is carried over by that key's type and needs no row.

use appliance_project::Program;

use crate::fate::Fate::{self, Default, Missing, NotNeeded};
use crate::fate::{Row, find};

/// An option that is more than a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Construct {
    Callable,
    Chdir,
    Env,
    File,
    HookBeforeStart,
    Http,
    Master,
    Megabytes,
    Module,
    Mount,
    Pythonpath,
    Socket,
    StaticMap,
    Stats,
}

use Construct::*;
/// Names, and what becomes of them.
#[rustfmt::skip]
static ROWS: &[Row<Construct>] = &[
    // What is read by code of its own.
    (&["callable"], Fate::Construct(Callable)),
    (&["chdir", "chdir2"], Fate::Construct(Chdir)),
    (&["env", "setenv"], Fate::Construct(Env)),
    (&["wsgi-file", "file"], Fate::Construct(File)),
    (&["exec-asap", "exec-pre-app"], Fate::Construct(HookBeforeStart)),
    (&["http", "http-socket"], Fate::Construct(Http)),
    (&["socket", "uwsgi-socket"], Fate::Construct(Socket)),
    (&["master"], Fate::Construct(Master)),
    (&["limit-as", "reload-on-rss", "evil-reload-on-rss"], Fate::Construct(Megabytes)),
    (&["module", "wsgi"], Fate::Construct(Module)),
    (&["mount"], Fate::Construct(Mount)),
    (&["pythonpath", "pp", "python-path"], Fate::Construct(Pythonpath)),
    (&["static-map"], Fate::Construct(StaticMap)),
    (&["stats", "stats-server"], Fate::Construct(Stats)),

    // What appliance does by itself.
    (&["plugin", "plugins", "plugin-dir", "plugins-dir", "need-plugin", "need-plugins"], NotNeeded("Python is the virtual environment's own")),
    (&["enable-threads"], Default("Python has its threads; `python.threads` says how many take requests")),
    (&["master-fifo", "fifo0"], NotNeeded("`appliance reload` and `appliance stop` find the server by its project file")),
    (&["chown-socket", "abstract-socket"], NotNeeded("there is no socket between front and application")),
    // It was nginx that had to reach it: no site listens there.
    (&["chmod-socket"], Default("there is no socket between front and application")),
    (&["vacuum", "delete-pidfile"], Default("sockets and pidfile are always cleared away")),
    (&["listen"], Default("connections wait in the kernel's queue, `net.core.somaxconn` long")),
    (&["disable-logging", "disable-log"], Default("requests are not logged unless that is asked for")),
    (&["harakiri-verbose"], Default("a request that takes too long is logged with its stack")),
    (&["ignore-sigpipe", "ignore-write-errors", "disable-write-exception", "write-errors-tolerance"], Default("a client that leaves is no error of the application's")),
    (&["buffer-size-warning", "offload-threads", "offload-thread", "thread-stacksize", "threads-stacksize", "threads-stack-size", "no-threads-wait", "no-defer-accept", "so-keepalive", "so-send-timeout", "tcp-nodelay", "reuse-port", "map-socket", "add-header-buffer", "no-orphans", "procname", "procname-prefix", "procname-prefix-spaced", "procname-append", "procname-master", "auto-procname", "memory-report", "memory-report-full", "log-date", "show-config", "no-default-app", "honour-stdin", "close-on-exec", "close-on-exec2", "set-placeholder", "set-ph", "print", "wsgi-env-behaviour", "wsgi-env-behavior", "py-call-osafterfork", "skip-zero", "hook-touch", "py-call-uwsgi-fork-hooks", "wsgi-lite", "manage-script-name", "wsgi-strict", "wsgi-accept-buffer", "catch-exceptions-off"], NotNeeded("there is nothing to set")),
    (&["catch-exceptions"], Missing("visitors see no traceback; the log has it")),
    (&["http-auto-chunked", "http-chunked-input", "http-enable-proxy-protocol-off", "http-raw-body"], Default("chunked requests and responses are what HTTP/1.1 has anyway")),
    (&["http-processes", "http-workers", "http-buffer-size"], Default("every worker process has a front of its own")),
    (&["http-to", "http-route", "http-var", "http-modifier1", "http-modifier2"], NotNeeded("there is no socket between front and application")),
    (&["cheaper-initial", "cheaper-step", "cheaper-algo", "cheaper-overload", "cheaper-idle", "cheaper-rss-limit-soft", "cheaper-rss-limit-hard", "cheaper-busyness-multiplier", "cheaper-busyness-min", "cheaper-busyness-max", "cheaper-busyness-backlog-alert", "cheaper-busyness-backlog-step", "cheaper-busyness-backlog-multiplier", "cheaper-busyness-verbose", "cheaper-busyness-penalty", "cheap", "idle", "die-on-idle"], Default("the number of workers is fixed")),
    (&["auto-snapshot", "unsubscribe-on-graceful-reload", "no-fork", "fs-reload", "fs-brain-reload", "lazy-load", "touch-workers-reload", "touch-chain-reload", "touch-mules-reload", "brutal-reload", "reload-mercy", "mule-reload-mercy", "exit-on-reload"], Default("`appliance reload` starts successors before anything stops")),
    (&["reload-os-env"], Default("a reload reads the project file anew, `[python.env]` included")),
    (&["drop-after-init", "drop-after-apps", "setgid", "setuid"], NotNeeded("the service's own user")),

    // What has no counterpart.
    (&["logto2", "log-maxsize", "log-backupname", "log-truncate", "log-reopen", "logfile-chown", "logfile-chmod", "touch-logreopen", "touch-logrotate"], Missing("the log goes to standard error, for journald or the container to keep and rotate")),
    (&["logger", "req-logger", "log-req-encoder", "log-encoder", "log-route", "log-req-route", "log-format", "logformat", "logformat-strftime", "log-slow", "log-4xx", "log-5xx", "log-big", "log-master", "log-master-bufsize", "threaded-logger", "log-zero", "log-sendfile", "log-micros", "log-prefix", "log-ioerror", "log-socket", "log-syslog", "rsyslog"], Missing("set `site.access_log` and `server.log` by hand, whose formats are others")),
    (&["spooler", "spool", "spooler-processes", "spooler-external", "spooler-frequency", "spooler-ordered", "spooler-import", "import", "mule", "mules", "farm", "cron", "cron2", "unique-cron", "legion-cron", "timer", "rb-timer", "worker-exec", "attach-daemon", "attach-daemon2", "smart-attach-daemon", "smart-attach-daemon2", "legion", "signal"], Missing("only requests are served: run it as a service, timer or task queue of its own")),
    (&["import-module", "shared-import", "shared-py-import", "py-import", "spooler-python-import", "shared-pyimport", "pyimport", "post-fork-hook"], Missing("import it in the application's module")),
    (&["cache", "cache2", "cache-store", "sharedarea", "queue", "locks", "snmp", "carbon", "statsd", "stats-push", "metrics-dir", "metric", "enable-metrics"], Missing("the application needs a service for it (`server.admin` has metrics)")),
    (&["emperor", "vassals", "emperor-tyrant", "emperor-stats", "vassal-set", "fastrouter", "subscribe-to", "subscribe", "zerg", "zergpool", "zerg-server"], Missing("one appliance serves one project: a service for each")),
    (&["route", "route-host", "route-uri", "route-if", "route-if-not", "route-run", "route-label", "final-route", "error-route", "response-route", "route-remote-addr", "route-user-agent"], Missing("routes are `[site.routes]`: exact or prefixes")),
    (&["static-map2", "static-skip-ext", "static-safe", "static-gzip", "static-gzip-all", "static-gzip-dir", "static-cache-paths", "static-expires-uri", "static-expires-type", "static-expires-type-mtime", "static-expires-mtime", "static-expires-uri-mtime", "static-expires-path-info", "check-static", "check-static-docroot", "file-serve-mode", "fileserve-mode", "mimefile", "mime-file"], Missing("add a route: `\"/static/\" = { files = \"…\" }`; files are sent by sendfile, compressed neighbours first")),
    (&["https", "https-socket", "https2", "http-to-https", "sni", "ssl-option"], Missing("set `certificate` and `key` in `[site.tls]`")),
    (&["http2", "spdy", "http-websockets", "websockets", "http-socket2", "gevent-monkey-patch", "gevent-early-monkey-patch", "asyncio", "greenlet", "loop", "fiber", "ugreen", "coroae"], Missing("requests run in threads, see `python.threads`; websockets need a server of their own")),
    (&["chroot", "cap", "jailidx", "unshare", "cgroup", "pivot-root", "limit-nproc", "namespace", "umask"], Missing("belongs to the service: systemd's unit, or the container")),
    (&["max-fd"], Missing("the limit is that of the service: `LimitNOFILE=` in its unit")),
    (&["auto-restart", "need-app-off", "on-demand", "exec-post-app", "exec-as-root", "exec-as-user", "exec-as-user-atexit", "exec-pre-jail", "exec-post-jail", "hook-asap", "hook-pre-app", "hook-post-app", "hook-as-root", "hook-as-user", "hook-accepting1", "hook-accepting", "hook-as-user-atexit", "hook-master-start"], Missing("commands run by `hooks.before_start`, or by the service's unit")),
    (&["pyargv", "pyarg", "python-argv", "pymodule-alias", "eval", "profiler", "python-profiler", "paste", "ini-paste", "ini-paste-logged", "paste-logger", "pecan", "web3", "pump", "python-worker-override", "symexport", "post-pymodule-alias", "optimize", "py-tracebacker", "tracebacker", "reload-on-exception", "reload-on-exception-type", "reload-on-exception-value", "reload-on-exception-repr"], Missing("there is nothing like it: let the application's module do it")),
];

/// Options of one letter, as they stand on command lines.
pub(crate) static SHORT: &[(char, &str)] = &[
    ('s', "socket"),
    ('p', "processes"),
    ('w', "module"),
    ('H', "home"),
    ('M', "master"),
    ('d', "daemonize"),
    ('b', "buffer-size"),
    ('z', "socket-timeout"),
    ('t', "harakiri"),
    ('l', "listen"),
    ('C', "chmod-socket"),
    ('R', "max-requests"),
    ('L', "disable-logging"),
    ('i', "single-interpreter"),
    ('x', "xml"),
    ('y', "yaml"),
    ('j', "json"),
    ('T', "enable-threads"),
    ('m', "memory-report"),
    ('r', "reaper"),
];

/// Options that take no value on a command line.
pub(crate) static FLAGS: &[&str] = &[
    "master",
    "vacuum",
    "enable-threads",
    "die-on-term",
    "need-app",
    "lazy-apps",
    "lazy",
    "single-interpreter",
    "thunder-lock",
    "disable-logging",
    "harakiri-verbose",
    "memory-report",
    "ignore-sigpipe",
    "ignore-write-errors",
    "disable-write-exception",
    "no-orphans",
    "strict",
    "log-x-forwarded-for",
    "auto-procname",
    "http-keepalive",
    "http-auto-chunked",
    "manage-script-name",
    "catch-exceptions",
    "honour-stdin",
    "log-master",
    "threaded-logger",
    "reuse-port",
    "tcp-nodelay",
    "so-keepalive",
    "enable-proxy-protocol",
    "log-date",
    "reaper",
    "cheap",
    "py-call-osafterfork",
];

/// What becomes of an option of this name.
pub(crate) fn fate(name: &str) -> Fate<Construct> {
    // uWSGI's names have hyphens; underscores are a slip that it lets pass without effect.
    find(ROWS, Program::Uwsgi, &name.replace('_', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fate::assert_one_row_each;

    #[test]
    fn a_name_has_one_row() {
        assert_one_row_each(ROWS);
    }

    #[test]
    fn every_flag_and_letter_stands_for_an_option_that_is_known() {
        for name in FLAGS.iter().chain(SHORT.iter().map(|(_, name)| name)) {
            let loads = ["xml", "yaml", "json", "reaper"].contains(name);
            assert!(loads || fate(name) != Fate::Unknown, "{name}");
        }
    }
}
