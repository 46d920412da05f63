//! The meaning of a project file: every key with its unit, default and range.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::network::Network;

mod answer;
mod log;
mod path_pattern;
mod proxy;
mod tls;
mod uwsgi;

pub use answer::{Piece, Redirect, Respond, Template};
pub use log::{AccessLog, Log, LogFormat, LogLevel, LogTarget, Rotation, Syslog};
pub use path_pattern::PathPattern;
pub use proxy::{Balance, Proxy, ProxyTarget, ProxyTls, TargetAddress, TargetProtocol, Trust};
pub use tls::{ClientCertificates, Clients, Hsts, HttpsRedirect, Tls, TlsVersion};
pub use uwsgi::Uwsgi;

/// A checked project: nothing in it can be out of range or missing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// The project file, absolute.
    pub file: PathBuf,
    /// `[server]`: the processes and their log.
    pub server: Server,
    /// `[python]`: the application and the pool that runs it.
    pub python: Python,
    /// `[hooks]`: commands around the life of the server.
    pub hooks: Hooks,
    /// `[[site]]`: what is served where. At least one.
    pub sites: Vec<Site>,
    /// `[dev]`. None unless `appliance dev` serves it: whoever shows what visitors must not see
    /// asks for this.
    pub dev: Option<Dev>,
}

/// `[dev]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dev {
    /// `front`: `http://127.0.0.1:5173`, without a path. Routes to it are among the sites' already.
    pub front: Option<String>,
    /// `command`: a program and its arguments; empty for none.
    pub command: Vec<String>,
    /// `watch`: absolute.
    pub watch: Vec<PathBuf>,
    /// Whether other machines were let in on purpose.
    pub remote: bool,
}

/// `[server]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// `master`: a supervisor watches the workers (default). `false`: this process becomes the
    /// one worker.
    pub master: bool,
    /// `stop_timeout`: how long running requests may go on after a stop was asked for.
    /// Default 30 s, 0 s to 1 h.
    pub stop_timeout: Duration,
    /// `user` and `group`: whom workers, hooks and pip run as. None: whoever started the server.
    pub account: Option<Account>,
    /// `umask`: of workers, hooks and pip, 0 to 0o777. None: that of whoever started the server.
    pub umask: Option<u32>,
    /// `no_new_privileges`: workers, and what they start, can gain none. Default true.
    pub no_new_privileges: bool,
    /// `read_write_paths`: folders that exist, the only ones that workers may write to, and what they
    /// start. None: wherever their user may. Only with `no_new_privileges`.
    pub read_write_paths: Option<Vec<PathBuf>>,
    /// `daemonize`: what the server writes to when it runs in the background. None: it does not.
    /// Only with a supervisor.
    pub daemonize: Option<PathBuf>,
    /// `control`: the control socket. None: in a runtime folder, named for the project file.
    pub control: Option<PathBuf>,
    /// `pidfile`: holds the process id while the server lives.
    pub pidfile: Option<PathBuf>,
    /// `admin`: where health, metrics and status are served.
    pub admin: Option<SocketAddr>,
    /// The keys of the log.
    pub log: Log,
    /// `head_limit`: bytes of a request's line and header fields, together. Default 64 KB; 1 KB
    /// to 1 MB. Beyond it the answer is 414 or 431.
    pub head_limit_bytes: usize,
    /// `head_fields`: header fields of a request, 1 to 1000. Default 100. Beyond it: 431.
    pub head_fields: usize,
    /// `head_timeout`: how long a head may take to arrive. Default 20 s; 1 s to 1 h. After it: 408.
    pub head_timeout: Duration,
    /// `keep_alive_timeout`: how long a connection may idle. Default 75 s; 1 s to 1 h.
    pub keep_alive_timeout: Duration,
    /// `connections`: open connections, per worker, 1 to 1048576. Default 16384.
    pub connections: usize,
    /// `connections_per_address`: of one client, per worker, 1 to 1048576. Default: no bound.
    pub connections_per_address: Option<usize>,
    /// `requests_per_connection`: 1 to a thousand million. Default: no bound.
    pub requests_per_connection: Option<u64>,
    /// `http2_streams`: requests that a client may have open on one connection, 1 to 10000.
    /// Default 128.
    pub http2_streams: u32,
    /// `trusted_proxies`: who may say who the client is. Default: nobody.
    pub trusted_proxies: Vec<Network>,
    /// `socket_mode`: of unix sockets that sites listen on, 0 to 0o777. Default 0o660.
    pub socket_mode: u32,
    /// `forwarded`: the fields in which they say it. Default [`Forwarded::XForwarded`].
    pub forwarded: Forwarded,
}

/// `server.user` and `server.group`, as the system's databases know them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// As written: a name, or a number.
    pub name: String,
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// Every group, that one included: what initgroups(3) would set.
    pub groups: Vec<u32>,
    /// Its name and home folder; none for a number that nobody has.
    pub login: Option<Login>,
}

/// What the user database says besides numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// For `USER` and `LOGNAME`.
    pub name: String,
    /// For `HOME`.
    pub home: PathBuf,
}

/// `server.forwarded`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Forwarded {
    /// `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host` (default).
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// `site.http2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Http2 {
    /// Nowhere.
    Off,
    /// Where clients ask for it in their TLS handshake (default).
    Tls,
    /// There, and where they begin with it without TLS.
    Always,
}

impl Http2 {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Http2::Off => "off",
            Http2::Tls => "tls",
            Http2::Always => "always",
        }
    }
}

/// `[python]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Python {
    /// `chdir`: the working folder, first on `sys.path`. Default: the project file's folder.
    pub chdir: PathBuf,
    /// `module`: the WSGI application; none for a project without a `wsgi = true` route.
    pub application: Option<Application>,
    /// Those that routes name by themselves, each once, in the order of the file.
    pub others: Vec<OtherApplication>,
    /// `virtualenv`: absolute; without it the interpreter itself runs the workers.
    pub virtualenv: Option<PathBuf>,
    /// `interpreter`: a name looked up in `PATH` or an absolute path; creates the virtualenv.
    /// Default `python3`.
    pub interpreter: String,
    /// `requirements`: installed into the virtualenv when it is missing or they changed.
    pub requirements: Option<PathBuf>,
    /// `env`: added to the environment of workers, hooks and pip.
    pub env: BTreeMap<String, String>,
    /// `processes`: worker processes, 1 to 512. Default `"auto"`: the CPUs this process may use.
    pub processes: usize,
    /// `threads`: Python threads in each worker, 1 to 1024. Default 4.
    pub threads: usize,
    /// `cpu_affinity`: CPUs that each worker is bound to, 1 to 512. Default: none, it is not bound.
    pub cpu_affinity: Option<usize>,
    /// `preload`: the application is imported once, and workers are forked from there. Default
    /// false.
    pub preload: bool,
    /// `start_timeout`: how long a worker may take to import the application. Default 2 min, 1 s
    /// to 1 h.
    pub start_timeout: Duration,
    /// `warm_up`: targets, each from `/` on, that a new worker asks of its application before it
    /// accepts connections. Default: none.
    pub warm_up: Vec<String>,
    /// `queue`: requests which may wait for a Python thread, per worker, 1 to 65536. Default 512.
    /// Beyond it the answer is 503 with Retry-After.
    pub queue: usize,
    /// `request_timeout`: how long the application may take until it sends something. Default
    /// 60 s, 1 s to 24 h. After it: 504.
    pub request_timeout: Duration,
    /// `timeout_grace`: how long a thread may take to come back from a request that has timed
    /// out, before its worker is replaced. Default 10 s, 1 s to 1 h.
    pub timeout_grace: Duration,
    /// `queue_timeout`: how long a request may wait for a Python thread. Default 30 s, 1 s to
    /// 1 h. After it: 503 with Retry-After.
    pub queue_timeout: Duration,
    /// When a worker is replaced although it serves.
    pub recycling: Recycling,
    /// `memory_limit`: bytes of address space that a worker may take besides what an empty one
    /// has, 16 MB to 1 TB. Default: no bound.
    pub memory_limit_bytes: Option<u64>,
    /// `body_buffer`: bytes of a request body kept in memory; the rest is spooled to a file.
    /// 0 to 64 MB, default 64 KB.
    pub body_buffer_bytes: u64,
    /// `response_buffer`: bytes of a response that wait for a slow client in memory. 1 KB to
    /// 64 MB, default 256 KB.
    pub response_buffer_bytes: u64,
    /// `response_spool`: bytes of a response that wait for a slow client in a file, before the
    /// application's thread waits too. 0 to 1 TB, default 1 GB.
    pub response_spool_bytes: u64,
    /// `spool`: folder of spooled request bodies and responses. Default: the system's temporary folder.
    pub spool: PathBuf,
}

/// Bounds of a worker's life; none that is not set. Only with a supervisor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recycling {
    /// `max_requests`: 1 to a thousand million.
    pub max_requests: Option<u64>,
    /// `max_lifetime`: 1 s to 365 d.
    pub max_lifetime: Option<Duration>,
    /// `memory_soft_limit`: bytes of its own, 1 MB to 1 TB. Default: four fifths of what the
    /// machine or container has, divided by `processes` + 1.
    pub memory_soft_limit_bytes: Option<u64>,
}

/// `python.module`: `package.module:callable`; the callable defaults to `application`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// Dotted module name.
    pub module: String,
    /// Attribute path inside the module, dots allowed.
    pub callable: String,
}

/// An application that a route names, unless it is `python.module`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherApplication {
    /// What to import.
    pub application: Application,
    /// The key that names it first: `site.0.routes."/admin".wsgi`.
    pub key: String,
}

impl std::fmt::Display for Application {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.module, self.callable)
    }
}

impl Python {
    /// Every application, `python.module` first.
    pub fn applications(&self) -> impl Iterator<Item = &Application> {
        let others = self.others.iter().map(|other| &other.application);
        self.application.iter().chain(others)
    }

    /// Whether there is any.
    pub fn has_application(&self) -> bool {
        self.applications().next().is_some()
    }

    /// The application of a `wsgi` route.
    pub fn application_of(&self, callee: Callee) -> Option<&Application> {
        match callee.other {
            None => self.application.as_ref(),
            Some(number) => Some(&self.others.get(number)?.application),
        }
    }
}

/// `[hooks]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Hooks {
    /// `before_start`: shell commands run in order, in `python.chdir`, with the virtualenv's
    /// `bin` first in `PATH`, before the first worker starts. One that fails stops the start.
    pub before_start: Vec<String>,
}

/// One `[[site]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Site {
    /// `listen`: its addresses. A bare port means every IPv4 address; `[::]` every
    /// IPv6 address and no IPv4 one (`IPV6_V6ONLY`), so that both may stand side by side.
    pub listen: Vec<SocketAddr>,
    /// Those of `listen` that are unix sockets, `unix:/path`: absolute. With `listen` at least one.
    pub unix: Vec<PathBuf>,
    /// Those of `listen` that are written with `https://`: connections begin with TLS. The same
    /// for all sites of an address; none without `tls`.
    pub https: Vec<SocketAddr>,
    /// Those of `listen` that are written with `uwsgi://`: gateways speak the uwsgi protocol there.
    /// The same for all sites of an address.
    pub uwsgi: Uwsgi,
    /// `server_name`: lower-case host names without port. Empty: any name. The first site of a
    /// listener also answers names nobody has.
    ///
    /// `*.example.com` is every name below it, `www.*` every name that begins so; `.example.com`
    /// has become the name itself and all below it. An exact name wins, then the longest end, then
    /// the longest beginning.
    pub server_name: Vec<String>,
    /// `tls`: certificate, key and rules.
    pub tls: Option<Tls>,
    /// `default`: answers names nobody has. One site of a listener at most, and none beside one
    /// without names.
    pub default: bool,
    /// `sendfile_roots`: folders whose files the application may name in `X-Sendfile`.
    pub sendfile_roots: Vec<PathBuf>,
    /// `proxy_protocol`: each connection begins with a header of the PROXY protocol. The same
    /// for all sites of an address; never without `trusted_proxies`.
    pub proxy_protocol: bool,
    /// `http2`: where it is spoken. The same for all sites of an address.
    pub http2: Http2,
    /// `body_limit`: the largest request body, nginx's `client_max_body_size`. Default 20 MB;
    /// 0 bytes to 1 TB. Holds where no route answers; routes have their own.
    pub body_limit_bytes: u64,
    /// `body_timeout`: the longest pause within a request body. Default 60 s; 1 s to 1 h. After
    /// it: 408.
    pub body_timeout: Duration,
    /// `send_timeout`: the longest time in which a client may take nothing of its response.
    /// Default 60 s; 1 s to 1 h.
    pub send_timeout: Duration,
    /// The keys of the access log; none: nothing is logged.
    pub access_log: Option<AccessLog>,
    /// `server_timing`: whether responses of the application say how long it took. Default false.
    pub server_timing: bool,
    /// What holds where no route answers.
    pub rules: Rules,
    /// `routes`, in the order of the file; at least one. Never a prefix both with and without
    /// its final slash.
    pub routes: Vec<Route>,
}

impl Project {
    /// Where access logs go, each once.
    pub fn access_logs(&self) -> Vec<LogTarget> {
        let logs = self
            .sites
            .iter()
            .filter_map(|site| site.access_log.as_ref());
        let mut targets: Vec<LogTarget> = logs.map(|log| log.target.clone()).collect();
        targets.sort();
        targets.dedup();
        targets
    }
}

/// One entry of `site.routes`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// Which paths it answers.
    pub pattern: Pattern,
    /// Who answers them.
    pub target: Target,
    /// `body_limit` of the route, or else of its site. 0 bytes to 1 TB.
    pub body_limit_bytes: u64,
    /// `request_timeout` of the route, if it has its own. 1 s to 24 h.
    pub request_timeout: Option<Duration>,
    /// Which application answers, where one does.
    pub callee: Callee,
    /// `internal`: only for rewrites and the application's `X-Accel-Redirect`; from outside it is
    /// not there.
    pub internal: bool,
    /// What holds on the route whoever answers.
    pub rules: Rules,
}

/// Which application a `wsgi` route calls, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callee {
    /// `wsgi = "module:callable"`: its place in [`Python::others`]. None: `python.module`.
    pub other: Option<usize>,
    /// `mount`: the route's path becomes `SCRIPT_NAME`. Of prefixes alone.
    pub mount: bool,
}

/// What holds for a request and its response whoever answers: a route's own, and its site's where
/// the route has none. The default is no rule at all, and costs nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// `methods`: those that are answered. Empty: any.
    pub methods: Vec<String>,
    /// `headers`: what is done to fields of every response, in this order, the site's first. Names
    /// are tokens, values free of control characters, neither of them the connection's own.
    pub headers: Vec<(String, FieldRule)>,
    /// `security_headers`: the usual ones, where the response has none of its own.
    pub security_headers: bool,
    /// `cors`.
    pub cors: Option<Cors>,
    /// `error_pages`: what is sent in the place of our own pages.
    pub error_pages: Vec<ErrorPage>,
    /// `intercept`: …and of the application's.
    pub intercept: bool,
    /// `compress`: types of the application's responses that are compressed, such as `text/*`.
    /// Empty: none.
    pub compress: Vec<String>,
    /// `maintenance_page`: absolute.
    pub maintenance_page: Option<PathBuf>,
    /// `maintenance_allow`: who is served all the same.
    pub maintenance_allow: Vec<Network>,
    /// How files are served.
    pub files: FileRules,
    /// `allow`: who may come in, and nobody else. Empty: everybody.
    pub allow: Vec<Network>,
    /// `deny`: who may not, unless `allow` names it more exactly. Never a network of `allow`.
    pub deny: Vec<Network>,
    /// `password_file` and `realm`.
    pub passwords: Option<Passwords>,
    /// `rate_limit`.
    pub rate_limit: Option<RateLimit>,
}

/// What is done to a field of every response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FieldRule {
    /// `"v"`: it is this, and nothing else.
    Set(String),
    /// `{ add = "v" }`: this as well.
    Add(String),
    /// `{ if_absent = "v" }`: this, if the response has none.
    IfAbsent(String),
    /// `false`: there is none.
    Remove,
}

/// `cors`: which other sites' scripts may read responses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cors {
    /// `origins`: as browsers send them, `https://*.example.com`, or `*` alone. At least one.
    pub origins: Vec<String>,
    /// `credentials`: with cookies and passwords. Never with `*`.
    pub credentials: bool,
    /// `methods`. Default: all of the usual.
    pub methods: Vec<String>,
    /// `headers`: request fields that scripts may set. Empty: any.
    pub headers: Vec<String>,
    /// `expose`: response fields that scripts may read, besides the usual.
    pub expose: Vec<String>,
    /// `max_age`: how long browsers remember the answer. Default 1 h; 0 s to 24 h.
    pub max_age: Duration,
}

/// An entry of `error_pages`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorPage {
    /// The statuses it is for, from the first to the last.
    pub statuses: (u16, u16),
    /// A file, absolute. HTML is for those who ask for it, anything else for everybody else.
    pub path: PathBuf,
}

/// How files are served.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRules {
    /// `types`: extensions in lower case, without the dot, and what they mean.
    pub types: Vec<(String, String)>,
    /// `charset`.
    pub charset: Charset,
    /// `cache`: patterns, the most exact first, and the `Cache-Control` of what they match.
    pub cache: Vec<(String, String)>,
    /// `compress`: types of files that are compressed. Empty: none.
    pub compress: Vec<String>,
}

/// `charset` of text files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Charset {
    /// UTF-8 (default).
    #[default]
    Utf8,
    /// Another one.
    Named(String),
    /// `false`: files say it themselves.
    Unsaid,
}

/// Who may come in by a password.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Passwords {
    /// `realm`: printable ASCII without quotes and backslashes.
    pub realm: String,
    /// What the file said when it was read: names and hashes of bcrypt or Argon2. At least one.
    pub users: Vec<(String, String)>,
}

/// Without the hashes, which are no log's business.
impl std::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (realm, users) = (&self.realm, self.users.len());
        write!(f, "Passwords {{ realm: {realm:?}, users: {users} }}")
    }
}

/// `rate_limit`: a token bucket for each client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RateLimit {
    /// Which limit this is: what inherits it has the same number, and counts together with it.
    pub number: u32,
    /// `rate`: requests, 1 to 1000000…
    pub requests: u32,
    /// …in this time: a second, a minute, an hour or a day.
    pub period: Duration,
    /// `burst`: the bucket's size, 1 to 1000000. Default: `requests`.
    pub burst: u32,
    /// `by`. Default [`LimitBy::Address`].
    pub by: LimitBy,
}

/// What one client of a rate limit is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum LimitBy {
    /// An IPv4 address, or the /64 of an IPv6 address (default).
    Address,
    /// The value of this request field; requests without it by address.
    Field(String),
    /// Everybody together.
    Route,
}

/// The key of a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pattern {
    /// `"= /path"`: this path alone.
    Exact(String),
    /// `"/path"`: this path and everything below it (`/api` answers `/api` and `/api/x`, not
    /// `/apix`); with a final slash, what is below it, and the path without the slash is
    /// redirected to it. The longest prefix wins, unless a [`Pattern::Expression`] matches.
    Prefix(String),
    /// `"^~ /path"`: the same, and where it is the longest no expression is tried.
    FirmPrefix(String),
    /// `"~ …"`: the first in the order of the file that matches wins over prefixes.
    Expression(PathPattern),
}

/// The value of a route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Target {
    /// `{ files = "dist", … }`.
    Files(Files),
    /// `{ wsgi = true }`, `{ wsgi = "module:callable" }`: [`Route::callee`].
    Wsgi,
    /// `{ redirect = "/new", … }`.
    Redirect(Redirect),
    /// `{ rewrite = "/new" }`: the request goes on with another path, unseen by the client.
    Rewrite(Template),
    /// `{ respond = 204 }` or `{ respond = "text", … }`.
    Respond(Respond),
    /// `{ proxy = … }`: other servers.
    Proxy(Proxy),
}

/// A folder of static files. The route's prefix is cut off (nginx's `alias`, not its `root`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Files {
    /// `files`: the folder (for an exact route: the folder or the file itself), absolute.
    pub root: PathBuf,
    /// `fallback`: answers navigations that match no file, as a path inside the folder:
    /// `/index.html`. Default: none, such a request is a 404.
    pub fallback: Option<String>,
    /// `extensions`: what is put behind a path that names no file: `.html`. Default: nothing.
    pub extensions: Vec<String>,
    /// `wsgi` beside `files`: the application answers what no file does. Never with a fallback.
    pub then_wsgi: bool,
    /// `index`: file names tried for a folder. Default `["index.html"]`.
    pub index: Vec<String>,
    /// `immutable`: which files may be cached for a year. Default [`Immutable::Hashed`].
    pub immutable: Immutable,
}

/// `immutable` of a files route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Immutable {
    /// Files whose name carries a content hash, as Vite, webpack and Django's manifest storage
    /// write them (default).
    Hashed,
    /// Every file but HTML.
    All,
    /// None.
    Never,
}
