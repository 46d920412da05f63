//! `appliance dev`: a change of what the application has imported, or of the project file, reloads.
//!
//! 1. Workers say what they have imported ([`FromWorker::Imported`](appliance_project::wire::FromWorker));
//!    the folders of that are watched ([`watch`]).
//! 2. What has changed comes as one event, when it has been quiet for a moment.
//! 3. A reload follows, as any other: one that is under way is called off first. Hooks are only run
//!    again if it was not code alone that has changed.
//!
//! A worker whose application cannot be imported serves all the same, and shows why. So the
//! newest state is what is shown, and only where there is no worker at all the old one serves on.
//!
//! The front's development server is started and ended with it ([`command`]).

mod command;
mod inotify;
mod watch;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anstyle::{AnsiColor, Style};
use appliance_project::Project;
use appliance_project::model::Dev;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::event::Event;

use command::FrontCommand;
use watch::{Told, Watched};

const CHANGE: Style = AnsiColor::Cyan.on_default();
const DONE: Style = AnsiColor::Green.on_default();
const FAILED: Style = AnsiColor::Red.on_default();

/// What the master knows of it.
pub(crate) struct Development {
    watch: UnboundedSender<Told>,
    /// Files have changed since a reload began.
    changed: bool,
    /// Others than code have, or hooks are still to be run for another reason.
    needs_hooks: bool,
    /// The newest worker could not import the application.
    broken: bool,
    /// What paths are shown relative to.
    folder: PathBuf,
    front: Option<FrontCommand>,
    /// Who saves the project file may want the front's command to be started again.
    may_restart_front: bool,
}

impl Development {
    /// None for a project that `appliance serve` serves.
    pub(crate) fn of(project: &Project, events: &UnboundedSender<Event>) -> Option<Development> {
        let dev = project.dev.as_ref()?;
        let (watch, told) = unbounded_channel();
        let watched = Watched::of(project);
        let events = events.clone();
        tokio::spawn(async move {
            if let Err(error) = watch::watch(watched, told, events).await {
                tracing::error!(%error, "files are not watched: `appliance reload` reloads");
            }
        });
        let folder = project.file.parent().unwrap_or(Path::new("/"));
        Some(Development {
            watch,
            changed: false,
            needs_hooks: false,
            broken: false,
            front: FrontCommand::start(dev, folder),
            may_restart_front: false,
            folder: folder.to_owned(),
        })
    }

    /// A worker has imported these.
    pub(crate) fn imported(&mut self, files: Vec<String>, all: bool, broken: bool) {
        if all {
            self.broken = broken;
        }
        let files = files.into_iter().map(PathBuf::from).collect();
        self.tell(Told::Imported { files, all, broken });
    }

    /// A reload is over, with this project serving.
    pub(crate) fn reloaded(&mut self, project: &Project, after_ms: u128) {
        if let Some(dev) = &project.dev {
            self.mind_front(dev);
        }
        self.tell(Told::Project(Watched::of(project)));
        match self.broken {
            false => say(DONE, &format!("done in {after_ms} ms")),
            true => say(
                FAILED,
                "the application cannot be imported; its routes show the traceback",
            ),
        }
    }

    /// A reload has failed: whatever is saved next may mend it.
    pub(crate) fn failed(&mut self) {
        self.needs_hooks = true;
        self.tell(Told::Broken);
    }

    /// Files have changed.
    pub(crate) fn changed(&mut self, files: &BTreeSet<PathBuf>) {
        let is_code = |file: &PathBuf| file.extension().is_some_and(|end| end == "py");
        self.changed = true;
        let is_more = !files.iter().all(is_code);
        self.needs_hooks |= is_more;
        self.may_restart_front |= is_more;
        let mut shown = files.iter().map(|file| self.shown(file));
        let first = shown.next().unwrap_or_default();
        match shown.count() {
            0 => say(CHANGE, &format!("{first} changed")),
            more => say(CHANGE, &format!("{first} and {more} more changed")),
        }
    }

    /// Whether the reload that begins has to run hooks.
    pub(crate) fn needs_hooks(&mut self) -> bool {
        // One that was asked for by hand runs them, as everywhere.
        let is_by_hand = !std::mem::take(&mut self.changed);
        std::mem::take(&mut self.needs_hooks) || is_by_hand
    }

    /// Lets go of the front's command, to be awaited.
    pub(crate) fn stop_front(&mut self) -> impl Future<Output = ()> + use<> {
        let front = self.front.take();
        async move {
            if let Some(front) = front {
                front.stop().await;
            }
        }
    }

    /// Starts the command that the project names now, if it is another one or has ended.
    fn mind_front(&mut self, dev: &Dev) {
        let may_restart = std::mem::take(&mut self.may_restart_front);
        let runs = self.front.as_ref().is_some_and(FrontCommand::runs);
        let is_same = match &self.front {
            Some(front) => front.is(&dev.command),
            None => dev.command.is_empty(),
        };
        if !is_same || may_restart && !runs {
            self.front = None;
            self.front = FrontCommand::start(dev, &self.folder);
        }
    }

    fn shown(&self, file: &Path) -> String {
        let file = file.strip_prefix(&self.folder).unwrap_or(file);
        file.display().to_string()
    }

    fn tell(&self, told: Told) {
        // Nobody listens where nothing can be watched, which was said.
        let _ = self.watch.send(told);
    }
}

fn say(style: Style, text: &str) {
    appliance_log::text(&format!("{style}reload:{style:#} {text}\n"));
}

/// Python takes compiled code for that of a file which has the same size, and was changed in the
/// same second: of two quick saves the first one's would be run.
pub(crate) fn forget_bytecode(files: &BTreeSet<PathBuf>) {
    for file in files {
        let (Some(folder), Some(stem)) = (file.parent(), file.file_stem()) else {
            continue;
        };
        let Ok(entries) = std::fs::read_dir(folder.join("__pycache__")) else {
            continue;
        };
        let prefix = format!("{}.", stem.to_string_lossy());
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(&prefix) && name.ends_with(".pyc") {
                // One that stays is as good as ever.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}
