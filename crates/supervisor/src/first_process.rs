//! The first process of a container: two duties that no other process has.
//!
//! 1. Processes whose parent has ended become its children. Unless it waits for them they stay in
//!    the process table, which has room for few where the container's is bounded.
//! 2. The kernel drops signals to it that it has no handler for: a stop that comes before there is
//!    one would be lost.
//!
//! So it does nothing else, and a child of its own is the server. It gets every signal that
//! another process sends, and its end is the container's. A supervisor that waited for any child
//! would take the exit statuses of hooks, pip and workers from those who wait for them.

use std::io::Write;
use std::process::ExitStatus;

use crate::process::Exit;
use crate::sys::{self, Fork, Waiting};

const FIRST: u32 = 1;

/// In the first process: minds the server until it ends, and says with which status. Returns
/// nothing in the server, which any other process is at once. To be called before the process has
/// any thread but its first.
#[must_use]
pub fn as_first_process() -> Option<u8> {
    // Podman hands sockets over to the first process and to no other, by its number (`LISTEN_PID`).
    if std::process::id() != FIRST || std::env::var_os("LISTEN_FDS").is_some() {
        return None;
    }
    match divide() {
        Ok(Some(child)) => Some(mind(child)),
        Ok(None) => None,
        // It serves all the same; orphans stay in the process table.
        Err(error) => {
            let _ = writeln!(
                anstream::stderr(),
                "warning: cannot start a process for orphans: {error}"
            );
            None
        }
    }
}

/// The child's number, in the parent. Nothing that comes from now on is lost.
fn divide() -> std::io::Result<Option<u32>> {
    let waiting = Waiting::begin()?;
    match sys::fork() {
        Ok(Fork::Parent { child }) => Ok(Some(child)),
        other => {
            waiting.end()?;
            other.map(|_| None)
        }
    }
}

fn mind(server: u32) -> u8 {
    loop {
        while let Ok(Some((child, status))) = sys::reap_any() {
            if child == server {
                return exit_status(status);
            }
        }
        if let (Some(signal), Ok(pid)) = (sys::wait_for_signals(), i32::try_from(server)) {
            // It has not been waited for, so it can be told even if it has ended.
            let _ = sys::kill(pid, signal);
        }
    }
}

/// As a shell has it: 128 and the signal for what was killed.
fn exit_status(status: ExitStatus) -> u8 {
    let code = match Exit::of(status) {
        Exit::Status(code) => code,
        Exit::Signal(signal) => 128 + signal,
    };
    u8::try_from(code).unwrap_or(u8::MAX)
}
