//! One request of an HTTP/2 connection: the order of things, as [`crate::connection`] is for
//! HTTP/1.1.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use appliance_gateway::{Answering, Gateway, Incomplete, News, RequestBody};
use appliance_message::{Fields, Framing, Head, ResponseHead};
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{Method, Request, StatusCode};

use crate::account::Account;
use crate::connection::{expects_continue, server_timing};
use crate::connections::{Member, Order, Phase, Status};
use crate::error_page::{Form, error_page};
use crate::request::{self, Client, Outcome};
use crate::request_body::{self, BodyError, Bounds};
use crate::respond::{Answer, Origin, body_failed, refuse};
use crate::response::{Body, Response};
use crate::route::Call;
use crate::rules::Visit;
use crate::send::is_bodiless;
use crate::serve::Front;
use crate::site::{Site, Sites};
use crate::tls::Secured;

use super::body;
use super::head;
use super::ledger::{Ledger, Open};
use super::send::{Sender, Unsent};

/// A stream's surroundings.
pub(super) struct Stream<G> {
    pub(super) front: Arc<Front<G>>,
    pub(super) sites: Arc<Sites>,
    pub(super) origin: Origin,
    /// None without TLS of our own.
    secured: Option<Arc<Secured>>,
    pub(super) ledger: Arc<Ledger>,
    /// Its clock.
    pub(super) member: Member,
    _open: Open,
}

/// What has to be said to the client, and whether it has been begun.
pub(super) struct Reply {
    respond: SendResponse<Bytes>,
    is_head: bool,
    has_begun: bool,
    pub(super) account: Account,
}

/// How the client wants the response.
#[derive(Clone, Copy)]
pub(super) struct Manner<'a> {
    is_head: bool,
    send_ticks: u32,
    pub(super) visit: Option<&'a Visit<'a>>,
    /// The line that says that browsers are to come by HTTPS alone.
    hsts: Option<&'a [u8]>,
}

impl<G: Gateway> Stream<G> {
    pub(super) fn new(
        front: &Arc<Front<G>>,
        sites: &Arc<Sites>,
        (origin, secured): (Origin, Option<Arc<Secured>>),
        ledger: &Arc<Ledger>,
    ) -> Self {
        let member = front.connections.join_stream();
        member.status.enter(Phase::Busy, 0);
        Stream {
            front: Arc::clone(front),
            sites: Arc::clone(sites),
            origin,
            secured,
            ledger: Arc::clone(ledger),
            member,
            _open: ledger.open(),
        }
    }

    /// Answers the request.
    pub(super) async fn serve(self, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
        let mut reply = Reply {
            respond,
            is_head: request.method() == Method::HEAD,
            has_begun: false,
            account: Account::open(),
        };
        let ended = {
            let mut answer = pin!(self.answer(request, &mut reply));
            poll_fn(|context| {
                self.front.gateway.turn();
                let status = &self.member.status;
                status.set_waker(context.waker());
                if status.order() == Order::Close {
                    return Poll::Ready(Ended::Blocked);
                }
                // A panic costs its request a 500. Its message and place have gone to the log by
                // the panic hook.
                match catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(context))) {
                    Ok(poll) => poll.map(Ended::By),
                    Err(_) => Poll::Ready(Ended::Panicked),
                }
            })
            .await
        };
        match ended {
            Ended::By(Ok(())) => self.ledger.answered(),
            Ended::By(Err(Unsent::Left)) => self.ledger.taken_back(),
            Ended::By(Err(Unsent::Cut)) => {}
            Ended::Blocked => reply.respond.send_reset(Reason::CANCEL),
            Ended::Panicked if reply.has_begun => {
                reply.respond.send_reset(Reason::INTERNAL_ERROR);
            }
            Ended::Panicked => reply.excuse(&self.member.status),
        }
    }

    async fn answer(&self, request: Request<RecvStream>, reply: &mut Reply) -> Result<(), Unsent> {
        let mut manner = Manner {
            is_head: reply.is_head,
            // Until the site is known.
            send_ticks: self.front.head_ticks,
            visit: None,
            hsts: None,
        };
        let head = head::request(&request, self.front.head_limits);
        let mut body = request.into_body();
        let framing = head.and_then(|head| head.framing().map(|framing| (head, framing)));
        let (mut head, framing) = match framing {
            Ok(both) => both,
            Err(refusal) => {
                let peer = self.origin.peer;
                tracing::debug!(%peer, reason = refusal.reason, "a request was refused");
                self.log(reply, self.sites.default_site(), None, self.peer());
                let page = error_page(refusal.status, Form::Line);
                return self.send(reply, page, manner).await;
            }
        };
        self.ledger.useful(head.size());
        let client = Client::of(&self.front, self.origin, &mut head);
        let (expects, site) = match (expects_continue(&head), self.sites.find(&head)) {
            (Ok(expects), Ok(site)) => (expects, site),
            (expects, _) => {
                self.log(reply, self.sites.default_site(), Some(&head), client);
                let status = match expects {
                    Ok(_) => StatusCode::BAD_REQUEST,
                    Err(_) => StatusCode::EXPECTATION_FAILED,
                };
                return self.send(reply, refuse(status, &head), manner).await;
            }
        };
        self.log(reply, site, Some(&head), client);
        manner.send_ticks = site.send_ticks;
        let by = (client, self.secured.as_deref());
        let (answer, visit) = request::answer(&*self.front, site, &mut head, by).await;
        manner.visit = visit.as_ref();
        if let (Some(entry), Some(visit)) = (&mut reply.account.entry, &visit) {
            entry.note_user(visit.user.as_deref());
        }
        if let Some(tls) = site.tls.as_ref().filter(|_| client.is_https) {
            manner.hsts = tls.hsts();
        }
        let response = match answer {
            Answer::Application(call) => {
                let limit = call.body_limit_bytes;
                let received = match body.is_end_stream() {
                    true => Ok(RequestBody::Memory(Bytes::new())),
                    false => {
                        self.receive(reply, &mut body, (framing, expects), limit, site)
                            .await
                    }
                };
                match received {
                    Ok(body) => {
                        return self
                            .call(reply, (client, site), (head, body), call, manner)
                            .await;
                    }
                    Err(BodyError::Left) => return Err(Unsent::Left),
                    Err(error) => body_failed(&head, &error),
                }
            }
            Answer::OtherServers(others, below) => {
                let to = (&**others, below.as_str());
                let received = (head, framing, expects);
                let passed = self.pass_on(reply, to, (client, site), received, &mut body, manner);
                return Box::pin(passed).await;
            }
            Answer::Files(folder, below) => Box::pin(folder.reply(&head, &below)).await,
            Answer::Ready(response) => response,
        };
        self.send(reply, response, manner).await?;
        body::linger(&mut body, &self.member.status).await;
        Ok(())
    }

    /// Begins a line of the site's access log, if it has one.
    fn log(&self, reply: &mut Reply, site: &Site, head: Option<&Head>, client: Client) {
        let by = (client, self.origin.local);
        reply.account.is_of(site, &self.front, head, by);
    }

    /// The client, as far as nobody else is named.
    fn peer(&self) -> Client {
        Client {
            address: self.origin.peer,
            is_https: self.origin.is_tls,
        }
    }

    pub(super) async fn receive(
        &self,
        reply: &mut Reply,
        body: &mut RecvStream,
        (framing, expects): (Framing, bool),
        limit: u64,
        site: &Site,
    ) -> Result<RequestBody, BodyError> {
        let bounds = Bounds {
            limit,
            in_memory: self.front.body_buffer_bytes,
            spool: &self.front.spool,
        };
        request_body::check(framing, limit)?;
        let status = &self.member.status;
        status.enter(Phase::ReadingBody, site.body_ticks);
        if expects {
            reply.go_on()?;
        }
        let body = body::receive(body, bounds, status, &self.ledger).await;
        status.enter(Phase::Busy, 0);
        body
    }

    /// Calls the application and sends what it answers.
    async fn call(
        &self,
        reply: &mut Reply,
        (client, site): (Client, &Arc<Site>),
        received: (Head, RequestBody),
        call: Call,
        manner: Manner<'_>,
    ) -> Result<(), Unsent> {
        let is_gone = poll_fn(|context| Poll::Ready(reply.poll_left(context).is_ready()));
        if is_gone.await {
            // Taken back before it was begun: no Python for that.
            return Err(Unsent::Left);
        }
        let from = (self.origin, client, self.secured.as_deref());
        let (front, sites) = (&self.front, &self.sites);
        let (request, mut asked) =
            request::for_application(front, sites, site, from, received, call, manner.visit);
        if let Some(entry) = &mut reply.account.entry {
            entry.id = Some(asked.id.clone());
        }
        let mut answering = pin!(self.front.gateway.call(request));
        loop {
            let news = poll_fn(|context| match answering.as_mut().poll_news(context) {
                Poll::Ready(news) => Poll::Ready(Some(news)),
                Poll::Pending => reply.poll_left(context).map(|()| None),
            });
            match news.await {
                None => return Err(Unsent::Left),
                Some(Ok(News::Hints(fields))) => {
                    let hints = head::interim(StatusCode::EARLY_HINTS, &fields);
                    let sent = reply.respond.send_informational(hints);
                    sent.map_err(|_| Unsent::Left)?;
                }
                Some(Ok(News::Reply(mut answer))) => {
                    reply.account.timing = Some(answer.timing);
                    if reply.account.tells_timing {
                        let timing = server_timing(answer.timing);
                        answer.head.fields.add("Server-Timing", timing);
                    }
                    let outcome = request::outcome(answer, &mut asked, manner.visit).await;
                    return self.relay(reply, outcome, manner).await;
                }
                Some(Err(error)) => {
                    let response = request::no_reply(&self.front, error, &asked);
                    return self.send(reply, response, manner).await;
                }
            }
        }
    }

    /// Sends a response's head. Returns the way for its body, if it comes with one.
    fn begin<'r>(
        &'r self,
        reply: &'r mut Reply,
        mut head: ResponseHead,
        length: Option<u64>,
        manner: Manner<'_>,
    ) -> Result<Option<Sender<'r>>, Unsent> {
        reply.account.answers_with(&head);
        let hsts = "strict-transport-security";
        if let Some(line) = manner.hsts
            && head.fields.get(hsts).is_none()
            && let Some(value) = line.trim_ascii().get(hsts.len() + 2..)
        {
            head.fields.add(hsts, value);
        }
        // RFC 9110 §8.6: no length with a 204, and none that may be wrong with a 304.
        let bodiless = is_bodiless(head.status);
        let length = length.filter(|_| !bodiless);
        let is_end = manner.is_head || bodiless || length == Some(0);
        let status = &self.member.status;
        let stream = reply.begin(head::response(&head, length, status), is_end)?;
        // Before HPACK, whose work depends on the connection's earlier heads.
        let size: usize = head.fields.blocks().map(<[u8]>::len).iter().sum();
        self.ledger.useful(size);
        let account = &mut reply.account;
        (account.head_bytes, account.sent_bytes) = (size as u64, size as u64);
        Ok((!is_end).then_some(Sender {
            stream,
            status,
            ledger: &self.ledger,
            send_ticks: manner.send_ticks,
            sent_bytes: &mut account.sent_bytes,
        }))
    }

    /// Sends a response of the front's own.
    pub(super) async fn send(
        &self,
        reply: &mut Reply,
        mut response: Response,
        manner: Manner<'_>,
    ) -> Result<(), Unsent> {
        if let Some(visit) = manner.visit {
            visit.finish_whole(&mut response);
        }
        let Response { head, body } = response;
        let length = Some(head.length.unwrap_or(0));
        let Some(mut sender) = self.begin(reply, head, length, manner)? else {
            return Ok(());
        };
        match body {
            Body::Empty => Ok(()),
            Body::Memory(bytes) | Body::Page(bytes, _) => sender.memory(bytes, true).await,
            Body::File(part) => Box::pin(sender.file(part)).await,
        }
    }

    /// Sends what another server has answered, or the application.
    pub(super) async fn relay<B>(
        &self,
        reply: &mut Reply,
        outcome: Outcome<B>,
        manner: Manner<'_>,
    ) -> Result<(), Unsent>
    where
        B: http_body::Body<Data = Bytes, Error = Incomplete> + Unpin,
    {
        match outcome {
            Outcome::Whole(response) => self.send(reply, response, manner).await,
            Outcome::Stream(head, body) => self.stream(reply, head, body, manner).await,
        }
    }

    /// Sends a response whose body comes block by block.
    async fn stream<B>(
        &self,
        reply: &mut Reply,
        mut head: ResponseHead,
        body: B,
        manner: Manner<'_>,
    ) -> Result<(), Unsent>
    where
        B: http_body::Body<Data = Bytes, Error = Incomplete>,
    {
        if let Some(visit) = manner.visit {
            visit.finish(&mut head);
        }
        let length = head.length.or_else(|| body.size_hint().exact());
        match self.begin(reply, head, length, manner)? {
            Some(mut sender) => sender.blocks(body).await,
            None => Ok(()),
        }
    }
}

/// How the task of a stream ended.
enum Ended {
    By(Result<(), Unsent>),
    /// The client has taken nothing for too long, or the worker ends.
    Blocked,
    Panicked,
}

impl Reply {
    /// Sends a 500: one line, which is not waited for.
    fn excuse(&mut self, status: &Status) {
        let page = error_page(StatusCode::INTERNAL_SERVER_ERROR, Form::Line);
        let (length, Body::Page(text, _)) = (page.head.length, page.body) else {
            return;
        };
        self.account.answers_with(&page.head);
        let head = head::response(&page.head, length, status);
        if let Ok(mut stream) = self.begin(head, self.is_head)
            && !self.is_head
        {
            let _ = stream.send_data(text, true);
        }
    }

    /// Says to a client that waits for it that its body is wanted.
    pub(super) fn go_on(&mut self) -> Result<(), BodyError> {
        let go_on = head::interim(StatusCode::CONTINUE, &Fields::default());
        let sent = self.respond.send_informational(go_on);
        sent.map_err(|_| BodyError::Left)
    }

    /// Ready when the client has taken its request back, or left.
    pub(super) fn poll_left(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.respond.poll_reset(context).map(drop)
    }

    fn begin(
        &mut self,
        head: http::Response<()>,
        is_end: bool,
    ) -> Result<SendStream<Bytes>, Unsent> {
        self.has_begun = true;
        let begun = self.respond.send_response(head, is_end);
        begun.map_err(|_| Unsent::Left)
    }
}
