//! The end: every worker drains; one that takes longer than `server.stop_timeout` is killed.

use std::time::{Duration, Instant};

use super::{Master, next, sleep_until};
use crate::control::Reply;
use crate::development::Development;
use crate::event::Event;
use crate::lifecycle::State;
use crate::process::What;
use crate::signals::Signals;

/// A worker ends its own requests at `server.stop_timeout`; this much later it is overdue.
const MARGIN: Duration = Duration::from_secs(1);

/// A signal that follows the first this closely is the same request: `timeout`, `tini -g` and
/// shells send theirs to the process and to its group.
const SAME_REQUEST: Duration = Duration::from_millis(300);

const STOPPED_FIRST: &str = "error: the server was stopped before it had reloaded\n";

fn tell_all(asked: &[Reply], text: &str) {
    asked.iter().for_each(|reply| reply.failed(3, text));
}

/// How a stop went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every running request was finished, or an immediate stop was asked for.
    Stopped,
    /// A worker was still busy when `server.stop_timeout` had passed, or died while it drained.
    Overdue,
}

impl Master {
    /// How long a worker may take to drain.
    pub(super) fn grace(&self) -> Duration {
        self.generation.project().server.stop_timeout + MARGIN
    }

    /// Lets every worker finish what it does. A second TERM or INT ends them at once.
    pub(crate) async fn stop(mut self, signals: &mut Signals) -> Outcome {
        self.stopping = true;
        self.manager.stopping();
        if let Some(rollout) = self.rollout.take() {
            tell_all(&rollout.asked, STOPPED_FIRST);
        }
        let front = self.development.as_mut().map(Development::stop_front);
        let front = front.map(tokio::spawn);
        let grace = self.grace();
        let closed = self.generation.listeners.closed_by(None);
        for worker in self.workers.values_mut() {
            match self.development.is_some() && worker.state == State::Draining {
                true => worker.kill(),
                false => worker.stop(grace, &closed),
            }
        }
        let asked_at = Instant::now();
        let mut outcome = Outcome::Stopped;
        // A command of a reload is called off by the same signal; it ends soon.
        while !self.workers.is_empty() || self.preparing.is_some() || self.trying.is_some() {
            let deadline = self.next_deadline();
            tokio::select! {
                biased;
                event = next(&mut self.events) => {
                    // Whoever stops a development server waits for nobody.
                    if self.development.is_none() && self.leaves_unfinished(&event) {
                        outcome = Outcome::Overdue;
                    }
                    self.wind_down(event);
                }
                again = signals.stop() => {
                    if !again.is_patient() && asked_at.elapsed() >= SAME_REQUEST {
                        tracing::warn!(signal = %again, "stopping at once");
                        self.kill_all().await;
                        return Outcome::Stopped;
                    }
                }
                () = sleep_until(deadline) => {
                    let now = Instant::now();
                    self.end_the_overdue(now);
                    self.mind_the_watchdog(now);
                    self.answer_overdue(now);
                }
            }
        }
        self.generation.end_preload().await;
        if let Some(front) = front {
            // It is bounded, and cannot fail.
            let _ = front.await;
        }
        outcome
    }

    /// Whether a worker has ended without saying that its requests were finished. (One that
    /// was killed while it started had none.)
    fn leaves_unfinished(&self, event: &Event) -> bool {
        let Event::Worker(id, What::Exited(_)) = event else {
            return false;
        };
        let worker = self.workers.get(id);
        worker.is_some_and(|worker| worker.served && !worker.drained)
    }

    pub(super) async fn kill_all(&mut self) {
        self.rollout = None;
        for worker in self.workers.values_mut() {
            worker.kill();
        }
        while !self.workers.is_empty() {
            let event = next(&mut self.events).await;
            self.wind_down(event);
        }
    }

    /// No generation begins now.
    fn wind_down(&mut self, event: Event) {
        match event {
            Event::Tried(..) => {
                if let Some(trying) = self.trying.take() {
                    tell_all(&trying.asked, STOPPED_FIRST);
                }
            }
            Event::Prepared(_) => {
                if let Some(preparing) = self.preparing.take() {
                    tell_all(&preparing.asked, STOPPED_FIRST);
                }
            }
            event => self.handle(event),
        }
    }
}
