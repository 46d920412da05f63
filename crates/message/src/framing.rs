//! How long a request's body is (RFC 9112 §6). Whatever could be read in two ways is refused.

use http::{StatusCode, Version};

use crate::syntax::{is_token, list, trim};
use crate::{Head, Name, Refusal};

/// How a body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// This many bytes.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

impl Head {
    /// The body's framing.
    ///
    /// # Errors
    /// 400 when it is ambiguous or malformed, 501 for a transfer coding other than chunked.
    pub fn framing(&self) -> Result<Framing, Refusal> {
        if self.has(Name::TransferEncoding) {
            return self.transfer_coding();
        }
        if self.repeats(Name::ContentLength) {
            return Err(Refusal::bad("there are two Content-Length fields"));
        }
        match self.get(Name::ContentLength) {
            None => Ok(Framing::None),
            Some(digits) => match length(digits) {
                Some(0) => Ok(Framing::None),
                Some(length) => Ok(Framing::Length(length)),
                None => Err(Refusal::bad("the Content-Length is not one whole number")),
            },
        }
    }

    fn transfer_coding(&self) -> Result<Framing, Refusal> {
        if self.has(Name::ContentLength) {
            return Err(Refusal::bad("both Content-Length and Transfer-Encoding"));
        }
        if self.version == Version::HTTP_10 {
            return Err(Refusal::bad("Transfer-Encoding in HTTP/1.0"));
        }
        // With empty members, which only somebody sends who hopes that they are read differently.
        let codings: Vec<&[u8]> = self
            .all(Name::TransferEncoding)
            .flat_map(|value| value.split(|byte| *byte == b','))
            .map(trim)
            .collect();
        let is_chunked = |coding: &&[u8]| coding.eq_ignore_ascii_case(b"chunked");
        match codings.as_slice() {
            [only] if is_chunked(only) => Ok(Framing::Chunked),
            [others @ .., last]
                if is_chunked(last)
                    && others.iter().all(|one| is_token(one) && !is_chunked(one)) =>
            {
                Err(Refusal {
                    status: StatusCode::NOT_IMPLEMENTED,
                    reason: "a transfer coding other than chunked",
                })
            }
            _ => Err(Refusal::bad(
                "chunked is not the last transfer coding, once",
            )),
        }
    }

    /// Whether the client wants the connection to go on (RFC 9112 §9.3).
    pub fn keeps_alive(&self) -> bool {
        let asks = |option: &[u8]| {
            self.all(Name::Connection)
                .flat_map(list)
                .any(|member| member.eq_ignore_ascii_case(option))
        };
        match self.version {
            Version::HTTP_10 => asks(b"keep-alive") && !asks(b"close"),
            _ => !asks(b"close"),
        }
    }
}

/// 1*DIGIT (RFC 9110 §8.6), in 64 bits.
fn length(digits: &[u8]) -> Option<u64> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}
