//! Routes that other servers answer over TLS, or over HTTP/2.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![allow(unreachable_pub, reason = "modules of a test, not of a library")]

mod support;

#[path = "tls/authority.rs"]
mod authority;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use authority::Authority;
use support::{Appliance, Finished, Project};

/// The server behind: says by what protocol and for which host it was asked, and how much it got.
const BEHIND: &str = r#"
def application(environ, start_response):
    body = environ["wsgi.input"].read()
    said = " ".join([environ["SERVER_PROTOCOL"], environ["wsgi.url_scheme"], environ["HTTP_HOST"],
                     environ["REQUEST_URI"], str(len(body))])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [said.encode()]
"#;

/// One that other servers' routes can lead to, at `https://127.0.0.1`.
fn behind(identity: &(String, String), site: &str) -> Appliance {
    let sites = format!(
        "[[site]]\nlisten = [\"https://127.0.0.1:0\"]\n{site}\n[site.tls]\ncertificate = \"site.pem\"\n\
         key = \"site.key\"\n[site.routes]\n\"/\" = {{ wsgi = true }}\n"
    );
    Project::with_sites(BEHIND, "", &sites)
        .file("site.pem", &identity.0)
        .file("site.key", &identity.1)
        .start()
}

/// One whose `/` is answered by what is at `url`, with these further keys.
fn before(url: &str, keys: &str, ca: &str) -> Appliance {
    before_with(url, keys, ca, "")
}

/// The same, of a site with these lines.
fn before_with(url: &str, keys: &str, ca: &str, site: &str) -> Appliance {
    let sites = format!(
        "[[site]]\nlisten = [\"127.0.0.1:0\"]\nbody_limit = \"20MB\"\n{site}\n[site.routes]\n\
         \"/\" = {{ proxy = {{ to = \"{url}\", max_failures = 1000 {keys} }} }}\n"
    );
    Project::with_sites("application = print", "", &sites)
        .file("ca.pem", ca)
        .start()
}

fn https(address: SocketAddr) -> String {
    format!("https://localhost:{}", address.port())
}

const CA: &str = ", ca = \"ca.pem\"";

#[test]
fn http_2_is_spoken_where_the_server_can_and_http_1_otherwise() {
    let authority = Authority::new();
    let identity = authority.certificate(&["localhost"]);
    for (site, protocol) in [("", "HTTP/2.0"), ("http2 = \"off\"", "HTTP/1.1")] {
        let server = behind(&identity, site);
        let front = before(&https(server.address()), CA, &authority.pem);
        let mut connection = front.connect();
        for host in ["site.test", "other.test:8080"] {
            connection.send(format!("GET /a%2Fb?x=1 HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            let seen = connection.response();
            let expected = format!("{protocol} https {host} /a%2Fb?x=1 0");
            assert_eq!((seen.status, seen.text()), (200, expected.as_str()));
        }
        let len = 5_000_000;
        connection.send(format!(
            "POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: {len}\r\n\r\n"
        ));
        connection.send(vec![b'x'; len]);
        let expected = format!("{protocol} https a /up {len}");
        assert_eq!(connection.response().text(), expected);
        let own = before(
            &https(server.address()),
            ", ca = \"ca.pem\", host = \"server\"",
            &authority.pem,
        );
        let host = format!("localhost:{}", server.address().port());
        let said = own.get("/").text().to_owned();
        assert_eq!(said, format!("{protocol} https {host} / 0"));
    }
}

#[test]
fn h2c_is_spoken_with_a_server_that_knows() {
    let sites = "[[site]]\nlisten = [\"127.0.0.1:0\"]\nhttp2 = \"always\"\n\
                 [site.routes]\n\"/\" = { wsgi = true }\n";
    let server = Project::with_sites(BEHIND, "", sites).start();
    let front = before(&format!("h2c://{}", server.address()), "", "");
    let mut connection = front.connect();
    for number in 0..10 {
        connection.send(format!("GET /{number} HTTP/1.1\r\nHost: b.test\r\n\r\n"));
        let seen = connection.response();
        let expected = format!("HTTP/2.0 http b.test /{number} 0");
        assert_eq!((seen.status, seen.text()), (200, expected.as_str()));
    }
}

/// The server ends each connection after some requests: GOAWAY.
#[test]
fn a_connection_that_the_server_ends_costs_no_request() {
    let authority = Authority::new();
    let identity = authority.certificate(&["localhost"]);
    let sites = "[server]\nrequests_per_connection = 3\n[[site]]\nlisten = [\"https://127.0.0.1:0\"]\n\
                 [site.tls]\ncertificate = \"site.pem\"\nkey = \"site.key\"\n[site.routes]\n\
                 \"/\" = { wsgi = true }\n";
    let server = Project::with_sites(BEHIND, "", sites)
        .file("site.pem", &identity.0)
        .file("site.key", &identity.1)
        .start();
    let front = before(&https(server.address()), CA, &authority.pem);
    let mut connection = front.connect();
    for number in 0..20 {
        let seen = connection.get(&format!("/{number}"));
        assert_eq!(seen.status, 200, "{number}: {}", front.log());
    }
}

#[test]
fn a_server_that_is_not_who_it_should_be_gets_no_request() {
    let authority = Authority::new();
    let good = authority.certificate(&["localhost"]);
    let other = authority.certificate(&["other.test"]);
    let expired = authority.expired(&["localhost"]);
    let stranger = Authority::new();
    for (identity, keys, ca, says) in [
        (
            &good,
            CA,
            &stranger,
            "nobody who is trusted vouches for its certificate (`ca` names an authority)",
        ),
        // The machine's own store knows nothing of a test's authority.
        (
            &good,
            "",
            &authority,
            "nobody who is trusted vouches for its certificate (`ca` names an authority)",
        ),
        (
            &other,
            CA,
            &authority,
            "its certificate is not good for `localhost` (`server_name` is another name to ask for)",
        ),
        (&expired, CA, &authority, "its certificate has expired"),
    ] {
        let server = behind(identity, "");
        let front = before(&https(server.address()), keys, &ca.pem);
        assert_eq!(front.get("/").status, 502, "{says}");
        front.wait_for_log(says);
        let address = format!("no answer from localhost:{}", server.address().port());
        assert!(front.log().contains(&address), "{}", front.log());
        assert!(!front.log().contains("panicked"));
    }
    let server = behind(&other, "");
    for keys in [
        ", ca = \"ca.pem\", server_name = \"other.test\"",
        ", verify = false",
    ] {
        let front = before(&https(server.address()), keys, &authority.pem);
        assert_eq!(front.get("/").status, 200, "{keys}: {}", front.log());
    }
}

/// As `openssl req -x509` makes it, which says that it is an authority.
#[test]
fn a_machine_that_knows_no_authority_is_told_so_at_the_start() {
    let toml = "[[site]]\nlisten = [\"127.0.0.1:0\"]\n[site.routes]\n\"/\" = { proxy = \"https://localhost:1\" }\n";
    for store in ["empty.pem", "none.pem"] {
        let project = Project::new(toml).file("empty.pem", "");
        let store = project.path(store).display().to_string();
        let mut check = project.command("check");
        check.env("SSL_CERT_FILE", store).env_remove("SSL_CERT_DIR");
        let check = Finished::of(check);
        assert_eq!(check.status, 1, "{}", check.stderr);
        for says in [
            "error: project.toml:4:17: this machine knows no certificate authority",
            "help: install the package `ca-certificates`, or name the authority: ",
        ] {
            assert!(check.stderr.contains(says), "{says}: {}", check.stderr);
        }
    }
}

#[test]
fn a_certificate_that_signs_itself_is_known_by_itself() {
    let own = Authority::own_authority("localhost");
    let server = behind(&own, "");
    let front = before(&https(server.address()), CA, &own.0);
    assert_eq!(front.get("/").status, 200, "{}", front.log());
    let misnamed = before(
        &https(server.address()),
        ", ca = \"ca.pem\", server_name = \"other.test\"",
        &own.0,
    );
    assert_eq!(misnamed.get("/").status, 502);
    misnamed.wait_for_log("its certificate is not good for `other.test`");
}

#[test]
fn what_speaks_no_tls_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            let _ = stream.read(&mut [0; 4096]);
        }
    });
    let front = before(&https(address), ", verify = false", "");
    assert_eq!(front.get("/").status, 502);
    front.wait_for_log("it does not speak TLS");
}

/// A server of another making, for what an `appliance` does not do: one connection after another.
fn raw(
    identity: &(String, String),
    handler: impl Fn(StreamOwned<ServerConnection, TcpStream>) + Send + Sync + 'static,
) -> SocketAddr {
    let chain = vec![CertificateDer::from_pem_slice(identity.0.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(identity.1.as_bytes()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let (config, handler) = (Arc::new(config), Arc::new(handler));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, handler) = (stream.unwrap(), Arc::clone(&handler));
            let patience = Some(Duration::from_secs(30));
            stream.set_read_timeout(patience).unwrap();
            let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
            std::thread::spawn(move || handler(StreamOwned::new(tls, stream)));
        }
    });
    address
}

fn head(stream: &mut impl Read) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1..) => head.push(byte[0]),
            _ => return None,
        }
    }
    String::from_utf8(head).ok()
}

#[test]
fn a_websocket_passes_through_by_http_1_and_the_routes_rules_hold() {
    let authority = Authority::new();
    let address = raw(&authority.certificate(&["localhost"]), |mut stream| {
        let Some(head) = head(&mut stream) else {
            return;
        };
        assert!(head.to_lowercase().contains("upgrade: websocket"), "{head}");
        let switched = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nServer: other\r\n\r\nhello";
        stream.write_all(switched).unwrap();
        let mut bytes = [0; 65536];
        while let Ok(len @ 1..) = stream.read(&mut bytes) {
            stream.write_all(&bytes[..len]).unwrap();
        }
    });
    let rules = "headers = { X-Rule = \"holds\", Server = \"us\" }\nsecurity_headers = true";
    let front = before_with(&https(address), CA, &authority.pem, rules);
    let mut stream = TcpStream::connect(front.address()).unwrap();
    let patience = Some(Duration::from_secs(20));
    stream.set_read_timeout(patience).unwrap();
    let asked =
        b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly";
    stream.write_all(asked).unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"early") {
        let mut bytes = [0; 1024];
        let len = stream.read(&mut bytes).unwrap();
        assert!(len > 0, "{}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&bytes[..len]);
    }
    let seen = String::from_utf8_lossy(&seen);
    assert!(seen.starts_with("HTTP/1.1 101 "), "{seen}");
    assert!(seen.ends_with("helloearly"), "{seen}");
    for rule in [
        "X-Rule: holds\r\n",
        "Server: us\r\n",
        "X-Frame-Options: SAMEORIGIN\r\n",
    ] {
        assert_eq!(seen.matches(rule).count(), 1, "{rule}: {seen}");
    }
    let large = vec![7; 1 << 20];
    let mut writer = stream.try_clone().unwrap();
    let sent = large.clone();
    let writing = std::thread::spawn(move || writer.write_all(&sent).unwrap());
    let mut echoed = vec![0; large.len()];
    stream.read_exact(&mut echoed).unwrap();
    writing.join().unwrap();
    assert!(echoed == large);
}

#[test]
fn an_answer_that_lies_about_its_length_is_seen_to_do_so() {
    let authority = Authority::new();
    let answers = |answer: &'static str| {
        raw(&authority.certificate(&["localhost"]), move |mut stream| {
            if head(&mut stream).is_some() {
                // Without `close_notify`: whoever is in between could have cut it.
                let _ = stream.write_all(answer.as_bytes());
                let _ = stream.flush();
                let _ = stream.sock.shutdown(std::net::Shutdown::Both);
            }
        })
    };
    let whole = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole";
    for (answer, status, is_whole) in [
        (whole, 200, true),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nwhole",
            200,
            false,
        ),
        ("HTTP/1.1 200 OK\r\n\r\nas far as the end", 200, false),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n",
            200,
            false,
        ),
        // More than was said is nobody's.
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole and more",
            200,
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nwhole",
            502,
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nwhole",
            502,
            true,
        ),
        ("what is no answer at all\r\n\r\n", 502, true),
        ("", 502, true),
    ] {
        let front = before(&https(answers(answer)), CA, &authority.pem);
        let response = front.get("/");
        let seen = (response.status, response.complete);
        assert_eq!(seen, (status, is_whole), "{answer}");
        if is_whole && status == 200 {
            assert_eq!(response.text(), "whole", "{answer}");
        }
    }
}
