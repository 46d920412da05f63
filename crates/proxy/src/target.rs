//! A server that requests are passed to, and how it does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use appliance_project::model::{self, ProxyTarget, TargetAddress};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::connector::Connector;
use crate::health::Health;
use crate::upload::Upload;

/// How long a connection without requests is kept: less than the 60 to 75 s after which servers close
/// theirs, so that few requests meet one that is being closed.
const IDLE: Duration = Duration::from_secs(50);

/// A target.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) written: ProxyTarget,
    /// As its own Host field would say it.
    pub(crate) authority: String,
    pub(crate) health: Health,
    pub(crate) client: Client<Connector, Upload>,
    under_way: AtomicUsize,
}

/// A request under way to a target.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Target>);

impl Target {
    pub(crate) fn new(written: &ProxyTarget, proxy: &model::Proxy) -> Self {
        let authority = match &written.address {
            TargetAddress::Tcp(..) => {
                let whole = written.address.to_string();
                whole.strip_suffix(":80").unwrap_or(&whole).to_owned()
            }
            TargetAddress::Unix(_) => "localhost".to_owned(),
        };
        let connector = Connector::new(written.address.clone(), proxy.connect_timeout);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(proxy.idle_connections)
            .http2_only(written.http2)
            .set_host(false)
            .build(connector);
        Target {
            written: written.clone(),
            authority,
            health: Health::new(proxy.max_failures, proxy.fail_timeout),
            client,
            under_way: AtomicUsize::new(0),
        }
    }

    /// Requests under way, for each unit of its weight.
    pub(crate) fn load(&self) -> f64 {
        self.under_way.load(Ordering::Relaxed) as f64 / f64::from(self.written.weight)
    }
}

impl UnderWay {
    /// Counts a request until what is returned is dropped.
    pub(crate) fn begin(target: &Arc<Target>) -> UnderWay {
        target.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(target))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
