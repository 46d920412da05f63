//! `appliance import`: configurations in, a project file and a report out.

use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use anstyle::{AnsiColor, Style};
use appliance_import::{Imported, System};
use appliance_project::Sources;

use crate::cli::Status;
use crate::failure;
use crate::output::{self, tell};

const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const ERROR: Style = AnsiColor::BrightRed.on_default().bold();

/// Reads `files` and writes what they make to `output`, or to standard output.
pub(crate) fn run(files: &[PathBuf], output: Option<&Path>, force: bool) -> Status {
    let imported = match appliance_import::import(files, &System) {
        Ok(imported) => imported,
        Err(refused) => {
            let styled = io::stderr().is_terminal();
            output::say(format_args!("{}", refused.render(styled)));
            return Status::BadProject;
        }
    };
    if let Err(error) = write(output, force, &imported.project) {
        tell!("{ERROR}error{ERROR:#}: {error}");
        return Status::BadProject;
    }
    output::say(format_args!("{}", imported.report));
    verify(&imported, output)
}

/// Writes a project file; one that is there stays, unless told otherwise.
pub(crate) fn write(output: Option<&Path>, force: bool, text: &str) -> Result<(), String> {
    let Some(path) = output else {
        let written = io::stdout().lock().write_all(text.as_bytes());
        return match written {
            // `| head` has seen enough.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(format!("cannot write to standard output: {error}"))
            }
            _ => Ok(()),
        };
    };
    let written = match force && path.exists() {
        true => replace(path, text),
        false => create(path, text),
    };
    let name = path.display();
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            format!(
                "`{name}` is there already: `--force` replaces it, `--output` takes another name"
            )
        }
        io::ErrorKind::NotFound => format!("there is no folder for `{name}`"),
        _ => format!("cannot write `{name}`: {error}"),
    })
}

/// One that appears in between stays as well; on a full disk no half of one is left.
fn create(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let written = file.write_all(text.as_bytes());
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
}

/// The old one stays until all of the new one is written. What is no file, such as a terminal, is
/// written to.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let old = fs::metadata(&path)?;
    if !old.is_file() {
        let mut file = OpenOptions::new().write(true).open(&path)?;
        return file.write_all(text.as_bytes());
    }
    let mut draft = path.clone().into_os_string();
    draft.push(format!(".{}", std::process::id()));
    let draft = PathBuf::from(draft);
    create(&draft, text)?;
    // Root may do this for somebody else; who is not root can only be the owner.
    let _ = chown(&draft, Some(old.uid()), Some(old.gid()));
    fs::set_permissions(&draft, old.permissions())?;
    fs::rename(&draft, &path)
}

/// Checks the project file as `appliance check` would. Paths that are not here may be elsewhere.
fn verify(imported: &Imported, output: Option<&Path>) -> Status {
    let sources = Sources {
        file: output.unwrap_or(Path::new("project.toml")).to_owned(),
        ..Sources::default()
    };
    let checked = appliance_project::load_text(&sources, imported.project.clone());
    for note in &imported.notes {
        tell!("{WARNING}warning{WARNING:#}: {note}");
    }
    let Err(report) = checked else {
        return Status::Done;
    };
    for path in report.missing() {
        tell!(
            "{WARNING}warning{WARNING:#}: not on this machine: `{}`",
            path
        );
    }
    if report.errors_besides_missing() == 0 {
        return Status::Done;
    }
    tell!("{ERROR}error{ERROR:#}: the project file needs your hand before it serves:\n");
    failure::report(&report);
    Status::BadProject
}
