//! TLS: what a site presents, and who comes in.
//!
//! 1. [`hello`]: the first message names the host; its site says which certificate is shown and
//!    what is asked of the client ([`config`]).
//! 2. [`session`]: the handshake, and then records in both directions, inside
//!    [`crate::socket::Socket`]: who reads heads and sends responses does not see it.
//! 3. [`policy`]: who is sent to another address, and told to come by HTTPS alone.
//! 4. [`peer`]: what the application hears of it.
//!
//! The library is rustls, by its interface without buffers: ciphertext lies in the buffer that all
//! connections share, so one that idles owns a few kilobytes of keys and nothing else.
//!
//! The cryptography is AWS-LC's. Against ring: key exchange by ML-KEM, which today's browsers
//! prefer and ring does not have; and signatures by RSA, which the one thread of the front has to
//! wait for, take half the time. It costs 20 s of building on one core, and no cmake.

mod config;
mod hello;
mod peer;
mod policy;
mod session;
mod tickets;

pub(crate) use config::SiteTls;
pub use config::TlsError;
pub(crate) use hello::{Hello, Step};
pub(crate) use peer::Secured;
pub(crate) use session::Tls;
pub use tickets::Tickets;
