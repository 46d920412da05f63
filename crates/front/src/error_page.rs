//! Bodies of our own 4xx and 5xx: a small self-contained page for browsers, one line of text for
//! everybody else. Visitors see the status and what it means, no path and no traceback.

use axum::body::Body;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Response, StatusCode};

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
    pub fn asked_by(request: &HeaderMap) -> Form {
        let names_html = |value: &HeaderValue| {
            let value = value.as_bytes();
            value
                .windows(9)
                .any(|part| part.eq_ignore_ascii_case(b"text/html"))
        };
        match request.get_all(header::ACCEPT).iter().any(names_html) {
            true => Form::Page,
            false => Form::Line,
        }
    }
}

/// The answer with this status. Fields that belong to the status (`Allow`, `Retry-After`) are the
/// caller's to add, and so is dropping the body for HEAD.
pub fn error_page(status: StatusCode, form: Form) -> Response<Body> {
    let reason = status.canonical_reason().unwrap_or("Error");
    let code = status.as_str();
    let (media_type, body) = match form {
        Form::Page => (
            "text/html; charset=utf-8",
            html(code, reason, explanation(status)),
        ),
        Form::Line => ("text/plain; charset=utf-8", format!("{code} {reason}\n")),
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    fields.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    // A 404 or 410 without this may be kept by caches (RFC 9111 §4.2.2): the file that is
    // deployed a minute later would stay missing.
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    fields.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    *response.body_mut() = Body::from(body);
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
    use http_body_util::BodyExt;

    async fn page(status: StatusCode, accept: &'static str) -> (HeaderMap, String) {
        let mut request = HeaderMap::new();
        request.insert(header::ACCEPT, HeaderValue::from_static(accept));
        let response = error_page(status, Form::asked_by(&request));
        assert_eq!(response.status(), status);
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        assert_eq!(head.headers[header::CONTENT_LENGTH], body.len().to_string());
        (head.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn browsers_get_a_page_and_others_one_line() {
        let (fields, body) = page(StatusCode::NOT_FOUND, "text/html,*/*;q=0.8").await;
        assert_eq!(fields[header::CONTENT_TYPE], "text/html; charset=utf-8");
        assert!(body.contains("<title>404 Not Found</title>"), "{body}");
        let (fields, body) = page(StatusCode::NOT_FOUND, "*/*").await;
        assert_eq!(fields[header::CONTENT_TYPE], "text/plain; charset=utf-8");
        assert_eq!(body, "404 Not Found\n");
        assert_eq!(fields[header::CACHE_CONTROL], "no-store");
    }
}
