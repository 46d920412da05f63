//! When workers are replaced: `max_requests`, `max_lifetime`, `memory_soft_limit`.

use crate::fault::Fault;
use crate::key_path::quoted;
use crate::model::{Recycling, Server};
use crate::reader::Table;
use crate::units::print_size;

use super::Check;
use super::application::optional;
use super::machine_memory;

const MB: u64 = 1 << 20;

impl Check<'_, '_> {
    pub(super) fn recycling(
        &mut self,
        table: &Table<'_>,
        server: Option<&Server>,
        processes: Option<usize>,
    ) -> Option<Recycling> {
        let max_requests = optional(table, "max_requests", || {
            self.reader.count(table, "max_requests")
        });
        let max_lifetime = optional(table, "max_lifetime", || {
            self.reader.duration(table, "max_lifetime")
        });
        let written = optional(table, "memory_soft_limit", || {
            self.reader.size(table, "memory_soft_limit")
        });
        let master = server.is_none_or(|server| server.master);
        if !master {
            self.nobody_replaces(table)?;
        }
        let memory_soft_limit_bytes = match written? {
            Some(bytes) => Some(bytes),
            None if master => self.share(table, processes?),
            None => None,
        };
        Some(Recycling {
            max_requests: max_requests?.flatten().map(|count| count as u64),
            max_lifetime: max_lifetime?,
            memory_soft_limit_bytes,
        })
    }

    /// What a worker may take so that all of them, and one successor, fit.
    fn share(&mut self, table: &Table<'_>, processes: usize) -> Option<u64> {
        let total = machine_memory::bytes()?;
        let share = total / 5 * 4 / (processes as u64 + 1);
        let share = (share / MB).max(1) * MB;
        self.reader
            .assume(table, "memory_soft_limit", quoted(&print_size(share)));
        Some(share)
    }

    fn nobody_replaces(&mut self, table: &Table<'_>) -> Option<()> {
        let mut good = Some(());
        for key in ["max_requests", "max_lifetime", "memory_soft_limit"] {
            if let Some(entry) = table.entry(key) {
                self.reader
                    .fault_at(Fault::ReplacementWithoutMaster { key }, &entry);
                good = None;
            }
        }
        good
    }
}
