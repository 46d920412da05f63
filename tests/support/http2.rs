//! A client for HTTP/2 that sends any frame it is told to: what a proper client would never send
//! is what a server has to be tested with.
//!
//! Fields are written as HPACK literals, which need no table and no Huffman code. Of a response's
//! fields only the status is read: the server is told to keep no table.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Frame types (RFC 9113 §6).
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

/// Flags.
pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// Settings.
pub const HEADER_TABLE_SIZE: u16 = 1;
pub const INITIAL_WINDOW_SIZE: u16 = 4;

/// Error codes (§7).
pub const NO_ERROR: u32 = 0;
pub const PROTOCOL_ERROR: u32 = 1;
pub const INTERNAL_ERROR: u32 = 2;
pub const REFUSED_STREAM: u32 = 7;
pub const CANCEL: u32 = 8;
pub const ENHANCE_YOUR_CALM: u32 = 11;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Longer than any limit of a server under test; a bound, not a wait.
const PATIENCE: Duration = Duration::from_secs(30);
const LARGEST_WINDOW: u32 = (1 << 31) - 1;

/// A frame.
#[derive(Debug, Clone)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// What has come on a stream.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// Of interim responses and the final one, in order.
    pub statuses: Vec<u16>,
    pub body: Vec<u8>,
    /// The response has come to its end.
    pub complete: bool,
    /// The error code of a RST_STREAM.
    pub reset: Option<u32>,
}

impl Answer {
    /// The final status; 0 if there is none.
    pub fn status(&self) -> u16 {
        let last = self.statuses.last().copied().unwrap_or_default();
        if last < 200 { 0 } else { last }
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// A connection.
pub struct Http2 {
    tcp: TcpStream,
    next: u32,
    answers: HashMap<u32, Answer>,
    /// Last stream and error code of every GOAWAY.
    pub goaways: Vec<(u32, u32)>,
    /// PINGs that were answered.
    pub pongs: usize,
    /// What may be sent, on each stream and on all (0), beyond their first windows.
    granted: HashMap<u32, i64>,
    first_window: i64,
}

impl Http2 {
    /// A connection whose client lets the server send all it has.
    #[track_caller]
    pub fn open(address: SocketAddr) -> Http2 {
        let mut client = Http2::open_with(address, &[(INITIAL_WINDOW_SIZE, LARGEST_WINDOW)]);
        client.grant(0, LARGEST_WINDOW - 65_535);
        client
    }

    /// A connection with these settings.
    #[track_caller]
    pub fn open_with(address: SocketAddr, settings: &[(u16, u32)]) -> Http2 {
        Http2::try_open(address, settings).unwrap()
    }

    /// The same, if the server is there.
    pub fn try_open(address: SocketAddr, settings: &[(u16, u32)]) -> std::io::Result<Http2> {
        let tcp = TcpStream::connect(address)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        tcp.set_write_timeout(Some(PATIENCE))?;
        tcp.set_nodelay(true)?;
        let mut client = Http2 {
            tcp,
            next: 1,
            answers: HashMap::new(),
            goaways: Vec::new(),
            pongs: 0,
            granted: HashMap::new(),
            first_window: 65_535,
        };
        let payload: Vec<u8> = [(HEADER_TABLE_SIZE, 0)]
            .iter()
            .chain(settings)
            .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        let settings = frame(SETTINGS, 0, 0, &payload);
        client.tcp.write_all(&[PREFACE, &settings].concat())?;
        Ok(client)
    }

    /// Another end of the same connection, to read by.
    pub fn reader(&self) -> Http2 {
        Http2 {
            tcp: self.tcp.try_clone().unwrap(),
            next: self.next,
            answers: HashMap::new(),
            goaways: Vec::new(),
            pongs: 0,
            granted: HashMap::new(),
            first_window: self.first_window,
        }
    }

    /// How long it waits for the server.
    pub fn patience(&self, patience: Duration) {
        self.tcp.set_read_timeout(Some(patience)).unwrap();
        self.tcp.set_write_timeout(Some(patience)).unwrap();
    }

    /// Sends bytes as they are; whether the server still takes them.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.tcp.write_all(bytes).is_ok()
    }

    /// The id of a new stream.
    pub fn stream(&mut self) -> u32 {
        let stream = self.next;
        self.next += 2;
        stream
    }

    /// `GET path`; the stream's id.
    pub fn get(&mut self, path: &str) -> u32 {
        self.request("GET", path, &[], END_STREAM)
    }

    /// `GET path`, and its answer.
    pub fn ask(&mut self, path: &str) -> Answer {
        let stream = self.get(path);
        self.answer(stream)
    }

    /// A request with these further fields.
    pub fn request(&mut self, method: &str, path: &str, more: &[(&str, &str)], flags: u8) -> u32 {
        let stream = self.stream();
        let block = block(&fields(method, path, more));
        self.send(&frame(HEADERS, flags | END_HEADERS, stream, &block));
        stream
    }

    /// A request with exactly these fields.
    pub fn raw_request(&mut self, fields: &[(&str, &str)], flags: u8) -> u32 {
        let stream = self.stream();
        self.send(&frame(HEADERS, flags | END_HEADERS, stream, &block(fields)));
        stream
    }

    /// A part of a request's body.
    pub fn data(&mut self, stream: u32, bytes: &[u8], flags: u8) -> bool {
        self.send(&frame(DATA, flags, stream, bytes))
    }

    /// A whole body in pieces of this length, as the server grants it.
    pub fn upload(&mut self, stream: u32, body: &[u8], piece: usize) {
        for piece in body.chunks(piece) {
            let granted = |client: &Http2| {
                let of = |stream| client.granted.get(&stream).copied().unwrap_or_default();
                (of(0) + 65_535).min(of(stream) + client.first_window)
            };
            while granted(self) < piece.len() as i64 && self.frame().is_some() {}
            self.data(stream, piece, 0);
            *self.granted.entry(0).or_default() -= piece.len() as i64;
            *self.granted.entry(stream).or_default() -= piece.len() as i64;
        }
        self.data(stream, b"", END_STREAM);
    }

    /// Takes a request back.
    pub fn reset(&mut self, stream: u32) -> bool {
        self.send(&frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes()))
    }

    /// Lets the server send so much more.
    pub fn grant(&mut self, stream: u32, bytes: u32) -> bool {
        self.send(&frame(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes()))
    }

    /// The next frame; none at the connection's end.
    pub fn frame(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.tcp.read_exact(&mut head).ok()?;
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; len as usize];
        self.tcp.read_exact(&mut payload).ok()?;
        let frame = Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]),
            payload,
        };
        self.note(&frame);
        Some(frame)
    }

    fn note(&mut self, read: &Frame) {
        let number = |at: usize| {
            let bytes = read.payload.get(at..at + 4);
            bytes.map_or(0, |bytes| u32::from_be_bytes(bytes.try_into().unwrap()))
        };
        let answer = self.answers.entry(read.stream).or_default();
        match read.kind {
            HEADERS => {
                answer.statuses.push(status(&read.payload));
                answer.complete |= read.flags & END_STREAM != 0;
            }
            DATA => {
                answer.body.extend_from_slice(&read.payload);
                answer.complete |= read.flags & END_STREAM != 0;
            }
            RST_STREAM => answer.reset = Some(number(0)),
            GOAWAY => self.goaways.push((number(0), number(4))),
            PING if read.flags & ACK != 0 => self.pongs += 1,
            // Which the server waits for before it says goodbye for good.
            PING => drop(self.send(&frame(PING, ACK, 0, &read.payload))),
            SETTINGS if read.flags & ACK == 0 => {
                for setting in read.payload.chunks_exact(6) {
                    if u16::from_be_bytes([setting[0], setting[1]]) == INITIAL_WINDOW_SIZE {
                        let bytes = setting[2..].try_into().unwrap();
                        self.first_window = u32::from_be_bytes(bytes).into();
                    }
                }
                self.send(&frame(SETTINGS, ACK, 0, &[]));
            }
            WINDOW_UPDATE => {
                *self.granted.entry(read.stream).or_default() += i64::from(number(0));
            }
            _ => {}
        }
    }

    /// What has come on the stream so far.
    pub fn so_far(&self, stream: u32) -> Answer {
        self.answers.get(&stream).cloned().unwrap_or_default()
    }

    /// Reads until the stream has ended, or the connection.
    pub fn answer(&mut self, stream: u32) -> Answer {
        loop {
            let answer = self.so_far(stream);
            if answer.complete || answer.reset.is_some() || self.frame().is_none() {
                return self.so_far(stream);
            }
        }
    }

    /// Reads until the server closes the connection; false if it does not.
    pub fn read_to_end(&mut self) -> bool {
        while self.frame().is_some() {}
        let read = self.tcp.read(&mut [0]);
        !matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// Reads what there is until the server answers a PING.
    #[track_caller]
    pub fn ping(&mut self) {
        let pongs = self.pongs;
        assert!(self.send(&frame(PING, 0, 0, b"are you?")));
        while self.pongs == pongs {
            assert!(self.frame().is_some(), "the connection has ended");
        }
    }
}

/// The fields of a usual request.
pub fn fields<'a>(
    method: &'a str,
    path: &'a str,
    more: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let usual = [
        (":method", method),
        (":scheme", "http"),
        (":path", path),
        (":authority", "test"),
    ];
    [&usual[..], more].concat()
}

/// A frame's bytes.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    let head = [&len[1..], &[kind, flags], &stream.to_be_bytes()[..]].concat();
    [&head[..], payload].concat()
}

/// Fields as HPACK literals without indexing (RFC 7541 §6.2.2).
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        string(&mut block, name.as_bytes());
        string(&mut block, value.as_bytes());
    }
    block
}

/// A string without Huffman code (§5.2).
pub fn string(block: &mut Vec<u8>, text: &[u8]) {
    if text.len() < 127 {
        block.push(text.len() as u8);
    } else {
        block.push(127);
        let mut rest = text.len() - 127;
        while rest >= 128 {
            block.push((rest % 128) as u8 | 128);
            rest /= 128;
        }
        block.push(rest as u8);
    }
    block.extend_from_slice(text);
}

/// The status, which comes first: of the static table, or its name from there and a literal.
fn status(mut block: &[u8]) -> u16 {
    // Changes of the table's size.
    while let [byte, rest @ ..] = block
        && byte & 0xe0 == 0x20
    {
        block = rest;
    }
    let indexed = [200, 204, 206, 304, 400, 404, 500];
    match block {
        [byte @ 0x88..=0x8e, ..] => indexed[usize::from(byte - 0x88)],
        [0x08 | 0x18 | 0x48, len, rest @ ..] => {
            let text = &rest[..usize::from(len & 0x7f)];
            match len & 0x80 {
                0 => std::str::from_utf8(text).unwrap().parse().unwrap(),
                _ => digits(text),
            }
        }
        other => panic!("no status: {other:x?}"),
    }
}

/// Three digits in Huffman code (RFC 7541, appendix B): 0 to 2 take five bits, the others six.
fn digits(text: &[u8]) -> u16 {
    let bits: Vec<u8> = text
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1))
        .collect();
    let (mut at, mut number) = (0, 0);
    for _ in 0..3 {
        let five = bits[at..at + 5].iter().fold(0, |sum, bit| sum * 2 + bit);
        if five < 3 {
            number = number * 10 + u16::from(five);
            at += 5;
        } else {
            let six = five * 2 + bits[at + 5];
            number = number * 10 + u16::from(six - 0x19 + 3);
            at += 6;
        }
    }
    number
}
