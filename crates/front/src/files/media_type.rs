//! File name → `Content-Type`.

use std::borrow::Cow;

use appliance_project::model::{Charset, FileRules};

/// Where `mime_guess` is silent or differs from what browsers and today's registrations ask for.
const OURS: &[(&str, &str)] = &[
    ("avif", "image/avif"),
    ("cjs", "text/javascript"),
    ("gz", "application/gzip"),
    ("ico", "image/x-icon"),
    ("js", "text/javascript"),
    ("jsonld", "application/ld+json"),
    ("map", "application/json"),
    ("md", "text/markdown"),
    ("mjs", "text/javascript"),
    ("otf", "font/otf"),
    ("ttf", "font/ttf"),
    ("wasm", "application/wasm"),
    ("webmanifest", "application/manifest+json"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("xml", "application/xml"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("zst", "application/zstd"),
];

/// The type by the name's extension; `application/octet-stream` for names without a known one.
/// Text carries its charset, which for a file of the web is UTF-8.
pub(crate) fn media_type<'r>(name: &[u8], rules: &'r FileRules) -> Cow<'r, str> {
    let extension = extension(name);
    let mut told = rules.types.iter();
    if let Some((_, told)) = told.find(|(known, _)| *known == extension) {
        return match told.contains(';') {
            true => told.into(),
            false => with_charset(told, &rules.charset),
        };
    }
    let essence = OURS
        .iter()
        .find(|(known, _)| *known == extension)
        .map(|(_, essence)| *essence)
        .or_else(|| mime_guess::from_ext(&extension).first_raw())
        .unwrap_or("application/octet-stream");
    with_charset(essence, &rules.charset)
}

fn with_charset<'t>(essence: &'t str, charset: &Charset) -> Cow<'t, str> {
    match charset {
        _ if !is_text(essence) => essence.into(),
        Charset::Utf8 => format!("{essence}; charset=utf-8").into(),
        Charset::Named(name) => format!("{essence}; charset={name}").into(),
        Charset::Unsaid => essence.into(),
    }
}

/// In lower case, without the dot; empty if there is none.
pub(super) fn extension(name: &[u8]) -> String {
    let last = name.rsplit(|byte| *byte == b'/').next().unwrap_or(name);
    match last.iter().rposition(|byte| *byte == b'.') {
        Some(dot) if dot > 0 => String::from_utf8_lossy(&last[dot + 1..]).to_ascii_lowercase(),
        _ => String::new(),
    }
}

fn is_text(essence: &str) -> bool {
    essence.starts_with("text/")
        || essence.ends_with("+xml")
        || essence.ends_with("+json")
        || matches!(
            essence,
            "application/json" | "application/javascript" | "application/xml" | "application/yaml"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_what_browsers_ask_for() {
        for (name, expected) in [
            ("index.html", "text/html; charset=utf-8"),
            ("a/b.HTM", "text/html; charset=utf-8"),
            ("app.js", "text/javascript; charset=utf-8"),
            ("app.mjs", "text/javascript; charset=utf-8"),
            ("app.css", "text/css; charset=utf-8"),
            ("app.js.map", "application/json; charset=utf-8"),
            ("data.json", "application/json; charset=utf-8"),
            ("logo.svg", "image/svg+xml; charset=utf-8"),
            ("feed.xml", "application/xml; charset=utf-8"),
            ("robots.txt", "text/plain; charset=utf-8"),
            (
                "site.webmanifest",
                "application/manifest+json; charset=utf-8",
            ),
            ("mod.wasm", "application/wasm"),
            ("a.png", "image/png"),
            ("a.jpg", "image/jpeg"),
            ("a.webp", "image/webp"),
            ("a.avif", "image/avif"),
            ("favicon.ico", "image/x-icon"),
            ("a.woff2", "font/woff2"),
            ("a.ttf", "font/ttf"),
            ("a.mp4", "video/mp4"),
            ("a.pdf", "application/pdf"),
            ("a.zip", "application/zip"),
            ("app.js.gz", "application/gzip"),
            ("app.js.zst", "application/zstd"),
            ("app.js.br", "application/octet-stream"),
            ("LICENSE", "application/octet-stream"),
            ("v1.2/LICENSE", "application/octet-stream"),
            ("a.unheard-of", "application/octet-stream"),
        ] {
            let rules = FileRules::default();
            assert_eq!(media_type(name.as_bytes(), &rules), expected, "{name}");
        }
    }

    #[test]
    fn a_project_may_know_better() {
        let rules = |charset| FileRules {
            types: vec![
                ("webmanifest".to_owned(), "application/json".to_owned()),
                ("old".to_owned(), "text/html; charset=koi8-r".to_owned()),
                ("txt".to_owned(), "text/x-own".to_owned()),
            ],
            charset,
            ..FileRules::default()
        };
        let named = rules(Charset::Named("iso-8859-1".to_owned()));
        for (name, expected) in [
            ("a.WEBMANIFEST", "application/json; charset=iso-8859-1"),
            ("a.old", "text/html; charset=koi8-r"),
            ("a.txt", "text/x-own; charset=iso-8859-1"),
            ("a.html", "text/html; charset=iso-8859-1"),
            ("a.png", "image/png"),
        ] {
            assert_eq!(media_type(name.as_bytes(), &named), expected, "{name}");
        }
        assert_eq!(media_type(b"a.html", &rules(Charset::Unsaid)), "text/html");
    }
}
