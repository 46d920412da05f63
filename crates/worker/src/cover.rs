//! Connections of other slots, accepted for them while their own workers are missing.
//!
//! Each such slot gets a front of its own over the same pool, so that it can be stopped without
//! closing the connections of this worker's own slot.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use appliance_bridge::Pool;
use appliance_front::{Front, Leave, Tickets};
use appliance_project::Project;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The slots of others, and which of them are covered.
pub(crate) struct Covers {
    project: Project,
    pool: Arc<Pool>,
    tickets: Arc<Tickets>,
    grace: Duration,
    /// By slot.
    others: HashMap<usize, Vec<(SocketAddr, TcpListener)>>,
    running: HashMap<usize, Cover>,
    /// Those that drain.
    ending: Vec<JoinHandle<usize>>,
}

struct Cover {
    stop: oneshot::Sender<Leave>,
    serving: JoinHandle<usize>,
}

impl Covers {
    pub(crate) fn new(
        project: &Project,
        pool: &Arc<Pool>,
        tickets: &Arc<Tickets>,
        others: Vec<(usize, SocketAddr, TcpListener)>,
    ) -> Covers {
        let mut by_slot: HashMap<usize, Vec<_>> = HashMap::new();
        for (slot, address, listener) in others {
            by_slot.entry(slot).or_default().push((address, listener));
        }
        Covers {
            project: project.clone(),
            pool: Arc::clone(pool),
            tickets: Arc::clone(tickets),
            grace: project.server.stop_timeout,
            others: by_slot,
            running: HashMap::new(),
            ending: Vec::new(),
        }
    }

    /// Covers these slots, and no others any more.
    pub(crate) fn set(&mut self, slots: &[usize]) {
        /// Those who are connected may ask once more.
        const IDLE: Duration = Duration::from_secs(5);
        let leave = Leave {
            idle: IDLE,
            closes: Vec::new(),
        };
        self.end_others(slots, &leave);
        for slot in slots {
            if !self.running.contains_key(slot)
                && let Some(cover) = self.start(*slot)
            {
                self.running.insert(*slot, cover);
            }
        }
    }

    /// Ends the covers of all slots but these.
    fn end_others(&mut self, slots: &[usize], leave: &Leave) {
        self.ending.retain(|ending| !ending.is_finished());
        let over = self.running.extract_if(|slot, _| !slots.contains(slot));
        for (_, cover) in over {
            // Its other end is there as long as it serves.
            let _ = cover.stop.send(leave.clone());
            self.ending.push(cover.serving);
        }
    }

    fn start(&self, slot: usize) -> Option<Cover> {
        let clone = |(address, listener): &(SocketAddr, TcpListener)| {
            Some((*address, listener.try_clone().ok()?))
        };
        let listeners: Vec<_> = self.others.get(&slot)?.iter().filter_map(clone).collect();
        let pool = Arc::clone(&self.pool);
        let front = Front::new(&self.project, pool, &self.tickets, crate::memory::give_back);
        // The worker's own front has been made of the same.
        let front = front
            .inspect_err(|error| tracing::error!(%error, slot, "cannot serve in its place"))
            .ok()?;
        let grace = self.grace;
        let (stop, stopped) = oneshot::channel();
        // Every worker accepts from the unix sockets anyway.
        let serving = tokio::spawn(async move {
            let stopped = async {
                // The sender is dropped with the worker.
                stopped.await.unwrap_or_default()
            };
            match appliance_front::serve(front, listeners, stopped, grace).await {
                Ok(left) => left,
                Err(error) => {
                    tracing::error!(%error, slot, "cannot serve in another worker's place");
                    0
                }
            }
        });
        tracing::debug!(slot, "serving in another worker's place");
        Some(Cover { stop, serving })
    }

    /// Accepts no more, and gives up the sockets: an address that is not served any more must not
    /// seem to be.
    pub(crate) fn stop(&mut self, leave: &Leave) {
        self.end_others(&[], leave);
        self.others.clear();
    }

    /// Waits for the end of all; how many connections had to be left.
    pub(crate) async fn left(self) -> usize {
        let mut left = 0;
        for ending in self.ending {
            left += ending.await.unwrap_or_default();
        }
        left
    }
}
