//! The sentence of every [`Fault`]: what was wrong and what was found. Lower case, no full stop.

mod address;
mod route;

use std::fmt::{self, Formatter};

use crate::fault::{Advice, Fault, LogProblem, ModuleProblem};
use crate::key_path::{KeyPath, printable};
use crate::log_format::FormatProblem;

/// Writes the sentence.
pub(crate) fn write(fault: &Fault, f: &mut Formatter<'_>) -> fmt::Result {
    match fault {
        Fault::NoFile(path) => write!(f, "no such file: `{}`", path.display()),
        Fault::FileIsFolder { .. } => f.write_str("this is a folder, not a project file"),
        Fault::NotUtf8(byte) => write!(
            f,
            "not UTF-8 text: the byte 0x{byte:02X} stands for no character"
        ),
        Fault::Unreadable(reason) => write!(f, "cannot be read: {reason}"),
        Fault::Syntax(message) => write!(f, "not valid TOML: {}", one_line(message)),
        Fault::NoValue => f.write_str("not valid TOML: there is no value after `=`"),
        Fault::NoQuotes { .. } => f.write_str("not valid TOML: text needs quotes"),
        Fault::KeyTwice { key } => {
            write!(f, "not valid TOML: `{}` is written twice", printable(key))
        }
        Fault::VariableName => f.write_str("not the name of a setting"),
        Fault::FlagForm => f.write_str("must have the form `key=value`"),
        Fault::UnknownKey { key, advice } => unknown(f, key, advice.as_ref()),
        Fault::TableList { header } => {
            write!(f, "there is only one `{header}`, not a list of them")
        }
        Fault::SingleSite => f.write_str("sites are a list: write `[[site]]`"),
        Fault::SiteWithoutNumber => f.write_str("sites are a list: a key needs the site's number"),
        Fault::NoSuchSite { number, sites } => no_such_site(f, number, *sites),
        Fault::Expected {
            key,
            expected,
            found,
        } => write!(f, "`{key}` must be {expected}, found {found}"),
        Fault::NoUnit { key, found } => {
            write!(f, "`{key}`: `{found}` has no unit: write \"{found}s\"")
        }
        Fault::Missing { key } => write!(f, "`{key}` is missing"),
        Fault::NoSite => f.write_str("there is no `[[site]]`: nothing would be served"),
        _ => meaning(fault, f),
    }
}

/// Faults of well-formed settings.
fn meaning(fault: &Fault, f: &mut Formatter<'_>) -> fmt::Result {
    match fault {
        Fault::NoFolder {
            key,
            path,
            exists: false,
            ..
        } => {
            write!(f, "`{key}`: there is no folder `{}`", path.display())
        }
        Fault::NoFolder { key, path, .. } => {
            write!(f, "`{key}`: `{}` is not a folder", path.display())
        }
        Fault::NoRegularFile {
            key,
            path,
            exists: false,
            ..
        } => {
            write!(f, "`{key}`: there is no file `{}`", path.display())
        }
        Fault::NoRegularFile { key, path, .. } => {
            write!(f, "`{key}`: `{}` is not a file", path.display())
        }
        Fault::NoVirtualenv { path } => {
            write!(
                f,
                "`python.virtualenv`: there is no virtual environment `{}`",
                path.display()
            )
        }
        Fault::UnknownUser { found } => {
            write!(f, "`server.user`: there is no user `{}`", printable(found))
        }
        Fault::UnknownGroup { found } => {
            write!(
                f,
                "`server.group`: there is no group `{}`",
                printable(found)
            )
        }
        Fault::NoDatabase { key, reason } => {
            write!(f, "`{key}`: it cannot be looked up: {reason}")
        }
        Fault::UserWithoutGroup { uid } => write!(
            f,
            "`server.user`: no user has the number {uid}, so its group is not known"
        ),
        Fault::GroupWithoutUser => f.write_str(
            "`server.group` without `server.user`: root in another group would still be root",
        ),
        Fault::PathsWithPrivileges => f.write_str(
            "`server.read_write_paths` restricts nobody who may gain privileges (`no_new_privileges = false`)",
        ),
        Fault::DaemonWithoutMaster => f.write_str(
            "`server.daemonize` returns when the site serves, which with `server.master = false` nobody says",
        ),
        Fault::Mode { key, found } => write!(
            f,
            "`server.{key}` must be octal digits, from \"000\" to \"777\", found `{}`",
            printable(found)
        ),
        Fault::Network {
            key,
            found,
            problem,
        } => address::network(f, key, found, *problem),
        Fault::TrustsAll { network } => {
            write!(
                f,
                "`{network}` trusts everybody: any client may say that it is another"
            )
        }
        Fault::LogFormat { key, problem } => log_format(f, key, problem),
        Fault::LogTarget {
            key,
            found,
            problem,
        } => log_target(f, key, found, problem),
        Fault::Module {
            key,
            found,
            problem,
        } => module(f, key, found, *problem),
        Fault::NoModule { route } => {
            write!(f, "route `{route}` needs `python.module`, which is missing")
        }
        Fault::ProcessesWithoutMaster { processes } => {
            write!(
                f,
                "`python.processes` is {processes}, but `server.master = false` means one process"
            )
        }
        Fault::ReplacementWithoutMaster { key } => write!(
            f,
            "`python.{key}` has workers replaced, but with `server.master = false` nobody does that"
        ),
        Fault::RequirementsWithoutVirtualenv => f.write_str(
            "`python.requirements` needs `python.virtualenv`, the folder to install into",
        ),
        Fault::BadText { key, empty: true } => write!(f, "`{key}` is empty"),
        Fault::BadText { key, .. } => write!(f, "`{key}` holds a NUL character"),
        Fault::EnvironmentName { name } if name.is_empty() => {
            f.write_str("the name of an environment variable is empty")
        }
        Fault::EnvironmentName { name } => {
            write!(
                f,
                "`{}` cannot be the name of an environment variable",
                printable(name)
            )
        }
        _ => site(fault, f),
    }
}

/// Faults of a site.
fn site(fault: &Fault, f: &mut Formatter<'_>) -> fmt::Result {
    match fault {
        Fault::Address { found, problem } => address::address(f, found, *problem),
        Fault::RemoteDevelopment { address } => write!(
            f,
            "`{address}` is open to other machines, which would see tracebacks and source code"
        ),
        Fault::AddressTwice { address } => write!(f, "`{address}` is listed twice"),
        Fault::AddressClash { address, other } => {
            write!(
                f,
                "`{address}` cannot be listened on beside `{other}`: it is part of it"
            )
        }
        Fault::HostName { found, problem } => address::host(f, found, *problem),
        Fault::HostNameTwice { name } => write!(f, "`{name}` is listed twice"),
        Fault::SameName {
            name,
            address,
            other,
        } => {
            write!(
                f,
                "`{name}` on `{address}` is already served by `site.{other}`"
            )
        }
        Fault::TwoUnnamed { address, other } => {
            write!(
                f,
                "any name on `{address}` is already served by `site.{other}`"
            )
        }
        Fault::TwoDefaults {
            address,
            other,
            both: true,
        } => write!(f, "`site.{other}` is the `default` of `{address}` already"),
        Fault::TwoDefaults { address, other, .. } => write!(
            f,
            "`default` on `{address}`, where one of this site and `site.{other}` has no names and answers any"
        ),
        Fault::ProxyProtocolDiffers {
            address,
            here,
            other,
        } => {
            write!(
                f,
                "`proxy_protocol` is `{here}` here, but `{}` in `site.{other}`, which listens on `{address}` as well",
                !here
            )
        }
        Fault::Tls(fault) => write!(f, "{fault}"),
        Fault::Uwsgi(fault) => write!(f, "{fault}"),
        Fault::Http2Differs {
            address,
            here,
            there,
            other,
        } => {
            write!(
                f,
                "`http2` is \"{here}\" here, but \"{there}\" in `site.{other}`, which listens on `{address}` as well"
            )
        }
        Fault::NobodyTrusted => f.write_str(
            "`proxy_protocol` needs `server.trusted_proxies`: who may say who the client is",
        ),
        Fault::NoRoutes { key } => {
            write!(f, "`{key}` is empty: the site would answer nothing but 404")
        }
        _ => route(fault, f),
    }
}

/// Faults of a route.
fn route(fault: &Fault, f: &mut Formatter<'_>) -> fmt::Result {
    match fault {
        Fault::Rule { key, problem } => write!(f, "`{key}` {problem}"),
        Fault::RoutePath { found, problem } => {
            write!(f, "route `{}` {}", printable(found), route::path(problem))
        }
        Fault::SameRoute { route, other } => {
            write!(
                f,
                "route `{route}` answers the same paths as route `{other}`"
            )
        }
        Fault::NoTarget { route } => write!(f, "route `{route}` does not say who answers"),
        Fault::TwoTargets {
            route,
            first,
            second,
        } => {
            write!(
                f,
                "route `{route}` has both `{first}` and `{second}`: keep one"
            )
        }
        Fault::ProxyUrl { found, problem } => {
            write!(f, "`{}` {}", printable(found), route::url(*problem))
        }
        Fault::Balance { found } => write!(
            f,
            "`balance` must be \"round_robin\", \"least_requests\", \"address\" or \"field:Name\", found `{}`",
            printable(found)
        ),
        Fault::WsgiFalse { route } => write!(f, "route `{route}`: `wsgi` is `true` or left out"),
        Fault::MountWithoutPrefix => {
            f.write_str("`mount` belongs to a prefix, such as `/admin`: here no path is cut off")
        }
        Fault::BelongsTo { key, targets } => {
            write!(
                f,
                "`{key}` belongs to a route with `{}`",
                targets.join("` or `")
            )
        }
        Fault::Template {
            key,
            found,
            problem,
        } => route::template(f, key, found, problem),
        Fault::NoRedirect { status } => {
            write!(
                f,
                "{status} sends nobody elsewhere: a redirect is 301, 302, 303, 307 or 308"
            )
        }
        Fault::RespondRedirects { status } => {
            write!(
                f,
                "`respond` cannot be {status}, which says more than a status alone"
            )
        }
        Fault::TwoStatuses => {
            f.write_str("`respond` is the status already: keep one, or give it a text")
        }
        Fault::RouteLoop { routes } => {
            write!(
                f,
                "these routes lead in a circle: `{}`",
                routes.join("` → `")
            )
        }
        Fault::ExactWithFallback => f.write_str("`fallback` means nothing for one exact path"),
        Fault::Fallback { found, problem } => {
            write!(
                f,
                "`fallback` `{}` {}",
                printable(found),
                route::path(problem)
            )
        }
        Fault::LooksLikeRoot { route, inner } => {
            write!(
                f,
                "route `{route}` does not serve `{}`: its path is cut off before a file is looked for",
                inner.display()
            )
        }
        Fault::FallbackBesideWsgi => {
            f.write_str("`fallback` beside `wsgi`: what no file answers is the application's")
        }
        Fault::BesideRewrite { key } => {
            write!(
                f,
                "`{key}` beside `rewrite` means nothing: what holds is said by the route it leads to"
            )
        }
        Fault::Extension { found } => {
            write!(
                f,
                "`extensions` are ends of names such as \".html\", found `{}`",
                printable(found)
            )
        }
        Fault::IndexName { found } => {
            write!(
                f,
                "`index` must be a file name, found `{}`",
                printable(found)
            )
        }
        // Every other fault has its arm above; nothing is left to say.
        _ => Ok(()),
    }
}

fn unknown(f: &mut Formatter<'_>, key: &KeyPath, advice: Option<&Advice>) -> fmt::Result {
    write!(f, "unknown key `{key}`")?;
    match advice {
        None => Ok(()),
        Some(Advice::Elsewhere { key, header }) => write!(f, ": `{key}` belongs to `{header}`"),
        Some(Advice::Near { key, header }) => {
            meant(f, key, *header)?;
            f.write_str("?")
        }
        Some(Advice::Foreign {
            program,
            name,
            key,
            header,
        }) => {
            meant(f, key, *header)?;
            write!(f, " ({program}'s `{name}`)?")
        }
        Some(Advice::Instead { whose: None, text }) => write!(f, ": {text}"),
        Some(Advice::Instead {
            whose: Some((program, name)),
            text,
        }) => {
            write!(f, ": {text} ({program}'s `{name}`)")
        }
    }
}

fn meant(f: &mut Formatter<'_>, key: &str, header: Option<&str>) -> fmt::Result {
    match header {
        None => write!(f, ", did you mean `{key}`"),
        Some(header) => write!(f, ", did you mean `{key}` in `{header}`"),
    }
}

fn no_such_site(f: &mut Formatter<'_>, number: &str, sites: usize) -> fmt::Result {
    write!(f, "there is no site {number}: ")?;
    match sites {
        0 => f.write_str("the first one is `site.0`"),
        1 => f.write_str("the only one is `site.0`"),
        more => write!(f, "they are `site.0` to `site.{}`", more - 1),
    }
}

fn module(f: &mut Formatter<'_>, key: &str, found: &str, problem: ModuleProblem) -> fmt::Result {
    let found = printable(found);
    match problem {
        ModuleProblem::File => write!(f, "`{key}` is a module's name, found the path `{found}`"),
        ModuleProblem::Call => write!(
            f,
            "`{key}` names a callable without calling it, found `{found}`"
        ),
        ModuleProblem::Form => {
            write!(
                f,
                "`{key}` must be \"package.module\" or \"package.module:callable\", found `{found}`"
            )
        }
    }
}

/// The TOML parser's message in one line, as ours are.
fn one_line(message: &str) -> String {
    message
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
}

fn log_target(
    f: &mut Formatter<'_>,
    key: &KeyPath,
    found: &str,
    problem: &LogProblem,
) -> fmt::Result {
    match problem {
        LogProblem::Journal => write!(f, "`{key}`: there is no log called `{found}`"),
        LogProblem::Folder => write!(f, "`{key}`: `{found}` is a folder, not a file"),
        LogProblem::NoFolder(folder) => {
            write!(f, "`{key}`: there is no folder `{}`", folder.display())
        }
        LogProblem::Form => write!(
            f,
            "`{key}` must be \"stderr\", \"stdout\", a file or a syslog, found `{}`",
            printable(found)
        ),
    }
}

fn log_format(f: &mut Formatter<'_>, key: &KeyPath, problem: &FormatProblem) -> fmt::Result {
    match problem {
        FormatProblem::Unknown { name, near } => {
            write!(f, "`{key}`: there is no variable `${}`", printable(name))?;
            match near {
                Some(near) => write!(f, ", did you mean `${near}`?"),
                None => Ok(()),
            }
        }
        FormatProblem::NoName => write!(f, "`{key}`: a `$` has no name after it"),
        FormatProblem::Nothing => write!(f, "`{key}`: there is no variable in it"),
        FormatProblem::Newline => write!(f, "`{key}`: an end of line in the middle of a line"),
    }
}
