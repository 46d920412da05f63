//! What there is to draw.

use std::collections::BTreeMap;

use appliance_supervisor::{RunningRequest, Status, WorkerStatus};

use crate::overlay::Overlay;
use crate::rates::{History, Rates};

/// All of a frame.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub(crate) status: Option<&'a Status>,
    pub(crate) rates: Option<Rates>,
    pub(crate) by_slot: BTreeMap<usize, Rates>,
    /// By process id.
    pub(crate) processors: BTreeMap<u32, f64>,
    /// The oldest first.
    pub(crate) requests: Vec<Running<'a>>,
    pub(crate) chosen: Option<&'a Chosen>,
    /// What somebody should know.
    pub(crate) notice: Option<&'a str>,
    pub(crate) overlay: Option<&'a Overlay>,
    /// Somebody can press keys.
    pub(crate) is_live: bool,
}

/// A request, and where it runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Running<'a> {
    pub(crate) worker: &'a WorkerStatus,
    pub(crate) request: &'a RunningRequest,
}

/// What the keys are about. Known by its name, since its place changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Chosen {
    Worker { pid: u32 },
    Request { pid: u32, id: String },
}

impl<'a> View<'a> {
    pub(crate) fn of(history: &'a History) -> View<'a> {
        let status = history.latest();
        View {
            status,
            rates: history.rates(),
            by_slot: history.rates_by_slot(),
            processors: history.processors(),
            requests: status.map(running).unwrap_or_default(),
            chosen: None,
            notice: None,
            overlay: None,
            is_live: false,
        }
    }

    pub(crate) fn workers(&self) -> &'a [WorkerStatus] {
        self.status.map_or(&[], |status| &status.workers)
    }

    /// Workers and their place that is chosen.
    pub(crate) fn chosen_worker(&self) -> Option<usize> {
        let chosen = self.chosen?;
        let is_it = |worker: &WorkerStatus| *chosen == Chosen::Worker { pid: worker.pid };
        self.workers().iter().position(is_it)
    }

    pub(crate) fn chosen_request(&self) -> Option<usize> {
        let chosen = self.chosen?;
        self.requests
            .iter()
            .position(|running| running.chosen() == *chosen)
    }

    /// All that can be chosen, from top to bottom.
    pub(crate) fn choices(&self) -> Vec<Chosen> {
        let workers = self.workers().iter();
        let workers = workers.map(|worker| Chosen::Worker { pid: worker.pid });
        workers
            .chain(self.requests.iter().map(Running::chosen))
            .collect()
    }
}

impl Running<'_> {
    pub(crate) fn chosen(&self) -> Chosen {
        Chosen::Request {
            pid: self.worker.pid,
            id: self.request.id.clone(),
        }
    }
}

fn running(status: &Status) -> Vec<Running<'_>> {
    let mut all: Vec<_> = status.workers.iter().flat_map(running_in).collect();
    all.sort_by_key(|running| std::cmp::Reverse(running.request.age_ms));
    all
}

fn running_in(worker: &WorkerStatus) -> impl Iterator<Item = Running<'_>> {
    let requests = worker.requests.iter().flatten();
    requests.map(move |request| Running { worker, request })
}

#[cfg(test)]
pub(crate) mod tests {
    use appliance_figures::{Distribution, Levels, Totals};
    use appliance_supervisor::{Counted, Line, Unseen};

    use super::*;

    /// Of two workers that do nothing.
    pub(crate) fn status() -> Status {
        Status {
            version: "0.1.0".to_owned(),
            pid: 4711,
            project: "/srv/shop/project.toml".into(),
            state: "serving".to_owned(),
            maintenance: false,
            generation: 3,
            uptime: 7201.5,
            python: "3.12.1 (CPython)".to_owned(),
            addresses: Vec::new(),
            https: Vec::new(),
            uwsgi: Vec::new(),
            unix: Vec::new(),
            uwsgi_unix: Vec::new(),
            workers: vec![worker(1), worker(2)],
            preload: None,
            replaced: [("reload".to_owned(), 4), ("max_requests".to_owned(), 2)].into(),
            last_failure: None,
            counted: vec![counted(1), counted(2)],
            total: Totals::default(),
            levels: Levels {
                connections_open: 12,
                threads: 16,
                ..Levels::default()
            },
            bucket_bounds: appliance_figures::bounds().collect(),
        }
    }

    pub(crate) fn worker(number: usize) -> WorkerStatus {
        WorkerStatus {
            worker: number,
            pid: 4711 + u32::try_from(number).unwrap(),
            state: "serving".to_owned(),
            generation: 3,
            uptime: 310.0,
            memory_bytes: 38_000_000,
            cpu_seconds: 1.0,
            levels: Levels {
                connections_open: 6,
                threads: 8,
                ..Levels::default()
            },
            pss_bytes: Some(31_000_000),
            requests: Some(Vec::new()),
            more_requests: 0,
        }
    }

    fn counted(worker: usize) -> Counted {
        Counted {
            worker,
            totals: Totals::default(),
        }
    }

    pub(crate) fn request(id: &str, url: &str, age_ms: u64) -> RunningRequest {
        let line = |file: &str, line, function: &str| Line {
            file: file.to_owned(),
            line,
            function: function.to_owned(),
        };
        RunningRequest {
            id: id.to_owned(),
            thread: 1,
            method: "GET".to_owned(),
            url: url.to_owned(),
            client: [192, 0, 2, 7].into(),
            age_ms,
            at: Some(line(
                "/srv/shop/.venv/lib/python3.12/site-packages/django/db/backends/utils.py",
                89,
                "_execute",
            )),
            within: Some(line("/srv/shop/backend/shop/views.py", 42, "checkout")),
            unseen: None,
        }
    }

    /// A second later: much has been done, and much runs.
    pub(crate) fn busy() -> History {
        let (mut history, mut status) = (History::default(), status());
        history.add(status.clone());
        status.uptime += 1.0;
        let mut buckets = vec![0; 18];
        (buckets[2], buckets[5], buckets[8]) = (900, 300, 34);
        status.total.requests.successful = 1230;
        status.total.requests.failed = 4;
        status.total.request_time = Distribution { buckets, sum_ns: 1 };
        status.counted[0].totals = status.total.clone();
        status.levels = Levels {
            connections_open: 240,
            queue_length: 7,
            threads: 16,
            threads_busy: 9,
        };
        let first = &mut status.workers[0];
        first.cpu_seconds += 0.93;
        first.levels = Levels {
            connections_open: 200,
            queue_length: 7,
            threads: 8,
            threads_busy: 8,
        };
        first.requests = Some(vec![
            request("5f2c-1", "/checkout/?step=2", 1570),
            RunningRequest {
                at: None,
                within: None,
                unseen: Some(Unseen::KeepsGil),
                method: "POST".to_owned(),
                ..request("5f2c-2", "/report", 75_000)
            },
            RunningRequest {
                at: None,
                within: None,
                unseen: Some(Unseen::NoGil),
                ..request("5f2c-3", "/api/basket", 40)
            },
        ]);
        first.more_requests = 3;
        let second = &mut status.workers[1];
        second.state = "draining".to_owned();
        second.requests = None;
        history.add(status);
        history
    }

    #[test]
    fn requests_of_all_workers_are_sorted_by_age() {
        let history = busy();
        let view = View::of(&history);
        let ids: Vec<_> = view
            .requests
            .iter()
            .map(|running| &running.request.id[5..])
            .collect();
        assert_eq!(ids, ["2", "1", "3"]);
        assert_eq!(view.choices().len(), 5);
    }
}
