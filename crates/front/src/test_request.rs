//! Requests for unit tests.

use appliance_message::{Head, Limits, parse};

/// A GET for `path` with these fields.
pub(crate) fn request(path: &str, fields: &[(&str, &str)]) -> Head {
    let mut text = format!("GET {path} HTTP/1.1\r\n");
    for (name, value) in fields {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let limits = Limits {
        bytes: 64 << 10,
        fields: 100,
    };
    let parsed = parse(text.as_bytes(), &mut 0, limits);
    parsed.expect("a request").expect("a whole request").0
}
