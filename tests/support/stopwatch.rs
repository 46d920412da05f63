//! Bounds on time that foreign load cannot break.

use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Measures how long something takes, and for how long meanwhile somebody on this machine had to wait for
/// a processor.
///
/// A request passes through a few processes, each of which waits its turn when others compute: beside
/// eight busy ones, tens of milliseconds each time, and now and then hundreds. A bound on
/// [`Stopwatch::undisturbed`] is not broken by that, and holds to the letter on a machine that has
/// processors to spare, or whose kernel does not count (`CONFIG_PSI`).
#[derive(Clone, Copy)]
pub struct Stopwatch {
    began: Instant,
    stalled: Duration,
}

impl Stopwatch {
    /// Begins to measure.
    pub fn start() -> Stopwatch {
        Stopwatch {
            began: Instant::now(),
            stalled: stalled(),
        }
    }

    /// The time since then.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// The same without the time in which somebody waited for a processor.
    pub fn undisturbed(&self) -> Duration {
        let elapsed = self.elapsed();
        elapsed.saturating_sub(stalled().saturating_sub(self.stalled))
    }
}

/// For how long, since the machine has started, at least one process has waited for a processor.
///
/// Asked again within a tick of its clock, the kernel forgets the time between (`collect_percpu_times`
/// counts in jiffies): so the answer may be this old.
fn stalled() -> Duration {
    const OLD: Duration = Duration::from_millis(20);
    static LAST: Mutex<Option<(Instant, Duration)>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    match *last {
        Some((asked, stalled)) if asked.elapsed() < OLD => stalled,
        _ => last.insert((Instant::now(), ask_kernel())).1,
    }
}

fn ask_kernel() -> Duration {
    // some avg10=1.53 avg60=0.87 avg300=0.38 total=81223456
    let pressure = fs::read_to_string("/proc/pressure/cpu").unwrap_or_default();
    let total = pressure.lines().next().and_then(|some| {
        let (_, total) = some.split_once("total=")?;
        total.parse().ok()
    });
    Duration::from_micros(total.unwrap_or_default())
}
