//! `sendfile(2)`: the kernel copies a file's bytes to a socket.
#![allow(unsafe_code)] // neither it nor MSG_MORE has a safe wrapper in std

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use tokio::net::TcpStream;

/// Sends up to `len` bytes of the file from `offset` on. Returns how many; 0 is the file's end.
pub(crate) fn sendfile(tcp: &TcpStream, file: &File, offset: u64, len: u64) -> io::Result<usize> {
    let mut from = libc::off64_t::try_from(offset).map_err(io::Error::other)?;
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    // SAFETY: both descriptors are open while `tcp` and `file` are borrowed; `from` is a valid
    // place to read from and write to.
    let sent = unsafe { libc::sendfile64(tcp.as_raw_fd(), file.as_raw_fd(), &mut from, len) };
    match usize::try_from(sent) {
        Ok(sent) => Ok(sent),
        Err(_) => match io::Error::last_os_error() {
            // File systems without support for it (some FUSE).
            error if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) => {
                let mut buffer = vec![0; len.min(64 << 10)];
                let got = file.read_at(&mut buffer, offset)?;
                send(tcp, &buffer[..got], 0)
            }
            error => Err(error),
        },
    }
}

/// Sends bytes that the kernel is to hold back until more follow: a head and its file's first
/// bytes leave in one segment.
pub(crate) fn send_more(tcp: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    send(tcp, bytes, libc::MSG_MORE)
}

fn send(tcp: &TcpStream, bytes: &[u8], flags: libc::c_int) -> io::Result<usize> {
    // SAFETY: `bytes` is readable for its length and the descriptor open for the call.
    let sent = unsafe {
        let flags = flags | libc::MSG_NOSIGNAL;
        libc::send(tcp.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags)
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}
