//! What goes wrong, on standard error: the message, the setting at fault, what to do.

use std::fmt::Write;
use std::io::IsTerminal;

use anstyle::{AnsiColor, Style};
use appliance_project::{Colour, Loaded, Report, Setting};
use appliance_supervisor::StartError;

const ERROR: Style = AnsiColor::BrightRed.on_default().bold();
const HINT: Style = AnsiColor::BrightCyan.on_default().bold();
const PLACE: Style = AnsiColor::BrightBlue.on_default().bold();

/// A project file with errors.
pub(crate) fn report(report: &Report) {
    let colour = if std::io::stderr().is_terminal() {
        Colour::Ansi
    } else {
        Colour::Plain
    };
    // anstream takes the colours out again where `NO_COLOR` or the like asks for it.
    anstream::eprint!("{}", report.render(colour));
}

/// Warnings of a project file without errors.
pub(crate) fn warn(warnings: &Report) {
    if !warnings.is_empty() {
        report(warnings);
    }
}

/// A server that did not start.
pub(crate) fn show(error: &StartError, loaded: &Loaded) {
    anstream::eprint!("{}", text(error, loaded));
}

/// ```text
/// error: cannot import `shop.wsgi:application`: no module named `shop`
///  --> project.toml:3: python.module = "shop.wsgi"
/// hint: `python.chdir` is the folder which holds `shop/`
/// ```
fn text(error: &StartError, loaded: &Loaded) -> String {
    let mut text = format!("{ERROR}error{ERROR:#}: {error}\n");
    let key = error.key(&loaded.project).unwrap_or_default();
    let setting = loaded
        .settings
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
