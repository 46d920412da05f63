//! What a service manager is told (sd_notify(3)): lines in a datagram to `$NOTIFY_SOCKET`.
//!
//! Without that variable nothing of this costs anything. Nothing waits for the manager either: the
//! socket does not block, and a message that does not fit is a message lost.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use crate::sys;

/// The way to the service manager, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    to: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Watchdog>,
    /// Whether the manager believes that a reload is under way.
    reloading: bool,
    status: String,
}

/// The manager restarts a service that is silent for `timeout`.
#[derive(Debug, Clone, Copy)]
struct Watchdog {
    timeout: Duration,
    due: Instant,
}

impl Notifier {
    /// As this process's environment says.
    pub(crate) fn of_environment() -> Notifier {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET") else {
            return Notifier::default();
        };
        let to = address(name.as_encoded_bytes()).and_then(|to| {
            let socket = UnixDatagram::unbound()?;
            socket.set_nonblocking(true)?;
            Ok((socket, to))
        });
        match to {
            Ok(to) => Notifier {
                to: Some(to),
                watchdog: Watchdog::of_environment(),
                ..Notifier::default()
            },
            Err(error) => {
                tracing::warn!(?name, %error, "the service manager cannot be told how it goes: `NOTIFY_SOCKET`");
                Notifier::default()
            }
        }
    }

    /// The way, for a worker that takes this process's place, and how patient the manager is.
    pub(crate) fn for_successor_alone(self) -> Option<(UnixDatagram, Option<Duration>)> {
        let (socket, to) = self.to?;
        // As who this process is now: the worker may be another user.
        if let Err(error) = socket.connect_addr(&to) {
            tracing::warn!(%error, "the service manager cannot be told how it goes: `NOTIFY_SOCKET`");
            return None;
        }
        Some((socket, self.watchdog.map(|watchdog| watchdog.timeout)))
    }

    /// For a program that goes on where another one has announced that it would.
    pub(crate) fn of_successor() -> Notifier {
        Notifier {
            reloading: true,
            ..Notifier::of_environment()
        }
    }

    /// It serves.
    pub(crate) fn ready(&mut self, status: &str) {
        self.reloading = false;
        status.clone_into(&mut self.status);
        // A daemon is not the process that the manager has started.
        let pid = std::process::id();
        self.send(&format!("READY=1\nMAINPID={pid}\nSTATUS={status}\n"));
    }

    /// Whether anybody listens.
    pub(crate) fn is_there(&self) -> bool {
        self.to.is_some()
    }

    /// Whether READY=1 is owed.
    pub(crate) fn is_reloading(&self) -> bool {
        self.reloading
    }

    /// A reload begins. systemd compares the time with that of its own request.
    pub(crate) fn reloading(&mut self) {
        self.reloading = true;
        let now = sys::monotonic_micros();
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={now}\n"));
    }

    pub(crate) fn stopping(&mut self) {
        self.send("STOPPING=1\nSTATUS=stopping\n");
    }

    /// One line on how it goes, if that has changed.
    pub(crate) fn status(&mut self, status: &str) {
        if self.status != status {
            status.clone_into(&mut self.status);
            self.send(&format!("STATUS={status}\n"));
        }
    }

    /// When the watchdog wants to hear something.
    pub(crate) fn due(&self) -> Option<Instant> {
        Some(self.watchdog?.due)
    }

    /// How long the manager is patient, if it is time to tell it something.
    pub(crate) fn is_due(&mut self, now: Instant) -> Option<Duration> {
        let watchdog = self.watchdog.as_mut()?;
        if watchdog.due > now {
            return None;
        }
        watchdog.due = now + watchdog.timeout / 2;
        Some(watchdog.timeout)
    }

    pub(crate) fn alive(&self) {
        self.send("WATCHDOG=1\n");
    }

    fn send(&self, message: &str) {
        let Some((socket, to)) = &self.to else {
            return;
        };
        if let Err(error) = socket.send_to_addr(message.as_bytes(), to) {
            tracing::debug!(%error, message, "the service manager did not take a message");
        }
    }
}

impl Watchdog {
    fn of_environment() -> Option<Watchdog> {
        let variable = |name| std::env::var(name).ok();
        let me = std::process::id().to_string();
        if variable("WATCHDOG_PID").is_some_and(|pid| pid != me) {
            return None;
        }
        let micros = variable("WATCHDOG_USEC")?.parse().ok()?;
        let timeout = Duration::from_micros(micros);
        (!timeout.is_zero()).then(|| Watchdog {
            timeout,
            due: Instant::now() + timeout / 2,
        })
    }
}

/// A path, or after an `@` a name that is in no file system (unix(7)).
fn address(name: &[u8]) -> io::Result<SocketAddr> {
    use std::os::unix::ffi::OsStrExt;
    match name {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name)),
        _ => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "neither a path nor an abstract name",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_paths_or_abstract() {
        let path = address(b"/run/systemd/notify").unwrap();
        assert_eq!(
            path.as_pathname().unwrap().to_str(),
            Some("/run/systemd/notify")
        );
        let name = address(b"@/org/freedesktop/systemd1/notify").unwrap();
        let expected: &[u8] = b"/org/freedesktop/systemd1/notify";
        assert_eq!(name.as_abstract_name(), Some(expected));
        for wrong in [&b""[..], b"vsock:2:1234", b"relative", &[b'/'; 200]] {
            assert!(address(wrong).is_err(), "{wrong:?}");
        }
    }
}
