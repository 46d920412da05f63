//! Standard output and error, where several processes' lines are to stay whole.

use std::io::{self, Write};

use appliance_project::model::LogTarget;

use super::Loss;

pub(crate) struct Stream {
    is_stdout: bool,
    pub(super) loss: Loss,
}

impl Stream {
    pub(super) fn new(target: &LogTarget) -> Stream {
        Stream {
            is_stdout: *target == LogTarget::Stdout,
            loss: Loss::default(),
        }
    }

    pub(super) fn write(&mut self, lines: &[u8]) {
        let written = match self.is_stdout {
            // Its buffer would cut lines.
            true => io::stdout().flush().and_then(|()| {
                let mut stdout = io::stdout().lock();
                stdout.write_all(lines)?;
                stdout.flush()
            }),
            false => io::stderr().lock().write_all(lines),
        };
        match written {
            Ok(()) => self.loss.over(),
            Err(error) => {
                let count = lines.iter().filter(|byte| **byte == b'\n').count();
                self.loss.more(count as u64, error);
            }
        }
    }
}
