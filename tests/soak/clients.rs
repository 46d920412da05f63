//! Clients of every kind, each in a thread, and what became of their requests.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::{Connection, Response};

/// What is done to the server.
#[derive(Default)]
pub(crate) struct Faults {
    kills: Mutex<Vec<Instant>>,
    spares_workers: AtomicBool,
}

impl Faults {
    /// To be called just before a worker is killed.
    pub(crate) fn will_kill(&self) {
        self.kills.lock().unwrap().push(Instant::now());
    }

    /// Clients make no more requests that cost the server a worker.
    pub(crate) fn no_worker_is_to_be_lost(&self) {
        self.spares_workers.store(true, Relaxed);
    }

    /// Whether a request since then may have been at a worker that was killed.
    fn may_have_hit(&self, began: Instant) -> bool {
        let kills = self.kills.lock().unwrap();
        // A connection may have been accepted a moment before its request was sent.
        let slack = Duration::from_millis(200);
        kills.iter().any(|kill| *kill + slack >= began)
    }
}

type Ask = fn(&mut Connection, &Faults) -> Asked;

/// What became of a request.
enum Asked {
    /// Any answer.
    Answered(Response),
    /// The connection ended before the answer did.
    Cut,
    /// The client left on purpose.
    Left,
}

struct Kind {
    name: &'static str,
    ask: Ask,
    is_right: fn(&Response) -> bool,
    keeps: bool,
    pause: Duration,
}

const SHORT: Duration = Duration::from_millis(4);

const KINDS: &[Kind] = &[
    kind(
        "file",
        |c, _| get(c, "/files/small.txt"),
        |r| r.text() == "small",
    ),
    kind(
        "file, kept",
        |c, _| get(c, "/files/small.txt"),
        |r| r.text() == "small",
    )
    .kept(),
    kind(
        "large file",
        |c, _| get(c, "/files/large.bin"),
        |r| r.body().len() == 3 << 20,
    )
    .every(30),
    kind("call", |c, _| get(c, "/"), |r| r.text() == "hello 0"),
    kind("call, kept", |c, _| get(c, "/"), |r| r.text() == "hello 0").kept(),
    kind("call, kept", |c, _| get(c, "/"), |r| r.text() == "hello 0").kept(),
    kind(
        "stream",
        |c, _| get(c, "/stream"),
        |r| r.text().ends_with("part 19\n"),
    ),
    kind(
        "stream, kept",
        |c, _| get(c, "/stream"),
        |r| r.text().ends_with("part 19\n"),
    )
    .kept(),
    kind(
        "upload",
        |c, _| upload(c, 300_000),
        |r| r.text() == "hello 300000",
    )
    .every(20),
    kind(
        "slow upload",
        |c, _| slow_upload(c),
        |r| r.text() == "hello 1000",
    ),
    kind(
        "slow reader",
        |c, _| read_slowly(c),
        |r| r.body().len() == 2 << 20,
    ),
    kind("leaves", |c, _| leave(c), |_| false).every(20),
    kind("stuck", |c, _| get(c, "/stuck"), |r| r.status == 504).every(2500),
    kind("stuck in C", stuck_in_c, |r| r.status == 504).every(9000),
];

/// How many clients there are.
pub(crate) const COUNT: usize = KINDS.len();

const fn kind(name: &'static str, ask: Ask, is_right: fn(&Response) -> bool) -> Kind {
    Kind {
        name,
        ask,
        is_right,
        keeps: false,
        pause: SHORT,
    }
}

impl Kind {
    const fn kept(mut self) -> Kind {
        self.keeps = true;
        self
    }

    const fn every(mut self, millis: u64) -> Kind {
        self.pause = Duration::from_millis(millis);
        self
    }

    /// Whatever is not meant to fail is a 200.
    fn is_answered_by(&self, response: &Response) -> bool {
        let is_stuck = self.name.starts_with("stuck");
        response.complete && (is_stuck || response.status == 200) && (self.is_right)(response)
    }
}

fn get(connection: &mut Connection, path: &str) -> Asked {
    answer(
        connection,
        format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n"),
    )
}

fn answer(connection: &mut Connection, request: impl AsRef<[u8]>) -> Asked {
    // Who is answered early may not be able to send it all.
    let _ = connection.try_send(request);
    match connection.try_response() {
        Some(response) if response.complete => Asked::Answered(response),
        _ => Asked::Cut,
    }
}

fn upload(connection: &mut Connection, bytes: usize) -> Asked {
    let mut request =
        format!("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: {bytes}\r\n\r\n").into_bytes();
    request.resize(request.len() + bytes, b'x');
    answer(connection, request)
}

fn slow_upload(connection: &mut Connection) -> Asked {
    let request = b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 1000\r\n\r\n";
    for piece in request.chunks(20).chain([b'x'; 900].chunks(90)) {
        if connection.try_send(piece).is_none() {
            return Asked::Cut;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    answer(connection, [b'x'; 100])
}

/// Lets the response pile up before it reads.
fn read_slowly(connection: &mut Connection) -> Asked {
    let request = "GET /long HTTP/1.1\r\nhost: test\r\n\r\n";
    if connection.try_send(request).is_none() {
        return Asked::Cut;
    }
    std::thread::sleep(Duration::from_millis(300));
    answer(connection, "")
}

fn leave(connection: &mut Connection) -> Asked {
    let _ = connection.try_send("GET /long HTTP/1.1\r\nhost: test\r\n\r\n");
    std::thread::sleep(Duration::from_millis(5));
    Asked::Left
}

fn stuck_in_c(connection: &mut Connection, faults: &Faults) -> Asked {
    match faults.spares_workers.load(Relaxed) {
        true => Asked::Left,
        false => get(connection, "/stuck-in-c"),
    }
}

/// Clients that ask until they are stopped.
pub(crate) struct Clients {
    stop: Arc<AtomicBool>,
    threads: Vec<(&'static str, JoinHandle<Counts>)>,
}

impl Clients {
    pub(crate) fn start(address: SocketAddr, faults: &Arc<Faults>) -> Clients {
        let stop = Arc::new(AtomicBool::new(false));
        let start = |kind: &'static Kind| {
            let (stop, faults) = (Arc::clone(&stop), Arc::clone(faults));
            let client = move || kind.run(address, &faults, &stop);
            (kind.name, std::thread::spawn(client))
        };
        let threads = KINDS.iter().map(start).collect();
        Clients { stop, threads }
    }

    /// Stops them, each after the answer it waits for.
    pub(crate) fn stop(mut self) -> Counted {
        self.stop.store(true, Relaxed);
        let mut all = BTreeMap::<_, Counts>::new();
        for (name, thread) in self.threads.drain(..) {
            let one = thread.join().unwrap();
            let sum = all.entry(name).or_default();
            sum.right += one.right;
            sum.excused += one.excused;
            sum.asked_again += one.asked_again;
            sum.left += one.left;
            sum.slowest = sum.slowest.max(one.slowest);
            sum.failed.extend(one.failed);
        }
        Counted(all)
    }
}

/// A test that fails on the way leaves no client behind.
impl Drop for Clients {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}

/// What became of the requests of one kind.
#[derive(Debug, Default)]
struct Counts {
    right: usize,
    /// Cut while a worker was killed.
    excused: usize,
    /// On a kept connection that the server closed between two requests (RFC 9112 §9.3.1).
    asked_again: usize,
    left: usize,
    slowest: Duration,
    failed: Vec<String>,
}

/// What became of all requests, by kind.
#[derive(Debug)]
pub(crate) struct Counted(BTreeMap<&'static str, Counts>);

impl Kind {
    fn run(&self, address: SocketAddr, faults: &Faults, stop: &AtomicBool) -> Counts {
        let mut counts = Counts::default();
        let mut kept: Option<Connection> = None;
        while !stop.load(Relaxed) {
            let began = Instant::now();
            let is_new = kept.is_none();
            let connection = kept
                .take()
                .map_or_else(|| Connection::try_open(address), Ok);
            let mut connection = match connection {
                Ok(connection) => connection,
                Err(error) => {
                    counts.failed.push(format!("cannot connect: {error}"));
                    break;
                }
            };
            match (self.ask)(&mut connection, faults) {
                Asked::Answered(response) if self.is_answered_by(&response) => {
                    counts.right += 1;
                    counts.slowest = counts.slowest.max(began.elapsed());
                    let closes = response.header("connection") == Some("close");
                    kept = (self.keeps && !closes).then_some(connection);
                }
                Asked::Answered(response) => counts.failed.push(format!(
                    "{} {:.100}",
                    response.status,
                    String::from_utf8_lossy(response.body())
                )),
                Asked::Left => counts.left += 1,
                Asked::Cut if faults.may_have_hit(began) => counts.excused += 1,
                Asked::Cut if !is_new => counts.asked_again += 1,
                Asked::Cut => counts
                    .failed
                    .push(format!("cut after {:?}", began.elapsed())),
            }
            pause(self.pause, stop);
        }
        counts
    }
}

fn pause(time: Duration, stop: &AtomicBool) {
    let until = Instant::now() + time;
    while Instant::now() < until && !stop.load(Relaxed) {
        std::thread::sleep(time.min(Duration::from_millis(50)));
    }
}

impl Counted {
    pub(crate) fn failed(&self) -> Vec<String> {
        let kinds = self.0.iter();
        let failed = kinds
            .flat_map(|(name, kind)| kind.failed.iter().map(move |why| format!("{name}: {why}")));
        failed.collect()
    }

    pub(crate) fn excused(&self) -> usize {
        self.0.values().map(|kind| kind.excused).sum()
    }

    /// Kinds of which no request was answered as it should be.
    pub(crate) fn never_right(&self) -> Vec<&str> {
        let kinds = self.0.iter();
        let never = kinds.filter(|(_, kind)| kind.right == 0 && kind.left == 0);
        never.map(|(name, _)| *name).collect()
    }

    /// Those that were answered 200.
    pub(crate) fn successful(&self) -> u64 {
        let kinds = self.0.iter().filter(|(name, _)| !name.starts_with("stuck"));
        kinds.map(|(_, kind)| kind.right as u64).sum()
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, kind) in &self.0 {
            writeln!(
                f,
                "{name}: {} right, {} failed, {} at a killed worker, {} asked again, {} left, \
                 slowest {:.2?}",
                kind.right,
                kind.failed.len(),
                kind.excused,
                kind.asked_again,
                kind.left,
                kind.slowest
            )?;
        }
        Ok(())
    }
}
