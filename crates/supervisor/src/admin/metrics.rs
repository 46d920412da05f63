//! Metrics in Prometheus's text format, version 0.0.4.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use crate::memory;
use crate::protocol::{Status, WorkerStatus};

/// A counter that appears with its first event misses that event in a rate.
const REASONS: [&str; 7] = [
    "crash",
    "max_lifetime",
    "max_requests",
    "memory",
    "reload",
    "stuck",
    "upgrade",
];
const STATES: [&str; 4] = ["starting", "ready", "serving", "draining"];

pub(super) fn text(status: &Status) -> String {
    let mut page = Page(String::new());
    let about = [
        ("version", status.version.as_str()),
        ("python", status.python.as_str()),
    ];
    page.metric("info", "gauge", "What serves.", [(&about[..], 1)]);
    page.plain(
        "ready",
        "gauge",
        "Whether workers with the application serve.",
        u8::from(status.is_ready()),
    );
    page.plain(
        "generation",
        "gauge",
        "1, and one more with each reload.",
        status.generation,
    );
    page.plain(
        "uptime_seconds",
        "gauge",
        "Since the supervisor began.",
        status.uptime,
    );
    let well = u8::from(status.last_failure.is_none());
    page.plain(
        "last_reload_successful",
        "gauge",
        "0 after a reload or upgrade that failed.",
        well,
    );
    let own = memory::resident(status.pid).unwrap_or_default();
    page.plain(
        "supervisor_resident_bytes",
        "gauge",
        "Resident memory of the supervisor.",
        own,
    );

    let states = STATES.map(|state| {
        let in_state = |worker: &&WorkerStatus| worker.state == state;
        (
            [("state", state)],
            status.workers.iter().filter(in_state).count(),
        )
    });
    let states = states.iter().map(|(labels, count)| (&labels[..], *count));
    page.metric("workers", "gauge", "Worker processes.", states);

    let memory = by_worker(status, |worker| worker.memory_bytes as f64, |_| true);
    page.workers(
        "worker_resident_bytes",
        "Resident memory, with that of a predecessor that drains.",
        &memory,
    );
    let uptime = by_worker(
        status,
        |worker| worker.uptime,
        |worker| worker.state == "serving",
    );
    page.workers(
        "worker_uptime_seconds",
        "Since the serving worker was started.",
        &uptime,
    );

    let replaced = REASONS.map(|reason| {
        let count = status.replaced.get(reason).copied().unwrap_or_default();
        ([("reason", reason)], count)
    });
    let replaced = replaced.iter().map(|(labels, count)| (&labels[..], *count));
    page.metric(
        "workers_replaced_total",
        "counter",
        "Workers that were followed by others.",
        replaced,
    );
    page.0
}

/// Two workers of a slot, of which one drains, are one time series.
fn by_worker(
    status: &Status,
    figure: impl Fn(&WorkerStatus) -> f64,
    counts: impl Fn(&&WorkerStatus) -> bool,
) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for worker in status.workers.iter().filter(counts) {
        *sums.entry(worker.worker.to_string()).or_default() += figure(worker);
    }
    sums
}

struct Page(String);

impl Page {
    fn plain(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.metric(name, kind, help, [(&[][..], value)]);
    }

    fn workers(&mut self, name: &str, help: &str, figures: &BTreeMap<String, f64>) {
        let labelled: Vec<_> = figures
            .iter()
            .map(|(worker, figure)| ([("worker", worker.as_str())], *figure))
            .collect();
        let values = labelled
            .iter()
            .map(|(labels, figure)| (&labels[..], *figure));
        self.metric(name, "gauge", help, values);
    }

    /// Writing to a string cannot fail.
    fn metric<'l, V: Display>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        values: impl IntoIterator<Item = (&'l [(&'l str, &'l str)], V)>,
    ) {
        let Page(out) = self;
        let _ = writeln!(
            out,
            "# HELP appliance_{name} {help}\n# TYPE appliance_{name} {kind}"
        );
        for (labels, value) in values {
            let labels: Vec<String> = labels
                .iter()
                .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
                .collect();
            let labels = match labels.is_empty() {
                true => String::new(),
                false => format!("{{{}}}", labels.join(",")),
            };
            let _ = writeln!(out, "appliance_{name}{labels} {value}");
        }
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_slot_with_two_workers_is_one_series() {
        let worker = |worker, state: &str| WorkerStatus {
            worker,
            pid: 1,
            state: state.to_owned(),
            generation: 1,
            uptime: 2.5,
            memory_bytes: 1000,
        };
        let mut status = Status::starting(Path::new("/srv/project.toml"), Instant::now());
        status.workers = vec![
            worker(1, "draining"),
            worker(1, "serving"),
            worker(2, "serving"),
        ];
        status.replaced.insert("memory".to_owned(), 3);
        let text = text(&status);
        for line in [
            "# TYPE appliance_worker_resident_bytes gauge",
            "appliance_worker_resident_bytes{worker=\"1\"} 2000",
            "appliance_worker_uptime_seconds{worker=\"1\"} 2.5",
            "appliance_workers{state=\"serving\"} 2",
            "appliance_workers_replaced_total{reason=\"memory\"} 3",
            "appliance_workers_replaced_total{reason=\"stuck\"} 0",
        ] {
            assert_eq!(
                text.lines().filter(|found| *found == line).count(),
                1,
                "{line}\n{text}"
            );
        }
    }

    #[test]
    fn labels_cannot_end_early() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
