//! `[python]`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use figment::value::Value;

use crate::fault::{Fault, ModuleProblem};
use crate::key_path::quoted;
use crate::model::{Application, Python, Server};
use crate::reader::{Entry, Table};
use crate::secret::is_secret;

use super::Check;
use super::paths::absolute;
use super::server::print_list;

impl Check<'_, '_> {
    pub(super) fn python(&mut self, table: &Table<'_>, server: Option<&Server>) -> Option<Python> {
        let chdir = self.chdir(table);
        let application = optional(table, "module", || self.application(table));
        let (virtualenv, requirements) = self.environment(table);
        let interpreter = self.interpreter(table);
        let env = self.variables(table);
        let processes = self.processes(table, server);
        let threads = self.reader.count(table, "threads");
        let cpu_affinity = optional(table, "cpu_affinity", || {
            self.reader.count(table, "cpu_affinity").flatten()
        });
        let preload = self.reader.flag(table, "preload");
        let start_timeout = self.reader.duration(table, "start_timeout");
        let warm_up = self.warm_up(table);
        let queue = self.reader.count(table, "queue");
        let request_timeout = self.reader.duration(table, "request_timeout");
        let timeout_grace = self.reader.duration(table, "timeout_grace");
        let queue_timeout = self.reader.duration(table, "queue_timeout");
        let recycling = self.recycling(table, server, processes);
        let memory_limit = optional(table, "memory_limit", || {
            self.reader.size(table, "memory_limit")
        });
        let body_buffer = self.reader.size(table, "body_buffer");
        let response_buffer = self.reader.size(table, "response_buffer");
        let response_spool = self.reader.size(table, "response_spool");
        let spool = self.spool(table);
        Some(Python {
            chdir: chdir?,
            application: application?,
            // Routes are read later.
            others: Vec::new(),
            virtualenv: virtualenv?,
            interpreter: interpreter?,
            requirements: requirements?,
            env: env?,
            processes: processes?,
            threads: threads??,
            cpu_affinity: cpu_affinity?,
            preload: preload?,
            start_timeout: start_timeout?,
            warm_up: warm_up?,
            queue: queue??,
            request_timeout: request_timeout?,
            timeout_grace: timeout_grace?,
            queue_timeout: queue_timeout?,
            recycling: recycling?,
            memory_limit_bytes: memory_limit?,
            body_buffer_bytes: body_buffer?,
            response_buffer_bytes: response_buffer?,
            response_spool_bytes: response_spool?,
            spool: spool?,
        })
    }

    fn chdir(&mut self, table: &Table<'_>) -> Option<PathBuf> {
        if table.entry("chdir").is_some() {
            return self.folder_of(table, "chdir");
        }
        let folder = self.folder.clone();
        self.reader
            .assume(table, "chdir", quoted(&folder.display().to_string()));
        Some(folder)
    }

    /// What goes into a request line must not end it.
    fn warm_up(&mut self, table: &Table<'_>) -> Option<Vec<String>> {
        let list = table.entry("warm_up")?;
        let texts = self.reader.list(table, "warm_up")?;
        let (mut paths, count) = (Vec::new(), texts.len());
        for (path, entry) in texts {
            let is_plain = path
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'#');
            if path.starts_with('/') && is_plain {
                paths.push(path);
            } else {
                let expected =
                    "a list of paths without spaces, from `/` on, such as [\"/health\"]".to_owned();
                self.reader.expected(&entry, list.path.clone(), expected);
            }
        }
        (paths.len() == count).then(|| self.reader.accept(&list, print_list(&paths), paths))
    }

    fn spool(&mut self, table: &Table<'_>) -> Option<PathBuf> {
        if table.entry("spool").is_some() {
            return self.folder_of(table, "spool");
        }
        let folder = std::env::temp_dir();
        self.reader
            .assume(table, "spool", quoted(&folder.display().to_string()));
        Some(folder)
    }

    fn application(&mut self, table: &Table<'_>) -> Option<Application> {
        let (text, entry) = self.reader.text(table, "module")?;
        self.callable("python.module", text, &entry)
    }

    /// What the entry's text names; `key` is what messages call it.
    pub(super) fn callable(
        &mut self,
        key: &'static str,
        text: String,
        entry: &Entry<'_>,
    ) -> Option<Application> {
        match application(&text) {
            Ok(application) => {
                let printed = quoted(&application.to_string());
                Some(self.reader.accept(entry, printed, application))
            }
            Err(problem) => {
                self.reader.fault_at(
                    Fault::Module {
                        key,
                        found: text,
                        problem,
                    },
                    entry,
                );
                None
            }
        }
    }

    /// The virtual environment and the requirements: one without the other has rules.
    #[allow(
        clippy::type_complexity,
        reason = "two optional settings, each of which may be wrong"
    )]
    fn environment(
        &mut self,
        table: &Table<'_>,
    ) -> (Option<Option<PathBuf>>, Option<Option<PathBuf>>) {
        let virtualenv = optional(table, "virtualenv", || self.path(table, "virtualenv"));
        let requirements = optional(table, "requirements", || {
            let (path, entry) = self.path(table, "requirements")?;
            self.must_be_file(path, &entry)
        });
        match (&virtualenv, table.entry("requirements")) {
            (Some(None), Some(entry)) => {
                self.reader
                    .fault_at(Fault::RequirementsWithoutVirtualenv, &entry);
            }
            (Some(Some((path, entry))), None) if !path.is_dir() => {
                self.reader
                    .fault_at(Fault::NoVirtualenv { path: path.clone() }, entry);
            }
            (Some(Some((path, entry))), Some(_)) if path.exists() && !path.is_dir() => {
                self.must_be_folder(path.clone(), entry);
            }
            _ => {}
        }
        (
            virtualenv.map(|found| found.map(|(path, _)| path)),
            requirements,
        )
    }

    /// A name stays one; what has a slash is a path, which must lead to a file.
    fn interpreter(&mut self, table: &Table<'_>) -> Option<String> {
        let (text, entry) = self.reader.text(table, "interpreter")?;
        if !text.contains('/') {
            return Some(self.reader.accept(&entry, quoted(&text), text));
        }
        let path = self.must_be_file(absolute(&self.folder, &text), &entry)?;
        let text = path.display().to_string();
        Some(self.reader.accept(&entry, quoted(&text), text))
    }

    fn variables(&mut self, table: &Table<'_>) -> Option<BTreeMap<String, String>> {
        let Some(entry) = table.entry("env") else {
            return Some(BTreeMap::new());
        };
        let dict = self.reader.table(table, "env")?;
        let mut variables = BTreeMap::new();
        let mut good = true;
        for (name, value) in dict {
            let entry = Entry {
                path: entry.path.join(name.as_str()),
                value,
            };
            match self.variable(name, &entry) {
                Some(text) => drop(variables.insert(name.clone(), text)),
                None => good = false,
            }
        }
        good.then_some(variables)
    }

    fn variable(&mut self, name: &str, entry: &Entry<'_>) -> Option<String> {
        if name.is_empty() || name.contains(['=', '\0']) {
            let place = self.reader.key_place(&entry.path, entry.value);
            self.reader.error(
                Fault::EnvironmentName {
                    name: name.to_owned(),
                },
                place,
            );
            return None;
        }
        match self.reader.text_of(entry) {
            None => {
                self.reader
                    .expected(entry, entry.path.clone(), "a string".to_owned());
                None
            }
            Some(text) if text.contains('\0') => {
                self.reader.fault_at(
                    Fault::BadText {
                        key: entry.path.clone(),
                        empty: false,
                    },
                    entry,
                );
                None
            }
            Some(text) => Some(self.reader.accept(entry, print_variable(name, &text), text)),
        }
    }

    /// A number as written, or the CPUs there are; one without a supervisor.
    fn processes(&mut self, table: &Table<'_>, server: Option<&Server>) -> Option<usize> {
        let master = server.is_none_or(|server| server.master);
        let entry = table.entry("processes")?;
        match self.reader.count(table, "processes")? {
            None => {
                let count = if master { usable_cpus() } else { 1 };
                Some(
                    self.reader
                        .accept_as(&entry, count.to_string(), "\"auto\"", count),
                )
            }
            Some(processes) if processes > 1 && !master => {
                self.reader
                    .fault_at(Fault::ProcessesWithoutMaster { processes }, &entry);
                None
            }
            Some(processes) => Some(processes),
        }
    }
}

/// A key that may be left out: `Some(None)` if it is, none if it is wrong.
pub(super) fn optional<T>(
    table: &Table<'_>,
    name: &str,
    read: impl FnOnce() -> Option<T>,
) -> Option<Option<T>> {
    match table.entry(name) {
        None => Some(None),
        Some(_) => read().map(Some),
    }
}

/// CPUs this process may use: affinity and cgroup quota included.
fn usable_cpus() -> usize {
    std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(512)
}

/// `check --show` ends up in bug reports and build logs; passwords must not.
fn print_variable(name: &str, value: &str) -> String {
    if is_secret(name, value) {
        "\"…\"".to_owned()
    } else {
        quoted(value)
    }
}

/// `package.module:callable`; the callable defaults to `application`.
fn application(text: &str) -> Result<Application, ModuleProblem> {
    let (module, callable) = text.split_once(':').unwrap_or((text, "application"));
    match () {
        () if module.contains('/') || has_extension(module) => Err(ModuleProblem::File),
        () if is_dotted(module) && callable.ends_with(')') => Err(ModuleProblem::Call),
        () if !is_dotted(module) || !is_dotted(callable) => Err(ModuleProblem::Form),
        () => Ok(Application {
            module: module.to_owned(),
            callable: callable.to_owned(),
        }),
    }
}

fn has_extension(module: &str) -> bool {
    Path::new(module)
        .extension()
        .is_some_and(|extension| extension == "py")
}

/// Whether every part between dots could be a Python identifier.
fn is_dotted(name: &str) -> bool {
    name.split('.').all(|part| {
        let begins = part.starts_with(|c: char| c.is_alphabetic() || c == '_');
        begins && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    })
}

/// Whether the value of a route says `wsgi = true`.
pub(super) fn is_wsgi(route: &Value) -> bool {
    route
        .find_ref("wsgi")
        .is_some_and(|wsgi| matches!(wsgi, Value::Bool(_, true)))
}
