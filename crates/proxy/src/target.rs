//! A server that requests are passed to, and how it does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use appliance_project::model::{self, ProxyTarget, TargetAddress, TargetProtocol};

use crate::health::Health;
use crate::sender::Sender;
use crate::tls::Configs;

/// A target.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) written: ProxyTarget,
    /// As its own Host field would say it.
    pub(crate) authority: String,
    pub(crate) health: Health,
    pub(crate) sender: Sender,
    under_way: AtomicUsize,
}

/// A request under way to a target.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Target>);

impl Target {
    pub(crate) fn new(
        written: &ProxyTarget,
        proxy: &model::Proxy,
        configs: Option<&Configs>,
    ) -> Self {
        let usual_port = match written.protocol {
            TargetProtocol::Https => ":443",
            TargetProtocol::Http | TargetProtocol::H2c | TargetProtocol::Uwsgi => ":80",
        };
        let authority = match &written.address {
            TargetAddress::Tcp(..) => {
                let whole = written.address.to_string();
                whole.strip_suffix(usual_port).unwrap_or(&whole).to_owned()
            }
            TargetAddress::Unix(_) => "localhost".to_owned(),
        };
        Target {
            written: written.clone(),
            authority,
            health: Health::new(proxy.max_failures, proxy.fail_timeout),
            sender: Sender::new(written, proxy, configs),
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
