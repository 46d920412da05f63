//! A folder becomes a project file, in these steps:
//!
//! 1. `application` finds what runs: Django by its manage.py, or a module with a WSGI callable.
//! 2. `front` finds what was built for the browser, `Django::folders` what is collected or uploaded.
//! 3. `environment` finds the virtual environment, or the requirements to fill one by.
//! 4. [`project`] writes all of it down, and says what it found and what it misses.

use std::path::{Path, PathBuf};

use toml_edit::Value;

use crate::folder::{files, relative, text};
use crate::python_text::{assigned, first_strings, folder, instance, literal};

/// A project file, and what led to it.
#[derive(Debug, PartialEq, Eq)]
pub struct Made {
    /// The project file.
    pub project: String,
    /// What was found, and where.
    pub found: Vec<String>,
    /// What has to be done before it serves, or may be meant otherwise.
    pub notes: Vec<String>,
}

/// What runs.
#[derive(Debug, Default)]
struct Application {
    /// The folder that Python starts in.
    chdir: PathBuf,
    module: String,
    /// URL prefixes that it answers; none where they cannot be told.
    prefixes: Vec<String>,
    django: Option<Django>,
}

/// What Django's settings say.
#[derive(Debug, Default)]
struct Django {
    /// URL and folder of what `collectstatic` collects.
    collected: Option<(String, PathBuf)>,
    /// URL and folder of uploads.
    uploads: Option<(String, PathBuf)>,
}

/// Looks at a folder; none if there is nothing in it to serve.
pub fn project(root: &Path) -> Option<Made> {
    let all = files(root);
    let mut made = Made {
        project: String::new(),
        found: Vec::new(),
        notes: Vec::new(),
    };
    let application = application(root, &all, &mut made);
    let front = front(root, &all, &mut made);
    if application.is_none() && front.is_none() {
        return None;
    }
    let mut out =
        "# Made by `appliance init`: look through it. Every key: docs/project-file.md\n".to_owned();
    if let Some(application) = &application {
        python(root, application, &all, &mut out, &mut made);
    }
    out.push_str("\n[[site]]\nlisten = \"127.0.0.1:8080\"  # `\"0.0.0.0:80\"` for everybody\n\n[site.routes]\n");
    routes(
        root,
        application.as_ref(),
        front.as_deref(),
        &mut out,
        &mut made,
    );
    made.project = out;
    Some(made)
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string().trim().to_owned()
}

fn named(path: &Path, name: &str) -> bool {
    path.file_name().is_some_and(|file| file == name)
}

/// Django's manage.py before modules, and of those the ones nearest to the top.
fn application(root: &Path, all: &[PathBuf], made: &mut Made) -> Option<Application> {
    let manage = all
        .iter()
        .find(|path| named(path, "manage.py") && text(path).contains("DJANGO_SETTINGS_MODULE"));
    if let Some(manage) = manage {
        return django(root, manage, made);
    }
    let python = all
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "py"));
    let mut factory = None;
    // A wsgi.py says by its name that it is meant.
    let (wsgi, others): (Vec<&PathBuf>, Vec<&PathBuf>) =
        python.partition(|path| named(path, "wsgi.py"));
    for path in wsgi.into_iter().chain(others) {
        let source = text(path);
        let callable = callable(&source);
        if let Some(callable) = callable {
            let (chdir, module) = module(path);
            let module = if callable == "application" {
                module
            } else {
                format!("{module}:{callable}")
            };
            made.found.push(format!(
                "{}: the application `{module}`",
                relative(root, path)
            ));
            return Some(Application {
                chdir,
                module,
                prefixes: flask_prefixes(all),
                django: None,
            });
        }
        if source.contains("def create_app(") && source.contains("Flask") {
            factory.get_or_insert(path);
        }
    }
    if let Some(factory) = factory {
        let (_, module) = module(factory);
        made.notes.push(format!(
            "{}: `create_app` makes the application when it is called: write a wsgi.py with `from {module} import create_app` and `application = create_app()`, then run `appliance init` again",
            relative(root, factory)
        ));
    }
    None
}

/// The name of a module's WSGI callable.
fn callable(source: &str) -> Option<String> {
    let defined = ["application", "app"].into_iter().find(|name| {
        let function = format!("def {name}(environ");
        source.lines().any(|line| line.starts_with(&function))
    });
    let assigned_to = || {
        let value = assigned(source, "application")?;
        (!value.is_empty()).then_some("application")
    };
    let made = || {
        ["Flask", "Bottle", "Falcon", "DispatcherMiddleware"]
            .into_iter()
            .find_map(|class| instance(source, class))
    };
    let called = || instance(source, "create_app").or_else(|| instance(source, "make_wsgi_app"));
    // FastAPI's `app` is no WSGI callable.
    defined
        .or_else(assigned_to)
        .or_else(made)
        .or_else(called)
        .map(str::to_owned)
}

/// The folder from which a file is imported, and its dotted name: packages are left upwards.
fn module(path: &Path) -> (PathBuf, String) {
    let mut folder = path.parent().unwrap_or(Path::new("/")).to_owned();
    let stem = path
        .file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let mut name = if stem == "__init__" {
        String::new()
    } else {
        stem
    };
    while folder.join("__init__.py").is_file() {
        let package = folder
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        name = if name.is_empty() {
            package
        } else {
            format!("{package}.{name}")
        };
        if !folder.pop() {
            break;
        }
    }
    (folder, name)
}

/// First segments of Flask's routes and blueprints.
fn flask_prefixes(all: &[PathBuf]) -> Vec<String> {
    let mut prefixes = Vec::new();
    for path in all
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "py"))
    {
        let source = text(path);
        if !source.contains("flask") {
            continue;
        }
        let routes = ["route", "get", "post"]
            .into_iter()
            .flat_map(|name| first_strings(&source, name));
        let blueprints = source.split("url_prefix=").skip(1).filter_map(|rest| {
            let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            rest[1..].split(quote).next()
        });
        for url in routes.chain(blueprints) {
            add_prefix(&mut prefixes, url);
        }
    }
    prefixes
}

/// `api/notes/<int:id>` is answered below `/api/`.
fn add_prefix(prefixes: &mut Vec<String>, url: &str) {
    let segment = url
        .trim_start_matches('/')
        .split('/')
        .next()
        .unwrap_or_default();
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let prefix = format!("/{segment}");
    if !segment.is_empty() && segment.chars().all(fits) && !prefixes.contains(&prefix) {
        prefixes.push(prefix);
    }
}

fn django(root: &Path, manage: &Path, made: &mut Made) -> Option<Application> {
    let chdir = manage.parent()?.to_owned();
    let source = text(manage);
    let after = source.split("DJANGO_SETTINGS_MODULE").nth(1)?;
    let settings = after.split(['"', '\'']).find(|part| {
        part.contains('.')
            || part.chars().all(|c| c.is_alphanumeric() || c == '_') && !part.is_empty()
    })?;
    let sources = settings_sources(&chdir, settings);
    let find = |name: &str| {
        sources
            .iter()
            .find_map(|(_, source)| assigned(source, name))
    };
    let package = settings.split('.').next().unwrap_or(settings);
    let module = match find("WSGI_APPLICATION")
        .and_then(literal)
        .and_then(|dotted| dotted.rsplit_once('.'))
    {
        Some((module, "application")) => module.to_owned(),
        Some((module, callable)) => format!("{module}:{callable}"),
        None => format!("{package}.wsgi"),
    };
    made.found.push(format!(
        "{}: Django, settings `{settings}`, application `{module}`",
        relative(root, manage)
    ));
    let file = chdir
        .join(
            module
                .split(':')
                .next()
                .unwrap_or(&module)
                .replace('.', "/"),
        )
        .with_extension("py");
    if !file.is_file() {
        made.notes.push(format!(
            "there is no {}: `python.module` has to name the WSGI application",
            relative(root, &file)
        ));
    }
    let urls = find("ROOT_URLCONF")
        .and_then(literal)
        .map_or_else(|| format!("{package}.urls"), str::to_owned);
    let urls = text(&chdir.join(urls.replace('.', "/")).with_extension("py"));
    let mut prefixes = Vec::new();
    for url in first_strings(&urls, "path") {
        add_prefix(&mut prefixes, url);
    }
    let pair = |url: &str, root: &str, default: Option<&str>| {
        let url = find(url).and_then(literal).or(default)?;
        let folder = folder(find(root)?, &chdir)?;
        let path = format!("/{}/", url.trim_matches('/'));
        (path != "//" && !url.contains("://")).then_some((path, folder))
    };
    let django = Django {
        collected: pair("STATIC_URL", "STATIC_ROOT", Some("static/")),
        uploads: pair("MEDIA_URL", "MEDIA_ROOT", None),
    };
    if django.collected.is_none() {
        made.notes.push("no `STATIC_ROOT` that can be read: set it to a folder (`STATIC_ROOT = BASE_DIR / \"static_root\"`), or the admin has no styles".to_owned());
    }
    Some(Application {
        chdir,
        module,
        prefixes,
        django: Some(django),
    })
}

/// The settings' module; of a package all its modules, those for production first.
fn settings_sources(chdir: &Path, settings: &str) -> Vec<(PathBuf, String)> {
    let path = chdir.join(settings.replace('.', "/"));
    let file = path.with_extension("py");
    let mut paths = vec![file.clone(), path.join("__init__.py")];
    // `settings/production.py` has its plain settings in `settings/base.py`.
    let siblings = if path.is_dir() {
        path
    } else {
        file.parent().unwrap_or(chdir).to_owned()
    };
    paths.extend(
        ["production.py", "prod.py", "base.py", "common.py"].map(|name| siblings.join(name)),
    );
    let read = paths.into_iter().filter(|path| path.is_file());
    read.map(|path| (path.clone(), text(&path))).collect()
}

/// What was built for the browser: a folder with an index.html, by the names that builds give it.
fn front(root: &Path, all: &[PathBuf], made: &mut Made) -> Option<PathBuf> {
    const BUILT: [&str; 5] = ["dist", "build", "out", "public", "www"];
    let folder_name = |path: &Path| path.parent()?.file_name()?.to_str().map(str::to_owned);
    let index = BUILT.into_iter().find_map(|name| {
        all.iter().find(|path| {
            named(path, "index.html")
                && folder_name(path).as_deref() == Some(name)
                && !is_source(path)
        })
    });
    if let Some(index) = index {
        let folder = index.parent()?.to_owned();
        made.found
            .push(format!("{}: a built front", relative(root, &folder)));
        return Some(folder);
    }
    let package = all
        .iter()
        .find(|path| named(path, "package.json") && text(path).contains("\"build\""));
    if let Some(package) = package {
        let folder = package.parent().unwrap_or(root);
        let dist = folder.join("dist");
        made.found.push(format!(
            "{}: a front that is not built yet",
            relative(root, package)
        ));
        made.notes.push(format!(
            "run `npm install && npm run build` in {}, and see that it builds into dist",
            relative(root, folder)
        ));
        return Some(dist);
    }
    None
}

/// Vite's and CRA's `public/index.html` is a source beside package.json, not a build.
fn is_source(index: &Path) -> bool {
    let folder = index.parent();
    let is_public = folder.is_some_and(|folder| folder.ends_with("public"));
    is_public
        && folder
            .and_then(Path::parent)
            .is_some_and(|above| above.join("package.json").is_file())
}

fn python(
    root: &Path,
    application: &Application,
    all: &[PathBuf],
    out: &mut String,
    made: &mut Made,
) {
    out.push_str("\n[python]\n");
    if application.chdir != root {
        out.push_str(&format!(
            "chdir = {}\n",
            quoted(&relative(root, &application.chdir))
        ));
    }
    out.push_str(&format!("module = {}\n", quoted(&application.module)));
    environment(root, application, all, out, made);
    out.push_str("processes = \"auto\"  # one for each CPU\nthreads = 4\nmax_requests = 10000\n");
    if application.django.is_none() {
        return;
    }
    out.push_str("\n[hooks]\nbefore_start = [\n    \"python manage.py migrate --noinput\",\n");
    if application
        .django
        .as_ref()
        .is_some_and(|django| django.collected.is_some())
    {
        out.push_str("    \"python manage.py collectstatic --noinput\",\n");
    }
    out.push_str("]\n");
}

/// A virtual environment that is there, or one to be made from requirements.
fn environment(
    root: &Path,
    application: &Application,
    all: &[PathBuf],
    out: &mut String,
    made: &mut Made,
) {
    let folders = [root, &application.chdir];
    let there = folders
        .iter()
        .flat_map(|folder| [".venv", "venv", "env"].map(|name| folder.join(name)));
    let there = there
        .into_iter()
        .find(|folder| folder.join("pyvenv.cfg").is_file());
    let requirements = [
        "requirements.txt",
        "requirements/production.txt",
        "requirements/base.txt",
    ];
    let requirements = folders
        .iter()
        .flat_map(|folder| requirements.map(|name| folder.join(name)));
    let requirements = requirements.into_iter().find(|path| path.is_file());
    let locked = all
        .iter()
        .find(|path| named(path, "uv.lock") || named(path, "poetry.lock"));
    let virtualenv = there.clone().unwrap_or_else(|| root.join(".venv"));
    let shown = relative(root, &virtualenv);
    match (&there, &requirements, locked) {
        (Some(_), _, _) => made.found.push(format!("{shown}: a virtual environment")),
        (None, Some(requirements), _) => {
            made.found.push(format!(
                "{}: requirements, for a virtual environment in {shown}",
                relative(root, requirements)
            ));
        }
        (None, None, Some(lock)) => {
            let tool = if named(lock, "uv.lock") {
                "uv sync"
            } else {
                "poetry install"
            };
            made.notes.push(format!(
                "{}: run `{tool}` so that there is a {shown}",
                relative(root, lock)
            ));
        }
        (None, None, None) if all.iter().any(|path| named(path, "pyproject.toml")) => {
            made.notes.push(format!("pyproject.toml without a lock file: run `python3 -m venv {shown} && {shown}/bin/pip install .`"));
        }
        (None, None, None) => {
            made.notes.push("neither virtual environment nor requirements: the system's python3 runs the application".to_owned());
            return;
        }
    }
    out.push_str(&format!("virtualenv = {}\n", quoted(&shown)));
    // One that is there and was filled by another tool is left alone.
    if let (None, Some(requirements)) = (&there, &requirements) {
        out.push_str(&format!(
            "requirements = {}\n",
            quoted(&relative(root, requirements))
        ));
    }
}

fn routes(
    root: &Path,
    application: Option<&Application>,
    front: Option<&Path>,
    out: &mut String,
    made: &mut Made,
) {
    let mut add = |pattern: &str, target: String| {
        out.push_str(&format!("{} = {{ {target} }}\n", quoted(pattern)))
    };
    let files = |path: &Path| format!("files = {}", quoted(&relative(root, path)));
    let django = application.and_then(|application| application.django.as_ref());
    let folders: Vec<_> = django
        .into_iter()
        .flat_map(|django| [&django.collected, &django.uploads])
        .flatten()
        .collect();
    match (front, application) {
        (Some(front), _) => add("/", format!("{}, fallback = \"/index.html\"", files(front))),
        (None, _) => add("/", "wsgi = true".to_owned()),
    }
    if let (Some(_), Some(application)) = (front, application) {
        if application.prefixes.is_empty() {
            made.notes.push(
                "which paths the application answers cannot be told: `/api` is a guess".to_owned(),
            );
            add("/api", "wsgi = true".to_owned());
        }
        for prefix in &application.prefixes {
            let taken = folders
                .iter()
                .any(|(url, _)| url.trim_end_matches('/') == prefix);
            if !taken {
                add(prefix, "wsgi = true".to_owned());
            }
        }
    }
    for (url, folder) in folders {
        made.found.push(format!(
            "{}: what is served at `{url}`",
            relative(root, folder)
        ));
        if django.is_some_and(|django| {
            django
                .uploads
                .as_ref()
                .is_some_and(|(_, uploads)| uploads == folder)
        }) && !folder.is_dir()
        {
            made.notes.push(format!(
                "make the folder {}, to which the application uploads",
                relative(root, folder)
            ));
        }
        add(url, files(folder));
    }
}

#[cfg(test)]
mod tests;
