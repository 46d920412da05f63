//! Signals and children of the first process.

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use super::check;

/// What the first process waits for, and passes on but for the first.
const SIGNALS: [libc::c_int; 7] = [
    libc::SIGCHLD,
    libc::SIGTERM,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGHUP,
    libc::SIGUSR1,
    libc::SIGUSR2,
];

/// From its beginning on, signals wait until they are asked for.
pub(crate) struct Waiting {
    before: libc::sigset_t,
}

impl Waiting {
    pub(crate) fn begin() -> io::Result<Waiting> {
        let set = signals()?;
        let mut before = MaybeUninit::uninit();
        // SAFETY: the set is initialised; the call fills the other one, which is a local.
        match unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, before.as_mut_ptr()) }
        {
            0 => Ok(Waiting {
                // SAFETY: a call that succeeds has filled it.
                before: unsafe { before.assume_init() },
            }),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    /// Signals come as before, those that waited first.
    pub(crate) fn end(self) -> io::Result<()> {
        let before = &raw const self.before;
        // SAFETY: the set is initialised; the present one is not asked for.
        match unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, std::ptr::null_mut()) } {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
}

fn signals() -> io::Result<libc::sigset_t> {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set it is given.
    check(unsafe { libc::sigemptyset(set.as_mut_ptr()) })?;
    for signal in SIGNALS {
        // SAFETY: the set is initialised, the signals are valid.
        check(unsafe { libc::sigaddset(set.as_mut_ptr(), signal) })?;
    }
    // SAFETY: sigemptyset has initialised it.
    Ok(unsafe { set.assume_init() })
}

/// Waits for the next signal, and returns it if it is to be passed on: not the end of a child, and
/// not a terminal's, which sends its own to the whole foreground group.
pub(crate) fn wait_for_signals() -> Option<libc::c_int> {
    let set = signals().ok()?;
    let mut about = MaybeUninit::uninit();
    // SAFETY: the set is initialised; the call fills the local.
    let signal = check(unsafe { libc::sigwaitinfo(&raw const set, about.as_mut_ptr()) }).ok()?;
    // SAFETY: a call that succeeds has filled it.
    let about: libc::siginfo_t = unsafe { about.assume_init() };
    (signal != libc::SIGCHLD && about.si_code <= libc::SI_USER).then_some(signal)
}

/// Any child that has ended, and how; its number is free afterwards.
pub(crate) fn reap_any() -> io::Result<Option<(u32, ExitStatus)>> {
    const ANY: libc::pid_t = -1;
    let mut status = 0;
    // SAFETY: the pointer is to a local.
    let found = check(unsafe { libc::waitpid(ANY, &raw mut status, libc::WNOHANG) })?;
    Ok((found > 0).then(|| (found.unsigned_abs(), ExitStatus::from_raw(status))))
}
