//! The process that imports the application once, and forks workers from there (`python.preload`).
//!
//! It has one thread, serves nothing and ends when its supervisor closes the socket. A worker is the
//! supervisor's child, not this process's: it is forked twice, and the one in between ends at once.
//! So this process may die, and no worker minds.

use std::io::{self, IoSliceMut, PipeReader, PipeWriter, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use appliance_project::wire::{ForkOrder, Forked, FromWorker};
use pyo3::prelude::*;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::control;
use crate::process;
use crate::spec::Assignment;

/// As many descriptors come with one message as the kernel lets through (SCM_MAX_FD).
const MOST_DESCRIPTORS: usize = 253;

/// What has become of the process.
pub(crate) enum Became {
    /// A worker that has everything imported.
    Worker(Box<Assignment>),
    /// It is no longer needed.
    Ended,
}

/// Why no worker is to be forked from here, if so: threads do not survive a fork, and what they
/// were started for would silently not happen.
pub(crate) fn objection(py: Python<'_>) -> PyResult<Option<String>> {
    let threads = py.import("threading")?.call_method0("enumerate")?;
    let mut names = Vec::new();
    for thread in threads.try_iter()? {
        names.push(thread?.getattr("name")?.extract::<String>()?);
    }
    names.retain(|name| name != "MainThread");
    Ok(match names.as_slice() {
        [] => None,
        [name] => Some(format!("it has started a thread, `{name}`")),
        more => Some(format!("it has started threads: `{}`", more.join("`, `"))),
    })
}

/// Says that it is ready, and forks a worker for each order.
pub(crate) fn serve(py: Python<'_>, python: String, control: &UnixStream) -> io::Result<Became> {
    let ready = FromWorker::Ready {
        python,
        can_look: false,
    };
    let signals = Signals::ignore(py)?;
    control::tell(Some(control), &ready);
    while let Some((order, descriptors)) = receive(control)? {
        let answer = match fork(py, &order, descriptors) {
            Ok(Side::Worker(assignment)) => {
                signals.restore(py)?;
                return Ok(Became::Worker(assignment));
            }
            Ok(Side::Here(pid)) => Forked::Pid(pid),
            Err(error) => Forked::Failed(error.to_string()),
        };
        let mut line = serde_json::to_vec(&answer)?;
        line.push(b'\n');
        (&*control).write_all(&line)?;
    }
    Ok(Became::Ended)
}

/// What this process did at signals before it ignored them: a terminal or a service manager sends
/// them to all processes alike, and it is the supervisor that minds them.
struct Signals(Vec<(&'static str, Py<PyAny>)>);

impl Signals {
    fn ignore(py: Python<'_>) -> io::Result<Signals> {
        let ignored = || -> PyResult<Signals> {
            let module = py.import("signal")?;
            let ignore = module.getattr("SIG_IGN")?;
            let mut before = Vec::new();
            for name in ["SIGINT", "SIGTERM", "SIGQUIT", "SIGHUP"] {
                let handler = module.call_method1("signal", (module.getattr(name)?, &ignore))?;
                before.push((name, handler.unbind()));
            }
            Ok(Signals(before))
        };
        ignored().map_err(|error| io::Error::other(error.to_string()))
    }

    fn restore(self, py: Python<'_>) -> io::Result<()> {
        let restored = || -> PyResult<()> {
            let module = py.import("signal")?;
            for (name, handler) in self.0 {
                // `None`: C code has set one, of which Python knows nothing.
                let handler = match handler.is_none(py) {
                    true => module.getattr("SIG_DFL")?,
                    false => handler.into_bound(py),
                };
                module.call_method1("signal", (module.getattr(name)?, handler))?;
            }
            Ok(())
        };
        restored().map_err(|error| io::Error::other(error.to_string()))
    }
}

/// The next order; none when the supervisor has closed its end.
fn receive(control: &UnixStream) -> io::Result<Option<(ForkOrder, Vec<OwnedFd>)>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut line = Vec::new();
    let mut descriptors = Vec::new();
    loop {
        let mut bytes = [0; 4096];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let slices = &mut [IoSliceMut::new(&mut bytes)];
        let received = recvmsg(control, slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(with) = message {
                descriptors.extend(with);
            }
        }
        if received.bytes == 0 {
            return Ok(None);
        }
        line.extend_from_slice(&bytes[..received.bytes]);
        if line.ends_with(b"\n") {
            return Ok(Some((serde_json::from_slice(&line)?, descriptors)));
        }
    }
}

/// After a fork.
enum Side {
    /// In the process that forks; the worker's process.
    Here(u32),
    Worker(Box<Assignment>),
}

/// How the worker and this process tell each other how far they are.
struct Ends {
    /// The worker's process, from the worker.
    pid: (PipeReader, PipeWriter),
    /// Its end: the worker is the supervisor's child now.
    adopted: (PipeReader, PipeWriter),
}

fn fork(py: Python<'_>, order: &ForkOrder, descriptors: Vec<OwnedFd>) -> io::Result<Side> {
    let ends = Ends {
        pid: io::pipe()?,
        adopted: io::pipe()?,
    };
    // Python's own fork does what is to be done before and after: `os.register_at_fork`.
    let between = os_fork(py)?;
    if between == 0 {
        return match os_fork(py) {
            Ok(0) => {
                let worker = become_worker(order, descriptors, ends);
                worker.or_else(|error| {
                    eprintln!("error: cannot become a worker: {error}");
                    process::end(1)
                })
            }
            Ok(_) => process::end(0),
            Err(_) => process::end(1),
        };
    }
    let Ends {
        pid: (mut pid, writer),
        adopted,
    } = ends;
    drop(writer);
    os(py, |os| os.call_method1("waitpid", (between, 0)).map(drop))?;
    let mut bytes = [0; 4];
    let told = pid.read_exact(&mut bytes);
    drop(adopted);
    told.map_err(|_| io::Error::other("the second fork failed"))?;
    Ok(Side::Here(u32::from_ne_bytes(bytes)))
}

/// In the new process.
fn become_worker(order: &ForkOrder, descriptors: Vec<OwnedFd>, ends: Ends) -> io::Result<Side> {
    let Ends {
        pid: (_, mut pid),
        adopted: (mut adopted, writer),
    } = ends;
    drop(writer);
    pid.write_all(&std::process::id().to_ne_bytes())?;
    drop(pid);
    adopted.read_to_end(&mut Vec::new())?;
    process::die_with(order.supervisor)?;
    let printed = order.printed.map(|printed| {
        printed.map(|number| {
            let at = order.descriptors.iter().position(|fd| *fd == number);
            at.and_then(|at| descriptors.get(at))
        })
    });
    if let Some([Some(output), Some(error)]) = printed {
        process::redirect_output(&[output, error])?;
    }
    Ok(Side::Worker(Box::new(Assignment::of_fork(
        order,
        descriptors,
    )?)))
}

fn os_fork(py: Python<'_>) -> io::Result<i32> {
    let mut pid = 0;
    os(py, |os| {
        pid = os.call_method0("fork")?.extract()?;
        Ok(())
    })?;
    Ok(pid)
}

fn os(py: Python<'_>, call: impl FnOnce(&Bound<'_, PyModule>) -> PyResult<()>) -> io::Result<()> {
    let called = py.import("os").and_then(|os| call(&os));
    called.map_err(|error| io::Error::other(error.to_string()))
}
