//! What `appliance dev` asks of a worker: which files it has imported, and pages that show
//! exceptions. A worker of `appliance serve` has none of this.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::application::ImportError;
use crate::queue::lock;
use crate::traceback;
use crate::traceback_page::Page;

/// A worker that is being developed on.
pub struct Development {
    /// Where the project's own code is.
    pub(crate) folder: PathBuf,
    /// Whether other machines may see it.
    pub(crate) remote: bool,
    seen: Mutex<Seen>,
    tell: Box<dyn Fn(Imports) + Send + Sync>,
}

/// Files that have been imported.
#[derive(Debug)]
pub struct Imports {
    /// Those of the project: neither the standard library's nor installed packages'.
    pub files: Vec<String>,
    /// These are all there are; else, more of them.
    pub all: bool,
    /// The application could not be imported.
    pub broken: bool,
}

/// What the supervisor knows.
#[derive(Default)]
struct Seen {
    /// Entries of `sys.modules`.
    modules: usize,
    files: HashSet<String>,
}

impl Development {
    /// For code in `folder`; `tell` is called with files when they have been imported, with the GIL
    /// held.
    pub fn new(
        folder: PathBuf,
        remote: bool,
        tell: impl Fn(Imports) + Send + Sync + 'static,
    ) -> Development {
        Development {
            folder,
            remote,
            seen: Mutex::default(),
            tell: Box::new(tell),
        }
    }

    /// To be called when the import of the application has come to its end, good or `broken`.
    pub fn has_imported(&self, py: Python<'_>, broken: bool) {
        self.look(py, true, broken);
    }

    /// To be called before and after each response: some import only when they need it.
    pub(crate) fn look_for_imports(&self, py: Python<'_>) {
        self.look(py, false, false);
    }

    pub(crate) fn page_of(&self, py: Python<'_>, raised: &PyErr) -> Page {
        Page::of_request(py, self, raised)
    }

    pub(crate) fn page_of_import(
        &self,
        py: Python<'_>,
        error: &ImportError,
        raised: Option<&PyErr>,
    ) -> Page {
        Page::of_import(py, self, error, raised)
    }

    fn look(&self, py: Python<'_>, all: bool, broken: bool) {
        let files = match self.new_files(py) {
            Ok(files) => files,
            Err(error) => {
                let error = traceback::summary(py, &error);
                return tracing::warn!(
                    error,
                    "what is imported cannot be told: nothing is watched"
                );
            }
        };
        if all || !files.is_empty() {
            (self.tell)(Imports { files, all, broken });
        }
    }

    fn new_files(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let modules = py.import("sys")?.getattr("modules")?;
        let modules = modules.cast::<PyDict>()?;
        let mut seen = lock(&self.seen);
        if seen.modules == modules.len() {
            return Ok(Vec::new());
        }
        seen.modules = modules.len();
        // Not held while Python runs, which lets other threads in.
        drop(seen);
        let os: String = py.import("os")?.getattr("__file__")?.extract()?;
        let library = Path::new(&os).parent().unwrap_or(Path::new("/"));
        let mut found = Vec::new();
        for module in modules.copy()?.values() {
            // What stands there may be anything, and raise anything.
            let file = module.getattr("__file__").and_then(|file| file.extract());
            if let Ok(file) = file
                && is_own(&file, library)
            {
                found.push(file);
            }
        }
        let mut seen = lock(&self.seen);
        found.retain(|file| seen.files.insert(file.clone()));
        Ok(found)
    }
}

fn is_own(file: &String, library: &Path) -> bool {
    let path = Path::new(file);
    path.is_absolute() && !path.starts_with(library) && !is_installed(path)
}

/// Packages may lie in the project's folder, too.
pub(crate) fn is_installed(path: &Path) -> bool {
    let mut components = path.components();
    components
        .any(|part| part.as_os_str() == "site-packages" || part.as_os_str() == "dist-packages")
}
