//! The one writer of log files and to syslog: a thread that reads pipes and writes lines.
//!
//! It waits in poll(2) for pipes and for its bell, which is rung with each command. What it cannot
//! write it drops and counts, so those who write into its pipes wait for it only while the system
//! does not come back from a write.

use std::collections::BTreeMap;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{fmt, mem};

use appliance_project::model::{Log, LogFormat, LogTarget};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::form::{Severity, printed_json};
use crate::sink::{News, Sink};
use crate::source::{HandedSource, Kind, Piece, Source};

/// What cannot be opened.
#[derive(Debug)]
pub struct OpenError {
    /// The file.
    pub target: LogTarget,
    /// The system's reason.
    pub source: io::Error,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot open the log `{}`: {}", self.target, self.source)
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// A file that was to be opened anew, and why it could not be.
pub type Reopened = (PathBuf, io::Result<()>);

enum Command {
    Open(Box<Log>, Vec<LogTarget>, Sender<Result<(), OpenError>>),
    Configure(Box<Log>, Vec<LogTarget>),
    Read(Source),
    Event(Severity, Vec<u8>),
    Printed(String),
    Reopen(Sender<Vec<Reopened>>),
    /// Say when what is on its way now is written.
    Settle(Sender<()>),
    /// Read on without waiting until nothing is left, and end.
    Finish,
    /// End.
    Pause,
}

/// Bytes of this process's own lines that wait for the thread: it may be in a write to a disk
/// that does not answer.
const LONGEST_QUEUE: usize = 1 << 20;
/// Of a pipe. The kernel's own size is 64 KB.
const PIPE_BYTES: usize = 256 << 10;

/// How long lines that are still on their way are read at the end.
const LAST_LINES: Duration = Duration::from_secs(2);

struct Inbox {
    commands: Vec<Command>,
    /// Of the lines among them.
    bytes: usize,
    rung: bool,
}

struct Shared {
    inbox: Mutex<Inbox>,
    bell: PipeWriter,
}

struct Handle {
    shared: Arc<Shared>,
    thread: JoinHandle<Vec<HandedSource>>,
}

static COLLECTOR: Mutex<Option<Handle>> = Mutex::new(None);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn shared() -> Option<Arc<Shared>> {
    let handle = lock(&COLLECTOR);
    handle.as_ref().map(|handle| Arc::clone(&handle.shared))
}

impl Shared {
    fn send(&self, command: Command) -> bool {
        let mut inbox = lock(&self.inbox);
        let len = match &command {
            Command::Event(_, line) => line.len(),
            Command::Printed(line) => line.len(),
            _ => 0,
        };
        if len > 0 && inbox.bytes + len > LONGEST_QUEUE {
            return false;
        }
        inbox.bytes += len;
        inbox.commands.push(command);
        if !mem::replace(&mut inbox.rung, true) {
            // One byte in an empty pipe; its other end is there as long as the thread.
            let _ = (&self.bell).write(&[0]);
        }
        true
    }

    fn take(&self) -> Vec<Command> {
        let mut inbox = lock(&self.inbox);
        (inbox.bytes, inbox.rung) = (0, false);
        mem::take(&mut inbox.commands)
    }
}

/// Starts the thread if it does not run.
fn running() -> io::Result<Arc<Shared>> {
    let mut handle = lock(&COLLECTOR);
    if let Some(handle) = &*handle {
        return Ok(Arc::clone(&handle.shared));
    }
    let (hears, bell) = io::pipe()?;
    let shared = Arc::new(Shared {
        inbox: Mutex::new(Inbox {
            commands: Vec::new(),
            bytes: 0,
            rung: false,
        }),
        bell,
    });
    let collector = Collector {
        shared: Arc::clone(&shared),
        bell: hears,
        sinks: BTreeMap::new(),
        wanted: Vec::new(),
        main: LogTarget::Stderr,
        json: false,
        sources: Vec::new(),
        settling: Vec::new(),
    };
    let thread = std::thread::Builder::new()
        .name("appliance-log".into())
        .spawn(move || collector.run())?;
    let shared = Arc::clone(&shared);
    *handle = Some(Handle {
        shared: Arc::clone(&shared),
        thread,
    });
    Ok(shared)
}

pub(crate) fn open(log: &Log, targets: Vec<LogTarget>) -> Result<(), OpenError> {
    let failed = |source: io::Error| OpenError {
        target: log.target.clone(),
        source,
    };
    let shared = running().map_err(failed)?;
    let (reply, answer) = mpsc::channel();
    shared.send(Command::Open(Box::new(log.clone()), targets, reply));
    let answer = answer.recv();
    answer.unwrap_or_else(|_| Err(failed(io::ErrorKind::BrokenPipe.into())))
}

pub(crate) fn configure(log: &Log, others: &[LogTarget]) {
    if let Some(shared) = shared() {
        shared.send(Command::Configure(Box::new(log.clone()), others.to_vec()));
    }
}

pub(crate) fn pipe(
    kind: Kind,
    process: String,
    target: LogTarget,
    json: bool,
) -> io::Result<PipeWriter> {
    let shared = shared().ok_or(io::ErrorKind::NotConnected)?;
    let (reader, writer) = io::pipe()?;
    // The more fits, the longer a disk may take; a user's pipes have a bound in sum.
    if let Err(error) = rustix::pipe::fcntl_setpipe_size(&writer, PIPE_BYTES) {
        tracing::debug!(%error, "a pipe of the log stays small");
    }
    let source = Source::new(HandedSource {
        kind,
        process,
        target,
        json,
        fd: reader.into(),
        held: Vec::new(),
    });
    shared.send(Command::Read(source));
    Ok(writer)
}

/// Whether there is room for it.
pub(crate) fn event(severity: Severity, line: &[u8]) -> bool {
    shared().is_some_and(|shared| shared.send(Command::Event(severity, line.to_vec())))
}

pub(crate) fn printed(line: &str) {
    if let Some(shared) = shared() {
        shared.send(Command::Printed(line.to_owned()));
    }
}

pub(crate) fn reopen() -> Vec<Reopened> {
    let Some(shared) = shared() else {
        return Vec::new();
    };
    let (reply, answer) = mpsc::channel();
    shared.send(Command::Reopen(reply));
    answer.recv().unwrap_or_default()
}

pub(crate) fn settle() {
    let Some(shared) = shared() else {
        return;
    };
    let (reply, answer) = mpsc::channel();
    shared.send(Command::Settle(reply));
    // A disk that does not answer keeps nobody.
    let _ = answer.recv_timeout(LAST_LINES);
}

/// Whether there was one to end.
pub(crate) fn finish() -> bool {
    end(Command::Finish).is_some()
}

pub(crate) fn pause() -> Vec<HandedSource> {
    end(Command::Pause).unwrap_or_default()
}

fn end(command: Command) -> Option<Vec<HandedSource>> {
    let handle = lock(&COLLECTOR).take()?;
    handle.shared.send(command);
    handle.thread.join().ok()
}

pub(crate) fn go_on(
    log: &Log,
    others: &[LogTarget],
    handed: Vec<HandedSource>,
) -> Result<(), OpenError> {
    // Old workers may write to what is not in the settings any more.
    let mut targets: Vec<LogTarget> = handed.iter().map(|source| source.target.clone()).collect();
    targets.retain(|target| !others.contains(target));
    targets.extend(others.iter().cloned());
    crate::open(log, &targets)?;
    if let Some(shared) = shared() {
        for source in handed {
            shared.send(Command::Read(Source::new(source)));
        }
    }
    Ok(())
}

struct Collector {
    shared: Arc<Shared>,
    bell: PipeReader,
    sinks: BTreeMap<LogTarget, Sink>,
    /// Sinks that stay, whether anybody writes to them now or not.
    wanted: Vec<LogTarget>,
    /// Where this process's own lines go.
    main: LogTarget,
    json: bool,
    sources: Vec<Source>,
    /// Who waits until lines are written.
    settling: Vec<Sender<()>>,
}

/// What is to become of the thread.
enum Next {
    GoOn,
    Finish,
    Pause,
}

impl Collector {
    fn run(mut self) -> Vec<HandedSource> {
        let mut buffer = vec![0; 64 << 10];
        let mut looked = Instant::now();
        loop {
            self.read(&mut buffer, true);
            match self.obey() {
                Next::GoOn => {}
                Next::Finish => {
                    self.read_the_rest(&mut buffer);
                    self.obey();
                    return Vec::new();
                }
                Next::Pause => return self.sources.into_iter().map(Source::hand_over).collect(),
            }
            if looked.elapsed() >= Duration::from_secs(1) {
                looked = Instant::now();
                self.sinks.values_mut().for_each(Sink::mind_the_time);
            }
            self.tell_news();
            if !self.settling.is_empty() {
                self.read_the_rest(&mut buffer);
                // Whoever asked may be gone.
                let waiting = self.settling.drain(..);
                waiting.for_each(|reply| _ = reply.send(()));
            }
        }
    }

    fn read_the_rest(&mut self, buffer: &mut [u8]) {
        // A process that was left behind may print for ever.
        let enough = Instant::now() + LAST_LINES;
        while self.read(buffer, false) && Instant::now() < enough {}
    }

    fn obey(&mut self) -> Next {
        let mut lines = Vec::new();
        let mut next = Next::GoOn;
        for command in self.shared.take() {
            match command {
                Command::Event(severity, line) => self.own_event(&mut lines, severity, &line),
                Command::Printed(line) => self.own_text(&mut lines, line.as_bytes()),
                Command::Open(log, targets, reply) => {
                    // Whoever asked may be gone.
                    let _ = reply.send(self.open(&log, targets));
                }
                Command::Configure(log, others) => {
                    self.write_own(&mut lines);
                    self.configure(&log, others);
                }
                Command::Read(source) => self.sources.push(source),
                Command::Reopen(reply) => {
                    self.write_own(&mut lines);
                    let _ = reply.send(self.reopen());
                }
                Command::Settle(reply) => self.settling.push(reply),
                Command::Finish => next = Next::Finish,
                Command::Pause => next = Next::Pause,
            }
        }
        self.write_own(&mut lines);
        next
    }

    fn open(&mut self, log: &Log, targets: Vec<LogTarget>) -> Result<(), OpenError> {
        for target in targets {
            if !self.sinks.contains_key(&target) {
                let sink = Sink::open(&target, log).map_err(|source| OpenError {
                    target: target.clone(),
                    source,
                })?;
                self.sinks.insert(target.clone(), sink);
            }
            self.wanted.push(target);
        }
        Ok(())
    }

    fn configure(&mut self, log: &Log, others: Vec<LogTarget>) {
        self.main = log.target.clone();
        self.json = log.format == LogFormat::Json;
        self.wanted = others;
        self.wanted.push(log.target.clone());
        self.sinks.values_mut().for_each(|sink| sink.configure(log));
        self.close_unwanted();
    }

    /// Closes what nobody writes to any more.
    fn close_unwanted(&mut self) {
        let (wanted, sources) = (&self.wanted, &self.sources);
        self.sinks.retain(|target, _| {
            wanted.contains(target) || sources.iter().any(|source| source.target == *target)
        });
    }

    fn reopen(&mut self) -> Vec<Reopened> {
        let files = self.sinks.values_mut().filter_map(|sink| match sink {
            Sink::File(file) => Some(file),
            _ => None,
        });
        let reopened = files.map(|file| (file.path().to_owned(), file.reopen()));
        reopened.collect()
    }

    fn own_event(&mut self, lines: &mut Vec<u8>, severity: Severity, line: &[u8]) {
        match self.sinks.get_mut(&self.main) {
            Some(sink) if sink.is_syslog() => sink.message(severity, line),
            _ => {
                lines.extend_from_slice(line);
                lines.push(b'\n');
            }
        }
    }

    fn own_text(&mut self, lines: &mut Vec<u8>, line: &[u8]) {
        match self.json {
            true => {
                // Writing to memory cannot fail.
                let _ = printed_json(lines, "supervisor", line);
                lines.push(b'\n');
            }
            false => self.own_event(lines, Severity::Info, line),
        }
    }

    fn write_own(&mut self, lines: &mut Vec<u8>) {
        if !lines.is_empty()
            && let Some(sink) = self.sinks.get_mut(&self.main)
        {
            sink.lines(lines);
        }
        lines.clear();
    }

    /// Reads what there is, once from each pipe; waits for it if it may. Whether there was any.
    fn read(&mut self, buffer: &mut [u8], may_wait: bool) -> bool {
        let ready = self.ready(may_wait);
        let mut ended = false;
        let mut index = 0;
        let Collector { sources, sinks, .. } = self;
        sources.retain_mut(|source| {
            let is_ready = ready.get(index).copied().unwrap_or_default();
            index += 1;
            if !is_ready {
                return true;
            }
            let goes_on = match sinks.get_mut(&source.target) {
                Some(sink) => pass_on(source, sink, buffer),
                None => source.read(buffer, |_| {}),
            };
            ended |= !goes_on;
            goes_on
        });
        if ended {
            self.close_unwanted();
        }
        ready.contains(&true)
    }

    /// Which of the sources can be read from, or have ended.
    fn ready(&self, may_wait: bool) -> Vec<bool> {
        const TICK: Timespec = Timespec {
            tv_sec: 1,
            tv_nsec: 0,
        };
        const NONE: Timespec = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let timeout = if may_wait { TICK } else { NONE };
        let mut looked_at = Vec::with_capacity(self.sources.len() + 1);
        looked_at.push(PollFd::from_borrowed_fd(self.bell.as_fd(), PollFlags::IN));
        let sources = self.sources.iter();
        looked_at
            .extend(sources.map(|source| PollFd::from_borrowed_fd(source.fd(), PollFlags::IN)));
        if poll(&mut looked_at, Some(&timeout)).is_err() {
            // EINTR. Anything else would come again: not at once.
            std::thread::sleep(Duration::from_millis(1));
            return Vec::new();
        }
        let has_news = |at: &PollFd<'_>| !at.revents().is_empty();
        if looked_at.first().is_some_and(has_news) {
            let _ = (&self.bell).read(&mut [0; 16]);
        }
        looked_at[1..].iter().map(has_news).collect()
    }

    /// Says of sinks that they fail, or did: in the log, which may be another sink.
    fn tell_news(&mut self) {
        for (target, sink) in &mut self.sinks {
            match sink.news() {
                Some(News::Failing(error)) => {
                    tracing::error!(log = %target, %error, "cannot write: lines are lost until it can be written to");
                }
                Some(News::Recovered { lines }) => {
                    tracing::warn!(log = %target, lines, "lines could not be written and are lost");
                }
                None => {}
            }
        }
    }
}

/// Passes on what can be read at once; false at the end.
fn pass_on(source: &mut Source, sink: &mut Sink, buffer: &mut [u8]) -> bool {
    let process = mem::take(&mut source.process);
    let mut lines = Vec::new();
    let (kind, json, is_syslog) = (source.kind, source.json, sink.is_syslog());
    let mut wrapped = Vec::new();
    let goes_on = source.read(buffer, |piece| match piece {
        Piece::Ready(ready) => sink.lines(ready),
        Piece::Event(severity, line) if is_syslog => sink.message(severity, line),
        Piece::Printed(line) if is_syslog => {
            wrapped.clear();
            // Writing to memory cannot fail.
            let _ = match json {
                true => printed_json(&mut wrapped, &process, line),
                false => write!(wrapped, "{process}: ").map(|()| wrapped.extend_from_slice(line)),
            };
            sink.message(Severity::Info, &wrapped);
        }
        Piece::Printed(line) if json => {
            let _ = printed_json(&mut lines, &process, line);
            lines.push(b'\n');
        }
        Piece::Event(_, line) | Piece::Printed(line) => {
            lines.extend_from_slice(line);
            lines.push(b'\n');
        }
    });
    if kind != Kind::Ready && !lines.is_empty() {
        sink.lines(&lines);
    }
    source.process = process;
    goes_on
}
