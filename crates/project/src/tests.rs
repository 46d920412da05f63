//! The crate as its callers see it.

mod any_bytes;
mod errors;
mod fixture;
mod layering;
mod meaning;
mod reference;
mod tls;
