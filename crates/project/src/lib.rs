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
pub mod certificate;
mod check;
mod defaults;
mod development;
mod example;
mod fault;
mod foreign;
mod help;
mod key_path;
mod keys;
mod layers;
mod log_format;
pub mod model;
mod network;
mod overrides;
mod reader;
mod reference;
mod report;
mod secret;
mod sentence;
mod show;
#[cfg(test)]
mod tests;
pub mod tickets;
mod toml;
mod units;
pub mod wire;

use std::ffi::OsString;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;
use std::{fs, io};

pub use crate::check::cache_directives;
pub use crate::development::Development;
use crate::fault::Fault;
pub use crate::foreign::{Foreign, Program, foreign, kind};
pub use crate::key_path::KeyPath;
pub use crate::keys::Kind;
use crate::layers::{FILE, Layers, Origin};
pub use crate::log_format::{LineFormat, LinePart, LineValue};
pub use crate::model::Project;
pub use crate::network::{Network, NetworkProblem};
pub use crate::reference::reference;
pub use crate::report::{Colour, Report};
use crate::report::{Place, Problem};
pub use crate::secret::is_secret;
pub use crate::show::{Setting, show};
pub use crate::units::{parse_size, print_duration, print_size};

/// What a project is read from, lowest layer first.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The project file, as the user named it: messages name it so.
    pub file: PathBuf,
    /// The process's environment; variables which begin with `APPLIANCE_` are settings.
    pub environment: Vec<(String, String)>,
    /// `key=value` of every `--set`.
    pub overrides: Vec<String>,
    /// How `appliance dev` reads it; none for everybody else.
    pub development: Option<Development>,
}

impl Sources {
    /// The file, the flags and this process's environment. In a variable that is not UTF-8,
    /// `\u{fffd}` stands for what could not be decoded.
    pub fn of_process(file: PathBuf, overrides: Vec<String>) -> Sources {
        let settings = |(name, value): (OsString, OsString)| {
            let name = name.into_string().ok()?;
            let value = value.to_string_lossy().into_owned();
            name.starts_with(overrides::PREFIX).then_some((name, value))
        };
        let mut environment: Vec<_> = std::env::vars_os().filter_map(settings).collect();
        // The system's order is no order: of two variables for one key the same one wins always.
        environment.sort();
        Sources {
            file,
            environment,
            overrides,
            development: None,
        }
    }
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
    let text = read(&sources.file, &absolute_file(&sources.file))?;
    load_text(sources, text)
}

/// The same of a file that holds `text`, whether or not it is there.
pub fn load_text(sources: &Sources, text: String) -> Result<Loaded, Report> {
    let file = absolute_file(&sources.file);
    let mut problems = Vec::new();
    let mut layers = Layers::new(sources, text, &mut problems);
    let (mut project, mut settings) = (None, Vec::new());
    // A file that is not TOML would only seem to lack everything.
    if problems.is_empty() {
        let mut defaults = defaults::under(&layers.merged());
        if sources.development.is_some() {
            development::put_defaults(&mut defaults);
        }
        layers.fill(defaults);
        let development = sources.development.as_ref();
        (project, settings) = check::project(file, &layers, development, &mut problems);
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

/// What a project file may have at most, in bytes: `/dev/zero` has no end.
const LARGEST: u64 = 4 << 20;

fn read(name: &Path, file: &Path) -> Result<String, Report> {
    let mut bytes = Vec::new();
    let opened = fs::File::open(name);
    let fault = match opened.and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)) {
        Ok(_) if bytes.len() as u64 > LARGEST => Fault::Unreadable("it has more than 4 MB".into()),
        Ok(_) => return String::from_utf8(bytes).map_err(|error| not_utf8(name, &error)),
        Err(_) if file.is_dir() => Fault::FileIsFolder {
            has_project: file.join("project.toml").is_file(),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Fault::NoFile(file.to_owned()),
        Err(error) => Fault::Unreadable(error.to_string()),
    };
    Err(unread(name, String::new(), fault, None))
}

/// Points at the first byte that is not UTF-8.
fn not_utf8(name: &Path, error: &FromUtf8Error) -> Report {
    let at = error.utf8_error().valid_up_to();
    let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
    // The text before it is as it was; it itself became one character of three bytes.
    let span = at..at + char::REPLACEMENT_CHARACTER.len_utf8();
    unread(name, text, Fault::NotUtf8(error.as_bytes()[at]), Some(span))
}

/// The report of a file that could not be read.
fn unread(name: &Path, text: String, fault: Fault, span: Option<Range<usize>>) -> Report {
    let file = (Origin::File(name.display().to_string()), text);
    let texts = vec![(Origin::Default, String::new()), file];
    Report::new(
        texts,
        vec![Problem::error(fault, Place { layer: FILE, span })],
    )
}
