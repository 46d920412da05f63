//! Actions with `return`: a redirect, or a status.

use crate::Import;
use crate::convert::Converted;
use crate::draft::{Line, Site};
use crate::json::Node;
use crate::nginx::redirect_target;

use super::{add, route};

/// The routes of such an action.
pub(super) fn fixed(
    import: &mut Import<'_>,
    node: &Node,
    action: &Node,
    uris: Vec<String>,
    site: &mut Site,
) {
    let word = |name: &str| action.get(name).and_then(Node::word);
    let status = word("return").and_then(|status| status.parse::<i64>().ok());
    let location = word("location").filter(|location| !location.is_empty());
    let target = location.as_deref().map(redirect_target);
    let (target, status) = match (status, target) {
        (Some(status @ (301 | 302 | 303 | 307 | 308)), Some(Some(to))) => (
            ("redirect", to.into()),
            Some(status).filter(|status| *status != 302),
        ),
        (Some(301 | 302 | 303 | 307 | 308), Some(None)) => {
            return import.missing(
                node,
                "it uses a variable that redirects do not have: `$host`, `$uri`, `$request_uri` and `$args` are there",
            );
        }
        // A 206 and a 304 would answer to fields of the request.
        (Some(status @ (200..=205 | 207..=299 | 400..=443 | 445..=599)), _) => {
            (("respond", status.into()), None)
        }
        _ => {
            return import.missing(
                node,
                "no status that a fixed answer has: see docs/routes.md",
            );
        }
    };
    for uri in uris {
        let mut route = route(node, uri, target.clone());
        if let Some(status) = status {
            let value = status.into();
            let converted = Converted { value, rank: None };
            route
                .table
                .inherit(&Line::said("status", converted, action.place));
        }
        add(import, node, route, site);
    }
}
