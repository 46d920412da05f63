//! Sends a request to one of the targets.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use appliance_project::model::{self, ProxyTarget, TargetProtocol};
use http::{HeaderValue, Method, Request, StatusCode, header};

use crate::answer::Answer;
use crate::balance::Balance;
use crate::request::{Asked, Destination};
use crate::sender::Unsent;
use crate::target::{Target, UnderWay};
use crate::tls::Configs;
use crate::upload::Upload;

/// The targets of a route.
#[derive(Debug)]
pub struct Proxy {
    written: model::Proxy,
    targets: Vec<Arc<Target>>,
    balance: Balance,
    epoch: Instant,
    last_report: AtomicU64,
}

/// Why there is no answer; it has been logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// 502: no target took the request, or its answer was none.
    BadGateway,
    /// 504: the target took too long.
    Timeout,
}

/// How an attempt failed.
enum Attempt {
    /// Nothing of the request has reached the target.
    NotSent(String),
    /// The target may have begun with it.
    Broken(String),
    TimedOut(String),
    /// No target can be asked this, which is none's fault.
    Unfit,
}

impl Proxy {
    /// Those of project.toml. Nothing is connected to yet.
    pub fn new(written: &model::Proxy) -> Self {
        let is_secure = |target: &ProxyTarget| target.protocol == TargetProtocol::Https;
        let secure = written.targets.iter().any(is_secure);
        let configs = secure.then(|| Configs::new(&written.tls)).flatten();
        let target = |target| Arc::new(Target::new(target, written, configs.as_ref()));
        Proxy {
            targets: written.targets.iter().map(target).collect(),
            balance: Balance::new(&written.balance, written.targets.len()),
            written: written.clone(),
            epoch: Instant::now(),
            last_report: AtomicU64::new(0),
        }
    }

    /// Sends a request to the targets in turn until one answers. Another gets it only if nothing
    /// of it reached the one before, or if doing it twice does no harm (RFC 9110 §9.2.2) and its
    /// body is still here.
    ///
    /// # Errors
    /// No target answered.
    pub async fn send(&self, asked: &Asked<'_>, upload: Upload) -> Result<Answer, Failure> {
        let mut tried = vec![false; self.targets.len()];
        let key = self.key(asked);
        let mut stale = false;
        loop {
            let Some(at) = self.choose(&tried, &key) else {
                return Err(Failure::BadGateway);
            };
            let target = &self.targets[at];
            let failed = match self.attempt(target, asked, upload.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            let (reason, again) = match &failed {
                Attempt::NotSent(reason) => {
                    tried[at] = true;
                    (reason, upload.is_whole())
                }
                Attempt::Broken(reason) => {
                    // The connection may have been kept for too long: the same target once more.
                    tried[at] = stale || self.targets.len() > 1;
                    stale = true;
                    (
                        reason,
                        upload.is_whole() && is_idempotent(&asked.head.method),
                    )
                }
                Attempt::TimedOut(reason) => (reason, false),
                Attempt::Unfit => return Err(Failure::BadGateway),
            };
            let again = again && tried.contains(&false);
            self.report(target, asked, reason, again);
            match failed {
                _ if again => {}
                Attempt::TimedOut(_) => return Err(Failure::Timeout),
                Attempt::NotSent(_) | Attempt::Broken(_) | Attempt::Unfit => {
                    return Err(Failure::BadGateway);
                }
            }
        }
    }

    /// A target that is well and has not been tried: one for emergencies only where no other is.
    /// With none well, those which are not may have recovered: better asked than refused.
    fn choose(&self, tried: &[bool], key: &[u8]) -> Option<usize> {
        let among = |backup: bool, is_well: bool| {
            self.balance.choose(&self.targets, key, |at| {
                let target = &self.targets[at];
                !tried[at]
                    && target.written.backup == backup
                    && (!is_well || target.health.is_well())
            })
        };
        among(false, true)
            .or_else(|| among(true, true))
            .or_else(|| among(false, false))
            .or_else(|| among(true, false))
    }

    async fn attempt(
        &self,
        target: &Arc<Target>,
        asked: &Asked<'_>,
        upload: Upload,
    ) -> Result<Answer, Attempt> {
        let destination = Destination {
            written: &target.written,
            authority: &target.authority,
            keeps_host: self.written.keeps_host,
            can_switch: target.sender.can_switch(),
        };
        let request = asked
            .rewritten(destination, upload.clone())
            .map_err(|_| Attempt::Unfit)?;
        let asked_to_switch = asked.upgrade().is_some() && target.sender.can_switch();
        let under_way = UnderWay::begin(target);
        let response = self
            .within_time(target.sender.send(request, asked_to_switch), &upload)
            .await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS && !asked_to_switch {
            return Err(Attempt::Broken("it changed the protocol unasked".into()));
        }
        if target.health.succeeded() {
            tracing::info!("{} answers again", target.written.address);
        }
        Ok(Answer::new(
            response,
            asked.head.method == Method::HEAD,
            self.written.response_timeout,
            under_way,
        ))
    }

    async fn within_time<T>(
        &self,
        response: impl Future<Output = Result<T, Unsent>>,
        upload: &Upload,
    ) -> Result<T, Attempt> {
        let timeout = self.written.response_timeout;
        let mut response = pin!(response);
        let mut before = upload.progress().0;
        loop {
            match tokio::time::timeout(timeout, response.as_mut()).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(Unsent::NotSent(reason))) => return Err(Attempt::NotSent(reason)),
                Ok(Err(Unsent::Broken(reason))) => return Err(Attempt::Broken(reason)),
                Err(_) => {}
            }
            // The time in which a client sends its body is the client's, and has a clock there.
            let (taken, waits_for_client) = upload.progress();
            if taken == before && !waits_for_client {
                return Err(Attempt::TimedOut(format!("no answer within {timeout:?}")));
            }
            before = taken;
        }
    }

    fn key(&self, asked: &Asked<'_>) -> Vec<u8> {
        match &self.balance {
            Balance::RoundRobin(_) | Balance::LeastRequests(_) => Vec::new(),
            Balance::Address => asked.client.to_string().into_bytes(),
            Balance::Field(name) => asked.field(name.as_bytes()).unwrap_or_default().to_vec(),
        }
    }

    /// Counts a failure, and logs it: once a second, or every client of a target that is gone would
    /// write a line.
    fn report(&self, target: &Target, asked: &Asked<'_>, reason: &str, again: bool) {
        let (address, timeout) = (&target.written.address, self.written.fail_timeout);
        if target.health.failed() && self.targets.len() > 1 {
            tracing::warn!("{address} is left out for {timeout:?}: {reason}");
        }
        let second = self.epoch.elapsed().as_secs() + 1;
        if !again && self.last_report.swap(second, Ordering::Relaxed) != second {
            let path = String::from_utf8_lossy(asked.head.path()).into_owned();
            tracing::warn!(
                "no answer from {address}: {reason}: {} {path} (request {}; said once a second)",
                asked.head.method,
                asked.id
            );
        }
    }

    /// How long a tunnel may be silent.
    pub fn silence(&self) -> Duration {
        self.written.response_timeout
    }

    /// Whether a body's length must be known before it is passed on.
    pub fn needs_length(&self) -> bool {
        let mut targets = self.targets.iter();
        targets.any(|target| target.written.protocol == TargetProtocol::Uwsgi)
    }

    /// Whether targets are to be checked.
    pub fn is_checked(&self) -> bool {
        self.written.health_check.is_some()
    }

    /// Checks the targets as `health_check` says; never ends.
    pub async fn check(&self) {
        let Some(path) = &self.written.health_check else {
            return;
        };
        let mut clock = tokio::time::interval(self.written.health_interval);
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            for target in &self.targets {
                let found = self.check_one(target, path).await;
                let address = &target.written.address;
                if target.health.checked(found.is_ok()) {
                    match found {
                        Ok(()) => tracing::info!("{address} passes its health check again"),
                        Err(why) => tracing::warn!("{address} fails its health check: {why}"),
                    }
                }
            }
        }
    }

    async fn check_one(&self, target: &Target, path: &str) -> Result<(), String> {
        let mut request = Request::new(Upload::none());
        let uri = format!("http://{}{path}", target.authority);
        *request.uri_mut() = uri.parse().map_err(|_| "its path is none".to_owned())?;
        let host = HeaderValue::from_str(&target.authority).map_err(|error| error.to_string())?;
        request.headers_mut().insert(header::HOST, host);
        let patience = self.written.health_interval.max(Duration::from_secs(1));
        match tokio::time::timeout(patience, target.sender.send(request, false)).await {
            Err(_) => Err(format!("no answer within {patience:?}")),
            Ok(Err(Unsent::NotSent(reason) | Unsent::Broken(reason))) => Err(reason),
            Ok(Ok(response)) => match response.status() {
                status if status.is_success() || status.is_redirection() => Ok(()),
                status => Err(format!("it answered {status}")),
            },
        }
    }
}

/// RFC 9110 §9.2.2.
fn is_idempotent(method: &Method) -> bool {
    let idempotent = [
        Method::GET,
        Method::HEAD,
        Method::OPTIONS,
        Method::TRACE,
        Method::PUT,
        Method::DELETE,
    ];
    idempotent.contains(method)
}

/// The innermost cause, which is what an operator can act on.
pub(crate) fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
