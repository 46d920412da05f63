//! Everything that can be wrong with a project, as data; `Display` writes the sentence.

mod rule;
mod tls;
mod uwsgi;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

pub(crate) use crate::fault::tls::TlsFault;
pub(crate) use crate::fault::uwsgi::UwsgiFault;
use crate::key_path::KeyPath;
use crate::log_format::FormatProblem;
use crate::network::{Network, NetworkProblem};

pub(crate) use rule::{PasswordProblem, RuleProblem};
/// What is wrong with a server's URL.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum UrlProblem {
    Scheme,
    Tls,
    Host,
    Port,
    NoPort,
    Path,
    Query,
    User,
    UnixPath,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    // The sources.
    /// There is no project file; the absolute path looked at.
    NoFile(PathBuf),
    /// The project file is a folder; whether it holds a project.toml.
    FileIsFolder { has_project: bool },
    /// The project file is not UTF-8: the first byte that cannot be decoded.
    NotUtf8(u8),
    /// The project file cannot be read; the system's reason.
    Unreadable(String),
    /// It is not TOML; the parser's message.
    Syntax(String),
    /// A key with nothing after its `=`.
    NoValue,
    /// A value without quotes.
    NoQuotes { text: String },
    /// A key or table written twice.
    KeyTwice { key: String },
    /// `APPLIANCE_` alone, or an empty segment.
    VariableName,
    /// `--set` without `key=value`.
    FlagForm,

    // Keys.
    /// Nobody knows this key.
    UnknownKey {
        key: KeyPath,
        advice: Option<Advice>,
    },
    /// A table written as a list of tables.
    TableList { header: &'static str },
    /// `[site]` for `[[site]]`.
    SingleSite,
    /// `site.listen` in the environment or a flag.
    SiteWithoutNumber,
    /// `site.7` where there are fewer sites.
    NoSuchSite { number: String, sites: usize },
    /// The value's type or range.
    Expected {
        key: KeyPath,
        expected: String,
        found: String,
    },
    /// A duration without unit.
    NoUnit { key: KeyPath, found: String },
    /// A required key is left out.
    Missing { key: KeyPath },
    /// The project has no `[[site]]`.
    NoSite,

    // Files and folders.
    /// A folder that does not exist, or is something else.
    NoFolder {
        key: KeyPath,
        path: PathBuf,
        exists: bool,
        hooks: bool,
    },
    /// A file that does not exist, or is something else.
    NoRegularFile {
        key: KeyPath,
        path: PathBuf,
        exists: bool,
        hooks: bool,
    },
    /// The virtual environment is missing and nothing would create it.
    NoVirtualenv { path: PathBuf },

    // `[server]`.
    /// `user`: nobody has this name or number.
    UnknownUser { found: String },
    /// `group`: nobody has this name or number.
    UnknownGroup { found: String },
    /// The user or group database does not answer; the system's reason.
    NoDatabase { key: KeyPath, reason: String },
    /// `user`: a number without an entry that says its group.
    UserWithoutGroup { uid: u32 },
    /// `group` without `user`.
    GroupWithoutUser,
    /// `read_write_paths` without `no_new_privileges`.
    PathsWithPrivileges,
    /// `daemonize` where nobody could say that the server serves.
    DaemonWithoutMaster,
    /// `umask`: not octal, or too much.
    Mode { key: &'static str, found: String },
    /// Not a network, in a list of them.
    Network {
        key: KeyPath,
        found: String,
        problem: NetworkProblem,
    },
    /// `trusted_proxies`: every address there is.
    TrustsAll { network: Network },

    /// Not a format of lines.
    LogFormat {
        key: KeyPath,
        problem: FormatProblem,
    },
    /// Not a place for a log.
    LogTarget {
        key: KeyPath,
        found: String,
        problem: LogProblem,
    },

    // `[python]`.
    /// `python.module` is not `module:callable`.
    Module {
        key: &'static str,
        found: String,
        problem: ModuleProblem,
    },
    /// A `wsgi` route without `python.module`.
    NoModule { route: String },
    /// More processes than the one there is.
    ProcessesWithoutMaster { processes: usize },
    /// A bound of workers' lives where nobody replaces them.
    ReplacementWithoutMaster { key: &'static str },
    /// `requirements` without `virtualenv`.
    RequirementsWithoutVirtualenv,
    /// A text holds a NUL or is empty.
    BadText { key: KeyPath, empty: bool },
    /// A name no environment variable can have.
    EnvironmentName { name: String },

    // `[[site]]`.
    /// Not an address.
    Address {
        found: String,
        problem: AddressProblem,
    },
    /// `appliance dev` where other machines could see it.
    RemoteDevelopment { address: SocketAddr },
    /// One address twice in a site.
    AddressTwice { address: String },
    /// Two addresses that cannot both be bound.
    AddressClash {
        address: SocketAddr,
        other: SocketAddr,
    },
    /// Not a host name.
    HostName { found: String, problem: HostProblem },
    /// One name twice in a site.
    HostNameTwice { name: String },
    /// Two sites of one address have the same name.
    SameName {
        name: String,
        address: String,
        other: usize,
    },
    /// Two sites of one address have no name.
    TwoUnnamed { address: String, other: usize },
    /// Two sites of one address would answer names nobody has; whether by `default` both.
    TwoDefaults {
        address: String,
        other: usize,
        both: bool,
    },
    /// Two sites of one address, one of which expects the PROXY protocol.
    ProxyProtocolDiffers {
        address: String,
        here: bool,
        other: usize,
    },
    /// Two sites of one address that speak HTTP/2 in different places.
    Http2Differs {
        address: String,
        here: &'static str,
        there: &'static str,
        other: usize,
    },
    /// `proxy_protocol` without `server.trusted_proxies`.
    NobodyTrusted,
    /// Its certificate, key, or what is said of `https://` addresses.
    Tls(TlsFault),
    /// What is said of `uwsgi://` addresses.
    Uwsgi(UwsgiFault),
    /// A site without a route.
    NoRoutes { key: KeyPath },

    // Rules.
    /// What is ruled cannot be.
    Rule { key: KeyPath, problem: RuleProblem },

    // Routes.
    /// Not a path.
    RoutePath { found: String, problem: PathProblem },
    /// Two routes for the same paths.
    SameRoute { route: String, other: String },
    /// Nothing that answers.
    NoTarget { route: String },
    /// More than one says who answers.
    TwoTargets {
        route: String,
        first: &'static str,
        second: &'static str,
    },
    /// `wsgi = false`.
    WsgiFalse { route: String },
    /// `mount` where no path is cut off.
    MountWithoutPrefix,
    /// A key where something else answers.
    BelongsTo {
        key: &'static str,
        targets: &'static [&'static str],
    },
    /// `redirect` or `rewrite`: not a place to go to.
    Template {
        key: &'static str,
        found: String,
        problem: TemplateProblem,
    },
    /// A `status` that is no redirect's.
    NoRedirect { status: usize },
    /// A `respond` that would need a place to go to.
    RespondRedirects { status: u16 },
    /// `status` beside a `respond` that is one.
    TwoStatuses,
    /// Routes that lead in a circle.
    RouteLoop { routes: Vec<String> },
    /// Not the URL of a server.
    ProxyUrl { found: String, problem: UrlProblem },
    /// `balance` of a proxy.
    Balance { found: String },
    /// `fallback` of an exact route.
    ExactWithFallback,
    /// Not a path inside the folder.
    Fallback { found: String, problem: PathProblem },
    /// `fallback` where the application answers what no file does.
    FallbackBesideWsgi,
    /// A key beside `rewrite`.
    BesideRewrite { key: &'static str },
    /// `extensions`: not the end of a file's name.
    Extension { found: String },
    /// The folder holds another one with the route's path, as nginx's `root` would.
    LooksLikeRoot { route: String, inner: PathBuf },
    /// Not a file name.
    IndexName { found: String },
}

/// What an unknown key was probably meant to be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Advice {
    /// A key of this table or, with its header, of another one.
    Near {
        key: &'static str,
        header: Option<&'static str>,
    },
    /// A key of another table.
    Elsewhere {
        key: &'static str,
        header: &'static str,
    },
    /// nginx's or uWSGI's name of a key.
    Foreign {
        program: &'static str,
        name: &'static str,
        key: &'static str,
        header: Option<&'static str>,
    },
    /// Something that has no key here; under whose name it is known, if it is another program's.
    Instead {
        whose: Option<(&'static str, &'static str)>,
        text: &'static str,
    },
}

/// What is wrong with a place for a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LogProblem {
    /// `journald`.
    Journal,
    /// It is a folder.
    Folder,
    /// The file's folder does not exist.
    NoFolder(PathBuf),
    /// Something else.
    Form,
}

/// What is wrong with `python.module`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ModuleProblem {
    /// A path: `shop/wsgi.py`.
    File,
    /// A call: `shop:create_app()`.
    Call,
    /// Anything else.
    Form,
}

/// What is wrong with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AddressProblem {
    /// An address without port.
    NoPort,
    /// A name instead of an address.
    Name,
    /// A path without `unix:`.
    Unix,
    /// `unix:` with no path that a socket can have.
    UnixPath,
    /// `uwsgi:` with something else than `//` and an address or a unix socket behind it.
    Uwsgi,
    /// `8080-8090`.
    Range,
    /// nginx's `80 default_server`.
    Parameters,
    /// nginx's `443 ssl`.
    Ssl,
    /// nginx's `*:80`.
    Star,
    /// A port beyond 65535, or something else.
    Form,
}

/// What is wrong with a host name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HostProblem {
    /// nginx's `_`, or nothing.
    Any,
    /// `*.example.com`.
    Wildcard,
    /// `~^www`.
    Regex,
    /// `example.com:80`.
    Port,
    /// `https://example.com`.
    Url,
    /// Letters beyond ASCII.
    NotAscii,
    /// Anything else.
    Form,
}

/// What is wrong with a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PathProblem {
    /// It does not begin with a slash.
    NoSlash,
    /// It has a `.` or `..` segment.
    Dots,
    /// It has an empty segment.
    DoubleSlash,
    /// It has a `?` or `#`.
    Query,
    /// It has a `%`.
    Encoded,
    /// It has a control character or a backslash.
    Character,
    /// nginx's `@name`.
    Modifier,
    /// `~` without an expression.
    NoExpression,
    /// Not a regular expression; the reason.
    Expression(String),
    /// It names a folder where a file is needed.
    Folder,
}

/// What is wrong with the target of a redirect or rewrite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TemplateProblem {
    /// It begins with neither `/` nor `https://`.
    Start,
    /// It begins with `//`, which browsers take for a host.
    TwoSlashes,
    /// A variable that nobody knows.
    Unknown(String),
    /// `$3` where there are fewer groups; how many.
    NoGroup(usize, usize),
    /// `$1` where there is no expression.
    NoExpression(String),
    /// `${` without its end.
    Unclosed,
    /// What the visitor sent would choose the host.
    Host,
    /// A space, a control character or a backslash.
    Character,
    /// A rewrite to a URL or with a fragment: the client has no part in it.
    NotInside,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::sentence::write(self, f)
    }
}

impl Fault {
    /// What to do, where the sentence does not say it already.
    pub(crate) fn help(&self) -> Option<String> {
        crate::help::of(self)
    }
}
