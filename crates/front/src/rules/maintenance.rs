//! Maintenance: `appliance maintenance on` has every worker answer 503, whatever its generation,
//! until `off`. The word is in the memory that workers share, so that one which starts meanwhile
//! knows it as well, and nobody has to be told.

use std::net::IpAddr;

use appliance_message::Head;
use appliance_project::{Network, model};
use http::StatusCode;

use super::error_pages::Page;
use super::shared_memory;
use crate::respond::refuse;
use crate::response::Response;

/// Seconds after which clients and crawlers come again.
const RETRY_AFTER: &str = "300";

/// What a route has to say about it.
#[derive(Debug)]
pub(super) struct Maintenance {
    page: Option<Page>,
    allowed: Vec<Network>,
}

impl Maintenance {
    pub(super) fn new(written: &model::Rules) -> Maintenance {
        Maintenance {
            page: written.maintenance_page.as_deref().and_then(Page::read),
            allowed: written.maintenance_allow.clone(),
        }
    }

    pub(super) fn admit(&self, head: &Head, client: IpAddr) -> Result<(), Response> {
        if !is_on() || self.allowed.iter().any(|network| network.contains(client)) {
            return Ok(());
        }
        let mut refused = refusal(head);
        if let Some(page) = &self.page {
            page.replace(&mut refused);
        }
        Err(refused)
    }
}

pub(crate) fn is_on() -> bool {
    shared_memory::maintenance()
}

/// Where nothing is ruled.
pub(crate) fn refusal(head: &Head) -> Response {
    refuse(StatusCode::SERVICE_UNAVAILABLE, head).with("Retry-After", RETRY_AFTER)
}
