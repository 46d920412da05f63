//! Bodies of our own 4xx and 5xx: a small self-contained page for browsers, one line of text for
//! everybody else. Visitors see the status and what it means, no path and no traceback.

use appliance_message::{Head, Name};
use http::StatusCode;

use crate::response::{Body, Response};

/// In which form a client reads what went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// An HTML page.
    Page,
    /// One line of text.
    Line,
}

impl Form {
    /// The form that a request's header fields ask for. Only who names HTML gets HTML: `*/*` is
    /// curl and fetch().
    pub fn asked_by(request: &Head) -> Form {
        let names_html = |value: &[u8]| {
            value
                .windows(9)
                .any(|part| part.eq_ignore_ascii_case(b"text/html"))
        };
        match request.all(Name::Accept).any(names_html) {
            true => Form::Page,
            false => Form::Line,
        }
    }
}

/// The answer with this status. Fields that belong to the status (`Allow`, `Retry-After`) are the
/// caller's to add.
pub fn error_page(status: StatusCode, form: Form) -> Response {
    let (code, reason) = (status.as_str(), reason(status));
    let body = match form {
        Form::Page => html(code, reason, explanation(status)),
        Form::Line => format!("{code} {reason}\n"),
    };
    page(status, form, body)
}

/// The answer to a request in plain text at an `https://` address.
pub(crate) fn plain_at_tls(form: Form) -> Response {
    const WHY: &str = "This port speaks HTTPS, and the request came in plain HTTP.";
    let status = StatusCode::BAD_REQUEST;
    let (code, reason) = (status.as_str(), reason(status));
    let body = match form {
        Form::Page => html(code, reason, WHY),
        Form::Line => format!("{code} {reason}: {WHY}\n"),
    };
    page(status, form, body)
}

/// The answer in the place of the front's development server at `url`. A browser asks again by
/// itself: it may be about to start.
pub(crate) fn front_is_away(url: &str, form: Form) -> Response {
    let why = format!(
        "The front's development server does not answer at {url}. Start it, with `npm run dev` for \
         instance; or let `command` in [dev] of the project file do so with `appliance dev`."
    );
    let status = StatusCode::BAD_GATEWAY;
    let (code, reason) = (status.as_str(), reason(status));
    match form {
        Form::Page => {
            let body = html(code, "The front is not running", &why);
            page(status, form, body).with("Refresh", "2")
        }
        Form::Line => page(status, form, format!("{code} {reason}: {why}\n")),
    }
}

fn reason(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Error")
}

fn page(status: StatusCode, form: Form, body: String) -> Response {
    let media_type = match form {
        Form::Page => "text/html; charset=utf-8",
        Form::Line => "text/plain; charset=utf-8",
    };
    let mut response = Response::new(status)
        .with("Content-Type", media_type)
        // A 404 or 410 without this may be kept by caches (RFC 9111 §4.2.2): the file that is
        // deployed a minute later would stay missing.
        .with("Cache-Control", "no-store")
        .with("X-Content-Type-Options", "nosniff");
    response.head.length = Some(body.len() as u64);
    response.body = Body::Page(body.into(), form);
    response
}

/// What the visitor can make of it.
fn explanation(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "The server could not understand this request.",
        StatusCode::FORBIDDEN => "You may not see this page.",
        StatusCode::NOT_FOUND => "There is nothing at this address.",
        StatusCode::METHOD_NOT_ALLOWED => "This address does not support that.",
        StatusCode::REQUEST_TIMEOUT => "The request took too long to arrive.",
        StatusCode::PRECONDITION_FAILED => "The page has changed in the meantime.",
        StatusCode::PAYLOAD_TOO_LARGE => "What you sent is larger than this site accepts.",
        StatusCode::URI_TOO_LONG => "The address is longer than this site accepts.",
        StatusCode::RANGE_NOT_SATISFIABLE => "The file is shorter than the part asked for.",
        StatusCode::TOO_MANY_REQUESTS => "Too many requests. Please try again in a moment.",
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            "The request's header is larger than this site accepts. Clearing its cookies may help."
        }
        StatusCode::BAD_GATEWAY => "The application gave no valid answer.",
        StatusCode::SERVICE_UNAVAILABLE => "The site is busy. Please try again in a moment.",
        StatusCode::GATEWAY_TIMEOUT => "The application took too long to answer.",
        status if status.is_server_error() => "Something went wrong on our side.",
        _ => "This request could not be answered.",
    }
}

fn html(code: &str, reason: &str, explanation: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>{code} {reason}</title>\n<style>{STYLE}</style>\n\
         <main><p>{code}</p><h1>{reason}</h1><p>{explanation}</p></main>\n</html>\n"
    )
}

const STYLE: &str = ":root{color-scheme:light dark}\
body{margin:0;min-height:100vh;display:grid;place-items:center;\
font:16px/1.6 system-ui,sans-serif;background:Canvas;color:CanvasText}\
main{padding:2rem;text-align:center}\
main>p:first-child{margin:0;font-size:clamp(4rem,16vw,8rem);font-weight:200;line-height:1;\
letter-spacing:-.04em;opacity:.35}\
h1{margin:.5rem 0;font-size:1.5rem;font-weight:600}\
main>p:last-child{margin:0;opacity:.7}";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_request::request;

    fn page(status: StatusCode, accept: &str) -> (Response, String) {
        let form = Form::asked_by(&request("/", &[("accept", accept)]));
        let response = error_page(status, form);
        assert_eq!(response.head.status, status);
        let Body::Page(body, _) = &response.body else {
            unreachable!("error pages are in memory")
        };
        assert_eq!(response.head.length, Some(body.len() as u64));
        let text = String::from_utf8(body.to_vec()).unwrap();
        (response, text)
    }

    #[test]
    fn browsers_get_a_page_and_others_one_line() {
        let (response, body) = page(StatusCode::NOT_FOUND, "text/html,*/*;q=0.8");
        let media_type = response.head.fields.get("content-type");
        assert_eq!(media_type, Some(&b"text/html; charset=utf-8"[..]));
        assert!(body.contains("<title>404 Not Found</title>"), "{body}");
        let (response, body) = page(StatusCode::NOT_FOUND, "*/*");
        let media_type = response.head.fields.get("content-type");
        assert_eq!(media_type, Some(&b"text/plain; charset=utf-8"[..]));
        assert_eq!(body, "404 Not Found\n");
        assert_eq!(
            response.head.fields.get("cache-control"),
            Some(&b"no-store"[..])
        );
    }
}
