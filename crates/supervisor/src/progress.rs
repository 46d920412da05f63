//! What a long command does: one live line on a terminal, every line elsewhere.

use std::collections::VecDeque;
use std::io::{IsTerminal, Write};

/// Lines kept for the case that the command fails.
const KEPT: usize = 500;

/// The output of one command.
#[derive(Debug)]
pub(crate) struct Progress {
    title: String,
    live: bool,
    kept: VecDeque<String>,
}

impl Progress {
    pub(crate) fn new(title: &str) -> Progress {
        let live = std::io::stderr().is_terminal();
        Progress {
            title: title.to_owned(),
            live,
            kept: VecDeque::new(),
        }
    }

    /// Shows a line of output.
    pub(crate) fn line(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        if self.live {
            self.replace_live_line(line);
        } else {
            tracing::info!("{}", line.trim());
        }
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(line.to_owned());
    }

    /// Shows what the live line has hidden.
    pub(crate) fn show_all(&mut self) {
        if !self.live {
            return;
        }
        self.clear_live_line();
        for line in self.kept.drain(..) {
            let _ = writeln!(anstream::stderr(), "{line}");
        }
    }

    /// Cut to one row: a wrapped line could not be replaced.
    fn replace_live_line(&self, line: &str) {
        const WIDTH: usize = 78;
        let dim = anstyle::Style::new().dimmed();
        let room = WIDTH.saturating_sub(self.title.chars().count() + 2);
        let shown: String = line
            .trim()
            .chars()
            .filter(|c| !c.is_control())
            .take(room)
            .collect();
        let _ = write!(
            anstream::stderr(),
            "\r\x1b[2K{}  {dim}{shown}{dim:#}",
            self.title
        );
        self.flush();
    }

    fn clear_live_line(&self) {
        let _ = write!(anstream::stderr(), "\r\x1b[2K");
        self.flush();
    }

    /// A terminal that is gone is nothing to fail for.
    fn flush(&self) {
        let _ = std::io::stderr().flush();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.live {
            self.clear_live_line();
        }
    }
}
