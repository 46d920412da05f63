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

#[test]
fn a_wildcard_is_a_name_too_and_the_exact_one_wins() {
    let authority = Authority::new();
    let site = |names: &str, folder: &str, default: bool| {
        format!(
            "[[site]]\nlisten = \"https://127.0.0.1:0\"\nserver_name = \"{names}\"\ndefault = {default}\n\
             [site.tls]\ncertificate = \"{folder}.pem\"\nkey = \"{folder}.key\"\n\
             reject_unknown_names = {default}\n[site.routes]\n\"/\" = {{ files = \"{folder}\" }}\n"
        )
    };
    let sites = site("plain.test", "plain", true)
        + &site("*.wild.test", "wild", false)
        + &site("a.wild.test", "exact", false);
    let mut project = Project::with_sites(APPLICATION, "", &sites);
    for (folder, name) in [
        ("plain", "plain.test"),
        ("wild", "*.wild.test"),
        ("exact", "a.wild.test"),
    ] {
        let (certificate, key) = authority.certificate(&[name]);
        project = project
            .file(&format!("{folder}/index.html"), folder)
            .file(&format!("{folder}.pem"), certificate)
            .file(&format!("{folder}.key"), key);
    }
    let (server, client) = (project.start(), Client::trusting(&authority));
    for (name, folder) in [
        ("plain.test", "plain"),
        ("b.wild.test", "wild"),
        ("B.WILD.test", "wild"),
        ("a.wild.test", "exact"),
    ] {
        let mut connection = client.open_as(server.address(), name).unwrap();
        connection.send(format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n"));
        assert_eq!(connection.answer().unwrap().text(), folder, "{name}");
    }
    for name in ["wild.test", "xwild.test"] {
        let error = client.open_as(server.address(), name).err().unwrap();
        assert!(error.to_string().contains("UnrecognisedName"), "{name}");
    }
}
