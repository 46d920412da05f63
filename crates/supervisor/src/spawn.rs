//! Starts a worker: the project's interpreter, told to load the worker library.

use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use appliance_figures::Page;
use appliance_project::Project;
use appliance_project::tickets::{self, TicketSecret};
use appliance_project::wire::{ForkOrder, Leftover, Manager, WorkerSpec};

use crate::confine::Confines;
use crate::error::StartError;
use crate::library::Library;
use crate::listeners::Listeners;
use crate::logs::{self, Pipes};
use crate::notify::Notifier;
use crate::preload::Preload;
use crate::process::Process;
use crate::python::Environment;
use crate::sys::{self, Execution, Inheritance};
use crate::worker::Role;
use crate::{shared, writable};

/// What the interpreter runs, in the order of its statements:
///
/// - `-c` put the working folder first on `sys.path`, where a `threading.py` of the application
///   would shadow Python's own (the worker adds `python.chdir` later);
/// - Python's handler of SIGINT would raise KeyboardInterrupt when the worker is done: a Ctrl-C
///   is for the supervisor to mind;
/// - `threading` must see the main thread before any other thread attaches;
/// - applications that look for command-line options find none;
/// - `importlib.util` would load the library in fewer words, but is 116 KB that a small
///   application does without.
const BOOT: &str = "import sys; sys.path[:] = filter(None, sys.path); \
import signal; signal.signal(signal.SIGINT, signal.SIG_DFL); \
import threading, importlib.machinery as machinery; \
_, _, library, spec = sys.argv; sys.argv[:] = ['appliance']; \
loader = machinery.ExtensionFileLoader('appliance_worker', library); \
worker = loader.create_module(machinery.ModuleSpec('appliance_worker', loader, origin=library)); \
loader.exec_module(worker); sys.exit(worker.run(spec))";

/// What a process of the interpreter is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    Worker(Role),
    /// To import the application, and to have workers forked from it.
    Preload,
}

/// What ties a worker to its supervisor.
#[derive(Debug, Clone, Copy)]
struct Ties {
    control: RawFd,
    figures: Option<RawFd>,
}

/// What only a worker without a supervisor minds by itself.
#[derive(Debug, Default)]
struct Alone {
    /// And how patient it is.
    manager: Option<(UnixDatagram, Option<Duration>)>,
    files: Vec<Leftover>,
}

/// What all workers have in common.
#[derive(Debug)]
pub(crate) struct Launcher {
    pub(crate) project: Project,
    /// The interpreter to execute.
    pub(crate) python: PathBuf,
    pub(crate) library: Arc<Library>,
    /// Shared by the generations: a reload lets sessions be resumed.
    pub(crate) tickets: Arc<Mutex<TicketSecret>>,
    /// Variables added to the supervisor's own.
    pub(crate) environment: Environment,
}

impl Launcher {
    /// The command of a worker under a supervisor, the supervisor's end of its control socket,
    /// and what it will count. The other end and the specification close when the command
    /// is dropped: after the start.
    pub(crate) fn supervised(
        &self,
        role: Role,
        listeners: &Listeners,
    ) -> io::Result<(WorkerCommand, UnixStream, Page)> {
        let (ours, theirs) = UnixStream::pair()?;
        let file = sys::memory_file(c"appliance_worker_figures", Execution::Denied)?;
        let figures = Page::make(file)?;
        let ties = Ties {
            control: theirs.as_raw_fd(),
            figures: Some(figures.fd()),
        };
        let task = Task::Worker(role);
        let mut command = self.command(task, listeners, Some(ties), Alone::default())?;
        command.control = Some(theirs);
        Ok((command, ours, figures))
    }

    /// The command of the process that workers are forked from, and the supervisor's end of its
    /// socket.
    pub(crate) fn preloading(&self) -> io::Result<(WorkerCommand, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        let ties = Ties {
            control: theirs.as_raw_fd(),
            figures: None,
        };
        let nowhere = Listeners::none();
        let mut command = self.command(Task::Preload, &nowhere, Some(ties), Alone::default())?;
        command.control = Some(theirs);
        Ok((command, ours))
    }

    /// Why no worker can be started.
    pub(crate) fn failure(&self, source: io::Error) -> StartError {
        let confines = Confines::of(&self.project.server);
        StartError::Launch {
            python: self.python.clone(),
            user: confines.whom().map(str::to_owned),
            source,
        }
    }

    /// The command of a worker that stands alone: it takes this process's place.
    pub(crate) fn alone(
        &self,
        listeners: &Listeners,
        pidfile: Option<Leftover>,
    ) -> io::Result<WorkerCommand> {
        let mut files = listeners.unix().leftovers();
        files.extend(pidfile);
        let manager = Notifier::of_environment().for_successor_alone();
        let alone = Alone { manager, files };
        self.command(Task::Worker(Role::Slot(0)), listeners, None, alone)
    }

    /// The secret of the period before this one: the oldest whose tickets are still taken.
    fn current_tickets(&self) -> TicketSecret {
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.advance(tickets::period(SystemTime::now()).saturating_sub(1));
        tickets.clone()
    }

    fn command(
        &self,
        task: Task,
        listeners: &Listeners,
        ties: Option<Ties>,
        alone: Alone,
    ) -> io::Result<WorkerCommand> {
        let control = ties.map(|ties| ties.control);
        let figures = ties.and_then(|ties| ties.figures);
        let mut project = self.project.clone();
        let file = self.project.file.display();
        let (number, name, own, what) = match task {
            Task::Worker(Role::Slot(slot)) => {
                let name = format!("worker {}", slot + 1);
                (slot + 1, name.clone(), listeners.of_slot(slot), name)
            }
            Task::Worker(Role::StandIn) => {
                project.python.application = None;
                project.python.others.clear();
                let what = "front without application".to_owned();
                (0, "front".to_owned(), Vec::new(), what)
            }
            Task::Preload => {
                let what = "application, for workers to be forked".to_owned();
                (0, "preload".to_owned(), Vec::new(), what)
            }
        };
        let label = format!("appliance: {what} of {file}");
        let others = match control {
            Some(_) => listeners.of_others(number.checked_sub(1)),
            None => Vec::new(),
        };
        let mut keep: Vec<RawFd> = own.iter().map(|listener| listener.fd).collect();
        keep.extend(others.iter().map(|other| other.listener.fd));
        let unix = listeners.unix().told();
        keep.extend(unix.iter().map(|unix| unix.fd));
        let counts = figures.and_then(|_| shared::fd());
        keep.extend(counts);
        let manager = alone.manager.as_ref().map(|(socket, patience)| Manager {
            fd: socket.as_raw_fd(),
            watchdog_ms: patience.and_then(|time| u64::try_from(time.as_millis()).ok()),
        });
        keep.extend(manager.map(|manager| manager.fd));
        let mut command = Command::new(&self.python);
        // A worker alone writes to files by itself: this process makes way for it.
        let pipes = match control.is_some() || !logs::needs_thread(&project) {
            true => Pipes::connect(&mut command, name, &project)?,
            false => Pipes::default(),
        };
        pipes.give(&Confines::of(&project.server))?;
        keep.extend(pipes.descriptors());
        let spec = WorkerSpec {
            slot: number,
            project,
            tickets: self.current_tickets(),
            listeners: own,
            others,
            unix,
            access_logs: pipes.access(),
            log: pipes.log(),
            control,
            figures,
            counts,
            manager,
            leftovers: alone.files,
            preload: task == Task::Preload,
            label: label.clone(),
        };
        let mut file = sys::memory_file(c"appliance_worker_spec", Execution::Denied)?;
        file.write_all(&serde_json::to_vec(&spec)?)?;
        keep.extend(control);
        keep.extend(figures);
        let descriptors = keep.clone();
        keep.extend([self.library.fd(), file.as_raw_fd()]);

        command
            .args(["-c", BOOT, &label])
            .arg(descriptor_path(self.library.fd()))
            .arg(descriptor_path(file.as_raw_fd()))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.project.python.chdir);
        Confines::of(&self.project.server).worker(&mut command);
        if let Some(rules) = writable::rules(&self.project, control.is_some())? {
            sys::restrict(&mut command, rules);
        }
        sys::inherit(
            &mut command,
            Inheritance {
                keep,
                die_with_parent: control.is_some(),
            },
        );
        Ok(WorkerCommand {
            command,
            spec: file,
            descriptors,
            pipes,
            control: None,
            manager: alone.manager.map(|(socket, _)| socket),
        })
    }
}

fn descriptor_path(fd: RawFd) -> String {
    format!("/proc/self/fd/{fd}")
}

/// A command with the descriptors that its process will inherit.
#[derive(Debug)]
pub(crate) struct WorkerCommand {
    command: Command,
    spec: std::fs::File,
    /// What the specification names.
    descriptors: Vec<RawFd>,
    pipes: Pipes,
    control: Option<UnixStream>,
    /// Open until the worker has it.
    manager: Option<UnixDatagram>,
}

impl WorkerCommand {
    /// Starts the process; this side of its descriptors closes.
    pub(crate) fn spawn(self) -> io::Result<tokio::process::Child> {
        let WorkerCommand {
            command,
            spec,
            pipes,
            control,
            manager,
            ..
        } = self;
        let child = tokio::process::Command::from(command).spawn();
        drop((spec, pipes, control, manager));
        child
    }

    /// The same, from the process that has imported the application, if that can be; and the process's
    /// number.
    pub(crate) fn start(self, preload: Option<&Preload>) -> io::Result<(Process, u32)> {
        if let Some(preload) = preload {
            let printed = self.pipes.printed();
            let spec = std::iter::once(self.spec.as_raw_fd());
            let named = spec.chain(self.descriptors.iter().copied());
            let order = ForkOrder {
                descriptors: named.chain(printed.into_iter().flatten()).collect(),
                printed,
                supervisor: std::process::id(),
            };
            if let Some(pid) = preload.fork(&order)? {
                return Ok((Process::adopted(pid)?, pid));
            }
        }
        let child = self.spawn()?;
        let pid = child.id().unwrap_or_default();
        Ok((Process::Child(child), pid))
    }

    /// Becomes the worker. Returns only when that fails.
    pub(crate) fn replace_this_process(mut self) -> io::Error {
        self.command.exec()
    }
}
