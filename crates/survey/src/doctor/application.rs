//! What the application's own settings say: debugging, secrets, static files, databases.

use std::path::Path;

use appliance_project::Project;
use appliance_project::model::{Application, Pattern, Target};
use serde_json::Value;

use super::Findings;
use super::probe::{self, Silence};

/// PostgreSQL's default of `max_connections`, and what it keeps for its superuser.
const POSTGRESQL_CONNECTIONS: u64 = 100;
const RESERVED_CONNECTIONS: u64 = 3;

pub(super) fn examine(project: &Project, findings: &mut Findings) {
    for application in project.python.applications() {
        examine_one(project, application, findings);
    }
}

fn examine_one(project: &Project, application: &Application, findings: &mut Findings) {
    let answer = match probe::ask(project, &application.module, &application.callable) {
        Ok(answer) => answer,
        Err(silence) => return no_answer(project, &silence, findings),
    };
    if let Some(error) = answer["error"].as_str() {
        findings.problem(
            format!("`{application}` cannot be imported: {error}"),
            "`appliance rehearse` shows the traceback; `python.chdir` is the folder which holds the package",
        );
    }
    let django = &answer["django"];
    if django.is_object() {
        debug(django, "DEBUG = False", findings);
        key(django, findings);
        hosts(django, findings);
        collected(project, django, findings);
        for database in django["databases"].as_array().into_iter().flatten() {
            connections(project, database, findings);
        }
    }
    let flask = &answer["flask"];
    if flask.is_object() {
        debug(flask, "app.debug = False", findings);
        key(flask, findings);
    }
}

fn no_answer(project: &Project, silence: &Silence, findings: &mut Findings) {
    let interpreter = probe::interpreter(project);
    let shown = interpreter.display();
    match silence {
        Silence::Hangs => findings.problem(
            "the application's import does not end within a minute",
            "move what waits for other machines out of the import; `python.start_timeout` bounds it",
        ),
        Silence::NotStarted(_) if is_broken_link(&interpreter) => findings.problem(
            format!("`{shown}` leads to a Python that is gone"),
            "the system's Python was upgraded: remove the virtual environment and create it anew",
        ),
        Silence::NotStarted(reason) if project.python.requirements.is_some() && !interpreter.exists() => findings.advice(
            format!("`{shown}` is not there yet ({reason}): the application was not asked"),
            "the first start installs the requirements; ask again after it",
        ),
        Silence::NotStarted(reason) => findings.problem(
            format!("`{shown}` does not start: {reason}"),
            "`python.virtualenv` is the folder of a virtual environment that was made on this machine",
        ),
        Silence::Ended(last) => match missing_library(last) {
            Some(library) => findings.problem(
                format!("`{shown}` does not start: its library {library} is missing"),
                format!("install the package that has it (`apt install {}`), or tell the loader its folder: `/etc/ld.so.conf.d/`, then `ldconfig`", package(library)),
            ),
            None => findings.problem(
                format!("`{shown}` ends before it has imported the application: {last}"),
                "`appliance rehearse` shows all that it prints",
            ),
        },
    }
}

fn is_broken_link(path: &Path) -> bool {
    path.is_symlink() && !path.exists()
}

/// `error while loading shared libraries: libpython3.12.so.1.0: cannot open …`
fn missing_library(line: &str) -> Option<&str> {
    let after = line.split_once("loading shared libraries: ")?.1;
    after.split(':').next().map(str::trim)
}

/// `libpython3.12.so.1.0` → `libpython3.12`, Debian's name for it.
fn package(library: &str) -> &str {
    library.split(".so").next().unwrap_or(library)
}

fn debug(about: &Value, fix: &str, findings: &mut Findings) {
    if about["debug"].as_bool() == Some(true) {
        findings.problem(
            "debugging is on: a visitor who meets an error sees settings and source, and every query stays in memory",
            format!("`{fix}` in the settings of production"),
        );
    }
}

fn key(about: &Value, findings: &mut Findings) {
    if about["weak_key"].as_bool() == Some(true) {
        findings.problem(
            "the secret key is a default or a short one: whoever guesses it can sign sessions",
            "`python3 -c 'import secrets; print(secrets.token_urlsafe(50))'`, kept in the service's environment",
        );
    }
}

fn hosts(django: &Value, findings: &mut Findings) {
    let hosts: Vec<&str> = django["hosts"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if hosts.is_empty() && django["debug"].as_bool() == Some(false) {
        findings.problem(
            "`ALLOWED_HOSTS` is empty: every request is answered 400",
            "list the names of the sites in it",
        );
    } else if hosts.contains(&"*") {
        findings.advice(
            "`ALLOWED_HOSTS` takes any name: links in mails can be made to lead elsewhere",
            "list the names of the sites in it",
        );
    }
}

/// What `collectstatic` collects has to be there, and to be served.
fn collected(project: &Project, django: &Value, findings: &mut Findings) {
    let text = |name: &str| django[name].as_str().unwrap_or_default().to_owned();
    let (root, url) = (text("static_root"), text("static_url"));
    let middleware = django["middleware"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let whitenoise = middleware
        .into_iter()
        .any(|name| name.starts_with("whitenoise."));
    if django["staticfiles"].as_bool() != Some(true) || url.contains("://") {
        return;
    }
    if root.is_empty() {
        return findings.problem(
            "`STATIC_ROOT` is not set: the admin has no styles",
            "`STATIC_ROOT = BASE_DIR / \"static_root\"`, then `python manage.py collectstatic`, and a route with that folder",
        );
    }
    let folder = project.python.chdir.join(&root);
    let hooked = project
        .hooks
        .before_start
        .iter()
        .any(|hook| hook.contains("collectstatic"));
    let is_empty = std::fs::read_dir(&folder).map_or(true, |mut entries| entries.next().is_none());
    if is_empty && !hooked {
        findings.problem(
            format!(
                "`{}` is empty: nobody has run collectstatic",
                folder.display()
            ),
            "`before_start = [\"python manage.py collectstatic --noinput\"]` in `[hooks]`",
        );
    }
    let path = format!("/{}/", url.trim_matches('/'));
    if !whitenoise && !serves(project, &path) {
        findings.problem(
            format!(
                "no route serves `{path}`, where the application says that its static files are"
            ),
            format!("`\"{path}\" = {{ files = {folder:?} }}` in `[site.routes]`"),
        );
    }
}

/// Whether a route with files answers below this path.
fn serves(project: &Project, path: &str) -> bool {
    let routes = project.sites.iter().flat_map(|site| &site.routes);
    let files = routes
        .filter(|route| matches!(&route.target, Target::Files(files) if files.fallback.is_none()));
    files.into_iter().any(|route| match &route.pattern {
        Pattern::Prefix(prefix) => {
            let whole = format!("{}/", prefix.trim_end_matches('/'));
            path.starts_with(&whole)
        }
        _ => false,
    })
}

/// Each thread that serves a request holds a connection, and during a reload there are two
/// generations of them.
fn connections(project: &Project, database: &Value, findings: &mut Findings) {
    let vendor = database["vendor"].as_str().unwrap_or_default();
    let most = match (database["most"].as_u64(), vendor) {
        (Some(most), _) => most,
        (None, "postgresql") => POSTGRESQL_CONNECTIONS,
        (None, _) => return,
    };
    let asked = database["most"].is_u64();
    let free = most.saturating_sub(RESERVED_CONNECTIONS);
    let python = &project.python;
    let threads = (python.processes as u64).saturating_mul(python.threads as u64);
    let source = if asked {
        "it allows"
    } else {
        "by default it allows"
    };
    let what = |count: u64| {
        format!(
            "{} processes with {} threads each may hold {count} connections to the {vendor} database `{}`: {source} {most}",
            python.processes,
            python.threads,
            database["alias"].as_str().unwrap_or_default()
        )
    };
    let fix = "lower `python.threads` or `python.processes`, raise the database's `max_connections`, or put a pool such as PgBouncer before it";
    match threads {
        threads if threads > free && asked => findings.problem(what(threads), fix),
        threads if threads > free => findings.advice(what(threads), fix),
        threads if threads.saturating_mul(2) > free => {
            findings.advice(format!("during a reload, {}", what(threads * 2)), fix);
        }
        _ => {}
    }
}

/// Where a path leads, for tests of links.
#[cfg(test)]
fn link(folder: &Path, to: &str) -> std::path::PathBuf {
    let path = folder.join("python");
    std::os::unix::fs::symlink(to, &path).unwrap();
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_is_named() {
        let line = "python: error while loading shared libraries: libpython3.12.so.1.0: cannot open shared object file: No such file or directory";
        let library = missing_library(line);
        assert_eq!(library, Some("libpython3.12.so.1.0"));
        assert_eq!(library.map(package), Some("libpython3.12"));
        assert_eq!(missing_library("Segmentation fault"), None);
    }

    #[test]
    fn a_python_that_was_upgraded_away_leaves_a_broken_link() {
        let folder = tempfile::tempdir().unwrap();
        assert!(is_broken_link(&link(folder.path(), "/gone/python3")));
    }
}
