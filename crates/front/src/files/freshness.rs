//! `Cache-Control` of a file. HTML and ordinary names: `no-cache`, kept but revalidated each time
//! (a 304 costs one round trip; with no field at all browsers guess a lifetime from
//! `Last-Modified` and miss the next deployment). Names that carry a hash of their contents: a
//! year, `immutable`.
//!
//! Taking an ordinary name for a hash is the worse mistake by far, since no deployment reaches
//! the browsers that believe it. So names must look random; a real hash that happens to look like
//! words (`DiwrgTda`) counts in Vite's own `assets` folder only, elsewhere it is revalidated.

use appliance_project::model::Immutable;

const YEAR: &str = "public, max-age=31536000, immutable";
const REVALIDATE: &str = "no-cache";

/// The value of the longest of these patterns that matches the file called `name` (relative to
/// its route): they come in that order.
pub(super) fn told<'r>(name: &[u8], patterns: &'r [(String, String)]) -> Option<&'r str> {
    let last = name.rsplit(|byte| *byte == b'/').next().unwrap_or(name);
    let matches = |pattern: &str| match pattern.strip_prefix('/') {
        Some(path) if path.is_empty() || path.ends_with('/') => name.starts_with(path.as_bytes()),
        Some(path) => fits(path.as_bytes(), name),
        None => fits(pattern.as_bytes(), last),
    };
    let mut patterns = patterns.iter();
    let (_, words) = patterns.find(|(pattern, _)| matches(pattern))?;
    Some(words)
}

/// Whether the whole text is what the pattern says, `*` being anything. In time that is bounded by
/// the product of their lengths: only the last `*` is ever tried again.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut from, mut again) = (0, 0, None);
    while from < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                again = Some((at, from));
                at += 1;
            }
            Some(byte) if *byte == text[from] => {
                at += 1;
                from += 1;
            }
            _ => match again {
                Some((star, tried)) => {
                    (at, from) = (star + 1, tried + 1);
                    again = Some((star, tried + 1));
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// The field's value for the file called `name` (relative to its route), with this media type.
pub(super) fn cache_control(name: &[u8], media_type: &[u8], rule: Immutable) -> &'static str {
    let keep = match rule {
        _ if media_type.starts_with(b"text/html") => false,
        Immutable::Never => false,
        Immutable::All => true,
        Immutable::Hashed => carries_hash(name),
    };
    if keep { YEAR } else { REVALIDATE }
}

fn carries_hash(name: &[u8]) -> bool {
    // Names that no bundler writes (not UTF-8) carry no hash.
    let Ok(name) = std::str::from_utf8(name) else {
        return false;
    };
    let (folder, last) = name.rsplit_once('/').unwrap_or(("", name));
    let in_assets = folder == "assets" || folder.ends_with("/assets");
    let mut pieces = last.split('.');
    let first = pieces.next().unwrap_or("");
    let rest: Vec<&str> = pieces.collect();
    let Some((_extension, middle)) = rest.split_last() else {
        return false;
    };
    // webpack and Django's manifest storage: `main.8f2a3b4c.chunk.js`, `base.5af66c1d2f3a.css`.
    if middle.iter().any(|piece| is_hex_hash(piece)) {
        return true;
    }
    // Vite, Rollup, esbuild: `index-DiwrgTda.js`, behind the stem's dash (the hash may hold one).
    let stem = middle.last().copied().unwrap_or(first);
    ends_in_dashed_hash(stem, in_assets) || ends_in_dashed_hash(first, in_assets)
}

fn ends_in_dashed_hash(stem: &str, in_assets: bool) -> bool {
    let behind_dash = stem.rsplit_once('-').map_or("", |(_, hash)| hash);
    if is_hex_hash(behind_dash) || is_base32_hash(behind_dash) {
        return true;
    }
    match stem.len().checked_sub(9) {
        Some(dash) if stem.is_char_boundary(dash) => match stem[dash..].strip_prefix('-') {
            Some(hash) => is_base64_hash(hash, in_assets),
            None => false,
        },
        _ => false,
    }
}

/// 8 to 64 hexadecimal digits with both figures and letters: neither a date nor `facade`.
fn is_hex_hash(piece: &str) -> bool {
    (8..=64).contains(&piece.len())
        && piece
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && class_changes(piece) >= 2
}

/// esbuild's eight characters of `A-Z2-7`.
fn is_base32_hash(piece: &str) -> bool {
    piece.len() == 8
        && piece
            .bytes()
            .all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'))
        && class_changes(piece) >= 2
}

/// Rollup's eight characters of base64url.
fn is_base64_hash(piece: &str, in_assets: bool) -> bool {
    let has = |class: fn(&u8) -> bool| piece.as_bytes().iter().any(class);
    if !piece
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    {
        return false;
    }
    let mixed = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    let changes = class_changes(piece);
    // `MyWidget` changes three times. Only in Vite's folder, where nearly every name behind a
    // dash is a hash, is that enough: one hash in four has no figure in it.
    let random = !words(piece) && changes >= if in_assets { 2 } else { 3 };
    mixed && (random || in_assets && changes >= 3)
}

/// Words put together, with or without a number behind: `MyWidget`, `Version2`, `FooBar12`.
fn words(piece: &str) -> bool {
    let letters = piece.trim_end_matches(|last: char| last.is_ascii_digit());
    letters.starts_with(|first: char| first.is_ascii_uppercase())
        && letters.bytes().all(|byte| byte.is_ascii_alphabetic())
        && !letters
            .as_bytes()
            .windows(2)
            .any(|pair| pair.iter().all(u8::is_ascii_uppercase))
}

/// How often the kind of character changes from one to the next: what is random changes often.
fn class_changes(piece: &str) -> usize {
    let class = |byte: u8| match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        _ => 2,
    };
    piece
        .as_bytes()
        .windows(2)
        .filter(|pair| class(pair[0]) != class(pair[1]))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashed_names_are_recognised() {
        for name in [
            "assets/index-DiwrgTda.js",
            "assets/index-BxVK4hMR.css",
            "assets/HomeView-Cj2kQ_x9.js",
            "assets/logo-a-b_C3dE.svg",
            "assets/index-D0kE3n5P.js.map",
            "assets/inter-latin-400-normal-C38fXH4l.woff2",
            "js/chunk-5KQ3TJ7A.js",
            "main-5KQ3TJ7A.js",
            "index-4a5b6c7d.js",
            "_next/static/chunks/117-0a1b2c3d4e5f6071.js",
            "main.8f2a3b4c.js",
            "static/js/main.8f2a3b4c.chunk.js",
            "static/media/logo.6ce24c58023cc2f8fd88fe9d219db6c6.svg",
            "css/base.5af66c1d2f3a.css",
            "admin/js/jquery.0208b96062ba.min.js",
        ] {
            assert!(carries_hash(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn ordinary_names_are_not_taken_for_hashes() {
        for name in [
            "index.html",
            "my-component.js",
            "jquery-3.7.1.min.js",
            "bootstrap-version2.css",
            "assets/bootstrap-version2.css",
            "assets/bootstrap-Version2.css",
            "app-MyWidget.js",
            "app-FooBar12.js",
            "assets/report-20240131.pdf",
            "report.20240131.pdf",
            "assets/logo-download.svg",
            "assets/README-SETTINGS.txt",
            "assets/README-DOWNLOAD.txt",
            "fonts/inter-latin-400-normal.woff2",
            "wall.decade80.png",
            "cafe.facade.js",
            "vue.global.prod.js",
            "angular-1.8.2.js",
            "service-worker.js",
            "sw.js",
            "favicon.ico",
            "LICENSE",
            "noextension-DiwrgTda",
            "",
        ] {
            assert!(!carries_hash(name.as_bytes()), "{name}");
        }
        assert!(!carries_hash(b"assets/index-Diwr\xffTda.js"));
    }

    #[test]
    fn patterns_match_names_and_paths() {
        for (pattern, name, expected) in [
            ("*.woff2", "fonts/a.woff2", true),
            ("*.woff2", "a.woff", false),
            ("*.woff2", ".woff2", true),
            ("/*.woff2", "fonts/a.woff2", true),
            ("/fonts/*", "fonts/a/b", true),
            ("/fonts/*", "font/a", false),
            ("/fonts/*", "x/fonts/a", false),
            ("index.html", "a/index.html", true),
            ("/index.html", "a/index.html", false),
            ("/index.html", "index.html", true),
            ("/", "a/b", true),
            ("/a/", "a/b", true),
            ("/a/", "ab", false),
            ("*", "a", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("*a*a*a*a*b", &"a".repeat(1000), false),
        ] {
            let patterns = [(pattern.to_owned(), "x".to_owned())];
            let found = told(name.as_bytes(), &patterns).is_some();
            assert_eq!(found, expected, "{pattern} {name}");
        }
    }

    #[test]
    fn html_is_revalidated_under_every_rule() {
        for rule in [Immutable::Hashed, Immutable::All, Immutable::Never] {
            assert_eq!(
                cache_control(b"a-DiwrgTd4.html", b"text/html; charset=utf-8", rule),
                REVALIDATE
            );
        }
        assert_eq!(
            cache_control(b"a.js", b"text/javascript", Immutable::All),
            YEAR
        );
        assert_eq!(
            cache_control(b"a.js", b"text/javascript", Immutable::Hashed),
            REVALIDATE
        );
        assert_eq!(
            cache_control(b"a.8f2a3b4c.js", b"text/javascript", Immutable::Hashed),
            YEAR
        );
        assert_eq!(
            cache_control(b"a.8f2a3b4c.js", b"text/javascript", Immutable::Never),
            REVALIDATE
        );
    }
}
