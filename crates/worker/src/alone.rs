//! What a worker without a supervisor does in its place: it tells a service manager how it goes
//! (sd_notify(3)), and takes its files away.

use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::Duration;

use appliance_project::wire::Leftover;

/// The way to the service manager. Nothing waits for it: a message that does not fit is lost.
#[derive(Debug, Clone)]
pub(crate) struct Manager {
    socket: Arc<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl Manager {
    pub(crate) fn new(socket: OwnedFd, watchdog_ms: Option<u64>) -> Manager {
        Manager {
            socket: Arc::new(socket.into()),
            watchdog: watchdog_ms.map(Duration::from_millis),
        }
    }

    /// It serves.
    pub(crate) fn ready(&self) {
        let pid = std::process::id();
        self.send(&format!(
            "READY=1\nMAINPID={pid}\nSTATUS=serving: no supervisor\n"
        ));
    }

    pub(crate) fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=stopping\n");
    }

    /// Keeps the watchdog quiet while the thread that this runs on, the front's, goes on.
    pub(crate) async fn keep_watchdog_quiet(self) {
        let Some(patience) = self.watchdog else {
            return;
        };
        loop {
            self.send("WATCHDOG=1\n");
            tokio::time::sleep(patience / 2).await;
        }
    }

    fn send(&self, message: &str) {
        if let Err(error) = self.socket.send(message.as_bytes()) {
            tracing::debug!(%error, message, "the service manager did not take a message");
        }
    }
}

/// Files that go when this is dropped, those of them that are still the same.
#[derive(Debug)]
pub(crate) struct Leftovers(pub(crate) Vec<Leftover>);

impl Drop for Leftovers {
    fn drop(&mut self) {
        for left in self.0.drain(..) {
            let found = std::fs::symlink_metadata(&left.path);
            let is_same = found.is_ok_and(|found| (found.dev(), found.ino()) == left.file);
            if is_same && let Err(error) = std::fs::remove_file(&left.path) {
                // `server.user` may not write where root has made it.
                tracing::info!(%error, file = %left.path.display(), "a file stays behind; the next start takes it away");
            }
        }
    }
}
