//! The bridge's calls into libc, the kernel and CPython, as far as there is no safe wrapper.
#![allow(unsafe_code)] // descriptors that Python owns, per-thread priority, latin-1

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// What a thread does, as the kernel shows it.
pub(crate) struct ThreadState {
    id: ThreadId,
    stat: Option<File>,
    schedstat: Option<File>,
}

impl ThreadState {
    /// The calling thread's.
    pub(crate) fn of_this_thread() -> Self {
        let open = |name: &str| File::open(format!("/proc/thread-self/{name}")).ok();
        ThreadState {
            id: ThreadId::of_this_thread(),
            stat: open("stat"),
            schedstat: open("schedstat"),
        }
    }

    /// How long it has computed so far, and waited for a processor, as far as the kernel says; none
    /// for a thread that has ended.
    ///
    /// (What `schedstat` says of the first is as old as the last tick of the kernel's clock, which
    /// is 4 ms.)
    pub(crate) fn times(&self) -> Option<(Duration, Duration)> {
        Some((self.id.cpu_time()?, self.waited().unwrap_or_default()))
    }

    fn waited(&self) -> Option<Duration> {
        let mut text = [0; 64];
        let len = self.schedstat.as_ref()?.read_at(&mut text, 0).ok()?;
        // `ran waited slices`, the times in nanoseconds.
        let text = std::str::from_utf8(&text[..len]).ok()?;
        let waited = text.split_ascii_whitespace().nth(1)?;
        Some(Duration::from_nanos(waited.parse().ok()?))
    }

    /// Running or waiting for a processor, not for anything else. Without `/proc` every thread
    /// counts as blocked: more threads join than need be, and all else holds.
    pub(crate) fn is_running(&self) -> bool {
        let Some(stat) = &self.stat else { return false };
        let mut text = [0; 64];
        // `123 (name) S …`: the name may hold anything, its closing bracket is the last.
        let Ok(len) = stat.read_at(&mut text, 0) else {
            return false;
        };
        let text = &text[..len];
        memchr::memrchr(b')', text).and_then(|end| text.get(end + 2)) == Some(&b'R')
    }
}

/// Makes the calling thread yield to the front, from which it has its priority, when both want a
/// processor. Lowering a priority needs no right; beyond the lowest the kernel stays there.
pub(crate) fn yield_to_front(by: i32) {
    // SAFETY: getpriority(2) and setpriority(2) touch no memory; 0 names the calling thread.
    unsafe {
        let nice = libc::getpriority(libc::PRIO_PROCESS, 0);
        libc::setpriority(libc::PRIO_PROCESS, 0, nice + by);
    }
}

/// A thread of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ThreadId {
    /// The number that `threading.get_ident()` gives as well.
    ident: libc::pthread_t,
    /// The kernel's.
    tid: libc::pid_t,
}

impl ThreadId {
    pub(crate) fn of_this_thread() -> Self {
        // SAFETY: pthread_self(3) and gettid(2) touch no memory.
        let (ident, tid) = unsafe { (libc::pthread_self(), libc::gettid()) };
        ThreadId { ident, tid }
    }

    /// As Python has it.
    pub(crate) fn ident(self) -> libc::pthread_t {
        self.ident
    }

    /// Has the thread raise `exception`, a class, as soon as it executes bytecode; with none,
    /// takes back what it has not raised yet.
    pub(crate) fn set_async_exception(self, _: Python<'_>, exception: Option<&Bound<'_, PyAny>>) {
        let exception = exception.map_or(std::ptr::null_mut(), Bound::as_ptr);
        // SAFETY: the interpreter is attached (the token shows it), `exception` is alive for the
        // call, which takes a reference of its own, or null; a thread that is unknown to it is no
        // error. An unsigned long since 3.7, whatever pyo3 calls it.
        unsafe { ffi::PyThreadState_SetAsyncExc(self.ident as libc::c_long, exception) };
    }

    /// Processor time that it has taken; none for a thread that has ended.
    pub(crate) fn cpu_time(self) -> Option<Duration> {
        // What pthread_getcpuclockid(3) would find out of a thread that must not have ended.
        let clock = (!self.tid << 3) | 0b110;
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: clock_gettime(2) writes to the structure, and refuses a clock that is none.
        match unsafe { libc::clock_gettime(clock, &raw mut time) } {
            0 => Some(Duration::new(
                time.tv_sec.try_into().ok()?,
                time.tv_nsec.try_into().ok()?,
            )),
            _ => None,
        }
    }

    /// Sends a signal to the thread; no error if it has ended.
    pub(crate) fn send(self, signal: libc::c_int) -> bool {
        // SAFETY: getpid(2) and tgkill(2) touch no memory. (pthread_kill(3) would, of a thread
        // that has ended.)
        unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), self.tid, signal) == 0 }
    }
}

/// The signal by which a thread shows its stack. The last but one: the first real-time signals
/// are what libraries take, the last is what debuggers do.
pub(crate) fn stack_signal() -> libc::c_int {
    libc::SIGRTMAX() - 1
}

/// Bytes as `str`, each byte one code point.
pub(crate) fn latin1<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    let (text, len) = (bytes.as_ptr().cast(), bytes.len() as ffi::Py_ssize_t);
    // SAFETY: the interpreter is attached (the token shows it); `text` is `len` bytes, which are
    // copied. What comes back is a new reference to a `str`, or null with an exception set.
    unsafe {
        let text = ffi::PyUnicode_DecodeLatin1(text, len, std::ptr::null());
        Ok(Bound::from_owned_ptr_or_err(py, text)?.cast_into_unchecked())
    }
}

/// Returns what Python has freed while it imported to the system.
pub(crate) fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) may be called at any time by any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// A descriptor of our own for a file that Python owns.
pub(crate) fn duplicate(fd: RawFd) -> std::io::Result<File> {
    // SAFETY: fcntl(2) touches no memory; a descriptor that is not open gives EBADF.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: `copy` was just created and belongs to nobody else.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(copy) });
    debug_assert!(file.as_raw_fd() >= 3);
    Ok(file)
}
