//! Every key of project.toml: its type, default, range, meaning, and what nginx and uWSGI call
//! it. The reader takes ranges from here, the bottom layer its defaults, messages their
//! suggestions and docs/project-file.md its tables, so that none of them can disagree.

use std::time::Duration;

use crate::units::{print_duration, print_size};

/// One table of the file.
#[derive(Debug)]
pub(crate) struct Section {
    /// As it is written: `[python]`.
    pub(crate) header: &'static str,
    /// What it is about.
    pub(crate) about: &'static str,
    /// Its keys, in the order of the reference.
    pub(crate) keys: &'static [Key],
}

/// One key.
#[derive(Debug)]
pub(crate) struct Key {
    /// As it is written.
    pub(crate) name: &'static str,
    /// Type and range.
    pub(crate) kind: Kind,
    /// What holds when it is left out.
    pub(crate) default: Default,
    /// For the reference.
    pub(crate) meaning: &'static str,
    /// nginx's names for it.
    pub(crate) nginx: &'static [&'static str],
    /// uWSGI's names for it.
    pub(crate) uwsgi: &'static [&'static str],
}

/// The type of a value, with its range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// A whole number from the first to the second; with a third `true`, also `"auto"`.
    Count(u64, u64, bool),
    /// Bytes, from the first to the second.
    Size(u64, u64),
    /// Milliseconds, from the first to the second.
    Duration(u64, u64),
    /// A string.
    Text,
    /// A folder or file, relative to the project file's folder.
    Path,
    /// One of these strings.
    Choice(&'static [&'static str]),
    /// A list of strings.
    List,
    /// A string or a list of strings.
    TextOrList,
    /// An answer's status or its text.
    StatusOrText,
    /// `true`, or a callable's name.
    TrueOrCallable,
    /// A port, an address or a list of both.
    Listen,
    /// A table of strings with free keys.
    Strings,
    /// A path, or `false` for none.
    PathOrFalse,
    /// A rate, or a table with one.
    RateLimit,
    /// Other servers: a URL, several, or a table of URLs and weights.
    Targets,
    /// Fields and what is done to them.
    Headers,
    /// Origins, or a table with them.
    Cors,
    /// Statuses and their files.
    ErrorPages,
    /// A string, or `false` for none.
    TextOrFalse,
    /// `true`, `false` or a list of types.
    FlagOrTypes,
    /// The table of routes.
    Routes,
    /// A table with keys of its own.
    Table,
}

/// What holds when a key is left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Default {
    /// This value, in TOML.
    Toml(&'static str),
    /// What this phrase says; filled in where the key is read.
    Said(&'static str),
    /// Nothing: it must be written.
    Required,
}

const KB: u64 = 1 << 10;
const MB: u64 = 1 << 20;
const TB: u64 = 1 << 40;
/// The range of the clocks of a connection. They are looked at once a second, so less than that
/// cannot be kept.
const CLOCK: Kind = Kind::Duration(1000, 3_600_000);
/// The range of bounds on connections. Linux lets no process open more files by default
/// (`fs.nr_open`).
const CONNECTIONS: Kind = Kind::Count(1, 1 << 20, false);

/// syslog's facilities, in the order of their codes (RFC 5424 §6.2.1); those between `ftp` and
/// `local0` have no name that programs agree on.
const FACILITIES: &[&str] = &[
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

const fn key(name: &'static str, kind: Kind, default: Default, meaning: &'static str) -> Key {
    Key {
        name,
        kind,
        default,
        meaning,
        nginx: &[],
        uwsgi: &[],
    }
}

impl Key {
    const fn nginx(mut self, names: &'static [&'static str]) -> Key {
        self.nginx = names;
        self
    }

    const fn uwsgi(mut self, names: &'static [&'static str]) -> Key {
        self.uwsgi = names;
        self
    }
}

/// The top of the file.
pub(crate) static TOP: Section = Section {
    header: "project.toml",
    about: "",
    keys: &[
        key(
            "server",
            Kind::Table,
            Default::Said("every key its default"),
            "",
        ),
        key(
            "python",
            Kind::Table,
            Default::Said("every key its default"),
            "",
        ),
        key("hooks", Kind::Table, Default::Said("none"), ""),
        key("dev", Kind::Table, Default::Said("none"), ""),
        key("site", Kind::Table, Default::Required, ""),
    ],
};

/// `[server]`.
pub(crate) static SERVER: Section = Section {
    header: "[server]",
    about: "The processes, their log, and what holds before a request's site is known: heads and connections.",
    keys: &[
        key("master", Kind::Flag, Default::Toml("true"), "Whether a supervisor watches the workers. With `false` the process becomes the one worker itself, for platforms which restart it and for debugging.")
            .nginx(&["master_process"])
            .uwsgi(&["master"]),
        key("stop_timeout", Kind::Duration(0, 3_600_000), Default::Toml("\"30s\""), "How long running requests may go on after a stop was asked for.")
            .nginx(&["worker_shutdown_timeout"])
            .uwsgi(&["worker-reload-mercy"]),
        key("user", Kind::Text, Default::Said("whoever starts the server"), "The user that workers, hooks, `python -m venv` and pip run as, by name or number, with the groups it is a member of. The supervisor stays root, as nginx's master does, so that a reload may listen on further ports below 1024: it opens sockets and starts processes, and neither speaks HTTP nor runs Python. Needs a start as root.")
            .nginx(&["user"])
            .uwsgi(&["uid"]),
        key("group", Kind::Text, Default::Said("the user's own"), "The group they run as, in place of the user's own. Only with `user`.")
            .uwsgi(&["gid"]),
        key("umask", Kind::Text, Default::Said("that of whoever starts the server"), "The permissions that files made by workers, hooks and pip do not get, in octal: `\"027\"`.")
            .uwsgi(&["umask"]),
        key("no_new_privileges", Kind::Flag, Default::Toml("true"), "Whether workers, and what they start, are kept from further privileges (`PR_SET_NO_NEW_PRIVS`, no capabilities, none to be had). `false` where the application starts programs that are setuid or setgid, such as `sudo`, `ping` or Postfix's `sendmail`: they have no effect otherwise."),
        key("read_write_paths", Kind::List, Default::Said("wherever the user may write"), "Folders that exist: the only ones to which workers may write, and what they start, beside the temporary folder, `spool`, `/dev/shm` and the terminal (Landlock, from Linux 5.13 on; from 6.2 on for truncate(2), too). Reading stays as it is, and so do hooks and pip. For SQLite the database's folder, since its journal lies beside it. A folder that is removed and made anew counts after a reload. A kernel that has no Landlock is warned of at the start."),
        key("daemonize", Kind::Path, Default::Said("none: it stays in the foreground, for systemd or a container to run"), "A file. `appliance serve` goes on in the background, with this file for its standard output and error, and the command returns when the site serves; if it does not come to that, with the error and its exit status. Where `log` names no file, it goes there; opened and begun anew as that is.")
            .uwsgi(&["daemonize", "daemonize2"]),
        key("control", Kind::Path, Default::Said("a name made of the project file's path, in `$RUNTIME_DIRECTORY`, `/run/appliance` (root), `$XDG_RUNTIME_DIR/appliance` or `appliance-UID` in the temporary folder"), "The control socket, by which `appliance status`, `reload` and `stop` find the server. Mode 0600: only its owner and root may use it.")
            .uwsgi(&["master-fifo"]),
        key("pidfile", Kind::Path, Default::Said("none"), "A file that holds the process id for as long as the server lives. Locked; one that a dead server left behind is taken over.")
            .nginx(&["pid"])
            .uwsgi(&["pidfile", "safe-pidfile"]),
        key("admin", Kind::Text, Default::Said("none"), "An address, such as `\"127.0.0.1:9100\"`, at which the supervisor serves `/healthz`, `/readyz`, `/metrics` (Prometheus) and `/status` (JSON). For machines that may see them only: there is no password.")
            .nginx(&["stub_status"])
            .uwsgi(&["stats", "stats-server"]),
        key("log", Kind::Text, Default::Toml("\"stderr\""), "Where the log goes, with what the application and hooks print: `\"stderr\"`, `\"stdout\"`, a file, `\"syslog\"` (by `/dev/log`), `\"syslog:/path/to/socket\"` or `\"syslog://192.0.2.1:514\"` (UDP, RFC 5424). A file is opened anew after `appliance reopen` or SIGUSR1. Under systemd `\"stderr\"` is the journal, and each line carries its level.")
            .nginx(&["error_log"])
            .uwsgi(&["logto", "logto2", "logger", "rsyslog", "log-syslog"]),
        key("log_level", Kind::Choice(&["error", "warn", "info", "debug"]), Default::Toml("\"info\""), "The least level of what is written."),
        key("log_format", Kind::Choice(&["text", "json"]), Default::Toml("\"text\""), "`\"json\"`: each line is an object with `time`, `level`, `process`, `message` and the event's own fields. What the application prints is then such a line as well, unless it goes to standard error or output.")
            .uwsgi(&["log-encoder"]),
        key("log_max_size", Kind::Size(64 * KB, TB), Default::Said("no bound"), "Size at which a log file is renamed to `NAME.1` and begun anew; `NAME.1` becomes `NAME.2`, and so on. No line is lost or cut. Holds for the files of access logs as well, as the two keys below do.")
            .uwsgi(&["log-maxsize"]),
        key("log_max_age", Kind::Duration(60_000, 31_536_000_000), Default::Said("no bound"), "Age at which the same is done."),
        key("log_keep", Kind::Count(1, 10_000, false), Default::Toml("5"), "How many renamed files are kept.")
            .uwsgi(&["log-backupname"]),
        key("log_facility", Kind::Choice(FACILITIES), Default::Toml("\"daemon\""), "The facility of what goes to syslog."),
        key("log_tag", Kind::Text, Default::Toml("\"appliance\""), "The program's name in syslog.")
            .uwsgi(&["log-prefix"]),
        key("head_limit", Kind::Size(KB, MB), Default::Toml("\"64KB\""), "The request line and the header fields, together. A longer request line is answered 414, longer fields 431.")
            .nginx(&["large_client_header_buffers", "client_header_buffer_size"])
            .uwsgi(&["buffer-size"]),
        key("head_fields", Kind::Count(1, 1000, false), Default::Toml("100"), "The header fields of a request. More of them are answered 431."),
        key("head_timeout", CLOCK, Default::Toml("\"20s\""), "How long a request's head may take to arrive, from its first byte or, on a new connection, from the start. Later it is answered 408.")
            .nginx(&["client_header_timeout"])
            .uwsgi(&["http-headers-timeout"]),
        key("keep_alive_timeout", CLOCK, Default::Toml("\"75s\""), "How long a connection may stay open between two requests.")
            .nginx(&["keepalive_timeout"])
            .uwsgi(&["http-keepalive"]),
        key("connections", CONNECTIONS, Default::Toml("16384"), "Open connections, per worker. With as many, the one that has idled longest is closed for a new one; while none is idle, new ones wait.")
            .nginx(&["worker_connections"]),
        key("connections_per_address", CONNECTIONS, Default::Said("no bound"), "Open connections of one client's address, per worker. Further ones are closed at once. Clients behind one network address translator share theirs; trusted proxies are not counted.")
            .nginx(&["limit_conn", "limit_conn_zone"]),
        key("requests_per_connection", Kind::Count(1, 1_000_000_000, false), Default::Said("no bound"), "Requests after which a connection is closed. 1: no connection is kept open.")
            .nginx(&["keepalive_requests"]),
        key("http2_streams", Kind::Count(1, 10_000, false), Default::Toml("128"), "Requests that a client may have open at once on one HTTP/2 connection. Further ones are refused, to be sent again.")
            .nginx(&["http2_max_concurrent_streams"]),
        key("trusted_proxies", Kind::TextOrList, Default::Toml("[]"), "Addresses and networks, such as `\"10.0.0.0/8\"`, `\"::1\"` or `\"unix:\"` (all peers of unix sockets), of the proxies which say who the client is. From everybody else the fields by which proxies do so are removed: `Forwarded`, `X-Forwarded-*`, `X-Real-IP`, `Remote-User`, `X-SSL-*` and the like.")
            .nginx(&["set_real_ip_from"]),
        key("socket_mode", Kind::Text, Default::Toml("\"660\""), "The permissions of unix sockets in `listen`, in octal; who may write may connect. With `user`, they belong to that user and group, which a proxy in front has to be a member of; `\"666\"` lets everybody in, as nginx does. A socket that a dead server left behind is taken away, one at which somebody answers is not. A reload changes the permissions of those that are there.")
            .uwsgi(&["chmod-socket"]),
        key("forwarded", Kind::Choice(&["x-forwarded", "forwarded"]), Default::Toml("\"x-forwarded\""), "Where the trusted proxies say it: `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`, or `Forwarded` (RFC 7239). The other kind is removed, since no proxy has looked at it. The client is the last address that is not itself a trusted proxy.")
            .nginx(&["real_ip_header"]),
    ],
};

/// `[python]`.
pub(crate) static PYTHON: Section = Section {
    header: "[python]",
    about: "The application and the pool that runs it. May be left out when no route is `wsgi`.",
    keys: &[
        key("chdir", Kind::Path, Default::Said("the project file's folder"), "The application's working folder, first on `sys.path`.")
            .uwsgi(&["chdir", "pythonpath", "pp"]),
        key("module", Kind::Text, Default::Said("none; required by a `wsgi` route"), "The WSGI application: `\"package.module:callable\"`; the callable defaults to `application`.")
            .uwsgi(&["module", "wsgi", "wsgi-file", "callable"]),
        key("virtualenv", Kind::Path, Default::Said("none: the interpreter itself runs the workers"), "The virtual environment whose Python runs the application. It must exist, unless `requirements` is set.")
            .uwsgi(&["virtualenv", "home", "venv", "pyhome"]),
        key("interpreter", Kind::Text, Default::Toml("\"python3\""), "The Python that creates the virtual environment, or runs the workers without one: a name looked up in `PATH`, or a path.")
            .uwsgi(&["plugin", "plugins"]),
        key("requirements", Kind::Path, Default::Said("none: the virtual environment is left alone"), "A requirements file. The virtual environment is created and filled when it is missing or the file has changed."),
        key("env", Kind::Strings, Default::Said("none"), "Environment variables for workers, hooks and pip: a table of strings.")
            .uwsgi(&["env", "setenv"]),
        key("processes", Kind::Count(1, 512, true), Default::Toml("\"auto\""), "Worker processes. `\"auto\"` is the number of CPUs this process may use, CPU affinity and container quota included; one without a supervisor.")
            .nginx(&["worker_processes"])
            .uwsgi(&["processes", "workers"]),
        key("threads", Kind::Count(1, 1024, false), Default::Toml("4"), "Python threads in each worker: the requests it runs at once.")
            .uwsgi(&["threads", "enable-threads"]),
        key("cpu_affinity", Kind::Count(1, 512, false), Default::Said("none: workers run wherever the kernel puts them"), "CPUs that each worker is bound to: with 1, the first worker to the first CPU that this process may use, the second to the next, and so on, from the first again when there are no more. Its threads then wake each other without crossing CPUs, which a lone request notices most. For machines that serve this project and little else: what takes up a bound worker's CPU slows it down while others are idle, and programs that the application starts are bound like it.")
            .nginx(&["worker_cpu_affinity"])
            .uwsgi(&["cpu-affinity"]),
        key("preload", Kind::Flag, Default::Toml("false"), "Whether the application is imported once, and workers are forked from the process that did: they share its memory, and one that is replaced starts at once. What it opens while it is imported (a connection to a database, a file) all workers share, too; an application that starts threads meanwhile is imported by each worker itself. A reload imports it anew."),
        key("start_timeout", Kind::Duration(1_000, 3_600_000), Default::Toml("\"2m\""), "How long a worker may take to import the application. One that takes longer has failed: the start ends, a reload leaves what serves, a replaced worker serves on."),
        key("warm_up", Kind::List, Default::Toml("[]"), "Paths that a new worker asks of its own application before it accepts connections: at the start, at a reload, and where a worker is replaced. One that is answered 5xx, raises an exception or takes longer than `request_timeout` has failed, as one that cannot be imported. `Host` is the first `server_name` of the first site with a `wsgi` route, or `localhost`."),
        key("queue", Kind::Count(1, 65536, false), Default::Toml("512"), "Requests which may wait for a Python thread, per worker. Beyond it the answer is 503 with Retry-After."),
        key("request_timeout", Kind::Duration(1000, 86_400_000), Default::Toml("\"60s\""), "How long the application may take until it sends something: its head, or more of its response. Then the answer is 504, Python's stack is in the log, and `appliance.RequestTimeout`, which is no `Exception`, is raised in that thread. A request that keeps the GIL gets no exception; if it does so for `timeout_grace`, its worker is replaced.")
            .nginx(&["uwsgi_read_timeout"])
            .uwsgi(&["harakiri"]),
        key("timeout_grace", Kind::Duration(1000, 3_600_000), Default::Toml("\"10s\""), "How long a thread may take to come back from a request that has timed out. Then its worker is replaced.")
            .uwsgi(&["harakiri-graceful-timeout"]),
        key("queue_timeout", Kind::Duration(1000, 3_600_000), Default::Toml("\"30s\""), "How long a request may wait for a Python thread. Then the answer is 503 with Retry-After. `request_timeout` begins after it."),
        key("max_requests", Kind::Count(1, 1_000_000_000, false), Default::Said("no bound"), "Requests after which a worker is replaced, plus up to a tenth, so that workers which started together do not leave together. Its successor is ready before it goes, here and below.")
            .uwsgi(&["max-requests"]),
        key("max_lifetime", Kind::Duration(1000, 31_536_000_000), Default::Said("no bound"), "Age at which a worker is replaced, plus up to a tenth.")
            .uwsgi(&["max-worker-lifetime"]),
        key("memory_soft_limit", Kind::Size(MB, TB), Default::Said("four fifths of the machine's or container's memory, divided by `processes` + 1; none without a supervisor"), "Memory of its own (resident, without mapped files) at which a worker is replaced. At least one and a half times what it takes when it is ready.")
            .uwsgi(&["reload-on-rss", "evil-reload-on-rss"]),
        key("memory_limit", Kind::Size(16 * MB, TB), Default::Said("no bound"), "Address space that a worker may take besides what an empty one has (RLIMIT_AS). An allocation beyond it is a `MemoryError` in that request. Each thread takes 8 MB of it.")
            .uwsgi(&["limit-as"]),
        key("body_buffer", Kind::Size(0, 64 * MB), Default::Toml("\"64KB\""), "The part of a request body kept in memory; a longer body is spooled to a file before the application is called.")
            .nginx(&["client_body_buffer_size"])
            .uwsgi(&["post-buffering"]),
        key("response_buffer", Kind::Size(KB, 64 * MB), Default::Toml("\"256KB\""), "The part of a response that waits for a slow client in memory; what follows is spooled.")
            .nginx(&["uwsgi_buffers", "uwsgi_buffer_size"]),
        key("response_spool", Kind::Size(0, TB), Default::Toml("\"1GB\""), "The part of a response that waits for a slow client in a file without a name. Beyond it, or when the file cannot be written, the application's thread waits as well. 0: nothing is spooled.")
            .nginx(&["uwsgi_max_temp_file_size"]),
        key("spool", Kind::Path, Default::Said("the system's temporary folder"), "The folder of spooled request bodies and responses. What lies in a tmpfs takes memory.")
            .nginx(&["client_body_temp_path", "uwsgi_temp_path"]),
    ],
};

/// `[hooks]`.
pub(crate) static HOOKS: Section = Section {
    header: "[hooks]",
    about: "Commands around the life of the server.",
    keys: &[
        key("before_start", Kind::List, Default::Toml("[]"), "Shell commands run in order, in `python.chdir`, with the virtual environment's programs first in `PATH`, before the first worker starts. One that fails stops the start.")
            .uwsgi(&["exec-asap", "exec-pre-app"]),
    ],
};

/// `[dev]`.
pub(crate) static DEV: Section = Section {
    header: "[dev]",
    about: "For `appliance dev` alone (docs/develop.md); `appliance serve` reads it and does nothing with it.",
    keys: &[
        key(
            "front",
            Kind::Text,
            Default::Said("none: files are served as they are"),
            "The front's development server, such as Vite's `\"http://127.0.0.1:5173\"`. It answers in the place of the single-page front's files, WebSockets for hot updates included: routes of files with a `fallback`, the one at `/`, and those of folders inside theirs.",
        ),
        key(
            "command",
            Kind::List,
            Default::Toml("[]"),
            "The program that is started and stopped with `appliance dev`, with its arguments, in the project file's folder: `[\"npm\", \"--prefix\", \"frontend\", \"run\", \"dev\"]`.",
        ),
        key(
            "watch",
            Kind::TextOrList,
            Default::Toml("[]"),
            "Files and folders besides the project's own modules, a change to which reloads: those of an installed package, or data that is read at the import.",
        ),
    ],
};

/// `[[site]]`.
pub(crate) static SITE: Section = Section {
    header: "[[site]]",
    about: "What is served where. At least one.",
    keys: &[
        key("listen", Kind::Listen, Default::Required, "Addresses: a port (`8080`, every IPv4 address), `\"127.0.0.1:8080\"`, `\"[::]:80\"`, `\"unix:/run/shop/site.sock\"` (from `/` on, or below the file's folder; its peers have an empty `REMOTE_ADDR`, and are `unix:` in `trusted_proxies`, `allow` and `deny`), or a list of them. `\"https://:443\"` and `\"https://[::]:443\"` speak TLS. At `\"uwsgi://127.0.0.1:8080\"` and `\"uwsgi://unix:/run/shop/uwsgi.sock\"` a gateway such as nginx with `uwsgi_pass` speaks the uwsgi protocol and says who the client is: one on this machine, or of `trusted_proxies` (docs/behind-nginx.md). Port 0 takes a free one.")
            .nginx(&["listen"])
            .uwsgi(&["http", "http-socket", "socket", "uwsgi-socket"]),
        key("server_name", Kind::TextOrList, Default::Toml("[]"), "Host names, without port. None: any name. `\"*.example.com\"` is every name below it, `\".example.com\"` that one too, `\"www.*\"` every name that begins so. An exact name wins, then the longest end, then the longest beginning.")
            .nginx(&["server_name"]),
        key("default", Kind::Flag, Default::Toml("false"), "Whether this site of its addresses answers names nobody has. Else it is the one without names or, if all have some, the first in the file.")
            .nginx(&["default_server"]),
        key("sendfile_roots", Kind::TextOrList, Default::Toml("[]"), "Folders whose files the application may hand over by `X-Sendfile`. For `X-Accel-Redirect` there are `internal` routes."),
        key("proxy_protocol", Kind::Flag, Default::Toml("false"), "Whether connections begin with a header of the PROXY protocol, version 1 or 2, which says who the client is. They are taken from `trusted_proxies` alone, and from those without a header not at all. Sites of one address have to agree.")
            .uwsgi(&["enable-proxy-protocol", "http-enable-proxy-protocol"]),
        key("tls", Kind::Table, Default::Said("none; required by an `https://` address"), "See `[site.tls]`."),
        key("http2", Kind::Choice(&["off", "tls", "always"]), Default::Toml("\"tls\""), "Where HTTP/2 is spoken: with clients that ask for it in their TLS handshake (ALPN), as browsers do; or `always`, with those as well that begin with it without TLS (\"prior knowledge\"), as proxies do. WebSockets stay with HTTP/1.1, which browsers open a connection of its own for. Sites of one address have to agree.")
            .nginx(&["http2"])
            .uwsgi(&["http2-socket", "https2"]),
        key("body_limit", Kind::Size(0, TB), Default::Toml("\"20MB\""), "The largest request body; a larger one is answered 413, before it is read when its length was announced. Routes may have their own. Files need no body: one that comes with such a request is dropped.")
            .nginx(&["client_max_body_size"])
            .uwsgi(&["limit-post"]),
        key("body_timeout", CLOCK, Default::Toml("\"60s\""), "The longest pause within a request body. After it the answer is 408.")
            .nginx(&["client_body_timeout"])
            .uwsgi(&["http-timeout", "socket-timeout"]),
        key("send_timeout", CLOCK, Default::Toml("\"60s\""), "The longest time in which a client may take nothing of its response. After it the connection is closed.")
            .nginx(&["send_timeout"])
            .uwsgi(&["socket-send-timeout", "socket-write-timeout"]),
        key("methods", Kind::List, Default::Said("any"), "The methods that are answered; others get a 405.")
            .nginx(&["limit_except"]),
        key("headers", Kind::Headers, Default::Said("none"), "What is done to fields of every response: `X = \"v\"` sets it, in the place of any that the application gave it, `X = { add = \"v\" }` adds one, `X = { if_absent = \"v\" }` sets it where there is none, `X = false` removes it.")
            .nginx(&["add_header"])
            .uwsgi(&["add-header"]),
        key("security_headers", Kind::Flag, Default::Toml("false"), "The usual ones, on responses without their own: `X-Content-Type-Options: nosniff`, `X-Frame-Options: SAMEORIGIN`, `Referrer-Policy: strict-origin-when-cross-origin`, `Cross-Origin-Opener-Policy: same-origin-allow-popups`. No `Content-Security-Policy`: only the project knows what its pages load."),
        key("cors", Kind::Cors, Default::Said("none"), "Which other sites' scripts may read responses; see `cors` below. Preflight requests are answered here."),
        key("error_pages", Kind::ErrorPages, Default::Said("our own"), "Files that are sent in the place of our own error pages, by status or class: `{ 404 = \"404.html\", \"5xx\" = \"error.html\" }`. The status stays. HTML is for those who ask for it; a file of another type, or the second of a list, is for everybody else, who without it gets one line of text. Read when a worker starts; 1 MB at most.")
            .nginx(&["error_page"]),
        key("intercept", Kind::Flag, Default::Toml("false"), "Whether `error_pages` stand for the application's errors as well.")
            .nginx(&["uwsgi_intercept_errors", "proxy_intercept_errors"]),
        key("maintenance_page", Kind::Path, Default::Said("our own"), "The file that is sent with the 503 after `appliance maintenance on`."),
        key("maintenance_allow", Kind::TextOrList, Default::Said("nobody"), "Addresses and networks that are served during maintenance all the same."),
        key("cache", Kind::Strings, Default::Said("by `immutable`"), "`Cache-Control` of files: `{ \"*.woff2\" = \"1y\", \"/downloads/*\" = \"no-store\" }`. A pattern with a slash in front is a path below the route (with one at its end, all below it), any other the file's name; the longest that matches counts. The value is a time (`\"90s\"`, `\"30d\"`, `\"1y\"`), `\"immutable\"` (a year, never asked for again), or the field's own words.")
            .nginx(&["expires"])
            .uwsgi(&["static-expires"]),
        key("compress", Kind::FlagOrTypes, Default::Toml("false"), "Whether responses of 1 KB and more are compressed: the application's while they are sent, by zstd, br or gzip, each chunk at once; files of up to 1 MB once, by br and gzip, where no `.br`, `.zst` or `.gz` file lies beside them (their tags are weak, and who asks for a part gets one of the original). `true` means text, JSON, JavaScript, XML, SVG, WebAssembly and the like; a list names the types itself, `\"text/*\"` being all of that kind. Never event streams, parts, files of `wsgi.file_wrapper`, or what says `no-transform`. See SECURITY.md about BREACH.")
            .nginx(&["gzip", "gzip_types", "brotli", "gunzip"]),
        key("types", Kind::Strings, Default::Said("the usual ones"), "Types of files by extension, before those that are built in: `{ \".webmanifest\" = \"application/manifest+json\" }`.")
            .nginx(&["types"]),
        key("charset", Kind::TextOrFalse, Default::Toml("\"utf-8\""), "The charset of text files; `false`: none is said.")
            .nginx(&["charset"]),
        key("allow", Kind::TextOrList, Default::Said("everybody"), "Addresses and networks, such as `\"10.0.0.0/8\"`, that may come in, and nobody else; others get a 403. What counts is the client, as `trusted_proxies` say who it is. An address that `deny` names too is answered by whoever names it more exactly.")
            .nginx(&["allow", "satisfy"]),
        key("deny", Kind::TextOrList, Default::Said("nobody"), "Addresses and networks that get a 403.")
            .nginx(&["deny"]),
        key("password_file", Kind::PathOrFalse, Default::Said("none"), "Who may come in, by user name and password (Basic): a file of `htpasswd -B` (bcrypt) or of Argon2 hashes, one `user:hash` a line. It is read when this file is. The application finds the user in `REMOTE_USER`. For sites behind TLS: the browser sends the password with each request.")
            .nginx(&["auth_basic_user_file"]),
        key("realm", Kind::Text, Default::Said("`Restricted`"), "What browsers call the place when they ask for a password.")
            .nginx(&["auth_basic"]),
        key("rate_limit", Kind::RateLimit, Default::Said("none"), "How many requests one client may send: see `rate_limit` below. Others get a 429 that says when to come again.")
            .nginx(&["limit_req", "limit_req_zone"]),
        key("access_log", Kind::Text, Default::Toml("\"off\""), "Where a line for each request goes: `\"off\"`, or what `log` of `[server]` may be. Off, unlike nginx's, since it costs a tenth to a sixth of a small answer's time, and disks. Lines gather in memory for up to a second; no request waits for them.")
            .nginx(&["access_log"])
            .uwsgi(&["req-logger", "logger-req"]),
        key("access_log_format", Kind::Text, Default::Toml("\"combined\""), "`\"common\"`, `\"combined\"`, `\"json\"`, or a text with nginx's variables: `$remote_addr`, `$remote_port`, `$remote_user`, `$time_local`, `$time_iso8601` (both in UTC), `$msec`, `$request`, `$request_method`, `$request_uri`, `$uri` (as sent), `$args`, `$server_protocol`, `$host`, `$scheme`, `$server_addr`, `$server_port`, `$http_NAME`, `$sent_http_NAME`, `$status`, `$body_bytes_sent`, `$bytes_sent`, `$request_time`, `$request_id`, `$pid`, and of our own `$queue_time`, `$application_time` (seconds) and `$worker`. Values are escaped as nginx does it; in a text that begins with `{`, for JSON.")
            .nginx(&["log_format"])
            .uwsgi(&["log-format", "logformat"]),
        key("access_log_errors", Kind::Flag, Default::Toml("false"), "Whether only answers from 400 on are logged."),
        key("access_log_sample", Kind::Count(1, 1_000_000, false), Default::Toml("1"), "Of answers below 400, one of so many is logged."),
        key("server_timing", Kind::Flag, Default::Toml("false"), "Whether the application's responses have a `Server-Timing` field, which browsers show: milliseconds in the queue and in the application. Everybody sees it."),
        key("routes", Kind::Routes, Default::Required, "Who answers which paths. At least one route.")
            .nginx(&["location"]),
    ],
};

/// `[site.tls]`.
pub(crate) static TLS: Section = Section {
    header: "[site.tls]",
    about: "Certificate, key and rules of a site's `https://` addresses. Sites of one address each have their own: the name that a client asks for decides. Files are read when the project is, by whoever starts the server: workers need no right to read them. A reload reads them anew.",
    keys: &[
        key("certificate", Kind::TextOrList, Default::Required, "The site's certificate, followed by those of the intermediate authorities, in PEM: `fullchain.pem`. A list, with as many keys, where there is one with an ECDSA key and one with RSA for clients that know no other; the first that a client can check is shown. That it has expired, or does not cover a `server_name`, is a warning.")
            .nginx(&["ssl_certificate"]),
        key("key", Kind::TextOrList, Default::Required, "The certificate's private key, in PEM, without a password.")
            .nginx(&["ssl_certificate_key"]),
        key("minimum_version", Kind::Choice(&["1.2", "1.3"]), Default::Toml("\"1.2\""), "The oldest version of TLS that is spoken. Older ones than 1.2 are not; cipher suites are those of Mozilla's intermediate recommendation.")
            .nginx(&["ssl_protocols"]),
        key("reject_unknown_names", Kind::Flag, Default::Toml("false"), "Whether handshakes for a name that no site of the address has are refused. Otherwise the address's default site presents its certificate. Where it is not the default, it has no effect.")
            .nginx(&["ssl_reject_handshake"]),
        key("redirect_to_https", Kind::Flag, Default::Said("`true` where the site has plain addresses as well"), "Whether requests at the site's plain addresses are redirected: by 301, by 308 if they are neither GET nor HEAD. Not those of which a trusted proxy says that they came by HTTPS."),
        key("https_port", Kind::Count(1, 65535, false), Default::Said("that of the site's first `https://` address"), "The port that clients are redirected to, if it is another one from outside."),
        key("hsts", Kind::Duration(0, 315_360_000_000), Default::Said("none"), "How long browsers are to come by HTTPS alone: `Strict-Transport-Security`, on all responses over TLS that have none of their own. `\"1y\"` once it works; `\"0s\"` takes it back."),
        key("hsts_subdomains", Kind::Flag, Default::Toml("false"), "Whether that holds below the site's names as well."),
        key("hsts_preload", Kind::Flag, Default::Toml("false"), "Whether browsers may ship with the site in their list: see hstspreload.org. Needs `hsts` of a year or more and `hsts_subdomains`."),
        key("client_certificate", Kind::Choice(&["off", "optional", "required"]), Default::Said("`\"required\"` with `client_ca`, or else `\"off\"`"), "Whether clients are asked for a certificate. One that is shown must be good in either case: without, the handshake fails, and browsers say so. (nginx answers 400; with `\"optional\"` the application can say more.) The application finds it in `SSL_CLIENT_VERIFY`, `SSL_CLIENT_S_DN` and further variables.")
            .nginx(&["ssl_verify_client"]),
        key("client_ca", Kind::Path, Default::Said("none; required where clients are asked"), "The certificates, in PEM, of the authorities that vouch for clients.")
            .nginx(&["ssl_client_certificate", "ssl_trusted_certificate"]),
        key("client_crl", Kind::Path, Default::Said("none"), "The revocation lists of these authorities, in PEM: one for each that has signed a certificate of a client's chain, or none of its certificates is good. A reload reads them anew; one whose next update is overdue still counts.")
            .nginx(&["ssl_crl"]),
    ],
};

/// One entry of `[site.routes]`.
pub(crate) static ROUTE: Section = Section {
    header: "[site.routes]",
    about: "A route's key is a path, its value a table that says who answers: `files`, `wsgi`, `proxy`, `redirect`, `rewrite` or `respond`. docs/routes.md has an example of each.\n\n\
            - `\"/api\"` answers `/api` and all below it, but not `/apix`.\n\
            - `\"/static/\"` answers what is below it; `/static` is redirected to it.\n\
            - `\"= /robots.txt\"` answers this path alone.\n\
            - `'~ ^/user/(\\d+)$'` answers the paths that a regular expression matches, `~*` in any case.\n\
            - `\"^~ /static/\"` is a prefix in whose place no expression is tried.\n\n\
            As in nginx: an exact route wins; then the first expression that matches, in the order of the file, \
            unless the longest prefix is a `^~` one; then the longest prefix. Paths are compared decoded.",
    keys: &[
        key("files", Kind::Path, Default::Said("none"), "A folder of static files. The route's path is cut off first (nginx's `alias`, not its `root`). For an exact route: the folder, or the file itself.")
            .nginx(&["root", "alias"])
            .uwsgi(&["static-map"]),
        key("fallback", Kind::Text, Default::Said("none: such a request is a 404"), "Answers page loads that match no file, for single-page fronts: a path inside the folder, such as `\"/index.html\"`. Scripts, styles and images that are missing stay a 404.")
            .nginx(&["try_files"]),
        key("extensions", Kind::TextOrList, Default::Toml("[]"), "What is put behind a path that names no file: with `\".html\"`, `/about` is answered by `about.html`. Before the index of a folder of that name."),
        key("index", Kind::TextOrList, Default::Toml("[\"index.html\"]"), "File names tried for a folder.")
            .nginx(&["index"])
            .uwsgi(&["static-index"]),
        key("immutable", Kind::Choice(&["hashed", "all", "never"]), Default::Toml("\"hashed\""), "Which files may be cached for a year: those whose name carries a content hash, every file but HTML, or none."),
        key("wsgi", Kind::TrueOrCallable, Default::Said("none"), "`true`: the project's application, `python.module`, answers. `\"package.module:callable\"`: this one does, in the same interpreter. Beside `files`: what no file answers.")
            .nginx(&["uwsgi_pass"]),
        key("mount", Kind::Flag, Default::Said("`false`"), "Whether the application is told that it stands below the route's path: that is then `SCRIPT_NAME`, and the rest `PATH_INFO`, so that the links which it builds are right. Otherwise it gets the whole path. Of prefixes only.")
            .uwsgi(&["mount", "manage-script-name"]),
        key("proxy", Kind::Targets, Default::Said("none"), "Other servers that answer: `\"http://127.0.0.1:3000\"`, several, or a table with the keys below. WebSockets pass through.")
            .nginx(&["proxy_pass"]),
        key("redirect", Kind::Text, Default::Said("none"), "Sends the client elsewhere: to a path of this site or a whole URL. The query goes along, unless the target ends in `?`; what follows the route's prefix only where the target says `$rest`. `$1` or `$name` are groups of the route's expression; there are `$host`, `$uri`, `$request_uri` and `$args` as well, and `$$` for a dollar."),
        key("rewrite", Kind::Text, Default::Said("none"), "Goes on with another path, as if that had been asked for: routes are looked up anew. The same variables as in `redirect`. The application finds the new path in `PATH_INFO` and the sent one in `REQUEST_URI`."),
        key("respond", Kind::StatusOrText, Default::Said("none"), "The answer itself: a status, or a text."),
        key("status", Kind::Count(200, 599, false), Default::Said("302 for `redirect`, 200 for a text of `respond`"), "The status of the answer. Of a redirect: 301, 302, 303, 307 or 308; the last two keep the method."),
        key("internal", Kind::Flag, Default::Toml("false"), "Whether the route is there only for `rewrite`s and for the application, which hands over to it by `X-Accel-Redirect`. From outside it is a 404.")
            .nginx(&["internal"]),
        key("body_limit", Kind::Size(0, TB), Default::Said("the site's `body_limit`"), "The largest request body that is taken below this route."),
        key("request_timeout", Kind::Duration(1000, 86_400_000), Default::Said("`python.request_timeout`"), "How long the application may take below this route until it sends something."),
        key("methods", Kind::List, Default::Said("the site's `methods`"), "The methods that are answered; others get a 405."),
        key("headers", Kind::Headers, Default::Said("the site's `headers`"), "What is done to fields of every response; what the site says of other fields holds too."),
        key("security_headers", Kind::Flag, Default::Said("the site's `security_headers`"), "The usual ones, on responses without their own."),
        key("cors", Kind::Cors, Default::Said("the site's `cors`"), "Which other sites' scripts may read responses; `false`: none."),
        key("error_pages", Kind::ErrorPages, Default::Said("the site's `error_pages`"), "Files in the place of our own error pages; what the site says of other statuses holds too."),
        key("intercept", Kind::Flag, Default::Said("the site's `intercept`"), "Whether `error_pages` stand for the application's errors as well."),
        key("maintenance_page", Kind::Path, Default::Said("the site's `maintenance_page`"), "The file that is sent with the 503 after `appliance maintenance on`."),
        key("maintenance_allow", Kind::TextOrList, Default::Said("the site's `maintenance_allow`"), "Addresses and networks that are served during maintenance all the same."),
        key("cache", Kind::Strings, Default::Said("the site's `cache`"), "`Cache-Control` of files by pattern; the route's own patterns come first."),
        key("compress", Kind::FlagOrTypes, Default::Said("the site's `compress`"), "Whether responses are compressed."),
        key("types", Kind::Strings, Default::Said("the site's `types`"), "Types of files by extension; the route's own come first."),
        key("charset", Kind::TextOrFalse, Default::Said("the site's `charset`"), "The charset of text files."),
        key("allow", Kind::TextOrList, Default::Said("the site's `allow`"), "Addresses and networks that may come in. `[\"0.0.0.0/0\", \"::/0\"]` is everybody."),
        key("deny", Kind::TextOrList, Default::Said("the site's `deny`"), "Addresses and networks that get a 403; `[]` is none."),
        key("password_file", Kind::PathOrFalse, Default::Said("the site's `password_file`"), "Who may come in by a password; `false`: everybody, without one."),
        key("realm", Kind::Text, Default::Said("the site's `realm`"), "What browsers call the place."),
        key("rate_limit", Kind::RateLimit, Default::Said("the site's `rate_limit`, with one account for both"), "How many requests one client may send; `false`: any number."),
    ],
};

/// `rate_limit` of a site or a route.
pub(crate) static RATE_LIMIT: Section = Section {
    header: "rate_limit",
    about: "Of a site or a route; `rate_limit = \"10/s\"` is short for `{ rate = \"10/s\" }`. All workers count together. Each response says how many are left, in the fields `RateLimit` and `RateLimit-Policy`.",
    keys: &[
        key(
            "rate",
            Kind::Text,
            Default::Required,
            "Requests per second, minute, hour or day: `\"10/s\"`, `\"100/m\"`, `\"1000/h\"`, `\"5000/d\"`, each from 1 to 1000000.",
        ),
        key(
            "burst",
            Kind::Count(1, 1_000_000, false),
            Default::Said("the number in `rate`"),
            "Requests that may come at once; after them the rate holds.",
        ),
        key(
            "by",
            Kind::Text,
            Default::Toml("\"address\""),
            "What one client is: `\"address\"` (an IPv6 address by its /64, which is what one household has), `\"field NAME\"` (the value of this request field, such as `\"field X-Api-Key\"`; without it, the address), or `\"route\"` (all clients together).",
        ),
    ],
};

/// The long form of a route's `proxy`.
pub(crate) static PROXY: Section = Section {
    header: "[site.routes.\"/path\".proxy]",
    about: "The long form of a route's `proxy`: other servers that answer, and how one is chosen.\n\n\
            A request is sent to another server when nothing of it has reached the one before; one that \
            may be done twice (GET, HEAD, OPTIONS, TRACE, PUT, DELETE without a body that has left) also when the \
            connection broke before an answer. Workers count and choose each for itself.",
    keys: &[
        key("to", Kind::Targets, Default::Required, "The servers: `\"http://host:port\"`, `\"https://host:port\"` (HTTP/2 if the server speaks it), `\"h2c://host:port\"` (HTTP/2 without TLS), `\"unix:/path\"`, or by the uwsgi protocol `\"uwsgi://host:port\"` and `\"uwsgi://unix:/path\"`; one, a list, or a table of URLs and weights (`{ \"http://a:1\" = 3, \"http://b:1\" = 1 }`). A path in the URL stands in the place of the route's path, as in nginx; without one the request's path is passed on as it is."),
        key("backup", Kind::Targets, Default::Said("none"), "Servers, written as in `to`, that are asked only while none of those can be: each of them is left out, or has failed with the request at hand."),
        key("balance", Kind::Text, Default::Toml("\"round_robin\""), "Which server gets a request: `\"round_robin\"`; `\"least_requests\"`, the better of two taken at random; `\"address\"`, the same for the same client; or `\"field:Name\"`, the same for the same value of a header field.")
            .nginx(&["least_conn", "ip_hash", "hash", "random"]),
        key("host", Kind::Choice(&["client", "server"]), Default::Toml("\"client\""), "Which Host field servers see: the client's, or their own. (nginx's default is their own, and applications then build wrong links.)"),
        key("connect_timeout", Kind::Duration(10, 600_000), Default::Toml("\"5s\""), "How long a server may take to accept a connection. After it another is tried.")
            .nginx(&["proxy_connect_timeout"]),
        key("response_timeout", Kind::Duration(1000, 86_400_000), Default::Toml("\"60s\""), "How long a server may take until its answer begins, and pause within it. After it: 504, or a response that is cut. A tunnel (WebSocket) may be silent for as long.")
            .nginx(&["proxy_read_timeout"]),
        key("max_failures", Kind::Count(1, 1000, false), Default::Toml("3"), "Failures in a row after which a server is left out, if there are others.")
            .nginx(&["max_fails"]),
        key("fail_timeout", Kind::Duration(100, 3_600_000), Default::Toml("\"10s\""), "For how long it is left out. The next failure leaves it out again.")
            .nginx(&["fail_timeout"]),
        key("health_check", Kind::Text, Default::Said("none"), "A path that is asked for all the time: servers that do not answer 2xx or 3xx are left out until they do."),
        key("health_interval", Kind::Duration(100, 3_600_000), Default::Toml("\"5s\""), "The time between two such requests to a server, from each worker."),
        key("idle_connections", Kind::Count(0, 65_536, false), Default::Toml("32"), "Connections without a request that are kept open to each server, by each worker.")
            .nginx(&["keepalive"]),
        key("ca", Kind::Path, Default::Said("those of the machine's own store"), "The certificates, in PEM, of the authorities that vouch for servers of `https://`. A server that has signed its own is known by that certificate. Workers get the contents; a reload reads the file anew.")
            .nginx(&["proxy_ssl_trusted_certificate"]),
        key("verify", Kind::Flag, Default::Toml("true"), "Whether servers of `https://` have to show a good certificate. Without it whoever is in between reads and changes everything. (nginx's default is `off`.)")
            .nginx(&["proxy_ssl_verify"]),
        key("server_name", Kind::Text, Default::Said("the host of each URL"), "The name that servers of `https://` are asked for (SNI), and that their certificates have to be good for.")
            .nginx(&["proxy_ssl_name"]),
        key("hand_off", Kind::Flag, Default::Toml("false"), "Whether servers may hand over to a file of this site: `X-Accel-Redirect` to a path that `files` answer, mostly an `internal` route; `X-Sendfile` to a file in `sendfile_roots`. Otherwise these fields are passed on like any other. (nginx always lets them.)"),
    ],
};

/// `cors` of a site or a route.
pub(crate) static CORS: Section = Section {
    header: "cors",
    about: "Of a site or a route; `cors = \"https://app.example.com\"` and `cors = [\"https://app.example.com\"]` are short for `{ origins = [\"https://app.example.com\"] }`. What the application says of its own in these fields is replaced.",
    keys: &[
        key(
            "origins",
            Kind::TextOrList,
            Default::Required,
            "Whose scripts may read responses: origins as browsers send them, `\"https://app.example.com\"`, `\"https://*.example.com\"` for every name below, or `\"*\"` for everybody's.",
        ),
        key(
            "credentials",
            Kind::Flag,
            Default::Toml("false"),
            "Whether they may do so with the visitor's cookies. Not with `\"*\"`.",
        ),
        key(
            "methods",
            Kind::List,
            Default::Said("`GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE`"),
            "What they may send.",
        ),
        key(
            "headers",
            Kind::List,
            Default::Said("any"),
            "Request fields that they may set.",
        ),
        key(
            "expose",
            Kind::List,
            Default::Said("none"),
            "Response fields that they may read, besides the few that they always may.",
        ),
        key(
            "max_age",
            Kind::Duration(0, 86_400_000),
            Default::Toml("\"1h\""),
            "How long browsers remember the answer to a preflight request.",
        ),
    ],
};

/// The tables with keys of their own, in the order of the reference.
pub(crate) static SECTIONS: [&Section; 10] = [
    &SERVER,
    &PYTHON,
    &HOOKS,
    &DEV,
    &SITE,
    &TLS,
    &ROUTE,
    &RATE_LIMIT,
    &PROXY,
    &CORS,
];

impl Section {
    /// The key of this name.
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

impl Kind {
    /// What a value must be, for ``must be …, found …``.
    pub fn expected(self) -> String {
        match self {
            Kind::Flag => "`true` or `false`".into(),
            Kind::Count(min, max, false) => format!("from {min} to {max}"),
            Kind::Count(min, max, true) => format!("from {min} to {max} or \"auto\""),
            Kind::Size(min, max) => {
                format!(
                    "a size from {} to {}, such as \"{}\"",
                    print_size(min),
                    print_size(max),
                    print_size((64 * KB).clamp(min, max))
                )
            }
            Kind::Duration(min, max) => {
                let print = |millis| print_duration(Duration::from_millis(millis));
                format!(
                    "a duration from {} to {}, such as \"{}\"",
                    print(min),
                    print(max),
                    print(30_000.clamp(min, max))
                )
            }
            Kind::Text => "a string".into(),
            Kind::Path => "a path, as a string".into(),
            Kind::Choice(choices) => {
                let quoted: Vec<_> = choices
                    .iter()
                    .map(|choice| format!("\"{choice}\""))
                    .collect();
                let (last, others) = quoted
                    .split_last()
                    .map_or(("", &[][..]), |(l, o)| (l.as_str(), o));
                format!("{} or {last}", others.join(", "))
            }
            Kind::List => "a list of strings".into(),
            Kind::TextOrList => "a string or a list of strings".into(),
            Kind::TrueOrCallable => {
                "`true` or a WSGI callable, such as \"package.module:callable\"".into()
            }
            Kind::StatusOrText => "a status from 200 to 599 or a text".into(),
            Kind::Listen => "a port, an address or a list of them".into(),
            Kind::Strings => "a table of strings".into(),
            Kind::Headers => "a table of fields".into(),
            Kind::Cors => "an origin, a list of them, a table such as `{ origins = [\"https://example.com\"] }`, or `false`".into(),
            Kind::ErrorPages => "a table of statuses and their files".into(),
            Kind::FlagOrTypes => "`true`, `false` or a list of media types".into(),
            Kind::TextOrFalse => "a string or `false`".into(),
            Kind::PathOrFalse => "a path, as a string, or `false`".into(),
            Kind::RateLimit => "a rate, such as \"10/s\", a table such as `{ rate = \"10/s\", burst = 20 }`, or `false`".into(),
            Kind::Targets => {
                "a URL, such as \"http://127.0.0.1:3000\", a list of URLs, or a table of URLs and \
                 their weights"
                    .into()
            }
            Kind::Routes => "a table of routes".into(),
            Kind::Table => "a table".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_foreign_name_means_one_key_only() {
        let (mut nginx, mut uwsgi) = (BTreeSet::new(), BTreeSet::new());
        for key in SECTIONS.iter().flat_map(|section| section.keys) {
            assert!(
                key.nginx.iter().all(|name| nginx.insert(name)),
                "nginx, {}",
                key.name
            );
            assert!(
                key.uwsgi.iter().all(|name| uwsgi.insert(name)),
                "uWSGI, {}",
                key.name
            );
        }
    }
}
