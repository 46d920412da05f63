//! `project.toml`: what was written, and what it means.
//!
//! Two stages. [`model`] holds what a project *means*: every path absolute, every range
//! checked, every default filled in; it is what the supervisor and the workers receive.
//! Everything before it (layers, positions, suggestions, messages) stays inside this crate:
//!
//! 1. `layers` reads the file, the environment and `--set`, and merges them, remembering who
//!    set what; `defaults` goes under them.
//! 2. `check` reads the merged table by the table of keys in `keys`, and collects whatever is
//!    wrong as `fault`s.
//! 3. `report` shows them all, each with its line and a caret.
//!
//! This crate knows no other crate of the workspace: neither HTTP nor Python nor processes.

mod alias;
mod check;
mod defaults;
mod fault;
mod help;
mod key_path;
mod keys;
mod layers;
pub mod model;
mod reader;
mod report;
mod sentence;
mod show;
#[cfg(test)]
mod tests;
mod toml;
mod units;
pub mod wire;

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::fault::Fault;
pub use crate::key_path::KeyPath;
use crate::layers::{FILE, Layers, Origin};
pub use crate::model::Project;
pub use crate::report::{Colour, Report};
use crate::report::{Place, Problem};
pub use crate::show::{Setting, show};

/// What a project is read from, lowest layer first.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The project file, as the user named it: messages name it so.
    pub file: PathBuf,
    /// The process's environment; variables which begin with `APPLIANCE_` are settings.
    pub environment: Vec<(String, String)>,
    /// `key=value` of every `--set`.
    pub overrides: Vec<String>,
}

/// A project without errors.
#[derive(Debug)]
pub struct Loaded {
    /// What it means.
    pub project: Project,
    /// Every setting in force and the layer it came from.
    pub settings: Vec<Setting>,
    /// What an operator may want to know, though it does not stop the start.
    pub warnings: Report,
}

/// Reads, merges and checks a project. Fails with everything that is wrong with it, warnings
/// among it. Looks at files and folders, but changes nothing.
pub fn load(sources: &Sources) -> Result<Loaded, Report> {
    let file = absolute_file(&sources.file);
    let text = read(&sources.file, &file).map_err(|fault| unread(sources, fault))?;
    let mut problems = Vec::new();
    let mut layers = Layers::new(sources, text, &mut problems);
    let (mut project, mut settings) = (None, Vec::new());
    // A file that is not TOML would only seem to lack everything.
    if problems.is_empty() {
        layers.fill(defaults::under(&layers.merged()));
        (project, settings) = check::project(file, &layers, &mut problems);
    }
    let failed = problems.iter().any(Problem::is_error);
    let report = Report::new(layers.into_texts(), problems);
    match project {
        Some(project) if !failed => Ok(Loaded {
            project,
            settings,
            warnings: report,
        }),
        _ => Err(report),
    }
}

/// The file's absolute path; if there is no working folder, the path itself.
fn absolute_file(file: &Path) -> PathBuf {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned())
}

fn read(name: &Path, file: &Path) -> Result<String, Fault> {
    if file.is_dir() {
        return Err(Fault::FileIsFolder {
            has_project: file.join("project.toml").is_file(),
        });
    }
    let bytes = fs::read(name).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Fault::NoFile(file.to_owned()),
        _ => Fault::Unreadable(error.to_string()),
    })?;
    String::from_utf8(bytes).map_err(|error| Fault::NotUtf8(error.utf8_error().valid_up_to()))
}

/// The report of a file that could not be read.
fn unread(sources: &Sources, fault: Fault) -> Report {
    let name = sources.file.display().to_string();
    let texts = vec![
        (Origin::Default, String::new()),
        (Origin::File(name), String::new()),
    ];
    Report::new(
        texts,
        vec![Problem::error(
            fault,
            Place {
                layer: FILE,
                span: None,
            },
        )],
    )
}
