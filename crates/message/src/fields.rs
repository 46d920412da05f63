//! The fields of a response, ready to be sent.

use std::sync::Arc;

use http::StatusCode;

/// Field lines, each with its end: what is sent, byte for byte. A part of them may be shared by
/// many responses.
///
/// Whoever adds a field vouches for it: names must be tokens, values free of control characters
/// (see [`is_token`](crate::is_token) and [`is_control_free`](crate::is_control_free)).
#[derive(Debug, Clone, Default)]
pub struct Fields {
    shared: Option<Arc<[u8]>>,
    own: Vec<u8>,
}

impl Fields {
    /// None so far, with room for lines of so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Fields {
            shared: None,
            own: Vec::with_capacity(bytes),
        }
    }

    /// Adds a field at the end.
    pub fn add(&mut self, name: &str, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        self.own.reserve(name.len() + value.len() + 4);
        self.own.extend_from_slice(name.as_bytes());
        self.own.extend_from_slice(b": ");
        self.own.extend_from_slice(value);
        self.own.extend_from_slice(b"\r\n");
    }

    /// Makes the fields cheap to clone.
    pub fn share(&mut self) {
        if !self.own.is_empty() {
            self.shared = Some(self.blocks().concat().into());
            self.own = Vec::new();
        }
    }

    /// The lines, in at most two pieces.
    pub fn blocks(&self) -> [&[u8]; 2] {
        [self.shared.as_deref().unwrap_or_default(), &self.own]
    }

    /// Name and value of each field, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.blocks().into_iter().flat_map(lines).filter_map(split)
    }

    /// The first field of this name, in any case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// Removes every field of this name, in any case.
    pub fn remove(&mut self, name: &str) {
        if self.get(name).is_none() {
            return;
        }
        let is_kept = |line: &&[u8]| {
            split(line).is_none_or(|(known, _)| !known.eq_ignore_ascii_case(name.as_bytes()))
        };
        let blocks = self.blocks();
        self.own = blocks
            .into_iter()
            .flat_map(lines)
            .filter(is_kept)
            .flatten()
            .copied()
            .collect();
        self.shared = None;
    }
}

fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    block.split_inclusive(|byte| *byte == b'\n')
}

fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    Some((&line[..colon], line[colon + 1..].trim_ascii()))
}

/// A response's head. Fields that frame the message are not among its fields: Content-Length has
/// a place of its own, and the connection's are the server's.
#[derive(Debug, Clone)]
pub struct ResponseHead {
    /// 200 to 999.
    pub status: StatusCode,
    /// Another phrase than the status's usual one.
    pub reason: Option<Box<[u8]>>,
    /// All but Content-Length and what concerns the connection.
    pub fields: Fields,
    /// Content-Length.
    pub length: Option<u64>,
    /// There is a Date among the fields.
    pub dated: bool,
    /// There is a field by which an application hands over to the server (`X-Accel-…`,
    /// `X-Sendfile`): to be taken out before the response is sent.
    pub hands_over: bool,
}

impl ResponseHead {
    /// A head without fields.
    pub fn new(status: StatusCode) -> Self {
        ResponseHead {
            status,
            reason: None,
            fields: Fields::default(),
            length: None,
            dated: false,
            hands_over: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_added_found_and_removed() {
        let mut fields = Fields::default();
        fields.add("ETag", "\"a:b\"");
        fields.add("Vary", "accept");
        fields.share();
        fields.add("Vary", "origin");
        assert_eq!(
            fields.blocks().concat(),
            b"ETag: \"a:b\"\r\nVary: accept\r\nVary: origin\r\n"
        );
        assert_eq!(fields.get("etag"), Some(&b"\"a:b\""[..]));
        fields.remove("VARY");
        assert_eq!(fields.blocks().concat(), b"ETag: \"a:b\"\r\n");
        fields.remove("none");
        assert_eq!(fields.iter().count(), 1);
    }
}
