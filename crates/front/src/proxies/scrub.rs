//! Fields in which proxies tell applications what these then believe. From anybody else they are
//! removed: an application that looks for one would take a visitor's word for it.
//!
//! The list holds what common proxies, clouds and single-sign-on gateways write, and what
//! frameworks and libraries read without being asked to. It cannot hold the names that one
//! project alone has agreed on with its proxy.
//!
//! Names which browsers, scripts or API clients send for themselves are not among them:
//! `X-Requested-With`, `X-HTTP-Method-Override`, `X-Request-ID`, `X-Auth-Token`, `X-Client-Version`.

/// Names in lower case, by their first letter, of three letters at least; a final `*` stands for
/// any end.
const C: &[&str] = &[
    "client-ip",
    "client-cert", // RFC 9440
    "client-cert-chain",
    "cf-*", // Cloudflare: cf-connecting-ip, cf-access-authenticated-user-email
];
const F: &[&str] = &[
    "forwarded",       // RFC 7239
    "front-end-https", // Exchange, and what followed it
    "fastly-*",
    "fly-*",
];
const P: &[&str] = &[
    "proxy", // becomes HTTP_PROXY, which HTTP libraries obey: "httpoxy"
    "proxy-client-ip",
];
const R: &[&str] = &["remote-*"]; // remote-user, remote-addr, remote-groups
const S: &[&str] = &["ssl-*", "script-name"];
const T: &[&str] = &["true-client-ip", "tailscale-*"];
const W: &[&str] = &["wl-proxy-*"];
const X: &[&str] = &[
    X_FORWARDED,
    "x-real-*",
    // Other spellings of the client's address.
    "x-client-ip",
    "x-cluster-client-ip",
    "x-originating-ip",
    "x-proxyuser-ip",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-envoy-*",
    "x-appengine-*", // also x-appengine-cron, which stands for a permission
    // Where the request went before a proxy rewrote it: access rules were passed by these.
    "x-original-*",
    "x-rewrite-url",
    "x-host",
    "x-scheme",
    "x-url-scheme",
    "x-script-name",
    // Who the user is.
    "x-remote-*",
    "x-authenticated-*",
    "x-auth-request-*",
    "x-authentik-*",
    "x-webauth-*",
    "x-consumer-*",
    "x-credential-*",
    "x-anonymous-consumer",
    "x-goog-authenticated-user-*",
    "x-goog-iap-*",
    "x-amzn-oidc-*",
    "x-ms-client-principal*",
    // TLS and client certificates.
    "x-ssl-*",
    "x-tls-*",
    "x-client-cert*",
    "x-client-dn",
    "x-client-verify*",
    "x-arr-*",
    "x-amzn-mtls-*",
    // How files are handed to the server: a mapping made up by a visitor reads any file.
    "x-accel-*",
    "x-sendfile-type",
];
const X_FORWARDED: &str = "x-forwarded*";

/// Whether the field tells applications what only a trusted proxy may tell them. Case does not
/// count, and an underscore is a hyphen: in environ both are `_`.
pub fn is_scrubbed(name: &[u8]) -> bool {
    let Some([first, _, third]) = name.first_chunk::<3>().map(|start| start.map(plain)) else {
        return false;
    };
    let names = match first {
        b'x' => X,
        b'c' => C,
        b'f' => F,
        b'p' => P,
        b'r' => R,
        b's' => S,
        b't' => T,
        b'w' => W,
        _ => return false,
    };
    // What begins with `x-` differs in its third letter, if not in its first.
    let mut alike = names.iter().filter(|listed| listed.as_bytes()[2] == third);
    alike.any(|listed| is(name, listed))
}

/// `Forwarded`.
pub(super) fn is_rfc_7239(name: &[u8]) -> bool {
    is(name, "forwarded")
}

/// `X-Forwarded-For` and its kind.
pub(super) fn is_x_forwarded(name: &[u8]) -> bool {
    is(name, X_FORWARDED)
}

fn is(name: &[u8], listed: &str) -> bool {
    match listed.strip_suffix('*') {
        Some(start) => name.len() >= start.len() && begins(name, start),
        None => name.len() == listed.len() && begins(name, listed),
    }
}

fn begins(name: &[u8], start: &str) -> bool {
    name.iter().zip(start.bytes()).all(|(a, b)| plain(*a) == b)
}

fn plain(byte: u8) -> u8 {
    match byte {
        b'_' => b'-',
        other => other.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proxies_tell_is_scrubbed_however_it_is_spelt() {
        for name in [
            "Forwarded",
            "forwarded",
            "X-Forwarded-For",
            "X-Forwarded",
            "X-FORWARDED-PROTO",
            "x-forwarded-user",
            "X_Forwarded_For",
            "x-forwarded_host",
            "X-Real-IP",
            "Remote-User",
            "REMOTE_USER",
            "Remote-Addr",
            "X-Remote-User",
            "X-SSL-Client-Verify",
            "X-Client-Cert",
            "X-Client-Cert-Chain",
            "Client-Cert",
            "SSL-Client-S-DN",
            "X-Original-URL",
            "X-Rewrite-URL",
            "CF-Connecting-IP",
            "True-Client-IP",
            "X-Accel-Mapping",
            "Proxy",
            "Front-End-Https",
        ] {
            assert!(is_scrubbed(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn what_clients_send_for_themselves_passes() {
        for name in [
            "",
            "x",
            "x-",
            "Host",
            "User-Agent",
            "Accept",
            "Accept-Encoding",
            "Accept-Language",
            "Connection",
            "Content-Type",
            "Content-Length",
            "Cookie",
            "Cache-Control",
            "Client",
            "Client-Certificates",
            "Forwarded-For-You",
            "From",
            "Pragma",
            "Priority",
            "Proxy-Authorization",
            "Range",
            "Referer",
            "Remote",
            "Sec-Fetch-Site",
            "TE",
            "X-CSRFToken",
            "X-Requested-With",
            "X-HTTP-Method-Override",
            "X-Request-ID",
            "X-Auth-Token",
            "X-Auth-User",
            "X-Client-Version",
            "X-Forwarde",
            "X-Real",
        ] {
            assert!(!is_scrubbed(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn every_listed_name_is_found_by_its_first_letter() {
        for listed in [C, F, P, R, S, T, W, X].concat() {
            let name = listed.replace('*', "anything").to_uppercase();
            assert!(is_scrubbed(name.as_bytes()), "{listed}");
            assert_eq!(listed, listed.to_lowercase());
        }
    }
}
