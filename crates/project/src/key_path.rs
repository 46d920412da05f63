//! The dotted name of a setting: `python.processes`, `site.0.routes."/api".wsgi`.

use std::fmt;

/// Segments from the top table down; places in a list are decimal numbers from 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyPath(Vec<String>);

impl KeyPath {
    /// A path from its segments.
    pub(crate) fn new<S: Into<String>>(segments: impl IntoIterator<Item = S>) -> KeyPath {
        KeyPath(segments.into_iter().map(Into::into).collect())
    }

    /// The path of `segment` inside the table or list at this path.
    pub(crate) fn join(&self, segment: impl Into<String>) -> KeyPath {
        let mut segments = self.0.clone();
        segments.push(segment.into());
        KeyPath(segments)
    }

    /// The path of the table or list which holds this one.
    pub(crate) fn parent(&self) -> Option<KeyPath> {
        let (_, above) = self.0.split_last()?;
        Some(KeyPath(above.to_vec()))
    }

    /// The segments, outermost first.
    pub fn segments(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, segment) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            match is_bare(segment) {
                true => f.write_str(segment)?,
                false => write!(f, "{}", quoted(segment))?,
            }
        }
        Ok(())
    }
}

/// Whether TOML takes the key without quotes.
fn is_bare(segment: &str) -> bool {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    !segment.is_empty() && segment.bytes().all(bare)
}

/// `text` as a TOML basic string.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// `text` with its control characters escaped, for a message.
pub(crate) fn printable(text: &str) -> String {
    let escaped = |c: char| {
        if c.is_control() {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_that_toml_would_quote_are_quoted() {
        let path = KeyPath::new(["site", "0", "routes", "/a \"b\"", ""]);
        assert_eq!(path.to_string(), r#"site.0.routes."/a \"b\""."""#);
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(quoted("a\0\n\u{1b}"), r#""a\u0000\n\u001B""#);
    }
}
