//! The crate as its callers see it.

mod any_bytes;
mod errors;
mod every_key;
mod fixture;
mod layering;
mod meaning;
mod reference;
mod tls;
