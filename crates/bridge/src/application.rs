//! `python.module` → the application: import, look-up, and an error for each way to fail.

use std::path::Path;

use appliance_project::model::Application;
use pyo3::exceptions::PyModuleNotFoundError;
use pyo3::prelude::*;

use crate::{strike, sys, traceback};

/// Why there is no application.
#[derive(Debug)]
pub struct ImportError {
    /// What could not be done, one line.
    pub error: String,
    /// Python's traceback, when code of the project failed.
    pub traceback: Option<String>,
    /// What to do.
    pub hint: Option<String>,
}

/// Imports the application, with `chdir` first on `sys.path`.
///
/// # Errors
/// When the module is missing or raises, when it has no such attribute, and when that is not
/// callable.
pub fn import(
    py: Python<'_>,
    chdir: &Path,
    application: &Application,
) -> Result<Py<PyAny>, ImportError> {
    let spelled = format!("{}:{}", application.module, application.callable);
    let module = py
        .import("sys")
        .and_then(|sys| sys.getattr("path"))
        .and_then(|path| path.call_method1("insert", (0, chdir.as_os_str())))
        .and_then(|_| strike::publish(py))
        .and_then(|()| py.import(application.module.as_str()))
        .map_err(|error| import_failed(py, &spelled, application, &error))?;

    let mut found = module.clone().into_any();
    for name in application.callable.split('.') {
        found = found.getattr(name).map_err(|error| {
            attribute_missing(&module, application, &traceback::summary(py, &error))
        })?;
    }
    if !found.is_callable() {
        let kind = found
            .get_type()
            .name()
            .map_or_else(|_| "object".to_owned(), |name| name.to_string());
        return Err(ImportError {
            error: format!("`{spelled}` is a `{kind}`, which cannot be called"),
            traceback: None,
            hint: Some("`python.module` names a WSGI callable: `package.module:callable`".into()),
        });
    }
    settle(py);
    Ok(found.unbind())
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
    spelled: &str,
    application: &Application,
    error: &PyErr,
) -> ImportError {
    if let Some(missing) = missing_module(py, application, error) {
        return ImportError {
            error: format!("cannot import `{spelled}`: no module named `{missing}`"),
            traceback: None,
            hint: Some(format!(
                "`python.chdir` is the folder which holds `{}`",
                missing.rsplit('.').next().unwrap_or(&missing)
            )),
        };
    }
    ImportError {
        error: format!(
            "cannot import `{spelled}`: {}",
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
    application: &Application,
    error: &str,
) -> ImportError {
    let candidate = ["application", "app", "wsgi", "wsgi_app"]
        .into_iter()
        .find(|name| module.getattr(*name).is_ok_and(|found| found.is_callable()));
    ImportError {
        error: format!(
            "module `{}` has no `{}` ({error})",
            application.module, application.callable
        ),
        traceback: None,
        hint: Some(match candidate {
            Some(name) => format!(
                "it has a callable `{name}`: write `module = \"{}:{name}\"`",
                application.module
            ),
            None => "`python.module` names a WSGI callable: `package.module:callable`".into(),
        }),
    }
}
