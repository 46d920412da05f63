//! How a target is spoken to: HTTP/1.1 with a pool of connections, HTTP/2 with one, or whichever
//! it likes better.

use std::time::Duration;

use appliance_project::model::{self, ProxyTarget, TargetAddress, TargetProtocol};
use http::uri::Scheme;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::connector::Connector;
use crate::multiplexed::Multiplexed;
use crate::proxy::reason;
use crate::tls::Configs;
use crate::upload::Upload;

/// How long a connection without requests is kept: less than the 60 to 75 s after which servers close
/// theirs, so that few requests meet one that is being closed.
const IDLE: Duration = Duration::from_secs(50);

/// The ways to a target.
#[derive(Debug)]
pub(crate) struct Sender {
    http1: Option<Client<Connector, Upload>>,
    http2: Option<Multiplexed>,
    /// Whether connections can become ones of another protocol.
    switches: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Unsent {
    /// Nothing of the request has reached the target.
    NotSent(String),
    /// The target may have begun with it.
    Broken(String),
}

impl Sender {
    pub(crate) fn new(
        target: &ProxyTarget,
        proxy: &model::Proxy,
        configs: Option<&Configs>,
    ) -> Self {
        let connector = |tls| Connector::new(target, proxy.connect_timeout, tls);
        // A connection of the uwsgi protocol is good for one request.
        let kept = match target.protocol {
            TargetProtocol::Uwsgi => 0,
            _ => proxy.idle_connections,
        };
        let pool = |connector| {
            Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(kept)
                .set_host(false)
                .build(connector)
        };
        match target.protocol {
            TargetProtocol::Http | TargetProtocol::Uwsgi => Sender {
                http1: Some(pool(connector(None))),
                http2: None,
                switches: target.protocol == TargetProtocol::Http,
            },
            TargetProtocol::H2c => Sender {
                http1: None,
                http2: Some(Multiplexed::new(connector(None), Scheme::HTTP)),
                switches: false,
            },
            TargetProtocol::Https => {
                let host = match &target.address {
                    TargetAddress::Tcp(host, _) => host.as_str(),
                    TargetAddress::Unix(_) => "localhost",
                };
                let tls = configs.and_then(|configs| configs.of(host));
                let (either, http1) = tls.unzip();
                Sender {
                    switches: http1.is_some(),
                    http1: http1.map(|tls| pool(connector(Some(tls)))),
                    http2: either.map(|tls| Multiplexed::new(connector(Some(tls)), Scheme::HTTPS)),
                }
            }
        }
    }

    /// Sends a request that was written for HTTP/1.1; one that asks for another protocol goes by
    /// HTTP/1.1.
    pub(crate) async fn send(
        &self,
        request: Request<Upload>,
        asks_to_switch: bool,
    ) -> Result<Response<Incoming>, Unsent> {
        let http2 = self.http2.as_ref();
        if let Some(http2) = http2.filter(|_| !asks_to_switch || self.http1.is_none()) {
            let sender = http2.sender().await;
            let sender = sender.map_err(|error| Unsent::NotSent(error.to_string()))?;
            if let Some(sender) = sender {
                return http2.send(sender, request).await;
            }
        }
        match &self.http1 {
            Some(pool) => pool.request(request).await.map_err(Unsent::from),
            None => Err(Unsent::NotSent("it cannot be spoken to".to_owned())),
        }
    }

    /// Whether the target can change the protocol of a connection.
    pub(crate) fn can_switch(&self) -> bool {
        self.switches
    }
}

impl From<legacy::Error> for Unsent {
    fn from(error: legacy::Error) -> Self {
        match error.is_connect() {
            true => Unsent::NotSent(reason(&error)),
            false => Unsent::Broken(reason(&error)),
        }
    }
}
