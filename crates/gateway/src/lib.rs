//! The border between front and bridge: the trait that whoever runs the application fulfils.
//!
//! The front knows nothing of Python and the bridge nothing of connections: the front
//! hands over a request whose body it has already received, and awaits a response.

use std::fs::File;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use appliance_message::uwsgi::Told;
use appliance_message::{Fields, Head, ResponseHead};
use bytes::Bytes;

/// Answers the requests of `wsgi` routes.
pub trait Gateway: Send + Sync + 'static {
    /// The response's body; its end without an error is the end of the response.
    type Body: http_body::Body<Data = Bytes, Error = Incomplete> + Unpin + Send + 'static;

    /// Calls the application, at once: what is returned only awaits its reply. Dropping that or
    /// the body says that the client has left.
    fn call(&self, request: Request) -> impl Answering<Self::Body> + use<Self>;

    /// Called when the front answers a request by itself: more of that may come, which is not to
    /// wait for anything that the gateway does.
    fn stay_awake(&self) {}

    /// Called by the front between its connections' turns, so that news from the application is
    /// seen however busy the front is. Must cost next to nothing.
    fn turn(&self) {}
}

/// An application at work on a reply.
pub trait Answering<B>: Send {
    /// What comes next from the application; nothing comes after a reply or an error.
    fn poll_news(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<News<B>, GatewayError>>;
}

/// What comes from an application before its response's body.
#[derive(Debug)]
pub enum News<B> {
    /// The fields of a 103 (RFC 8297), checked. More may come.
    Hints(Fields),
    /// The reply.
    Reply(Reply<B>),
}

/// A request for the application.
#[derive(Debug)]
pub struct Request {
    /// Method, target, version, header fields, as received.
    pub head: Head,
    /// The whole body.
    pub body: RequestBody,
    /// The client; port 0 where a proxy names an address alone.
    pub peer: SocketAddr,
    /// Where it connected to.
    pub local: SocketAddr,
    /// Whether it used TLS: with us, or as far as a trusted proxy says.
    pub is_https: bool,
    /// Who has given the right password to the front, if it asks for one.
    pub user: Option<Box<str>>,
    /// The connection's TLS, if it is ours.
    pub tls: Option<Arc<Tls>>,
    /// What a gateway in front of us says of it, by the uwsgi protocol.
    pub told: Option<Box<Told>>,
    /// Who is called, and how; none: the project's application, with the whole path.
    pub callee: Option<Box<Callee>>,
    /// How long the application may take; none: as long as any.
    pub timeout: Option<Duration>,
    /// When all of it was here.
    pub came: Instant,
    /// Unique to this request within the server; in every log line about it.
    pub id: RequestId,
}

/// Another application than the project's, or one that stands below a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callee {
    /// Its number among those that routes name; none: the project's.
    pub other: Option<usize>,
    /// Where it stands.
    pub mount: Option<Mount>,
}

/// The path below which an application stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// `SCRIPT_NAME`, decoded and without a final slash.
    pub script_name: Arc<str>,
    /// Bytes of the request's path, as it was sent, that are spoken for by that.
    pub len: usize,
}

/// A connection's TLS, as applications want to know it.
#[derive(Debug, PartialEq, Eq)]
pub struct Tls {
    /// `TLSv1.3`.
    pub protocol: &'static str,
    /// The cipher suite, by OpenSSL's name.
    pub cipher: &'static str,
    /// The host that the client named in its handshake.
    pub server_name: Option<Box<str>>,
    /// The client's, if it has shown one. It is good: a handshake with a bad one fails.
    pub client: Option<ClientCertificate>,
}

/// A client's certificate.
#[derive(Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Its subject's distinguished name (RFC 4514): `CN=Ada,O=Analytical Engines`.
    pub subject: String,
    /// Its issuer's.
    pub issuer: String,
    /// Its serial number, in hexadecimal.
    pub serial: String,
    /// All of it, in PEM.
    pub pem: String,
}

/// What a request is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestId {
    /// Ours: printed as 16 hexadecimal digits.
    Number(u64),
    /// A trusted proxy's.
    Told(Box<str>),
}

impl RequestId {
    /// As it is written; `buffer` is for the digits.
    pub fn text<'a>(&'a self, buffer: &'a mut [u8; 16]) -> &'a str {
        match self {
            RequestId::Told(name) => name,
            RequestId::Number(number) => {
                for (place, digit) in buffer.iter_mut().rev().enumerate() {
                    *digit = b"0123456789abcdef"[(number >> (4 * place)) as usize & 15];
                }
                std::str::from_utf8(buffer).unwrap_or_default()
            }
        }
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text(&mut [0; 16]))
    }
}

/// A request body, received in full: small ones in memory, large ones in an unlinked file.
#[derive(Debug)]
pub enum RequestBody {
    /// In memory; may be empty.
    Memory(Bytes),
    /// Spooled: positioned at its start.
    File {
        /// The unlinked temporary file.
        file: File,
        /// Bytes in it.
        len: u64,
    },
}

impl RequestBody {
    /// Bytes in it.
    pub fn len(&self) -> u64 {
        match self {
            RequestBody::Memory(bytes) => bytes.len() as u64,
            RequestBody::File { len, .. } => *len,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What the application answered.
#[derive(Debug)]
pub struct Reply<B> {
    /// Status and header fields, checked.
    pub head: ResponseHead,
    /// What follows.
    pub body: ReplyBody<B>,
    /// How long it took.
    pub timing: Timing,
}

/// How long a request waited, and how long the application was at it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing {
    /// From [`Request::came`] until a thread took it.
    pub queued: Duration,
    /// From then until the reply left the application: its head, with the first block if there is
    /// one, and of small responses all of it.
    pub application: Duration,
}

/// The two kinds of bodies an application sends.
#[derive(Debug)]
pub enum ReplyBody<B> {
    /// Bytes as the application yields them.
    Stream(B),
    /// A regular file (`wsgi.file_wrapper`), from its current offset: no Python thread is
    /// involved any more.
    File {
        /// The file, a descriptor of our own.
        file: File,
        /// Where the reply begins in it.
        offset: u64,
        /// Bytes to send.
        len: u64,
    },
}

/// The application stopped before the end of its response: the connection must be cut so that
/// the client sees it.
#[derive(Debug, Clone, Copy)]
pub struct Incomplete;

impl std::fmt::Display for Incomplete {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the application stopped before the end of its response")
    }
}

impl std::error::Error for Incomplete {}

/// Why there is no response from the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GatewayError {
    /// The queue is full: 503 with Retry-After.
    Busy,
    /// The request waited in the queue for too long (logged by the gateway): 503 with Retry-After.
    Waited,
    /// The application took too long (logged by the gateway): 504.
    Timeout,
    /// The application raised or broke PEP 3333 before its head was sent (logged by the
    /// gateway): 500.
    Failed,
}

impl<G: Gateway> Gateway for std::sync::Arc<G> {
    type Body = G::Body;

    fn call(&self, request: Request) -> impl Answering<Self::Body> + use<G> {
        (**self).call(request)
    }

    fn stay_awake(&self) {
        (**self).stay_awake();
    }

    fn turn(&self) {
        (**self).turn();
    }
}
