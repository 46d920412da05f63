//! `python.module` and what routes name → the applications: import, look-up, and an error for each way to fail.

use std::sync::Arc;

use appliance_project::model::{self, Application};
use pyo3::exceptions::{PyModuleNotFoundError, PyRuntimeError};
use pyo3::prelude::*;

use crate::development::Development;
use crate::traceback_page::Page;
use crate::{strike, sys, traceback};

const MAIN: &str = "python.module";

/// Why there is no application.
#[derive(Debug)]
pub struct ImportError {
    /// The key that names the application.
    pub key: String,
    /// What could not be done, one line.
    pub error: String,
    /// Python's traceback, when code of the project failed.
    pub traceback: Option<String>,
    /// What to do.
    pub hint: Option<String>,
}

/// The applications of a project.
#[derive(Clone)]
pub struct Applications(Arc<Imported>);

struct Imported {
    /// `python.module`.
    main: Option<Py<PyAny>>,
    /// Those that routes name.
    others: Vec<Py<PyAny>>,
    /// What every request gets where they could not be imported.
    broken: Option<Page>,
}

impl Applications {
    /// What to answer with if they could not be imported.
    pub(crate) fn broken(&self) -> Option<&Page> {
        self.0.broken.as_ref()
    }

    /// The one with this number among those that routes name, or `python.module`.
    ///
    /// # Errors
    /// When there is none: whoever checks a project sees to it that there is.
    pub(crate) fn get(&self, other: Option<usize>) -> PyResult<&Py<PyAny>> {
        let found = match other {
            None => self.0.main.as_ref(),
            Some(number) => self.0.others.get(number),
        };
        found.ok_or_else(|| PyRuntimeError::new_err("there is no such application"))
    }
}

/// Imports the applications, with `chdir` first on `sys.path`: `python.module`, then those that
/// routes name, in the order of the file.
///
/// # Errors
/// When a module is missing or raises, when it has no such attribute, and when that is not
/// callable.
pub fn import(py: Python<'_>, settings: &model::Python) -> Result<Applications, ImportError> {
    import_all(py, settings).map_err(|failed| failed.error)
}

/// The same for `appliance dev`, in which one that cannot be imported says so to whoever asks it.
pub fn import_in_development(
    py: Python<'_>,
    settings: &model::Python,
    development: &Development,
) -> (Applications, Option<ImportError>) {
    match import_all(py, settings) {
        Ok(applications) => (applications, None),
        Err(Failed { error, raised }) => {
            let page = development.page_of_import(py, &error, raised.as_deref());
            let broken = Imported {
                main: None,
                others: Vec::new(),
                broken: Some(page),
            };
            (Applications(Arc::new(broken)), Some(error))
        }
    }
}

/// Why there is no application, and the exception that says so.
struct Failed {
    error: ImportError,
    raised: Option<Box<PyErr>>,
}

impl From<ImportError> for Failed {
    fn from(error: ImportError) -> Failed {
        Failed {
            error,
            raised: None,
        }
    }
}

fn import_all(py: Python<'_>, settings: &model::Python) -> Result<Applications, Failed> {
    let prepared = py
        .import("sys")
        .and_then(|sys| sys.getattr("path"))
        .and_then(|path| path.call_method1("insert", (0, settings.chdir.as_os_str())))
        .and_then(|_| strike::publish(py));
    prepared.map_err(|error| ImportError {
        key: MAIN.to_owned(),
        error: format!("cannot import anything: {}", traceback::summary(py, &error)),
        traceback: Some(traceback::format(py, &error)),
        hint: None,
    })?;
    let main = settings.application.as_ref();
    let main = main.map(|application| import_one(py, application, MAIN));
    let others = settings.others.iter();
    let imported = Imported {
        main: main.transpose()?,
        others: others
            .map(|other| import_one(py, &other.application, &other.key))
            .collect::<Result<_, _>>()?,
        broken: None,
    };
    settle(py);
    Ok(Applications(Arc::new(imported)))
}

fn import_one(py: Python<'_>, application: &Application, key: &str) -> Result<Py<PyAny>, Failed> {
    let module = py
        .import(application.module.as_str())
        .map_err(|raised| Failed {
            error: import_failed(py, (application, key), &raised),
            raised: Some(Box::new(raised)),
        })?;
    let mut found = module.clone().into_any();
    for name in application.callable.split('.') {
        found = found.getattr(name).map_err(|error| {
            attribute_missing(&module, (application, key), &traceback::summary(py, &error))
        })?;
    }
    if found.is_callable() {
        return Ok(found.unbind());
    }
    let kind = found
        .get_type()
        .name()
        .map_or_else(|_| "object".to_owned(), |name| name.to_string());
    let error = ImportError {
        key: key.to_owned(),
        error: format!("`{application}` is a `{kind}`, which cannot be called"),
        traceback: None,
        hint: Some(names_a_callable(key)),
    };
    Err(error.into())
}

/// What a key is called in a hint: routes are shown by their line.
fn short(key: &str) -> &str {
    if key == MAIN { MAIN } else { "wsgi" }
}

fn names_a_callable(key: &str) -> String {
    format!(
        "`{}` names a WSGI callable: `package.module:callable`",
        short(key)
    )
}

/// What was imported will live as long as the worker: keep the garbage collector from walking
/// through all of it again and again under load, and give back what importing has freed.
fn settle(py: Python<'_>) {
    let frozen = py.import("gc").and_then(|gc| {
        gc.call_method0("collect")?;
        gc.call_method0("freeze")
    });
    if let Err(error) = frozen {
        tracing::debug!("gc.freeze failed: {}", traceback::summary(py, &error));
    }
    sys::trim_heap();
}

fn import_failed(
    py: Python<'_>,
    (application, key): (&Application, &str),
    error: &PyErr,
) -> ImportError {
    let key = key.to_owned();
    if let Some(missing) = missing_module(py, application, error) {
        return ImportError {
            key,
            error: format!("cannot import `{application}`: no module named `{missing}`"),
            traceback: None,
            hint: Some(format!(
                "`python.chdir` is the folder which holds `{}`",
                missing.rsplit('.').next().unwrap_or(&missing)
            )),
        };
    }
    ImportError {
        key,
        error: format!(
            "cannot import `{application}`: {}",
            traceback::summary(py, error)
        ),
        traceback: Some(traceback::format(py, error)),
        hint: error
            .is_instance_of::<PyModuleNotFoundError>(py)
            .then(|| "is that package in `python.requirements`?".to_owned()),
    }
}

/// The name that was not found, if it is the application's own module or a package around it
/// (and not something which that module imports).
fn missing_module(py: Python<'_>, application: &Application, error: &PyErr) -> Option<String> {
    if !error.is_instance_of::<PyModuleNotFoundError>(py) {
        return None;
    }
    let name: String = error.value(py).getattr("name").ok()?.extract().ok()?;
    let own = application.module == name
        || application
            .module
            .strip_prefix(&name)
            .is_some_and(|rest| rest.starts_with('.'));
    own.then_some(name)
}

fn attribute_missing(
    module: &Bound<'_, PyModule>,
    (application, key): (&Application, &str),
    error: &str,
) -> ImportError {
    let candidate = ["application", "app", "wsgi", "wsgi_app"]
        .into_iter()
        .find(|name| module.getattr(*name).is_ok_and(|found| found.is_callable()));
    let name_of_key = match short(key) {
        MAIN => "module",
        other => other,
    };
    ImportError {
        key: key.to_owned(),
        error: format!(
            "module `{}` has no `{}` ({error})",
            application.module, application.callable
        ),
        traceback: None,
        hint: Some(match candidate {
            Some(name) => format!(
                "it has a callable `{name}`: write `{name_of_key} = \"{}:{name}\"`",
                application.module
            ),
            None => names_a_callable(key),
        }),
    }
}
