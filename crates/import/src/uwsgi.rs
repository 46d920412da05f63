//! uWSGI's options, from ini, XML, YAML, JSON or a command line, in these steps:
//!
//! 1. `ini`, `xml`, `yaml` and `json` read settings out of a text.
//! 2. `expand` puts included files in, and values in the place of `%(…)`, `%d` and `$(…)`.
//! 3. Each option goes by its row in `table`.

mod expand;
pub(crate) mod ini;
pub(crate) mod table;
pub(crate) mod xml;
pub(crate) mod yaml;

use std::path::Path;

use appliance_project::Foreign;

use crate::Import;
use crate::convert::{Bare, flag};
use crate::fate::Fate;
use crate::fault::{Fault, Problem};
use crate::nginx_address;
use crate::read;
use crate::report::Verdict;
use crate::setting::Setting;

use self::table::{Construct, fate};

/// Reads one file's options into the draft.
pub(crate) fn import(import: &mut Import<'_>, number: usize, path: &Path) -> Result<(), Fault> {
    import.python.program = Some("uWSGI");
    let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
    import.python.base.get_or_insert(folder);
    let settings = expand::file(import, number, path)?;
    if settings.is_empty() {
        let name = import.sources.get(number).name.clone();
        return Err(Fault {
            place: Some(read::whole(&import.sources, number)),
            problem: Problem::Empty { name },
        });
    }
    apply(import, settings);
    Ok(())
}

/// Options of a command line, with the files that they load.
pub(crate) fn command(import: &mut Import<'_>, settings: Vec<Setting>) -> Result<(), Fault> {
    import.python.program = Some("uWSGI");
    let settings = expand::settings(import, settings, Path::new("/"), &mut Vec::new())?;
    apply(import, settings);
    Ok(())
}

fn apply(import: &mut Import<'_>, settings: Vec<Setting>) {
    // Other paths count from it, wherever it stands.
    for setting in &settings {
        if fate(&setting.name) == Fate::Construct(Construct::Chdir) {
            import.python.chdir = Some((setting.text().to_owned(), setting.place));
        }
    }
    for setting in &settings {
        one(import, setting);
    }
}

fn one(import: &mut Import<'_>, setting: &Setting) {
    let place = setting.place;
    match fate(&setting.name) {
        Fate::Key(Foreign::Key { header, name, .. }) => key(import, setting, header, name),
        Fate::Key(Foreign::Instead { text, .. }) | Fate::Missing(text) | Fate::Guard(text) => {
            import.row(place, Verdict::Missing, text);
        }
        Fate::Construct(construct) => self::construct(import, construct, setting),
        Fate::Default(text) => import.row(place, Verdict::Default, text),
        Fate::NotNeeded(text) => import.row(place, Verdict::NotNeeded, text),
        Fate::Unknown => import.row(
            place,
            Verdict::Missing,
            "the importer does not know it: a name of one's own for `%(…)`, a slip (which uWSGI accepts without a word), or an option to see whether you need it",
        ),
    }
}

/// An option that the table of keys has.
fn key(import: &mut Import<'_>, setting: &Setting, header: &'static str, name: &'static str) {
    let value = setting.text();
    // 0 is how uWSGI turns bounds off.
    let off = value == "0" && !matches!(name, "threads" | "processes");
    match (header, name) {
        ("[server]", "daemonize") if value.contains(':') => {
            let text = "`server.daemonize` takes a file, not another machine's log";
            import.row(setting.place, Verdict::Missing, text);
        }
        // `logger = file:/x`, `rsyslog = host:port,tag`: forms of its own.
        ("[server]", "log") if value.contains(':') || !setting.name.starts_with("logto") => {
            let text = "write `server.log` by hand: a file, `syslog` or `syslog://address:port`";
            import.row(setting.place, Verdict::Missing, text);
        }
        _ if off => import.row(
            setting.place,
            Verdict::Default,
            "0 is no bound of its own: the default holds",
        ),
        ("[server]" | "[python]", _) => {
            import.set((header, name), &[value], Bare::Bytes, setting.place)
        }
        _ => {
            let text = format!("`{name}` is a key of each site: write it where it is meant");
            import.row(setting.place, Verdict::Missing, text);
        }
    }
}

fn construct(import: &mut Import<'_>, construct: Construct, setting: &Setting) {
    let (value, place) = (setting.text(), setting.place);
    let pair = || Some((value.to_owned(), place));
    match construct {
        // `finish` decides about these, when all of them are known.
        Construct::Callable => import.python.callable = pair(),
        Construct::Chdir => import.python.chdir = pair(),
        Construct::File => import.python.file = pair(),
        Construct::Module => import.python.module = pair(),
        Construct::Pythonpath => import.python.pythonpath.extend(pair()),
        Construct::Env => import.variable(value, place),
        Construct::HookBeforeStart => {
            import.draft.before_start.push((value.to_owned(), place));
            import.row(place, Verdict::Carried, "`hooks.before_start`");
        }
        Construct::Master => match flag(value) {
            Some(false) => import.row(
                place,
                Verdict::Default,
                "a supervisor watches the workers; `server.master = false` makes it one process",
            ),
            _ => import.row(place, Verdict::Default, "a supervisor watches the workers"),
        },
        Construct::Megabytes => megabytes(import, setting),
        Construct::Mount => mount(import, setting),
        Construct::Http | Construct::Socket => socket(import, construct, setting),
        Construct::StaticMap => match value.split_once('=') {
            Some((path, folder)) => {
                import
                    .python
                    .static_maps
                    .push((path.to_owned(), folder.to_owned(), place));
            }
            None => import.row(place, Verdict::Missing, "it is no `/path=/folder`"),
        },
        Construct::Stats => {
            match value.starts_with(|c: char| c.is_ascii_digit()) && value.contains(':') {
                true => import.set(("[server]", "admin"), &[value], Bare::Bytes, place),
                false => import.row(
                    place,
                    Verdict::Missing,
                    "`server.admin = \"127.0.0.1:9100\"` serves health, metrics and status",
                ),
            }
        }
    }
}

fn megabytes(import: &mut Import<'_>, setting: &Setting) {
    let value = setting.text();
    let name = if setting.name == "limit-as" {
        "memory_limit"
    } else {
        "memory_soft_limit"
    };
    match value {
        "0" => import.row(
            setting.place,
            Verdict::Default,
            "0 is no bound of its own: the default holds",
        ),
        _ => import.set(("[python]", name), &[value], Bare::Megabytes, setting.place),
    }
}

/// `/path=module:callable`.
fn mount(import: &mut Import<'_>, setting: &Setting) {
    let place = setting.place;
    match setting.text().split_once('=') {
        Some(("/" | "", application)) => {
            let application = application.to_owned();
            match application.ends_with(".py") {
                true => import.python.file = Some((application, place)),
                false => import.python.module = Some((application, place)),
            }
        }
        Some((path, application)) if path.starts_with('/') && !application.ends_with(".py") => {
            let path = path.trim_end_matches('/').to_owned();
            import.python.mounts.push((path, application.to_owned(), place));
        }
        _ => import.row(
            place,
            Verdict::Missing,
            "a mount is a path and a module: `\"/path\" = { wsgi = \"module:callable\", mount = true }`",
        ),
    }
}

/// Where nginx reached uWSGI, or where uWSGI spoke HTTP itself.
fn socket(import: &mut Import<'_>, construct: Construct, setting: &Setting) {
    let value = setting.text();
    let address = nginx_address(value);
    let is_http = construct == Construct::Http && !address.starts_with("unix:");
    import.python.bound.push(address);
    match is_http {
        true => {
            let port = value.rsplit(':').next().unwrap_or_default();
            let host = value.rsplit_once(':').map_or("", |(host, _)| host);
            let host = if matches!(host, "" | "*") {
                "0.0.0.0"
            } else {
                host
            };
            let host = if host == "localhost" {
                "127.0.0.1"
            } else {
                host
            };
            import
                .python
                .http
                .push((format!("{host}:{port}"), setting.place));
        }
        false => import.row(
            setting.place,
            Verdict::NotNeeded,
            "there is no socket between front and application",
        ),
    }
}
