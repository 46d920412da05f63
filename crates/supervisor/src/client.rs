//! The other end of the control socket, for `appliance status` and its like.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::place;
use crate::protocol::{Answer, Request};
use crate::sys;

/// Why there is no last answer.
#[derive(Debug)]
pub enum ClientError {
    /// No server of this project answers.
    NotRunning {
        /// The project file.
        file: PathBuf,
        /// Where its control socket was looked for.
        tried: Vec<PathBuf>,
    },
    /// The connection failed.
    Connection(io::Error),
    /// The server ended without an answer.
    NoAnswer,
}

/// Asks the server of the project file `file`, whose socket is `control` if the file says so.
/// `progress` gets every line before the last answer. After a stop it returns when the server's
/// process is gone.
///
/// # Errors
///
/// When no server answers, or not to the end.
pub fn ask(
    file: &Path,
    control: Option<&Path>,
    request: &Request,
    mut progress: impl FnMut(&str),
) -> Result<Answer, ClientError> {
    let mut stream = place::connect(file, control).ok_or_else(|| ClientError::NotRunning {
        file: file.to_owned(),
        tried: place::candidates(file, control),
    })?;
    let server = sys::peer(&stream);
    let failed = ClientError::Connection;
    let mut line = serde_json::to_vec(request).map_err(|error| failed(error.into()))?;
    line.push(b'\n');
    stream.write_all(&line).map_err(failed)?;
    let mut last = None;
    for line in BufReader::new(stream).lines() {
        let line = match line {
            Ok(line) => line,
            // The server's end, with something unread in between.
            Err(_) if last.is_some() => break,
            Err(error) => return Err(failed(error)),
        };
        match serde_json::from_str(&line).map_err(|error| failed(error.into()))? {
            Answer::Progress { text } => progress(&text),
            answer => last = Some(answer),
        }
        // A stop is complete when the process is gone.
        if last.is_some() && !matches!(request, Request::Stop | Request::Quit) {
            break;
        }
    }
    if let (Request::Stop | Request::Quit, Ok(server)) = (request, server) {
        wait_for_end(server);
    }
    last.ok_or(ClientError::NoAnswer)
}

/// The kernel closes a process's connections a moment before the process is gone.
fn wait_for_end(pid: u32) {
    const LONGEST: Duration = Duration::from_secs(1);
    let began = Instant::now();
    while runs(pid) && began.elapsed() < LONGEST {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// One that is dead and has not been waited for does not.
fn runs(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    // The name, in parentheses, may hold anything.
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    !matches!(state, Some('Z' | 'X') | None)
}

impl ClientError {
    /// What to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            // Mostly the wrong folder; a server whose file is gone is reached all the same.
            ClientError::NotRunning { file, .. } if !file.exists() => Some(format!(
                "there is no `{}`: go to the project's folder, or name its project file",
                file.display()
            )),
            ClientError::NotRunning { tried, .. } => {
                let paths: Vec<_> = tried
                    .iter()
                    .map(|path| format!("`{}`", path.display()))
                    .collect();
                Some(format!(
                    "looked for its control socket at {}; `server.control` says where it is if not there",
                    paths.join(", ")
                ))
            }
            ClientError::NoAnswer => Some("its log says more".to_owned()),
            ClientError::Connection(_) => None,
        }
    }
}

impl std::fmt::Display for ClientError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ClientError::NotRunning { .. } => f.write_str("no server of this project is running"),
            ClientError::Connection(error) => {
                write!(f, "the connection to the server failed: {error}")
            }
            ClientError::NoAnswer => f.write_str("the server ended before it answered"),
        }
    }
}

impl std::error::Error for ClientError {}
