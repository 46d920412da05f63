//! Which requests run and where they are, for whoever asks; as long as nobody does, it costs
//! nothing.
//!
//! 1. The posts say what runs.
//! 2. A thread of its own waits for the GIL, and with it sees at which line each of them is.
//! 3. If it has not got the GIL after [`PATIENCE`], the processor's time says who keeps it, as far
//!    as anything does.
//!
//! What is asked waits for 2 or 3, so no thread of the front may ask.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use appliance_project::wire::{Line, RunningRequest, Unseen};
use pyo3::prelude::*;

use crate::exchange::Exchange;
use crate::post::{Post, Running};
use crate::queue::lock;
use crate::stack::{self, Frame, Top};
use crate::sys::ThreadId;
use crate::watch::{self, SharedMirror};

/// Who wants the GIL has it within some 5 ms for each that competes.
const PATIENCE: Duration = Duration::from_millis(250);
/// Processor time in [`PATIENCE`] that one who waits for the GIL does not take.
const COMPUTES: Duration = Duration::from_millis(10);
/// Of a URL, in characters.
const LONGEST_URL: usize = 1000;

/// Sees what the pool's threads are at.
pub struct Inspector {
    posts: Arc<[Post]>,
    /// None without threads.
    mirror: Option<SharedMirror>,
    /// Where the project's own code is.
    folder: PathBuf,
    /// One question at a time: else one that waits for the GIL would be taken for one that cannot
    /// have it.
    asking: Mutex<()>,
    /// A thread still waits for the GIL.
    waits: Arc<AtomicBool>,
}

/// What a post says.
struct Noted {
    place: usize,
    exchange: Arc<Exchange>,
    client: std::net::IpAddr,
    began: Instant,
    thread: Option<ThreadId>,
}

impl Inspector {
    pub(crate) fn new(posts: Arc<[Post]>, mirror: Option<SharedMirror>, folder: PathBuf) -> Self {
        Inspector {
            posts,
            mirror,
            folder,
            asking: Mutex::default(),
            waits: Arc::default(),
        }
    }

    /// What runs, the oldest first.
    pub fn running(&self) -> Vec<RunningRequest> {
        let _one = lock(&self.asking);
        let mut noted = self.noted();
        noted.sort_by_key(|noted| noted.began);
        if noted.is_empty() {
            return Vec::new();
        }
        let threads: Vec<_> = noted.iter().map(|noted| noted.thread).collect();
        let folder = self.folder.clone();
        let tops = self.with_gil(&noted, move |py| {
            stack::tops(py, &threads, |frame| is_own(frame, &folder))
        });
        let seen: Vec<_> = match tops {
            Ok(tops) => tops.into_iter().map(Seen::of).collect(),
            Err(computes) => computes.into_iter().map(Seen::without_gil).collect(),
        };
        let now = Instant::now();
        let told = noted.iter().zip(seen);
        // Of one that has ended meanwhile the line would be another's.
        let told = told.filter(|(noted, _)| self.still_runs(noted));
        told.map(|(noted, seen)| noted.tell(seen, now)).collect()
    }

    /// Python's stack of a request, or of all that run, to the log and to the caller.
    pub fn stacks(&self, request: Option<&str>) -> String {
        let _one = lock(&self.asking);
        let mut noted = self.noted();
        noted.retain(|noted| request.is_none_or(|id| noted.exchange.id.to_string() == id));
        if noted.is_empty() {
            return match request {
                Some(id) => format!("the request {id} has ended"),
                None => "no request runs in this worker".to_owned(),
            };
        }
        let threads: Vec<_> = noted.iter().filter_map(|noted| noted.thread).collect();
        let stacks = self.with_gil(&noted, move |py| {
            let stack = |thread: ThreadId| stack::of_thread(py, thread);
            threads.into_iter().map(stack).collect::<Vec<_>>()
        });
        let texts: Vec<String> = match stacks {
            Ok(stacks) => stacks.iter().map(|frames| stack::print(frames)).collect(),
            Err(computes) => {
                let each = noted.iter().zip(computes);
                each.map(|(noted, computes)| self.without_gil(noted, computes))
                    .collect()
            }
        };
        let told = noted.iter().zip(texts).map(|(noted, text)| {
            let text = match self.still_runs(noted) {
                true => text,
                false => "it has ended meanwhile".to_owned(),
            };
            let (exchange, thread) = (&noted.exchange, noted.place + 1);
            let age = noted.began.elapsed().as_secs_f64();
            let text = format!("{exchange}, {age:.1} s old, in thread appliance-{thread}\n{text}");
            tracing::warn!("a traceback was asked for: {text}");
            text
        });
        told.collect::<Vec<_>>().join("\n\n")
    }

    fn noted(&self) -> Vec<Noted> {
        let noted = |(place, post): (usize, &Post)| {
            let thread = post.thread();
            post.look(|running: &mut Running| Noted {
                place,
                exchange: Arc::clone(&running.exchange),
                client: running.peer.ip().to_canonical(),
                began: running.began,
                thread,
            })
        };
        self.posts.iter().enumerate().filter_map(noted).collect()
    }

    fn still_runs(&self, noted: &Noted) -> bool {
        self.posts[noted.place].look(|running| running.is(&noted.exchange)) == Some(true)
    }

    /// What `see` sees with the GIL; without it, which of the calls compute.
    fn with_gil<T: Send + 'static>(
        &self,
        noted: &[Noted],
        see: impl FnOnce(Python<'_>) -> T + Send + 'static,
    ) -> Result<T, Vec<bool>> {
        let spent = || noted.iter().map(|noted| self.posts[noted.place].cpu_time());
        let before: Vec<Duration> = spent().collect();
        if let Some(seen) = self.try_with_gil(see) {
            return Ok(seen);
        }
        let spent: Vec<Duration> = spent()
            .zip(before)
            .map(|(now, then)| now.saturating_sub(then))
            .collect();
        let most = spent.iter().max().copied().unwrap_or_default();
        let computes = |spent: &Duration| most >= COMPUTES && *spent * 2 >= most;
        Err(spent.iter().map(computes).collect())
    }

    fn try_with_gil<T: Send + 'static>(
        &self,
        see: impl FnOnce(Python<'_>) -> T + Send + 'static,
    ) -> Option<T> {
        if self.waits.swap(true, Ordering::AcqRel) {
            std::thread::sleep(PATIENCE);
            return None;
        }
        let waits = Waits(Arc::clone(&self.waits));
        let (sender, receiver) = channel();
        let spawned = std::thread::Builder::new()
            .name("appliance-look".to_owned())
            .spawn(move || {
                // None while the interpreter ends.
                let seen = Python::try_attach(see);
                drop(waits);
                // Nobody is there who has lost patience.
                let _ = sender.send(seen);
            });
        spawned.ok()?;
        receiver.recv_timeout(PATIENCE).ok().flatten()
    }

    fn without_gil(&self, noted: &Noted, computes: bool) -> String {
        match &self.mirror {
            Some(mirror) if computes => {
                let stack = watch::show(mirror, &self.posts[noted.place], &noted.exchange);
                format!("it computes in C code, and keeps the GIL\n{stack}")
            }
            _ => "its stack is not to be had: something else keeps the GIL, or it waits in C code \
                  with it"
                .to_owned(),
        }
    }
}

/// That a thread waits for the GIL.
struct Waits(Arc<AtomicBool>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Packages may lie in the project's folder, too.
fn is_own(frame: &Frame, folder: &Path) -> bool {
    let file = Path::new(&frame.file);
    file.starts_with(folder) && !frame.file.contains("/site-packages/")
}

/// Where a request was seen.
struct Seen {
    at: Option<Line>,
    within: Option<Line>,
    unseen: Option<Unseen>,
}

impl Seen {
    fn of(top: Top) -> Seen {
        let line = |Frame {
                        file,
                        line,
                        function,
                    }| Line {
            file,
            line,
            function,
        };
        let (innermost, own) = (top.innermost.map(line), top.own.map(line));
        let unseen = (innermost.is_none() && own.is_none()).then_some(Unseen::NoFrame);
        match innermost {
            Some(at) => Seen {
                at: Some(at),
                within: own,
                unseen,
            },
            None => Seen {
                at: own,
                within: None,
                unseen,
            },
        }
    }

    fn without_gil(computes: bool) -> Seen {
        let unseen = match computes {
            true => Unseen::KeepsGil,
            false => Unseen::NoGil,
        };
        Seen {
            at: None,
            within: None,
            unseen: Some(unseen),
        }
    }
}

impl Noted {
    fn tell(&self, seen: Seen, now: Instant) -> RunningRequest {
        let request = &self.exchange.request;
        let age = now.saturating_duration_since(self.began).as_millis();
        RunningRequest {
            id: self.exchange.id.to_string(),
            thread: self.place + 1,
            method: request.method.to_string(),
            url: shortened(&String::from_utf8_lossy(request.target())),
            client: self.client,
            age_ms: u64::try_from(age).unwrap_or(u64::MAX),
            at: seen.at,
            within: seen.within,
            unseen: seen.unseen,
        }
    }
}

fn shortened(url: &str) -> String {
    match url.char_indices().nth(LONGEST_URL) {
        Some((end, _)) => format!("{}…", &url[..end]),
        None => url.to_owned(),
    }
}
