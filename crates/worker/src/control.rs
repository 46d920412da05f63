//! How a worker hears that it is to stop, and says how it fares: over the control socket, or,
//! without a supervisor, by signals and the log.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;

use appliance_project::wire::{FromWorker, ToWorker};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Tells the supervisor, if there is one. One that is gone takes this worker with it anyway.
pub(crate) fn tell(control: Option<&UnixStream>, message: &FromWorker) {
    if let Some(mut control) = control
        && let Ok(mut line) = serde_json::to_vec(message)
    {
        line.push(b'\n');
        let _ = control.write_all(&line);
    }
}

/// Signals that end a server. Registered early, so that one which comes during the start is not
/// lost.
pub(crate) struct StopSignals([Signal; 3]);

impl StopSignals {
    pub(crate) fn register() -> io::Result<Self> {
        Ok(StopSignals([
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::quit())?,
        ]))
    }

    async fn recv(&mut self) {
        let StopSignals([terminate, interrupt, quit]) = self;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = quit.recv() => {}
        }
    }
}

/// Resolves when the worker is to stop. With a supervisor only its word counts: a terminal sends
/// Ctrl-C to all processes alike.
pub(crate) async fn stop_asked(control: Option<UnixStream>, mut signals: StopSignals) {
    let Some(control) = control else {
        return signals.recv().await;
    };
    if let Err(error) = supervisor_says_stop(control).await {
        tracing::error!(%error, "the control socket failed; stopping");
    }
}

async fn supervisor_says_stop(control: UnixStream) -> io::Result<()> {
    control.set_nonblocking(true)?;
    let control = tokio::net::UnixStream::from_std(control)?;
    let mut lines = BufReader::new(control).lines();
    while let Some(line) = lines.next_line().await? {
        match serde_json::from_str(&line) {
            Ok(ToWorker::Stop) => return Ok(()),
            Err(error) => tracing::error!(%error, line, "the supervisor said something unknown"),
        }
    }
    Ok(())
}
