//! A generation: the project as it was read once, and everything its workers need to start.
//!
//! Preparing one takes nothing from the generation that serves. In order:
//!
//! 1. nobody else has the addresses ([`crate::listeners`]);
//! 2. the interpreter and its packages are ready ([`crate::python`]);
//! 3. the project's own commands have run ([`crate::hooks`]);
//! 4. the sockets are bound, the library is at hand ([`crate::library`]);
//! 5. the application is imported, if that is done once for all workers ([`crate::preload`]).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use appliance_project::tickets::TicketSecret;
use appliance_project::{Loaded, Project, Setting};
use serde::{Deserialize, Serialize};

use crate::activation::Passed;
use crate::confine::Confines;
use crate::error::Halt;
use crate::library::Library;
use crate::listeners::{BindError, Listeners};
use crate::preload::Preload;
use crate::spawn::Launcher;
use crate::stage::Stage;
use crate::{hooks, python, writable};

#[derive(Debug)]
pub(crate) struct Generation {
    /// From 1.
    pub(crate) number: u64,
    pub(crate) launcher: Launcher,
    /// Where workers come from, if not from the interpreter.
    pub(crate) preload: Option<Preload>,
    pub(crate) listeners: Listeners,
    /// For messages: who set what.
    pub(crate) settings: Vec<Setting>,
}

/// A generation without its descriptors.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Own {
    number: u64,
    project: Project,
    python: PathBuf,
    environment: python::Environment,
}

impl Generation {
    /// The first one; its sockets listen already.
    pub(crate) async fn first(
        loaded: Loaded,
        library: &'static [u8],
        passed: Vec<Passed>,
        stage: &mut Stage,
    ) -> Result<Generation, Halt> {
        let project = &loaded.project;
        let addresses = addresses(project);
        let passed = Listeners::passed(passed, project, &addresses)?;
        // Before minutes of installing; and again by `bind`, after them.
        passed.refuse_taken(&addresses)?;
        let (python, environment) = set_up(project, stage).await?;
        let passed = passed.with_unix(project)?;
        let listeners = passed.bind(&addresses, slots(project))?;
        let generation = Generation::with(1, loaded, listeners, library, python, environment)?;
        generation.preloaded(stage).await
    }

    /// One that is never to serve: without sockets, in one worker.
    pub(crate) async fn rehearsal(
        mut loaded: Loaded,
        library: &'static [u8],
        stage: &mut Stage,
    ) -> Result<Generation, Halt> {
        loaded.project.python.processes = 1;
        let (python, environment) = set_up(&loaded.project, stage).await?;
        let listeners = Listeners::none();
        Generation::with(1, loaded, listeners, library, python, environment)
    }

    /// One that follows a generation of another program: its rehearsal has run the hooks.
    pub(crate) async fn inherited(
        number: u64,
        loaded: Loaded,
        library: &'static [u8],
        before: &Listeners,
        stage: &mut Stage,
    ) -> Result<Generation, Halt> {
        let project = &loaded.project;
        let (python, environment) = ready_python(project, stage).await?;
        let listeners = before.successors(&addresses(project), slots(project))?;
        let listeners = listeners.with_unix(project)?;
        let generation = Generation::with(number, loaded, listeners, library, python, environment)?;
        generation.preloaded(stage).await
    }

    fn with(
        number: u64,
        loaded: Loaded,
        listeners: Listeners,
        library: &'static [u8],
        python: PathBuf,
        environment: python::Environment,
    ) -> Result<Generation, Halt> {
        let library = Library::open(library, &library_folders(&loaded.project))?;
        Ok(Generation {
            number,
            listeners,
            settings: loaded.settings,
            preload: None,
            launcher: Launcher {
                project: loaded.project,
                python,
                library: Arc::new(library),
                tickets: Arc::new(Mutex::new(TicketSecret::new(SystemTime::now())?)),
                environment,
            },
        })
    }

    /// What this program needs to get it back from another one.
    pub(crate) fn own(&self) -> Own {
        Own {
            number: self.number,
            project: self.launcher.project.clone(),
            python: self.launcher.python.clone(),
            environment: self.launcher.environment.clone(),
        }
    }

    /// It comes back.
    pub(crate) fn again(
        own: Own,
        listeners: Listeners,
        library: &'static [u8],
    ) -> Result<Generation, Halt> {
        let library = Library::open(library, &library_folders(&own.project))?;
        Ok(Generation {
            number: own.number,
            listeners,
            settings: Vec::new(),
            preload: None,
            launcher: Launcher {
                project: own.project,
                python: own.python,
                library: Arc::new(library),
                tickets: Arc::new(Mutex::new(TicketSecret::new(SystemTime::now())?)),
                environment: own.environment,
            },
        })
    }

    /// The one after `self`; its new sockets do not listen yet. Hooks are run, unless they have
    /// nothing to do with what has changed.
    pub(crate) async fn next(
        self: Arc<Generation>,
        loaded: Loaded,
        mut stage: Stage,
        has_hooks: bool,
    ) -> Result<Generation, Halt> {
        let project = &loaded.project;
        let addresses = addresses(project);
        let listeners = || -> Result<Listeners, BindError> {
            let listeners = self.listeners.successors(&addresses, slots(project))?;
            listeners.with_unix(project)
        };
        drop(listeners()?);
        let (python, environment) = match has_hooks {
            true => set_up(project, &mut stage).await?,
            false => ready_python(project, &mut stage).await?,
        };
        let generation = Generation {
            number: self.number + 1,
            listeners: listeners()?,
            settings: loaded.settings,
            preload: None,
            launcher: Launcher {
                project: loaded.project,
                python,
                library: Arc::clone(&self.launcher.library),
                tickets: Arc::clone(&self.launcher.tickets),
                environment,
            },
        };
        generation.preloaded(&mut stage).await
    }

    /// With the application imported, if that is done once for all workers.
    async fn preloaded(mut self, stage: &mut Stage) -> Result<Generation, Halt> {
        let (server, python) = (&self.project().server, &self.project().python);
        if server.master && python.preload && python.has_application() {
            self.preload = Preload::start(&self.launcher, stage).await?;
        }
        Ok(self)
    }

    /// No worker is forked from now on.
    pub(crate) async fn end_preload(&self) {
        if let Some(preload) = &self.preload {
            preload.end().await;
        }
    }

    pub(crate) fn project(&self) -> &Project {
        &self.launcher.project
    }

    /// Where clients speak TLS, with the ports that were picked.
    pub(crate) fn https(&self) -> Vec<SocketAddr> {
        let sites = &self.project().sites;
        self.listeners
            .addresses_where(|address| sites.iter().any(|site| site.https.contains(&address)))
    }

    /// Where gateways speak the uwsgi protocol, likewise.
    pub(crate) fn uwsgi(&self) -> Vec<SocketAddr> {
        let sites = &self.project().sites;
        self.listeners.addresses_where(|address| {
            let mut sites = sites.iter();
            sites.any(|site| site.uwsgi.addresses.contains(&address))
        })
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
    let (python, environment) = ready_python(project, stage).await?;
    let confines = Confines::of(&project.server);
    hooks::before_start(project, &environment, &confines, stage).await?;
    Ok((python, environment))
}

async fn ready_python(
    project: &Project,
    stage: &mut Stage,
) -> Result<(PathBuf, python::Environment), Halt> {
    let confines = Confines::of(&project.server);
    confines.check(project)?;
    writable::warn_if_without_effect(project)?;
    let environment = python::environment(&project.python, &confines);
    let python = python::prepare(&project.python, &environment, &confines, stage).await?;
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
