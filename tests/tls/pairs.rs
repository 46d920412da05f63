//! Several certificates of one name; which suites are spoken; clients whose certificate was revoked.

use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};

use crate::client::{Client, run};
use crate::support::{Appliance, Finished, Project, eventually};
use crate::{APPLICATION, Authority, ROUTES, project};

/// A site with one key of each kind.
fn two_kinds() -> Appliance {
    let authority = Authority::new();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let ec = authority.certificate(&["localhost"]);
    let sites = format!(
        "[[site]]\nlisten = \"https://127.0.0.1:0\"\n[site.tls]\ncertificate = [\"ec.pem\", \"rsa.pem\"]\n\
         key = [\"ec.key\", \"rsa.key\"]\n[site.routes]\n{ROUTES}"
    );
    Project::with_sites(APPLICATION, "", &sites)
        .file("dist/small.txt", "a small file\n")
        .file("ec.pem", ec.0)
        .file("ec.key", ec.1)
        .file("rsa.pem", params.self_signed(&rsa).unwrap().pem())
        .file("rsa.key", rsa.serialize_pem())
        .start()
}

fn ask(server: &Appliance, more: &[&str]) -> (bool, String) {
    let address = server.address().to_string();
    let mut all = vec!["s_client", "-connect", &address, "-servername", "localhost"];
    all.push("-ign_eof");
    all.extend(more);
    let request = b"GET /files/small.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let (content, out, errors) = run("openssl", &all, request);
    let said = String::from_utf8_lossy(&out).into_owned() + &errors;
    (content && said.contains("a small file"), said)
}

#[test]
fn the_certificate_is_one_that_the_client_can_check() {
    let server = two_kinds();
    for (arguments, kind) in [
        (&["-tls1_3"][..], "ECDSA"),
        (&["-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256"], "RSA-PSS"),
        (&["-tls1_2"], "ECDSA"),
        (
            &["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"],
            "RSA",
        ),
    ] {
        let (served, said) = ask(&server, arguments);
        assert!(served, "{arguments:?}: {said}");
        let says = format!("Peer signature type: {kind}");
        assert!(said.contains(&says), "{arguments:?}: {said}");
    }
}

/// Mozilla's intermediate recommendation, without its DHE suites.
#[test]
fn the_suites_are_those_of_the_recommendation() {
    let server = two_kinds();
    for kind in ["ECDSA", "RSA"] {
        for cipher in [
            "AES128-GCM-SHA256",
            "AES256-GCM-SHA384",
            "CHACHA20-POLY1305",
        ] {
            let suite = format!("ECDHE-{kind}-{cipher}");
            let (served, said) = ask(&server, &["-tls1_2", "-cipher", &suite]);
            assert!(served, "{suite}: {said}");
            assert!(said.contains(&suite), "{suite}: {said}");
        }
    }
    for suite in [
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
    ] {
        let (served, said) = ask(&server, &["-tls1_3", "-ciphersuites", suite]);
        assert!(served && said.contains(suite), "{suite}: {said}");
    }
    for suite in [
        "AES128-GCM-SHA256",
        "AES256-SHA",
        "ECDHE-RSA-AES128-SHA",
        "ECDHE-RSA-AES128-SHA256",
        "ECDHE-ECDSA-AES256-SHA384",
        "DHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES128-CCM",
    ] {
        let suite = format!("{suite}:@SECLEVEL=0");
        let (served, said) = ask(&server, &["-tls1_2", "-cipher", &suite]);
        assert!(!served, "{suite}: {said}");
        assert!(said.contains("handshake failure"), "{suite}: {said}");
    }
}

fn comes_in(server: &Appliance, client: &Client) -> bool {
    let answer = client
        .open_as(server.address(), "localhost")
        .and_then(|mut connection| {
            connection.try_send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
            connection.answer()
        });
    answer.is_ok_and(|answer| answer.status == 200)
}

#[test]
fn a_revoked_certificate_does_not_come_in_nor_does_its_old_session() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let [ada, bob] = [1, 2].map(|number| {
        let identity = clients.numbered_client("Ada or Bob", number);
        Client::with_certificate(&servers, &identity)
    });
    let tls = "client_ca = \"clients.pem\"\nclient_crl = \"revoked.pem\"";
    let server = project(&servers, tls)
        .file("clients.pem", &clients.pem)
        .file("revoked.pem", clients.revoking(&[1]))
        .start();
    assert!(!comes_in(&server, &ada));
    for _ in 0..3 {
        assert!(comes_in(&server, &bob));
    }
    let list = server.project.path("revoked.pem");
    std::fs::write(&list, clients.revoking(&[1, 2])).unwrap();
    let reload = Finished::of(server.project.command("reload"));
    assert_eq!(reload.status, 0, "{}", reload.stderr);
    // Workers of before may have one more connection in their hands.
    eventually("refusal", || (!comes_in(&server, &bob)).then_some(()));
    std::fs::write(&list, clients.revoking(&[])).unwrap();
    let reload = Finished::of(server.project.command("reload"));
    assert_eq!(reload.status, 0, "{}", reload.stderr);
    eventually("admission", || comes_in(&server, &ada).then_some(()));
}
