//! `python.max_lifetime` and `python.memory_soft_limit`: looked at once a second. (`max_requests`
//! is counted where requests end, in the bridge.)

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use appliance_project::model::Recycling;
use appliance_project::wire::Reason;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::memory;
use crate::replacement::Replacement;

const LOOK: Duration = Duration::from_secs(1);
/// A worker that reaches its limit sooner will spend its time being replaced.
const SHORT_LIFE: Duration = Duration::from_secs(60);

/// The bounds of this worker's life.
pub(crate) struct Bounds {
    until: Option<Instant>,
    memory: Option<u64>,
}

impl Bounds {
    /// To be called when the worker is ready: what it takes then it will take again.
    pub(crate) fn new(settings: &Recycling) -> Self {
        let until = settings.max_lifetime.map(|lifetime| {
            // Workers that started together must not go together.
            let share = RandomState::new().hash_one(std::process::id()) % 1000;
            let jitter = lifetime.mul_f64(share as f64 / 10_000.0);
            Instant::now() + lifetime + jitter
        });
        let memory = settings
            .memory_soft_limit_bytes
            .map(|limit| above_what_it_takes(limit, memory::own_bytes().unwrap_or_default()));
        Bounds { until, memory }
    }

    /// Asks for a successor when a bound is reached. Never ends.
    pub(crate) async fn watch(self, replacement: &Replacement) {
        let began = Instant::now();
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut was_over = false;
        loop {
            look.tick().await;
            if self.until.is_some_and(|until| Instant::now() >= until) {
                replacement.ask(Reason::MaxLifetime);
            }
            let over = self.memory_over();
            // Memory that is free already, in the heap, is no reason; nor is a moment's peak.
            match over {
                // It takes as long as there is much to look through, and the front cannot wait.
                Some(_) if !was_over => drop(tokio::task::spawn_blocking(memory::trim)),
                Some((bytes, limit)) => {
                    report(bytes, limit, began.elapsed());
                    replacement.ask(Reason::Memory);
                    return self.lifetime_alone(replacement).await;
                }
                None => {}
            }
            was_over = over.is_some();
        }
    }

    async fn lifetime_alone(self, replacement: &Replacement) {
        if let Some(until) = self.until {
            tokio::time::sleep_until(until).await;
            replacement.ask(Reason::MaxLifetime);
        }
    }

    fn memory_over(&self) -> Option<(u64, u64)> {
        let limit = self.memory?;
        let bytes = memory::own_bytes()?;
        (bytes > limit).then_some((bytes, limit))
    }
}

/// A limit that a worker reaches as soon as it is ready would have it replaced for ever.
fn above_what_it_takes(limit: u64, ready: u64) -> u64 {
    let least = ready / 2 * 3;
    if least > limit {
        tracing::warn!(
            takes_mb = megabytes(ready),
            "`python.memory_soft_limit` is less than one and a half times what this worker takes \
             when it is ready; it is replaced at that"
        );
    }
    limit.max(least)
}

fn report(bytes: u64, limit: u64, after: Duration) {
    let (memory_mb, limit_mb) = (megabytes(bytes), megabytes(limit));
    let after_s = after.as_secs();
    match after < SHORT_LIFE {
        true => tracing::warn!(
            memory_mb,
            limit_mb,
            after_s,
            "this worker has soon reached its `python.memory_soft_limit`: more, or fewer \
             `python.processes`, would spare replacing it so often"
        ),
        false => tracing::info!(
            memory_mb,
            limit_mb,
            after_s,
            "this worker has reached its `python.memory_soft_limit`"
        ),
    }
}

fn megabytes(bytes: u64) -> u64 {
    bytes / 1_000_000
}
