//! Configurations of nginx, uWSGI, gunicorn, systemd and NGINX Unit become one project.toml.
//!
//! 1. `read` and `kind` bring a file in and tell what it is.
//! 2. Each source's own module reads it: text to a tree or settings with their places, without any
//!    access to files but by [`Disk`].
//! 3. Each source has one table that says what becomes of a name (`nginx/table.rs`,
//!    `uwsgi/table.rs`, `gunicorn.rs`, `unit.rs`); names that the table of keys in
//!    `appliance-project` has are carried over by the type of their key.
//! 4. `python` decides what takes all sources to decide; `write` writes the draft, `report` tells
//!    what became of every directive. Nothing is left out without a line in it.

mod command;
mod convert;
mod disk;
mod draft;
mod fate;
mod fault;
mod gunicorn;
mod json;
mod kind;
mod nginx;
mod python;
mod read;
mod report;
mod setting;
mod source;
mod systemd;
#[cfg(test)]
mod tests;
mod unit;
mod uwsgi;
mod write;

use std::path::{Path, PathBuf};

pub use crate::disk::{Disk, System};
use crate::draft::Draft;
use crate::fault::{Fault, Problem};
use crate::kind::Kind;
use crate::python::Python;
use crate::report::Report;
pub use crate::report::Verdict;
use crate::source::Sources;

/// What an import makes.
#[derive(Debug)]
pub struct Imported {
    /// The project file.
    pub project: String,
    /// What became of every directive.
    pub report: String,
    /// What keeps the project file from being complete.
    pub notes: Vec<String>,
    /// How many directives have each verdict.
    pub counts: Vec<(Verdict, usize)>,
}

/// Files that cannot be imported.
#[derive(Debug)]
pub struct Refused {
    plain: String,
    styled: String,
}

impl Refused {
    /// The message, with line, column and caret where there are any.
    pub fn render(&self, styled: bool) -> &str {
        if styled { &self.styled } else { &self.plain }
    }
}

/// An import on its way.
pub(crate) struct Import<'d> {
    pub(crate) disk: &'d dyn Disk,
    pub(crate) sources: Sources,
    pub(crate) report: Report,
    pub(crate) draft: Draft,
    pub(crate) python: Python,
    /// The files that the user has named, absolute.
    pub(crate) named: Vec<PathBuf>,
    pub(crate) notes: Vec<String>,
}

/// Reads these files, which belong to one site, and makes one project file of them.
pub fn import(files: &[PathBuf], disk: &dyn Disk) -> Result<Imported, Refused> {
    let absolute = |file: &PathBuf| std::path::absolute(file).unwrap_or_else(|_| file.clone());
    let mut import = Import {
        disk,
        sources: Sources::default(),
        report: Report::default(),
        draft: Draft::default(),
        python: Python::default(),
        named: files
            .iter()
            .map(absolute)
            .map(|file| python::clean(&file))
            .collect(),
        notes: Vec::new(),
    };
    match import.all(files) {
        Ok(()) => Ok(import.written(files)),
        Err(fault) => Err(Refused {
            plain: fault.render(&import.sources, false),
            styled: fault.render(&import.sources, true),
        }),
    }
}

impl Import<'_> {
    fn all(&mut self, files: &[PathBuf]) -> Result<(), Fault> {
        let mut read = Vec::new();
        for (file, path) in files.iter().zip(self.named.clone()) {
            let name = file.display().to_string();
            let number = read::read(self.disk, file, &name, &mut self.sources)?;
            let text = &self.sources.get(number).text;
            let kind = match (text.trim().is_empty(), kind::of(file, text)) {
                (true, _) => return Err(Fault::of(Problem::Empty { name })),
                (false, Some(kind)) => kind,
                (false, None) => return Err(Fault::of(Problem::Unknown { name })),
            };
            read.push((kind, number, path));
        }
        // Where the application listens has to be known before nginx says whom it passes to.
        read.sort_by_key(|(kind, ..)| *kind == Kind::Nginx);
        for (kind, number, path) in read {
            self.one(kind, number, &path)?;
        }
        // nginx's default sites answer names nobody has; here the first site of an address does.
        self.draft.sites.sort_by_key(|site| !site.is_default);
        self.finish();
        Ok(())
    }

    fn one(&mut self, kind: Kind, number: usize, path: &Path) -> Result<(), Fault> {
        match kind {
            Kind::Nginx => nginx::import(self, number, path),
            Kind::Systemd => systemd::import(self, number),
            Kind::Unit => unit::import(self, number),
            Kind::UwsgiIni | Kind::UwsgiXml | Kind::UwsgiYaml | Kind::UwsgiJson => {
                uwsgi::import(self, number, path)
            }
        }
    }

    fn written(self, files: &[PathBuf]) -> Imported {
        let name = |file: &PathBuf| {
            let name = file.file_name().unwrap_or(file.as_os_str());
            name.to_string_lossy().replace(char::is_control, "")
        };
        let from: Vec<_> = files.iter().map(name).collect();
        let project = write::project(&self.draft, &self.report, &self.sources, &from.join(", "));
        let verdicts = Verdict::ALL;
        Imported {
            project,
            report: self.report.render(&self.sources),
            counts: verdicts
                .map(|verdict| (verdict, self.report.count(verdict)))
                .to_vec(),
            notes: self.notes,
        }
    }
}

/// An address in the one form in which addresses are compared.
pub(crate) fn nginx_address(text: &str) -> String {
    nginx::address(text)
}
