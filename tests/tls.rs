//! TLS, as clients of other making see it: rustls, OpenSSL's `s_client`, curl.
//!
//! Every certificate is made anew for its test.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![allow(unreachable_pub, reason = "modules of a test, not of a library")]

mod support;

#[path = "tls/authority.rs"]
mod authority;
#[path = "tls/client.rs"]
mod client;
#[path = "tls/clients.rs"]
mod clients;
#[path = "tls/hostile.rs"]
mod hostile;
#[path = "tls/names.rs"]
mod names;
#[path = "tls/pairs.rs"]
mod pairs;
#[path = "tls/redirect.rs"]
mod redirect;
#[path = "tls/reload.rs"]
mod reload;
#[path = "tls/resume.rs"]
mod resume;
#[path = "tls/serving.rs"]
mod serving;

use authority::Authority;
use client::Client;
use support::{Appliance, Project};

/// Says what it was asked, by what, and how much it got.
const APPLICATION: &str = r#"
import hashlib, json

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (b"block %d " % number for number in range(1000))
    if path == "/cut":
        start_response("200 OK", [("Content-Length", "1000")])
        return [b"begun"]
    if path == "/own-hsts":
        start_response("200 OK", [("Strict-Transport-Security", "max-age=1"), ("Content-Length", "0")])
        return []
    body = environ["wsgi.input"].read()
    if path == "/upload":
        answer = hashlib.sha256(body).hexdigest() + " " + str(len(body))
    else:
        answer = json.dumps({name: value for name, value in environ.items() if type(value) is str})
    answer = answer.encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
    return [answer]
"#;

/// `/` by the application, `/files` by files.
const ROUTES: &str = "\"/\" = { wsgi = true }\n\"/files\" = { files = \"dist\" }\n";

/// A site at `https://127.0.0.1:0` with these lines in `[site.tls]`, its certificate by
/// `authority`, for `localhost`.
fn project(authority: &Authority, tls: &str) -> Project {
    with_listen(authority, "\"https://127.0.0.1:0\"", "", tls)
}

fn with_listen(authority: &Authority, listen: &str, python: &str, tls: &str) -> Project {
    let sites = format!(
        "[[site]]\nlisten = [{listen}]\n[site.tls]\ncertificate = \"site.pem\"\nkey = \"site.key\"\n\
         {tls}\n[site.routes]\n{ROUTES}"
    );
    let (certificate, key) = authority.certificate(&["localhost"]);
    Project::with_sites(APPLICATION, python, &sites)
        .file("dist/small.txt", "a small file\n")
        .file("site.pem", certificate)
        .file("site.key", key)
}

/// A server of such a project, and a client that trusts it.
fn server(tls: &str) -> (Appliance, Client) {
    let authority = Authority::new();
    let server = project(&authority, tls).start();
    (server, Client::trusting(&authority))
}
