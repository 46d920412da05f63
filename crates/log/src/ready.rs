//! Lines that are ready as they are, many at once: the access log of a worker.
//!
//! They gather in memory and go to the collector's pipe in large writes, at the latest when
//! somebody calls [`flush`], once a second. Who adds a line never waits: when pipe and memory are
//! full, lines are dropped and counted.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use appliance_project::model::LogTarget;

use crate::route;

/// Bytes after which lines are on their way: a fraction of the pipe.
const ENOUGH: usize = 32 << 10;
/// Bytes that may wait for the pipe.
const LONGEST: usize = 1 << 20;

/// Where a worker's ready lines for one target gather.
#[derive(Debug)]
pub struct ReadyLines {
    target: LogTarget,
    /// The worker.
    writer: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    pipe: File,
    waiting: Vec<u8>,
    lost: u64,
}

/// Those of this process.
static ALL: Mutex<Vec<Arc<ReadyLines>>> = Mutex::new(Vec::new());

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ReadyLines {
    /// Lets lines of worker `writer` for `target` go to a pipe made by [`crate::pipe`] for [`crate::Kind::Ready`].
    ///
    /// # Errors
    ///
    /// When the pipe cannot be opened once more.
    pub fn write_to(target: LogTarget, writer: usize, pipe: impl AsFd) -> io::Result<()> {
        let inner = Mutex::new(Inner {
            pipe: route::without_waiting(pipe.as_fd())?,
            waiting: Vec::new(),
            lost: 0,
        });
        lock(&ALL).push(Arc::new(ReadyLines {
            target,
            writer,
            inner,
        }));
        Ok(())
    }

    /// Those for `target`, if there is a pipe for them.
    pub fn of(target: &LogTarget) -> Option<Arc<ReadyLines>> {
        let all = lock(&ALL);
        all.iter().find(|lines| lines.target == *target).cloned()
    }

    /// The worker's number.
    pub fn writer(&self) -> usize {
        self.writer
    }

    /// Adds a line: `write` appends it, with its end.
    pub fn add(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut inner = lock(&self.inner);
        if inner.waiting.len() >= LONGEST {
            inner.lost += 1;
            return;
        }
        write(&mut inner.waiting);
        if inner.waiting.len() >= ENOUGH {
            inner.send();
        }
    }
}

impl Inner {
    /// Writes what the pipe takes.
    fn send(&mut self) {
        let mut written = 0;
        while written < self.waiting.len() {
            match self.pipe.write(&self.waiting[written..]) {
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.waiting.drain(..written);
        if self.waiting.len() < LONGEST && self.lost > 0 {
            let lines = std::mem::take(&mut self.lost);
            tracing::warn!(
                lines,
                "lines of the access log came faster than they could be written and are lost"
            );
        }
    }
}

/// Sends what waits, as far as pipes take it. Whether nothing waits any more.
pub fn flush() -> bool {
    let mut done = true;
    for lines in lock(&ALL).iter() {
        let mut inner = lock(&lines.inner);
        if !inner.waiting.is_empty() {
            inner.send();
            done &= inner.waiting.is_empty();
        }
    }
    done
}

/// Sends what waits at the end of a process, and waits for it a little.
pub fn flush_at_end() {
    const LONGEST_WAIT: Duration = Duration::from_secs(2);
    let began = Instant::now();
    while !flush() && began.elapsed() < LONGEST_WAIT {
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn lines_are_whole_or_counted_however_slow_the_reader() {
        let (mut reader, writer) = io::pipe().unwrap();
        let target = LogTarget::File("/a".into());
        ReadyLines::write_to(target.clone(), 1, &writer).unwrap();
        let lines = ReadyLines::of(&target).unwrap();
        drop(writer);
        let all = 200_000_u32;
        for number in 0..all {
            lines.add(|out| out.extend_from_slice(format!("line {number}\n").as_bytes()));
        }
        let lost = lock(&lines.inner).lost;
        assert!(lost > 0, "1 MB and a pipe take no more than that");
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            text
        });
        flush_at_end();
        lock(&ALL).clear();
        drop(lines);
        let text = reading.join().unwrap();
        assert!(text.ends_with('\n'));
        let mut numbers = text
            .lines()
            .map(|line| line.strip_prefix("line ").unwrap().parse::<u32>());
        assert!(numbers.by_ref().all(|number| number.is_ok()));
        assert_eq!(text.lines().count() as u64, u64::from(all) - lost);
    }
}
