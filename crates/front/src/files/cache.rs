//! Hot files in memory, bounded in bytes and in staleness.
//!
//! An entry is believed for [`FRESH`]; the first request after that has it compared with the file
//! system, while others still get it. Only what exists is kept: a million made-up names leave
//! nothing behind. When the bound is reached, the least recently used eighth goes at once, so the
//! search for it is amortised.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::lookup::Entry;

/// How long an entry is served without a look at the file system.
const FRESH: Duration = Duration::from_secs(1);

/// Bytes a worker keeps unless told otherwise.
const DEFAULT_BUDGET_BYTES: usize = 64 << 20;

/// The files which the folders of one worker keep in memory.
#[derive(Debug)]
pub struct Cache {
    budget_bytes: usize,
    // Used by the front's one thread: the lock is never waited for.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    folders: Vec<HashMap<Box<[u8]>, Slot>>,
    bytes: usize,
    clock: u64,
}

#[derive(Debug)]
struct Slot {
    entry: Arc<Entry>,
    checked: Instant,
    used: u64,
}

/// One folder's part of the cache.
#[derive(Debug, Clone, Copy)]
pub(super) struct FolderId(usize);

/// What the cache knows of a name.
pub(super) enum Known {
    /// Serve it.
    Fresh(Arc<Entry>),
    /// The caller is to compare it with the file system; until then others get it as fresh.
    Due(Arc<Entry>),
    /// Nothing.
    Unknown,
}

impl Default for Cache {
    fn default() -> Cache {
        Cache::new(DEFAULT_BUDGET_BYTES)
    }
}

impl Cache {
    /// A cache which holds at most `budget_bytes`.
    pub fn new(budget_bytes: usize) -> Cache {
        Cache {
            budget_bytes,
            state: Mutex::default(),
        }
    }

    pub(super) fn add_folder(&self) -> FolderId {
        let mut state = self.lock();
        state.folders.push(HashMap::new());
        FolderId(state.folders.len() - 1)
    }

    /// An entry that needs no check, if there is one.
    pub(super) fn fresh(&self, folder: FolderId, key: &[u8]) -> Option<Arc<Entry>> {
        let mut state = self.lock();
        let slot = state.touch(folder, key)?;
        (slot.checked.elapsed() < FRESH).then(|| slot.entry.clone())
    }

    /// What there is. The caller who is told that a check is due has to do it.
    pub(super) fn get(&self, folder: FolderId, key: &[u8]) -> Known {
        let mut state = self.lock();
        let Some(slot) = state.touch(folder, key) else {
            return Known::Unknown;
        };
        let entry = slot.entry.clone();
        if slot.checked.elapsed() < FRESH {
            return Known::Fresh(entry);
        }
        slot.checked = Instant::now();
        Known::Due(entry)
    }

    pub(super) fn put(&self, folder: FolderId, key: &[u8], entry: Arc<Entry>) {
        let cost = entry.cost();
        let mut state = self.lock();
        state.remove(folder, key);
        // One file never pushes out everything else.
        if cost > self.budget_bytes / 8 {
            return;
        }
        if state.bytes + cost > self.budget_bytes {
            state.shrink_to(self.budget_bytes / 8 * 7 - cost);
        }
        state.bytes += cost;
        let slot = Slot {
            entry,
            checked: Instant::now(),
            used: state.clock,
        };
        state.folders[folder.0].insert(key.into(), slot);
    }

    pub(super) fn remove(&self, folder: FolderId, key: &[u8]) {
        self.lock().remove(folder, key);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic between two statements here leaves at worst a wrong sum of bytes.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn touch(&mut self, folder: FolderId, key: &[u8]) -> Option<&mut Slot> {
        self.clock += 1;
        let slot = self.folders[folder.0].get_mut(key)?;
        slot.used = self.clock;
        Some(slot)
    }

    fn remove(&mut self, folder: FolderId, key: &[u8]) {
        if let Some(slot) = self.folders[folder.0].remove(key) {
            self.bytes -= slot.entry.cost();
        }
    }

    fn shrink_to(&mut self, bytes: usize) {
        let slots = || self.folders.iter().flat_map(HashMap::values);
        let mut by_age: Vec<(u64, usize)> =
            slots().map(|slot| (slot.used, slot.entry.cost())).collect();
        by_age.sort_unstable();
        let mut left = self.bytes;
        let mut oldest_kept = 0;
        for (used, cost) in by_age {
            if left <= bytes {
                break;
            }
            left -= cost;
            oldest_kept = used + 1;
        }
        let mut freed = 0;
        for folder in &mut self.folders {
            folder.retain(|_, slot| {
                let keep = slot.used >= oldest_kept;
                freed += if keep { 0 } else { slot.entry.cost() };
                keep
            });
        }
        self.bytes -= freed;
    }
}
