//! Figures as they were read: what can be added up, and what only holds at the moment.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::{Figures, Histogram};

/// What has been counted so far: never less than before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Requests that were answered, or whose clients left before.
    pub requests: Requests,
    /// From the end of a request's head to the last byte of its answer.
    pub request_time: Distribution,
    /// How long requests waited for a Python thread.
    pub queue_time: Distribution,
    /// How long Python threads were at them.
    pub application_time: Distribution,
    /// Bytes of responses.
    pub bytes_sent: u64,
    /// Connections that were accepted.
    pub connections: u64,
}

/// How it is at the moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Levels {
    /// Open connections.
    pub connections_open: u64,
    /// Requests that wait for a Python thread.
    pub queue_length: u64,
    /// Python threads.
    pub threads: u64,
    /// Those with a request.
    pub threads_busy: u64,
}

/// Requests by the class of their answer's status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Requests {
    /// Successful.
    #[serde(rename = "2xx")]
    pub successful: u64,
    /// Redirected, or not modified.
    #[serde(rename = "3xx")]
    pub redirected: u64,
    /// The client's fault.
    #[serde(rename = "4xx")]
    pub refused: u64,
    /// Ours, or the application's.
    #[serde(rename = "5xx")]
    pub failed: u64,
    /// The client left before there was an answer.
    #[serde(rename = "none")]
    pub abandoned: u64,
}

/// A histogram.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Distribution {
    /// How many fell between one bound and the next; see [`bounds`](crate::bounds).
    pub buckets: Vec<u64>,
    /// Of all of them, in nanoseconds: a float's sum could come back a little less from JSON.
    pub sum_ns: u64,
}

impl Requests {
    /// All of them, with the names of their classes.
    pub fn by_class(&self) -> [(&'static str, u64); 5] {
        [
            ("2xx", self.successful),
            ("3xx", self.redirected),
            ("4xx", self.refused),
            ("5xx", self.failed),
            ("none", self.abandoned),
        ]
    }
}

impl Distribution {
    fn of(histogram: &Histogram) -> Distribution {
        Distribution {
            buckets: histogram.buckets(),
            sum_ns: histogram.sum_ns(),
        }
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        let add = |sum: u64, more: &u64| sum.saturating_add(*more);
        self.buckets.iter().fold(0, add)
    }
}

impl Totals {
    pub(crate) fn of(figures: &Figures) -> Totals {
        let [successful, redirected, refused, failed, abandoned] =
            figures.front.requests.each_ref().map(|class| class.get());
        Totals {
            requests: Requests {
                successful,
                redirected,
                refused,
                failed,
                abandoned,
            },
            request_time: Distribution::of(&figures.front.request_time),
            queue_time: Distribution::of(&figures.pool.queue_time),
            application_time: Distribution::of(&figures.pool.application_time),
            bytes_sent: figures.front.bytes_sent.get(),
            connections: figures.front.connections.get(),
        }
    }
}

impl Levels {
    pub(crate) fn of(figures: &Figures) -> Levels {
        Levels {
            connections_open: figures.front.connections_open.get(),
            queue_length: figures.pool.queue_length.get(),
            threads: figures.pool.threads.get(),
            threads_busy: figures.pool.threads_busy.get(),
        }
    }
}

impl AddAssign<&Totals> for Totals {
    fn add_assign(&mut self, other: &Totals) {
        let requests = &mut self.requests;
        add(&mut requests.successful, other.requests.successful);
        add(&mut requests.redirected, other.requests.redirected);
        add(&mut requests.refused, other.requests.refused);
        add(&mut requests.failed, other.requests.failed);
        add(&mut requests.abandoned, other.requests.abandoned);
        self.request_time += &other.request_time;
        self.queue_time += &other.queue_time;
        self.application_time += &other.application_time;
        add(&mut self.bytes_sent, other.bytes_sent);
        add(&mut self.connections, other.connections);
    }
}

impl AddAssign<&Distribution> for Distribution {
    fn add_assign(&mut self, other: &Distribution) {
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        for (sum, more) in self.buckets.iter_mut().zip(&other.buckets) {
            add(sum, *more);
        }
        add(&mut self.sum_ns, other.sum_ns);
    }
}

impl AddAssign<&Levels> for Levels {
    fn add_assign(&mut self, other: &Levels) {
        add(&mut self.connections_open, other.connections_open);
        add(&mut self.queue_length, other.queue_length);
        add(&mut self.threads, other.threads);
        add(&mut self.threads_busy, other.threads_busy);
    }
}

/// A worker's application could have written anything into its page.
fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}
