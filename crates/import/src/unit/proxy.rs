//! Actions that pass to other servers become routes with `proxy`.

use toml_edit::{InlineTable, Value};

use crate::Import;
use crate::convert::list;
use crate::draft::Site;
use crate::json::Node;
use crate::report::Verdict;

use super::{add, route};

/// `"proxy": "http://127.0.0.1:8080"`.
pub(super) fn one(
    import: &mut Import<'_>,
    node: &Node,
    target: &str,
    uris: Vec<String>,
    site: &mut Site,
) {
    match server(target) {
        Some(url) => routes(import, node, uris, &url.into(), site),
        None => import.missing(
            node,
            "its target is no server alone: write the route by hand",
        ),
    }
}

/// An action that passes to an upstream: servers by their addresses, with weights.
pub(super) fn several(
    import: &mut Import<'_>,
    (config, node): (&Node, &Node),
    pass: &str,
    uris: Vec<String>,
    site: &mut Site,
) {
    let name = pass.split('/').nth(1).unwrap_or_default();
    let upstream = config.get("upstreams").and_then(|all| all.get(name));
    let servers = upstream.and_then(|upstream| upstream.get("servers"));
    let mut weights = Vec::new();
    for (address, server) in servers.map_or(&[][..], Node::members) {
        let weight = server.get("weight").and_then(Node::word);
        let weight = weight.map_or(Some(1.0), |word| word.parse::<f64>().ok());
        match weight.filter(|weight| (0.0..=LARGEST_OF_UNIT).contains(weight)) {
            // It gets no requests.
            Some(0.0) => import.row(server.place, Verdict::Carried, "left out: its weight is 0"),
            Some(weight) => weights.push((format!("http://{address}"), weight)),
            None => import.missing(
                server,
                "a weight is a number from 0 to 1000000: write it by hand",
            ),
        }
    }
    let (weights, is_exact) = whole(weights);
    if !is_exact {
        let text = "weights are whole numbers from 1 to 1000: the nearest to these are written";
        import.row(node.place, Verdict::Default, text);
    }
    match weights.as_slice() {
        [] => import.missing(node, "its upstream has no servers"),
        [(url, _)] => routes(import, node, uris, &url.as_str().into(), site),
        _ if weights.iter().all(|(_, weight)| *weight == 1) => {
            let urls: Vec<&str> = weights.iter().map(|(url, _)| url.as_str()).collect();
            routes(import, node, uris, &list(&urls), site);
        }
        _ => {
            let table: InlineTable = weights.into_iter().collect();
            routes(import, node, uris, &Value::InlineTable(table), site);
        }
    }
}

/// Unit's own bound.
const LARGEST_OF_UNIT: f64 = 1_000_000.0;

/// The largest weight of `proxy`.
const LARGEST: f64 = 1000.0;

/// Weights in the same proportion that `proxy` takes, and whether it is exactly the same: the
/// smallest that are whole, or else the nearest.
fn whole(weights: Vec<(String, f64)>) -> (Vec<(String, i64)>, bool) {
    let largest = weights
        .iter()
        .fold(0.0, |most, (_, weight)| weight.max(most));
    let written = |factor: f64| {
        let scaled = weights.iter().map(|(_, weight)| weight * factor);
        // The bound makes it fit; a product of decimals is whole but for its last digits.
        scaled
            .map(|weight| (weight.round().max(1.0), weight))
            .collect::<Vec<_>>()
    };
    let fits = |scaled: &[(f64, f64)]| {
        scaled
            .iter()
            .all(|(whole, weight)| (whole - weight).abs() < 1e-6 && *whole <= LARGEST)
    };
    let exact = (1..=1000)
        .map(|factor| written(f64::from(factor)))
        .find(|scaled| fits(scaled));
    let is_exact = exact.is_some();
    let scaled = exact.unwrap_or_else(|| written(LARGEST / largest.max(1e-9)));
    let urls = weights.into_iter().map(|(url, _)| url);
    let pairs = urls
        .zip(scaled)
        .map(|(url, (whole, _))| (url, whole as i64));
    (pairs.collect(), is_exact)
}

/// Routes that other servers answer.
fn routes(import: &mut Import<'_>, node: &Node, uris: Vec<String>, to: &Value, site: &mut Site) {
    for uri in uris {
        add(import, node, route(node, uri, ("proxy", to.clone())), site);
    }
}

/// `http://127.0.0.1:8080` and `http://unix:/run/app.sock`, as `proxy` names them.
fn server(target: &str) -> Option<String> {
    let rest = target.strip_prefix("http://")?;
    match rest {
        _ if rest.contains(['$', '?', '#', '`']) => None,
        _ if rest.starts_with("unix:") => Some(rest.to_owned()),
        _ => Some(target.to_owned()),
    }
}
