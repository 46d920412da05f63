//! What the commands of a start or a reload work before: somebody may call them off, and somebody
//! may be watching.

use std::io;

use crate::control::Reply;
use crate::signals::{Signals, Stop};

#[derive(Debug)]
pub(crate) struct Stage {
    signals: Signals,
    audience: Vec<Reply>,
}

impl Stage {
    pub(crate) fn new(signals: &Signals, audience: Vec<Reply>) -> io::Result<Stage> {
        Ok(Stage {
            signals: signals.again()?,
            audience,
        })
    }

    /// Waits for a request to stop.
    pub(crate) async fn stop(&mut self) -> Stop {
        self.signals.stop().await
    }

    /// Those who are to see what a command says.
    pub(crate) fn audience(&self) -> &[Reply] {
        &self.audience
    }
}
