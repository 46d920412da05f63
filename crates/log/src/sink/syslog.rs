//! syslog: RFC 5424 over UDP (RFC 5426), and to a socket of this machine what syslog(3) writes
//! there, which is what rsyslog and journald expect: neither reads RFC 5424 at `/dev/log`.

use std::io::{self, Write};
use std::net::{ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use appliance_project::model;

use super::Loss;
use crate::form::Severity;
use crate::time::Moment;

/// What every receiver takes (RFC 5424 §6.1 asks for 2048 bytes, rsyslog takes 8 KB).
const LONGEST: usize = 8 << 10;
/// Between two attempts to reach a receiver that is not there.
const PAUSE: Duration = Duration::from_secs(1);

pub(crate) struct Syslog {
    receiver: Receiver,
    socket: Option<Socket>,
    pub(super) settings: model::Syslog,
    host: String,
    pub(super) loss: Loss,
    not_before: Option<Instant>,
    message: Vec<u8>,
}

enum Receiver {
    Socket(PathBuf),
    Host(String),
}

enum Socket {
    Unix(UnixDatagram),
    Udp(UdpSocket),
}

impl Syslog {
    pub(super) fn of_socket(path: &Path, settings: model::Syslog) -> Syslog {
        Syslog::new(Receiver::Socket(path.to_owned()), settings)
    }

    pub(super) fn of_host(address: &str, settings: model::Syslog) -> Syslog {
        Syslog::new(Receiver::Host(address.to_owned()), settings)
    }

    /// A receiver that is not there yet may come.
    fn new(receiver: Receiver, settings: model::Syslog) -> Syslog {
        Syslog {
            receiver,
            socket: None,
            settings,
            host: host_name(),
            loss: Loss::default(),
            not_before: None,
            message: Vec::new(),
        }
    }

    pub(super) fn send(&mut self, severity: Severity, line: &[u8]) {
        if line.is_empty() {
            return;
        }
        self.write_message(severity, line);
        // A receiver that was started anew has another socket.
        let sent = self.try_send().or_else(|_| {
            self.socket = None;
            self.try_send()
        });
        match sent {
            Ok(()) => self.loss.over(),
            Err(error) => {
                self.socket = None;
                self.loss.more(1, error);
            }
        }
    }

    fn try_send(&mut self) -> io::Result<()> {
        if self.socket.is_none() {
            let now = Instant::now();
            if self.not_before.is_some_and(|moment| now < moment) {
                return Err(io::ErrorKind::NotConnected.into());
            }
            self.not_before = Some(now + PAUSE);
            self.socket = Some(self.receiver.connect()?);
            self.not_before = None;
        }
        match &self.socket {
            Some(Socket::Unix(socket)) => socket.send(&self.message).map(drop),
            Some(Socket::Udp(socket)) => socket.send(&self.message).map(drop),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn write_message(&mut self, severity: Severity, line: &[u8]) {
        let Syslog {
            receiver,
            settings,
            host,
            message,
            ..
        } = self;
        let priority = u16::from(settings.facility) * 8 + severity as u16;
        let (tag, pid) = (&settings.tag, std::process::id());
        let mut head = String::new();
        message.clear();
        // Writing to memory cannot fail.
        let _ = match receiver {
            Receiver::Socket(_) => {
                let _ = Moment::now().syslog(&mut head);
                write!(message, "<{priority}>{head} {tag}[{pid}]: ")
            }
            Receiver::Host(_) => {
                let _ = Moment::now().rfc3339(&mut head);
                write!(message, "<{priority}>1 {head} {host} {tag} {pid} - - ")
            }
        };
        let room = LONGEST.saturating_sub(message.len());
        message.extend_from_slice(&line[..line.len().min(room)]);
    }
}

impl Receiver {
    fn connect(&self) -> io::Result<Socket> {
        match self {
            Receiver::Socket(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                // One that does not read must not hold up everything else.
                socket.set_nonblocking(true)?;
                Ok(Socket::Unix(socket))
            }
            Receiver::Host(address) => {
                let found = address.to_socket_addrs()?.next();
                let found = found.ok_or(io::ErrorKind::AddrNotAvailable)?;
                let any = if found.is_ipv4() {
                    "0.0.0.0:0"
                } else {
                    "[::]:0"
                };
                let socket = UdpSocket::bind(any)?;
                socket.connect(found)?;
                socket.set_nonblocking(true)?;
                Ok(Socket::Udp(socket))
            }
        }
    }
}

/// RFC 5424 §6.2.4: `-` for none.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    let good = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    if good {
        name.to_owned()
    } else {
        "-".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> model::Syslog {
        model::Syslog {
            facility: 16,
            tag: "shop".into(),
        }
    }

    #[test]
    fn udp_gets_rfc_5424() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap().to_string();
        let mut syslog = Syslog::of_host(&address, settings());
        syslog.send(Severity::Error, b"worker 1: it broke");
        let mut buffer = [0; 1024];
        let count = server.recv(&mut buffer).unwrap();
        let text = std::str::from_utf8(&buffer[..count]).unwrap();
        let parts: Vec<&str> = text.splitn(8, ' ').collect();
        assert_eq!(parts[0], "<131>1");
        assert_eq!((parts[1].len(), parts[2]), (27, host_name().as_str()));
        assert_eq!((parts[3], parts[5], parts[6]), ("shop", "-", "-"));
        assert_eq!(parts[7], "worker 1: it broke");
    }

    #[test]
    fn a_socket_gets_what_the_library_writes_and_may_come_late_or_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut syslog = Syslog::of_socket(&path, settings());
        syslog.send(Severity::Info, b"nobody hears");
        assert_eq!(syslog.loss.lines, 1);
        for text in ["first", "second"] {
            let server = UnixDatagram::bind(&path).unwrap();
            syslog.not_before = None;
            syslog.send(Severity::Warning, text.as_bytes());
            let mut buffer = [0; 1024];
            let count = server.recv(&mut buffer).unwrap();
            let message = std::str::from_utf8(&buffer[..count]).unwrap();
            assert!(message.starts_with("<132>"), "{message}");
            let end = format!(" shop[{}]: {text}", std::process::id());
            assert!(message.ends_with(&end), "{message}");
            std::fs::remove_file(&path).unwrap();
        }
        assert_eq!(syslog.loss.lines, 1);
    }
}
