//! HTTP/1.1 over a raw socket: bytes in, bytes out.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A client's connection.
pub struct Connection {
    reader: BufReader<TcpStream>,
    /// Whether the last request was a HEAD: its response has no body.
    head: bool,
}

/// A response, as it came.
#[derive(Debug)]
pub struct Response {
    /// `200`.
    pub status: u16,
    /// `OK`.
    pub reason: String,
    /// Names in lower case, in the order received.
    pub headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Whether the body ended as it said it would.
    pub complete: bool,
}

impl Connection {
    /// Connects; whatever is waited for on the connection fails after a minute.
    #[track_caller]
    pub fn open(address: SocketAddr) -> Connection {
        Connection::try_open(address).unwrap()
    }

    /// The same, if the server lets it.
    pub fn try_open(address: SocketAddr) -> std::io::Result<Connection> {
        let stream = TcpStream::connect(address)?;
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream
            .set_write_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream.set_nodelay(true).unwrap();
        Ok(Connection {
            reader: BufReader::new(stream),
            head: false,
        })
    }

    /// The same to a unix socket, which is read and written like any other.
    #[track_caller]
    pub fn open_unix(path: &Path) -> Connection {
        Connection::try_open_unix(path).unwrap()
    }

    /// The same, if the server lets it.
    pub fn try_open_unix(path: &Path) -> std::io::Result<Connection> {
        let stream = UnixStream::connect(path)?;
        let patience = Some(Duration::from_secs(60));
        stream.set_read_timeout(patience).unwrap();
        stream.set_write_timeout(patience).unwrap();
        Ok(Connection {
            reader: BufReader::new(TcpStream::from(OwnedFd::from(stream))),
            head: false,
        })
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        self.head = bytes.starts_with(b"HEAD ");
        self.reader.get_mut().write_all(bytes).unwrap();
    }

    /// Sends bytes as they are; none if the connection is gone.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> Option<()> {
        let bytes = bytes.as_ref();
        self.head = bytes.starts_with(b"HEAD ");
        self.reader.get_mut().write_all(bytes).ok()
    }

    /// `GET path`, keeping the connection.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> Response {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n"));
        self.response()
    }

    /// Says that no more will be sent.
    pub fn finish_sending(&self) {
        self.reader.get_ref().shutdown(Shutdown::Write).unwrap();
    }

    /// The socket.
    pub fn stream(&self) -> &TcpStream {
        self.reader.get_ref()
    }

    /// Reads what comes until the server closes; a reset ends it, too.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = self.reader.read_to_end(&mut bytes);
        bytes
    }

    /// Reads one response.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        self.try_response().unwrap()
    }

    /// Reads one response; none if the connection ends before its head is complete.
    pub fn try_response(&mut self) -> Option<Response> {
        let (status, reason) = parse_status(&self.line()?)?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':')?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut response = Response {
            status,
            reason,
            headers,
            body: Vec::new(),
            complete: true,
        };
        let bodiless = self.head || status < 200 || status == 204 || status == 304;
        if !bodiless {
            response.complete = self.read_body(&mut response).is_some();
        }
        Some(response)
    }

    /// None if the body is cut off. RFC 9112 §6.3: chunked, counted, or up to the end.
    fn read_body(&mut self, response: &mut Response) -> Option<()> {
        if response.header("transfer-encoding") == Some("chunked") {
            return self.read_chunks(&mut response.body);
        }
        match response
            .header("content-length")
            .map(|length| length.parse().unwrap())
        {
            Some(length) => self.read_counted(length, &mut response.body),
            None => self.reader.read_to_end(&mut response.body).ok().map(drop),
        }
    }

    fn read_chunks(&mut self, body: &mut Vec<u8>) -> Option<()> {
        loop {
            let line = self.line()?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16).ok()?;
            self.read_counted(size, body)?;
            // The end of the chunk; after the last, empty one, the end of the trailers.
            while !self.line()?.is_empty() {}
            if size == 0 {
                return Some(());
            }
        }
    }

    fn read_counted(&mut self, length: u64, body: &mut Vec<u8>) -> Option<()> {
        let read = (&mut self.reader).take(length).read_to_end(body).ok()?;
        (read as u64 == length).then_some(())
    }

    fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line).ok()?;
        let line = line.strip_suffix(b"\r\n")?;
        // Header fields are bytes; each becomes the character of that number (ISO 8859-1).
        Some(line.iter().map(|byte| char::from(*byte)).collect())
    }
}

impl Response {
    /// The body, its transfer coding undone.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// A header field's first value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// All values of a header field.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(known, _)| known == name);
        named.map(|(_, value)| value.as_str()).collect()
    }
}

fn parse_status(line: &str) -> Option<(u16, String)> {
    let mut parts = line.splitn(3, ' ');
    parts
        .next()
        .filter(|version| version.starts_with("HTTP/1."))?;
    let status = parts.next()?.parse().ok()?;
    Some((status, parts.next().unwrap_or_default().to_owned()))
}
