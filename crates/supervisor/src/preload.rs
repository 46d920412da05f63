//! The process that imports the application once, and from which workers are forked
//! (`python.preload`).
//!
//! It belongs to a generation: started when that is prepared, gone with it. Without it, whatever
//! has become of it, a worker imports the application itself.

use std::io::{self, BufRead, BufReader, IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use appliance_project::wire::{ForkOrder, Forked, FromWorker};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::io::AsyncBufReadExt;
use tokio::process::Child;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::error::{Halt, StartError, WorkerFailure};
use crate::memory;
use crate::process::Exit;
use crate::spawn::Launcher;
use crate::stage::Stage;
use crate::sys;

/// How long a fork may take: it copies no memory, but the tables of all of it.
const FORK_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the process may take to end.
const END_TIMEOUT: Duration = Duration::from_secs(1);
/// Descriptors in one message: the kernel lets 253 through.
const AT_ONCE: usize = 200;

/// It is no worker, but the first one does not get further than it does.
const NUMBER: usize = 1;

#[derive(Debug)]
pub(crate) struct Preload {
    pid: u32,
    socket: UnixStream,
    process: Mutex<Option<Watched>>,
    /// Nobody is to be told when it ends.
    may_end: Arc<AtomicBool>,
}

/// A process that a task waits for.
#[derive(Debug)]
struct Watched {
    kill: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

impl Preload {
    /// Starts it and waits until it has imported the application. None where each worker has to
    /// import it by itself; the log says why.
    pub(crate) async fn start(
        launcher: &Launcher,
        stage: &mut Stage,
    ) -> Result<Option<Preload>, Halt> {
        let began = Instant::now();
        let failed = |error| Halt::from(launcher.failure(error));
        let (command, socket) = launcher.preloading().map_err(failed)?;
        let mut child = command.spawn().map_err(failed)?;
        let pid = child.id().unwrap_or_default();
        match first_word(launcher, &mut child, &socket, stage).await {
            Ok(FromWorker::Ready { .. }) => {}
            Ok(FromWorker::Failed { error, key, .. }) if key == "python.preload" => {
                tracing::warn!(
                    reason = error,
                    "the application cannot be imported once for all: each worker imports it by itself"
                );
                end(&mut child).await;
                return Ok(None);
            }
            Ok(FromWorker::Failed {
                error,
                key,
                hint,
                traceback,
            }) => {
                end(&mut child).await;
                return Err(failure(WorkerFailure::Reported {
                    error,
                    key,
                    hint,
                    traceback,
                }));
            }
            Ok(other) => {
                end(&mut child).await;
                return Err(io::Error::other(format!("{other:?} comes too early")).into());
            }
            Err(halt) => {
                end(&mut child).await;
                return Err(halt);
            }
        }
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(FORK_TIMEOUT))?;
        socket.set_write_timeout(Some(FORK_TIMEOUT))?;
        tracing::info!(
            pid,
            after_ms = began.elapsed().as_millis(),
            memory_mb = memory::resident_megabytes(pid).unwrap_or_default(),
            "application imported, for workers to be forked"
        );
        let may_end = Arc::new(AtomicBool::new(false));
        let (kill, killed) = oneshot::channel();
        let ended = tokio::spawn(watch(child, killed, Arc::clone(&may_end)));
        Ok(Some(Preload {
            pid,
            socket,
            process: Mutex::new(Some(Watched { kill, ended })),
            may_end,
        }))
    }

    /// The process of a new worker, with the order's descriptors; none if it cannot be had from here.
    ///
    /// # Errors
    /// When nobody knows whether there is one: it will find its control socket closed.
    pub(crate) fn fork(&self, order: &ForkOrder) -> io::Result<Option<u32>> {
        if self.pid().is_none() {
            return Ok(None);
        }
        let descriptors = order.descriptors.iter().map(|fd| sys::borrow(*fd));
        let descriptors: Vec<_> = descriptors.collect::<io::Result<_>>()?;
        // The worker's first parent ends at once; then it is this process's child.
        sys::adopt_orphans(true)?;
        let forked = self.ask(order, &descriptors);
        sys::adopt_orphans(false)?;
        match forked {
            Ok(Forked::Pid(pid)) => Ok(Some(pid)),
            Ok(Forked::Failed(error)) => {
                tracing::warn!(
                    error,
                    "no worker can be forked: this one imports the application itself"
                );
                Ok(None)
            }
            Err(error) => {
                self.kill();
                Err(io::Error::new(
                    error.kind(),
                    format!("cannot fork it: {error}"),
                ))
            }
        }
    }

    fn ask(&self, order: &ForkOrder, descriptors: &[BorrowedFd<'_>]) -> io::Result<Forked> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        let mut rest = line.as_slice();
        for some in descriptors.chunks(AT_ONCE) {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            ancillary.push(SendAncillaryMessage::ScmRights(some));
            let byte = &[IoSlice::new(&rest[..1])];
            sendmsg(&self.socket, byte, &mut ancillary, SendFlags::NOSIGNAL)?;
            rest = &rest[1..];
        }
        (&self.socket).write_all(rest)?;
        let mut answer = String::new();
        BufReader::new(&self.socket).read_line(&mut answer)?;
        Ok(serde_json::from_str(&answer)?)
    }

    /// Of the process, while it lives.
    pub(crate) fn pid(&self) -> Option<u32> {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let alive = process
            .as_ref()
            .is_some_and(|process| !process.ended.is_finished());
        alive.then_some(self.pid)
    }

    fn take(&self) -> Option<Watched> {
        self.may_end.store(true, Ordering::Relaxed);
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.take()
    }

    fn kill(&self) {
        if let Some(process) = self.take() {
            let _ = process.kill.send(());
        }
    }

    /// Ends the process, and waits for that.
    pub(crate) async fn end(&self) {
        let Some(Watched { kill, mut ended }) = self.take() else {
            return;
        };
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        if tokio::time::timeout(END_TIMEOUT, &mut ended).await.is_err() {
            let _ = kill.send(());
            let _ = ended.await;
        }
    }
}

/// It sees the end of the socket, and ends.
impl Drop for Preload {
    fn drop(&mut self) {
        drop(self.take());
    }
}

/// What it says first.
async fn first_word(
    launcher: &Launcher,
    child: &mut Child,
    socket: &UnixStream,
    stage: &mut Stage,
) -> Result<FromWorker, Halt> {
    socket.set_nonblocking(true)?;
    let socket = tokio::net::UnixStream::from_std(socket.try_clone()?)?;
    let mut lines = tokio::io::BufReader::new(socket).lines();
    let timeout = launcher.project.python.start_timeout;
    tokio::select! {
        biased;
        stop = stage.stop() => Err(Halt::Stopped(stop)),
        line = lines.next_line() => match line {
            Ok(Some(line)) => Ok(serde_json::from_str(&line).map_err(io::Error::from)?),
            _ => {
                let exit = child.wait().await.map_or(Exit::Status(-1), Exit::of);
                Err(failure(WorkerFailure::Died { number: NUMBER, exit }))
            }
        },
        () = tokio::time::sleep(timeout) => {
            Err(failure(WorkerFailure::Slow { number: NUMBER, timeout }))
        }
    }
}

fn failure(failure: WorkerFailure) -> Halt {
    StartError::Worker(failure).into()
}

async fn end(child: &mut Child) {
    if let Err(error) = child.kill().await {
        tracing::debug!(%error, "the process that has imported cannot be ended");
    }
}

async fn watch(mut child: Child, killed: oneshot::Receiver<()>, may_end: Arc<AtomicBool>) {
    let pid = child.id().unwrap_or_default();
    let status = tokio::select! {
        status = child.wait() => status,
        order = killed => {
            if order.is_ok() {
                end(&mut child).await;
            }
            child.wait().await
        }
    };
    if !may_end.load(Ordering::Relaxed) {
        let cause = status.map_or(Exit::Status(-1), Exit::of);
        tracing::error!(pid, %cause, "the process that workers are forked from is gone: until the next reload they import the application themselves");
    }
}
