//! A connection: bytes ⇄ requests, by hyper.
//!
//! hyper keeps some 14 KB for a connection that waits for its next request; most connections of
//! a site do nothing but wait. So one that has idled for a second is *parked*: hyper's state is
//! taken apart and dropped, the socket is kept, and its next bytes build that state anew.
//!
//! One that ends while its client may still be sending *lingers*: a socket closed with bytes
//! unread resets the connection, and the client loses the very answer that says why (413).

use std::any::Any;
use std::convert::Infallible;
use std::io;
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use appliance_gateway::Gateway;
use axum::body::Body;
use bytes::{Buf, Bytes};
use http::{Request, Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};

use hyper::body::Incoming;
use hyper::rt::ReadBufCursor;
use hyper::server::conn::http1;
use socket2::SockRef;
use tokio::net::TcpStream;
use tower::Service;
use tower_http::body::UnsyncBoxBody;
use tower_http::catch_panic::{self, CatchPanic};

use crate::connections::{Member, Order, Phase, Status};
use crate::error_page::{Form, error_page};
use crate::files::SendfileStream;
use crate::respond::{Answer, Origin, Steps};
use crate::serve::Front;
use crate::site::Sites;

/// How long a client that was refused may go on sending: nginx's `lingering_time`.
const LINGER: Duration = Duration::from_secs(30);

/// Largest head of a request, request line and fields (nginx takes 4 times 8 KB); hyper answers
/// 431 beyond it.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// The task of a connection; ends when the connection does.
pub(crate) struct Connection<G: Gateway> {
    member: Member,
    service: Answers<G>,
    state: State<G>,
}

enum State<G: Gateway> {
    Serving(Box<http1::Connection<Io, Answers<G>>>),
    Parked(Io),
    /// Everything is sent; what the client still sends is dropped, up to this moment.
    Lingering(Io, Instant),
    Ended,
}

impl<G: Gateway> Connection<G> {
    pub(crate) fn new(
        front: Arc<Front<G>>,
        sites: Arc<Sites>,
        tcp: TcpStream,
        (peer, local): (SocketAddr, SocketAddr),
    ) -> Self {
        let member = front.connections.join();
        let io = Io {
            tcp: SendfileStream::new(tcp),
            ahead: Bytes::new(),
            status: Arc::clone(&member.status),
        };
        let service = Answers {
            steps: Steps {
                front,
                sites,
                origin: Origin {
                    peer,
                    local,
                    sendfile: Some(io.tcp.token()),
                },
            },
            status: Arc::clone(&member.status),
        };
        Connection {
            state: State::Serving(serving(io, &service)),
            service,
            member,
        }
    }

    fn is_idle(&self) -> bool {
        let status = &self.member.status;
        status.phase() == Phase::Idle
            && status.flushed.load(Relaxed)
            && status.awaits_bytes.load(Relaxed)
    }

    fn park(&mut self) {
        if let State::Serving(hyper) = std::mem::replace(&mut self.state, State::Ended) {
            let parts = hyper.into_parts();
            self.state = State::Parked(Io {
                // A copy: the slice, even an empty one, would keep hyper's whole buffer.
                ahead: Bytes::copy_from_slice(&parts.read_buf),
                ..parts.io
            });
            self.member.count_parked();
        }
    }

    /// Whether an idle connection may be closed: no request waits in its socket, as it may do
    /// before tokio has heard of it. It is parked for that, hyper keeps the socket to itself.
    fn nothing_waits(&mut self) -> bool {
        if matches!(self.state, State::Serving(_)) {
            self.park();
        }
        let State::Parked(io) = &self.state else {
            return true;
        };
        let waiting = SockRef::from(io.tcp.get_ref()).peek(&mut [MaybeUninit::uninit()]);
        !matches!(waiting, Ok(1..))
    }

    /// hyper is done. A client that may still be sending is not to lose the answer.
    fn say_goodbye(&mut self, failed: bool) {
        if let State::Serving(hyper) = std::mem::replace(&mut self.state, State::Ended) {
            let io = hyper.into_parts().io;
            let shut = SockRef::from(io.tcp.get_ref()).shutdown(Shutdown::Write);
            if shut.is_ok() && (failed || self.member.status.had_body.load(Relaxed)) {
                self.member.status.enter(Phase::Lingering);
                self.state = State::Lingering(io, Instant::now() + LINGER);
            }
        }
    }
}

/// Reads once and forgets it; whether there may be more.
fn drop_unread(tcp: &SendfileStream, context: &mut Context<'_>) -> Poll<bool> {
    let tcp = tcp.get_ref();
    if ready!(tcp.poll_read_ready(context)).is_err() {
        return Poll::Ready(false);
    }
    Poll::Ready(match tcp.try_read(&mut [0; 16 * 1024]) {
        Ok(len) => len > 0,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    })
}

fn serving<G: Gateway>(io: Io, service: &Answers<G>) -> Box<http1::Connection<Io, Answers<G>>> {
    let hyper = http1::Builder::new()
        .writev(true)
        .max_header_size(MAX_HEAD_BYTES)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(io, service.clone());
    Box::new(hyper)
}

impl<G: Gateway> Future for Connection<G> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.service.steps.front.gateway.turn();
        this.member.status.set_waker(context.waker());
        loop {
            match this.member.status.order() {
                Order::Close => return Poll::Ready(()),
                Order::Drain if this.is_idle() && this.nothing_waits() => return Poll::Ready(()),
                Order::None | Order::Park | Order::Drain => {}
            }
            match &mut this.state {
                State::Serving(hyper) => {
                    if let Poll::Ready(result) = hyper.poll_without_shutdown(context) {
                        if let Err(error) = &result {
                            tracing::debug!(peer = %this.service.steps.origin.peer, %error, "connection ended early");
                        }
                        this.say_goodbye(result.is_err());
                        continue;
                    }
                    match this.member.status.order() {
                        Order::Park => {
                            this.member.status.obeyed();
                            if !this.is_idle() {
                                return Poll::Pending;
                            }
                            this.park();
                        }
                        // Only now: before its head is here, hyper would drop the request.
                        Order::Drain if this.member.status.phase() == Phase::Busy => {
                            Pin::new(&mut **hyper).graceful_shutdown();
                            return Poll::Pending;
                        }
                        Order::Drain if this.is_idle() => {
                            if this.nothing_waits() {
                                return Poll::Ready(());
                            }
                            // Not at once: tokio has to hear of the bytes first.
                            context.waker().wake_by_ref();
                            return Poll::Pending;
                        }
                        Order::None | Order::Drain | Order::Close => return Poll::Pending,
                    }
                }
                State::Parked(io) => {
                    this.member.status.parked.store(true, Relaxed);
                    if io.tcp.get_ref().poll_read_ready(context).is_pending() {
                        return Poll::Pending;
                    }
                    this.member.status.parked.store(false, Relaxed);
                    this.member.status.touch();
                    if let State::Parked(io) = std::mem::replace(&mut this.state, State::Ended) {
                        // Not idle before hyper has seen what came.
                        this.member.status.awaits_bytes.store(false, Relaxed);
                        this.state = State::Serving(serving(io, &this.service));
                    }
                }
                State::Lingering(io, until) => {
                    let more = ready!(drop_unread(&io.tcp, context));
                    if !more || Instant::now() > *until {
                        return Poll::Ready(());
                    }
                    this.member.status.touch();
                }
                State::Ended => return Poll::Ready(()),
            }
        }
    }
}

/// hyper's service: answers each request of a connection.
struct Answers<G> {
    steps: Steps<G>,
    status: Arc<Status>,
}

impl<G> Clone for Answers<G> {
    fn clone(&self) -> Self {
        Answers {
            steps: self.steps.clone(),
            status: Arc::clone(&self.status),
        }
    }
}

impl<G: Gateway> hyper::service::Service<Request<Incoming>> for Answers<G> {
    type Response = Response<Tracked>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<Incoming>) -> Answering {
        let has_body = !request.body().is_end_stream();
        self.status.had_body.store(has_body, Relaxed);
        let running = Some(Running::begin(&self.status));
        let panicked = Panicked(Form::asked_by(request.headers()));
        let response = CatchPanic::custom(self.steps.clone(), panicked).call(request);
        Answering { response, running }
    }
}

/// A response to come.
struct Answering {
    response: catch_panic::ResponseFuture<Answer, Panicked>,
    running: Option<Running>,
}

impl Future for Answering {
    type Output = Result<Response<Tracked>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(Pin::new(&mut self.response).poll(context))?;
        let running = self.running.take();
        Poll::Ready(Ok(response.map(|body| Tracked { body, running })))
    }
}

/// The answer to a request in which something panicked. The panic's own message and place have
/// gone to the log by the panic hook.
#[derive(Clone)]
struct Panicked(Form);

impl catch_panic::ResponseForPanic for Panicked {
    type ResponseBody = Body;

    fn response_for_panic(&mut self, _: Box<dyn Any + Send>) -> Response<Body> {
        error_page(StatusCode::INTERNAL_SERVER_ERROR, self.0)
    }
}

/// A connection is busy as long as this lives: until hyper has the whole response.
struct Running(Arc<Status>);

impl Running {
    fn begin(status: &Arc<Status>) -> Self {
        status.enter(Phase::Busy);
        Running(Arc::clone(status))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // What hyper still holds of the response is not flushed yet.
        self.0.flushed.store(false, Relaxed);
        self.0.enter(Phase::Idle);
    }
}

/// A response's body, which knows when it has been taken.
struct Tracked {
    body: UnsyncBoxBody<Bytes, axum::BoxError>,
    #[allow(
        dead_code,
        reason = "dropped with the body, which is its whole purpose"
    )]
    running: Option<Running>,
}

impl HttpBody for Tracked {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The socket, as hyper uses it, and what can be learnt from watching that.
struct Io {
    tcp: SendfileStream,
    /// Bytes that were read before the connection was parked.
    ahead: Bytes,
    status: Arc<Status>,
}

impl hyper::rt::Read for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let len = self.ahead.len().min(cursor.remaining());
            cursor.put_slice(&self.ahead[..len]);
            self.ahead.advance(len);
            return Poll::Ready(Ok(()));
        }
        let result = Pin::new(&mut self.tcp).poll_read(context, cursor);
        self.status.awaits_bytes.store(result.is_pending(), Relaxed);
        if result.is_ready() && self.status.phase() == Phase::Idle {
            self.status.enter(Phase::ReadingHead);
        }
        result
    }
}

impl hyper::rt::Write for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.tcp).poll_write_vectored(context, slices);
        let blocked = result.is_pending();
        if self.status.write_blocked.swap(blocked, Relaxed) != blocked || !blocked {
            self.status.touch();
        }
        result
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.tcp).poll_flush(context))?;
        self.status.flushed.store(true, Relaxed);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}
