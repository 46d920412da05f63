//! `server.daemonize`: the server goes on in the background, and the command returns when it serves.
//!
//! 1. The process forks, before anything of it has begun. The child has a session of its own, nothing
//!    to read, and the file for what it writes.
//! 2. The parent shows what the child adds to the file, until the child says that it serves, or ends.
//!    So a start that fails says the same, and as much, as one in the foreground: what pip and hooks
//!    print, Python's traceback, and the exit status.
//!
//! A session's leader opens terminals nowhere here, so there is no second fork, and the parent has the
//! child's own exit status.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, PipeWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::OnceLock;
use std::time::Duration;

use appliance_project::Project;
use appliance_project::model::LogTarget;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use crate::confine::Confines;
use crate::process::Exit;
use crate::signals::Signals;
use crate::sys::{self, Fork};

/// What a child that did not say why has ended with.
const NOT_STARTED: u8 = 3;

/// Which of the two processes this is now.
#[derive(Debug)]
pub enum Side {
    /// The command: the start is over, with this exit status.
    Command(u8),
    /// The server.
    Server(Ready),
}

/// The word for which the command waits.
#[derive(Debug)]
pub struct Ready(PipeWriter);

impl Ready {
    /// Says that the site serves. The command that has gone away meanwhile does not need to know.
    pub fn tell(mut self) {
        appliance_log::settle();
        let _ = self.0.write_all(b".");
    }
}

/// What this process writes to in the background.
static FILE: OnceLock<PathBuf> = OnceLock::new();

pub(crate) fn file() -> Option<&'static Path> {
    FILE.get().map(PathBuf::as_path)
}

/// In this process, whatever project.toml says now, that file is standard output and error.
pub(crate) fn adopt(file: Option<PathBuf>) {
    if let Some(file) = file {
        appliance_log::take_for_streams(FILE.get_or_init(|| file));
    }
}

/// Lets lines for standard output and error go to the file as to any log: by its one writer, which opens it
/// anew when it was moved, and begins it anew when it is large. Nobody else holds it open.
pub(crate) fn claim_streams(project: &mut Project) {
    let Some(file) = file() else {
        return;
    };
    let access = project.sites.iter_mut();
    let access = access.filter_map(|site| site.access_log.as_mut().map(|log| &mut log.target));
    for target in access.chain([&mut project.server.log.target]) {
        if matches!(target, LogTarget::Stderr | LogTarget::Stdout) {
            *target = LogTarget::File(file.to_owned());
        }
    }
}

/// Goes on in the background, with `server.daemonize` for standard output and error: there the project is
/// told so. To be called before the process has any thread but its first.
///
/// # Errors
///
/// When the file cannot be written to, or the system refuses.
pub fn daemonize(project: &mut Project) -> Result<Side, DaemonError> {
    const INIT: u32 = 1;
    if std::process::id() == INIT {
        return Err(DaemonError::FirstProcess);
    }
    let file = project.server.daemonize.clone().unwrap_or_default();
    // A pipe without reader would be waited for.
    if file.metadata().is_ok_and(|found| !found.is_file()) {
        return Err(DaemonError::NoFile { path: file });
    }
    let tail = Tail::of(&file)?;
    let (reader, writer) = io::pipe()?;
    match sys::fork()? {
        Fork::Child => {
            drop(reader);
            sys::new_session()?;
            // What goes wrong until here is told where the command is.
            let log = open(&file, &Confines::of(&project.server))?;
            sys::redirect(&File::open("/dev/null")?, &log)?;
            adopt(Some(file));
            claim_streams(project);
            Ok(Side::Server(Ready(writer)))
        }
        Fork::Parent { child } => {
            drop(writer);
            let status = wait(child, reader, tail)?;
            if status == 0 {
                // Who cannot be told finds it by `appliance status`.
                let _ = writeln!(
                    anstream::stdout(),
                    "process {child} serves in the background; it writes to {}",
                    file.display()
                );
            }
            Ok(Side::Command(status))
        }
    }
}

/// With the rights that the log's writer has for it later ([`crate::logs::mind_rights`]).
fn open(file: &Path, confines: &Confines) -> Result<File, DaemonError> {
    let open = || {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o640).open(file)
    };
    let opened = match confines.can_move(file) {
        true => confines.act(open).flatten(),
        false => open(),
    };
    opened.map_err(|source| DaemonError::File {
        path: file.to_owned(),
        source,
    })
}

/// What is added to a file from now on, also when it is begun anew.
struct Tail {
    path: PathBuf,
    /// None until it is there.
    file: Option<File>,
}

impl Tail {
    fn of(path: &Path) -> io::Result<Tail> {
        let mut tail = Tail {
            path: path.to_owned(),
            file: None,
        };
        // One that cannot be read, the child cannot add to: it says so.
        if let Ok(mut file) = File::open(path) {
            file.seek(SeekFrom::End(0))?;
            tail.file = Some(file);
        }
        Ok(tail)
    }

    /// Standard error gets what has been added.
    fn show(&mut self) -> io::Result<()> {
        let mut added = Vec::new();
        loop {
            if self.file.is_none() {
                self.file = File::open(&self.path).ok();
            }
            let Some(file) = &mut self.file else {
                break;
            };
            let is_last = is_at(file, &self.path);
            file.read_to_end(&mut added)?;
            if is_last {
                break;
            }
            self.file = None;
        }
        // Whoever does not look does not keep the server from starting.
        let _ = io::stderr().write_all(&added);
        Ok(())
    }
}

/// Whether it has not been moved away.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), path.metadata()) {
        (Ok(file), Ok(found)) => (file.dev(), file.ino()) == (found.dev(), found.ino()),
        _ => true,
    }
}

fn wait(child: u32, reader: PipeReader, tail: Tail) -> io::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(follow(child, reader, tail))
}

/// Shows the log until there is an outcome.
async fn follow(child: u32, reader: PipeReader, mut tail: Tail) -> io::Result<u8> {
    const PAUSE: Duration = Duration::from_millis(50);
    let mut signals = Signals::new()?;
    let mut word = pipe::Receiver::from_owned_fd(reader.into())?;
    let mut letter = [0];
    let serves = loop {
        tokio::select! {
            read = word.read(&mut letter) => break matches!(read, Ok(1)),
            // Its session is not the terminal's any more: a Ctrl-C has come here alone.
            _ = signals.stop() => sys::kill(pid(child)?, libc::SIGTERM)?,
            () = tokio::time::sleep(PAUSE) => tail.show()?,
        }
    };
    let status = match serves {
        true => 0,
        false => status(end_of(child).await?),
    };
    tail.show()?;
    Ok(status)
}

async fn end_of(child: u32) -> io::Result<ExitStatus> {
    const PAUSE: Duration = Duration::from_millis(5);
    loop {
        if let Some(status) = sys::reap(child)? {
            return Ok(status);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn status(status: ExitStatus) -> u8 {
    match Exit::of(status) {
        Exit::Status(code) => u8::try_from(code).unwrap_or(NOT_STARTED),
        signal @ Exit::Signal(_) => {
            let _ = writeln!(
                anstream::stderr(),
                "error: the server died before it was ready: {signal}"
            );
            NOT_STARTED
        }
    }
}

fn pid(child: u32) -> io::Result<i32> {
    i32::try_from(child).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// Why a server cannot go on in the background.
#[derive(Debug)]
pub enum DaemonError {
    /// The first process of a container.
    FirstProcess,
    /// `server.daemonize` cannot be written to.
    File {
        /// `server.daemonize`.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// `server.daemonize` is a folder or a device.
    NoFile {
        /// `server.daemonize`.
        path: PathBuf,
    },
    /// `--no-supervisor`.
    NoSupervisor,
    /// The system refuses.
    System(io::Error),
}

impl DaemonError {
    /// What to do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            DaemonError::FirstProcess => {
                "leave out `server.daemonize`: what runs the container keeps its log".to_owned()
            }
            DaemonError::NoFile { .. } => {
                "a start that fails is told from there: name a file".to_owned()
            }
            DaemonError::NoSupervisor => "leave out one of the two".to_owned(),
            DaemonError::File { .. } | DaemonError::System(_) => return None,
        })
    }
}

impl fmt::Display for DaemonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DaemonError::FirstProcess => {
                f.write_str("a container ends with its first process, which this is")
            }
            DaemonError::File { path, source } => {
                write!(f, "cannot write to `{}`: {source}", path.display())
            }
            DaemonError::NoFile { path } => {
                write!(f, "`{}` is not a regular file", path.display())
            }
            DaemonError::NoSupervisor => f.write_str(
                "without a supervisor nobody can say when the server serves, so it stays in the foreground",
            ),
            DaemonError::System(source) => {
                write!(f, "cannot go on in the background: {source}")
            }
        }
    }
}

impl std::error::Error for DaemonError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            DaemonError::File { source, .. } | DaemonError::System(source) => Some(source),
            _ => None,
        }
    }
}

impl From<io::Error> for DaemonError {
    fn from(error: io::Error) -> DaemonError {
        DaemonError::System(error)
    }
}
