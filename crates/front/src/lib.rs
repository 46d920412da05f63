//! HTTP in, HTTP out. Knows nothing of Python: requests for the application go through
//! [`appliance_gateway::Gateway`].
//!
//! The steps of a request:
//!
//! 1. [`connection`]: bytes become a request; a panic below costs that request a 500.
//! 2. [`request_path`]: the path is normalised for matching; a malformed one is a 400.
//! 3. [`site`]: the listener and the Host field name the site.
//! 4. [`route`]: the exact path or the longest prefix names who answers.
//! 5. [`files`] answers from memory or by `sendfile`; or [`request_body`] receives the body and
//!    the gateway calls the application.

mod connection;
mod connections;
pub mod error_page;
pub mod files;
pub mod proxies;
pub mod proxy_protocol;
mod request_body;
mod request_path;
mod respond;
mod route;
mod serve;
mod site;

pub use serve::{Front, serve};
