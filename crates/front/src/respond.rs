//! A request → who answers it: the steps 2 to 4 of a request, in order.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use appliance_gateway::{Gateway, GatewayError};
use appliance_message::{Head, Target};
use bytes::Bytes;
use http::{Method, StatusCode};

use crate::error_page::{Form, error_page};
use crate::files::Folder;
use crate::request_body::BodyError;
use crate::request_path::{self, escape_raw};
use crate::response::Response;
use crate::route::{Bounds, Call, Handler, Match, Others};
use crate::rules::Rules;
use crate::serve::Front;
use crate::site::Site;
use crate::spool_faults::SpoolFaults;
use crate::template::{Place, Unreachable};

/// The two ends of a connection; those that a proxy's client sees, if the PROXY protocol says so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    /// The peer is a trusted proxy: its fields say who the client is.
    pub(crate) is_trusted: bool,
    /// The peer speaks TLS with us.
    pub(crate) is_tls: bool,
}

/// Who answers a request.
pub(crate) enum Answer<'a> {
    /// Here it is.
    Ready(Response),
    /// This folder, which must look for the rest of the path.
    Files(&'a Arc<Folder>, String),
    /// The application.
    Application(Call),
    /// Other servers, for what is below the route.
    OtherServers(&'a Arc<Others>, String),
}

/// Turns of a request through `rewrite` routes (nginx's bound too).
const MOST_REWRITES: usize = 10;

/// Takes a request through the site's `rewrite` routes, of which most sites have none. An error is
/// the answer to one that does not come out of them. Whether it was in one.
pub(crate) fn rewrite(site: &Site, head: &mut Head) -> Result<bool, Response> {
    if !site.routes.has_rewrites || matches!(head.form, Target::Asterisk | Target::Authority) {
        return Ok(false);
    }
    for turn in 0..=MOST_REWRITES {
        let Ok(path) = request_path::normalize(head.path()) else {
            return Err(refuse(StatusCode::BAD_REQUEST, head));
        };
        let Match::Route(route, _) = site.routes.find(&path) else {
            return Ok(turn > 0);
        };
        let Handler::Rewrite(place) = &route.handler else {
            return Ok(turn > 0);
        };
        let target = place
            .expand(head, &path)
            .map_err(|unreachable| lead_nowhere(head, &unreachable))?;
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.as_bytes())),
            None => (target.as_str(), None),
        };
        head.rewrite(path.as_bytes(), query);
    }
    let sent = String::from_utf8_lossy(head.target());
    tracing::error!(path = %sent, "{MOST_REWRITES} rewrites did not lead to an end: do they go in a circle?");
    Err(refuse(StatusCode::INTERNAL_SERVER_ERROR, head))
}

fn lead_nowhere(head: &Head, unreachable: &Unreachable) -> Response {
    let status = match unreachable {
        Unreachable::NoHost => StatusCode::BAD_REQUEST,
        Unreachable::TooLong => StatusCode::URI_TOO_LONG,
    };
    refuse(status, head)
}

/// Where a request leads.
pub(crate) struct Found<'a, 'h> {
    /// The path in normal form.
    path: Cow<'h, str>,
    matched: Match<'a>,
    /// What holds there.
    pub(crate) rules: Option<&'a Rules>,
}

/// Finds the route of a request; an error is the answer to one that cannot have any.
/// `inside` says that it was not the client who asked for this path.
pub(crate) fn find<'a, 'h>(
    site: &'a Site,
    head: &'h Head,
    inside: bool,
) -> Result<Found<'a, 'h>, Response> {
    if head.method == Method::CONNECT {
        return Err(refuse(StatusCode::NOT_IMPLEMENTED, head));
    }
    if head.form == Target::Asterisk {
        return Err(Response::new(StatusCode::NO_CONTENT));
    }
    let Ok(path) = request_path::normalize(head.path()) else {
        return Err(refuse(StatusCode::BAD_REQUEST, head));
    };
    let matched = match site.routes.find(&path) {
        Match::Route(route, _) if route.is_internal && !inside => Match::Nothing,
        matched => matched,
    };
    let rules = match &matched {
        Match::Route(route, _) => &route.rules,
        Match::AddSlash | Match::Nothing => &site.rules,
    };
    Ok(Found {
        path,
        matched,
        rules: rules.as_deref(),
    })
}

/// Decides who answers, and answers at once what needs to wait for nothing: hot files do not.
pub(crate) fn decide<'a, G: Gateway>(
    front: &Front<G>,
    found: &Found<'a, '_>,
    head: &Head,
) -> Answer<'a> {
    let path = &found.path;
    let (route, below) = match found.matched {
        Match::Route(route, prefix) => (route, &path[prefix..]),
        Match::AddSlash => return Answer::Ready(add_slash(head, path)),
        Match::Nothing => return Answer::Ready(refuse(StatusCode::NOT_FOUND, head)),
    };
    let call = |bounds: &Bounds| bounds.call(head.path(), matches!(path, Cow::Borrowed(_)));
    match &route.handler {
        Handler::Files(folder) => {
            front.gateway.stay_awake();
            match folder.reply_at_once(head, below) {
                Some(response) => Answer::Ready(response),
                None => Answer::Files(folder, below.to_owned()),
            }
        }
        Handler::FilesThenWsgi(..) if head.method == Method::TRACE => {
            Answer::Ready(refuse(StatusCode::NOT_IMPLEMENTED, head))
        }
        // `file_first` has found none.
        Handler::FilesThenWsgi(_, bounds) => Answer::Application(call(bounds)),
        // An echo gives scripts the fields that they must not see, whatever the application says.
        Handler::Wsgi(_) if head.method == Method::TRACE => {
            Answer::Ready(refuse(StatusCode::NOT_IMPLEMENTED, head))
        }
        Handler::Wsgi(bounds) => Answer::Application(call(bounds)),
        Handler::Proxy(others) => Answer::OtherServers(others, below.to_owned()),
        Handler::Redirect(status, place) => Answer::Ready(redirect(*status, place, head, path)),
        Handler::Respond(status, text) => Answer::Ready(respond(*status, text.as_ref(), head)),
        // `rewrite` has led on, or has answered.
        Handler::Rewrite(_) => Answer::Ready(refuse(StatusCode::INTERNAL_SERVER_ERROR, head)),
    }
}

/// The file that answers where the application does so otherwise, if there is one.
pub(crate) async fn file_first<G: Gateway>(
    front: &Front<G>,
    found: &Found<'_, '_>,
    head: &Head,
) -> Option<Response> {
    let Match::Route(route, prefix) = found.matched else {
        return None;
    };
    let Handler::FilesThenWsgi(folder, _) = &route.handler else {
        return None;
    };
    if head.method != Method::GET && head.method != Method::HEAD {
        return None;
    }
    let below = &found.path[prefix..];
    let response = match folder.reply_at_once(head, below) {
        Some(response) => Some(response),
        None => Box::pin(folder.reply_if_there(head, below)).await,
    };
    if response.is_some() {
        front.gateway.stay_awake();
    }
    response
}

/// How long it may be kept is said by its status: 301 and 308 until further notice.
fn redirect(status: StatusCode, place: &Place, head: &Head, path: &str) -> Response {
    match place.expand(head, path) {
        Err(unreachable) => lead_nowhere(head, &unreachable),
        Ok(target) => Response::new(status)
            .with("Location", target)
            .with("Content-Type", "text/plain; charset=utf-8")
            .with_body(format!(
                "{} {}\n",
                status.as_str(),
                status.canonical_reason().unwrap_or_default()
            )),
    }
}

fn respond(status: StatusCode, text: Option<&Bytes>, head: &Head) -> Response {
    match text {
        Some(text) => Response::new(status)
            .with("Content-Type", "text/plain; charset=utf-8")
            .with("X-Content-Type-Options", "nosniff")
            .with_body(text.clone()),
        None if status.is_success() => Response::new(status),
        None => refuse(status, head),
    }
}

pub(crate) fn refuse(status: StatusCode, head: &Head) -> Response {
    error_page(status, Form::asked_by(head))
}

/// A redirect that keeps method and query. The path is in normal form, so it cannot begin with
/// the `//` that browsers take for a host.
fn add_slash(head: &Head, path: &str) -> Response {
    let status = match head.method {
        Method::GET | Method::HEAD => StatusCode::MOVED_PERMANENTLY,
        _ => StatusCode::PERMANENT_REDIRECT,
    };
    let target = match head.query() {
        Some(query) => format!("{path}/?{}", escape_raw(query)),
        None => format!("{path}/"),
    };
    refuse(status, head).with("Location", target)
}

/// The answer when there is none from the application.
pub(crate) fn gateway_failed<G>(front: &Front<G>, form: Form, error: GatewayError) -> Response {
    match error {
        GatewayError::Failed => error_page(StatusCode::INTERNAL_SERVER_ERROR, form),
        GatewayError::Timeout => error_page(StatusCode::GATEWAY_TIMEOUT, form),
        GatewayError::Busy | GatewayError::Waited => {
            if error == GatewayError::Busy {
                front.overload.report();
            }
            error_page(StatusCode::SERVICE_UNAVAILABLE, form).with("Retry-After", "1")
        }
    }
}

/// Of all fronts of this process, which spool to the same folder.
static SPOOL_FAULTS: SpoolFaults = SpoolFaults::new();

/// The answer to a request whose body did not come.
pub(crate) fn body_failed(head: &Head, error: &BodyError) -> Response {
    let status = match error {
        BodyError::Left | BodyError::TimedOut => StatusCode::REQUEST_TIMEOUT,
        BodyError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        BodyError::Malformed(refusal) => refusal.status,
        BodyError::Spool(error) => {
            SPOOL_FAULTS.report(error);
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    refuse(status, head)
}

/// Reports a proxy that is not trusted, once in the life of a worker: anybody can pass for one.
#[derive(Debug, Default)]
pub(crate) struct Stranger(AtomicBool);

impl Stranger {
    pub(crate) fn report(&self, peer: IpAddr) {
        if self.0.load(Ordering::Relaxed) || self.0.swap(true, Ordering::Relaxed) {
            return;
        }
        let peer = peer.to_canonical();
        tracing::warn!(
            "`X-Forwarded-For` came from {peer}, which is no trusted proxy, and was dropped; if it is \
             yours, add its address to `server.trusted_proxies` (said once)"
        );
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
