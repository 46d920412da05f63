//! The end of a process whose threads are stuck; its standard output and error.
#![allow(unsafe_code)] // _exit, kill, dup2

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use pyo3::prelude::*;

/// How long Python may take to flush its streams.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Has the process stop as if it had been told so from outside.
pub(crate) fn ask_to_stop() {
    // SAFETY: getpid(2) and kill(2) touch no memory; the signal's handler is tokio's.
    unsafe { libc::kill(libc::getpid(), libc::SIGTERM) };
}

/// Ends the process a second from now, whoever holds the GIL then.
pub(crate) fn end_soon(status: u8) {
    std::thread::spawn(move || {
        std::thread::sleep(LAST_WORDS);
        // SAFETY: _exit(2) runs no destructors and touches no memory of ours.
        unsafe { libc::_exit(status.into()) };
    });
}

/// Ends the process without Python's own end, which would wait for the threads that are stuck.
/// Returns only if that fails.
pub(crate) fn end_now(py: Python<'_>, status: u8) -> u8 {
    let flush_and_end = || -> PyResult<()> {
        flush(py)?;
        py.import("os")?.call_method1("_exit", (status,)).map(drop)
    };
    if let Err(error) = flush_and_end() {
        tracing::error!(%error, "cannot end at once");
    }
    status
}

/// Writes what Python's streams hold back.
pub(crate) fn flush(py: Python<'_>) -> PyResult<()> {
    let sys = py.import("sys")?;
    for name in ["stdout", "stderr"] {
        let stream = sys.getattr(name)?;
        // In a process that was started without.
        if !stream.is_none() {
            stream.call_method0("flush")?;
        }
    }
    Ok(())
}

/// Ends a forked process, which has nothing to clear away.
pub(crate) fn end(status: i32) -> ! {
    // SAFETY: _exit(2) runs no destructors and touches no memory of ours.
    unsafe { libc::_exit(status) }
}

/// Has the process die with its parent, which must be `parent`.
pub(crate) fn die_with(parent: u32) -> io::Result<()> {
    // SAFETY: PR_SET_PDEATHSIG takes a signal number and no pointer.
    if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } < 0 {
        return Err(io::Error::last_os_error());
    }
    match std::os::unix::process::parent_id() == parent {
        true => Ok(()),
        false => Err(io::Error::other("the supervisor is not its parent")),
    }
}

/// Binds this thread, and those that it starts from now on, to `count` of the CPUs that the process
/// may use: neighbouring slots (numbered from 1) to neighbouring ones, round and round.
pub(crate) fn bind(slot: usize, count: usize) -> io::Result<()> {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this)?;
    let numbers = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false));
    let numbers: Vec<usize> = numbers.collect();
    let mut bound = CpuSet::new();
    for cpu in share(&numbers, slot, count) {
        bound.set(cpu)?;
    }
    Ok(sched_setaffinity(this, &bound)?)
}

fn share(cpus: &[usize], slot: usize, count: usize) -> impl Iterator<Item = usize> {
    let first = slot.saturating_sub(1) * count;
    let count = count.min(cpus.len());
    cpus.iter().copied().cycle().skip(first).take(count)
}

/// Has `ps` show `label` where the command line says `before`; cut to its length.
pub(crate) fn relabel(before: &str, label: &str) -> io::Result<()> {
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The name, in parentheses, may hold anything; `arg_start` is the 46th field behind it.
    let (_, fields) = stat.rsplit_once(") ").ok_or_else(missing)?;
    let start = fields
        .split(' ')
        .nth(45)
        .and_then(|field| field.parse().ok());
    let start: u64 = start.filter(|start| *start > 0).ok_or_else(missing)?;
    let line = std::fs::read("/proc/self/cmdline")?;
    let at = memchr::memmem::find(&line, before.as_bytes()).ok_or_else(missing)?;
    let mut bytes = label.as_bytes().to_vec();
    bytes.resize(before.len(), b' ');
    let memory = std::fs::OpenOptions::new()
        .write(true)
        .open("/proc/self/mem")?;
    memory.write_all_at(&bytes, start + at as u64)
}

/// Puts `pipes` where standard output and error are; what was there.
pub(crate) fn redirect_output(pipes: &[impl AsFd; 2]) -> io::Result<[OwnedFd; 2]> {
    let saved = [
        io::stdout().as_fd().try_clone_to_owned()?,
        io::stderr().as_fd().try_clone_to_owned()?,
    ];
    for (pipe, (standard, name)) in pipes
        .iter()
        .zip([(libc::STDOUT_FILENO, "out"), (libc::STDERR_FILENO, "err")])
    {
        // SAFETY: dup2(2) touches no memory; both descriptors are open, and nobody but this process's
        // standard streams means the one that is replaced.
        if unsafe { libc::dup2(pipe.as_fd().as_raw_fd(), standard) } < 0 {
            tracing::debug!(name, "a standard stream stays as it is");
        }
    }
    Ok(saved)
}

/// Puts back what [`redirect_output`] has taken away.
pub(crate) fn restore_output(saved: &[OwnedFd; 2]) {
    for (standard, saved) in [libc::STDOUT_FILENO, libc::STDERR_FILENO].iter().zip(saved) {
        // SAFETY: as above.
        unsafe { libc::dup2(saved.as_raw_fd(), *standard) };
    }
}

#[cfg(test)]
mod tests {
    use super::share;

    fn shares(cpus: &[usize], count: usize) -> Vec<Vec<usize>> {
        (1..=4)
            .map(|slot| share(cpus, slot, count).collect())
            .collect()
    }

    #[test]
    fn slots_share_cpus_round_and_round() {
        assert_eq!(shares(&[0, 2, 5], 1), [[0], [2], [5], [0]]);
        assert_eq!(shares(&[0, 2, 5], 2), [[0, 2], [5, 0], [2, 5], [0, 2]]);
    }

    #[test]
    fn more_than_there_are_is_all() {
        assert_eq!(shares(&[3, 7], 8), vec![vec![3, 7]; 4]);
    }
}
