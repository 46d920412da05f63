//! The part of a request's path below its route → the name of a file below the route's folder.
//!
//! Decoded once, segment by segment, so that `%252e` stays the name `%2e` and an encoded slash
//! never becomes a border. What comes out holds no `..`, no NUL, no empty and no hidden segment;
//! [`super::open`] still makes the kernel refuse whatever would leave the folder.

/// A path below a folder, in its one canonical spelling: decoded, segments joined by single
/// slashes, no slash in front, one at the end if the request asks for a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Below(Vec<u8>);

/// Why a path names no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathError {
    /// `%zz`, `%0`, a NUL: nobody sends this by accident. 400.
    Malformed,
    /// `..` or a name that begins with a dot: 404, whatever the fallback says.
    Hidden,
    /// An encoded slash or a backslash inside a segment: no file is called that, but a client-side
    /// route may be (`/search/a%2Fb`).
    NoFile,
}

impl Below {
    /// Decodes `raw`. `folder` says that the whole path of the request ends with a slash, which
    /// an empty `raw` cannot.
    pub(super) fn parse(raw: &str, folder: bool) -> Result<Below, PathError> {
        let mut path = Vec::with_capacity(raw.len() + 1);
        let mut no_file = false;
        let mut last_is_dot = false;
        for raw_segment in raw.as_bytes().split(|byte| *byte == b'/') {
            let start = path.len();
            if start > 0 {
                path.push(b'/');
            }
            let name_start = path.len();
            decode(raw_segment, &mut path)?;
            let segment = &path[name_start..];
            last_is_dot = segment == b".";
            if segment.is_empty() || last_is_dot {
                path.truncate(start);
                continue;
            }
            // Split at what other systems take for a slash, so that `..%2f` and `..\` are hidden.
            for piece in segment.split(|byte| matches!(byte, b'/' | b'\\')) {
                if piece.first() == Some(&b'.') && piece != b".well-known" {
                    return Err(PathError::Hidden);
                }
            }
            no_file |= segment.iter().any(|byte| matches!(byte, b'/' | b'\\'));
        }
        if no_file {
            return Err(PathError::NoFile);
        }
        // RFC 3986 §5.2.4: `a/.` is `a/`.
        if folder || last_is_dot {
            path.push(b'/');
        }
        Ok(Below(path))
    }

    /// A file's own name, taken as it is.
    pub(super) fn from_name(name: &[u8]) -> Below {
        Below(name.to_vec())
    }

    /// As a cache key.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name to open, without a final slash; empty for the route's folder itself.
    pub(super) fn name(&self) -> &[u8] {
        self.0.strip_suffix(b"/").unwrap_or(&self.0)
    }

    /// Whether the request's path ends with a slash.
    pub(super) fn is_folder(&self) -> bool {
        self.0.ends_with(b"/")
    }
}

fn decode(raw: &[u8], out: &mut Vec<u8>) -> Result<(), PathError> {
    let mut rest = raw.iter();
    while let Some(&byte) = rest.next() {
        let byte = match byte {
            b'%' => {
                let high = hex(rest.next())?;
                let low = hex(rest.next())?;
                high << 4 | low
            }
            byte => byte,
        };
        if byte == 0 {
            return Err(PathError::Malformed);
        }
        out.push(byte);
    }
    Ok(())
}

fn hex(digit: Option<&u8>) -> Result<u8, PathError> {
    digit
        .and_then(|digit| char::from(*digit).to_digit(16))
        .and_then(|value| u8::try_from(value).ok())
        .ok_or(PathError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(raw: &str) -> Result<String, PathError> {
        Below::parse(raw, raw.ends_with('/'))
            .map(|below| String::from_utf8_lossy(below.as_bytes()).into_owned())
    }

    #[test]
    fn paths_have_one_spelling() {
        for (raw, canonical) in [
            ("", ""),
            ("/", "/"),
            ("a.js", "a.js"),
            ("/a.js", "a.js"),
            ("a//b///c", "a/b/c"),
            ("a/./b", "a/b"),
            ("a/.", "a/"),
            ("./", "/"),
            ("a/b/", "a/b/"),
            ("%61.js", "a.js"),
            ("a%20b", "a b"),
            ("%252e%252e/x", "%2e%2e/x"),
            ("a+b", "a+b"),
            ("na%C3%AFve.txt", "naïve.txt"),
            (".well-known/security.txt", ".well-known/security.txt"),
            ("a..b/c..", "a..b/c.."),
        ] {
            assert_eq!(parse(raw).as_deref(), Ok(canonical), "{raw}");
        }
    }

    #[test]
    fn names_need_not_be_utf8() {
        let below = Below::parse("a%ff%fe", false).unwrap();
        assert_eq!(below.as_bytes(), b"a\xff\xfe");
    }

    #[test]
    fn what_names_no_file_is_refused() {
        for (raw, error) in [
            ("..", PathError::Hidden),
            ("a/../b", PathError::Hidden),
            ("%2e%2e/etc/passwd", PathError::Hidden),
            (".%2e/x", PathError::Hidden),
            ("..%2f..%2fetc%2fpasswd", PathError::Hidden),
            ("..%5c..%5cwindows", PathError::Hidden),
            ("a%2f..%2fb", PathError::Hidden),
            ("..\\x", PathError::Hidden),
            (".env", PathError::Hidden),
            (".git/config", PathError::Hidden),
            ("a/%2egit/config", PathError::Hidden),
            (".well-known/.x", PathError::Hidden),
            ("...", PathError::Hidden),
            ("a%2Fb", PathError::NoFile),
            ("a%5Cb", PathError::NoFile),
            ("a\\b", PathError::NoFile),
            ("%", PathError::Malformed),
            ("%4", PathError::Malformed),
            ("%zz", PathError::Malformed),
            ("%+1", PathError::Malformed),
            ("a%00.js", PathError::Malformed),
            ("../%00", PathError::Hidden),
        ] {
            assert_eq!(parse(raw), Err(error), "{raw}");
        }
    }

    #[test]
    fn no_spelling_yields_a_path_that_could_climb() {
        // A fixed linear congruential generator: the same million of spellings every run.
        const PIECES: [&str; 16] = [
            "..", ".", "/", "%2e", "%2E", "%2f", "%5c", "\\", "%", "%25", "a", "%61", "%00", "%ff",
            "//", "é",
        ];
        let mut state: u64 = 2;
        for _ in 0..100_000 {
            let mut raw = String::new();
            for _ in 0..8 {
                state = state
                    .wrapping_mul(6364136223846793005)
                    .wrapping_add(1442695040888963407);
                raw.push_str(PIECES[(state >> 60) as usize]);
            }
            let Ok(below) = Below::parse(&raw, raw.ends_with('/')) else {
                continue;
            };
            assert!(!below.as_bytes().contains(&0), "{raw}");
            assert!(!below.name().starts_with(b"/"), "{raw}");
            for segment in below.name().split(|byte| *byte == b'/') {
                assert!(!segment.starts_with(b"."), "{raw}");
                assert!(!segment.is_empty() || below.name().is_empty(), "{raw}");
            }
        }
    }
}
