//! What a process takes.

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// Resident memory of a running process, in bytes.
pub(crate) fn resident(pid: u32) -> Option<u64> {
    let pid = Pid::from_u32(pid);
    let mut system = System::new().ok()?;
    system.refresh_processes_specifics(
        ProcessesToUpdate::Some(&[pid]),
        false,
        ProcessRefreshKind::nothing().with_memory().without_tasks(),
    );
    Some(system.process(pid)?.memory())
}

/// The same in whole megabytes of a million bytes.
pub(crate) fn resident_megabytes(pid: u32) -> Option<u64> {
    resident(pid).map(|bytes| bytes / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_takes_memory_and_no_process_takes_none() {
        assert!(resident_megabytes(std::process::id()).is_some_and(|megabytes| megabytes > 0));
        assert_eq!(resident(u32::MAX >> 2), None);
    }
}
