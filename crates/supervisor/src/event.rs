//! What the master waits for, besides signals and the clock.

use std::collections::BTreeSet;
use std::path::PathBuf;

use tokio::sync::oneshot;

use crate::control::Reply;
use crate::error::Halt;
use crate::generation::Generation;
use crate::process::{What, WorkerId};
use crate::protocol::{Request, Status};
use crate::trial::Refused;

/// Something happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// To a worker's process.
    Worker(WorkerId, What),
    /// A generation has been prepared, or cannot be.
    Prepared(Box<Result<Generation, Halt>>),
    /// Files of a project that is being developed.
    Changed(BTreeSet<PathBuf>),
    /// A binary has rehearsed.
    Tried(PathBuf, Result<(), Refused>),
    /// Somebody asked on the admin listener how it goes.
    Looked {
        /// And which requests run.
        requests: bool,
        answer: oneshot::Sender<Status>,
    },
    /// Somebody asked over the control socket.
    Asked(Request, Reply),
}
