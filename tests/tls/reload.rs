//! A renewed certificate, without a restart and without a failed request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::client::Client;
use crate::support::{Finished, Project};
use crate::{Authority, project};

#[test]
fn a_reload_presents_the_new_certificate_and_fails_nobody() {
    let authority = Authority::new();
    let server = project(&authority, "").start();
    let client = Client::trusting(&authority);
    let shown = |client: &Client| {
        let connection = client.open(server.address());
        connection.tls().peer_certificates().unwrap()[0].to_vec()
    };
    let before = shown(&client);
    let mut kept = client.open(server.address());
    assert_eq!(kept.get("/files/small.txt").status, 200);

    let (stop, address) = (Arc::new(AtomicBool::new(false)), server.address());
    let load: Vec<_> = (0..3)
        .map(|_| {
            let (client, stop) = (client.clone(), Arc::clone(&stop));
            std::thread::spawn(move || {
                let mut answered = 0;
                while !stop.load(Relaxed) {
                    assert_eq!(
                        client.get(address, "/files/small.txt").body,
                        b"a small file\n"
                    );
                    assert_eq!(client.get(address, "/").status, 200);
                    answered += 2;
                }
                answered
            })
        })
        .collect();
    let (certificate, key) = authority.certificate(&["localhost"]);
    std::fs::write(server.project.path("site.pem"), certificate).unwrap();
    std::fs::write(server.project.path("site.key"), key).unwrap();
    let reload = Finished::of(server.project.command("reload"));
    assert_eq!(reload.status, 0, "{}", reload.stderr);
    // Whoever came before the reload gets one more answer.
    assert_eq!(kept.get("/files/small.txt").status, 200);
    // A session that is resumed says nothing of a certificate.
    let fresh = Client::trusting(&authority);
    assert!(
        shown(&fresh) != before,
        "the old certificate is still shown"
    );
    stop.store(true, Relaxed);
    let answered: usize = load.into_iter().map(|client| client.join().unwrap()).sum();
    assert!(answered > 20, "{answered}");
}

#[test]
fn a_bad_pair_is_refused_and_the_old_one_serves_on() {
    let authority = Authority::new();
    let server = project(&authority, "").start();
    let (_, key) = authority.certificate(&["localhost"]);
    std::fs::write(server.project.path("site.key"), key).unwrap();
    let reload = Finished::of(server.project.command("reload"));
    assert_eq!(reload.status, 1, "{}", reload.stderr);
    let says = "is not that of the certificate";
    assert!(reload.stderr.contains(says), "{}", reload.stderr);
    assert_eq!(
        Client::trusting(&authority)
            .get(server.address(), "/")
            .status,
        200
    );
}

/// Where the certificate is named.
fn place(project: &Project) -> String {
    let toml = std::fs::read_to_string(project.path("project.toml")).unwrap();
    let line = toml
        .lines()
        .position(|line| line.starts_with("certificate = "));
    format!("project.toml:{}:15", line.unwrap() + 1)
}

#[test]
fn a_file_that_is_gone_is_named_and_the_old_one_serves_on() {
    let authority = Authority::new();
    let server = project(&authority, "").start();
    let certificate = server.project.path("site.pem");
    let kept = std::fs::read(&certificate).unwrap();
    std::fs::remove_file(&certificate).unwrap();
    let reload = Finished::of(server.project.command("reload"));
    assert_eq!(reload.status, 1, "{}", reload.stderr);
    let says = format!(
        "{}: `site.0.tls.certificate`: `{}` cannot be read: there is no such file",
        place(&server.project),
        certificate.display()
    );
    assert!(reload.stderr.contains(&says), "{says}: {}", reload.stderr);
    std::fs::write(&certificate, kept).unwrap();
    let client = Client::trusting(&authority);
    assert_eq!(client.get(server.address(), "/").status, 200);
}

#[test]
fn a_certificate_that_has_expired_is_warned_of_and_a_reload_ends_that() {
    let authority = Authority::new();
    let (certificate, key) = authority.expired(&["localhost"]);
    let project = project(&authority, "")
        .file("site.pem", certificate)
        .file("site.key", key);
    let check = Finished::of(project.command("check"));
    assert_eq!(check.status, 0, "{}", check.stderr);
    for says in [
        format!("{}: the certificate `", place(&project)),
        "site.pem` has expired: ".to_owned(),
        "help: browsers refuse it; renew it, then run `appliance reload`".to_owned(),
    ] {
        assert!(check.stderr.contains(&says), "{says}: {}", check.stderr);
    }
    let server = project.start();
    assert!(server.log().contains("has expired"), "{}", server.log());
    let client = Client::trusting(&authority);
    let refused = client.open_as(server.address(), "localhost");
    assert!(refused.is_err(), "a client took it");

    let (certificate, key) = authority.certificate(&["localhost"]);
    std::fs::write(server.project.path("site.pem"), certificate).unwrap();
    std::fs::write(server.project.path("site.key"), key).unwrap();
    let reload = Finished::of(server.project.command("reload"));
    assert_eq!(
        (reload.status, reload.stderr.contains("expired")),
        (0, false),
        "{}",
        reload.stderr
    );
    assert_eq!(client.get(server.address(), "/").status, 200);
}

/// The key is read by whoever reads the project; nothing of it is in the environment or the
/// arguments of a worker.
#[test]
fn workers_get_the_key_by_neither_environment_nor_arguments() {
    let authority = Authority::new();
    let server = project(&authority, "").start();
    let key = std::fs::read_to_string(server.project.path("site.key")).unwrap();
    let secret = key.lines().nth(1).unwrap();
    for worker in server.workers() {
        for file in ["environ", "cmdline"] {
            let bytes = std::fs::read(format!("/proc/{worker}/{file}")).unwrap();
            assert!(!bytes.is_empty());
            assert!(!String::from_utf8_lossy(&bytes).contains(secret), "{file}");
        }
    }
    assert!(!server.log().contains(secret));
}
