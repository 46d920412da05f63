//! Handshakes that have begun and not ended, as the kernel's tables of connections tell: a listening
//! socket does not know how many there are of its own.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;

/// Whether there is one at the port of `local`. An error where the tables are not to be had.
pub(super) fn any_at(local: SocketAddr) -> io::Result<bool> {
    let table = match local {
        SocketAddr::V4(_) => "/proc/net/tcp",
        SocketAddr::V6(_) => "/proc/net/tcp6",
    };
    let lines = BufReader::new(File::open(table)?).lines();
    for line in lines.skip(1) {
        if is_half_open(&line?, local.port()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `0: 0100007F:1F90 0200007F:D431 03 …`: number, local and remote end, state (`TCP_SYN_RECV`).
fn is_half_open(line: &str, port: u16) -> bool {
    const SYN_RECEIVED: &str = "03";
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (local, _, state) = (fields.next(), fields.next(), fields.next());
    let found = local.and_then(|local| local.rsplit(':').next());
    let found = found.and_then(|port| u16::from_str_radix(port, 16).ok());
    state == Some(SYN_RECEIVED) && found == Some(port)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    use socket2::{Domain, SockFilter, SockRef, Socket, Type};

    use super::*;

    /// Drops every segment that has ACK and not SYN.
    const DROP_ACKS: [SockFilter; 5] = [
        SockFilter::new(0x30, 0, 0, 13),
        SockFilter::new(0x54, 0, 0, 0x12),
        SockFilter::new(0x15, 0, 1, 0x10),
        SockFilter::new(0x06, 0, 0, 0),
        SockFilter::new(0x06, 0, 0, u32::MAX),
    ];

    #[test]
    fn a_handshake_counts_until_it_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let local = listener.local_addr().expect("an address");
        assert!(!any_at(local).expect("the table"));
        SockRef::from(&listener)
            .attach_filter(&DROP_ACKS)
            .expect("a filter");
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        client.set_nonblocking(true).expect("set");
        // It goes on while nobody waits for it.
        let _ = client.connect(&local.into());
        let enough = Instant::now() + Duration::from_secs(10);
        while !any_at(local).expect("the table") {
            assert!(Instant::now() < enough, "no handshake seen");
            std::thread::sleep(Duration::from_millis(1));
        }
        let elsewhere = TcpListener::bind("127.0.0.1:0").expect("bound");
        assert!(!any_at(elsewhere.local_addr().expect("an address")).expect("the table"));
    }

    #[test]
    fn lines_of_the_table_are_understood() {
        let line =
            |state| format!("  12: 0100007F:1F90 0200007F:D431 {state} 00000000:00000000 01:0");
        assert!(is_half_open(&line("03"), 8080));
        assert!(!is_half_open(&line("01"), 8080));
        assert!(!is_half_open(&line("03"), 8081));
        assert!(!is_half_open("", 8080));
    }
}
