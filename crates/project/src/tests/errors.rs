//! Every message, compared whole. The cases stand in `errors/*.txt`, as a user would see them:
//!
//! ```text
//! === what the case shows
//! $ APPLIANCE_PYTHON__THREADS=0        (variables and --set flags, if any)
//! threads = 0                          (the project file, followed by the file's common end)
//! ---
//! error: …                             (the whole report)
//! ```
//!
//! `UPDATE=1 cargo test -p appliance-project errors` writes the reports anew, for review.

use std::path::{Path, PathBuf};
use std::{env, fs};

use super::fixture::Shop;

/// One case.
struct Case<'t> {
    name: &'t str,
    sources: &'t str,
    report: &'t str,
}

#[test]
fn every_message_is_as_written_down() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/errors");
    let entries = fs::read_dir(&folder).expect("the cases");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    assert!(
        files.len() >= 5,
        "cases are missing from {}",
        folder.display()
    );
    let changed: Vec<String> = files.iter().filter_map(|file| check(file)).collect();
    assert!(changed.is_empty(), "{}", changed.join("\n"));
}

/// Runs a file's cases; the difference, if there is one.
fn check(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).expect("readable");
    let (end, cases) = parse(&text);
    let mut anew = end.to_owned();
    let mut differences = String::new();
    for case in cases {
        let report = run(case.sources, end);
        anew.push_str(&format!("=== {}\n{}---\n{report}", case.name, case.sources));
        if report.trim_end() != case.report.trim_end() {
            let name = case.name;
            differences.push_str(&format!(
                "case `{name}` expected\n{}\nbut got\n{report}\n",
                case.report
            ));
        }
        anew.push('\n');
    }
    if env::var_os("UPDATE").is_some() {
        fs::write(file, anew).expect("written");
        return None;
    }
    (!differences.is_empty()).then_some(differences)
}

/// The end of every project of the file, and its cases.
fn parse(text: &str) -> (&str, Vec<Case<'_>>) {
    let mut parts = text.split("=== ");
    let end = parts.next().unwrap_or_default();
    let case = |part| {
        let (name, rest) = str::split_once(part, '\n').expect("a case has a name");
        let (sources, report) = rest.split_once("---\n").expect("a case has a report");
        Case {
            name,
            sources,
            report,
        }
    };
    (end, parts.map(case).collect())
}

fn run(sources: &str, end: &str) -> String {
    let shop = Shop::new();
    let (mut variables, mut flags, mut text) = (Vec::new(), Vec::new(), String::new());
    for line in sources.split_inclusive('\n') {
        match line.trim_end_matches('\n').strip_prefix("$ ") {
            None => text.push_str(line),
            Some(flag) if flag.starts_with("--set ") => flags.push(&flag["--set ".len()..]),
            Some(variable) => variables.push(variable.split_once('=').expect("NAME=value")),
        }
    }
    // The first lines of `end` say what the file is about.
    let end = end.split_once("\n\n").map_or("", |(_, end)| end);
    let report = match shop.load(format!("{text}{end}"), &variables, &flags) {
        Ok(loaded) => loaded.warnings.to_string(),
        Err(report) => report.to_string(),
    };
    shop.shown(&report)
}
