//! What a target answered, for the front to pass on.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use appliance_gateway::Incomplete;
use appliance_message::ResponseHead;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Sleep};

use crate::target::UnderWay;

/// What a target answered.
#[derive(Debug)]
pub enum Answer {
    /// A response.
    Response(ResponseHead, AnswerBody),
    /// 101: the connection is of another protocol from now on.
    Switched(ResponseHead, Tunnel),
}

/// The bytes of a response, as they come.
#[derive(Debug)]
pub struct AnswerBody {
    incoming: Incoming,
    timeout: Duration,
    /// Set when bytes are first waited for.
    clock: Option<Pin<Box<Sleep>>>,
    _under_way: UnderWay,
}

/// A connection to a target that speaks another protocol.
#[derive(Debug)]
pub struct Tunnel {
    switched: OnUpgrade,
    _under_way: UnderWay,
}

impl Answer {
    pub(crate) fn new(
        mut response: Response<Incoming>,
        is_head: bool,
        timeout: Duration,
        under_way: UnderWay,
    ) -> Answer {
        let switched = (response.status() == StatusCode::SWITCHING_PROTOCOLS)
            .then(|| hyper::upgrade::on(&mut response));
        let (parts, incoming) = response.into_parts();
        let mut head = ResponseHead::new(parts.status);
        head.length = match is_head {
            true => length(&parts.headers),
            // Chunks count more than a Content-Length beside them (RFC 9112 §6.3).
            false => incoming.size_hint().exact(),
        };
        let named = named(&parts.headers);
        for (name, value) in &parts.headers {
            let is_upgrade = switched.is_some() && *name == header::UPGRADE;
            if is_upgrade || !stays(name, &named) {
                head.fields.add(name.as_str(), value.as_bytes());
                head.dated |= *name == header::DATE;
            }
        }
        match switched {
            Some(switched) => {
                let tunnel = Tunnel {
                    switched,
                    _under_way: under_way,
                };
                Answer::Switched(head, tunnel)
            }
            None => {
                let body = AnswerBody {
                    incoming,
                    timeout,
                    clock: None,
                    _under_way: under_way,
                };
                Answer::Response(head, body)
            }
        }
    }
}

/// Content-Length; hyper has refused one that contradicts itself.
fn length(fields: &HeaderMap) -> Option<u64> {
    let value = fields.get(header::CONTENT_LENGTH)?;
    value.to_str().ok()?.parse().ok()
}

/// The fields that `Connection` names, in lower case.
fn named(fields: &HeaderMap) -> Vec<String> {
    let values = fields.get_all(header::CONNECTION).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect()
}

/// Whether a field concerns the target's connection alone, or is written by the front.
fn stays(name: &HeaderName, named: &[String]) -> bool {
    let of_the_connection = [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    of_the_connection.contains(name)
        || matches!(name.as_str(), "keep-alive" | "proxy-connection")
        || named.iter().any(|named| named == name.as_str())
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Incomplete;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Incomplete>>> {
        let polled = Pin::new(&mut self.incoming).poll_frame(context);
        let timeout = self.timeout;
        if let Poll::Ready(frame) = polled {
            self.clock = None;
            return Poll::Ready(frame.map(|frame| {
                frame.map_err(|error| {
                    tracing::warn!("a response was cut: {}", crate::proxy::reason(&error));
                    Incomplete
                })
            }));
        }
        let clock = self
            .clock
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + timeout)));
        ready!(clock.as_mut().poll(context));
        tracing::warn!("a response was cut: nothing more of it came for {timeout:?}");
        Poll::Ready(Some(Err(Incomplete)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Tunnel {
    /// The bytes of both directions.
    ///
    /// # Errors
    /// The target left meanwhile.
    pub async fn open(self) -> io::Result<(TokioIo<Upgraded>, impl Send + 'static)> {
        let upgraded = self.switched.await.map_err(io::Error::other)?;
        Ok((TokioIo::new(upgraded), self._under_way))
    }
}
