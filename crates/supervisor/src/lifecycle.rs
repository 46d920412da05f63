//! The life of a worker: starting → ready → serving → draining → gone, and how long its slot
//! waits for the next one. No process, no clock in here: [`crate::master`] has them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Where a worker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// The interpreter runs; the application is being imported.
    Starting,
    /// The application is imported; it waits for its siblings, or for a word.
    Ready,
    /// It accepts connections and answers requests.
    Serving,
    /// It accepts no more and finishes what runs.
    Draining,
    /// Its process has ended.
    Gone(End),
}

/// What the end of a process means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    /// It was asked to go.
    Stopped,
    /// It never became ready.
    NeverReady,
    /// It left while it was needed.
    Lost,
}

/// What can happen to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It reported that it can serve.
    ReportedReady,
    /// It was told to accept connections.
    ToldToServe,
    /// It was asked to stop.
    AskedToStop,
    /// Its process ended.
    Exited,
}

impl State {
    /// Its name in the status and in metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Ready => "ready",
            State::Serving => "serving",
            State::Draining => "draining",
            State::Gone(_) => "gone",
        }
    }

    /// The next state. A step that means nothing in this state changes nothing: messages cross
    /// each other (a worker may report ready just after it was asked to stop).
    pub(crate) fn after(self, step: Step) -> State {
        match (self, step) {
            (State::Gone(end), _) => State::Gone(end),
            (State::Starting, Step::ReportedReady) => State::Ready,
            (State::Ready, Step::ToldToServe) => State::Serving,
            (State::Starting | State::Ready | State::Serving, Step::AskedToStop) => State::Draining,
            (State::Starting, Step::Exited) => State::Gone(End::NeverReady),
            (State::Ready | State::Serving, Step::Exited) => State::Gone(End::Lost),
            (State::Draining, Step::Exited) => State::Gone(End::Stopped),
            (state, _) => state,
        }
    }
}

/// How long a slot waits before it starts the next worker: not at all after a healthy life,
/// then 0.1 s, doubling to 30 s, so that an application that dies at once does not take a CPU.
#[derive(Debug, Default)]
pub(crate) struct BackOff {
    /// Deaths in a row without a healthy life between them.
    deaths: u32,
}

impl BackOff {
    /// A life this long is healthy.
    pub(crate) const HEALTHY: Duration = Duration::from_secs(30);
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(30);

    /// The wait after a worker that lived for `lifetime`.
    pub(crate) fn after_death(&mut self, lifetime: Duration) -> Duration {
        if lifetime >= Self::HEALTHY {
            self.deaths = 0;
        }
        self.deaths = self.deaths.saturating_add(1);
        match self.deaths {
            1 => Duration::ZERO,
            deaths => Self::FIRST
                .saturating_mul(1u32.checked_shl(deaths - 2).unwrap_or(u32::MAX))
                .min(Self::LONGEST),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(steps: &[Step]) -> State {
        steps
            .iter()
            .fold(State::Starting, |state, step| state.after(*step))
    }

    #[test]
    fn a_worker_lives_from_start_to_stop() {
        use Step::{AskedToStop, Exited, ReportedReady, ToldToServe};
        assert_eq!(walk(&[ReportedReady]), State::Ready);
        assert_eq!(walk(&[ReportedReady, ToldToServe]), State::Serving);
        assert_eq!(
            walk(&[ReportedReady, ToldToServe, AskedToStop]),
            State::Draining
        );
        assert_eq!(
            walk(&[ReportedReady, ToldToServe, AskedToStop, Exited]),
            State::Gone(End::Stopped)
        );
    }

    #[test]
    fn an_exit_means_what_the_state_before_it_says() {
        use Step::{AskedToStop, Exited, ReportedReady, ToldToServe};
        assert_eq!(walk(&[Exited]), State::Gone(End::NeverReady));
        assert_eq!(walk(&[ReportedReady, Exited]), State::Gone(End::Lost));
        assert_eq!(
            walk(&[ReportedReady, ToldToServe, Exited]),
            State::Gone(End::Lost)
        );
        assert_eq!(walk(&[AskedToStop, Exited]), State::Gone(End::Stopped));
    }

    #[test]
    fn late_messages_bring_nobody_back() {
        use Step::{AskedToStop, Exited, ReportedReady, ToldToServe};
        assert_eq!(
            walk(&[AskedToStop, ReportedReady, ToldToServe]),
            State::Draining
        );
        assert_eq!(walk(&[Exited, ReportedReady]), State::Gone(End::NeverReady));
        assert_eq!(walk(&[ToldToServe]), State::Starting);
    }

    #[test]
    fn back_off_doubles_up_to_half_a_minute() {
        let mut back_off = BackOff::default();
        let waits: Vec<u128> = (0..12)
            .map(|_| back_off.after_death(Duration::from_secs(1)).as_millis())
            .collect();
        let doubling = [
            0, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000,
        ];
        assert_eq!(waits, doubling);
        for _ in 0..100 {
            assert_eq!(back_off.after_death(Duration::ZERO), BackOff::LONGEST);
        }
    }

    #[test]
    fn a_healthy_life_is_succeeded_at_once() {
        let mut back_off = BackOff::default();
        back_off.after_death(Duration::ZERO);
        back_off.after_death(Duration::ZERO);
        assert_eq!(back_off.after_death(BackOff::HEALTHY), Duration::ZERO);
        assert_eq!(
            back_off.after_death(Duration::ZERO),
            Duration::from_millis(100)
        );
    }
}
