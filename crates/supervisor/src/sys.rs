//! The calls into libc: the supervisor's one unsafe module.

#![allow(
    unsafe_code,
    reason = "system calls that neither std nor socket2 offers"
)]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

mod daemon;
mod first_process;
mod identity;

pub(crate) use daemon::{Fork, fork, new_session, redirect};
pub(crate) use first_process::{Waiting, reap_any, wait_for_signals};
pub(crate) use identity::{Sacrifice, as_account, group, may_become_another, restrict, sacrifice};

/// Whether code may be executed from a memory file. Linux 6.3 wants it said, and where
/// `vm.memfd_noexec` is 2 it refuses files of which it was not denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Execution {
    /// `MFD_NOEXEC_SEAL`.
    Denied = 0x8,
    /// `MFD_EXEC`.
    Allowed = 0x10,
}

/// What a child must know of the calling process before it executes its program.
pub(crate) struct Inheritance {
    /// Descriptors that stay open in the child; all others are close-on-exec.
    pub(crate) keep: Vec<RawFd>,
    /// The child dies when the thread that started it does. (It is the *thread* the kernel
    /// watches: children are started from the main thread only.)
    pub(crate) die_with_parent: bool,
}

/// Lets the runtime wait until there is something to read.
pub(crate) fn await_readable(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` has the same, open descriptor until it is dropped, and the `AsyncFd`
    // keeps it for itself until it has deregistered it.
    let registered = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
    Ok(registered?)
}

/// Applies `inheritance` to the processes `command` starts.
pub(crate) fn inherit(command: &mut Command, inheritance: Inheritance) {
    let parent = std::process::id();
    let in_child = move || {
        for fd in &inheritance.keep {
            clear_close_on_exec(*fd)?;
        }
        if inheritance.die_with_parent {
            die_with_parent(parent)?;
        }
        Ok(())
    };
    // SAFETY: the closure runs between fork and exec and only makes system calls that are
    // async-signal-safe; it allocates nothing (an `io::Error` of an errno does not allocate).
    unsafe { command.pre_exec(in_child) };
}

fn clear_close_on_exec(fd: RawFd) -> io::Result<()> {
    // SAFETY: fcntl with F_SETFD takes no pointer; a wrong descriptor is reported as EBADF.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, 0) })?;
    Ok(())
}

/// Asks for SIGKILL at the parent's death, and minds that it may have died already.
fn die_with_parent(parent: u32) -> io::Result<()> {
    // SAFETY: PR_SET_PDEATHSIG takes a signal number and no pointer.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })?;
    if std::os::unix::process::parent_id() != parent {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    Ok(())
}

/// Sends `signal` to process `pid`, or to the process group of a negative one. The process must
/// be a child that has not been waited for: then its number cannot belong to anyone else.
pub(crate) fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: kill takes no pointer.
    check(unsafe { libc::kill(pid, signal) })?;
    Ok(())
}

/// Leaves a descriptor open, across exec too, until the process ends.
pub(crate) fn keep_open(file: File) -> io::Result<()> {
    clear_close_on_exec(file.into_raw_fd())
}

/// Takes over a descriptor that was kept across exec; this process's children do not get it.
pub(crate) fn adopt(fd: RawFd) -> io::Result<OwnedFd> {
    close_on_exec(fd)?;
    // SAFETY: the handover names each descriptor once and is taken over once, so nobody else
    // owns it; that it is open was seen just now.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A descriptor whose owner is not known yet, to look at.
pub(crate) fn borrow<'fd>(fd: RawFd) -> io::Result<BorrowedFd<'fd>> {
    close_on_exec(fd)?;
    // SAFETY: it was open just now; the caller looks at it at once, before anything could close it.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

pub(crate) fn close_on_exec(fd: RawFd) -> io::Result<()> {
    // SAFETY: fcntl with F_SETFD takes no pointer; a wrong descriptor is reported as EBADF.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    Ok(())
}

/// What `command` executes in this process's place keeps these descriptors, and finds signals
/// that stop or reload waiting instead of dying of them before it listens.
pub(crate) fn keep_across_exec(command: &mut Command, descriptors: Vec<RawFd>) {
    let before_exec = move || {
        for fd in &descriptors {
            clear_close_on_exec(*fd)?;
        }
        mask_signals(libc::SIG_BLOCK)
    };
    // SAFETY: as in `inherit`; here it runs in this process, which is no less than that.
    unsafe { command.pre_exec(before_exec) };
}

/// Lets those signals come.
pub(crate) fn unblock_signals() -> io::Result<()> {
    mask_signals(libc::SIG_UNBLOCK)
}

fn mask_signals(how: libc::c_int) -> io::Result<()> {
    const SIGNALS: [libc::c_int; 6] = [
        libc::SIGTERM,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGHUP,
        libc::SIGUSR1,
        libc::SIGUSR2,
    ];
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set it is given.
    check(unsafe { libc::sigemptyset(set.as_mut_ptr()) })?;
    for signal in SIGNALS {
        // SAFETY: the set is initialised, the signals are valid.
        check(unsafe { libc::sigaddset(set.as_mut_ptr(), signal) })?;
    }
    // SAFETY: the set is initialised; the old mask is not asked for.
    match unsafe { libc::pthread_sigmask(how, set.as_ptr(), std::ptr::null_mut()) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Whether a descendant whose parent ends becomes this process's child, and not that of the first
/// process.
pub(crate) fn adopt_orphans(adopts: bool) -> io::Result<()> {
    // SAFETY: PR_SET_CHILD_SUBREAPER takes a number and no pointer.
    check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, libc::c_ulong::from(adopts)) })?;
    Ok(())
}

/// How child `pid` has ended, if it has; it must not have been waited for.
pub(crate) fn reap(pid: u32) -> io::Result<Option<ExitStatus>> {
    let Ok(pid) = libc::pid_t::try_from(pid) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mut status = 0;
    // SAFETY: the pointer is to a local.
    let found = check(unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) })?;
    Ok((found == pid).then(|| ExitStatus::from_raw(status)))
}

/// Microseconds of the clock that is never set: CLOCK_MONOTONIC.
pub(crate) fn monotonic_micros() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a local.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    u64::try_from(now.tv_sec * 1_000_000 + now.tv_nsec / 1000).unwrap_or_default()
}

/// The user this process acts as.
pub(crate) fn user() -> u32 {
    // SAFETY: geteuid takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

/// The process at the other end of a socket, as it was when that end was opened.
pub(crate) fn peer(stream: &UnixStream) -> io::Result<u32> {
    let mut peer = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let mut len = std::mem::size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: both pointers are to locals of the stated size, which outlive the call.
    check(unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut len,
        )
    })?;
    Ok(peer.pid.unsigned_abs())
}

/// A memory file that can be sealed.
pub(crate) fn memory_file(name: &std::ffi::CStr, execution: Execution) -> io::Result<File> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    match memfd_create(name, flags | execution as libc::c_uint) {
        // Before Linux 6.3 the flags were unknown and every memory file executable.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => memfd_create(name, flags),
        other => other,
    }
}

fn memfd_create(name: &std::ffi::CStr, flags: libc::c_uint) -> io::Result<File> {
    // SAFETY: `name` is NUL-terminated and outlives the call.
    let fd = check(unsafe { libc::memfd_create(name.as_ptr(), flags) })?;
    // SAFETY: the call succeeded, so `fd` is open and nobody else's.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// Forbids any further change to a memory file.
pub(crate) fn seal(file: &File) -> io::Result<()> {
    let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE | libc::F_SEAL_SEAL;
    // SAFETY: F_ADD_SEALS takes an integer and no pointer.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) })?;
    Ok(())
}

/// Whether code in `file` could be mapped for execution, as dlopen will: `noexec` mounts,
/// `vm.memfd_noexec` and security modules refuse here.
pub(crate) fn may_execute(file: &File) -> io::Result<()> {
    const LEN: usize = 1;
    // SAFETY: a new mapping at an address of the kernel's choice replaces none; nobody reads it.
    let address = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            LEN,
            libc::PROT_READ | libc::PROT_EXEC,
            libc::MAP_PRIVATE,
            file.as_raw_fd(),
            0,
        )
    };
    if address == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: exactly the mapping made above, to which no reference exists.
    check(unsafe { libc::munmap(address, LEN) })?;
    Ok(())
}

/// Tells the kernel that the pages of `bytes` are not needed for now. They count as resident
/// memory otherwise; read again, they come back from the file they are mapped from.
pub(crate) fn forget_pages(bytes: &'static [u8]) {
    let page = page_size();
    let skipped = bytes.as_ptr().align_offset(page);
    let len = bytes.len().saturating_sub(skipped) / page * page;
    if len > 0 {
        // SAFETY: the range lies inside `bytes`, which is a constant: a private mapping of the
        // executable that nobody writes to.
        unsafe { forget(bytes.as_ptr().wrapping_add(skipped), len) };
    }
}

/// The same for all code and constants of this executable. Most of what a start or a reload reads
/// (project file, packages, messages) is not read again until the next one.
pub(crate) fn forget_code() {
    // SAFETY: the callback is of the type asked for, and takes no data.
    unsafe { libc::dl_iterate_phdr(Some(forget_segments), std::ptr::null_mut()) };
}

/// Called with the executable first (dl_iterate_phdr(3)); what it returns ends the iteration.
unsafe extern "C" fn forget_segments(
    executable: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    _data: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: dl_iterate_phdr passes a valid description.
    let executable = unsafe { &*executable };
    let count = usize::from(executable.dlpi_phnum);
    // SAFETY: the description says how many headers there are, and they stay mapped.
    let headers = unsafe { std::slice::from_raw_parts(executable.dlpi_phdr, count) };
    let page = page_size();
    for header in headers {
        // Relocations are part of a segment that was writable once.
        if header.p_type != libc::PT_LOAD || header.p_flags & libc::PF_W != 0 {
            continue;
        }
        let first = (executable.dlpi_addr + header.p_vaddr) as usize;
        let end = (first + header.p_memsz as usize) / page * page;
        let start = first.next_multiple_of(page);
        if start < end {
            // SAFETY: whole pages of a segment that is mapped for reading only, so nobody has
            // written to them.
            unsafe { forget(std::ptr::with_exposed_provenance(start), end - start) };
        }
    }
    1
}

/// Drops the pages in a range.
///
/// # Safety
/// Page-aligned, a private mapping of a file, and never written to: what was written is lost.
unsafe fn forget(start: *const u8, len: usize) {
    // SAFETY: the caller promises that the file holds what the pages do.
    let result = unsafe { libc::madvise(start as *mut libc::c_void, len, libc::MADV_DONTNEED) };
    if result != 0 {
        tracing::debug!(error = %io::Error::last_os_error(), "pages of the executable stay resident");
    }
}

fn page_size() -> usize {
    // SAFETY: sysconf takes no pointer.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    /// What the kernel maps around a page that is read, if the file is in its cache.
    const AROUND: usize = 64 << 10;
    /// A constant of the executable, as the worker library is.
    static CONSTANT: [u8; 8 * AROUND] = [7; 8 * AROUND];

    /// How many pages are mapped, of those that no neighbour's reader maps: bit 63 of each entry
    /// of `/proc/self/pagemap`.
    fn resident_pages() -> usize {
        let page = page_size();
        let inner = CONSTANT[AROUND..7 * AROUND].as_ptr_range();
        let map = File::open("/proc/self/pagemap").unwrap();
        (inner.start.addr() / page + 1..inner.end.addr() / page)
            .filter(|number| {
                let mut entry = [0; 8];
                map.read_exact_at(&mut entry, *number as u64 * 8).unwrap();
                u64::from_ne_bytes(entry) >> 63 == 1
            })
            .count()
    }

    fn read_all() {
        assert!(
            std::hint::black_box(&CONSTANT)
                .iter()
                .all(|byte| *byte == 7)
        );
    }

    #[test]
    fn forgotten_pages_come_back_with_what_they_held() {
        for forget in [|| forget_pages(&CONSTANT), forget_code as fn()] {
            read_all();
            assert!(resident_pages() > 0);
            forget();
            assert_eq!(resident_pages(), 0);
        }
        read_all();
    }
}
