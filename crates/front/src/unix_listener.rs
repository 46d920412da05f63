//! A unix socket that listens, which other workers may shut down: it is one for all.
//!
//! Who waits for connections is told of that by readiness alone, which never goes away again, while
//! accept(2) says that there is nothing yet. `tokio::net::UnixListener` would ask again for ever.
#![allow(unsafe_code)] // the runtime has no safe way to watch a descriptor that is not its own

use std::io;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

#[derive(Debug)]
pub(crate) struct Listener(AsyncFd<UnixListener>);

impl Listener {
    /// To be called on the runtime that will wait; `listener` does not block.
    pub(crate) fn new(listener: UnixListener) -> io::Result<Listener> {
        // SAFETY: the listener owns its descriptor, which is the same and open until it is dropped,
        // and that happens after it is deregistered: nothing here can replace it.
        let watched = unsafe { AsyncFd::register_with_interest(listener, Interest::READABLE) };
        Ok(Listener(watched?))
    }

    /// The next connection; none if the socket is shut down.
    pub(crate) async fn accept(&self) -> Option<io::Result<(UnixStream, SocketAddr)>> {
        loop {
            let mut ready = match self.0.readable().await {
                Ok(ready) => ready,
                Err(error) => return Some(Err(error)),
            };
            let is_closed = ready.ready().is_read_closed();
            match ready.try_io(|listener| listener.get_ref().accept()) {
                Ok(accepted) => return Some(accepted),
                Err(_) if is_closed => return None,
                Err(_) => {}
            }
        }
    }

    pub(crate) fn into_std(self) -> UnixListener {
        self.0.into_inner()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Shutdown;
    use std::time::Duration;

    use socket2::SockRef;

    use super::*;

    #[tokio::test]
    async fn what_waits_is_accepted_and_then_it_is_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.sock");
        let listener = UnixListener::bind(&path).expect("bound");
        listener.set_nonblocking(true).expect("set");
        let others = listener.try_clone().expect("one more");
        let listener = Listener::new(listener).expect("watched");
        let clients = [(); 3].map(|()| UnixStream::connect(&path).expect("connected"));
        SockRef::from(&others)
            .shutdown(Shutdown::Read)
            .expect("shut down");
        let all = async {
            let mut accepted = 0;
            while let Some(one) = listener.accept().await {
                one.expect("a connection");
                accepted += 1;
            }
            accepted
        };
        let accepted = tokio::time::timeout(Duration::from_secs(30), all).await;
        assert_eq!(accepted, Ok(clients.len()));
        assert!(UnixStream::connect(&path).is_err());
    }
}
