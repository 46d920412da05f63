//! Fuzz targets, all in one binary: linking is what building them costs. `FUZZ_TARGET` names the
//! one to run; `tests/fuzz/run` runs each.
//!
//! A target is a function of bytes that panics where what it tests breaks its promise. Where it
//! can, it compares with something that was written another way: the same bytes in other pieces,
//! what was read written out and read again, or a plain model of the rule.
#![no_main]

mod body;
mod files;
mod head;
mod project;
mod proxies;
mod proxy_protocol;
mod range;
mod response;
mod scratch;
mod sites;

use std::sync::OnceLock;

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 9] = [
    ("body", body::fuzz),
    ("files", files::fuzz),
    ("head", head::fuzz),
    ("project", project::fuzz),
    ("proxies", proxies::fuzz),
    ("proxy_protocol", proxy_protocol::fuzz),
    ("range", range::fuzz),
    ("response", response::fuzz),
    ("sites", sites::fuzz),
];

fn chosen() -> Target {
    let wanted = std::env::var("FUZZ_TARGET").unwrap_or_default();
    match TARGETS.iter().find(|(name, _)| *name == wanted) {
        Some((_, target)) => *target,
        None => panic!(
            "`FUZZ_TARGET` must be one of {:?}, found `{wanted}`",
            TARGETS.map(|(name, _)| name)
        ),
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    static TARGET: OnceLock<Target> = OnceLock::new();
    TARGET.get_or_init(chosen)(bytes);
});
