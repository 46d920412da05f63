//! The name in the handshake chooses site and certificate.

use crate::client::Client;
use crate::support::{Appliance, Project};
use crate::{APPLICATION, Authority};

fn two_sites(authority: &Authority, first: &str) -> Appliance {
    let site = |name: &str, tls: &str| {
        format!(
            "[[site]]\nlisten = \"https://127.0.0.1:0\"\nserver_name = \"{name}.test\"\n\
             [site.tls]\ncertificate = \"{name}.pem\"\nkey = \"{name}.key\"\n{tls}\n\
             [site.routes]\n\"/\" = {{ files = \"{name}\" }}\n"
        )
    };
    let sites = site("one", first) + &site("two", "");
    let (one, two) = (
        authority.certificate(&["one.test", "other.test"]),
        authority.certificate(&["two.test"]),
    );
    Project::with_sites(APPLICATION, "", &sites)
        .file("one/index.html", "the first")
        .file("two/index.html", "the second")
        .file("one.pem", one.0)
        .file("one.key", one.1)
        .file("two.pem", two.0)
        .file("two.key", two.1)
        .start()
}

#[test]
fn each_name_gets_its_own_certificate_and_an_unknown_one_the_first() {
    let authority = Authority::new();
    let (server, client) = (two_sites(&authority, ""), Client::trusting(&authority));
    for (name, body) in [
        ("one.test", "the first"),
        ("two.test", "the second"),
        ("TWO.test", "the second"),
        // The first site's certificate is good for it.
        ("other.test", "the first"),
    ] {
        let mut connection = client.open_as(server.address(), name).unwrap();
        connection.send(format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n"));
        assert_eq!(connection.answer().unwrap().text(), body, "{name}");
    }
    // One that nobody's certificate is good for: the client refuses the first site's.
    let refused = client.open_as(server.address(), "third.test");
    let error = refused.err().unwrap().to_string();
    assert!(error.contains("not valid for name"), "{error}");
}

#[test]
fn unknown_names_may_be_refused_before_a_certificate_is_shown() {
    let authority = Authority::new();
    let server = two_sites(&authority, "reject_unknown_names = true");
    let client = Client::trusting(&authority);
    for name in ["other.test", "third.test"] {
        let refused = client.open_as(server.address(), name);
        let error = refused.err().unwrap().to_string();
        assert!(error.contains("UnrecognisedName"), "{name}: {error}");
    }
    for name in ["one.test", "two.test"] {
        assert!(client.open_as(server.address(), name).is_ok(), "{name}");
    }
}
