//! Fuzz targets, all in one library: linking is what building them costs. `FUZZ_TARGET` names the
//! one to run; `tests/fuzz/run` runs each.
//!
//! A target is a function of bytes that panics where what it tests breaks its promise. Where it
//! can, it compares with something that was written another way: the same bytes in other pieces,
//! what was read written out and read again, or a plain model of the rule.

mod body;
mod environ;
mod files;
mod head;
mod project;
mod proxies;
mod proxy_protocol;
mod range;
mod response;
mod scratch;
mod sites;
mod uwsgi;

use std::ffi::{c_char, c_int};
use std::sync::OnceLock;

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 11] = [
    ("body", body::fuzz),
    ("environ", environ::fuzz),
    ("files", files::fuzz),
    ("head", head::fuzz),
    ("project", project::fuzz),
    ("proxies", proxies::fuzz),
    ("proxy_protocol", proxy_protocol::fuzz),
    ("range", range::fuzz),
    ("response", response::fuzz),
    ("sites", sites::fuzz),
    ("uwsgi", uwsgi::fuzz),
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

type OneInput = unsafe extern "C" fn(*const u8, usize) -> c_int;

unsafe extern "C" {
    fn LLVMFuzzerTestOneInput(bytes: *const u8, len: usize) -> c_int;
    fn LLVMFuzzerRunDriver(
        argc: *mut c_int,
        argv: *mut *mut *mut c_char,
        one_input: OneInput,
    ) -> c_int;
}

/// libFuzzer's `main`, for the Python process that has loaded this.
///
/// # Safety
/// As for `main`: `argv` is an array of `argc` strings, and a null pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuzz(mut argc: c_int, mut argv: *mut *mut c_char) -> c_int {
    // SAFETY: the caller's promise; both live until the driver returns.
    unsafe { LLVMFuzzerRunDriver(&raw mut argc, &raw mut argv, LLVMFuzzerTestOneInput) }
}
