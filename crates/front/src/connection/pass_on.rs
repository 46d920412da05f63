//! A request for other servers: its body is passed on while it comes, and so is the answer.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use appliance_gateway::Gateway;
use appliance_message::{Framing, Head, ResponseHead};
use appliance_proxy::{self as proxy, Failure, Feeder, Upload};

use crate::connections::Phase;
use crate::request::{self, Client, Outcome};
use crate::request_body::{self, BodyError};
use crate::respond::body_failed;
use crate::route::Others;
use crate::send::Manner;
use crate::site::Site;

use super::tunnel::tunnel;
use super::{After, Connection};

/// How a request ended that was passed on.
enum Passed {
    /// With an answer; and whether the body was received to its end.
    Answered(Result<proxy::Answer, Failure>, bool),
    /// With a body that did not come.
    NoBody(BodyError),
}

impl<G: Gateway> Connection<G> {
    pub(super) async fn pass_on(
        &mut self,
        (others, below): (&Others, &str),
        client: Client,
        (mut head, framing, expects): (Head, Framing, bool),
        site: &Arc<Site>,
        mut manner: Manner<'_>,
    ) -> After {
        let mut ready = request_body::check(framing, others.body_limit_bytes);
        if ready.is_ok() && expects && framing != Framing::None {
            ready = self.go_on().await;
        }
        if let Err(error) = ready {
            return self.body_failed(&head, &error, manner).await;
        }
        let mut whole = None;
        if framing == Framing::Chunked && others.proxy.needs_length() {
            let limit = others.body_limit_bytes;
            match Box::pin(self.receive(framing, false, limit, site)).await {
                Ok(body) => whole = Some(body),
                Err(error) => return self.body_failed(&head, &error, manner).await,
            }
        }
        let id = request::vet(&self.front, &self.sites, self.origin, &mut head);
        if let Some(entry) = self.entry() {
            entry.id = Some(id.clone());
        }
        let id = id.to_string();
        let asked = request::for_others((&head, below), (self.origin, client), &id);
        let (upload, feeder) = match framing {
            _ if whole.is_some() => (request_body::upload(whole), None),
            Framing::None => (Upload::none(), None),
            Framing::Length(len) => Upload::streamed(Some(len)),
            Framing::Chunked => Upload::streamed(None),
        };
        let answer = others.proxy.send(&asked, upload);
        let bounds = (framing, others.body_limit_bytes, site.body_ticks);
        let passed = self.exchange(answer, feeder, bounds).await;
        self.status.enter(Phase::Busy, 0);
        let (answer, is_received) = match passed {
            Passed::Answered(answer, is_received) => (answer, is_received),
            Passed::NoBody(error) => return self.body_failed(&head, &error, manner).await,
        };
        manner.keeps_alive &= is_received && self.goes_on();
        if others.dev_front.is_some() && is_well(&answer) {
            // Modules by the hundred: what the application does would be lost among them.
            self.forget_entry();
        }
        let after = match answer {
            Ok(proxy::Answer::Response(told, body)) => {
                let by = (others, site, &head);
                let outcome = request::outcome_of_others(told, body, by, manner.visit);
                match outcome.await {
                    Outcome::Whole(response) => self.send(response, manner).await,
                    Outcome::Stream(head, body) => self.stream(head, body, manner).await,
                }
            }
            Ok(proxy::Answer::Switched(told, switched)) => {
                self.switch(told, switched, others, manner).await;
                After::Close
            }
            Err(failure) => {
                let page = request::no_answer(failure, others, (&head, &id));
                self.send(page, manner).await
            }
        };
        match is_received {
            true => after,
            false => After::Linger,
        }
    }

    /// Awaits the answer while the body is passed on; an early answer ends that.
    async fn exchange(
        &mut self,
        answer: impl Future<Output = Result<proxy::Answer, Failure>>,
        feeder: Option<Feeder>,
        (framing, limit, ticks): (Framing, u64, u32),
    ) -> Passed {
        let mut answer = pin!(answer);
        let mut is_received = true;
        if let Some(feeder) = feeder {
            let client = (&*self.status, ticks);
            let body = request_body::pass_on(&mut self.socket, client, framing, limit, feeder);
            let mut body = pin!(body);
            let first = poll_fn(|context| {
                if let Poll::Ready(answer) = answer.as_mut().poll(context) {
                    return Poll::Ready(Some(Passed::Answered(answer, false)));
                }
                body.as_mut().poll(context).map(|received| match received {
                    // What nobody took is still to come, and no request.
                    Ok(is_whole) => {
                        is_received = is_whole;
                        None
                    }
                    Err(error) => Some(Passed::NoBody(error)),
                })
            });
            if let Some(passed) = first.await {
                return passed;
            }
        }
        let mut poll = |context: &mut Context<'_>| match answer.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(Passed::Answered(answer, is_received)),
            Poll::Pending => {
                (self.socket.poll_left(context)).map(|()| Passed::NoBody(BodyError::Left))
            }
        };
        poll_fn(&mut poll).await
    }

    async fn body_failed(&mut self, head: &Head, error: &BodyError, manner: Manner<'_>) -> After {
        match error {
            BodyError::Left => After::Close,
            error => self.last_words(body_failed(head, error), manner).await,
        }
    }

    /// The connection is of another protocol from now on. Rules hold for the 101 as well, as
    /// nginx's do with `always`.
    async fn switch(
        &mut self,
        mut head: ResponseHead,
        switched: proxy::Tunnel,
        others: &Others,
        manner: Manner<'_>,
    ) {
        if let Some(visit) = manner.visit {
            visit.finish(&mut head);
        }
        self.answers_with(&head);
        let [shared, own] = head.fields.blocks();
        let line = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n";
        let hsts = manner.hsts_line(&head);
        let block = [&line[..], shared, own, hsts, b"\r\n"].concat();
        if self.socket.send([&block, b"", b""]).await.is_err() {
            return;
        }
        let _expendable = (others.dev_front.as_ref()).map(|_| self.front.connections.expendable());
        match switched.open().await {
            Ok((target, _under_way)) => {
                tunnel(&mut self.socket, target, others.proxy.silence()).await;
            }
            Err(error) => tracing::warn!(%error, "a connection was not switched"),
        }
    }
}

fn is_well(answer: &Result<proxy::Answer, Failure>) -> bool {
    match answer {
        Ok(proxy::Answer::Response(head, _)) => head.status.as_u16() < 400,
        Ok(proxy::Answer::Switched(..)) => true,
        Err(_) => false,
    }
}
