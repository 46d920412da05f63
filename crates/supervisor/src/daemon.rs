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
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

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
        let _ = self.0.write_all(b".");
    }
}

/// Goes on in the background, with `file` for standard output and error. To be called before the
/// process has any thread but its first.
///
/// # Errors
///
/// When `file` cannot be written to, or the system refuses.
pub fn daemonize(file: &Path) -> Result<Side, DaemonError> {
    const INIT: u32 = 1;
    if std::process::id() == INIT {
        return Err(DaemonError::FirstProcess);
    }
    let log = open(file)?;
    let before = log.metadata()?.len();
    let (reader, writer) = io::pipe()?;
    match sys::fork()? {
        Fork::Child => {
            drop(reader);
            sys::new_session()?;
            sys::redirect(&File::open("/dev/null")?, &log)?;
            Ok(Side::Server(Ready(writer)))
        }
        Fork::Parent { child } => {
            drop(writer);
            let mut log = File::open(file)?;
            log.seek(SeekFrom::Start(before))?;
            let status = wait(child, reader, log)?;
            if status == 0 {
                anstream::println!(
                    "process {child} serves in the background; it writes to {}",
                    file.display()
                );
            }
            Ok(Side::Command(status))
        }
    }
}

fn open(file: &Path) -> Result<File, DaemonError> {
    let unusable = |source| DaemonError::File {
        path: file.to_owned(),
        source,
    };
    // A pipe without reader would be waited for.
    if file.metadata().is_ok_and(|found| !found.is_file()) {
        return Err(DaemonError::NoFile {
            path: file.to_owned(),
        });
    }
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(file)
        .map_err(unusable)
}

fn wait(child: u32, reader: PipeReader, log: File) -> io::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(follow(child, reader, log))
}

/// Shows the log until there is an outcome.
async fn follow(child: u32, reader: PipeReader, mut log: File) -> io::Result<u8> {
    const PAUSE: Duration = Duration::from_millis(50);
    let mut signals = Signals::new()?;
    let mut word = pipe::Receiver::from_owned_fd(reader.into())?;
    let mut letter = [0];
    let serves = loop {
        tokio::select! {
            read = word.read(&mut letter) => break matches!(read, Ok(1)),
            // Its session is not the terminal's any more: a Ctrl-C has come here alone.
            _ = signals.stop() => sys::kill(pid(child)?, libc::SIGTERM)?,
            () = tokio::time::sleep(PAUSE) => show(&mut log)?,
        }
    };
    let status = match serves {
        true => 0,
        false => status(end_of(child).await?),
    };
    show(&mut log)?;
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
            anstream::eprintln!("error: the server died before it was ready: {signal}");
            NOT_STARTED
        }
    }
}

/// Standard error gets what has been added.
fn show(log: &mut File) -> io::Result<()> {
    let mut added = Vec::new();
    log.read_to_end(&mut added)?;
    // Whoever does not look does not keep the server from starting.
    let _ = io::stderr().write_all(&added);
    Ok(())
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
