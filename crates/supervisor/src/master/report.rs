//! What the master says of itself and its workers.

use std::collections::BTreeSet;
use std::path::PathBuf;

use appliance_figures::{Levels, Totals};
use appliance_project::Project;
use appliance_project::model::Site;

use super::Master;
use crate::preload::Preload;
use crate::protocol::{Counted, PreloadStatus, Status, WorkerStatus};

impl Master {
    pub(super) fn status(&self) -> Status {
        let mut workers: Vec<WorkerStatus> = self.workers.values().map(WorkerStatus::of).collect();
        // Stable: those of one slot stay in the order of their start.
        workers.sort_by_key(|worker| worker.worker);
        let (mut total, mut levels) = (Totals::default(), Levels::default());
        let counted = self.counted();
        let project = self.generation.project();
        counted.iter().for_each(|slot| total += &slot.totals);
        workers.iter().for_each(|worker| levels += &worker.levels);
        Status {
            counted,
            total,
            levels,
            state: self.state().to_owned(),
            generation: self.generation.number,
            python: self.python.clone(),
            addresses: self.generation.listeners.addresses(),
            https: self.generation.https(),
            uwsgi: self.generation.uwsgi(),
            unix: paths(project, |site| &site.unix),
            uwsgi_unix: paths(project, |site| &site.uwsgi.unix),
            workers,
            preload: self.preload(),
            replaced: self.replaced.clone(),
            last_failure: self.last_failure.clone(),
            ..Status::starting(&project.file, self.began)
        }
    }

    fn preload(&self) -> Option<PreloadStatus> {
        let preload = self.generation.preload.as_ref();
        let asked = self.generation.project().python.preload;
        asked.then(|| PreloadStatus::of(preload.and_then(Preload::pid)))
    }

    /// By slot; those that there are no more are still in the sum.
    fn counted(&self) -> Vec<Counted> {
        let mut sums = self.counted.clone();
        for worker in self.workers.values() {
            *sums.entry(worker.number()).or_default() += &worker.totals();
        }
        let counted = |(worker, totals)| Counted { worker, totals };
        sums.into_iter().map(counted).collect()
    }

    /// Counts workers that were followed by others.
    pub(super) fn count(&mut self, reason: &str, workers: usize) {
        *self.replaced.entry(reason.to_owned()).or_default() += workers as u64;
    }

    pub(super) fn state(&self) -> &'static str {
        if self.stopping {
            "stopping"
        } else if self.slots.is_empty() {
            "starting"
        } else if self.stand_in.is_some() && !self.someone_serves() {
            "failing"
        } else if self.trying.is_some() || self.inherited.is_some() {
            "upgrading"
        } else if self.may_reload() {
            "serving"
        } else {
            "reloading"
        }
    }
}

/// Paths of all sites, each once.
fn paths(project: &Project, of: impl Fn(&Site) -> &Vec<PathBuf>) -> Vec<PathBuf> {
    let paths: BTreeSet<&PathBuf> = project.sites.iter().flat_map(of).collect();
    paths.into_iter().cloned().collect()
}
