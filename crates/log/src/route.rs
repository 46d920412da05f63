//! Where this process's own lines go.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use appliance_project::model::LogTarget;

use crate::collector;
use crate::event::{Said, Value};
use crate::form::{Form, Severity};

/// Where lines go.
pub(crate) enum Route {
    /// Written by this process itself.
    Stream(LogTarget),
    /// To the collector of another process.
    Pipe(PipeEnd),
    /// To the collector, which is a thread of this process, and from there on.
    Collector(LogTarget),
}

struct State {
    route: Route,
    form: Form,
}

static STATE: RwLock<State> = RwLock::new(State {
    route: Route::Stream(LogTarget::Stderr),
    form: Form::Plain,
});

/// Lines of this process that could not be written.
static LOST: Mutex<u64> = Mutex::new(0);

pub(crate) fn set(route: Route, form: Form) {
    *STATE.write().unwrap_or_else(PoisonError::into_inner) = State { route, form };
}

/// Where this process's lines end up, as far as it knows, and whether as JSON.
pub(crate) fn target() -> (LogTarget, bool) {
    let state = STATE.read().unwrap_or_else(PoisonError::into_inner);
    let target = match &state.route {
        Route::Stream(target) | Route::Collector(target) => target.clone(),
        Route::Pipe(_) => LogTarget::Stderr,
    };
    (target, state.form == Form::Json)
}

/// The collector has ended.
pub(crate) fn fall_back() {
    set(Route::Stream(LogTarget::Stderr), Form::Plain);
}

/// Writes an event; `line` is room for it.
pub(crate) fn event(line: &mut Vec<u8>, severity: Severity, process: &str, said: &Said) {
    let state = STATE.read().unwrap_or_else(PoisonError::into_inner);
    if state.write_event(line, severity, process, said) {
        state.make_up(line, process);
    } else {
        *lost() += 1;
    }
}

/// See [`crate::text`].
pub(crate) fn text(text: &str) {
    let state = STATE.read().unwrap_or_else(PoisonError::into_inner);
    match &state.route {
        Route::Stream(target) => {
            let plain =
                !terminal(target) || std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
            let text = if plain {
                without_colours(text)
            } else {
                text.to_owned()
            };
            // Nobody is left who could be told.
            let _ = write_stream(target, text.as_bytes());
        }
        Route::Pipe(_) => {}
        Route::Collector(_) => {
            for line in without_colours(text).lines() {
                collector::printed(line);
            }
        }
    }
}

fn terminal(target: &LogTarget) -> bool {
    match target {
        LogTarget::Stdout => io::stdout().is_terminal(),
        _ => io::stderr().is_terminal(),
    }
}

/// Colours are `ESC [ … m`.
fn without_colours(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\x1b[") {
        out.push_str(&rest[..at]);
        let after = &rest[at + 2..];
        rest = after.find('m').map_or("", |end| &after[end + 1..]);
    }
    out + rest
}

fn lost() -> std::sync::MutexGuard<'static, u64> {
    LOST.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// Whether it could be written.
    fn write_event(
        &self,
        line: &mut Vec<u8>,
        severity: Severity,
        process: &str,
        said: &Said,
    ) -> bool {
        line.clear();
        if let Route::Pipe(_) = self.route {
            line.push(severity.digit());
        }
        // Writing to memory cannot fail.
        let _ = self.form.event(line, severity, process, said);
        match &self.route {
            Route::Stream(target) => {
                line.push(b'\n');
                write_stream(target, line).is_ok()
            }
            Route::Pipe(end) => {
                line.push(END_OF_EVENT);
                end.write(line).is_ok()
            }
            Route::Collector(_) => collector::event(severity, line),
        }
    }

    /// Says how many lines were lost, now that there is room again.
    fn make_up(&self, line: &mut Vec<u8>, process: &str) {
        let count = std::mem::take(&mut *lost());
        if count == 0 {
            return;
        }
        let said = Said {
            message: "lines of the log could not be written and are lost".into(),
            fields: vec![("lines", Value::Plain(count.to_string()))],
        };
        if !self.write_event(line, Severity::Warning, process, &said) {
            *lost() += count;
        }
    }
}

/// In one write, so that lines of several processes do not mix.
fn write_stream(target: &LogTarget, bytes: &[u8]) -> io::Result<()> {
    match target {
        LogTarget::Stdout => {
            let mut stdout = io::stdout().lock();
            stdout.write_all(bytes)?;
            stdout.flush()
        }
        _ => io::stderr().lock().write_all(bytes),
    }
}

/// An event in a pipe ends with this: it may have several lines.
pub(crate) const END_OF_EVENT: u8 = 0;

/// The writing end of a pipe, which is never waited for: a front that stood still for a log would
/// be worse than a line lost.
pub(crate) struct PipeEnd(Mutex<Pipe>);

struct Pipe {
    file: File,
    /// An event has been begun and not ended.
    torn: bool,
}

/// A writing end at which nobody waits: opened once more, since that is a property of the open file,
/// which other processes may share.
pub(crate) fn without_waiting(pipe: BorrowedFd<'_>) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(format!("/proc/self/fd/{}", pipe.as_raw_fd()))
}

impl PipeEnd {
    pub(crate) fn new(pipe: BorrowedFd<'_>) -> io::Result<PipeEnd> {
        let file = without_waiting(pipe)?;
        Ok(PipeEnd(Mutex::new(Pipe { file, torn: false })))
    }

    fn write(&self, event: &[u8]) -> io::Result<()> {
        let mut pipe = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pipe.torn {
            pipe.file.write_all(&[END_OF_EVENT])?;
            pipe.torn = false;
        }
        match pipe.file.write(event)? {
            written if written == event.len() => Ok(()),
            // The pipe took a part of it: more than PIPE_BUF is not written whole or not at all.
            written => pipe.write_rest(&event[written..]),
        }
    }
}

impl Pipe {
    fn write_rest(&mut self, mut rest: &[u8]) -> io::Result<()> {
        const TRIES: usize = 50;
        const PAUSE: Duration = Duration::from_millis(1);
        self.torn = true;
        for _ in 0..TRIES {
            match self.file.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    std::thread::sleep(PAUSE);
                }
                Err(error) => return Err(error),
            }
            if rest.is_empty() {
                self.torn = false;
                return Ok(());
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn colours_are_taken_out_and_nothing_else() {
        let text = "\x1b[1m\x1b[91merror\x1b[0m: [m] \u{e9}\n";
        assert_eq!(without_colours(text), "error: [m] \u{e9}\n");
        assert_eq!(without_colours("a\x1b["), "a");
    }

    #[test]
    fn a_full_pipe_takes_no_more_and_nobody_waits() {
        let (mut reader, writer) = io::pipe().unwrap();
        let end = PipeEnd::new(writer.as_fd()).unwrap();
        let event = [[b'x'; 1023].as_slice(), &[END_OF_EVENT]].concat();
        let mut written = 0;
        while end.write(&event).is_ok() {
            written += 1;
        }
        assert!(written >= 4, "{written}");
        let mut one = vec![0; event.len() * 4];
        reader.read_exact(&mut one).unwrap();
        assert!(end.write(&event).is_ok());
    }
}
