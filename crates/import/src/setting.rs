//! A setting of an application server, wherever it was written: uwsgi.ini, a command line, JSON.

use crate::source::Place;

/// A name and a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) name: String,
    /// Nothing for a name that stands alone.
    pub(crate) value: Option<String>,
    pub(crate) place: Place,
}

impl Setting {
    /// The value, or nothing.
    pub(crate) fn text(&self) -> &str {
        self.value.as_deref().unwrap_or_default()
    }
}
