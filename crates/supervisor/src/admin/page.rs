//! The status page: what `appliance top` shows, for a browser. It only reads, and brings all that it
//! needs: nothing is loaded from elsewhere.

use std::fs::File;
use std::io::{self, Read};

use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};

const PAGE: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");

/// What is here, for whoever is no browser.
const INDEX: &str = "/         for a browser: how the server fares, live\n\
                     /healthz  alive\n/readyz   ready for requests\n/metrics  for Prometheus\n\
                     /status   as `appliance status --json`; with `?requests`, what runs\n";

/// The page for who accepts HTML, else a list of what is here.
pub(super) async fn index(headers: HeaderMap) -> Response {
    let accepts = headers.get(header::ACCEPT);
    let accepts = accepts.and_then(|accepts| accepts.to_str().ok());
    let vary = [(header::VARY, "accept")];
    match accepts.is_some_and(|accepts| accepts.contains("text/html")) {
        true => (vary, page()).into_response(),
        false => (vary, INDEX).into_response(),
    }
}

fn page() -> Response {
    let Ok(nonce) = nonce() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let fields = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin".to_owned(),
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin".to_owned(),
        ),
    ];
    let page = PAGE
        .replace("{nonce}", &nonce)
        .replace("{script}", SCRIPT.trim_end());
    (fields, page).into_response()
}

/// 128 bits that nobody can guess, anew for each page.
fn nonce() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_has_the_nonce_of_the_page_and_no_two_are_the_same() {
        let policies = [page(), page()].map(|page| {
            let policy = page.headers()[header::CONTENT_SECURITY_POLICY].to_str();
            policy.unwrap().to_owned()
        });
        assert!(policies[0].contains("script-src 'nonce-"));
        assert!(!policies[0].contains("unsafe"));
        assert_ne!(policies[0], policies[1]);
    }

    #[test]
    fn the_page_loads_nothing_and_obeys_no_text() {
        for outside in ["http://", "https://", "//cdn", "@import", "url("] {
            let script = SCRIPT.replace("http://www.w3.org/2000/svg", "");
            assert!(
                !PAGE.contains(outside) && !script.contains(outside),
                "{outside}"
            );
        }
        for sink in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
        ] {
            assert!(!SCRIPT.contains(sink), "{sink}");
        }
        assert_eq!(PAGE.matches("{nonce}").count(), 2);
        assert!(!SCRIPT.contains("</script") && !SCRIPT.contains("{nonce}"));
        for inline in [" style=", " onclick=", " onload="] {
            assert!(!PAGE.contains(inline), "{inline}");
        }
    }
}
