//! Which of the application's responses are compressed, and what becomes of their fields.

use appliance_message::{Fields, Head, ResponseHead, list};
use http::StatusCode;

use crate::files::encoding::{self, Coding};

/// Shorter ones would only grow, or still take one packet.
pub(crate) const SHORTEST: u64 = 1 << 10;

#[derive(Debug)]
pub(super) struct Compress {
    types: Vec<String>,
}

impl Compress {
    pub(super) fn new(types: &[String]) -> Option<Compress> {
        (!types.is_empty()).then(|| Compress {
            types: types.to_vec(),
        })
    }

    /// What the client takes, the fastest first.
    pub(super) fn negotiate(head: &Head) -> Option<&'static Coding> {
        let [brotli, zstd, gzip] = &encoding::CODINGS;
        encoding::negotiate(head, [zstd, brotli, gzip].into_iter())
    }

    /// Whether the response could be compressed, whoever asked; `length` is the body's, if known.
    pub(super) fn fits(&self, head: &ResponseHead, length: Option<u64>) -> bool {
        let fields = &head.fields;
        let says = |name, word: &[u8]| {
            let value = fields.get(name).unwrap_or_default();
            list(value).any(|member| member.eq_ignore_ascii_case(word))
        };
        !matches!(
            head.status,
            StatusCode::NO_CONTENT | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED
        ) && length.is_none_or(|length| length >= SHORTEST)
            && fields.get("content-encoding").is_none()
            && fields.get("content-range").is_none()
            && !says("cache-control", b"no-transform")
            && is_among(&self.types, fields.get("content-type").unwrap_or_default())
    }

    /// Caches must know that others get another representation.
    pub(super) fn vary(fields: &mut Fields) {
        let names_it = fields.iter().any(|(name, value)| {
            let known = |word: &[u8]| word == b"*" || word.eq_ignore_ascii_case(b"accept-encoding");
            name.eq_ignore_ascii_case(b"vary") && list(value).any(known)
        });
        if !names_it {
            fields.add("Vary", "Accept-Encoding");
        }
    }

    /// The fields of the compressed representation. Its tag is weak: the bytes are others, the
    /// meaning is the same, and `If-None-Match`, which compares weakly, still works.
    pub(super) fn mark(head: &mut ResponseHead, coding: &Coding) {
        head.length = None;
        let fields = &mut head.fields;
        fields.add("Content-Encoding", coding.name);
        for of_the_bytes in ["accept-ranges", "content-digest", "content-md5", "digest"] {
            fields.remove(of_the_bytes);
        }
        if let Some(tag) = fields.get("etag").filter(|tag| !tag.starts_with(b"W/")) {
            let weak = [b"W/", tag].concat();
            fields.remove("etag");
            fields.add("ETag", weak);
        }
    }
}

/// Whether the type is listed, itself or as `text/*`. An event stream never is: each event would
/// be one more flush, and some proxies keep what is compressed back.
pub(crate) fn is_among(types: &[String], media_type: &[u8]) -> bool {
    let essence = media_type.split(|byte| *byte == b';').next();
    let essence = essence.unwrap_or_default().trim_ascii();
    let listed = |known: &String| match known.strip_suffix('*') {
        Some(start) => essence
            .get(..start.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(start.as_bytes())),
        None => essence.eq_ignore_ascii_case(known.as_bytes()),
    };
    !essence.eq_ignore_ascii_case(b"text/event-stream") && types.iter().any(listed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fields: &[(&str, &str)], status: u16, length: Option<u64>) -> ResponseHead {
        let mut head = ResponseHead::new(StatusCode::from_u16(status).expect("a status"));
        for (name, value) in fields {
            head.fields.add(name, value);
        }
        head.length = length;
        head
    }

    #[test]
    fn only_what_gains_by_it_is_compressed() {
        let types = ["text/*", "application/json"].map(str::to_owned);
        let compress = Compress::new(&types).expect("types");
        let json = ("Content-Type", "application/json");
        for (fields, status, length, expected) in [
            (&[json][..], 200, None, true),
            (&[json], 404, Some(1024), true),
            (&[json], 200, Some(1023), false),
            (&[json], 204, None, false),
            (&[json], 206, None, false),
            (&[json], 304, None, false),
            (&[json, ("Content-Encoding", "br")], 200, None, false),
            (&[json, ("Content-Range", "bytes 0-1/2")], 200, None, false),
            (
                &[json, ("Cache-Control", "public, No-Transform")],
                200,
                None,
                false,
            ),
            (&[json, ("Cache-Control", "public")], 200, None, true),
            (
                &[("Content-Type", "TEXT/html; charset=utf-8")],
                200,
                None,
                true,
            ),
            (&[("Content-Type", "text/event-stream")], 200, None, false),
            (&[("Content-Type", "image/png")], 200, None, false),
            (&[], 200, None, false),
        ] {
            assert_eq!(
                compress.fits(&head(fields, status, length), length),
                expected,
                "{fields:?}"
            );
        }
    }

    #[test]
    fn the_fields_say_what_is_sent() {
        let fields = [
            ("ETag", "\"a\""),
            ("Accept-Ranges", "bytes"),
            ("Vary", "Cookie"),
        ];
        let mut head = head(&fields, 200, Some(5000));
        Compress::vary(&mut head.fields);
        Compress::vary(&mut head.fields);
        Compress::mark(&mut head, &encoding::CODINGS[2]);
        let lines = String::from_utf8(head.fields.blocks().concat()).expect("text");
        assert_eq!(
            lines,
            "Vary: Cookie\r\nVary: Accept-Encoding\r\nContent-Encoding: gzip\r\nETag: W/\"a\"\r\n"
        );
        assert_eq!(head.length, None);
    }
}
