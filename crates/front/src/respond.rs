//! A request → its response: the steps 2 to 5 of a request, in order.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use appliance_gateway::{
    Gateway, GatewayError, Reason, Reply, ReplyBody, Request as GatewayRequest, RequestBody,
    RequestId,
};
use axum::body::Body;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue, LOCATION, RETRY_AFTER};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;

use crate::error_page::{Form, error_page};
use crate::files::{Sendfile, file_body};
use crate::request_body::{self, BodyError, Bounds};
use crate::request_path;
use crate::route::{Handler, Match};
use crate::serve::Front;
use crate::site::{self, Site, Sites};

/// What a request's connection is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    /// It can send files itself.
    pub(crate) sendfile: Option<Sendfile>,
}

/// A response, or the future of one. What needs to wait for nothing is answered at once, without
/// a future on the heap: hot files are.
pub(crate) enum Answer {
    Ready(Option<Response<Body>>),
    Waits(Pin<Box<dyn Future<Output = Response<Body>> + Send>>),
}

impl Answer {
    fn ready(response: Response<Body>) -> Self {
        Answer::Ready(Some(response))
    }
}

impl Future for Answer {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Answer::Waits(response) => response.as_mut().poll(context).map(Ok),
            Answer::Ready(response) => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                None => Poll::Pending, // polled after its end
            },
        }
    }
}

/// The steps, for one listener's sites, as a service that middleware can be put around.
pub(crate) struct Steps<G> {
    pub(crate) front: Arc<Front<G>>,
    pub(crate) sites: Arc<Sites>,
    pub(crate) origin: Origin,
}

impl<G> Clone for Steps<G> {
    fn clone(&self) -> Self {
        Steps {
            front: Arc::clone(&self.front),
            sites: Arc::clone(&self.sites),
            origin: self.origin,
        }
    }
}

impl<G: Gateway> tower::Service<Request<Incoming>> for Steps<G> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Answer {
        respond(&self.front, &self.sites, self.origin, request)
    }
}

/// Answers a request. Never fails: what goes wrong has a status.
fn respond<G: Gateway>(
    front: &Arc<Front<G>>,
    sites: &Sites,
    origin: Origin,
    request: Request<Incoming>,
) -> Answer {
    let (mut head, body) = request.into_parts();
    site::settle_host(&mut head);
    let Ok(path) = request_path::normalize(head.uri.path()) else {
        return Answer::ready(refuse(StatusCode::BAD_REQUEST, &head));
    };
    let Ok(site) = sites.find(&head.headers, head.version == Version::HTTP_11) else {
        return Answer::ready(refuse(StatusCode::BAD_REQUEST, &head));
    };
    match site.routes.find(&path) {
        Match::Route(Handler::Files(folder), prefix) => {
            front.gateway.stay_awake();
            let below = &path[prefix..];
            if body.is_end_stream()
                && let Some(response) = folder.reply_at_once(&head, below, origin.sendfile)
            {
                return Answer::ready(response);
            }
            let (front, site, folder) = (Arc::clone(front), Arc::clone(site), Arc::clone(folder));
            let below = below.to_owned();
            Answer::Waits(Box::pin(async move {
                let response = folder.reply(&head, &below, origin.sendfile).await;
                drain(body, response, &front, &site).await
            }))
        }
        Match::Route(Handler::Wsgi, _) if body.is_end_stream() => {
            let body = RequestBody::Memory(Bytes::new());
            Answer::Waits(Box::pin(call(front, origin, head, body)))
        }
        Match::Route(Handler::Wsgi, _) => {
            let (front, site) = (Arc::clone(front), Arc::clone(site));
            Answer::Waits(Box::pin(async move {
                let bounds = Bounds {
                    limit: site.body_limit_bytes,
                    in_memory: front.body_buffer_bytes,
                    spool: &front.spool,
                };
                match request_body::receive(body, bounds).await {
                    Ok(body) => call(&front, origin, head, body).await,
                    Err(error) => body_failed(&head, &error),
                }
            }))
        }
        Match::AddSlash => Answer::ready(add_slash(&head, &path)),
        Match::Nothing => Answer::ready(refuse(StatusCode::NOT_FOUND, &head)),
    }
}

fn refuse(status: StatusCode, head: &Parts) -> Response<Body> {
    error_page(status, Form::asked_by(&head.headers))
}

/// A redirect that keeps method and query. The path is in normal form, so it cannot begin with
/// the `//` that browsers take for a host.
fn add_slash(head: &Parts, path: &str) -> Response<Body> {
    let status = match head.method {
        Method::GET | Method::HEAD => StatusCode::MOVED_PERMANENTLY,
        _ => StatusCode::PERMANENT_REDIRECT,
    };
    let target = match head.uri.query() {
        Some(query) => format!("{path}/?{query}"),
        None => format!("{path}/"),
    };
    let mut response = refuse(status, head);
    match HeaderValue::try_from(target) {
        Ok(target) => response.headers_mut().insert(LOCATION, target),
        Err(_) => return refuse(StatusCode::BAD_REQUEST, head),
    };
    response
}

/// Calls the application, at once; the future only awaits its reply, and is small for that.
fn call<G: Gateway>(
    front: &Arc<Front<G>>,
    origin: Origin,
    head: Parts,
    body: RequestBody,
) -> impl Future<Output = Response<Body>> + Send + use<G> {
    let form = Form::asked_by(&head.headers);
    let reply = front.gateway.call(GatewayRequest {
        head,
        body,
        peer: origin.peer,
        local: origin.local,
        id: front.next_id(),
    });
    let front = Arc::clone(front);
    async move {
        match reply.await {
            Ok(reply) => from_reply(reply, origin.sendfile),
            Err(GatewayError::Failed) => error_page(StatusCode::INTERNAL_SERVER_ERROR, form),
            Err(GatewayError::Timeout) => error_page(StatusCode::GATEWAY_TIMEOUT, form),
            Err(error @ (GatewayError::Busy | GatewayError::Waited)) => {
                if error == GatewayError::Busy {
                    front.overload.report();
                }
                let mut response = error_page(StatusCode::SERVICE_UNAVAILABLE, form);
                response
                    .headers_mut()
                    .insert(RETRY_AFTER, HeaderValue::from_static("1"));
                response
            }
        }
    }
}

fn from_reply<B>(reply: Reply<B>, sendfile: Option<Sendfile>) -> Response<Body>
where
    B: http_body::Body<Data = Bytes, Error = appliance_gateway::Incomplete> + Send + 'static,
{
    let mut head = reply.head;
    if let Some(Reason(reason)) = head.extensions.remove() {
        // The gateway let no control character through, which is all that hyper asks.
        if let Ok(reason) = ReasonPhrase::try_from(reason) {
            head.extensions.insert(reason);
        }
    }
    let body = match reply.body {
        ReplyBody::Stream(stream) => Body::new(stream),
        ReplyBody::File { file, offset, len } => {
            let declared = head
                .headers
                .entry(CONTENT_LENGTH)
                .or_insert_with(|| HeaderValue::from(len));
            // Never more than that: see `file_body`.
            let declared = declared.to_str().ok().and_then(|text| text.parse().ok());
            file_body(file, offset, len.min(declared.unwrap_or(len)), sendfile)
        }
    };
    Response::from_parts(head, body)
}

fn body_failed(head: &Parts, error: &BodyError) -> Response<Body> {
    let status = match error {
        BodyError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        BodyError::TooSlow => StatusCode::REQUEST_TIMEOUT,
        BodyError::Broken => StatusCode::BAD_REQUEST,
        BodyError::Spool(error) => {
            tracing::error!(%error, "cannot spool a request body; `python.spool` names the folder");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    let mut response = refuse(status, head);
    // The rest of the body stays unread: what follows on this connection is no request.
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Receives and drops a body that nobody asked for, so that the connection can go on.
async fn drain<G>(
    body: Incoming,
    response: Response<Body>,
    front: &Front<G>,
    site: &Site,
) -> Response<Body> {
    if !body.is_end_stream() {
        let bounds = Bounds {
            limit: front.body_buffer_bytes.min(site.body_limit_bytes),
            in_memory: front.body_buffer_bytes,
            spool: &front.spool,
        };
        // One that is too long to be worth it ends the connection, which hyper sees to.
        let _ = request_body::receive(body, bounds).await;
    }
    response
}

/// Numbers requests, beginning anywhere, so that two workers' numbers do not meet.
#[derive(Debug)]
pub(crate) struct RequestIds(AtomicU64);

impl RequestIds {
    pub(crate) fn new() -> Self {
        use std::hash::{BuildHasher, RandomState};
        RequestIds(AtomicU64::new(
            RandomState::new().hash_one(std::process::id()),
        ))
    }

    pub(crate) fn next(&self) -> RequestId {
        RequestId(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// Reports turned-away requests, once a second at most.
#[derive(Debug)]
pub(crate) struct Overload {
    epoch: Instant,
    last_second: AtomicU64,
}

impl Overload {
    pub(crate) fn new() -> Self {
        Overload {
            epoch: Instant::now(),
            last_second: AtomicU64::new(0),
        }
    }

    fn report(&self) {
        let second = self.epoch.elapsed().as_secs() + 1;
        if self.last_second.swap(second, Ordering::Relaxed) != second {
            tracing::warn!(
                "the queue is full: requests get 503; see `python.threads`, `python.processes` and `python.queue`"
            );
        }
    }
}
