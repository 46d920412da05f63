//! HTTP/2 with a target: one connection, which all requests share.
//!
//! A pool that goes by the authority of a request's URI, as hyper-util's does, would need a
//! connection for each host that clients ask for: in HTTP/2 that is the authority (RFC 9113
//! §8.3.1), and servers refuse a Host field that says something else beside it.

use std::io;
use std::time::{Duration, Instant};

use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri, Version, header};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::Mutex;

use crate::connector::{Connector, Stream};
use crate::sender::Unsent;
use crate::upload::Upload;

/// A connection with requests on it whose target says nothing for so long is asked whether it is
/// there, and given up if it does not say so for as long again.
const SILENCE: Duration = Duration::from_secs(20);

/// The connection to a target.
#[derive(Debug)]
pub(crate) struct Multiplexed {
    connector: Connector,
    scheme: Scheme,
    /// The target speaks HTTP/2 in any case.
    is_sure: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Closed,
    Open(SendRequest<Upload>),
    /// The target prefers HTTP/1.1. It is not asked again in the life of the worker.
    Http1,
    /// An attempt that ended then: who waited for it meanwhile need not make another one.
    Failed(Instant, io::ErrorKind, String),
}

impl Multiplexed {
    pub(crate) fn new(connector: Connector, scheme: Scheme) -> Self {
        Multiplexed {
            connector,
            is_sure: scheme == Scheme::HTTP,
            scheme,
            state: Mutex::new(State::Closed),
        }
    }

    /// The way to the target; none if it prefers HTTP/1.1.
    pub(crate) async fn sender(&self) -> io::Result<Option<SendRequest<Upload>>> {
        let began = Instant::now();
        let mut state = self.state.lock().await;
        match &*state {
            State::Http1 => return Ok(None),
            State::Open(sender) if !sender.is_closed() => return Ok(Some(sender.clone())),
            State::Failed(at, kind, reason) if *at >= began => {
                return Err(io::Error::new(*kind, reason.clone()));
            }
            State::Open(_) | State::Closed | State::Failed(..) => {}
        }
        match self.open().await {
            Ok(Some(sender)) => {
                *state = State::Open(sender.clone());
                Ok(Some(sender))
            }
            Ok(None) => {
                *state = State::Http1;
                Ok(None)
            }
            Err(error) => {
                *state = State::Failed(Instant::now(), error.kind(), error.to_string());
                Err(error)
            }
        }
    }

    async fn open(&self) -> io::Result<Option<SendRequest<Upload>>> {
        let stream: Stream = self.connector.connect().await?;
        if !self.is_sure && !stream.has_agreed_on_http2() {
            return Ok(None);
        }
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(SILENCE)
            .keep_alive_timeout(SILENCE)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to another server has failed");
            }
        });
        Ok(Some(sender))
    }

    /// Sends a request as HTTP/2 has it.
    pub(crate) async fn send(
        &self,
        mut sender: SendRequest<Upload>,
        mut request: Request<Upload>,
    ) -> Result<Response<Incoming>, Unsent> {
        self.address(&mut request);
        match sender.try_send_request(request).await {
            Ok(response) => Ok(response),
            Err(mut error) => {
                let is_here = error.take_message().is_some();
                let reason = crate::proxy::reason(error.error());
                match is_here {
                    true => Err(Unsent::NotSent(reason)),
                    false => Err(Unsent::Broken(reason)),
                }
            }
        }
    }

    /// What Host says becomes the authority.
    fn address(&self, request: &mut Request<Upload>) {
        *request.version_mut() = Version::HTTP_2;
        let host = request.headers_mut().remove(header::HOST);
        let host = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = host.or(parts.authority);
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    }
}
