//! What is watched, and which changes count.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use appliance_project::Project;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::{Instant, sleep_until};

use crate::event::Event;

use super::inotify::{Inotify, Seen};

/// Editors write a file in several steps, and version control several files.
const QUIET: Duration = Duration::from_millis(120);
/// Where it never gets quiet.
const LONGEST: Duration = Duration::from_secs(1);
/// A file may be saved just before it is known here that it has been imported.
const JUST: Duration = Duration::from_millis(500);
/// As many saves are remembered for that.
const MOST_RECENT: usize = 64;
/// Folders of a tree that are watched: a wrong `watch` must not take what the system has.
const MOST_FOLDERS: usize = 4096;

/// What the project says.
#[derive(Debug, Clone)]
pub(super) struct Watched {
    /// The project file and the requirements.
    files: Vec<PathBuf>,
    /// `python.chdir`.
    folder: PathBuf,
    /// `dev.watch`.
    more: Vec<PathBuf>,
}

impl Watched {
    pub(super) fn of(project: &Project) -> Watched {
        let requirements = project.python.requirements.iter();
        let files = std::iter::once(&project.file).chain(requirements);
        let dev = project.dev.iter();
        Watched {
            files: files.flat_map(|file| names(file)).collect(),
            folder: resolved(&project.python.chdir),
            more: dev
                .flat_map(|dev| &dev.watch)
                .map(|path| resolved(path))
                .collect(),
        }
    }
}

/// What the watch is told.
#[derive(Debug)]
pub(super) enum Told {
    Project(Watched),
    /// These files have been imported; all of them, or more.
    Imported {
        files: Vec<PathBuf>,
        all: bool,
        broken: bool,
    },
    /// There is no worker that could say.
    Broken,
}

struct Watch {
    inotify: Inotify,
    project: Watched,
    imported: HashSet<PathBuf>,
    /// Whatever is saved may mend the application.
    broken: bool,
    changed: BTreeSet<PathBuf>,
    /// What did not count when it was saved.
    recent: VecDeque<(PathBuf, Instant)>,
    /// Since when, and when last.
    since: Option<(Instant, Instant)>,
}

/// Reports changes to `events` until nobody tells any more what to watch.
pub(super) async fn watch(
    project: Watched,
    mut told: UnboundedReceiver<Told>,
    events: UnboundedSender<Event>,
) -> io::Result<()> {
    let mut watch = Watch {
        inotify: Inotify::new()?,
        project,
        imported: HashSet::new(),
        broken: false,
        changed: BTreeSet::new(),
        recent: VecDeque::new(),
        since: None,
    };
    watch.add_projects();
    loop {
        let due = watch.due();
        tokio::select! {
            told = told.recv() => match told {
                Some(told) => watch.hear(told),
                None => return Ok(()),
            },
            seen = watch.inotify.next() => watch.see(seen?),
            () = until(due) => {
                watch.since = None;
                let changed = std::mem::take(&mut watch.changed);
                if events.send(Event::Changed(changed)).is_err() {
                    return Ok(());
                }
            }
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

impl Watch {
    fn due(&self) -> Option<Instant> {
        let (first, last) = self.since?;
        Some((last + QUIET).min(first + LONGEST))
    }

    fn hear(&mut self, told: Told) {
        match told {
            Told::Project(project) => {
                self.project = project;
                self.add_projects();
            }
            Told::Imported { files, all, broken } => {
                if all {
                    self.imported.clear();
                    self.broken = broken;
                }
                let files: Vec<PathBuf> = files.iter().flat_map(|file| names(file)).collect();
                files.iter().for_each(|file| self.add_folder_of(file));
                if !all {
                    self.look_back(&files);
                }
                self.imported.extend(files);
            }
            Told::Broken => self.broken = true,
        }
        if self.broken {
            let folder = self.project.folder.clone();
            self.add_tree(&folder);
        }
    }

    fn add_projects(&mut self) {
        for file in self.project.files.clone() {
            self.add_folder_of(&file);
        }
        for path in self.project.more.clone() {
            match path.is_dir() {
                true => self.add_tree(&path),
                false => self.add_folder_of(&path),
            }
        }
    }

    fn add_folder_of(&mut self, file: &Path) {
        if let Some(folder) = file.parent() {
            self.inotify.add(folder);
        }
    }

    /// Watches a folder and those below it, but for those that hold no code of the project.
    fn add_tree(&mut self, folder: &Path) {
        let mut waiting = vec![folder.to_owned()];
        let mut count = 0;
        while let Some(folder) = waiting.pop()
            && count < MOST_FOLDERS
        {
            self.inotify.add(&folder);
            count += 1;
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                // Links lead anywhere, in circles too.
                let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if is_folder && !is_foreign(&entry.path()) {
                    waiting.push(entry.path());
                }
            }
        }
    }

    fn see(&mut self, seen: Vec<Seen>) {
        for seen in seen {
            let path = match seen {
                Seen::Much => self.project.folder.clone(),
                Seen::Path { path, is_folder } => {
                    let counts = self.counts(&path, is_folder);
                    // It may hold files already, of which nobody will say anything.
                    if counts && is_folder {
                        self.add_tree(&path);
                    }
                    if !counts {
                        self.recent.truncate(MOST_RECENT - 1);
                        self.recent.push_front((path, Instant::now()));
                        continue;
                    }
                    path
                }
            };
            self.note(path);
        }
    }

    fn note(&mut self, path: PathBuf) {
        self.changed.insert(path);
        let now = Instant::now();
        self.since = Some((self.since.map_or(now, |(first, _)| first), now));
    }

    fn look_back(&mut self, files: &[PathBuf]) {
        let recent = std::mem::take(&mut self.recent);
        let just = recent.into_iter().filter(|(_, at)| at.elapsed() < JUST);
        for (path, _) in just.filter(|(path, _)| files.contains(path)) {
            self.note(path);
        }
    }

    fn counts(&self, path: &Path, is_folder: bool) -> bool {
        let is_named = self.imported.contains(path) || self.project.files.iter().any(|f| f == path);
        if is_named {
            return true;
        }
        if is_scratch(path) {
            return false;
        }
        let mut more = self.project.more.iter();
        let is_code = is_folder || path.extension().is_some_and(|end| end == "py");
        let may_mend = self.broken && is_code && path.starts_with(&self.project.folder);
        may_mend || more.any(|one| path.starts_with(one))
    }
}

/// Folders of packages, tools and compiled code.
fn is_foreign(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.')
        || matches!(&*name, "node_modules" | "site-packages" | "__pycache__")
        || folder.join("pyvenv.cfg").exists()
}

/// What editors leave beside a file, and Python.
fn is_scratch(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with(['.', '#'])
        || name.ends_with('~')
        || name.ends_with(".swp")
        || name.ends_with(".pyc")
        || name == "__pycache__"
        // vim's, to see whether it may create files.
        || name == "4913"
}

/// The path with every link on the way resolved, as events have it; of what is not there, as it is.
fn resolved(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// A file by the folder that it is in, and where it is a link, by the one it leads to as well.
fn names(file: &Path) -> Vec<PathBuf> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else {
        return Vec::new();
    };
    let by_folder = resolved(folder).join(name);
    let itself = resolved(file);
    match itself == by_folder {
        true => vec![by_folder],
        false => vec![by_folder, itself],
    }
}
