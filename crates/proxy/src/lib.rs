//! Requests for other servers.
//!
//! A request's way: [`Proxy::send`] chooses a target ([`balance`]) among those that are well
//! ([`health`]), writes the request anew for it ([`request`]), sends it ([`sender`]: HTTP/1.1 or
//! [`multiplexed`], by [`tls`] or in clear) and awaits its head; what cannot
//! have reached a target is sent to another. The answer's fields and bytes are passed on
//! ([`answer`]); one that changes the protocol (a WebSocket's 101) becomes a [`Tunnel`].
//!
//! A target that speaks the uwsgi protocol is one of HTTP/1.1 behind a translation ([`uwsgi`]).
//!
//! What is absent here: the client's connection, which is the front's, and any Python.

mod answer;
mod balance;
mod connector;
mod health;
mod multiplexed;
mod proxy;
mod request;
mod sender;
mod target;
mod tls;
mod upload;
mod uwsgi;

pub use answer::{Answer, AnswerBody, Tunnel};
pub use proxy::{Failure, Proxy};
pub use request::Asked;
pub use upload::{Feeder, Upload};
