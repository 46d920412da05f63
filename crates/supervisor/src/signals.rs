//! Signals, as what they ask for.

use std::fmt;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that stop the server: gracefully at first, at once when TERM or INT comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    Term,
    Interrupt,
    Quit,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stop::Term => "SIGTERM",
            Stop::Interrupt => "SIGINT",
            Stop::Quit => "SIGQUIT",
        })
    }
}

/// From its creation on, these signals no longer end the process by themselves. (As process 1
/// of a container they never did: the kernel drops signals which that process does not handle.)
#[derive(Debug)]
pub(crate) struct Signals {
    term: Signal,
    interrupt: Signal,
    quit: Signal,
    hangup: Signal,
}

impl Signals {
    pub(crate) fn new() -> io::Result<Signals> {
        Ok(Signals {
            term: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next request to stop; losing the race in a `select!` loses no signal.
    /// A terminal that closes (HUP) takes a server started in it along.
    pub(crate) async fn stop(&mut self) -> Stop {
        tokio::select! {
            _ = self.term.recv() => Stop::Term,
            _ = self.interrupt.recv() => Stop::Interrupt,
            _ = self.quit.recv() => Stop::Quit,
            _ = self.hangup.recv() => Stop::Term,
        }
    }
}
