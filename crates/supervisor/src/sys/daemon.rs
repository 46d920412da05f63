//! How a process goes into the background.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use super::check;

/// Which of the two.
#[derive(Debug)]
pub(crate) enum Fork {
    Child,
    Parent { child: u32 },
}

/// Splits the process in two. Refused when it has further threads: the child would have none of them,
/// but all the locks they hold.
pub(crate) fn fork() -> io::Result<Fork> {
    if std::fs::read_dir("/proc/self/task")?.count() > 1 {
        return Err(io::Error::other("the process has threads already"));
    }
    // SAFETY: there is no other thread, as was seen just now, so the child is as whole as this.
    let pid = check(unsafe { libc::fork() })?;
    Ok(match u32::try_from(pid) {
        Ok(child @ 1..) => Fork::Parent { child },
        _ => Fork::Child,
    })
}

/// Leaves the terminal, and the process group that it signals.
pub(crate) fn new_session() -> io::Result<()> {
    // SAFETY: setsid takes nothing.
    check(unsafe { libc::setsid() })?;
    Ok(())
}

/// Standard input from the one file, standard output and error to the other.
pub(crate) fn redirect(input: &File, output: &File) -> io::Result<()> {
    for (file, to) in [
        (input, libc::STDIN_FILENO),
        (output, libc::STDOUT_FILENO),
        (output, libc::STDERR_FILENO),
    ] {
        // SAFETY: dup2 takes numbers. The standard library borrows these three by number, too, and
        // nobody owns them.
        check(unsafe { libc::dup2(file.as_raw_fd(), to) })?;
    }
    Ok(())
}
