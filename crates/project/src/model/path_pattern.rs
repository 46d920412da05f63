//! Paths that are told by a regular expression.

use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// Bytes that an expression may take when it is compiled; the usual takes a few thousand.
const COMPILED_BYTES: usize = 1 << 20;

/// `"~ ^/user/(\d+)$"`, or `"~* …"` for any case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathPattern {
    /// The expression.
    pub text: String,
    /// `~*`: upper and lower case are the same.
    pub any_case: bool,
}

impl PathPattern {
    /// The expression, ready to match. On bytes, as nginx's: paths need not be UTF-8, and what is
    /// not must not slip past a `.`. `\w` and the like are ASCII.
    ///
    /// # Errors
    /// When it is none, or a monster.
    pub fn compile(&self) -> Result<Regex, regex::Error> {
        RegexBuilder::new(&self.text)
            .unicode(false)
            .case_insensitive(self.any_case)
            .size_limit(COMPILED_BYTES)
            .build()
    }
}
