//! The Python stack of another thread, for the log.
//!
//! With the GIL it is asked of the interpreter ([`of_thread`]). A thread that keeps the GIL inside
//! C code must show it itself ([`Mirror`]): a signal makes it run Python's own `faulthandler`,
//! which needs no GIL. That is for this case only: a thread that executes bytecode could be
//! interrupted while its frames are being linked.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::sys::{self, ThreadId};

/// Frames that are shown, from the innermost: the rest of an endless recursion says no more.
const DEEPEST: usize = 200;
/// How long a thread may take to begin: it may have to wait for a processor.
const PATIENCE: Duration = Duration::from_millis(500);
/// A stack is whole when nothing came for so long: its end is not marked.
const PAUSE: Duration = Duration::from_millis(50);
/// Bounds what is read: `faulthandler` writes up to 100 frames.
const LONGEST: usize = 64 * 1024;

/// A line of a stack.
pub(crate) struct Frame {
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) function: String,
}

/// The frames of a thread, the innermost first; none if it runs no Python, or they are not to be
/// had. Executes no bytecode, so the GIL is kept all the while, and that is not long.
pub(crate) fn of_thread(py: Python<'_>, thread: ThreadId) -> Vec<Frame> {
    let mut frames = Vec::new();
    // What could be had until an error is better than nothing.
    let _: PyResult<()> = (|| {
        let all = py.import("sys")?.call_method0("_current_frames")?;
        let mut next = Some(all.get_item(thread.ident())?);
        while let Some(frame) = next.filter(|_| frames.len() < DEEPEST) {
            frames.push(Frame::of(&frame)?);
            next = frame.getattr("f_back")?.extract()?;
        }
        Ok(())
    })();
    // How `threading` came to call us is the same each time.
    while frames
        .last()
        .is_some_and(|frame| frame.file.ends_with("/threading.py"))
    {
        frames.pop();
    }
    frames
}

/// Where each of the threads is: its innermost frame, and the innermost one that `is_own` says yes
/// to, if it has one.
///
/// As little as [`of_thread`] does it execute bytecode, and it looks no further than it must.
pub(crate) fn tops(
    py: Python<'_>,
    threads: &[Option<ThreadId>],
    is_own: impl Fn(&Frame) -> bool,
) -> Vec<Top> {
    let all = || py.import("sys")?.call_method0("_current_frames");
    let Ok(all) = all() else {
        return threads.iter().map(|_| Top::default()).collect();
    };
    let top = |thread: &Option<ThreadId>| {
        let mut top = Top::default();
        // What could be had until an error is better than nothing.
        let _: PyResult<()> = (|| {
            let mut next = match thread {
                Some(thread) => Some(all.get_item(thread.ident())?),
                None => None,
            };
            for _ in 0..DEEPEST {
                let Some(frame) = next else { break };
                let found = Frame::of(&frame)?;
                if is_own(&found) {
                    top.own = Some(found);
                    break;
                }
                top.innermost.get_or_insert(found);
                next = frame.getattr("f_back")?.extract()?;
            }
            Ok(())
        })();
        top
    };
    threads.iter().map(top).collect()
}

/// What [`tops`] finds; `innermost` is none where that is `own`.
#[derive(Default)]
pub(crate) struct Top {
    pub(crate) innermost: Option<Frame>,
    pub(crate) own: Option<Frame>,
}

impl Frame {
    fn of(frame: &Bound<'_, PyAny>) -> PyResult<Frame> {
        let code = frame.getattr("f_code")?;
        Ok(Frame {
            file: code.getattr("co_filename")?.extract()?,
            line: frame.getattr("f_lineno")?.extract().unwrap_or_default(),
            function: code.getattr("co_name")?.extract()?,
        })
    }
}

/// The stack as Python prints it, without the final line break. Reads the lines of source, which
/// needs no GIL.
pub(crate) fn print(frames: &[Frame]) -> String {
    let mut text = "Stack (most recent call last):".to_owned();
    for Frame {
        file,
        line,
        function,
    } in frames.iter().rev()
    {
        let _ = write!(text, "\n  File \"{file}\", line {line}, in {function}");
        if let Some(source) = source(file, *line) {
            let _ = write!(text, "\n    {source}");
        }
    }
    text
}

fn source(file: &str, line: u32) -> Option<String> {
    let text = std::fs::read(file).ok()?;
    let index = usize::try_from(line).ok()?.checked_sub(1)?;
    let line = text.split(|byte| *byte == b'\n').nth(index)?;
    let line = String::from_utf8_lossy(line).trim().to_owned();
    (!line.is_empty()).then_some(line)
}

/// Where threads show their stacks when they are sent the signal.
pub(crate) struct Mirror {
    reader: UnixStream,
    /// `faulthandler` keeps its number, not the descriptor.
    _writer: UnixStream,
}

impl Mirror {
    /// Puts up `faulthandler` for the signal.
    ///
    /// # Errors
    /// What the system or Python raises, such as an interpreter built without `faulthandler`.
    pub(crate) fn new(py: Python<'_>) -> PyResult<Self> {
        let (reader, writer) = UnixStream::pair()?;
        // A handler must never wait; what does not fit is lost.
        writer.set_nonblocking(true)?;
        reader.set_read_timeout(Some(PAUSE))?;
        let options = PyDict::new(py);
        options.set_item("file", writer.as_raw_fd())?;
        options.set_item("all_threads", false)?;
        options.set_item("chain", false)?;
        py.import("faulthandler")?.call_method(
            "register",
            (sys::stack_signal(),),
            Some(&options),
        )?;
        Ok(Mirror {
            reader,
            _writer: writer,
        })
    }

    /// What the thread shows after `signal` has sent it the signal; none if it does not react.
    pub(crate) fn read(&mut self, signal: impl FnOnce() -> bool) -> Option<String> {
        self.discard();
        if !signal() {
            return None;
        }
        let mut text = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        let mut block = [0; 4096];
        while text.len() < LONGEST {
            match self.reader.read(&mut block) {
                Ok(0) => break,
                Ok(count) => text.extend_from_slice(&block[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) if text.is_empty() && Instant::now() < deadline => {}
                Err(_) => break,
            }
        }
        let text = String::from_utf8_lossy(&text).trim_end().to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// What a thread showed that had been waited for too short.
    fn discard(&mut self) {
        if self.reader.set_nonblocking(true).is_ok() {
            let mut block = [0; 4096];
            while matches!(self.reader.read(&mut block), Ok(1..)) {}
            let _ = self.reader.set_nonblocking(false);
        }
    }
}
