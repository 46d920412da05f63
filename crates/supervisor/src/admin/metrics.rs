//! Metrics in Prometheus's text format, version 0.0.4.

use std::collections::BTreeMap;

use exposition::Page;

use crate::memory;
use crate::protocol::{Counted, Status, WorkerStatus};

mod exposition;

/// A counter that appears with its first event misses that event in a rate.
const REASONS: [&str; 9] = [
    "crash",
    "drain",
    "max_lifetime",
    "max_requests",
    "memory",
    "recycle",
    "reload",
    "stuck",
    "upgrade",
];
const STATES: [&str; 4] = ["starting", "ready", "serving", "draining"];

/// Name, help, and how to read it off.
type Figure<T> = (&'static str, &'static str, fn(&T) -> u64);

pub(super) fn text(status: &Status) -> String {
    let mut page = Page::default();
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
    requests(status, &mut page);
    levels(status, &mut page);
    page.text()
}

/// What slots have counted: a slot's figures go on where its worker is replaced, so they never fall.
fn requests(status: &Status, page: &mut Page) {
    let numbers = status.counted.iter().map(|slot| slot.worker.to_string());
    let slots: Vec<(String, &Counted)> = numbers.zip(&status.counted).collect();
    let by_class: Vec<_> = slots
        .iter()
        .flat_map(|(worker, slot)| {
            let classes = slot.totals.requests.by_class();
            classes.map(|(class, count)| ([("worker", worker.as_str()), ("code", class)], count))
        })
        .collect();
    let by_class = by_class.iter().map(|(labels, count)| (&labels[..], *count));
    page.metric(
        "http_requests_total",
        "counter",
        "Requests by the class of their status; none: the client left before.",
        by_class,
    );
    page.histograms(
        "http_request_duration_seconds",
        "From the end of a request's head to the last byte of its answer.",
        slots
            .iter()
            .map(|(worker, slot)| (worker.as_str(), &slot.totals.request_time)),
    );
    page.histograms(
        "queue_wait_seconds",
        "How long requests waited for a Python thread.",
        slots
            .iter()
            .map(|(worker, slot)| (worker.as_str(), &slot.totals.queue_time)),
    );
    page.histograms(
        "application_duration_seconds",
        "How long Python threads were at requests.",
        slots
            .iter()
            .map(|(worker, slot)| (worker.as_str(), &slot.totals.application_time)),
    );
    let counters: [Figure<Counted>; 2] = [
        ("http_sent_bytes_total", "Bytes of responses.", |slot| {
            slot.totals.bytes_sent
        }),
        (
            "connections_accepted_total",
            "Connections that clients have opened.",
            |slot| slot.totals.connections,
        ),
    ];
    for (name, help, figure) in counters {
        let sums = slots
            .iter()
            .map(|(worker, slot)| (worker.as_str(), figure(slot)));
        page.by_worker(name, "counter", help, sums);
    }
}

/// What workers are at.
fn levels(status: &Status, page: &mut Page) {
    let gauges: [Figure<WorkerStatus>; 4] = [
        ("connections_open", "Open connections.", |worker| {
            worker.levels.connections_open
        }),
        (
            "queue_length",
            "Requests that wait for a Python thread.",
            |worker| worker.levels.queue_length,
        ),
        ("threads", "Python threads.", |worker| worker.levels.threads),
        ("threads_busy", "Python threads with a request.", |worker| {
            worker.levels.threads_busy
        }),
    ];
    for (name, help, figure) in gauges {
        let sums = by_worker(status, |worker| figure(worker) as f64, |_| true);
        page.workers(name, help, &sums);
    }
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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Instant;

    use appliance_figures::{Levels, Totals};

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
            levels: Levels {
                connections_open: 7,
                ..Levels::default()
            },
            ..WorkerStatus::default()
        };
        let mut status = Status::starting(Path::new("/srv/project.toml"), Instant::now());
        status.workers = vec![
            worker(1, "draining"),
            worker(1, "serving"),
            worker(2, "serving"),
        ];
        status.replaced.insert("memory".to_owned(), 3);
        let mut totals = Totals::default();
        totals.requests.failed = 4;
        totals.bytes_sent = 1 << 40;
        totals.queue_time.buckets = vec![5, 0, 1];
        totals.queue_time.sum_ns = 1_500_000;
        status.counted = vec![Counted { worker: 2, totals }];
        let text = text(&status);
        for line in [
            "# TYPE appliance_worker_resident_bytes gauge",
            "appliance_worker_resident_bytes{worker=\"1\"} 2000",
            "appliance_worker_uptime_seconds{worker=\"1\"} 2.5",
            "appliance_workers{state=\"serving\"} 2",
            "appliance_workers_replaced_total{reason=\"memory\"} 3",
            "appliance_workers_replaced_total{reason=\"stuck\"} 0",
            "# TYPE appliance_http_requests_total counter",
            "appliance_http_requests_total{worker=\"2\",code=\"5xx\"} 4",
            "appliance_http_requests_total{worker=\"2\",code=\"none\"} 0",
            "# TYPE appliance_queue_wait_seconds histogram",
            "appliance_queue_wait_seconds_bucket{worker=\"2\",le=\"0.0001\"} 5",
            "appliance_queue_wait_seconds_bucket{worker=\"2\",le=\"0.00025\"} 5",
            "appliance_queue_wait_seconds_bucket{worker=\"2\",le=\"0.0005\"} 6",
            "appliance_queue_wait_seconds_bucket{worker=\"2\",le=\"60\"} 6",
            "appliance_queue_wait_seconds_bucket{worker=\"2\",le=\"+Inf\"} 6",
            "appliance_queue_wait_seconds_sum{worker=\"2\"} 0.0015",
            "appliance_queue_wait_seconds_count{worker=\"2\"} 6",
            "appliance_http_sent_bytes_total{worker=\"2\"} 1099511627776",
            "appliance_connections_open{worker=\"1\"} 14",
        ] {
            assert_eq!(
                text.lines().filter(|found| *found == line).count(),
                1,
                "{line}\n{text}"
            );
        }
    }
}
