//! What has happened between two answers of a server.

use std::collections::{BTreeMap, VecDeque};

use appliance_figures::{Distribution, Totals};
use appliance_supervisor::Status;

/// Seconds that latencies are of: of one alone they would jump.
const WINDOW: f64 = 10.0;
/// Two answers closer together say nothing about a second.
const LEAST: f64 = 0.05;

/// The answers of the last seconds.
#[derive(Debug, Default)]
pub(crate) struct History(VecDeque<Status>);

/// Of all workers, or of a slot.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Rates {
    pub(crate) requests: f64,
    /// Answers with 5xx.
    pub(crate) failed: f64,
    pub(crate) p50: Option<Latency>,
    pub(crate) p99: Option<Latency>,
}

/// Seconds, between the bounds of a bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Latency {
    About(f64),
    /// The last bucket has no bound.
    MoreThan(f64),
}

impl History {
    pub(crate) fn add(&mut self, status: Status) {
        // Another server has begun to count anew.
        if self
            .0
            .back()
            .is_some_and(|last| last.pid != status.pid || last.uptime > status.uptime)
        {
            self.0.clear();
        }
        let begin = status.uptime - WINDOW;
        self.0.push_back(status);
        // The one just before the window is where it begins.
        while self.0.get(1).is_some_and(|second| second.uptime <= begin) {
            self.0.pop_front();
        }
    }

    pub(crate) fn latest(&self) -> Option<&Status> {
        self.0.back()
    }

    /// Of the whole server; none before the second answer.
    pub(crate) fn rates(&self) -> Option<Rates> {
        let [oldest, last, now] = self.moments()?;
        let totals = [oldest, last, now].map(|status| &status.total);
        rates(totals, now.uptime - last.uptime, &now.bucket_bounds)
    }

    /// By slot.
    pub(crate) fn rates_by_slot(&self) -> BTreeMap<usize, Rates> {
        let Some([oldest, last, now]) = self.moments() else {
            return BTreeMap::new();
        };
        let nothing = Totals::default();
        let of = |status: &Status, slot: usize| {
            let mut counted = status.counted.iter();
            let counted = counted.find(|counted| counted.worker == slot);
            counted.map_or(nothing.clone(), |counted| counted.totals.clone())
        };
        let slots = now.counted.iter().filter_map(|counted| {
            let (oldest, last) = (of(oldest, counted.worker), of(last, counted.worker));
            let seconds = now.uptime - last_uptime(&self.0)?;
            let totals = [&oldest, &last, &counted.totals];
            Some((counted.worker, rates(totals, seconds, &now.bucket_bounds)?))
        });
        slots.collect()
    }

    /// Processors that each process keeps busy: 1.0 is one of them.
    pub(crate) fn processors(&self) -> BTreeMap<u32, f64> {
        let Some([_, last, now]) = self.moments() else {
            return BTreeMap::new();
        };
        let seconds = now.uptime - last.uptime;
        let busy = now.workers.iter().filter_map(|worker| {
            let before = last.workers.iter().find(|other| other.pid == worker.pid)?;
            let took = worker.cpu_seconds - before.cpu_seconds;
            Some((worker.pid, (took / seconds).max(0.0)))
        });
        busy.collect()
    }

    /// The first of the window, the last but one, and the last.
    fn moments(&self) -> Option<[&Status; 3]> {
        let now = self.0.back()?;
        let last = self.0.get(self.0.len().checked_sub(2)?)?;
        (now.uptime - last.uptime >= LEAST).then_some([self.0.front()?, last, now])
    }
}

fn last_uptime(answers: &VecDeque<Status>) -> Option<f64> {
    Some(answers.get(answers.len().checked_sub(2)?)?.uptime)
}

fn rates([oldest, last, now]: [&Totals; 3], seconds: f64, bounds: &[f64]) -> Option<Rates> {
    let all = |totals: &Totals| {
        let classes = totals.requests.by_class();
        classes.iter().map(|(_, count)| count).sum::<u64>()
    };
    let per_second = |before: u64, after: u64| after.saturating_sub(before) as f64 / seconds;
    let quantile = |share| quantile(&oldest.request_time, &now.request_time, bounds, share);
    (seconds > 0.0).then(|| Rates {
        requests: per_second(all(last), all(now)),
        failed: per_second(last.requests.failed, now.requests.failed),
        p50: quantile(0.5),
        p99: quantile(0.99),
    })
}

/// Within a bucket all values count as equally likely, as Prometheus's `histogram_quantile` has it.
fn quantile(
    before: &Distribution,
    after: &Distribution,
    bounds: &[f64],
    share: f64,
) -> Option<Latency> {
    let earlier = before.buckets.iter().chain(std::iter::repeat(&0));
    let counts: Vec<u64> = after
        .buckets
        .iter()
        .zip(earlier)
        .map(|(after, before)| after.saturating_sub(*before))
        .collect();
    let rank = counts.iter().sum::<u64>() as f64 * share;
    if rank <= 0.0 {
        return None;
    }
    let mut below = 0.0;
    let mut lower = 0.0;
    for (bucket, count) in counts.iter().enumerate() {
        let count = *count as f64;
        let Some(upper) = bounds.get(bucket) else {
            return Some(Latency::MoreThan(lower));
        };
        if below + count >= rank {
            return Some(Latency::About(
                lower + (upper - lower) * (rank - below) / count,
            ));
        }
        below += count;
        lower = *upper;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::tests::status;

    fn times(buckets: &[u64]) -> Distribution {
        Distribution {
            buckets: buckets.to_vec(),
            sum_ns: 0,
        }
    }

    #[test]
    fn a_quantile_lies_between_the_bounds_of_its_bucket() {
        let bounds = [0.001, 0.01, 0.1];
        let of = |buckets: &[u64], share| quantile(&times(&[]), &times(buckets), &bounds, share);
        assert_eq!(of(&[0, 0, 0, 0], 0.5), None);
        assert_eq!(of(&[], 0.5), None);
        assert_eq!(of(&[10, 0, 0, 0], 0.5), Some(Latency::About(0.0005)));
        let Some(Latency::About(seconds)) = of(&[98, 0, 2, 0], 0.99) else {
            panic!("a bound");
        };
        assert!((seconds - 0.055).abs() < 1e-9, "{seconds}");
        assert_eq!(of(&[0, 0, 0, 3], 0.5), Some(Latency::MoreThan(0.1)));
        let earlier = times(&[7, 7, 0, 0]);
        let later = times(&[7, 17, 0, 0]);
        let Some(Latency::About(seconds)) = quantile(&earlier, &later, &bounds, 0.5) else {
            panic!("a bound");
        };
        assert!((seconds - 0.0055).abs() < 1e-9, "{seconds}");
    }

    #[test]
    fn rates_are_of_the_time_between_two_answers() {
        let mut history = History::default();
        assert_eq!(history.rates(), None);
        let mut first = status();
        first.uptime = 100.0;
        first.total.requests.successful = 1000;
        first.workers[0].cpu_seconds = 5.0;
        history.add(first.clone());
        assert_eq!(history.rates(), None);
        let mut second = first.clone();
        second.uptime = 102.0;
        second.total.requests.successful = 1500;
        second.total.requests.failed = 4;
        second.counted[0].totals.requests.successful += 100;
        second.workers[0].cpu_seconds = 6.5;
        history.add(second.clone());
        let rates = history.rates().unwrap();
        assert_eq!((rates.requests, rates.failed), (252.0, 2.0));
        assert_eq!(history.rates_by_slot()[&1].requests, 50.0);
        assert_eq!(history.processors()[&second.workers[0].pid], 0.75);
        // Another server.
        first.pid += 1;
        history.add(first);
        assert_eq!(history.rates(), None);
    }

    #[test]
    fn the_window_is_bounded() {
        let mut history = History::default();
        for second in 0..100 {
            let mut status = status();
            status.uptime = f64::from(second);
            history.add(status);
        }
        assert_eq!(history.0.len(), 11);
    }
}
