//! A failure as people read it: Python's traceback, the message, the setting at fault, what to do.
//!
//! ```text
//! error: cannot import `shop.wsgi:application`: no module named `shop`
//!  --> project.toml:3: python.module = "shop.wsgi"
//! hint: `python.chdir` is the folder which holds `shop/`
//! ```

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use appliance_project::{Project, Setting};

use crate::error::{StartError, WorkerFailure};

const ERROR: Style = AnsiColor::BrightRed.on_default().bold();
const HINT: Style = AnsiColor::BrightCyan.on_default().bold();
const PLACE: Style = AnsiColor::BrightBlue.on_default().bold();

/// The message, the setting and the hint, in colours.
pub fn explain(error: &StartError, project: &Project, settings: &[Setting]) -> String {
    let mut text = format!("{ERROR}error{ERROR:#}: {error}\n");
    let key = error.key(project).unwrap_or_default();
    let setting = settings
        .iter()
        .find(|setting| setting.key.to_string() == key);
    // Writing to a string cannot fail.
    if let Some(Setting { value, layer, .. }) = setting {
        let _ = writeln!(text, " {PLACE}-->{PLACE:#} {layer}: {key} = {value}");
    }
    if let Some(hint) = error.hint() {
        let _ = writeln!(text, "{HINT}hint{HINT:#}: {hint}");
    }
    text
}

/// The same without colours.
pub(crate) fn plain(error: &StartError, project: &Project, settings: &[Setting]) -> String {
    let text = explain(error, project, settings);
    anstream::adapter::strip_str(&text).to_string()
}

/// Python's traceback, if that is what there is to see.
pub(crate) fn traceback(error: &StartError) -> Option<&str> {
    match error {
        StartError::Worker(WorkerFailure::Reported { traceback, .. }) => traceback.as_deref(),
        _ => None,
    }
}
