//! `python.warm_up`: requests that a new worker makes of its own application, before anybody can
//! reach it. What only a first request loads is there when a client comes, and a worker that
//! cannot answer never serves.
//!
//! They go straight to the gateway: what routes and rules say of clients is not meant for them.

use std::fmt;
use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::time::{Duration, Instant};

use appliance_gateway::{
    Answering, Callee, Gateway, GatewayError, News, ReplyBody, Request, RequestBody,
};
use appliance_message::{Head, Limits, parse};
use appliance_project::Project;
use appliance_project::model::{Site, Target};
use bytes::Bytes;
use http::StatusCode;
use http_body::Body;

use crate::accept::UNIX_LOCAL;
use crate::request_path::normalize;
use crate::route::{Handler, Match};
use crate::serve::Front;
use crate::site::ListenAt;

/// The gateway itself sees to `python.request_timeout`; a response that goes on for ever is ended
/// here.
const LATER_THAN_THE_GATEWAY: Duration = Duration::from_secs(2);

/// Why a worker must not serve.
#[derive(Debug)]
pub struct Cold {
    path: String,
    problem: Problem,
    timeout: Duration,
}

#[derive(Debug, Clone, Copy)]
enum Problem {
    Answered(StatusCode),
    Failed,
    Slow,
    Cut,
    Malformed,
}

impl fmt::Display for Cold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match self.problem {
            Problem::Answered(status) => {
                write!(f, "the warm-up request `{path}` was answered {status}")
            }
            Problem::Failed => write!(f, "the warm-up request `{path}` raised an exception"),
            Problem::Slow => {
                let timeout = self.timeout;
                write!(
                    f,
                    "the warm-up request `{path}` took longer than {timeout:?}"
                )
            }
            Problem::Cut => write!(
                f,
                "the answer to the warm-up request `{path}` was not whole"
            ),
            Problem::Malformed => write!(f, "the warm-up request `{path}` cannot be made"),
        }
    }
}

impl Cold {
    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self.problem {
            Problem::Answered(_) => "what the application logs may say why",
            Problem::Failed => "its traceback stands above",
            Problem::Cut => "its traceback is in the log",
            Problem::Slow => "the log has its stack; `python.request_timeout` bounds it",
            Problem::Malformed => "it is a path from `/` on that a `wsgi` route answers",
        }
    }
}

/// Makes the requests, one after the other.
///
/// # Errors
/// The first that shows that the application does not work.
pub async fn warm_up<G: Gateway>(front: &Front<G>, project: &Project) -> Result<(), Cold> {
    let timeout = project.python.request_timeout;
    for path in &project.python.warm_up {
        let began = Instant::now();
        let answered = ask(front, request(front, project, path));
        let answered = tokio::time::timeout(timeout + LATER_THAN_THE_GATEWAY, answered).await;
        let answered = answered.unwrap_or(Err(Problem::Slow));
        let status = match answered {
            Ok(status) if status.is_server_error() => Err(Problem::Answered(status)),
            answered => answered,
        };
        let status = status.map_err(|problem| Cold {
            path: path.clone(),
            problem,
            timeout,
        })?;
        report(path, status, began.elapsed());
    }
    Ok(())
}

/// A 4xx may be what this path gives to whoever is not logged in; it may also be a `Host` that the
/// application does not know.
fn report(path: &str, status: StatusCode, took: Duration) {
    let (status, took_ms) = (status.as_u16(), took.as_millis());
    match status {
        400.. => tracing::warn!(path, status, took_ms, "a warm-up request was refused"),
        _ => tracing::debug!(path, status, took_ms, "a warm-up request was answered"),
    }
}

async fn ask<G: Gateway>(
    front: &Front<G>,
    request: Option<Request>,
) -> Result<StatusCode, Problem> {
    let request = request.ok_or(Problem::Malformed)?;
    let mut answering = pin!(front.gateway.call(request));
    let reply = loop {
        match poll_fn(|context| answering.as_mut().poll_news(context)).await {
            Ok(News::Hints(_)) => {}
            Ok(News::Reply(reply)) => break reply,
            Err(GatewayError::Timeout | GatewayError::Waited) => return Err(Problem::Slow),
            Err(GatewayError::Failed) => return Err(Problem::Failed),
            Err(GatewayError::Busy) => return Err(Problem::Cut),
        }
    };
    if let ReplyBody::Stream(body) = reply.body {
        let mut body = pin!(body);
        while let Some(block) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
            block.map_err(|_| Problem::Cut)?;
        }
    }
    Ok(reply.head.status)
}

/// As a client on this machine would make it, of the site whose application it is.
fn request<G>(front: &Front<G>, project: &Project, path: &str) -> Option<Request> {
    let has_application =
        |site: &&Site| (site.routes.iter()).any(|route| matches!(route.target, Target::Wsgi));
    let site = project.sites.iter().find(has_application)?;
    let host = site.server_name.first().map_or("localhost", String::as_str);
    let address = site.listen.first();
    let listen = match (address, site.unix.first()) {
        (Some(address), _) => ListenAt::Address(*address),
        (None, unix) => ListenAt::Unix(unix?.clone()),
    };
    let head = head(path, host)?;
    let callee = front.callee(&listen, &head);
    if callee.is_none() && project.python.application.is_none() {
        return None;
    }
    Some(Request {
        head,
        callee,
        body: RequestBody::Memory(Bytes::new()),
        peer: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        local: address.copied().unwrap_or(UNIX_LOCAL),
        is_https: !site.https.is_empty(),
        tls: None,
        timeout: None,
        user: None,
        told: None,
        came: Instant::now(),
        id: front.next_id(),
    })
}

impl<G> Front<G> {
    /// Which application the path leads to, if not to the project's.
    fn callee(&self, listen: &ListenAt, head: &Head) -> Option<Box<Callee>> {
        let site = self.listeners.get(listen)?.find(head).ok()?;
        let path = normalize(head.path()).ok()?;
        let Match::Route(route, _) = site.routes.find(&path) else {
            return None;
        };
        let (Handler::Wsgi(bounds) | Handler::FilesThenWsgi(_, bounds)) = &route.handler else {
            return None;
        };
        let is_normal = path.as_bytes() == head.path();
        bounds.call(head.path(), is_normal).callee
    }
}

/// None for a path that cannot stand in a request line.
fn head(path: &str, host: &str) -> Option<Head> {
    let text =
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: appliance (warm-up)\r\n\r\n");
    let limits = Limits {
        bytes: text.len(),
        fields: 8,
    };
    let (head, _) = parse(text.as_bytes(), &mut 0, limits).ok()??;
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_asked_as_it_is_written() {
        let head = head("/a/%C3%BC?q=1&r", "shop.example").unwrap();
        assert_eq!(head.target(), b"/a/%C3%BC?q=1&r");
        assert!(super::head("/two words", "shop.example").is_none());
    }
}
