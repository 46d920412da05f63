//! An HTTP/1.1 connection: requests in, responses out, one after the other.
//!
//! 1. A head is read ([`crate::socket`]); one that is no request is refused, and the connection
//!    ends with that.
//! 2. Somebody answers ([`crate::request`]); for the application the body is received first
//!    ([`crate::request_body`]).
//! 3. The response is sent ([`crate::send`]).
//!
//! A connection that ends while its client may still be sending *lingers*: a socket closed with
//! bytes unread resets the connection, and the client loses the very answer that says why (413).

mod pass_on;
mod tunnel;
mod uwsgi;

use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use appliance_gateway::{Answering, Gateway, Incomplete, News, Reply, RequestBody, Timing};
use appliance_message::uwsgi::Told;
use appliance_message::{Fields, Framing, Head, Name, Refusal, ResponseHead, list};
use appliance_project::model::Http2;
use bytes::Bytes;
use http::{Method, StatusCode, Version};
use tokio::net::TcpStream;

use crate::access_log::Entry;
use crate::account::Account;
use crate::connections::{DRAINING_HEAD_TICKS, Member, Order, Phase, Status};
use crate::error_page::{Form, error_page, plain_at_tls};
use crate::http2;
use crate::proxy_protocol;
use crate::request::{self, Asked, Client, Outcome};
use crate::request_body::{self, BodyError, Bounds};
use crate::respond::{Answer, Origin, body_failed, refuse};
use crate::response::Response;
use crate::route::Call;
use crate::send::{self, Manner, StreamEnd};
use crate::serve::Front;
use crate::site::{Site, Sites};
use crate::socket::{Greeting, NextHead, Socket};

/// How long a client that was refused may go on sending (nginx's `lingering_time`), and how long
/// it may pause (`lingering_timeout`).
const LINGER: Duration = Duration::from_secs(30);
const LINGER_PAUSE_TICKS: u32 = 5;

/// What a client may go on sending whose HTTP/2 connection has failed: enough to read why on the
/// way, and no flood.
const LINGER_BYTES_OF_A_FAILURE: u64 = 256 << 10;

/// The longest unwanted body that is received and dropped, so that the connection can go on.
const SKIPPED_BYTES: u64 = 64 * 1024;

/// Serves a connection to its end.
pub(crate) async fn serve<G: Gateway>(
    front: Arc<Front<G>>,
    sites: Arc<Sites>,
    tcp: TcpStream,
    origin: Origin,
    member: Member,
) {
    let status = &member.status;
    let mut connection = Connection {
        socket: Socket::new(tcp, Arc::clone(status)),
        front: Arc::clone(&front),
        sites,
        origin,
        told: None,
        status: Arc::clone(status),
        account: None,
    };
    let mut serving = pin!(connection.serve());
    poll_fn(|context| {
        front.gateway.turn();
        status.set_waker(context.waker());
        match status.order() {
            Order::Close => Poll::Ready(()),
            _ => serving.as_mut().poll(context),
        }
    })
    .await;
}

struct Connection<G> {
    socket: Socket,
    front: Arc<Front<G>>,
    sites: Arc<Sites>,
    origin: Origin,
    /// What a gateway says of the request, by the uwsgi protocol.
    told: Option<Box<Told>>,
    status: Arc<Status>,
    /// Of the request that is being answered.
    account: Option<Account>,
}

/// What becomes of the connection after a request.
#[derive(Debug, PartialEq)]
enum After {
    Next,
    Close,
    /// Close, but not before the client has read the answer.
    Linger,
}

impl<G: Gateway> Connection<G> {
    async fn serve(&mut self) {
        if self.sites.is_uwsgi {
            return Box::pin(self.uwsgi()).await;
        }
        if self.sites.proxy_protocol && !self.meet_proxy().await {
            return;
        }
        if self.sites.is_tls && !Box::pin(self.greet()).await {
            return;
        }
        if self.socket.has_agreed_on(http2::ALPN) {
            return self.http2().await;
        }
        let mut left = self.front.requests_per_connection;
        loop {
            let next = self.next_head().await;
            self.account = match next {
                NextHead::End => return,
                NextHead::Refused { .. } if self.begins_http2(left) => return self.http2().await,
                _ => Some(Account::open()),
            };
            let after = match next {
                NextHead::Head(head) => {
                    self.status.enter(Phase::Busy, 0);
                    left = left.saturating_sub(1);
                    self.answer_or_500(head, left == 0).await
                }
                NextHead::Refused { refusal, is_head } => {
                    self.log_what_is_no_request();
                    self.refuse(refusal, is_head).await
                }
                NextHead::TimedOut => {
                    self.log_what_is_no_request();
                    let page = error_page(StatusCode::REQUEST_TIMEOUT, Form::Line);
                    self.last_words(page, Manner::of_refusal(false)).await;
                    return; // Who is that slow is not waited for any longer.
                }
                NextHead::End => return,
            };
            self.conclude();
            match after {
                After::Next => self.status.enter(Phase::Idle, self.front.keep_alive_ticks),
                After::Close if !self.socket.has_unread() => return,
                After::Close | After::Linger => return self.linger(u64::MAX).await,
            }
        }
    }

    /// Speaks HTTP/2 to the connection's end.
    async fn http2(&mut self) {
        let (front, sites) = (&self.front, &self.sites);
        let served = http2::serve(&mut self.socket, front, sites, self.origin, &self.status);
        let most = match Box::pin(served).await {
            http2::End::Agreed => u64::MAX,
            http2::End::Failed => LINGER_BYTES_OF_A_FAILURE,
        };
        self.linger(most).await;
    }

    /// Whether what was refused as a first request of HTTP/1.1 is how HTTP/2 begins, where that
    /// is spoken without TLS. Nobody else has to ask.
    fn begins_http2(&self, left: u64) -> bool {
        self.sites.http2 == Http2::Always
            && !self.origin.is_tls
            && left == self.front.requests_per_connection
            && self.socket.begins_with(http2::PREFACE)
    }

    /// Reads the header of the PROXY protocol. Whoever does not send one gets no answer: it is no
    /// proxy of ours, or one that is set up otherwise.
    async fn meet_proxy(&mut self) -> bool {
        if !self.origin.is_trusted {
            return false;
        }
        match self.socket.proxy_header().await {
            Some(proxy_protocol::Header::Local) => {}
            Some(proxy_protocol::Header::Unknown) => self.origin.is_trusted = false,
            Some(proxy_protocol::Header::Relayed {
                source,
                destination,
            }) => {
                self.origin = Origin {
                    peer: source,
                    local: destination,
                    is_trusted: self.front.proxies.trust(source.ip()),
                    is_tls: false,
                };
            }
            None => return false,
        }
        true
    }

    /// Shakes hands; false if the connection is over with that.
    async fn greet(&mut self) -> bool {
        match self.socket.greet(&self.sites).await {
            Greeting::Tls => {
                self.origin.is_tls = true;
                true
            }
            Greeting::Plain => {
                let form = match self.next_head().await {
                    NextHead::Head(head) => Form::asked_by(&head),
                    _ => Form::Line,
                };
                let page = plain_at_tls(form);
                self.last_words(page, Manner::of_refusal(false)).await;
                self.linger(u64::MAX).await;
                false
            }
            Greeting::Nothing => false,
        }
    }

    async fn next_head(&mut self) -> NextHead {
        let limits = self.front.head_limits;
        poll_fn(|context| {
            let ticks = match self.status.order() {
                Order::None => self.front.head_ticks,
                _ => DRAINING_HEAD_TICKS,
            };
            let next = self.socket.poll_head(context, limits, ticks);
            let may_leave =
                self.status.order() == Order::Leave && self.status.phase() == Phase::Idle;
            // A request may wait in the socket before tokio has heard of it.
            if next.is_pending() && may_leave && !self.socket.has_unread() {
                return Poll::Ready(NextHead::End);
            }
            next
        })
        .await
    }

    /// A panic costs its request a 500, and the connection. Its message and place have gone to
    /// the log by the panic hook.
    async fn answer_or_500(&mut self, head: Head, is_last: bool) -> After {
        let (form, is_head) = (Form::asked_by(&head), head.method == Method::HEAD);
        self.socket.begin_response();
        let after = {
            let mut answer = pin!(self.answer(head, is_last));
            poll_fn(|context| {
                let polled = catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(context)));
                match polled {
                    Ok(poll) => poll.map(Some),
                    Err(_) => Poll::Ready(None),
                }
            })
            .await
        };
        match after {
            Some(after) => after,
            None if self.socket.has_begun() => After::Close,
            None => {
                let page = error_page(StatusCode::INTERNAL_SERVER_ERROR, form);
                self.last_words(page, Manner::of_refusal(is_head)).await
            }
        }
    }

    async fn answer(&mut self, mut head: Head, is_last: bool) -> After {
        let is_head = head.method == Method::HEAD;
        let client = Client::of(&self.front, self.origin, &mut head);
        let sites = Arc::clone(&self.sites);
        let framing = match head.framing() {
            Ok(framing) => framing,
            Err(refusal) => {
                self.log(sites.default_site(), Some(&head), client);
                return self.refuse(refusal, is_head).await;
            }
        };
        let keeps_alive = !is_last && head.keeps_alive();
        let mut manner = Manner::new(&head.method, self.version(&head), keeps_alive);
        let Ok(expects) = expects_continue(&head) else {
            self.log(sites.default_site(), Some(&head), client);
            let refused = refuse(StatusCode::EXPECTATION_FAILED, &head);
            return self.last_words(refused, manner).await;
        };
        let Ok(site) = sites.find(&head) else {
            self.log(sites.default_site(), Some(&head), client);
            let refused = refuse(StatusCode::BAD_REQUEST, &head);
            return self.last_words(refused, manner).await;
        };
        self.log(site, Some(&head), client);
        self.socket.set_send_ticks(site.send_ticks);
        let by = (client, self.socket.secured());
        let (answer, visit) = request::answer(&*self.front, site, &mut head, by).await;
        manner.visit = visit.as_ref();
        if let (Some(entry), Some(visit)) = (self.entry(), &visit) {
            entry.note_user(visit.user.as_deref());
        }
        if let Some(tls) = site.tls.as_ref().filter(|_| client.is_https) {
            manner.hsts = tls.hsts();
        }
        let response = match answer {
            Answer::Application(call) => {
                let body_limit = call.body_limit_bytes;
                let body = match framing {
                    Framing::None => Ok(RequestBody::Memory(Bytes::new())),
                    _ => Box::pin(self.receive(framing, expects, body_limit, site)).await,
                };
                return match body {
                    Ok(body) => self.call(client, site, (head, body), call, manner).await,
                    Err(BodyError::Left) => After::Close,
                    Err(error) => self.last_words(body_failed(&head, &error), manner).await,
                };
            }
            Answer::OtherServers(others, below) => {
                let received = (head, framing, expects);
                let passed = self.pass_on((others, &below), client, received, site, manner);
                return Box::pin(passed).await;
            }
            Answer::Files(folder, below) => Box::pin(folder.reply(&head, &below)).await,
            Answer::Ready(response) => response,
        };
        match framing {
            Framing::None => self.send(response, manner).await,
            Framing::Length(len) if len <= SKIPPED_BYTES && !expects => {
                let after = self.send(response, manner).await;
                self.skip(framing, site.body_ticks, after).await
            }
            _ => self.last_words(response, manner).await,
        }
    }

    /// Calls the application and sends what it answers.
    async fn call(
        &mut self,
        client: Client,
        site: &Arc<Site>,
        received: (Head, RequestBody),
        call: Call,
        manner: Manner<'_>,
    ) -> After {
        let from = (self.origin, client, self.socket.secured());
        let (front, sites) = (&self.front, &self.sites);
        let (mut request, mut asked) =
            request::for_application(front, sites, site, from, received, call, manner.visit);
        if self.told.is_some() {
            self.tell(&mut request);
        }
        if let Some(entry) = self.entry() {
            entry.id = Some(asked.id.clone());
        }
        let mut reply = pin!(self.front.gateway.call(request));
        loop {
            let news = poll_fn(|context| match reply.as_mut().poll_news(context) {
                Poll::Ready(news) => Poll::Ready(Some(news)),
                Poll::Pending => self.socket.poll_left(context).map(|()| None),
            });
            match news.await {
                None => return After::Close,
                // A gateway's reader of answers knows the last response only.
                Some(Ok(News::Hints(_))) if self.sites.is_uwsgi => {}
                Some(Ok(News::Hints(fields))) => {
                    if Box::pin(self.hint(&fields)).await.is_err() {
                        return After::Close;
                    }
                }
                Some(Ok(News::Reply(reply))) => return self.relay(reply, &mut asked, manner).await,
                Some(Err(error)) => {
                    let response = request::no_reply(&self.front, error, &asked);
                    return self.send(response, manner).await;
                }
            }
        }
    }

    /// Sends an interim response: the final one is still to come.
    async fn hint(&mut self, fields: &Fields) -> io::Result<()> {
        let [shared, own] = fields.blocks();
        let block = [b"HTTP/1.1 103 Early Hints\r\n", shared, own, b"\r\n"].concat();
        self.socket.send([&block, b"", b""]).await?;
        self.socket.begin_response();
        Ok(())
    }

    async fn relay(
        &mut self,
        mut reply: Reply<G::Body>,
        asked: &mut Asked,
        manner: Manner<'_>,
    ) -> After {
        let mut tells_timing = false;
        if let Some(account) = &mut self.account {
            account.timing = Some(reply.timing);
            tells_timing = account.tells_timing;
        }
        if tells_timing {
            reply
                .head
                .fields
                .add("Server-Timing", server_timing(reply.timing));
        }
        match request::outcome(reply, asked, manner.visit).await {
            Outcome::Whole(response) => self.send(response, manner).await,
            Outcome::Stream(head, body) => self.stream(head, body, manner).await,
        }
    }

    async fn stream<B>(&mut self, mut head: ResponseHead, body: B, mut manner: Manner<'_>) -> After
    where
        B: http_body::Body<Data = Bytes, Error = Incomplete>,
    {
        manner.keeps_alive &= self.goes_on();
        if let Some(visit) = manner.visit {
            visit.finish(&mut head);
        }
        self.answers_with(&head);
        let end = send::stream(&mut self.socket, &self.status, head, body, manner).await;
        match end {
            Ok(StreamEnd::Complete) if manner.keeps_alive => After::Next,
            _ => After::Close,
        }
    }

    async fn receive(
        &mut self,
        framing: Framing,
        expects: bool,
        limit: u64,
        site: &Site,
    ) -> Result<RequestBody, BodyError> {
        request_body::check(framing, limit)?;
        self.status.enter(Phase::ReadingBody, site.body_ticks);
        if expects {
            self.go_on().await?;
        }
        let bounds = Bounds {
            limit,
            in_memory: self.front.body_buffer_bytes,
            spool: &self.front.spool,
        };
        let body = request_body::receive(&mut self.socket, framing, bounds).await;
        self.status.enter(Phase::Busy, 0);
        body
    }

    /// Says to a client that waits for it that its body is wanted.
    async fn go_on(&mut self) -> Result<(), BodyError> {
        let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
        let sent = self.socket.send([go_on, b"", b""]).await;
        sent.map_err(|_| BodyError::Left)?;
        self.socket.begin_response();
        Ok(())
    }

    /// Receives and drops a body that nobody asked for.
    async fn skip(&mut self, framing: Framing, ticks: u32, after: After) -> After {
        if after != After::Next {
            return After::Linger;
        }
        self.status.enter(Phase::ReadingBody, ticks);
        match Box::pin(request_body::skip(&mut self.socket, framing)).await {
            Ok(()) => After::Next,
            Err(_) => After::Close,
        }
    }

    /// Whether the worker does: it may have been told to drain since the request came.
    fn goes_on(&self) -> bool {
        self.status.order() < Order::Drain
    }

    /// The head is as it will be sent.
    fn answers_with(&mut self, head: &ResponseHead) {
        if let Some(account) = &mut self.account {
            account.answers_with(head);
        }
    }

    fn entry(&mut self) -> Option<&mut Entry> {
        self.account.as_mut()?.entry.as_deref_mut()
    }

    /// There will be no line of it.
    fn forget_entry(&mut self) {
        if let Some(account) = &mut self.account {
            account.entry = None;
        }
    }

    /// Begins a line of the site's access log, if it has one.
    fn log(&mut self, site: &Site, head: Option<&Head>, client: Client) {
        if let Some(account) = &mut self.account {
            account.is_of(site, &self.front, head, (client, self.origin.local));
        }
        if self.told.is_some() {
            self.log_told_user();
        }
    }

    fn log_what_is_no_request(&mut self) {
        let sites = Arc::clone(&self.sites);
        let client = Client {
            address: self.origin.peer,
            is_https: false,
        };
        self.log(sites.default_site(), None, client);
    }

    async fn send(&mut self, mut response: Response, mut manner: Manner<'_>) -> After {
        manner.keeps_alive &= self.goes_on();
        if let Some(visit) = manner.visit {
            visit.finish_whole(&mut response);
        }
        self.answers_with(&response.head);
        let sent = send::response(&mut self.socket, &self.status, response, manner).await;
        if let Err(error) = &sent {
            tracing::debug!(peer = %self.origin.peer, %error, "a response was not sent to its end");
        }
        match sent {
            Ok(()) if manner.keeps_alive => After::Next,
            _ => After::Close,
        }
    }

    async fn refuse(&mut self, refusal: Refusal, is_head: bool) -> After {
        tracing::debug!(peer = %self.origin.peer, reason = refusal.reason, "a request was refused");
        if self.socket.begins_with(uwsgi::PACKET) {
            self.front.complaints.uwsgi_at_http(self.origin.local);
        }
        let page = error_page(refusal.status, Form::Line);
        self.last_words(page, Manner::of_refusal(is_head)).await
    }

    /// Sends a response after which nothing the client sends will be a request.
    async fn last_words(&mut self, response: Response, mut manner: Manner<'_>) -> After {
        self.status.enter(Phase::Busy, 0);
        manner.keeps_alive = false;
        self.send(response, manner).await;
        After::Linger
    }

    async fn linger(&mut self, most: u64) {
        if self.socket.shut() {
            self.status.enter(Phase::Lingering, LINGER_PAUSE_TICKS);
            let _ = tokio::time::timeout(LINGER, self.socket.drop_unread(most)).await;
        }
    }
}

impl<G> Connection<G> {
    /// The request is over, and counted.
    fn conclude(&mut self) {
        if let Some(mut account) = self.account.take() {
            (account.sent_bytes, account.head_bytes) = self.socket.sent();
        }
    }
}

/// Where the connection is closed in the middle of a request.
impl<G> Drop for Connection<G> {
    fn drop(&mut self) {
        self.conclude();
    }
}

/// `queue;dur=0.1, app;dur=12.3`: milliseconds (W3C Server Timing).
pub(crate) fn server_timing(timing: Timing) -> String {
    let millis = |duration: Duration| duration.as_secs_f64() * 1000.0;
    let (queue, application) = (millis(timing.queued), millis(timing.application));
    format!("queue;dur={queue:.1}, app;dur={application:.1}")
}

/// An expectation that nobody here can fulfil: 417 (RFC 9110 §10.1.1).
pub(crate) struct Unfulfillable;

/// Whether the client waits for a 100 before it sends the body. HTTP/1.0 knows no such thing.
pub(crate) fn expects_continue(head: &Head) -> Result<bool, Unfulfillable> {
    if !head.has(Name::Expect) || head.version == Version::HTTP_10 {
        return Ok(false);
    }
    let mut members = head.all(Name::Expect).flat_map(list);
    match members.all(|member| member.eq_ignore_ascii_case(b"100-continue")) {
        true => Ok(true),
        false => Err(Unfulfillable),
    }
}
