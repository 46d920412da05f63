//! The control socket: requests of people and programs, turned into the same events as signals.
//!
//! One request a connection. Its answers are written at once, by whoever knows them; the
//! connection ends with the last, or, after a stop, with the server.

use std::io::Write;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::sync::broadcast;
use tokio::sync::mpsc::UnboundedSender;

use crate::event::Event;
use crate::logs;
use crate::protocol::{Answer, Request};
use crate::shared;
use crate::signals::Stop;
use crate::sys;

/// A request is a line of a few bytes.
const LONGEST_REQUEST: u64 = 64 << 10;
/// A client that sends nothing is let go.
const PATIENCE: Duration = Duration::from_secs(10);
/// A client that does not read must not hold up the supervisor.
const SEND_TIMEOUT: Duration = Duration::from_millis(200);

/// Who waits for the end of the server.
pub(crate) type Farewells = Arc<Mutex<Vec<Reply>>>;

/// The way back to whoever asked.
#[derive(Debug, Clone)]
pub(crate) struct Reply(Arc<UnixStream>);

impl Reply {
    /// The descriptor, for a handover.
    pub(crate) fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// From the last program of this process.
    pub(crate) fn adopt(fd: RawFd) -> std::io::Result<Reply> {
        Ok(Reply(Arc::new(sys::adopt(fd)?.into())))
    }

    pub(crate) fn progress(&self, text: impl Into<String>) {
        self.send(&Answer::Progress { text: text.into() });
    }

    pub(crate) fn done(&self, text: impl Into<String>) {
        self.send(&Answer::Done { text: text.into() });
    }

    pub(crate) fn failed(&self, exit_status: u8, text: impl Into<String>) {
        let text = text.into();
        self.send(&Answer::Failed { exit_status, text });
    }

    /// Whoever has gone away does not need to know.
    pub(crate) fn send(&self, answer: &Answer) {
        if let Ok(mut line) = serde_json::to_vec(answer) {
            line.push(b'\n');
            let _ = (&*self.0).write_all(&line);
        }
    }
}

/// Hears requests on `listener` until the runtime ends.
#[derive(Debug, Clone)]
pub(crate) struct Control {
    pub(crate) events: UnboundedSender<Event>,
    pub(crate) stops: broadcast::Sender<Stop>,
    pub(crate) farewells: Farewells,
}

impl Control {
    pub(crate) fn listen(self, listener: &UnixListener) -> std::io::Result<()> {
        let listener = tokio::net::UnixListener::from_std(listener.try_clone()?)?;
        tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let control = self.clone();
                        tokio::spawn(async move { control.hear(stream).await });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept control connections; trying again in 1 s");
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                }
            }
        });
        Ok(())
    }

    async fn hear(&self, stream: tokio::net::UnixStream) {
        let asker = stream.peer_cred().map(|peer| peer.uid());
        let mut line = String::new();
        let mut reader = BufReader::new(stream).take(LONGEST_REQUEST);
        let read = tokio::time::timeout(PATIENCE, reader.read_line(&mut line)).await;
        // Whoever only looks whether somebody is here says nothing.
        if line.is_empty() || !matches!(read, Ok(Ok(_))) {
            return;
        }
        let Ok(stream) = blocking(reader.into_inner().into_inner()) else {
            return;
        };
        let reply = Reply(Arc::new(stream));
        match serde_json::from_str(&line) {
            Ok(request) if may_ask(asker.ok(), &request) => self.pass_on(request, reply),
            Ok(_) => reply.failed(3, NOT_YOURS),
            Err(error) => reply.failed(2, format!("error: not a request: {error}\n")),
        }
    }

    fn pass_on(&self, request: Request, reply: Reply) {
        let stop = match request {
            Request::Stop => Stop::Command,
            Request::Quit => Stop::QuitCommand,
            Request::Reopen => return logs::answer_reopen(&reply),
            Request::Maintenance { on } => return maintain(on, &reply),
            Request::Status { .. }
            | Request::Reload
            | Request::Upgrade { .. }
            | Request::Traceback { .. }
            | Request::Recycle { .. }
            | Request::Drain { .. } => {
                // Nobody listens only when the supervisor itself is at its end.
                let _ = self.events.send(Event::Asked(request, reply));
                return;
            }
        };
        let mut farewells = self
            .farewells
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        farewells.push(reply);
        let _ = self.stops.send(stop);
    }
}

const NOT_YOURS: &str = "error: only root may do this: the supervisor is root's, the workers are this user's\n\
                         hint: `sudo appliance …`, or `systemctl reload` of its unit\n";

/// The user that workers run as may look. Whatever else it asked for, an intruder who has taken over
/// the application could ask for: to stop the site, or to become root by a binary of its own.
fn may_ask(user: Option<u32>, request: &Request) -> bool {
    const ROOT: u32 = 0;
    matches!(request, Request::Status { .. })
        || user.is_some_and(|user| user == ROOT || user == sys::user())
}

/// Workers look at the word with each request: nobody has to be told, and nothing to be waited for.
fn maintain(on: bool, reply: &Reply) {
    if let Err(error) = shared::set_maintenance(on) {
        return reply.failed(3, format!("error: no memory that workers share: {error}\n"));
    }
    match on {
        true => {
            tracing::warn!("maintenance: every request gets a 503");
            reply.done("maintenance: every request gets a 503 until `appliance maintenance off`");
        }
        false => {
            tracing::info!("maintenance is over");
            reply.done("maintenance is over");
        }
    }
}

fn blocking(stream: tokio::net::UnixStream) -> std::io::Result<UnixStream> {
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(SEND_TIMEOUT))?;
    Ok(stream)
}
