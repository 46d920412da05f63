//! HTTP messages as bytes (RFC 9112): what a request says, how long its body is, and the
//! fields of a response. No sockets, no clocks: bytes in, meaning or a refusal out.
//!
//! It is strict where leniency lets two servers read one message in two ways (request
//! smuggling): bare LF, folded lines, blanks before a colon, doubled or signed lengths, a length
//! beside a transfer coding are all refused.

mod assemble;
mod chunked;
mod fields;
mod framing;
mod head;
mod name;
mod parse;
mod syntax;
pub mod uwsgi;

pub use assemble::Parts;
pub use chunked::{Chunked, Piece};
pub use fields::{Fields, ResponseHead};
pub use framing::Framing;
pub use head::{Head, Target};
pub use name::Name;
pub use parse::{Limits, parse};
pub use syntax::{is_control_free, is_token, list};

use http::StatusCode;

/// Why a message is refused: the status that says so, and a reason for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// 400, 414, 431, 501 or 505.
    pub status: StatusCode,
    /// What is wrong, in a few words.
    pub reason: &'static str,
}

impl Refusal {
    /// The client has closed its side in the middle of a head.
    pub const UNFINISHED: Refusal = Refusal::bad("the request is not whole");

    const fn bad(reason: &'static str) -> Self {
        Refusal {
            status: StatusCode::BAD_REQUEST,
            reason,
        }
    }
}
