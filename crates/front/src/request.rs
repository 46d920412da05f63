//! What becomes of a request, whichever protocol has brought it: who its client is, who answers,
//! what the application is given, and what is made of its reply.
//!
//! A protocol ([`crate::connection`]) brings the head, receives the body and sends the response.
//! Nothing here waits for a client, and nothing is allocated for a request that asks for nothing
//! special.

use std::net::SocketAddr;
use std::sync::Arc;

use appliance_gateway::{Gateway, GatewayError, Reply, ReplyBody, Request, RequestBody, RequestId};
use appliance_message::{Head, Name, ResponseHead};
use appliance_proxy::{self as proxy, Failure};
use bytes::Bytes;
use http::StatusCode;

use crate::clock;
use crate::compression::Encoded;
use crate::error_page::{self, Form, error_page};
use crate::file_reply::{self, Part};
use crate::hand_off::{self, Pending};
use crate::proxies::Scheme;
use crate::request_id;
use crate::respond::{Answer, Found, Origin, decide, file_first, find, gateway_failed, rewrite};
use crate::response::{FilePart, Response};
use crate::route::{Call, Others};
use crate::rules::{Visit, maintenance};
use crate::serve::Front;
use crate::site::{Site, Sites};
use crate::tls::Secured;

/// Who has sent a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client {
    /// Port 0 where a proxy names an address alone.
    pub(crate) address: SocketAddr,
    pub(crate) is_https: bool,
}

impl Client {
    /// The peer, or whom a trusted proxy names; that one also says for which host, which `head`
    /// is told.
    pub(crate) fn of<G>(front: &Front<G>, origin: Origin, head: &mut Head) -> Client {
        let peer = origin.peer;
        if !origin.is_trusted {
            return Client {
                address: peer,
                is_https: origin.is_tls,
            };
        }
        let fields = head.fields().map(|(_, name, value)| (name, value));
        let client = front.proxies.client(peer.ip(), fields);
        let is_https = match client.scheme {
            Some(scheme) => scheme == Scheme::Https,
            None => origin.is_tls,
        };
        let port = if client.address == peer.ip().to_canonical() {
            peer.port()
        } else {
            0
        };
        let address = SocketAddr::new(client.address, port);
        if let Some(host) = client.host.map(str::to_owned) {
            head.set_host(host.as_bytes());
        }
        Client { address, is_https }
    }
}

/// Decides who answers, as far as the rules of the place admit the request; they have the last
/// word about the response in either case.
pub(crate) async fn answer<'a, G: Gateway>(
    front: &Front<G>,
    site: &'a Site,
    head: &mut Head,
    (client, secured): (Client, Option<&Secured>),
) -> (Answer<'a>, Option<Visit<'a>>) {
    if let Some(tls) = &site.tls
        && let Some(response) = tls.turn_away(client.is_https, secured, head)
    {
        return (Answer::Ready(response), None);
    }
    let found = match rewrite(site, head).and_then(|inside| find(site, head, inside)) {
        Ok(found) => found,
        Err(refused) => return (Answer::Ready(refused), None),
    };
    let Some(rules) = found.rules else {
        let answer = match maintenance::is_on() {
            true => Answer::Ready(maintenance::refusal(head)),
            false => decided(front, &found, head).await,
        };
        return (answer, None);
    };
    let (visit, admitted) = rules.admit(head, client.address.ip()).await;
    let answer = match admitted {
        Ok(()) => decided(front, &found, head).await,
        Err(refused) => Answer::Ready(refused),
    };
    (answer, Some(visit))
}

async fn decided<'a, G: Gateway>(
    front: &Front<G>,
    found: &Found<'a, '_>,
    head: &Head,
) -> Answer<'a> {
    match file_first(front, found, head).await {
        Some(response) => Answer::Ready(response),
        None => decide(front, found, head),
    }
}

/// What its request has to say about the application's response: kept, since the head goes to the
/// application.
#[derive(Debug)]
pub(crate) struct Asked {
    form: Form,
    part: Option<Box<Part>>,
    pub(crate) id: RequestId,
    /// None where the application has nothing to hand over to.
    pending: Option<Box<Pending>>,
    /// A gateway in front of us may be whom the application hands over to.
    behind_gateway: bool,
}

/// The request as the application is to have it: without what only a trusted proxy may say, and
/// with an id.
pub(crate) fn for_application<G>(
    front: &Front<G>,
    sites: &Sites,
    site: &Arc<Site>,
    (origin, client, secured): (Origin, Client, Option<&Secured>),
    (mut head, body): (Head, RequestBody),
    call: Call,
    visit: Option<&Visit<'_>>,
) -> (Request, Asked) {
    let (form, part) = (Form::asked_by(&head), Part::asked_by(&head));
    let id = vet(front, sites, origin, &mut head);
    let asked = Asked {
        form,
        part,
        id: id.clone(),
        pending: Pending::new(&head, site),
        behind_gateway: sites.is_uwsgi,
    };
    let request = Request {
        id,
        head,
        body,
        peer: client.address,
        local: origin.local,
        is_https: client.is_https,
        user: visit.and_then(|visit| visit.user.clone()),
        told: None,
        tls: secured.map(|secured| Arc::clone(&secured.about)),
        callee: call.callee,
        timeout: call.timeout,
        came: clock::of_this_turn(),
    };
    (request, asked)
}

/// The request as other servers are to have it; its head has been [`vet`]ted.
pub(crate) fn for_others<'a>(
    (head, below): (&'a Head, &'a str),
    (origin, client): (Origin, Client),
    id: &'a str,
) -> proxy::Asked<'a> {
    proxy::Asked {
        head,
        below,
        peer: origin.peer.ip(),
        client: client.address.ip(),
        client_port: client.address.port(),
        is_https: client.is_https,
        id,
    }
}

/// Takes out what only a trusted proxy may say, and finds the request's id.
pub(crate) fn vet<G>(
    front: &Front<G>,
    sites: &Sites,
    origin: Origin,
    head: &mut Head,
) -> RequestId {
    let is_trusted = origin.is_trusted;
    if !is_trusted && head.has(Name::XForwardedFor) && !sites.names_clients() {
        front.stranger.report(origin.peer.ip());
    }
    head.remove(|name, spelled| may_vouch(name) && front.proxies.scrub(spelled, is_trusted));
    let told = head.get(Name::XRequestId).filter(|_| is_trusted);
    told.and_then(request_id::told)
        .unwrap_or_else(|| front.next_id())
}

/// The application's response, or another server's, as it is to be sent.
pub(crate) enum Outcome<B> {
    Whole(Response),
    /// A head, and a body that comes block by block.
    Stream(ResponseHead, Encoded<B>),
}

/// What is sent for a reply.
pub(crate) async fn outcome<B>(
    mut reply: Reply<B>,
    asked: &mut Asked,
    visit: Option<&Visit<'_>>,
) -> Outcome<B>
where
    B: http_body::Body<Data = Bytes>,
{
    let is_gateways = asked.behind_gateway && asked.pending.is_none();
    if reply.head.hands_over && !is_gateways {
        let pending = asked.pending.take();
        let handed = Box::pin(hand_off::answer(&mut reply.head, pending, asked.form)).await;
        if let Some(response) = handed {
            return Outcome::Whole(response);
        }
    }
    match reply.body {
        ReplyBody::Stream(stream) => streamed(reply.head, stream, visit),
        ReplyBody::File { file, offset, len } => {
            if let Some(response) = visit.and_then(|visit| visit.intercept(&reply.head)) {
                return Outcome::Whole(response);
            }
            let file = FilePart {
                file: Arc::new(file),
                offset,
                len,
            };
            let part = asked.part.as_deref();
            Outcome::Whole(file_reply::respond(reply.head, file, part, asked.form))
        }
    }
}

/// What is sent for a head and a body that comes, the application's or another server's.
fn streamed<B>(mut head: ResponseHead, body: B, visit: Option<&Visit<'_>>) -> Outcome<B>
where
    B: http_body::Body<Data = Bytes>,
{
    let Some(visit) = visit else {
        return Outcome::Stream(head, Encoded::plain(body));
    };
    if let Some(response) = visit.intercept(&head) {
        return Outcome::Whole(response);
    }
    let body = visit.encode(&mut head, body);
    Outcome::Stream(head, body)
}

/// What is sent for the answer of other servers, to whom `head` was sent.
pub(crate) async fn outcome_of_others<B>(
    mut told: ResponseHead,
    body: B,
    (others, site, head): (&Others, &Arc<Site>, &Head),
    visit: Option<&Visit<'_>>,
) -> Outcome<B>
where
    B: http_body::Body<Data = Bytes>,
{
    if others.hand_off && hand_off::is_wanted(&told) {
        let (pending, form) = (Pending::new(head, site), Form::asked_by(head));
        let handed = Box::pin(hand_off::answer(&mut told, pending, form)).await;
        if let Some(response) = handed {
            return Outcome::Whole(response);
        }
    }
    streamed(told, body, visit)
}

/// What is sent when no other server has answered.
pub(crate) fn no_answer(failure: Failure, others: &Others, (head, id): (&Head, &str)) -> Response {
    if let (Failure::BadGateway, Some(url)) = (failure, &others.dev_front) {
        return error_page::front_is_away(url, Form::asked_by(head));
    }
    let status = match failure {
        Failure::BadGateway => StatusCode::BAD_GATEWAY,
        Failure::Timeout => StatusCode::GATEWAY_TIMEOUT,
    };
    error_page(status, Form::asked_by(head)).with("X-Request-ID", id)
}

/// What is sent when there is no reply.
pub(crate) fn no_reply<G>(front: &Front<G>, error: GatewayError, asked: &Asked) -> Response {
    gateway_failed(front, asked.form, error).with("X-Request-ID", asked.id.to_string())
}

/// Whether a field can be one by which proxies say who the client is: most of the usual cannot.
fn may_vouch(name: Name) -> bool {
    let vouching = [
        Name::Other,
        Name::Forwarded,
        Name::Proxy,
        Name::XForwardedFor,
        Name::XForwardedHost,
        Name::XForwardedProto,
    ];
    vouching.contains(&name)
}
