//! Project files: a project or a report, which can be shown in full.

use appliance_project::{Colour, Report};

use crate::scratch;

pub(crate) fn fuzz(bytes: &[u8]) {
    match scratch::project(bytes) {
        Ok(loaded) => {
            assert_eq!(loaded.warnings.errors(), 0);
            shown(&loaded.warnings);
            assert!(!loaded.settings.is_empty());
        }
        Err(report) => {
            assert!(report.errors() > 0, "refused without a reason");
            shown(&report);
        }
    }
}

fn shown(report: &Report) {
    let text = report.render(Colour::Plain);
    assert_eq!(text.is_empty(), report.is_empty());
    assert!(!text.contains('\u{1b}'), "an escape sequence: {text}");
    report.render(Colour::Ansi);
}
