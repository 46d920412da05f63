//! Which target gets a request.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use appliance_project::model;

use crate::target::Target;

/// The way of choosing.
#[derive(Debug)]
pub(crate) enum Balance {
    RoundRobin(Mutex<Vec<i64>>),
    LeastRequests(Mutex<u64>),
    /// The client's address.
    Address,
    /// The value of a field, by lower-case name.
    Field(String),
}

impl Balance {
    pub(crate) fn new(written: &model::Balance, targets: usize) -> Self {
        match written {
            model::Balance::RoundRobin => Balance::RoundRobin(Mutex::new(vec![0; targets])),
            // Workers that all begin with the same numbers would choose alike.
            model::Balance::LeastRequests => {
                Balance::LeastRequests(Mutex::new(u64::from(std::process::id()) << 17 | 1))
            }
            model::Balance::Address => Balance::Address,
            model::Balance::Field(name) => Balance::Field(name.to_ascii_lowercase()),
        }
    }

    /// Chooses among the targets that `may` be; `key` is what hashes are made of.
    pub(crate) fn choose(
        &self,
        targets: &[Arc<Target>],
        key: &[u8],
        may: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let mut candidates = (0..targets.len()).filter(|at| may(*at));
        match self {
            Balance::RoundRobin(current) => {
                let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
                smooth_round_robin(&mut current, candidates, |at| targets[at].written.weight)
            }
            Balance::LeastRequests(state) => {
                let candidates: Vec<usize> = candidates.collect();
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                let one = pick(&mut state, &candidates)?;
                let other = pick(&mut state, &candidates)?;
                let is_better = targets[other].load() < targets[one].load();
                Some(if is_better { other } else { one })
            }
            Balance::Address | Balance::Field(_) => {
                let first = candidates.next()?;
                let score = |at: usize| {
                    let target = &targets[at].written;
                    score((key, target.address.to_string()), target.weight)
                };
                let best = candidates.fold((first, score(first)), |best, at| {
                    let score = score(at);
                    if score > best.1 { (at, score) } else { best }
                });
                Some(best.0)
            }
        }
    }
}

/// nginx's way: each gains its weight, the one with most is chosen and loses the sum. Heavy
/// targets do not get their requests in a row.
fn smooth_round_robin(
    current: &mut [i64],
    candidates: impl Iterator<Item = usize>,
    weight: impl Fn(usize) -> u32,
) -> Option<usize> {
    let (mut best, mut sum) = (None, 0);
    for at in candidates {
        let weight = i64::from(weight(at));
        current[at] += weight;
        sum += weight;
        if best.is_none_or(|best: usize| current[at] > current[best]) {
            best = Some(at);
        }
    }
    let best = best?;
    current[best] -= sum;
    Some(best)
}

/// One of them at random (xorshift64).
fn pick(state: &mut u64, candidates: &[usize]) -> Option<usize> {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    let count = u64::try_from(candidates.len())
        .ok()
        .filter(|count| *count > 0)?;
    candidates
        .get(usize::try_from(*state % count).ok()?)
        .copied()
}

/// Weighted rendezvous hashing: of the keys of a target that is gone each goes to another one, and
/// all other keys stay where they were.
fn score(key: (&[u8], String), weight: u32) -> f64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    // Of the 64 bits a float holds 53.
    let uniform = ((hasher.finish() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    -f64::from(weight) / uniform.ln()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use appliance_project::model::{ProxyTarget, ProxyTls, TargetAddress, TargetProtocol, Trust};

    use super::*;
    use crate::target::UnderWay;

    fn targets(weights: &[u32]) -> Vec<Arc<Target>> {
        let proxy = model::Proxy {
            targets: Vec::new(),
            balance: model::Balance::RoundRobin,
            keeps_host: true,
            connect_timeout: Duration::from_secs(1),
            response_timeout: Duration::from_secs(1),
            max_failures: 1,
            fail_timeout: Duration::from_secs(1),
            health_check: None,
            health_interval: Duration::from_secs(1),
            idle_connections: 1,
            tls: ProxyTls {
                trusts: Some(Trust::System),
                server_name: None,
            },
            hands_off: false,
            is_dev_front: false,
        };
        let target = |(at, weight): (usize, &u32)| {
            let written = ProxyTarget {
                address: TargetAddress::Tcp(format!("10.0.0.{at}"), 80),
                protocol: TargetProtocol::Http,
                path: None,
                weight: *weight,
                backup: false,
            };
            Arc::new(Target::new(&written, &proxy, None))
        };
        weights.iter().enumerate().map(target).collect()
    }

    fn balance(written: model::Balance) -> Balance {
        Balance::new(&written, 3)
    }

    #[test]
    fn round_robin_goes_by_weight_and_mixes() {
        let (targets, balance) = (targets(&[5, 1, 1]), balance(model::Balance::RoundRobin));
        let order: Vec<_> = (0..7)
            .filter_map(|_| balance.choose(&targets, b"", |_| true))
            .collect();
        assert_eq!(order, [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(balance.choose(&targets, b"", |_| false), None);
    }

    #[test]
    fn of_two_the_one_with_less_to_do_is_taken() {
        let (targets, balance) = (targets(&[1, 1, 1]), balance(model::Balance::LeastRequests));
        let _busy: Vec<_> = (0..9).map(|_| UnderWay::begin(&targets[1])).collect();
        let mut counts = [0; 3];
        for _ in 0..3000 {
            counts[balance.choose(&targets, b"", |_| true).unwrap_or(1)] += 1;
        }
        // The busy one is taken when both draws hit it: a ninth of the time.
        assert!((150..600).contains(&counts[1]), "{counts:?}");
        assert!(counts[0] > 900 && counts[2] > 900, "{counts:?}");
    }

    #[test]
    fn a_key_stays_with_its_target_while_that_is_there() {
        let (targets, balance) = (targets(&[1, 2, 1]), balance(model::Balance::Address));
        let mut counts = HashMap::new();
        for key in 0..4000_u32 {
            let key = key.to_be_bytes();
            let chosen = balance.choose(&targets, &key, |_| true);
            *counts.entry(chosen).or_insert(0) += 1;
            let without = balance.choose(&targets, &key, |at| at != 2);
            assert!(chosen == Some(2) || without == chosen);
        }
        let heavy = counts[&Some(1)];
        assert!((1700..2300).contains(&heavy), "{counts:?}");
    }
}
