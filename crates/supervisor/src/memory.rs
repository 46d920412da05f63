//! What a process takes.

use std::time::Duration;

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// Memory and processor time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Resident memory in bytes.
    pub(crate) resident: u64,
    /// Since it was started, by all of its threads.
    pub(crate) cpu: Duration,
}

/// What a running process takes.
pub(crate) fn usage(pid: u32) -> Option<Usage> {
    let pid = Pid::from_u32(pid);
    let mut system = System::new().ok()?;
    system.refresh_processes_specifics(
        ProcessesToUpdate::Some(&[pid]),
        false,
        ProcessRefreshKind::nothing()
            .with_memory()
            .with_cpu()
            .without_tasks(),
    );
    let process = system.process(pid)?;
    Some(Usage {
        resident: process.memory(),
        cpu: Duration::from_millis(process.accumulated_cpu_time()),
    })
}

/// Resident memory of a running process, in bytes.
pub(crate) fn resident(pid: u32) -> Option<u64> {
    usage(pid).map(|usage| usage.resident)
}

/// A process's share of memory, in bytes, where pages that several have are divided among them:
/// what it would give back, were it alone in going. The kernel walks through all of them for it,
/// some milliseconds for a gigabyte; none without the right to know.
pub(crate) fn proportional(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let kilobytes = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kilobytes: u64 = kilobytes.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
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
        assert_eq!(proportional(u32::MAX >> 2), None);
    }

    #[test]
    fn this_process_has_a_share_and_has_computed() {
        let share = proportional(std::process::id()).unwrap();
        assert!(share > 0 && share < 2 * resident(std::process::id()).unwrap());
        let began = std::time::Instant::now();
        let mut sum = 0_u64;
        while usage(std::process::id()).unwrap().cpu.is_zero() {
            sum = (0..1_000_000).fold(sum, |sum, more: u64| sum.wrapping_mul(31) ^ more);
            assert!(began.elapsed() < Duration::from_secs(10), "{sum}");
        }
    }
}
