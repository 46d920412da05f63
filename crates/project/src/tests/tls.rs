//! `[site.tls]`: what it comes to mean, and every message about it, compared whole.

use std::fs;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::fixture::Shop;
use crate::model::{ClientCertificates, Hsts, HttpsRedirect, TlsVersion};

/// A shop with a certificate that is good for `shop.test` from this year until that one.
fn shop(from: i32, until: i32) -> Shop {
    let shop = Shop::new();
    let mut params = CertificateParams::new(["shop.test".to_owned()]).expect("parameters");
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    for (name, text) in [
        ("site.pem", certificate.pem()),
        ("site.key", key.serialize_pem()),
    ] {
        fs::write(shop.path().join(name), text).expect("written");
    }
    shop
}

fn site(listen: &str, tls: &str) -> String {
    format!(
        "[[site]]\nlisten = {listen}\nserver_name = \"shop.test\"\n[site.tls]\n{tls}\n\
         [site.routes]\n\"/\" = {{ files = \"dist\" }}\n"
    )
}

const PAIR: &str = "certificate = \"site.pem\"\nkey = \"site.key\"";

/// The report without the lines of the file that it shows.
#[track_caller]
fn told(shop: &Shop, listen: &str, tls: &str) -> String {
    let report = match shop.load(site(listen, tls), &[], &[]) {
        Ok(loaded) => loaded.warnings.to_string(),
        Err(report) => report.to_string(),
    };
    lines(&shop.shown(&report))
}

fn lines(report: &str) -> String {
    let said = |line: &&str| {
        ["error: ", "warning: "]
            .iter()
            .any(|start| line.starts_with(start))
            || line.contains("= help: ")
    };
    let lines = report.lines().filter(said).map(str::trim);
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_whole_table_is_understood() {
    let shop = shop(2020, 2120);
    let tls = format!(
        "{PAIR}\nminimum_version = \"1.3\"\nreject_unknown_names = true\nhttps_port = 443\n\
         hsts = \"1y\"\nhsts_subdomains = true\nclient_ca = \"site.pem\"\n\
         client_certificate = \"optional\""
    );
    let loaded = shop
        .load(site("[\":80\", \"https://:8443\"]", &tls), &[], &[])
        .unwrap_or_else(|report| panic!("{report}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    let site = &loaded.project.sites[0];
    assert_eq!((site.listen.len(), site.https.len()), (2, 1));
    assert_eq!(site.https[0].port(), 8443);
    let tls = site.tls.as_ref().expect("TLS");
    assert_eq!(tls.minimum_version, TlsVersion::V13);
    assert!(tls.reject_unknown_names);
    assert!(matches!(tls.clients, ClientCertificates::Optional(_)));
    assert_eq!(tls.redirect, Some(HttpsRedirect::Port(443)));
    let hsts = Hsts {
        max_age: Duration::from_secs(31_536_000),
        subdomains: true,
        preload: false,
    };
    assert_eq!(tls.hsts, Some(hsts));
    // No log of the project shows its key.
    let key = fs::read_to_string(shop.path().join("site.key")).expect("the key");
    let secret = key.lines().nth(1).expect("a line");
    assert!(!format!("{:?}", loaded.project).contains(secret));
}

#[test]
fn plain_addresses_redirect_unless_told_otherwise() {
    let shop = shop(2020, 2120);
    for (listen, more, redirect) in [
        (
            "[\":80\", \"https://:443\"]",
            "",
            Some(HttpsRedirect::Port(443)),
        ),
        ("[\":80\", \"https://:0\"]", "", Some(HttpsRedirect::Picked)),
        (
            "[\":80\", \"https://:443\"]",
            "redirect_to_https = false",
            None,
        ),
        ("\"https://:443\"", "", None),
    ] {
        let text = site(listen, &format!("{PAIR}\n{more}"));
        let loaded = shop.load(text, &[], &[]).unwrap_or_else(|r| panic!("{r}"));
        let tls = loaded.project.sites[0].tls.as_ref().expect("TLS");
        assert_eq!(tls.redirect, redirect, "{listen} {more}");
    }
}

#[test]
fn files_that_will_not_do_are_named_with_the_reason() {
    let shop = shop(2020, 2120);
    let other = KeyPair::generate().expect("a key").serialize_pem();
    for (name, text) in [
        ("other.key", other.as_str()),
        ("text.pem", "no certificate\n"),
        ("half.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n"),
        (
            "encrypted.key",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        ),
    ] {
        fs::write(shop.path().join(name), text).expect("written");
    }
    for (certificate, key, says) in [
        (
            "none.pem",
            "site.key",
            "error: project.toml:5:15: `site.0.tls.certificate`: `/srv/shop/none.pem` cannot be read: there is no such file\n\
             = help: mend the path: unless it begins with `/`, it begins at this file's folder\n",
        ),
        (
            "dist",
            "site.key",
            "error: project.toml:5:15: `site.0.tls.certificate`: `/srv/shop/dist` cannot be read: it is not a file\n\
             = help: mend the path: unless it begins with `/`, it begins at this file's folder\n",
        ),
        (
            "text.pem",
            "site.key",
            "error: project.toml:5:15: `site.0.tls.certificate`: `/srv/shop/text.pem` is not PEM text: it has no `-----BEGIN …-----` line\n\
             = help: `openssl x509 -inform der -in FILE` and `openssl pkey -inform der -in FILE` make PEM of DER\n",
        ),
        (
            "site.key",
            "site.pem",
            "error: project.toml:5:15: `site.0.tls.certificate`: `/srv/shop/site.key` holds a private key and no certificate\n\
             = help: `certificate` and `key` may be the wrong way round\n",
        ),
        (
            "site.pem",
            "encrypted.key",
            "error: project.toml:6:7: `site.0.tls.key`: `/srv/shop/encrypted.key` is a key with a password\n\
             = help: `openssl pkey -in FILE -out NEW` removes the password\n",
        ),
        (
            "site.pem",
            "other.key",
            "error: project.toml:6:7: the key `/srv/shop/other.key` is not that of the certificate `/srv/shop/site.pem`\n\
             = help: the site's own certificate comes first in its file; and a renewal changes both files\n",
        ),
    ] {
        let tls = format!("certificate = \"{certificate}\"\nkey = \"{key}\"");
        assert_eq!(
            told(&shop, "\"https://:443\"", &tls),
            says,
            "{certificate} {key}"
        );
    }
    let half = "certificate = \"half.pem\"\nkey = \"site.key\"";
    let said = told(&shop, "\"https://:443\"", half);
    assert!(
        said.contains("`/srv/shop/half.pem` cannot be understood: "),
        "{said}"
    );
}

/// Warnings: the server starts.
#[test]
fn a_certificate_out_of_its_time_or_for_other_names_is_a_warning() {
    let (past, future) = (shop(2000, 2001), shop(2100, 2120));
    let said = told(&past, "\"https://:443\"", PAIR);
    assert_eq!(
        said,
        "warning: project.toml:5:15: the certificate `/srv/shop/site.pem` has expired: 2001-01-01T00:00:00Z\n\
         = help: browsers refuse it; renew it, then run `appliance reload`\n"
    );
    let said = told(&future, "\"https://:443\"", PAIR);
    assert_eq!(
        said,
        "warning: project.toml:5:15: the certificate `/srv/shop/site.pem` is not valid before 2100-01-01T00:00:00Z\n\
         = help: browsers refuse it until then; is this machine's clock right?\n"
    );
    let shop = shop(2020, 2120);
    let text = site("\"https://:443\"", PAIR)
        .replace("\"shop.test\"", "[\"shop.test\", \"www.shop.test\"]");
    let loaded = shop.load(text, &[], &[]).unwrap_or_else(|r| panic!("{r}"));
    let said = loaded.warnings.to_string();
    assert_eq!(said.matches("warning: ").count(), 1, "{said}");
    assert!(
        said.contains("site.pem` is not good for `www.shop.test`"),
        "{said}"
    );
}

#[test]
fn what_contradicts_itself_is_refused() {
    let shop = shop(2020, 2120);
    for (listen, more, says) in [
        (
            "\":80\"",
            "",
            "error: project.toml:4:1: the site has `[site.tls]`, but no `https://` address that would use it\n\
             = help: write `listen = \"https://:443\"`, or `[\"https://:443\", \":80\"]`\n",
        ),
        (
            "\"https://:443\"",
            "redirect_to_https = true",
            "error: project.toml:7:21: `redirect_to_https` has no use: the site has no plain address to redirect from\n\
             = help: add one to `listen`, such as \":80\", or leave this out\n",
        ),
        (
            "\"https://:443\"",
            "client_certificate = \"required\"",
            "error: project.toml:7:22: `client_certificate` needs `client_ca`: who vouches for clients\n\
             = help: add `client_ca = \"clients.pem\"`\n",
        ),
        (
            "\"https://:443\"",
            "client_ca = \"site.pem\"\nclient_certificate = \"off\"",
            "error: project.toml:8:22: `client_ca` has no use with `client_certificate = \"off\"`\n\
             = help: leave out one of the two\n",
        ),
        (
            "\"https://:443\"",
            "hsts_subdomains = true",
            "error: project.toml:7:19: `hsts_subdomains` belongs to `hsts`, which is missing\n\
             = help: add `hsts = \"30d\"`\n",
        ),
        (
            "\"https://:443\"",
            "hsts = \"30d\"\nhsts_subdomains = true\nhsts_preload = true",
            "error: project.toml:9:16: `hsts_preload` needs `hsts` of a year or more and `hsts_subdomains = true`\n\
             = help: write `hsts = \"1y\"` and `hsts_subdomains = true`, or leave it out\n",
        ),
        (
            "\"https://:443\"",
            "minimum_version = \"1.1\"",
            "error: project.toml:7:19: `site.0.tls.minimum_version` must be \"1.2\" or \"1.3\", found `\"1.1\"`\n\
             = help: `minimum_version = \"1.2\"` is the default\n",
        ),
        (
            "\"443 ssl\"",
            "",
            "error: project.toml:2:10: `listen` takes an address alone, found `443 ssl`\n\
             = help: write \"https://:443\"\n",
        ),
    ] {
        assert_eq!(
            told(&shop, listen, &format!("{PAIR}\n{more}")),
            says,
            "{listen} {more}"
        );
    }
    let bare = "[[site]]\nlisten = [\":80\", \"https://:443\"]\n[site.routes]\n\"/\" = { files = \"dist\" }\n";
    let report = shop.load(bare, &[], &[]).expect_err("no certificate");
    let says =
        "project.toml:2:18: `https://0.0.0.0:443` needs `[site.tls]` with `certificate` and `key`";
    assert!(shop.shown(&report.to_string()).contains(says), "{report}");
    let two = format!(
        "{}[[site]]\nlisten = 443\nserver_name = \"b\"\n[site.routes]\n\"/\" = {{ files = \"dist\" }}\n",
        site("\"https://:443\"", PAIR)
    );
    let report = shop.load(two, &[], &[]).expect_err("two protocols");
    let says = "`0.0.0.0:443` is `http://` here, but `https://` in `site.0`";
    assert!(report.to_string().contains(says), "{report}");
}

#[test]
fn keys_of_two_kinds_go_with_one_name() {
    let shop = shop(2020, 2120);
    let rsa = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048);
    let rsa = rsa.expect("a key");
    let params = CertificateParams::new(["shop.test".to_owned()]).expect("parameters");
    let certificate = params.self_signed(&rsa).expect("a certificate");
    for (name, text) in [
        ("rsa.pem", certificate.pem()),
        ("rsa.key", rsa.serialize_pem()),
    ] {
        fs::write(shop.path().join(name), text).expect("written");
    }
    for (certificates, keys, says) in [
        (
            "[\"site.pem\", \"rsa.pem\"]",
            "[\"site.key\", \"rsa.key\"]",
            "",
        ),
        (
            "[\"site.pem\", \"rsa.pem\"]",
            "\"site.key\"",
            "error: project.toml:6:7: 2 certificates with 1 key: each has one of its own\n\
             = help: they belong together in the order in which they are listed\n",
        ),
        (
            "[\"site.pem\", \"rsa.pem\"]",
            "[\"rsa.key\", \"site.key\"]",
            "error: project.toml:6:8: the key `/srv/shop/rsa.key` is not that of the certificate `/srv/shop/site.pem`\n\
             = help: the site's own certificate comes first in its file; and a renewal changes both files\n",
        ),
        (
            "[\"site.pem\", \"site.pem\"]",
            "[\"site.key\", \"site.key\"]",
            "error: project.toml:5:28: two certificates have keys of the same kind, ECDSA: the second would never be shown\n\
             = help: other names take a site of their own: the name that a client asks for decides\n",
        ),
        (
            "[\"site.pem\", \"none.pem\"]",
            "[\"site.key\", \"rsa.key\"]",
            "error: project.toml:5:28: `site.0.tls.certificate.1`: `/srv/shop/none.pem` cannot be read: there is no such file\n\
             = help: mend the path: unless it begins with `/`, it begins at this file's folder\n",
        ),
        (
            "[]",
            "\"site.key\"",
            "error: project.toml:5:15: `site.0.tls.certificate` must be a string or a list of strings, found `[]`\n\
             = help: for example `certificate = \"fullchain.pem\"`\n",
        ),
    ] {
        let tls = format!("certificate = {certificates}\nkey = {keys}");
        assert_eq!(
            told(&shop, "\"https://:443\"", &tls),
            says,
            "{certificates} {keys}"
        );
    }
}

#[test]
fn revocation_lists_are_read_and_belong_to_an_authority() {
    let shop = shop(2020, 2120);
    for (more, says) in [
        (
            "client_crl = \"site.pem\"",
            "error: project.toml:7:14: `client_crl` needs `client_ca`: who vouches for clients\n\
             = help: add `client_ca = \"clients.pem\"`\n",
        ),
        (
            "client_ca = \"site.pem\"\nclient_crl = \"site.pem\"",
            "error: project.toml:8:14: `site.0.tls.client_crl`: `/srv/shop/site.pem` is PEM text, but holds something else\n\
             = help: a revocation list stands behind `-----BEGIN X509 CRL-----`: it is made by the authority\n",
        ),
    ] {
        let tls = format!("{PAIR}\n{more}");
        assert_eq!(told(&shop, "\"https://:443\"", &tls), says, "{more}");
    }
}

/// Of a proxy route: how its servers are known.
#[test]
fn what_is_known_of_other_servers_is_checked() {
    let shop = shop(2020, 2120);
    for (proxy, says) in [
        ("{ to = \"https://a\", ca = \"site.pem\" }", ""),
        ("{ to = \"https://a\", verify = false }", ""),
        (
            "{ to = \"https://a\", ca = \"site.pem\", verify = false }",
            "error: project.toml:4:42: `ca` has no use with `verify = false`\n= help: leave out one of the two\n",
        ),
        (
            "{ to = \"https://a\", ca = \"none.pem\" }",
            "error: project.toml:4:42: `site.0.routes.\"/\".proxy.ca`: `/srv/shop/none.pem` cannot be read: there is no such file\n\
             = help: mend the path: unless it begins with `/`, it begins at this file's folder\n",
        ),
        (
            "{ to = \"https://a\", ca = \"site.key\" }",
            "error: project.toml:4:42: `site.0.routes.\"/\".proxy.ca`: `/srv/shop/site.key` holds a private key and no certificate\n\
             = help: a certificate stands behind `-----BEGIN CERTIFICATE-----`\n",
        ),
        (
            "{ to = \"https://a\", ca = \"site.pem\", server_name = \"a b\" }",
            "error: project.toml:4:68: `site.0.routes.\"/\".proxy.server_name` must be a host name or an address, such as \"api.example.com\", found `\"a b\"`\n\
             = help: for example `server_name = \"shop.example.com\"`\n",
        ),
        (
            "{ to = \"http://a\", ca = \"site.pem\" }",
            "error: project.toml:4:41: `ca` has no use: no server of the route has an `https://` URL\n\
             = help: leave it out, or write `https://` for a server that speaks TLS\n",
        ),
        (
            "{ to = \"http://a\", verify = false }",
            "error: project.toml:4:45: `verify` has no use: no server of the route has an `https://` URL\n\
             = help: leave it out, or write `https://` for a server that speaks TLS\n",
        ),
    ] {
        let text = format!("[[site]]\nlisten = 80\n[site.routes]\n\"/\" = {{ proxy = {proxy} }}\n");
        let report = match shop.load(text, &[], &[]) {
            Ok(loaded) => loaded.warnings.to_string(),
            Err(report) => report.to_string(),
        };
        assert_eq!(lines(&shop.shown(&report)), says, "{proxy}");
    }
}
