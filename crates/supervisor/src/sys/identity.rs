//! Who a process is and what it may do: users, groups, capabilities.
//!
//! By the system calls themselves, not by the C library's functions of their name: those change
//! every thread of the process, and here it is one thread, or a child before its exec.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use appliance_project::model::Account;

use super::check;

/// `linux/capability.h`.
const CAP_SETGID: u32 = 6;
const CAP_SETUID: u32 = 7;
const VERSION_3: u32 = 0x2008_0522;

/// What a child gives up before it executes its program.
#[derive(Debug, Clone)]
pub(crate) struct Sacrifice {
    /// Whom it becomes.
    pub(crate) account: Option<Account>,
    /// `PR_SET_NO_NEW_PRIVS`, and no capabilities unless it is root's.
    pub(crate) privileges: bool,
    pub(crate) umask: Option<u32>,
}

/// Has the processes that `command` starts make this sacrifice. Before [`super::inherit`]: a change
/// of user forgets the signal that the parent's death is to send.
pub(crate) fn sacrifice(command: &mut Command, what: Sacrifice) {
    let in_child = move || {
        let becomes_other = what
            .account
            .as_ref()
            .is_some_and(|account| account.uid != 0);
        if what.privileges && becomes_other {
            empty_bounding_set();
        }
        if let Some(account) = &what.account {
            become_account(account)?;
        }
        if what.privileges {
            // SAFETY: geteuid takes nothing.
            if unsafe { libc::geteuid() } != 0 {
                give_up_capabilities()?;
            }
            no_new_privileges()?;
        }
        if let Some(mask) = what.umask {
            // SAFETY: umask takes a number and cannot fail.
            unsafe { libc::umask(mask) };
        }
        Ok(())
    };
    // SAFETY: the closure runs between fork and exec, makes system calls alone and allocates
    // nothing; what it refers to was copied before the fork.
    unsafe { command.pre_exec(in_child) };
}

/// Holds the processes that `command` starts to these rules of Landlock's. After [`sacrifice`]: who may
/// still gain privileges may not restrict itself.
pub(crate) fn restrict(command: &mut Command, rules: OwnedFd) {
    let in_child = move || {
        // SAFETY: landlock_restrict_self takes a descriptor, which the closure owns, and no flags.
        check_long(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules.as_raw_fd(), 0) })
    };
    // SAFETY: the closure runs between fork and exec, makes one system call and allocates nothing.
    unsafe { command.pre_exec(in_child) };
}

/// Does `action` as `account`: in a thread of its own, which ends with it.
pub(crate) fn as_account<T: Send>(
    account: &Account,
    action: impl FnOnce() -> T + Send,
) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            become_account(account)?;
            Ok(action())
        });
        thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("its thread has panicked")))
    })
}

/// Groups first: who is no longer root cannot change them.
fn become_account(account: &Account) -> io::Result<()> {
    let (uid, gid) = (account.uid, account.gid);
    // SAFETY: the pointer is to as many numbers as stated; the kernel copies them.
    check_long(unsafe {
        libc::syscall(
            libc::SYS_setgroups,
            account.groups.len(),
            account.groups.as_ptr(),
        )
    })?;
    // SAFETY: setresgid takes numbers.
    check_long(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) })?;
    // SAFETY: setresuid takes numbers.
    check_long(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) })?;
    Ok(())
}

/// A setuid program could take its capabilities from there. Without CAP_SETPCAP it stays as it is;
/// `no_new_privileges`, which follows, keeps such programs from having any effect.
fn empty_bounding_set() {
    const MORE_THAN_THERE_ARE: libc::c_ulong = 64;
    for capability in 0..MORE_THAN_THERE_ARE {
        // SAFETY: PR_CAPBSET_DROP takes a number; one that is no capability is EINVAL.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
}

/// Ambient ones, as a unit's `AmbientCapabilities` gives them, go with the others.
fn give_up_capabilities() -> io::Result<()> {
    set_capabilities(&[Capabilities::default(); 2])
}

fn no_new_privileges() -> io::Result<()> {
    // SAFETY: PR_SET_NO_NEW_PRIVS takes a 1, and zeros in the unused places.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    Ok(())
}

/// Whether this process may become another user, with that user's groups.
pub(crate) fn may_become_another() -> bool {
    let wanted = 1 << CAP_SETGID | 1 << CAP_SETUID;
    capabilities().is_ok_and(|[low, _]| low.effective & wanted == wanted)
}

/// The effective group.
pub(crate) fn group() -> u32 {
    // SAFETY: getegid takes nothing and cannot fail.
    unsafe { libc::getegid() }
}

/// `struct __user_cap_header_struct`.
#[repr(C)]
struct Header {
    version: u32,
    /// 0: the calling thread.
    pid: libc::c_int,
}

/// `struct __user_cap_data_struct`: 32 of the capabilities.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Capabilities {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

fn capabilities() -> io::Result<[Capabilities; 2]> {
    let mut header = header();
    let mut sets = [Capabilities::default(); 2];
    // SAFETY: both pointers are to locals of the layout that this version of the call has.
    check_long(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) })?;
    Ok(sets)
}

fn set_capabilities(sets: &[Capabilities; 2]) -> io::Result<()> {
    let mut header = header();
    // SAFETY: as above; the sets are only read.
    check_long(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, sets.as_ptr()) })?;
    Ok(())
}

fn header() -> Header {
    Header {
        version: VERSION_3,
        pid: 0,
    }
}

fn check_long(result: libc::c_long) -> io::Result<()> {
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
