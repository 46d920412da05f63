//! What application servers' configurations say, whichever they are: the application, where it
//! lies, and where it used to listen. What can only be told from all of them together is decided
//! at the end.

use std::path::{Path, PathBuf};

use appliance_project::is_secret;
use toml_edit::Value;

use crate::Import;
use crate::convert::{Bare, Converted, Unfit, convert};
use crate::draft::{self, Line, Route, Site, Table};
use crate::report::Verdict;
use crate::source::Place;

/// Gathered from every source.
#[derive(Debug, Default)]
pub(crate) struct Python {
    /// Addresses at which nginx reached the application, in one form.
    pub(crate) bound: Vec<String>,
    /// Addresses at which the application server spoke HTTP itself.
    pub(crate) http: Vec<(String, Place)>,
    /// From where relative paths count, besides `chdir`.
    pub(crate) base: Option<PathBuf>,
    pub(crate) chdir: Option<(String, Place)>,
    pub(crate) pythonpath: Vec<(String, Place)>,
    pub(crate) module: Option<(String, Place)>,
    pub(crate) file: Option<(String, Place)>,
    pub(crate) callable: Option<(String, Place)>,
    /// `/static=/srv/static`: path and folder.
    pub(crate) static_maps: Vec<(String, String, Place)>,
    /// `/admin=admin.wsgi:application`: path and application.
    pub(crate) mounts: Vec<(String, String, Place)>,
    /// Whether settings stand in a program that was not run.
    pub(crate) unread: bool,
    /// Whether a service said who runs it.
    pub(crate) has_user: bool,
    /// Which program it was, for comments.
    pub(crate) program: Option<&'static str>,
}

impl Import<'_> {
    /// An absolute path: below `chdir`, or where the program was started.
    pub(crate) fn absolute(&self, path: &str) -> String {
        let base = self.python.base.clone().unwrap_or_else(|| "/".into());
        let base = match &self.python.chdir {
            Some((chdir, _)) => base.join(chdir),
            None => base,
        };
        let path = clean(&base.join(path));
        path.display().to_string()
    }

    /// Sets a key of `[server]` or `[python]` by these words.
    pub(crate) fn set(
        &mut self,
        (header, name): (&'static str, &'static str),
        words: &[&str],
        bare: Bare,
        place: Place,
    ) {
        let Some(kind) = appliance_project::kind(header, name) else {
            return self.row(place, Verdict::Missing, format!("`{name}` is no key"));
        };
        let path =
            matches!(kind, appliance_project::Kind::Path).then(|| self.absolute(&words.concat()));
        let words = path.as_deref().map_or(words.to_vec(), |path| vec![path]);
        let key = format!("{}.{name}", draft::path(header));
        match convert(kind, &words, bare) {
            Ok(converted) => {
                if let Some(table) = self.draft.table(header) {
                    let says = (&mut self.report, &self.sources);
                    table.set((header, name), converted, place, says);
                } else {
                    self.row(place, Verdict::Missing, format!("write `{key}` by hand"));
                }
            }
            Err(Unfit::Form(found)) => {
                self.row(
                    place,
                    Verdict::Missing,
                    format!("`{found}` is no value that `{key}` takes: write it by hand"),
                );
            }
            Err(Unfit::Range(range)) => {
                self.row(
                    place,
                    Verdict::Missing,
                    format!("`{key}` takes {range}: its default holds"),
                );
            }
            Err(Unfit::Complex) => {
                self.row(
                    place,
                    Verdict::Missing,
                    format!("write `{key}` by hand: see docs/project-file.md"),
                );
            }
        }
    }

    /// `NAME=value` for the application's environment. Secrets stay where they are: a project file
    /// is committed and read by many.
    pub(crate) fn variable(&mut self, assignment: &str, place: Place) {
        let Some((name, value)) = assignment.split_once('=') else {
            return self.row(
                place,
                Verdict::NotNeeded,
                "the service's variables are the application's anyway",
            );
        };
        if is_secret(name, value) {
            self.sources.hide(value);
            let text = format!(
                "a secret: leave `{name}` in the service's own environment (`EnvironmentFile=`), which the application sees"
            );
            return self.row(place, Verdict::Missing, text);
        }
        let value = Value::from(value);
        let converted = Converted { value, rank: None };
        let says = (&mut self.report, &self.sources);
        self.draft
            .env
            .set(("[python.env]", name), converted, place, says);
    }

    /// A line of the report.
    pub(crate) fn row(&mut self, place: Place, verdict: Verdict, text: impl Into<String>) {
        self.report.row(place, verdict, text);
    }

    /// Decides what takes all sources to decide.
    pub(crate) fn finish(&mut self) {
        if self.python.program.is_none() {
            return self.without_python();
        }
        self.folders();
        self.application();
        let program = self.python.program.unwrap_or_default();
        let alone = match program {
            "gunicorn" if self.python.unread => {
                "unless gunicorn's own file says otherwise: look there"
            }
            "gunicorn" => "gunicorn ran one unless told otherwise",
            _ => "uWSGI ran one unless told otherwise",
        };
        self.draft.python.assume("processes", 1, alone);
        self.draft.python.assume("threads", 1, alone);
        if self.draft.sites.is_empty() {
            self.site_of_its_own();
        } else {
            let maps = std::mem::take(&mut self.python.static_maps);
            for (_, _, place) in maps {
                self.row(place, Verdict::NotNeeded, "nginx answered before it");
            }
            for (address, place) in std::mem::take(&mut self.python.http) {
                let text =
                    format!("nothing listens at `{address}`: requests are handed over in memory");
                self.row(place, Verdict::NotNeeded, text);
            }
        }
        for (path, application, place) in std::mem::take(&mut self.python.mounts) {
            self.mount(&path, &application, place);
        }
    }

    /// The application's own route in each site: that of its path, or one like the route that
    /// answers there, with the same rules.
    fn mount(&mut self, path: &str, application: &str, place: Place) {
        let mut mounted = false;
        for site in &mut self.draft.sites {
            let covers = |route: &&mut Route| {
                let prefix = route
                    .pattern
                    .trim_start_matches("^~ ")
                    .trim_end_matches('/');
                let rest = path.strip_prefix(prefix);
                route.target.0 == "wsgi"
                    && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            let routes = site.routes.iter_mut();
            let Some(nearest) = routes
                .filter(covers)
                .max_by_key(|route| route.pattern.len())
            else {
                continue;
            };
            mounted = true;
            let is_own = nearest
                .pattern
                .trim_start_matches("^~ ")
                .trim_end_matches('/')
                == path;
            let mut route = nearest.clone();
            route.target.1 = application.into();
            let value = Value::from(true);
            let mount = Line::said("mount", Converted { value, rank: None }, place);
            route.table.inherit(&mount);
            match is_own {
                true => *nearest = route,
                false => {
                    (route.pattern, route.place) = (path.to_owned(), Some(place));
                    site.routes.push(route);
                }
            }
        }
        match mounted {
            true => self.row(
                place,
                Verdict::Carried,
                format!("the route `{path}`, with `mount`"),
            ),
            false => {
                let text = format!(
                    "no site has a `wsgi` route for it: `\"{path}\" = {{ wsgi = \"{application}\", mount = true }}`"
                );
                self.row(place, Verdict::Missing, text);
            }
        }
    }

    /// Routes to an application that nobody has named.
    fn without_python(&mut self) {
        if self.draft.has_wsgi() {
            self.notes.push(
                "`python.module` is missing: name uwsgi.ini or the unit of gunicorn as well, or write it by hand".to_owned(),
            );
        }
    }

    /// `chdir`, and what else is on `sys.path`.
    fn folders(&mut self) {
        let folder = match (
            self.python.chdir.clone(),
            self.python.pythonpath.first().cloned(),
        ) {
            (Some((chdir, place)), _) => {
                let base = self.python.base.clone().unwrap_or_else(|| "/".into());
                Some((clean(&base.join(chdir)).display().to_string(), Some(place)))
            }
            (None, Some((path, place))) if self.python.base.is_none() => {
                self.python.pythonpath.remove(0);
                Some((self.absolute(&path), Some(place)))
            }
            _ => {
                let base = self.python.base.as_ref();
                base.map(|base| (base.display().to_string(), None))
            }
        };
        match folder {
            Some((folder, Some(place))) => {
                let value = Value::from(folder);
                let says = (&mut self.report, &self.sources);
                let converted = Converted { value, rank: None };
                self.draft
                    .python
                    .set(("[python]", "chdir"), converted, place, says);
            }
            Some((folder, None)) => {
                self.draft
                    .python
                    .assume("chdir", folder, "where it was started")
            }
            None => {}
        }
        let chdir = self
            .draft
            .python
            .get("chdir")
            .map(|line| draft::plain(&line.converted.value));
        let mut others = Vec::new();
        for (path, place) in std::mem::take(&mut self.python.pythonpath) {
            let path = self.absolute(&path);
            let is_chdir = chdir
                .as_ref()
                .is_some_and(|chdir| *chdir == draft::plain(&Value::from(path.as_str())));
            match is_chdir {
                true => self.row(place, Verdict::Default, "`python.chdir` is on `sys.path`"),
                false => {
                    self.row(place, Verdict::Carried, "`python.env.PYTHONPATH`");
                    others.push(path);
                }
            }
        }
        if !others.is_empty() {
            self.draft.env.assume(
                "PYTHONPATH",
                others.join(":"),
                "further folders for imports",
            );
        }
    }

    /// `python.module`, of a module or a file.
    fn application(&mut self) {
        let callable = self.python.callable.take();
        let named = match (self.python.module.take(), self.python.file.take()) {
            (Some((module, place)), other) => {
                if let Some((_, place)) = other {
                    self.row(
                        place,
                        Verdict::Missing,
                        "`python.module` has its value by the module beside it",
                    );
                }
                Some((module, place))
            }
            (None, Some((file, place))) => self.module_of_file(&file, place),
            (None, None) => None,
        };
        let Some((module, place)) = named else {
            if let Some((_, place)) = callable {
                self.row(
                    place,
                    Verdict::Missing,
                    "belongs to a module that nobody names",
                );
            }
            let text = "`python.module` is missing: no source says where the application is";
            return self.notes.push(text.to_owned());
        };
        if module.contains('(') {
            let text = format!(
                "`{module}` calls a function: write a module with `application = …` and name that in `python.module`"
            );
            self.row(place, Verdict::Missing, text.clone());
            return self.notes.push(text);
        }
        let (module, own) = match module.split_once(':') {
            Some((module, callable)) => (module.to_owned(), Some(callable.to_owned())),
            None => (module, None),
        };
        let name = match (&own, &callable) {
            (Some(own), _) => own.clone(),
            (None, Some((callable, _))) => callable.clone(),
            (None, None) => "application".to_owned(),
        };
        if let Some((_, place)) = callable {
            self.row(place, Verdict::Carried, "the callable of `python.module`");
        }
        let module = match name.as_str() {
            "application" => module,
            name => format!("{module}:{name}"),
        };
        self.set(("[python]", "module"), &[&module], Bare::Bytes, place);
    }

    /// `shop/wsgi.py` is `shop.wsgi`, seen from `chdir`; where there is none, its folder becomes it.
    fn module_of_file(&mut self, file: &str, place: Place) -> Option<(String, Place)> {
        let path = PathBuf::from(self.absolute(file));
        let stem = path.with_extension("");
        let chdir = self
            .draft
            .python
            .get("chdir")
            .and_then(|line| line.converted.value.as_str().map(PathBuf::from));
        let relative = chdir
            .as_ref()
            .and_then(|chdir| stem.strip_prefix(chdir).ok());
        let relative = match relative {
            Some(relative) => relative.to_owned(),
            None => {
                let folder = path
                    .parent()
                    .unwrap_or(Path::new("/"))
                    .display()
                    .to_string();
                match chdir {
                    None => self.draft.python.assume(
                        "chdir",
                        folder,
                        "where the application's file lies",
                    ),
                    Some(_) => self.draft.env.assume(
                        "PYTHONPATH",
                        folder,
                        "where the application's file lies",
                    ),
                }
                PathBuf::from(stem.file_name()?)
            }
        };
        let parts: Vec<String> = relative
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        let good = |part: &String| {
            !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_')
        };
        if !parts.iter().all(good) {
            let text = format!(
                "`{file}` cannot be imported by a name: give it one of letters, digits and underscores"
            );
            self.row(place, Verdict::Missing, text.clone());
            self.notes.push(text);
            return None;
        }
        Some((parts.join("."), place))
    }

    /// Without nginx: the addresses at which the application server spoke HTTP.
    fn site_of_its_own(&mut self) {
        let http = std::mem::take(&mut self.python.http);
        let mut site = Site {
            place: http.first().map(|(_, place)| *place),
            listen: Vec::new(),
            server_name: Vec::new(),
            is_default: true,
            table: Table::default(),
            tls: Table::default(),
            routes: vec![Route {
                place: None,
                pattern: "/".to_owned(),
                target: ("wsgi", true.into()),
                table: Table::default(),
                withheld: None,
            }],
        };
        for (address, place) in http {
            self.row(
                place,
                Verdict::Carried,
                format!("`site.listen = \"{address}\"`"),
            );
            if !site.listen.contains(&address) {
                site.listen.push(address);
            }
        }
        if site.listen.is_empty() {
            site.listen.push("127.0.0.1:8080".to_owned());
            self.notes.push(
                "no source says at which address visitors arrive: `site.listen` is `127.0.0.1:8080`; name nginx.conf as well, or change it".to_owned(),
            );
        }
        for (path, folder, place) in std::mem::take(&mut self.python.static_maps) {
            let folder = self.absolute(&folder);
            let path = format!("/{}/", path.trim_matches('/')).replace("//", "/");
            self.row(place, Verdict::Carried, format!("the route `{path}`"));
            if !site.routes.iter().any(|route| route.pattern == path) {
                site.routes.push(Route {
                    place: Some(place),
                    pattern: path,
                    target: ("files", folder.into()),
                    table: Table::default(),
                    withheld: None,
                });
            }
        }
        self.draft.sites.push(site);
    }
}

/// Without `.` and `..`, by text alone.
pub(crate) fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => drop(out.pop()),
            other => out.push(other),
        }
    }
    out
}
