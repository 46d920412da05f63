//! A generation: the project as it was read once, and everything its workers need to start.
//!
//! Preparing one takes nothing from the generation that serves. In order:
//!
//! 1. nobody else has the addresses ([`crate::listeners`]);
//! 2. the interpreter and its packages are ready ([`crate::python`]);
//! 3. the project's own commands have run ([`crate::hooks`]);
//! 4. the sockets are bound, the library is at hand ([`crate::library`]).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use appliance_project::{Loaded, Project, Setting};

use crate::error::Halt;
use crate::library::Library;
use crate::listeners::Listeners;
use crate::spawn::Launcher;
use crate::stage::Stage;
use crate::{hooks, python};

#[derive(Debug)]
pub(crate) struct Generation {
    /// From 1.
    pub(crate) number: u64,
    pub(crate) launcher: Launcher,
    pub(crate) listeners: Listeners,
    /// For messages: who set what.
    pub(crate) settings: Vec<Setting>,
}

impl Generation {
    /// The first one; its sockets listen already.
    pub(crate) async fn first(
        loaded: Loaded,
        library: &'static [u8],
        stage: &mut Stage,
    ) -> Result<Generation, Halt> {
        let project = &loaded.project;
        let addresses = addresses(project);
        // Before minutes of installing; and again by `bind`, after them.
        Listeners::refuse_taken_by_others(&addresses)?;
        let (python, environment) = set_up(project, stage).await?;
        let listeners = Listeners::bind(&addresses, slots(project))?;
        let library = Library::open(library, &library_folders(project))?;
        Ok(Generation {
            number: 1,
            listeners,
            settings: loaded.settings,
            launcher: Launcher {
                project: loaded.project,
                python,
                library: Arc::new(library),
                environment,
            },
        })
    }

    /// The one after `self`; its new sockets do not listen yet.
    pub(crate) async fn next(
        self: Arc<Generation>,
        loaded: Loaded,
        mut stage: Stage,
    ) -> Result<Generation, Halt> {
        let project = &loaded.project;
        let addresses = addresses(project);
        drop(self.listeners.successors(&addresses, slots(project))?);
        let (python, environment) = set_up(project, &mut stage).await?;
        Ok(Generation {
            number: self.number + 1,
            listeners: self.listeners.successors(&addresses, slots(project))?,
            settings: loaded.settings,
            launcher: Launcher {
                project: loaded.project,
                python,
                library: Arc::clone(&self.launcher.library),
                environment,
            },
        })
    }

    pub(crate) fn project(&self) -> &Project {
        &self.launcher.project
    }

    pub(crate) fn slots(&self) -> usize {
        slots(self.project())
    }
}

/// The interpreter to execute, with the variables it gets, after everything that comes before
/// the first worker.
async fn set_up(
    project: &Project,
    stage: &mut Stage,
) -> Result<(PathBuf, python::Environment), Halt> {
    let environment = python::environment(&project.python);
    let python = python::prepare(&project.python, &environment, stage).await?;
    hooks::before_start(project, &environment, stage).await?;
    Ok((python, environment))
}

fn addresses(project: &Project) -> Vec<SocketAddr> {
    let sites = project.sites.iter();
    sites.flat_map(|site| site.listen.iter().copied()).collect()
}

fn slots(project: &Project) -> usize {
    match project.server.master {
        true => project.python.processes,
        false => 1,
    }
}

/// Where the worker library may lie if it may not be executed from memory.
fn library_folders(project: &Project) -> Vec<PathBuf> {
    let mut folders = vec![std::env::temp_dir(), PathBuf::from("/dev/shm")];
    folders.extend(project.python.virtualenv.clone());
    folders
}
