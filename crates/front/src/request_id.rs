//! What a request is called: in every line of the log, to the application, and to a visitor whose
//! request went wrong.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use appliance_gateway::RequestId;

/// Longest name that is taken from a proxy.
const MAX_TOLD_BYTES: usize = 128;

/// Numbers requests, beginning anywhere, so that two workers' numbers do not meet.
#[derive(Debug)]
pub(crate) struct RequestIds(AtomicU64);

impl RequestIds {
    pub(crate) fn new() -> Self {
        RequestIds(AtomicU64::new(
            RandomState::new().hash_one(std::process::id()),
        ))
    }

    pub(crate) fn next(&self) -> RequestId {
        RequestId::Number(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// The name that a trusted proxy gave the request, if it is one that can stand in a log.
pub(crate) fn told(field: &[u8]) -> Option<RequestId> {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:/+=@".contains(byte);
    let fits = (1..=MAX_TOLD_BYTES).contains(&field.len()) && field.iter().all(is_plain);
    let text = std::str::from_utf8(field).ok().filter(|_| fits)?;
    Some(RequestId::Told(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_sixteen_digits_and_none_comes_twice() {
        let ids = RequestIds::new();
        let (first, second) = (ids.next().to_string(), ids.next().to_string());
        assert!(first.len() == 16 && first.bytes().all(|digit| digit.is_ascii_hexdigit()));
        assert_ne!(first, second);
    }

    #[test]
    fn only_plain_names_are_taken() {
        for name in ["a", "7b1c-42", "Root=1-67891233-abcdef012345678912345678"] {
            let id = told(name.as_bytes()).map(|id| id.to_string());
            assert_eq!(id.as_deref(), Some(name));
        }
        for name in ["", "a b", "a\u{1b}[2J", "\u{e9}", "\"a\"", &"a".repeat(129)] {
            assert_eq!(told(name.as_bytes()), None, "{name}");
        }
    }
}
