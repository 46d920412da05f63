//! What a process takes, and whether that grows.

use std::fs;

/// At one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    resident_kb: u64,
    descriptors: u64,
    threads: u64,
}

impl Sample {
    /// None if the process is gone.
    pub(crate) fn of(pid: i32) -> Option<Sample> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        Some(Sample {
            resident_kb: number("VmRSS:")?,
            descriptors: fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64,
            threads: number("Threads:")?,
        })
    }
}

/// Compares the last third with the second quarter: what is filled once is filled by then.
pub(crate) fn must_be_flat(name: &str, samples: &[Sample]) {
    let count = samples.len();
    assert!(count >= 20, "{count} samples of {name} show nothing");
    let (early, late) = (&samples[count / 4..count / 2], &samples[count * 2 / 3..]);
    // Of what comes and goes with requests the least is what stays; memory has no such floor.
    let resident = (median(early), median(late));
    let descriptors = (
        least(early, |s| s.descriptors),
        least(late, |s| s.descriptors),
    );
    let threads = (least(early, |s| s.threads), least(late, |s| s.threads));
    println!(
        "{name}: {} → {} KB resident, {} → {} descriptors, {} → {} threads, in {count} samples",
        resident.0, resident.1, descriptors.0, descriptors.1, threads.0, threads.1
    );
    assert!(
        resident.1 <= resident.0 + resident.0 / 20 + 3_000,
        "the memory of {name} grows"
    );
    // As many as clients that may be between two requests.
    assert!(
        descriptors.1 <= descriptors.0 + 8,
        "{name} loses descriptors"
    );
    assert!(threads.1 <= threads.0 + 2, "{name} loses threads");
}

fn median(samples: &[Sample]) -> u64 {
    let mut all: Vec<u64> = samples.iter().map(|sample| sample.resident_kb).collect();
    all.sort_unstable();
    all[all.len() / 2]
}

fn least(samples: &[Sample], of: impl Fn(&Sample) -> u64) -> u64 {
    samples.iter().map(of).min().unwrap_or_default()
}
