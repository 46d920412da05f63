//! Signals, as what they ask for.
//!
//! HUP is two things: `kill -HUP` asks for a reload, and a terminal that closes takes the server
//! started in it along. After the latter, standard error is no terminal any more.

use std::fmt;
use std::io::{self, IsTerminal};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::broadcast;

/// Who asks for a stop. It is graceful at first, and at once when TERM, INT or `appliance stop`
/// comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    Term,
    Interrupt,
    Quit,
    /// The terminal is gone.
    Hangup,
    /// `appliance stop`.
    Command,
    /// `appliance quit`.
    QuitCommand,
}

impl Stop {
    /// Whether it is content to wait, however often it is said.
    pub(crate) fn is_patient(self) -> bool {
        matches!(self, Stop::Quit | Stop::QuitCommand)
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stop::Term => "SIGTERM",
            Stop::Interrupt => "SIGINT",
            Stop::Quit => "SIGQUIT",
            Stop::Hangup => "SIGHUP",
            Stop::Command => "`appliance stop`",
            Stop::QuitCommand => "`appliance quit`",
        })
    }
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Stop(Stop),
    Reload,
    /// To open log files anew.
    Reopen,
    Upgrade,
}

/// From its creation on, these signals no longer end the process by themselves. (As process 1
/// of a container they never did: the kernel drops signals which that process does not handle.)
#[derive(Debug)]
pub(crate) struct Signals {
    term: Signal,
    interrupt: Signal,
    quit: Signal,
    hangup: Signal,
    user_1: Signal,
    user_2: Signal,
    /// Stops asked for over the control socket.
    asked: broadcast::Receiver<Stop>,
    ask: broadcast::Sender<Stop>,
    on_terminal: bool,
}

impl Signals {
    pub(crate) fn new() -> io::Result<Signals> {
        const UNREAD: usize = 8;
        let (ask, asked) = broadcast::channel(UNREAD);
        Signals::with(ask, asked)
    }

    /// The same signals for another listener: both hear each of them.
    pub(crate) fn again(&self) -> io::Result<Signals> {
        Signals::with(self.ask.clone(), self.ask.subscribe())
    }

    /// For whoever asks for a stop by other means than a signal.
    pub(crate) fn asker(&self) -> broadcast::Sender<Stop> {
        self.ask.clone()
    }

    fn with(ask: broadcast::Sender<Stop>, asked: broadcast::Receiver<Stop>) -> io::Result<Signals> {
        Ok(Signals {
            term: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hangup: signal(SignalKind::hangup())?,
            user_1: signal(SignalKind::user_defined1())?,
            user_2: signal(SignalKind::user_defined2())?,
            asked,
            ask,
            on_terminal: io::stderr().is_terminal(),
        })
    }

    /// Waits for the next wish; losing the race in a `select!` loses no signal.
    pub(crate) async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.term.recv() => Wish::Stop(Stop::Term),
            _ = self.interrupt.recv() => Wish::Stop(Stop::Interrupt),
            _ = self.quit.recv() => Wish::Stop(Stop::Quit),
            _ = self.user_1.recv() => Wish::Reopen,
            _ = self.user_2.recv() => Wish::Upgrade,
            Ok(stop) = self.asked.recv() => Wish::Stop(stop),
            _ = self.hangup.recv() => match self.on_terminal && !io::stderr().is_terminal() {
                true => Wish::Stop(Stop::Hangup),
                false => Wish::Reload,
            },
        }
    }

    /// Waits for the next request to stop. What else is wished meanwhile is let go: nothing can
    /// be reloaded while it starts or stops.
    pub(crate) async fn stop(&mut self) -> Stop {
        loop {
            match self.next().await {
                Wish::Stop(stop) => return stop,
                Wish::Reopen => drop(crate::logs::reopen()),
                Wish::Reload | Wish::Upgrade => {
                    tracing::debug!("a signal comes to nothing while starting or stopping");
                }
            }
        }
    }
}
