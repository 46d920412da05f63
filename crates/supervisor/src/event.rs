//! What the master waits for, besides signals and the clock.

use crate::error::Halt;
use crate::generation::Generation;
use crate::process::{What, WorkerId};

/// Something happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// To a worker's process.
    Worker(WorkerId, What),
    /// A generation has been prepared, or cannot be.
    Prepared(Box<Result<Generation, Halt>>),
}
