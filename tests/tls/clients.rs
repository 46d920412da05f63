//! Clients' certificates.

use crate::client::Client;
use crate::support::Project;
use crate::{APPLICATION, Authority, project};

const NAMES: [&str; 6] = [
    "SSL_CLIENT_VERIFY",
    "SSL_CLIENT_S_DN",
    "SSL_CLIENT_I_DN",
    "SSL_CLIENT_SERIAL",
    "SSL_CLIENT_CERT",
    "SSL_PROTOCOL",
];

#[test]
fn a_required_certificate_is_asked_for_and_reaches_the_application() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let project = project(&servers, "client_ca = \"clients.pem\"");
    let server = project.file("clients.pem", &clients.pem).start();
    let ada = Client::with_certificate(&servers, &clients.client("Ada"));
    let mut connection = ada.open(server.address());
    // Fields cannot pass for them, whatever their names.
    connection.send(
        "GET / HTTP/1.1\r\nHost: localhost\r\nSSL-Client-Verify: no\r\nSSL_CLIENT_VERIFY: no\r\n\
         X-SSL-Client-Verify: no\r\n\r\n",
    );
    let environ = connection.answer().unwrap();
    for says in [
        r#""SSL_CLIENT_VERIFY": "SUCCESS""#,
        r#""SSL_CLIENT_S_DN": "CN=Ada,O=Analytical Engines""#,
        r#""SSL_CLIENT_I_DN": "CN=an authority""#,
        r#""SSL_CLIENT_SERIAL": "1A2B""#,
        r#""SSL_CLIENT_CERT": "-----BEGIN CERTIFICATE-----"#,
    ] {
        assert!(environ.text().contains(says), "{says}: {}", environ.text());
    }
    for name in NAMES {
        let count = environ.text().matches(&format!("\"{name}\"")).count();
        assert_eq!(count, 1, "{name}: {}", environ.text());
    }
    // With TLS 1.3 a client hears of its failure when it reads.
    let stranger = Client::with_certificate(&servers, &Authority::new().client("Ada"));
    for client in [Client::trusting(&servers), stranger] {
        let answer = client
            .open_as(server.address(), "localhost")
            .and_then(|mut connection| {
                connection.try_send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
                connection.answer()
            });
        assert!(answer.is_err(), "{answer:?}");
    }
}

#[test]
fn an_optional_certificate_must_be_good_if_it_is_shown() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let tls = "client_ca = \"clients.pem\"\nclient_certificate = \"optional\"";
    let server = project(&servers, tls)
        .file("clients.pem", &clients.pem)
        .start();
    let without = Client::trusting(&servers).get(server.address(), "/");
    let says = r#""SSL_CLIENT_VERIFY": "NONE""#;
    assert!(without.text().contains(says), "{}", without.text());
    assert!(
        !without.text().contains("SSL_CLIENT_S_DN"),
        "{}",
        without.text()
    );
    let with = Client::with_certificate(&servers, &clients.client("Ada"));
    let with = with.get(server.address(), "/");
    let says = r#""SSL_CLIENT_VERIFY": "SUCCESS""#;
    assert!(with.text().contains(says), "{}", with.text());
    let stranger = Client::with_certificate(&servers, &Authority::new().client("Ada"));
    let answer = stranger
        .open_as(server.address(), "localhost")
        .and_then(|mut connection| {
            connection.try_send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
            connection.answer()
        });
    assert!(answer.is_err(), "{answer:?}");
}

/// Whoever shakes hands with a site that asks for nothing has not been asked by the other one.
#[test]
fn a_site_that_asks_is_not_reached_by_another_sites_handshake() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let sites = r#"
[[site]]
listen = "https://127.0.0.1:0"
server_name = "open.test"
[site.tls]
certificate = "site.pem"
key = "site.key"
[site.routes]
"/" = { wsgi = true }

[[site]]
listen = "https://127.0.0.1:0"
server_name = "closed.test"
[site.tls]
certificate = "site.pem"
key = "site.key"
client_ca = "clients.pem"
[site.routes]
"/" = { wsgi = true }
"#;
    let (certificate, key) = servers.certificate(&["open.test", "closed.test"]);
    let server = Project::with_sites(APPLICATION, "", sites)
        .file("site.pem", certificate)
        .file("site.key", key)
        .file("clients.pem", &clients.pem)
        .start();
    let mut connection = Client::trusting(&servers)
        .open_as(server.address(), "open.test")
        .unwrap();
    let mut ask = |host: &str| {
        connection.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        connection.answer().unwrap().status
    };
    assert_eq!(ask("open.test"), 200);
    for host in ["closed.test", "CLOSED.test:443", "closed.test."] {
        assert_eq!(ask(host), 421, "{host}");
    }
    assert_eq!(ask("open.test"), 200);
}
