//! Which requests the single-page fallback answers: navigations, and nothing else. A missing
//! script, image or API answer is a real 404, never HTML with status 200.
//!
//! 1. An asset's extension in the last segment: never.
//! 2. `Sec-Fetch-Dest` (browsers, over HTTPS and on localhost): a document or frame, or a fetch
//!    that names HTML in `Accept`.
//! 3. Otherwise `Accept`: absent, naming HTML, or exactly `*/*`, which is curl and monitoring.
//!    Not a `*/*` behind other types: that is axios (`application/json, text/plain, */*`) or an
//!    image.

use appliance_message::{Head, Name};

use super::media_type::extension;

/// Extensions that a client-side route does not end with.
const ASSETS: &[&str] = &[
    "avif",
    "bin",
    "bmp",
    "br",
    "cjs",
    "css",
    "csv",
    "eot",
    "gif",
    "gz",
    "heic",
    "ico",
    "jpeg",
    "jpg",
    "js",
    "json",
    "jsonld",
    "jsx",
    "m4a",
    "m4v",
    "map",
    "mjs",
    "mov",
    "mp3",
    "mp4",
    "ogg",
    "otf",
    "pdf",
    "php",
    "png",
    "scss",
    "svg",
    "tar",
    "tgz",
    "ts",
    "tsx",
    "ttf",
    "txt",
    "vue",
    "wasm",
    "wav",
    "webm",
    "webmanifest",
    "webp",
    "woff",
    "woff2",
    "xml",
    "zip",
    "zst",
];

/// Whether a GET or HEAD which no file answers is a navigation.
pub(super) fn is_navigation(request: &Head) -> bool {
    if ASSETS.contains(&extension(request.path()).as_str()) {
        return false;
    }
    match request.get(Name::SecFetchDest) {
        Some(b"document" | b"iframe" | b"frame" | b"fencedframe" | b"nested-document") => true,
        Some(b"empty") => names_html(request),
        Some(_) => false,
        None => names_html(request) || accepts_all(request),
    }
}

fn names_html(request: &Head) -> bool {
    request
        .all(Name::Accept)
        .filter_map(|value| std::str::from_utf8(value).ok())
        .any(|value| {
            value.split(',').any(|range| {
                let essence = range.split(';').next().unwrap_or(range).trim();
                essence.eq_ignore_ascii_case("text/html")
                    || essence.eq_ignore_ascii_case("application/xhtml+xml")
            })
        })
}

fn accepts_all(request: &Head) -> bool {
    request.all(Name::Accept).all(|value| value == b"*/*")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_request::request;

    #[test]
    fn navigations_are_told_from_everything_else() {
        const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        const IMAGE: &str = "image/avif,image/webp,*/*;q=0.8";
        const AXIOS: &str = "application/json, text/plain, */*";
        for (path, accept, dest, expected) in [
            ("/users/42", Some(BROWSER), Some("document"), true),
            ("/users/42", Some(BROWSER), Some("iframe"), true),
            ("/users/42", Some(BROWSER), None, true),
            ("/users/42", Some("TEXT/HTML"), None, true),
            ("/users/42", Some("*/*"), None, true),
            ("/users/42", None, None, true),
            ("/users/42", Some(BROWSER), Some("empty"), true),
            ("/users/john.doe", Some(BROWSER), None, true),
            ("/v1.2/", Some(BROWSER), None, true),
            ("/users/42", Some("*/*"), Some("empty"), false),
            ("/users/42", Some("*/*"), Some("script"), false),
            ("/users/42", Some(IMAGE), Some("image"), false),
            ("/users/42", Some(IMAGE), None, false),
            ("/users/42", Some(AXIOS), None, false),
            ("/users/42", Some("application/json"), None, false),
            ("/users/42", Some("text/htmlx"), None, false),
            ("/assets/app.js", Some(BROWSER), Some("document"), false),
            ("/assets/app.js.map", Some("*/*"), None, false),
            ("/logo.PNG", Some(BROWSER), None, false),
            ("/data.json", None, None, false),
            ("/font.woff2", Some("*/*"), Some("font"), false),
        ] {
            let fields: Vec<_> = [("accept", accept), ("sec-fetch-dest", dest)]
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect();
            assert_eq!(
                is_navigation(&request(path, &fields)),
                expected,
                "{path} {accept:?} {dest:?}"
            );
        }
    }
}
