//! `appliance top`: a running server on one screen of a terminal.
//!
//! It asks the control socket every second or so ([`server`]), makes rates of what has been counted
//! between two answers ([`rates`]) and draws them ([`draw`]). What a client has sent is shown
//! harmlessly ([`text`]): a URL must not move the cursor of whoever looks at it.
//!
//! Knows neither workers nor Python: whatever it shows or has done, it asks of the server.

mod act;
mod draw;
mod overlay;
mod rates;
mod requests;
mod screen;
mod server;
mod text;
mod view;
mod workers;

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use appliance_supervisor::ClientError;

use draw::Theme;
use rates::History;
use server::{Refusal, Server};
use view::View;

/// What to show, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The project file.
    pub file: PathBuf,
    /// `server.control`, if it says so.
    pub control: Option<PathBuf>,
    /// Between two looks.
    pub interval: Duration,
}

/// Why there is nothing to see.
#[derive(Debug)]
pub enum TopError {
    /// The server cannot be asked.
    Client(ClientError),
    /// It has refused to answer.
    Refused {
        /// As a command's exit status.
        exit_status: u8,
        /// Lines, as people read them.
        text: String,
    },
    /// Input or output is no terminal.
    NoTerminal,
    /// The terminal does not do what it should.
    Terminal(io::Error),
}

/// Shows the server until the user leaves.
///
/// # Errors
/// Without a terminal or a server; a server that goes later is waited for.
pub fn run(options: &Options) -> Result<(), TopError> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(TopError::NoTerminal);
    }
    let server = Server::of(options);
    let first = server.status()?;
    screen::show(server, first, options.interval).map_err(TopError::Terminal)
}

/// Prints one frame, of what happened in one interval.
///
/// # Errors
/// Without a server, or without anybody to read it.
pub fn once(options: &Options) -> Result<(), TopError> {
    let server = Server::of(options);
    let mut history = History::default();
    history.add(server.status()?);
    std::thread::sleep(options.interval);
    history.add(server.status()?);
    let width = ratatui::crossterm::terminal::size().map_or(80, |(width, _)| width);
    // A file or a pipe is as wide as it must be.
    let width = match io::stdout().is_terminal() {
        true => width,
        false => WIDE,
    };
    let frame = draw::as_text(&View::of(&history), Theme { colour: false }, width);
    match io::stdout().write_all(frame.as_bytes()) {
        // `appliance top --once | head`
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(TopError::Terminal(error)),
        _ => Ok(()),
    }
}

/// Columns of a frame that no window bounds.
const WIDE: u16 = 160;

impl TopError {
    /// What to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            TopError::Client(error) => error.hint(),
            TopError::NoTerminal => Some(
                "`appliance top --once` prints one frame, `appliance status --json` everything"
                    .to_owned(),
            ),
            TopError::Refused { .. } | TopError::Terminal(_) => None,
        }
    }
}

impl fmt::Display for TopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TopError::Client(error) => error.fmt(f),
            TopError::Refused { text, .. } => {
                f.write_str(text.trim().trim_start_matches("error: "))
            }
            TopError::NoTerminal => f.write_str("`appliance top` needs a terminal"),
            TopError::Terminal(error) => write!(f, "the terminal failed: {error}"),
        }
    }
}

impl std::error::Error for TopError {}

impl From<Refusal> for TopError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Client(error) => TopError::Client(error),
            Refusal::Said { exit_status, text } => TopError::Refused { exit_status, text },
        }
    }
}
