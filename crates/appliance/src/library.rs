//! The worker library, carried inside the binary. `build.rs` builds it.

/// A shared object: the extension module `appliance_worker`.
pub(crate) const BYTES: &[u8] = include_bytes!(env!("WORKER_LIBRARY"));
