//! A client that comes back saves the server a signature, whichever worker it meets.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind};

use crate::client::Client;
use crate::support::Finished;
use crate::{Authority, with_listen};

#[test]
fn sessions_are_resumed_at_every_worker_and_after_a_reload() {
    let authority = Authority::new();
    let listen = "\"https://127.0.0.1:0\"";
    let server = with_listen(&authority, listen, "processes = 3", "").start();
    for version in [&TLS13, &TLS12] {
        let config = ClientConfig::builder_with_protocol_versions(&[version])
            .with_root_certificates(crate::client::roots(&authority))
            .with_no_client_auth();
        let client = Client(Arc::new(config)).but(|config| {
            config.resumption = Resumption::in_memory_sessions(64);
        });
        let kind = |client: &Client| {
            let mut connection = client.open(server.address());
            // Tickets come with the first bytes.
            assert_eq!(connection.get("/files/small.txt").status, 200);
            connection.tls().handshake_kind().unwrap()
        };
        assert_eq!(kind(&client), HandshakeKind::Full);
        // The kernel spreads connections over the workers.
        for _ in 0..20 {
            assert_eq!(kind(&client), HandshakeKind::Resumed, "{version:?}");
        }
        let reload = Finished::of(server.project.command("reload"));
        assert_eq!(reload.status, 0, "{}", reload.stderr);
        for _ in 0..5 {
            assert_eq!(kind(&client), HandshakeKind::Resumed, "{version:?}");
        }
    }
}

/// What is asked of clients since a reload is asked of those who come back, too.
#[test]
fn a_ticket_is_no_way_around_a_certificate_that_is_required_since() {
    let authority = Authority::new();
    let listen = "\"https://127.0.0.1:0\"";
    let server = with_listen(&authority, listen, "", "").start();
    let client = Client::trusting(&authority);
    for _ in 0..2 {
        assert_eq!(client.get(server.address(), "/files/small.txt").status, 200);
    }
    let file = server.project.path("project.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace("[site.tls]", "[site.tls]\nclient_ca = \"clients.pem\"");
    std::fs::write(&file, text).unwrap();
    std::fs::write(server.project.path("clients.pem"), &authority.pem).unwrap();
    let reload = Finished::of(server.project.command("reload"));
    assert_eq!(reload.status, 0, "{}", reload.stderr);
    // Workers of before may have one more connection in their hands.
    let asked = crate::support::eventually("request for a certificate", || {
        let answer = client
            .open_as(server.address(), "localhost")
            .and_then(|mut connection| {
                connection.try_send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
                connection.answer()
            });
        answer.err()
    });
    assert!(!asked.to_string().is_empty());
    let ada = Client::with_certificate(&authority, &authority.client("Ada"));
    assert_eq!(ada.get(server.address(), "/").status, 200);
}
