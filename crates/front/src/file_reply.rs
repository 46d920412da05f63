//! A file that the application hands over (`wsgi.file_wrapper`) → a response.
//!
//! An application that says 200 and knows nothing of `Range` gets it served here (RFC 9110 §14):
//! its file is the whole representation. What it says of parts itself is left alone.

use appliance_message::{Head, Name, ResponseHead};
use http::{Method, StatusCode};

use crate::error_page::{Form, error_page};
use crate::files::range::{self, RangeRequest};
use crate::response::{Body, FilePart, Response};

/// The `Range` of a GET: kept here, since the request's head goes to the application.
#[derive(Debug)]
pub(crate) struct Part {
    range: Box<[u8]>,
    /// `If-Range`.
    condition: Option<Box<[u8]>>,
}

impl Part {
    /// None for a request that asks for no part, as nearly all do.
    pub(crate) fn asked_by(head: &Head) -> Option<Box<Part>> {
        let range = head.get(Name::Range)?;
        (head.method == Method::GET).then(|| {
            Box::new(Part {
                range: range.into(),
                condition: head.get(Name::IfRange).map(Into::into),
            })
        })
    }

    /// Whether this is about the representation that would be sent: there is no `If-Range`, or
    /// it names its strong tag or its very date (RFC 9110 §13.1.5).
    fn applies(&self, head: &ResponseHead) -> bool {
        let Some(condition) = self.condition.as_deref() else {
            return true;
        };
        let validator = match condition {
            [b'"', ..] => "etag",
            // A weak tag equals nothing.
            [b'W', b'/', ..] => return false,
            _ => "last-modified",
        };
        head.fields.get(validator) == Some(condition)
    }
}

/// The response, or the part of it that was asked for.
pub(crate) fn respond(
    mut head: ResponseHead,
    mut file: FilePart,
    part: Option<&Part>,
    form: Form,
) -> Response {
    if !may_be_divided(&mut head) {
        return whole_of(head, file);
    }
    let whole = file.len;
    let range = match part.filter(|part| part.applies(&head)) {
        Some(part) => range::parse(&part.range, whole),
        None => RangeRequest::Whole,
    };
    match range {
        RangeRequest::Whole => {}
        RangeRequest::Part(part) => {
            let range = format!("bytes {}-{}/{whole}", part.start, part.end - 1);
            head.fields.add("Content-Range", range);
            (head.status, head.reason) = (StatusCode::PARTIAL_CONTENT, None);
            file.offset += part.start;
            file.len = part.end - part.start;
            head.length = Some(file.len);
        }
        RangeRequest::Unsatisfiable => {
            return error_page(StatusCode::RANGE_NOT_SATISFIABLE, form)
                .with("Content-Range", format!("bytes */{whole}"));
        }
    }
    whole_of(head, file)
}

fn whole_of(head: ResponseHead, file: FilePart) -> Response {
    let mut response = Response::new(head.status);
    response.head = head;
    response.body = Body::File(file);
    response
}

/// Whether parts may be made of the response; one that does not say so will. `Accept-Ranges: none`
/// is the application's word that they may not.
fn may_be_divided(head: &mut ResponseHead) -> bool {
    let fields = &mut head.fields;
    let is_set = |name| fields.get(name).is_some();
    if head.status != StatusCode::OK || is_set("content-range") || is_set("content-encoding") {
        return false;
    }
    match fields.get("accept-ranges") {
        Some(unit) => unit.eq_ignore_ascii_case(b"bytes"),
        None => {
            fields.add("Accept-Ranges", "bytes");
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::test_request::request;

    const DATE: &str = "Sun, 09 Sep 2001 01:46:40 GMT";

    /// Status, Content-Range, offset and length of the answer to a request for a section of ten
    /// bytes, five behind the beginning of the file.
    fn answer(asked: &[(&str, &str)], own: &[(&str, &str)]) -> (u16, String, Option<(u64, u64)>) {
        let mut head = ResponseHead::new(StatusCode::OK);
        head.length = Some(10);
        for (name, value) in own {
            head.fields.add(name, value);
        }
        let file = FilePart {
            file: Arc::new(std::fs::File::open("/dev/null").expect("a file")),
            offset: 5,
            len: 10,
        };
        let part = Part::asked_by(&request("/", asked));
        let response = respond(head, file, part.as_deref(), Form::Line);
        let range = response.head.fields.get("content-range");
        let place = match &response.body {
            Body::File(file) => {
                assert_eq!(response.head.length, Some(file.len));
                Some((file.offset, file.len))
            }
            _ => None,
        };
        (
            response.head.status.as_u16(),
            String::from_utf8_lossy(range.unwrap_or_default()).into_owned(),
            place,
        )
    }

    #[test]
    fn a_part_is_a_part_of_what_the_application_sends() {
        let whole = (200, String::new(), Some((5, 10)));
        let part = (206, "bytes 2-4/10".to_owned(), Some((7, 3)));
        let asked = ("range", "bytes=2-4");
        for (fields, own, expected) in [
            (&[][..], &[][..], &whole),
            (&[asked], &[], &part),
            (&[asked], &[("Accept-Ranges", "bytes")], &part),
            (&[asked], &[("Accept-Ranges", "none")], &whole),
            (&[asked], &[("Content-Encoding", "gzip")], &whole),
            (&[("range", "lines=2-4")], &[], &whole),
            (&[asked, ("if-range", "\"a\"")], &[("ETag", "\"a\"")], &part),
            (
                &[asked, ("if-range", "\"b\"")],
                &[("ETag", "\"a\"")],
                &whole,
            ),
            (&[asked, ("if-range", "\"a\"")], &[], &whole),
            (
                &[asked, ("if-range", "W/\"a\"")],
                &[("ETag", "W/\"a\"")],
                &whole,
            ),
            (
                &[asked, ("if-range", DATE)],
                &[("Last-Modified", DATE)],
                &part,
            ),
            (&[asked, ("if-range", DATE)], &[("ETag", "\"a\"")], &whole),
        ] {
            assert_eq!(&answer(fields, own), expected, "{fields:?} {own:?}");
        }
        let none = (416, "bytes */10".to_owned(), None);
        assert_eq!(answer(&[("range", "bytes=10-")], &[]), none);
    }

    #[test]
    fn only_a_whole_response_is_divided() {
        for (status, own, expected) in [
            (200, None, Some(&b"bytes"[..])),
            (200, Some("none"), Some(b"none")),
            (206, None, None),
            (404, None, None),
        ] {
            let mut head = ResponseHead::new(StatusCode::from_u16(status).expect("a status"));
            if let Some(own) = own {
                head.fields.add("Accept-Ranges", own);
            }
            may_be_divided(&mut head);
            assert_eq!(
                head.fields.get("accept-ranges"),
                expected,
                "{status} {own:?}"
            );
        }
    }
}
