//! `listen = "uwsgi://…"`: gateways that speak the uwsgi protocol, packet by packet and as a real nginx
//! does it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "uwsgi/behind_nginx.rs"]
mod behind_nginx;
#[path = "uwsgi/packets.rs"]
mod packets;
#[path = "uwsgi/stranger.rs"]
mod stranger;
mod support;

use std::net::SocketAddr;

use support::{Appliance, Connection, Response};

/// Where the server has said that it listens for gateways.
fn gateway_address(site: &Appliance) -> SocketAddr {
    let log = site.log();
    let told = log.split("listening on uwsgi://127").nth(1).unwrap();
    let rest = told.lines().next().unwrap();
    format!("127{rest}").trim().parse().unwrap()
}

/// A packet of these variables.
fn packet(variables: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for text in variables.iter().flat_map(|(name, value)| [name, value]) {
        block.extend_from_slice(&u16::try_from(text.len()).unwrap().to_le_bytes());
        block.extend_from_slice(text.as_bytes());
    }
    let [low, high] = u16::try_from(block.len()).unwrap().to_le_bytes();
    [&[0, low, high, 0], block.as_slice()].concat()
}

/// What nginx says of `method path`, and what else the test wants said.
fn request(method: &str, path: &str, further: &[(&str, &str)]) -> Vec<u8> {
    let (decoded, query) = path.split_once('?').unwrap_or((path, ""));
    let usual = [
        ("QUERY_STRING", query),
        ("REQUEST_METHOD", method),
        ("REQUEST_URI", path),
        ("PATH_INFO", decoded),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("REMOTE_ADDR", "192.0.2.7"),
        ("REMOTE_PORT", "40000"),
        ("SERVER_PORT", "8000"),
        ("SERVER_NAME", "gateway.test"),
        ("HTTP_HOST", "site.test"),
    ];
    packet(&[&usual, further].concat())
}

/// Sends bytes and reads the response, which ends with the connection.
fn exchange(site: &Appliance, bytes: impl AsRef<[u8]>) -> Response {
    let mut connection = Connection::open(gateway_address(site));
    connection.send(bytes);
    connection.response()
}
