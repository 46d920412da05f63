//! What to do about a [`Fault`].

mod route;

use std::net::SocketAddr;

use crate::example;
use crate::fault::{AddressProblem, Advice, Fault, HostProblem, LogProblem, ModuleProblem};
use crate::key_path::{KeyPath, printable, quoted};
use crate::log_format::FormatProblem;
use crate::network::NetworkProblem;

/// For what is not where it was looked for.
const NOT_THERE: &str =
    "create it, or mend the path: unless it begins with `/`, it begins at this file's folder";
const NO_ROUTES: &str = "add `[site.routes]` with an entry such as `\"/\" = { files = \"dist\" }`";

/// The line after `help:`.
pub(crate) fn of(fault: &Fault) -> Option<String> {
    let help = match fault {
        Fault::NoFile(_) => "name the path of a project.toml; `appliance init` writes one by what lies in a folder".into(),
        Fault::FileIsFolder { has_project: true } => "name the file in it, `project.toml`".into(),
        Fault::FileIsFolder { .. } => "name a project.toml".into(),
        Fault::NotUtf8(_) => "save the file as UTF-8".into(),
        Fault::UnknownKey {
            advice: Some(Advice::Foreign { name: "root", .. }),
            ..
        } => "unlike `root`, `files` does not add the route's path to the folder's".into(),
        Fault::TableList { header: "[server]" } => "nginx's `server` is `[[site]]` here".into(),
        Fault::TableList { header } => format!("write `{header}`"),
        Fault::NoQuotes { text } => format!("write {}", quoted(text)),
        Fault::VariableName => "write `APPLIANCE_PYTHON__PROCESSES` for `python.processes`".into(),
        Fault::FlagForm => "write `--set python.processes=8`".into(),
        Fault::SiteWithoutNumber => {
            "write `site.0` for the first site, `APPLIANCE_SITE__0__…` in the environment".into()
        }
        Fault::Missing { key } if key.segments().ends_with(&["listen".into()]) => {
            "`listen = 8080`, or `listen = \"127.0.0.1:8080\"` for this machine alone".into()
        }
        Fault::Missing { key } if key.segments().ends_with(&["routes".into()]) => {
            NO_ROUTES.into()
        }
        Fault::Missing { key } => return example::of(key, ""),
        Fault::Expected { key, found, .. } => return example::of(key, found),
        Fault::BadText { key, .. } => return example::of(key, ""),
        Fault::NoUnit { .. } => {
            "units are `ms`, `s`, `m`, `h`, `d` and `y`, and add up: \"1m30s\"".into()
        }
        Fault::NoSite => "add `[[site]]` with `listen` and `[site.routes]`".into(),
        Fault::NoFolder { hooks: true, .. } | Fault::NoRegularFile { hooks: true, .. } => {
            "one of `hooks.before_start` has to create it".into()
        }
        Fault::NoFolder { exists: true, .. } => "name the folder that it is in".into(),
        Fault::NoRegularFile { exists: true, .. } => "name a file in it".into(),
        Fault::NoFolder { .. } | Fault::NoRegularFile { .. } => NOT_THERE.into(),
        Fault::NoVirtualenv { .. } => {
            "set `python.requirements` to have it created, or run `python3 -m venv` yourself".into()
        }
        Fault::NoModule { .. } => "add `module = \"package.wsgi\"` to `[python]`".into(),
        Fault::ProcessesWithoutMaster { .. }
        | Fault::ReplacementWithoutMaster { .. }
        | Fault::PathsWithPrivileges
        | Fault::DaemonWithoutMaster => {
            "leave out one of the two".into()
        }
        Fault::RequirementsWithoutVirtualenv => "add `virtualenv = \".venv\"`".into(),
        Fault::UnknownUser { found } if found.contains(char::is_whitespace) => {
            "the group has a key of its own, `group`".into()
        }
        Fault::UnknownUser { found } | Fault::UnknownGroup { found }
            if found.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            "numbers go up to 4294967294".into()
        }
        Fault::UnknownUser { found } => {
            format!("create it (`useradd --system {}`), or name another one", printable(found))
        }
        Fault::UnknownGroup { found } => {
            format!("create it (`groupadd --system {}`), or name another one", printable(found))
        }
        Fault::UserWithoutGroup { uid } => format!("add `group = \"{uid}\"`"),
        Fault::GroupWithoutUser => "add `user = \"www-data\"`".into(),
        Fault::Mode { key, found } => {
            return example::of(&KeyPath::new(["server", key]), found);
        }
        Fault::EnvironmentName { .. } => {
            "a name is not empty, and has no `=`: `env = { DJANGO_SETTINGS_MODULE = \"config.settings\" }`".into()
        }
        Fault::NoDatabase { .. } => "ask the user database by `getent passwd`".into(),
        Fault::Module { found, problem, .. } => module(found, *problem),
        Fault::Address { found, problem } => return address(found, *problem),
        Fault::RemoteDevelopment { address } => format!(
            "`appliance dev --listen 127.0.0.1:{}` listens on this machine alone; `--allow-remote` lets the others in",
            address.port()
        ),
        Fault::AddressClash { address, other } => clash(*address, *other),
        Fault::HostName { found, problem } => host(found, *problem),
        Fault::Network { found, problem, .. } => return network(found, *problem),
        Fault::AddressTwice { .. } | Fault::HostNameTwice { .. } => "list it once".into(),
        Fault::SameName { .. } => "a name belongs to one site of an address".into(),
        Fault::TwoDefaults { .. } => "leave `default` out of one of them".into(),
        Fault::NoRoutes { .. } => NO_ROUTES.into(),
        Fault::Rule { problem, .. } => return problem.help(),
        Fault::Tls(fault) => fault.help().into(),
        Fault::Uwsgi(fault) => fault.help(),
        Fault::LogFormat { problem, .. } => log_format(problem).into(),
        Fault::LogTarget { problem, .. } => return log_target(problem),
        Fault::TrustsAll { .. } => "name the proxies' own addresses or networks".into(),
        Fault::NobodyTrusted => {
            "add the proxies' addresses to `[server]`: `trusted_proxies = [\"10.0.0.0/8\"]`".into()
        }
        Fault::ProxyProtocolDiffers { .. } | Fault::Http2Differs { .. } => {
            "a connection's site is not known when it begins: say the same in both, or listen on two ports".into()
        }
        Fault::TwoUnnamed { .. } => "give one of them a `server_name`".into(),
        Fault::RoutePath { found, problem } | Fault::Fallback { found, problem } => {
            return Some(route::path(found, problem));
        }
        Fault::SameRoute { route, .. } => route::same(route),
        Fault::NoTarget { .. } => {
            "write `{ files = \"dist\" }`, `{ wsgi = true }`, `{ proxy = \"http://127.0.0.1:3000\" }`, `{ redirect = \"/new\" }`, `{ rewrite = \"/new\" }` or `{ respond = 204 }`".into()
        }
        Fault::TwoTargets { first, second, .. } => format!("leave out `{first}` or `{second}`"),
        Fault::WsgiFalse { .. } => "leave it out, and say who answers instead".into(),
        Fault::ProxyUrl { found, problem } => route::url(found, *problem),
        Fault::Balance { .. } => "for example \"least_requests\", or \"field:X-Session\"".into(),
        Fault::Extension { .. } => "for example `extensions = [\".html\"]`".into(),
        Fault::IndexName { found } if found.starts_with('.') => {
            "files whose name begins with a dot are not served".into()
        }
        Fault::IndexName { .. } => "name it without its folder, such as \"index.html\"".into(),
        Fault::NoRedirect { status } => format!("`respond = {status}` answers with that status"),
        Fault::TwoStatuses => "for example `respond = \"gone for good\", status = 410`".into(),
        Fault::RespondRedirects { status: 206 | 304 } => {
            "it answers certain fields of a request, which a `files` route does by itself".into()
        }
        Fault::RespondRedirects { status: 444 } => {
            "connections are not closed without an answer; 421 says that a host is not served here".into()
        }
        Fault::LooksLikeRoot { inner, .. } => format!(
            "nginx's `root` would add it; if that is meant, write `files = {}`",
            quoted(&inner.display().to_string())
        ),
        Fault::RouteLoop { routes } => {
            let again = routes.last().filter(|again| again.starts_with('/'))?;
            format!("\"= {again}\" answers `{again}` alone, not what is below it")
        }
        Fault::Template { found, problem, .. } => route::template(found, problem),
        Fault::RespondRedirects { status } if matches!(status, 301 | 302 | 303 | 307 | 308) => {
            format!("write `redirect = \"/new\", status = {status}`")
        }
        _ => return None,
    };
    Some(help)
}

fn module(found: &str, problem: ModuleProblem) -> String {
    match problem {
        ModuleProblem::File => {
            let (file, callable) = found.split_once(':').unwrap_or((found, ""));
            let name = file
                .trim_start_matches("./")
                .trim_end_matches(".py")
                .replace('/', ".");
            let colon = if callable.is_empty() { "" } else { ":" };
            format!(
                "write \"{name}{colon}{callable}\", `python.chdir` being the folder it starts from"
            )
        }
        ModuleProblem::Call => {
            "call it in the module, `application = create_app()`, and name the result".into()
        }
        ModuleProblem::Form => "for example \"config.wsgi:application\"".into(),
    }
}

fn address(found: &str, problem: AddressProblem) -> Option<String> {
    let help = match problem {
        AddressProblem::NoPort
            if found.contains(':') && !found.starts_with('[') && !found.contains("://") =>
        {
            format!("write \"[{found}]:80\"")
        }
        AddressProblem::NoPort if found.starts_with("https://") => {
            format!("write \"{found}:443\"")
        }
        AddressProblem::NoPort if found.starts_with("uwsgi://") => {
            format!("write \"{found}:8080\"")
        }
        AddressProblem::NoPort => format!("write \"{found}:80\""),
        AddressProblem::Name if found.starts_with("https://") => {
            "write an address, such as \"https://:443\"; names are for `server_name`".into()
        }
        AddressProblem::Name => "write its address, such as \"127.0.0.1:8080\"".into(),
        AddressProblem::Unix if found.starts_with('/') => format!("write \"unix:{found}\""),
        AddressProblem::Unix | AddressProblem::UnixPath => {
            "for example \"unix:/run/appliance/site.sock\"".into()
        }
        AddressProblem::Uwsgi => {
            let rest = found.trim_start_matches("uwsgi:").trim_start_matches('/');
            match found.contains("unix:") {
                true => format!("write \"uwsgi://{rest}\""),
                false if rest.contains('/') => format!("write \"uwsgi://unix:/{rest}\""),
                false => "for example \"uwsgi://127.0.0.1:8080\" or \"uwsgi://unix:/run/shop/uwsgi.sock\"".into(),
            }
        }
        AddressProblem::Range => "list the ports that are meant: `[8080, 8081]`".into(),
        AddressProblem::Parameters if found.ends_with(" proxy_protocol") => {
            "`proxy_protocol = true` is a key of its own".into()
        }
        AddressProblem::Parameters => {
            "such parameters do not exist; the first site of an address is its default".into()
        }
        AddressProblem::Ssl => {
            let bare = found.split(' ').next().unwrap_or_default();
            let colon = if bare.contains(':') { "" } else { ":" };
            format!("write \"https://{colon}{bare}\"")
        }
        AddressProblem::Star => format!("write \"{}\"", found.replacen('*', "0.0.0.0", 1)),
        AddressProblem::Form => "for example `8080`, \"127.0.0.1:8080\" or \"[::]:8080\"".into(),
    };
    Some(help)
}

fn network(found: &str, problem: NetworkProblem) -> Option<String> {
    match problem {
        NetworkProblem::Name => Some("write its address, such as \"10.0.0.1\"".into()),
        NetworkProblem::Port => {
            let address: SocketAddr = found.parse().ok()?;
            Some(format!("write \"{}\"", address.ip()))
        }
        NetworkProblem::Bits(network) => {
            let address = found.split('/').next().unwrap_or_default();
            Some(format!(
                "write \"{network}\" for the network, \"{address}\" for the address alone"
            ))
        }
        NetworkProblem::Prefix(_) | NetworkProblem::Form => {
            Some("for example \"10.0.0.0/8\", \"192.168.1.1\" or \"2001:db8::/32\"".into())
        }
    }
}

fn clash(address: SocketAddr, other: SocketAddr) -> String {
    let wider = if address.ip().is_unspecified() {
        address
    } else {
        other
    };
    format!("keep `{wider}` alone, in every site that needs it")
}

fn host(found: &str, problem: HostProblem) -> String {
    match problem {
        HostProblem::Any => "leave out `server_name` to answer any name".into(),
        HostProblem::Wildcard => {
            "\"*.example.com\" is every name below it, \".example.com\" that one too, \"www.*\" every name that begins so".into()
        }
        HostProblem::Regex => "list the names".into(),
        HostProblem::Port => format!("write \"{}\"", found.split(':').next().unwrap_or_default()),
        HostProblem::Url => {
            let host = found.split("://").nth(1).unwrap_or_default();
            format!(
                "write \"{}\"",
                host.split(['/', ':']).next().unwrap_or_default()
            )
        }
        HostProblem::NotAscii => "write it as browsers send it, in its `xn--` form".into(),
        HostProblem::Form => {
            "names are letters, digits, `-` and `.`, such as \"shop.example.com\"".into()
        }
    }
}

fn log_target(problem: &LogProblem) -> Option<String> {
    Some(match problem {
        LogProblem::Journal => {
            "under systemd `\"stderr\"` is the journal, and each line carries its level".into()
        }
        LogProblem::Folder => "name a file in it".into(),
        LogProblem::NoFolder(folder) => format!("create it: `mkdir -p {}`", folder.display()),
        LogProblem::Form => {
            "a syslog is `\"syslog\"`, `\"syslog:/path/to/socket\"` or `\"syslog://192.0.2.1:514\"`"
                .into()
        }
    })
}

fn log_format(problem: &FormatProblem) -> &'static str {
    match problem {
        FormatProblem::Unknown { .. } => {
            "docs/project-file.md lists the variables; fields are `$http_NAME` and `$sent_http_NAME`"
        }
        FormatProblem::Nothing => {
            "write \"common\", \"combined\", \"json\", or a text such as \"$remote_addr $request $status\""
        }
        FormatProblem::NoName => "a variable is `$status` or `${status}`",
        FormatProblem::Newline => "each line of the log ends by itself: leave it out",
    }
}
