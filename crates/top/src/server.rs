//! The server, as the control socket has it.

use std::fmt;
use std::path::PathBuf;

use appliance_supervisor::{Answer, ClientError, Request, Status};

use crate::Options;

/// Where to ask.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    file: PathBuf,
    control: Option<PathBuf>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Refusal {
    Client(ClientError),
    Said { exit_status: u8, text: String },
}

impl Server {
    pub(crate) fn of(options: &Options) -> Server {
        Server {
            file: options.file.clone(),
            control: options.control.clone(),
        }
    }

    /// How it fares, and which requests run.
    pub(crate) fn status(&self) -> Result<Status, Refusal> {
        let other = "the server has answered something else\n".to_owned();
        match self.ask(&Request::Status { requests: true })? {
            Answer::Status { status } => Ok(*status),
            _ => Err(Refusal::Said {
                exit_status: 3,
                text: other,
            }),
        }
    }

    /// Has something done; what the server says about it.
    pub(crate) fn order(&self, request: &Request) -> Result<String, Refusal> {
        match self.ask(request)? {
            Answer::Done { text } => Ok(text),
            _ => Ok(String::new()),
        }
    }

    fn ask(&self, request: &Request) -> Result<Answer, Refusal> {
        let control = self.control.as_deref();
        match appliance_supervisor::ask(&self.file, control, request, |_| ()) {
            Ok(Answer::Failed { exit_status, text }) => Err(Refusal::Said { exit_status, text }),
            Ok(answer) => Ok(answer),
            Err(error) => Err(Refusal::Client(error)),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Client(error) => error.fmt(f),
            Refusal::Said { text, .. } => f.write_str(text.trim()),
        }
    }
}
