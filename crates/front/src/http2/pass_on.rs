//! A request of a stream for other servers, as [`crate::connection`] passes on those of HTTP/1.1.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use appliance_gateway::Gateway;
use appliance_message::{Framing, Head};
use appliance_proxy::{self as proxy, Failure, Feeder, Upload};
use h2::RecvStream;

use crate::connections::Phase;
use crate::request::{self, Client};
use crate::request_body::{self, BodyError};
use crate::respond::body_failed;
use crate::route::Others;
use crate::site::Site;

use super::body;
use super::send::Unsent;
use super::stream::{Manner, Reply, Stream};

type Answered = Result<proxy::Answer, Failure>;

impl<G: Gateway> Stream<G> {
    pub(super) async fn pass_on(
        &self,
        reply: &mut Reply,
        (others, below): (&Others, &str),
        (client, site): (Client, &Arc<Site>),
        (mut head, framing, expects): (Head, Framing, bool),
        body: &mut RecvStream,
        manner: Manner<'_>,
    ) -> Result<(), Unsent> {
        let mut ready = request_body::check(framing, others.body_limit_bytes);
        if ready.is_ok() && expects && !body.is_end_stream() {
            ready = reply.go_on();
        }
        let mut whole = None;
        let has_no_length = !body.is_end_stream() && !matches!(framing, Framing::Length(_));
        if ready.is_ok() && has_no_length && others.proxy.needs_length() {
            let limit = others.body_limit_bytes;
            let received = self.receive(reply, body, (framing, false), limit, site);
            ready = received.await.map(|received| whole = Some(received));
        }
        if let Err(error) = ready {
            return self.body_failed(reply, &head, &error, body, manner).await;
        }
        let id = request::vet(&self.front, &self.sites, self.origin, &mut head);
        if let Some(entry) = &mut reply.account.entry {
            entry.id = Some(id.clone());
        }
        let id = id.to_string();
        let asked = request::for_others((&head, below), (self.origin, client), &id);
        let (upload, feeder) = match (body.is_end_stream(), framing) {
            _ if whole.is_some() => (request_body::upload(whole), None),
            (true, _) => (Upload::none(), None),
            (false, Framing::Length(len)) => Upload::streamed(Some(len)),
            (false, _) => Upload::streamed(None),
        };
        let answer = others.proxy.send(&asked, upload);
        let bounds = (others.body_limit_bytes, site.body_ticks);
        let answer = self.exchange(reply, answer, (body, feeder), bounds).await;
        self.member.status.enter(Phase::Busy, 0);
        match answer {
            Ok(Ok(proxy::Answer::Response(told, answer))) => {
                let by = (others, site, &head);
                let outcome = request::outcome_of_others(told, answer, by, manner.visit).await;
                self.relay(reply, outcome, manner).await?;
            }
            Ok(failed) => {
                // Nobody asked it to change to another protocol.
                let failure = failed.err().unwrap_or(Failure::BadGateway);
                let page = request::no_answer(failure, others, (&head, &id));
                self.send(reply, page, manner).await?;
            }
            Err(error) => return self.body_failed(reply, &head, &error, body, manner).await,
        }
        body::linger(body, &self.member.status).await;
        Ok(())
    }

    async fn body_failed(
        &self,
        reply: &mut Reply,
        head: &Head,
        error: &BodyError,
        body: &mut RecvStream,
        manner: Manner<'_>,
    ) -> Result<(), Unsent> {
        if matches!(error, BodyError::Left) {
            return Err(Unsent::Left);
        }
        self.send(reply, body_failed(head, error), manner).await?;
        body::linger(body, &self.member.status).await;
        Ok(())
    }

    /// Awaits the answer while the body is passed on; an early answer ends that.
    async fn exchange(
        &self,
        reply: &mut Reply,
        answer: impl Future<Output = Answered>,
        (body, feeder): (&mut RecvStream, Option<Feeder>),
        (limit, ticks): (u64, u32),
    ) -> Result<Answered, BodyError> {
        let mut answer = pin!(answer);
        if let Some(feeder) = feeder {
            let client = (&*self.member.status, ticks);
            let passing = body::pass_on(body, client, limit, &self.ledger, feeder);
            let mut passing = pin!(passing);
            let first = poll_fn(|context| {
                if let Poll::Ready(answer) = answer.as_mut().poll(context) {
                    return Poll::Ready(Some(Ok(answer)));
                }
                let passed = passing.as_mut().poll(context);
                passed.map(|passed| passed.err().map(Err))
            });
            if let Some(answered) = first.await {
                return answered;
            }
        }
        poll_fn(|context| match answer.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(Ok(answer)),
            Poll::Pending => reply.poll_left(context).map(|()| Err(BodyError::Left)),
        })
        .await
    }
}
