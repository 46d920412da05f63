//! How many requests a client may send: a token bucket for each.
//!
//! It is kept as one number, the time at which the bucket will be full again (the "generic cell
//! rate algorithm"): a request moves it on by one interval, and is refused where that would be
//! more than a whole bucket ahead. No timer fills anything, and a bucket in the past is no bucket.

use std::net::{IpAddr, Ipv6Addr};

use appliance_message::{Fields, Head};
use appliance_project::model::{self, LimitBy};

use super::shared_memory::{self, counts};

const NANOS: u64 = 1_000_000_000;

#[derive(Debug)]
pub(super) struct RateLimit {
    number: u32,
    by: LimitBy,
    /// Nanoseconds in which one request is made good.
    interval: u64,
    /// Nanoseconds in which an empty bucket fills.
    whole: u64,
    /// The field `RateLimit-Policy`.
    policy: String,
}

/// How a client stands after a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Standing {
    left: u64,
    full_in_seconds: u64,
    /// The request was one too many: seconds until one is not.
    pub(super) come_again_in: Option<u64>,
}

impl RateLimit {
    pub(super) fn new(written: &model::RateLimit) -> RateLimit {
        let period = written.period.as_secs() * NANOS;
        let interval = (period / u64::from(written.requests)).max(1);
        let whole = interval * u64::from(written.burst);
        RateLimit {
            number: written.number,
            by: written.by.clone(),
            interval,
            whole,
            policy: format!(
                "\"default\";q={};w={}",
                written.burst,
                whole.div_ceil(NANOS)
            ),
        }
    }

    /// Counts a request.
    pub(super) fn count(&self, head: &Head, client: IpAddr) -> Standing {
        let counts = counts();
        let key = match &self.by {
            LimitBy::Address => counts.key(self.number, &household(client)),
            LimitBy::Route => counts.key(self.number, b""),
            LimitBy::Field(name) => match field(head, name) {
                Some(value) => counts.key(self.number, value),
                None => counts.key(self.number, &household(client)),
            },
        };
        self.take(key, shared_memory::now())
    }

    fn take(&self, key: u64, now: u64) -> Standing {
        let counts = counts();
        let full_at = counts.full_at(key);
        // What another process did meanwhile is not overwritten.
        let taken = full_at.fetch_update(RELAXED, RELAXED, |before| {
            let after = before.max(now) + self.interval;
            (after - now <= self.whole).then_some(after)
        });
        let (full_at, is_taken) = match taken {
            Ok(before) => (before.max(now) + self.interval, true),
            Err(before) => (before, false),
        };
        let debt = full_at.saturating_sub(now);
        let wait = (debt + self.interval).saturating_sub(self.whole);
        Standing {
            left: self.whole.saturating_sub(debt) / self.interval,
            full_in_seconds: debt.div_ceil(NANOS),
            come_again_in: (!is_taken).then(|| wait.div_ceil(NANOS).max(1)),
        }
    }

    /// The fields of draft-ietf-httpapi-ratelimit-headers-10.
    pub(super) fn tell(&self, standing: Standing, fields: &mut Fields) {
        let Standing {
            left,
            full_in_seconds,
            ..
        } = standing;
        fields.add("RateLimit-Policy", &self.policy);
        fields.add(
            "RateLimit",
            format!("\"default\";r={left};t={full_in_seconds}"),
        );
    }
}

const RELAXED: std::sync::atomic::Ordering = std::sync::atomic::Ordering::Relaxed;

/// An IPv6 client has at least a /64 to choose addresses from.
fn household(client: IpAddr) -> [u8; 16] {
    match client.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).octets()
        }
    }
}

fn field<'h>(head: &'h Head, name: &str) -> Option<&'h [u8]> {
    let mut fields = head.fields();
    fields
        .find(|(_, spelled, _)| spelled.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, _, value)| value)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::test_request::request;

    fn limit(number: u32, requests: u32, seconds: u64, burst: u32, by: LimitBy) -> RateLimit {
        RateLimit::new(&model::RateLimit {
            number,
            requests,
            period: Duration::from_secs(seconds),
            burst,
            by,
        })
    }

    #[test]
    fn a_burst_may_come_at_once_and_then_the_rate_holds() {
        let limit = limit(1, 2, 1, 3, LimitBy::Address);
        let begin = 1_000 * NANOS;
        for left in [2, 1, 0] {
            let standing = limit.take(0x700, begin);
            assert_eq!((standing.left, standing.come_again_in), (left, None));
        }
        let refused = limit.take(0x700, begin);
        assert_eq!((refused.left, refused.come_again_in), (0, Some(1)));
        // Refused requests cost nothing: half a second makes one good.
        assert_eq!(limit.take(0x700, begin + NANOS / 2).come_again_in, None);
        assert_eq!(limit.take(0x700, begin + NANOS / 2).come_again_in, Some(1));
        let rested = limit.take(0x700, begin + 100 * NANOS);
        assert_eq!((rested.left, rested.full_in_seconds), (2, 1));
    }

    #[test]
    fn over_a_long_time_the_rate_is_kept_exactly() {
        let limit = limit(2, 10, 1, 5, LimitBy::Address);
        let begin = 1_000 * NANOS;
        let asked = (0..10_000).map(|at| begin + at * NANOS / 100);
        let taken = asked.filter(|now| limit.take(0x800, *now).come_again_in.is_none());
        // 100 s: ten each second, and the burst.
        let count = taken.count();
        assert!((1000..=1005).contains(&count), "{count}");
    }

    #[test]
    fn a_client_that_waits_as_long_as_it_is_told_is_served() {
        let limit = limit(3, 1, 60, 1, LimitBy::Address);
        let begin = 1_000 * NANOS;
        limit.take(0x900, begin);
        let wait = limit
            .take(0x900, begin + NANOS)
            .come_again_in
            .expect("a wait");
        assert_eq!(wait, 59);
        let later = limit.take(0x900, begin + NANOS + wait * NANOS);
        assert_eq!(later.come_again_in, None);
    }

    #[test]
    fn who_counts_together() {
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        let same = |a, b| household(address(a)) == household(address(b));
        assert!(same("2001:db8::1", "2001:db8::ffff:0:0:1"));
        assert!(!same("2001:db8::1", "2001:db8:0:1::1"));
        assert!(same("10.0.0.1", "::ffff:10.0.0.1"));
        assert!(!same("10.0.0.1", "10.0.0.2"));
        let limit = limit(4, 1, 60, 1, LimitBy::Field("X-Api-Key".into()));
        let count = |fields: &[(&str, &str)], client| {
            let standing = limit.count(&request("/", fields), address(client));
            standing.come_again_in.is_none()
        };
        assert!(count(&[("x-api-key", "a")], "10.0.0.1"));
        assert!(!count(&[("x-api-key", "a")], "10.0.0.2"));
        assert!(count(&[("x-api-key", "b")], "10.0.0.2"));
        assert!(count(&[], "10.0.0.2"));
        assert!(!count(&[], "10.0.0.2"));
        let policy = &limit.policy;
        assert_eq!(policy, "\"default\";q=1;w=60");
    }
}
