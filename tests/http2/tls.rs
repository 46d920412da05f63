//! HTTP/2 over TLS: clients agree upon it in the handshake (ALPN).

use std::process::Output;

use crate::authority::Authority;
use crate::support::{Appliance, Project};
use crate::{APP, LARGE, large, run, text};

/// A site at `https://127.0.0.1:0`, for `localhost`.
struct Secure {
    server: Appliance,
    port: u16,
    authority: String,
}

fn start(site: &str, tls: &str) -> Secure {
    let authority = Authority::new();
    let (certificate, key) = authority.certificate(&["localhost"]);
    let sites = format!(
        "[[site]]\nlisten = [\"https://127.0.0.1:0\"]\n{site}\n\
         [site.tls]\ncertificate = \"site.pem\"\nkey = \"site.key\"\n{tls}\n[site.routes]\n\
         \"/\" = {{ wsgi = true }}\n\"/files/\" = {{ files = \"files\" }}\n"
    );
    let project = Project::with_sites(APP, "", &sites)
        .file("site.pem", certificate)
        .file("site.key", key)
        .file("authority.pem", &authority.pem)
        .file("files/a.txt", "a file")
        .file("files/large.bin", large());
    started(project)
}

fn started(project: Project) -> Secure {
    let authority = project.path("authority.pem").display().to_string();
    let server = project.start();
    let port = server.address().port();
    Secure {
        server,
        port,
        authority,
    }
}

impl Secure {
    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    fn curl(&self, arguments: &[&str], path: &str) -> Output {
        let url = self.url(path);
        let usual = ["-sS", "-4", "-m", "60", "--cacert", &self.authority, &url];
        run("curl", &[&usual, arguments].concat())
    }

    /// The version of HTTP that curl was answered in.
    fn version(&self, wanted: &str) -> String {
        let says = ["-o", "/dev/null", "-w", "%{http_version}", wanted];
        text(&self.curl(&says, "/n/1"))
    }
}

#[test]
fn who_asks_for_it_gets_it_and_who_does_not_gets_http_1() {
    let site = start("", "");
    assert_eq!(site.version("--http2"), "2");
    assert_eq!(site.version("--http1.1"), "1.1");
    for path in ["/files/large.bin", "/large"] {
        let got = site.curl(&["--http2"], path);
        assert!(got.status.success() && got.stdout == large(), "{path}");
    }
    let upload = format!("@{}", site.server.project.path("files/large.bin").display());
    let sum = large().iter().map(|byte| u64::from(*byte)).sum::<u64>();
    let sent = site.curl(&["--http2", "--data-binary", &upload], "/sum");
    assert_eq!(text(&sent), format!("{LARGE} {sum}"));
}

#[test]
fn where_it_is_off_nobody_gets_it() {
    let site = start("http2 = \"off\"", "");
    assert_eq!(site.version("--http2"), "1.1");
}

#[test]
fn the_handshake_says_what_was_agreed_upon() {
    for (key, wanted, agreed) in [
        ("", "h2,http/1.1", "ALPN protocol: h2"),
        ("", "http/1.1,h2", "ALPN protocol: h2"),
        ("", "http/1.1", "ALPN protocol: http/1.1"),
        ("http2 = \"always\"", "h2", "ALPN protocol: h2"),
        ("http2 = \"off\"", "h2,http/1.1", "ALPN protocol: http/1.1"),
    ] {
        let site = start(key, "");
        let address = format!("127.0.0.1:{}", site.port);
        let arguments = ["s_client", "-connect", &address, "-alpn", wanted];
        let told = text(&run("openssl", &arguments));
        assert!(told.contains(agreed), "{key} {wanted}: {told}");
    }
}

#[test]
fn without_tls_it_is_not_begun_with() {
    let site = start("", "");
    let address = site.server.address();
    let arguments = ["-sS", "-m", "30", "--http2-prior-knowledge"];
    let url = format!("http://{address}/n/1");
    let got = run("curl", &[&arguments[..], &[&url]].concat());
    assert!(!got.status.success(), "{}", text(&got));
}

#[test]
fn the_application_hears_of_tls_and_of_the_version() {
    let clients = Authority::new();
    let (certificate, key) = clients.client("Ada");
    let authority = Authority::new();
    let (site_certificate, site_key) = authority.certificate(&["localhost"]);
    let sites = "[[site]]\nlisten = [\"https://127.0.0.1:0\"]\n[site.tls]\ncertificate = \"site.pem\"\n\
                 key = \"site.key\"\nclient_ca = \"clients.pem\"\nhsts = \"1h\"\n[site.routes]\n\
                 \"/\" = { wsgi = true }\n";
    let project = Project::with_sites(APP, "", sites)
        .file("site.pem", site_certificate)
        .file("site.key", site_key)
        .file("authority.pem", &authority.pem)
        .file("clients.pem", &clients.pem)
        .file("ada.pem", certificate)
        .file("ada.key", key);
    let (ada, ada_key) = (project.path("ada.pem"), project.path("ada.key"));
    let site = started(project);
    let shown = [
        "--http2",
        "-D-",
        "--cert",
        ada.to_str().unwrap(),
        "--key",
        ada_key.to_str().unwrap(),
    ];
    let told = text(&site.curl(&shown, "/environ/"));
    for expected in [
        "HTTP/2 200",
        "strict-transport-security: max-age=3600\r\n",
        "SERVER_PROTOCOL=HTTP/2.0\n",
        "wsgi.url_scheme=https\n",
        "HTTPS=on\n",
        "SSL_PROTOCOL=TLSv1.3\n",
        "SSL_CLIENT_VERIFY=SUCCESS\n",
        "SSL_CLIENT_S_DN=CN=Ada,O=Analytical Engines\n",
        &format!("HTTP_HOST=localhost:{}\n", site.port),
    ] {
        assert!(told.contains(expected), "{expected:?}: {told}");
    }
}

/// A browser puts requests for two hosts on one connection if the certificate is good for both.
#[test]
fn a_connection_does_not_lead_around_another_sites_client_certificates() {
    let clients = Authority::new();
    let authority = Authority::new();
    let (certificate, key) = authority.certificate(&["localhost", "b.localhost"]);
    let tls = "certificate = \"site.pem\"\nkey = \"site.key\"";
    let sites = format!(
        "[[site]]\nlisten = [\"https://127.0.0.1:0\"]\nserver_name = \"localhost\"\ndefault = true\n\
         routes.\"/\" = {{ respond = \"a\" }}\n[site.tls]\n{tls}\n\
         [[site]]\nlisten = [\"https://127.0.0.1:0\"]\nserver_name = \"b.localhost\"\n\
         routes.\"/\" = {{ respond = \"b\" }}\n[site.tls]\n{tls}\nclient_ca = \"clients.pem\"\n"
    );
    let project = Project::with_sites(APP, "", &sites)
        .file("site.pem", certificate)
        .file("site.key", key)
        .file("authority.pem", &authority.pem)
        .file("clients.pem", &clients.pem);
    let site = started(project);
    for (host, status) in [("localhost", "200"), ("b.localhost", "421")] {
        let host = format!("Host: {host}");
        let says = [
            "--http2",
            "-o",
            "/dev/null",
            "-w",
            "%{http_version} %{http_code}",
        ];
        let told = text(&site.curl(&[&says[..], &["-H", &host]].concat(), "/"));
        assert_eq!(told, format!("2 {status}"), "{host}");
    }
}

#[test]
fn nghttp_and_h2load_get_it_by_tls() {
    let site = start("", "");
    let urls = ["/n/1", "/files/a.txt", "/large"].map(|path| site.url(path));
    let [first, second, third] = urls.each_ref().map(String::as_str);
    let fetched = run("nghttp", &["-nv", "-t", "60", first, second, third]);
    let told = text(&fetched);
    assert!(fetched.status.success(), "{told}");
    assert!(told.contains("The negotiated protocol: h2"), "{told}");
    assert_eq!(told.matches(":status: 200").count(), 3, "{told}");
    for (path, requests) in [
        ("/n/1", "2000"),
        ("/files/a.txt", "4000"),
        ("/files/large.bin", "20"),
        ("/large", "20"),
    ] {
        let url = site.url(path);
        let load = run("h2load", &["-n", requests, "-c", "4", "-m", "20", &url]);
        let told = text(&load);
        let all = format!("{requests} succeeded, 0 failed, 0 errored, 0 timeout");
        assert!(told.contains("Application protocol: h2"), "{path}: {told}");
        assert!(told.contains(&all), "{path}: {told}");
        assert!(told.contains(&format!("{requests} 2xx")), "{path}: {told}");
    }
    let log = site.server.log();
    assert!(!log.contains("panicked"), "{log}");
}
