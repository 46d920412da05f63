//! The effective settings, as a table that is itself TOML.

use crate::Loaded;
use crate::key_path::KeyPath;

/// A setting in force, for `appliance check --show`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its full name, as `--set` takes it.
    pub key: KeyPath,
    /// Its value in TOML: paths absolute, `"auto"` resolved.
    pub value: String,
    /// Who set it: `default`, `project.toml:12`, `environment APPLIANCE_…`, `--set`.
    pub layer: String,
}

/// Values longer than this do not push every other line's comment to the right.
const WIDEST: usize = 64;

/// One line a setting, `key = value  # layer`, in columns.
pub fn show(loaded: &Loaded) -> String {
    let lines = || {
        loaded
            .settings
            .iter()
            .map(|s| (s.key.to_string(), s.value.as_str(), s.layer.as_str()))
    };
    let width = |text: &str| text.chars().count();
    let keys = lines().map(|(key, ..)| width(&key)).max().unwrap_or(0);
    let values = lines()
        .map(|(_, value, _)| width(value))
        .filter(|w| *w <= WIDEST)
        .max()
        .unwrap_or(0);
    let lines =
        lines().map(|(key, value, layer)| format!("{key:keys$} = {value:values$}  # {layer}\n"));
    lines.collect()
}
