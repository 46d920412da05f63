//! The first message of a handshake: which site it is for.

use rustls::server::Acceptor;

use super::config::SiteTls;
use crate::site::Sites;

/// The longest hello that is read. Browsers send two kilobytes.
const LONGEST: usize = 16 << 10;

/// A record with the fatal alert `unrecognized_name` (RFC 6066 §3).
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
/// A record of a handshake.
const HANDSHAKE: u8 = 22;

/// A hello of which something has come.
#[derive(Default)]
pub(crate) struct Hello {
    acceptor: Acceptor,
    seen: usize,
}

/// What is known of it.
pub(crate) enum Step<'s> {
    /// Not enough.
    More,
    /// It is for this site, by this name.
    For(&'s SiteTls, Option<Box<str>>),
    /// It is no TLS, but looks like HTTP.
    Plain,
    /// It is refused with these bytes.
    Refused(Vec<u8>),
}

impl Hello {
    /// Takes in what is new in `bytes`, all that came since the connection began.
    pub(crate) fn read<'s>(&mut self, bytes: &[u8], sites: &'s Sites) -> Step<'s> {
        match bytes.first() {
            None => return Step::More,
            Some(first) if *first != HANDSHAKE && first.is_ascii_uppercase() => return Step::Plain,
            Some(_) if bytes.len() > LONGEST => return Step::Refused(Vec::new()),
            Some(_) => {}
        }
        let mut new = &bytes[self.seen.min(bytes.len())..];
        self.seen = bytes.len();
        while !new.is_empty() {
            if self.acceptor.read_tls(&mut new).is_err() {
                return Step::Refused(Vec::new());
            }
            match self.acceptor.accept() {
                Ok(None) => {}
                Ok(Some(accepted)) => {
                    let hello = accepted.client_hello();
                    let name = hello.server_name();
                    return match choose(sites, name) {
                        Some(site) => Step::For(site, name.map(Into::into)),
                        None => Step::Refused(UNRECOGNIZED_NAME.into()),
                    };
                }
                Err((error, mut alert)) => {
                    tracing::debug!(%error, "not a TLS handshake");
                    let mut bytes = Vec::new();
                    // A Vec takes everything.
                    let _ = alert.write_all(&mut bytes);
                    return Step::Refused(bytes);
                }
            }
        }
        Step::More
    }
}

/// The site that a name belongs to, or else the address's default, unless that refuses.
fn choose<'s>(sites: &'s Sites, name: Option<&str>) -> Option<&'s SiteTls> {
    let named = name.and_then(|name| sites.named(name));
    let default = || {
        let tls = sites.default_site().tls.as_ref()?;
        (!tls.rejects_unknown).then_some(tls)
    };
    named.and_then(|site| site.tls.as_ref()).or_else(default)
}
