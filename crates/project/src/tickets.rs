//! The secret of session tickets, by which a client resumes its TLS session at any worker.
//!
//! The supervisor makes one secret and hands it to each worker. Every few hours each process by
//! itself makes the next one of it, by a function that cannot be undone, and forgets the old: all
//! have the same keys without a word, and who steals a secret cannot read the tickets of an
//! earlier time.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::{hmac, rand};
use serde::{Deserialize, Serialize};

/// How long a key makes tickets. They are taken for as long again.
pub const PERIOD: Duration = Duration::from_secs(6 * 3600);

const LEN: usize = 32;

/// The secret of a period.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketSecret {
    /// Periods since 1970.
    period: u64,
    bytes: [u8; LEN],
}

/// A key that encrypts tickets.
pub type TicketKey = [u8; LEN];

impl fmt::Debug for TicketSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TicketSecret of period {}", self.period)
    }
}

/// The period of a moment, counted from 1970.
pub fn period(now: SystemTime) -> u64 {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() / PERIOD.as_secs()
}

impl TicketSecret {
    /// A new one; of the period before this, as whoever takes it over must have it.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new(now: SystemTime) -> std::io::Result<TicketSecret> {
        let mut bytes = [0; LEN];
        rand::fill(&mut bytes).map_err(|_| std::io::Error::other("no random bytes"))?;
        let period = period(now).saturating_sub(1);
        Ok(TicketSecret { period, bytes })
    }

    /// Its period.
    pub fn period(&self) -> u64 {
        self.period
    }

    /// Goes on to `period`, and forgets what came before. Never back: a clock that is set back
    /// makes the old keys live on.
    pub fn advance(&mut self, period: u64) {
        while self.period < period {
            self.bytes = self.derive(b"appliance: next period");
            self.period += 1;
        }
    }

    /// The key of its period.
    pub fn key(&self) -> TicketKey {
        self.derive(b"appliance: tickets")
    }

    fn derive(&self, purpose: &[u8]) -> [u8; LEN] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.bytes), purpose);
        let mut out = [0; LEN];
        for (to, from) in out.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_got_it_at_different_times_has_the_same_keys() {
        let now = SystemTime::now();
        let first = TicketSecret::new(now).unwrap();
        assert_eq!(first.period() + 1, period(now));
        let (mut early, mut late) = (first.clone(), first.clone());
        early.advance(first.period() + 2);
        for step in 1..=2 {
            late.advance(first.period() + step);
        }
        assert_eq!(early.key(), late.key());
        assert_ne!(early.key(), first.key());
        // A clock that goes back changes nothing.
        late.advance(first.period());
        assert_eq!(early, late);
    }

    #[test]
    fn each_server_has_its_own() {
        let now = SystemTime::now();
        let keys = [0; 2].map(|_| TicketSecret::new(now).unwrap().key());
        assert_ne!(keys[0], keys[1]);
        assert_ne!(keys[0], [0; LEN]);
    }
}
