//! Session tickets: a client that comes back shows what it was given, and saves itself and us a
//! signature and a round trip. The keys are those of [`TicketSecret`], the same in all workers.
//!
//! A ticket is the period of its key, a nonce, and the session under AES-256-GCM.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use appliance_project::tickets::{PERIOD, TicketSecret, period};
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use rustls::server::ProducesTickets;

const PERIOD_LEN: usize = size_of::<u64>();

/// The keys of this period and of the one before.
#[derive(Debug)]
pub struct Tickets(Mutex<Keys>);

struct Keys {
    /// Of the older period.
    secret: TicketSecret,
    older: Option<RandomizedNonceKey>,
    newer: Option<RandomizedNonceKey>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.secret.fmt(f)
    }
}

impl Tickets {
    /// With what the supervisor has handed over.
    pub fn new(secret: TicketSecret) -> Arc<Tickets> {
        Arc::new(Tickets(Mutex::new(Keys::of(secret))))
    }

    /// The newer key, and its period, or the one of `wanted`.
    fn with_key<T>(
        &self,
        wanted: Option<u64>,
        use_key: impl FnOnce(&RandomizedNonceKey, u64) -> Option<T>,
    ) -> Option<T> {
        let now = period(SystemTime::now());
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.secret.period() + 1 < now {
            let mut secret = keys.secret.clone();
            secret.advance(now - 1);
            *keys = Keys::of(secret);
        }
        let older = keys.secret.period();
        match wanted {
            Some(period) if period == older => use_key(keys.older.as_ref()?, period),
            Some(period) if period != older + 1 => None,
            _ => use_key(keys.newer.as_ref()?, older + 1),
        }
    }
}

impl Keys {
    fn of(secret: TicketSecret) -> Keys {
        let key = |secret: &TicketSecret| RandomizedNonceKey::new(&AES_256_GCM, &secret.key()).ok();
        let mut next = secret.clone();
        next.advance(secret.period() + 1);
        Keys {
            older: key(&secret),
            newer: key(&next),
            secret,
        }
    }
}

/// The tickets of a site: good only where the same is asked of clients.
pub(super) struct SiteTickets {
    tickets: Arc<Tickets>,
    policy: [u8; 32],
}

impl SiteTickets {
    pub(super) fn new(tickets: Arc<Tickets>, policy: [u8; 32]) -> SiteTickets {
        SiteTickets { tickets, policy }
    }
}

impl fmt::Debug for SiteTickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tickets.fmt(f)
    }
}

impl ProducesTickets for SiteTickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(PERIOD.as_secs()).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.tickets.with_key(None, |key, period| {
            let mut sealed = plain.to_vec();
            let aad = Aad::from(self.policy);
            let nonce = key.seal_in_place_append_tag(aad, &mut sealed).ok()?;
            Some([&period.to_be_bytes()[..], nonce.as_ref(), &sealed].concat())
        })
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (period, rest) = ticket.split_first_chunk::<PERIOD_LEN>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let period = u64::from_be_bytes(*period);
        self.tickets.with_key(Some(period), |key, _| {
            let mut sealed = sealed.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let aad = Aad::from(self.policy);
            let len = key.open_in_place(nonce, aad, &mut sealed).ok()?.len();
            sealed.truncate(len);
            Some(sealed)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(tickets: &Arc<Tickets>, policy: u8) -> SiteTickets {
        SiteTickets::new(Arc::clone(tickets), [policy; 32])
    }

    #[test]
    fn a_ticket_is_good_at_every_worker_and_for_its_own_policy_alone() {
        let secret = TicketSecret::new(SystemTime::now()).unwrap();
        let workers = [0; 2].map(|_| Tickets::new(secret.clone()));
        let ticket = site(&workers[0], 1).encrypt(b"a session").unwrap();
        let open = |tickets, policy, ticket: &[u8]| site(tickets, policy).decrypt(ticket);
        assert_eq!(open(&workers[1], 1, &ticket).unwrap(), b"a session");
        assert_eq!(open(&workers[1], 2, &ticket), None);
        let other = Tickets::new(TicketSecret::new(SystemTime::now()).unwrap());
        assert_eq!(open(&other, 1, &ticket), None);
        for at in 0..ticket.len() {
            let mut forged = ticket.clone();
            forged[at] ^= 1;
            assert_eq!(open(&workers[1], 1, &forged), None, "{at}");
            assert_eq!(open(&workers[1], 1, &ticket[..at]), None, "{at}");
        }
    }

    #[test]
    fn the_key_of_the_period_before_is_taken_and_an_older_one_is_not() {
        let secret = TicketSecret::new(SystemTime::now()).unwrap();
        let now = secret.period() + 1;
        let sealed = |period: u64| {
            let mut earlier = secret.clone();
            earlier.advance(period);
            let key = RandomizedNonceKey::new(&AES_256_GCM, &earlier.key()).unwrap();
            let mut sealed = b"a session".to_vec();
            let nonce = key
                .seal_in_place_append_tag(Aad::from([0; 32]), &mut sealed)
                .unwrap();
            [&period.to_be_bytes()[..], nonce.as_ref(), &sealed].concat()
        };
        let site = site(&Tickets::new(secret.clone()), 0);
        assert!(site.decrypt(&sealed(now)).is_some());
        assert!(site.decrypt(&sealed(now - 1)).is_some());
        assert!(site.decrypt(&sealed(now + 1)).is_none());
    }
}
