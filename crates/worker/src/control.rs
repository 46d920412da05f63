//! How a worker hears what it is to do, and says how it fares: over the control socket, or,
//! without a supervisor, by signals and the log.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use appliance_bridge::Inspector;
use appliance_front::{Leave, ListenAt};
use appliance_project::wire::{FromWorker, ToWorker};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cover::Covers;
use crate::inspect::Answers;

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

/// SIGUSR1, without a supervisor.
pub(crate) async fn reopen_logs_when_told() {
    match signal(SignalKind::user_defined1()) {
        Ok(mut told) => {
            while told.recv().await.is_some() {
                crate::log::reopen();
            }
        }
        Err(error) => tracing::warn!(%error, "log files cannot be opened anew by SIGUSR1"),
    }
}

/// With nobody to serve in this worker's place.
const STOP_NOW: ToWorker = ToWorker::Stop {
    idle_ms: 0,
    closes: Vec::new(),
    closes_unix: Vec::new(),
};

/// What the worker is told: by the supervisor, or, without one, by signals.
///
/// With a supervisor only its word counts: a terminal sends Ctrl-C to all processes alike.
pub(crate) enum Orders {
    Supervisor {
        lines: Lines<BufReader<tokio::net::UnixStream>>,
        /// The way back.
        control: UnixStream,
        answers: Answers,
    },
    Signals {
        signals: StopSignals,
        /// The sockets that are this process's alone, and go with it.
        own: Vec<ListenAt>,
    },
}

impl Orders {
    /// To be called on the runtime that will wait for them.
    pub(crate) fn new(
        control: Option<UnixStream>,
        signals: StopSignals,
        own: Vec<ListenAt>,
        inspector: Inspector,
    ) -> io::Result<Orders> {
        let Some(control) = control else {
            return Ok(Orders::Signals { signals, own });
        };
        control.set_nonblocking(true)?;
        let answers = Answers::new(inspector, control.try_clone()?);
        let stream = tokio::net::UnixStream::from_std(control.try_clone()?)?;
        let lines = BufReader::new(stream).lines();
        Ok(Orders::Supervisor {
            lines,
            control,
            answers,
        })
    }

    /// Resolves when a worker that is not ready yet is to stop. (A supervisor kills it.)
    pub(crate) async fn interrupted(&mut self) {
        match self {
            Orders::Supervisor { .. } => std::future::pending().await,
            Orders::Signals { signals, .. } => signals.recv().await,
        }
    }

    /// Waits for the word to accept connections; false if the worker is to stop before that.
    pub(crate) async fn serve(&mut self) -> bool {
        match self {
            Orders::Supervisor { .. } => self.next().await == ToWorker::Serve,
            Orders::Signals { .. } => true,
        }
    }

    /// Resolves when the worker is to stop, and says how; obeys what else is said.
    pub(crate) async fn stop(&mut self, covers: &mut Covers) -> Leave {
        loop {
            match self.next().await {
                ToWorker::Stop {
                    idle_ms,
                    closes,
                    closes_unix,
                } => {
                    let told = closes.into_iter().map(ListenAt::Address);
                    let told = told.chain(closes_unix.into_iter().map(ListenAt::Unix));
                    let leave = Leave {
                        idle: Duration::from_millis(idle_ms),
                        closes: self.own().iter().cloned().chain(told).collect(),
                    };
                    covers.stop(&leave);
                    return leave;
                }
                ToWorker::Cover { slots } => covers.set(&slots),
                question => self.answer(question),
            }
        }
    }

    /// Answers questions while the worker drains: somebody may want to know what it waits for.
    /// Ends with the stream, or never.
    pub(crate) async fn answer_on(mut self) {
        loop {
            match self.next().await {
                ToWorker::Stop { .. } => return,
                question => self.answer(question),
            }
        }
    }

    /// What closes with this process, as far as the supervisor does not decide that.
    fn own(&self) -> &[ListenAt] {
        match self {
            Orders::Supervisor { .. } => &[],
            Orders::Signals { own, .. } => own,
        }
    }

    /// What does not fit is lost: the supervisor does not read, and hears of nobody.
    fn answer(&self, question: ToWorker) {
        let Orders::Supervisor {
            control, answers, ..
        } = self
        else {
            return;
        };
        match question {
            ToWorker::Ping => tell(Some(control), &FromWorker::Pong),
            ToWorker::Look => answers.look(),
            ToWorker::Stacks { ask, request } => answers.stacks(ask, request),
            ToWorker::Serve | ToWorker::Cover { .. } | ToWorker::Stop { .. } => {}
        }
    }

    async fn next(&mut self) -> ToWorker {
        match self {
            Orders::Supervisor { lines, .. } => supervisor_says(lines).await,
            Orders::Signals { signals, .. } => {
                signals.recv().await;
                STOP_NOW
            }
        }
    }
}

/// The next order; the end of the stream is a stop.
async fn supervisor_says(lines: &mut Lines<BufReader<tokio::net::UnixStream>>) -> ToWorker {
    loop {
        match lines.next_line().await {
            Ok(None) => return STOP_NOW,
            Ok(Some(line)) => match serde_json::from_str(&line) {
                Ok(order) => return order,
                Err(error) => {
                    tracing::error!(%error, line, "the supervisor said something unknown")
                }
            },
            Err(error) => {
                tracing::error!(%error, "the control socket failed; stopping");
                return STOP_NOW;
            }
        }
    }
}
