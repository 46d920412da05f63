//! The `h2` crate's heads ↔ ours.

use appliance_message::{Fields, Head, Limits, Parts, Refusal, ResponseHead};
use h2::RecvStream;
use http::header::{self, CONTENT_LENGTH, DATE, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};

use crate::connections::Status;

/// What says something of a connection, and must not be said here (RFC 9113 §8.2.2). No application
/// or server gets as far as this with them, but words of the project do.
const OF_THE_CONNECTION: [HeaderName; 6] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The head of a request. What the crate lets pass is looked at again, as strictly as HTTP/1.1 is.
pub(super) fn request(request: &Request<RecvStream>, limits: Limits) -> Result<Head, Refusal> {
    let uri = request.uri();
    let fields = request.headers();
    Head::assemble(
        Parts {
            method: request.method().clone(),
            path: uri.path_and_query().map(|path| path.as_str().as_bytes()),
            authority: uri.authority().map(|name| name.as_str().as_bytes()),
            fields: fields
                .iter()
                .map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes())),
        },
        limits,
    )
}

/// The head of a response with a body of this length, if that is known.
pub(super) fn response(head: &ResponseHead, length: Option<u64>, status: &Status) -> Response<()> {
    let mut response = interim(head.status, &head.fields);
    let fields = response.headers_mut();
    if !head.dated {
        let mut date = Vec::new();
        status.add_date(&mut date);
        if let Ok(date) = HeaderValue::from_bytes(&date) {
            fields.insert(DATE, date);
        }
    }
    if let Some(length) = length {
        fields.insert(CONTENT_LENGTH, length.into());
    }
    response
}

/// A head of nothing but these fields.
pub(super) fn interim(status: StatusCode, fields: &Fields) -> Response<()> {
    let mut map = HeaderMap::with_capacity(16);
    for (name, value) in fields.iter() {
        // Whoever has added them has vouched for them: see `Fields`.
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
            && !OF_THE_CONNECTION.contains(&name)
        {
            map.append(name, value);
        }
    }
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.headers_mut() = map;
    response
}
