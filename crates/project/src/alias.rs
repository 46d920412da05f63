//! From a key nobody knows to what its writer probably meant: uWSGI's and nginx's names, keys of
//! other tables, slips of the finger.

use crate::fault::Advice;
use crate::keys::{Key, SECTIONS, Section, TOP};

pub(crate) const NGINX: &str = "nginx";
pub(crate) const UWSGI: &str = "uWSGI";
/// Names that one would guess, and that some key may get.
pub(crate) const OURS: &str = "";

/// Names that have no key of ours, and what holds instead. Those that have one stand in the table
/// of keys. A text with the word `yet` is of something missing: `foreign` reads it so.
#[rustfmt::skip]
pub(crate) static INSTEAD: &[(&str, &str, &str)] = &[
    (UWSGI, "max-requests-delta", "`max_requests` is spread over workers by itself"),
    (UWSGI, "min-worker-lifetime", "a worker's successor is ready before it goes, however short its life"),
    (UWSGI, "reload-on-as", "what counts is memory in use, see `memory_soft_limit`"),
    (UWSGI, "evil-reload-on-as", "what counts is memory in use, see `memory_soft_limit`"),
    (UWSGI, "disable-logging", "requests are not logged unless `access_log` says where"),
    (UWSGI, "log-4xx", "`access_log_errors` logs answers from 400 on alone"),
    (UWSGI, "log-5xx", "`access_log_errors` logs answers from 400 on alone"),
    (UWSGI, "log-master", "with a log file, the supervisor always writes for all"),
    (UWSGI, "log-reopen", "`appliance reopen` or SIGUSR1 opens log files anew"),
    (UWSGI, "touch-logreopen", "`appliance reopen` or SIGUSR1 opens log files anew"),
    (UWSGI, "touch-logrotate", "`appliance reopen` opens log files anew; `log_max_size` and `log_max_age` rotate them"),
    (UWSGI, "log-truncate", "log files are added to; `log_max_size` and `log_max_age` rotate them"),
    (UWSGI, "log-date", "every line begins with its time"),
    (UWSGI, "vacuum", "its socket and pidfile are always cleared away"),
    (UWSGI, "touch-reload", "`appliance reload` reloads"),
    (UWSGI, "py-autoreload", "`appliance dev` reloads when a file changes that the application has imported"),
    (UWSGI, "lazy-apps", "every worker imports the application itself, unless `preload` says otherwise"),
    (UWSGI, "lazy", "every worker imports the application itself, unless `preload` says otherwise"),
    (UWSGI, "single-interpreter", "every worker is one interpreter"),
    (UWSGI, "need-app", "a start without the application always fails"),
    (UWSGI, "die-on-term", "SIGTERM always stops"),
    (UWSGI, "thunder-lock", "every worker has a socket of its own"),
    (UWSGI, "cheaper", "the number of workers is fixed"),
    (UWSGI, "gevent", "requests run in threads, see `threads`"),
    (UWSGI, "async", "requests run in threads, see `threads`"),
    (UWSGI, "log-x-forwarded-for", "list the proxies in `trusted_proxies`, and the client's address is right everywhere"),
    (UWSGI, "strict", "unknown keys are always errors"),
    (NGINX, "upstream", "a route lists its servers: `\"/\" = { proxy = [\"http://a:3000\", \"http://b:3000\"] }`"),
    (NGINX, "proxy_set_header", "who asks is told in `X-Forwarded-For`, `-Proto`, `-Host` and `X-Real-IP`, and Host is the client's"),
    (NGINX, "proxy_http_version", "servers are spoken to in HTTP/1.1; in HTTP/2 with `h2c://`, and with `https://` where they can"),
    (NGINX, "proxy_buffering", "responses are passed on as they come"),
    (NGINX, "proxy_ssl_server_name", "the name of the server is always sent; `server_name` is another one"),
    (NGINX, "proxy_ssl_session_reuse", "sessions are always resumed"),
    (NGINX, "proxy_ssl_protocols", "TLS 1.2 and 1.3 are spoken"),
    (NGINX, "proxy_ssl_ciphers", "cipher suites are those of Mozilla's intermediate recommendation, and not to be chosen"),
    (NGINX, "proxy_ssl_verify_depth", "chains of servers may have any usual depth"),
    (NGINX, "proxy_ssl_certificate", "other servers are not shown a certificate of ours yet"),
    (NGINX, "proxy_ssl_crl", "there are no revocation lists for other servers yet"),
    (NGINX, "proxy_next_upstream", "another server is asked where that does no harm"),
    (NGINX, "events", "its `worker_connections` is `connections` in `[server]`"),
    (NGINX, "real_ip_recursive", "addresses of `trusted_proxies` are always passed over"),
    (NGINX, "underscores_in_headers", "fields with underscores never reach the application"),
    (NGINX, "daemon", "it stays in the foreground, unless `daemonize` names a file"),
    (NGINX, "include", "a project is one file"),
    (NGINX, "default_type", "files without a known type are `application/octet-stream`; `types` adds some"),
    (NGINX, "sendfile", "large files are always sent by sendfile"),
    (NGINX, "tcp_nopush", "there is nothing to set"),
    (NGINX, "tcp_nodelay", "there is nothing to set"),
    (NGINX, "gzip_static", "`.gz`, `.br` and `.zst` files beside a file are always sent"),
    (NGINX, "autoindex", "folders are never listed"),
    (NGINX, "return", "a route with `redirect` or `respond` does it"),
    (NGINX, "ssl", "an address with `https://` in `listen` speaks TLS"),
    (NGINX, "ssl_ciphers", "cipher suites are those of Mozilla's intermediate recommendation, and not to be chosen"),
    (NGINX, "ssl_prefer_server_ciphers", "the client's order counts: all suites are good"),
    (NGINX, "ssl_dhparam", "key exchange is always by elliptic curves, and by ML-KEM with clients that can"),
    (NGINX, "ssl_ecdh_curve", "curves are not to be chosen"),
    (NGINX, "ssl_session_cache", "sessions are resumed by tickets, at whatever worker"),
    (NGINX, "ssl_session_tickets", "sessions are always resumed by tickets, their keys changed every six hours"),
    (NGINX, "ssl_session_timeout", "a ticket is good for six hours at least, twelve at most"),
    (NGINX, "ssl_session_ticket_key", "tickets have keys of their own, shared by all workers"),
    (NGINX, "ssl_buffer_size", "records are small at first and grow"),
    (NGINX, "ssl_stapling", "there is no OCSP stapling"),
    (NGINX, "ssl_verify_depth", "chains of clients may have any usual depth"),
    (NGINX, "ssl_password_file", "a key with a password is not taken: `openssl pkey` removes it"),
    (OURS, "max_requests_jitter", "`max_requests` is spread over workers by itself"),
    (UWSGI, "https", "an address with `https://` in `listen` speaks TLS; `[site.tls]` has certificate and key"),
    (OURS, "backlog", "the system's own bound holds, `net.core.somaxconn`"),
];

/// What `name`, unknown in `section`, was meant to be. Sure explanations come before guesses: a
/// key of another table, a foreign name, then slips of the finger in this table, in others, and in
/// foreign names.
pub(crate) fn advice(section: &'static Section, name: &str) -> Option<Advice> {
    elsewhere(section, name)
        .or_else(|| foreign(section, |other| same(other, name)))
        .or_else(|| near(section, name).map(|key| Advice::Near { key, header: None }))
        .or_else(|| near_elsewhere(section, name))
        .or_else(|| foreign(section, |other| is_slip(other, name)))
}

/// The same name but for case, `-` and `_`.
pub(crate) fn same(a: &str, b: &str) -> bool {
    let plain = |b: u8| {
        if b == b'-' {
            b'_'
        } else {
            b.to_ascii_lowercase()
        }
    };
    a.bytes().map(plain).eq(b.bytes().map(plain))
}

/// Whether `b` is `a` with a slip or two; short names leave less room.
fn is_slip(a: &str, b: &str) -> bool {
    let allowed = (a.len().min(b.len()) / 3).min(3);
    // The distance takes quadratic time: a key of a megabyte must not stall the check.
    a.len().abs_diff(b.len()) <= allowed && strsim::osa_distance(a, &b.to_lowercase()) <= allowed
}

fn everywhere() -> impl Iterator<Item = &'static Section> {
    [&TOP].into_iter().chain(SECTIONS)
}

fn others(section: &'static Section) -> impl Iterator<Item = &'static Section> {
    SECTIONS
        .into_iter()
        .filter(move |other| !std::ptr::eq(*other, section))
}

fn elsewhere(section: &'static Section, name: &str) -> Option<Advice> {
    others(section).find_map(|other| {
        let key = other.keys.iter().find(|key| same(key.name, name))?;
        Some(Advice::Elsewhere {
            key: key.name,
            header: other.header,
        })
    })
}

fn near(section: &'static Section, name: &str) -> Option<&'static str> {
    let slips = section
        .keys
        .iter()
        .filter(|key| same(key.name, name) || is_slip(key.name, name));
    let nearest = slips.min_by_key(|key| strsim::osa_distance(key.name, name))?;
    Some(nearest.name)
}

fn near_elsewhere(section: &'static Section, name: &str) -> Option<Advice> {
    others(section).find_map(|other| {
        let key = near(other, name)?;
        Some(Advice::Near {
            key,
            header: Some(other.header),
        })
    })
}

/// A foreign name that `is_it` accepts; this table's keys before those of other tables.
fn foreign(section: &'static Section, is_it: impl Fn(&str) -> bool) -> Option<Advice> {
    for candidate in std::iter::once(section).chain(everywhere()) {
        for key in candidate.keys {
            if let Some((program, name)) = foreign_name(key, &is_it) {
                let header = (!std::ptr::eq(candidate, section)).then_some(candidate.header);
                return Some(Advice::Foreign {
                    program,
                    name,
                    key: key.name,
                    header,
                });
            }
        }
    }
    let (program, name, text) = *INSTEAD.iter().find(|(_, name, _)| is_it(name))?;
    Some(Advice::Instead {
        whose: (program != OURS).then_some((program, name)),
        text,
    })
}

fn foreign_name(key: &Key, is_it: impl Fn(&str) -> bool) -> Option<(&'static str, &'static str)> {
    let named = |program, names: &'static [&'static str]| {
        let differing = names.iter().filter(|name| !same(key.name, name));
        differing
            .copied()
            .find(|name| is_it(name))
            .map(|name| (program, name))
    };
    named(UWSGI, key.uwsgi).or_else(|| named(NGINX, key.nginx))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_foreign_name_is_both_mapped_and_explained_away() {
        let keys = || SECTIONS.iter().flat_map(|section| section.keys);
        let mapped: BTreeSet<_> = keys()
            .flat_map(|key| key.nginx.iter().chain(key.uwsgi))
            .collect();
        let mut seen = BTreeSet::new();
        for (program, name, _) in INSTEAD {
            assert!(!mapped.contains(name), "{name}");
            assert!(
                seen.insert((name, program)),
                "{program}'s {name} stands twice"
            );
        }
    }
}
