//! Whether the GIL is to be had, and who keeps it; known without ever waiting for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::overdue::Overdue;
use crate::post::Post;
use crate::strike::Striker;

/// Processor time between two looks that one who waits for the GIL does not take.
const COMPUTES: Duration = Duration::from_millis(10);

/// What the watch knows of the GIL.
pub(crate) struct Gil {
    posts: Arc<[Post]>,
    /// Started when it is first needed: most workers never do.
    striker: Option<Striker>,
    /// Since when it is not to be had.
    pub(crate) kept_since: Option<Instant>,
    /// While it is kept: the processor time of each thread at the last look.
    cpu: Vec<Duration>,
    /// And which of them compute; empty as long as none is known to.
    computes: Vec<bool>,
    /// How often that was looked at.
    looks: u32,
}

impl Gil {
    pub(crate) fn new(posts: Arc<[Post]>) -> Self {
        Gil {
            posts,
            striker: None,
            kept_since: None,
            cpu: Vec::new(),
            computes: Vec::new(),
            looks: 0,
        }
    }

    /// Finds out, for the next look, whether it is to be had.
    pub(crate) fn try_for(&mut self, now: Instant) {
        if let Some(striker) = self.striker() {
            striker.try_gil(now);
        }
    }

    /// Ends an overdue request, as soon as it is to be had.
    pub(crate) fn strike(&mut self, overdue: Arc<Overdue>) {
        if let Some(striker) = self.striker() {
            striker.strike(overdue);
        }
    }

    /// Looks; returns for how long it has not been to be had.
    pub(crate) fn look(&mut self, now: Instant) -> Duration {
        self.kept_since = self.striker.as_mut().and_then(Striker::gil_kept_since);
        match self.kept_since {
            Some(since) => {
                self.see_who_computes();
                now - since
            }
            None => {
                self.cpu.clear();
                self.computes.clear();
                self.looks = 0;
                Duration::ZERO
            }
        }
    }

    /// Whether who keeps it would be known by now, if that can be known. On a busy machine looks are
    /// rare, and the first two may fall where nobody computed.
    pub(crate) fn has_looked(&self) -> bool {
        self.looks > 2
    }

    /// The place of a call that keeps it, as far as that is known.
    pub(crate) fn keeper(&self) -> Option<usize> {
        self.computes.iter().position(|computes| *computes)
    }

    /// Whether the call at this place keeps it.
    pub(crate) fn is_kept_by(&self, place: usize) -> bool {
        self.computes.get(place) == Some(&true)
    }

    /// Puts back the clocks of those that a keeper holds up by `time`, by `most` in sum.
    pub(crate) fn spare_bystanders(&self, time: Duration, most: Duration) {
        let posts = self.posts.iter().zip(&self.computes);
        for (post, _) in posts.filter(|(_, computes)| !**computes) {
            post.look(|call| call.spare(time, most));
        }
    }

    /// One of several calls keeps the GIL: it computes, and the others do not. (Those that wait for
    /// the GIL wake up so often that the kernel's word for it, running or not, says little.) Where
    /// none does, it waits for something in C, and nobody can tell which of them does.
    fn see_who_computes(&mut self) {
        let cpu: Vec<Duration> = self.posts.iter().map(Post::cpu_time).collect();
        let earlier = self.cpu.iter().chain(std::iter::repeat(&Duration::MAX));
        let spent = cpu.iter().zip(earlier);
        let spent: Vec<Duration> = spent.map(|(now, then)| now.saturating_sub(*then)).collect();
        let most = spent.iter().max().copied().unwrap_or_default();
        // Others may have had the processors: then what was seen before still holds.
        if most >= COMPUTES {
            self.computes = spent.iter().map(|spent| *spent * 2 >= most).collect();
        }
        self.cpu = cpu;
        self.looks = self.looks.saturating_add(1);
    }

    fn striker(&mut self) -> Option<&mut Striker> {
        if self.striker.is_none() {
            match Striker::start(Arc::clone(&self.posts)) {
                Ok(striker) => self.striker = Some(striker),
                Err(error) => {
                    tracing::error!(%error, "cannot start the thread that ends requests");
                }
            }
        }
        self.striker.as_mut()
    }
}
