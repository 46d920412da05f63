//! HTTP in, HTTP out. Knows nothing of Python: requests for the application go through
//! [`appliance_gateway::Gateway`].
//!
//! The steps of a request:
//!
//! 1. [`connection`]: bytes become a request ([`socket`], `appliance-message`), where they are
//!    sealed by [`tls`]; a panic below costs that request a 500. In [`http2`], each stream does. A
//!    gateway's [`uwsgi`] packet does, too.
//! 2. [`request_path`]: the path is normalised for matching; a malformed one is a 400.
//! 3. [`site`]: the listener and the Host field name the site. Behind trusted proxies, these say
//!    which host was asked for, and by whom ([`proxies`], [`proxy_protocol`]).
//! 4. [`route`]: the exact path, an [`expression`] or the longest prefix names who answers (or sends
//!    the request to another path, which is looked up anew), and the [`rules`] that hold
//!    whoever that is: they may refuse the request, and have the last word about the response.
//! 5. [`files`] answers; or [`request_body`] receives the body and the gateway calls the
//!    application, with what [`request`] gives it.
//!    The application may hand over to a file after all ([`hand_off`]).
//! 6. [`send`]: the response becomes bytes; files leave by `sendfile`.

mod accept;
mod access_log;
mod account;
pub mod clock;
mod compression;
mod connection;
mod connections;
pub mod error_page;
mod expression;
mod file_reply;
pub mod files;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod hand_off;
mod http2;
mod mount;
pub mod proxies;
pub mod proxy_protocol;
mod request;
mod request_body;
mod request_id;
mod request_path;
mod respond;
mod response;
mod route;
mod rules;
mod send;
mod sendfile;
mod serve;
mod shortage;
mod site;
mod socket;
mod spool_faults;
mod template;
#[cfg(test)]
mod test_request;
mod tls;
mod unix_listener;
mod uwsgi;
mod warm_up;

pub use response::{Body, FilePart, Response};
pub use rules::share_counts;
pub use serve::{Front, Leave, Listeners, serve};
pub use site::ListenAt;
pub use tls::{Tickets, TlsError};
pub use warm_up::{Cold, warm_up};
