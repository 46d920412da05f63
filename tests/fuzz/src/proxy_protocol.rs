//! The header of the PROXY protocol: part of one asks for more, nothing behind it counts, and it
//! is never longer than what is there.

use appliance_front::proxy_protocol::{MAX_BYTES, parse};

pub(crate) fn fuzz(bytes: &[u8]) {
    let whole = parse(bytes);
    if let Ok(Some((header, len))) = whole {
        assert!(len <= bytes.len() && len <= MAX_BYTES);
        for end in 0..len {
            assert_eq!(parse(&bytes[..end]), Ok(None), "{end} of {len}");
        }
        assert_eq!(parse(&bytes[..len]), Ok(Some((header, len))));
    }
    // What is certain early stays so.
    let mut refused = false;
    for end in 0..=bytes.len() {
        let part = parse(&bytes[..end]);
        assert!(!refused || part.is_err(), "refused, then taken at {end}");
        refused |= part.is_err();
    }
}
