//! `error_page`: which file is sent for which status. Its path is one of the server's, so the file
//! is where the location of that path has it.

use std::path::Path;

use toml_edit::{InlineTable, Value};

use crate::convert::Converted;
use crate::draft::{Line, plain};
use crate::report::{RowId, Verdict};
use crate::source::Place;

use super::caching::passes;
use super::level::Reader;
use super::scope::Scope;
use super::tree::Directive;

/// A page whose file is not known yet: each server has its own folders.
#[derive(Debug, Clone)]
pub(crate) struct ErrorPage {
    statuses: Vec<String>,
    path: String,
    place: Place,
    row: RowId,
}

impl Reader<'_, '_> {
    /// The pages that stand directly in a block. They replace those of the blocks around it.
    pub(super) fn error_pages(&mut self, block: &[Directive], scope: &mut Scope) {
        let is_page = |directive: &&Directive| directive.name == "error_page";
        let pages: Vec<_> = block.iter().filter(is_page).collect();
        if pages.is_empty() {
            return;
        }
        scope.pages.clear();
        for directive in pages {
            let text = match read(directive) {
                Ok((statuses, path)) => {
                    let text = "no server has it";
                    let row = self
                        .import
                        .report
                        .row(directive.place, Verdict::Missing, text);
                    scope.pages.push(ErrorPage {
                        statuses,
                        path,
                        place: directive.place,
                        row,
                    });
                    continue;
                }
                Err(text) => text,
            };
            self.row(directive.place, Verdict::Missing, text);
        }
    }

    /// The line of a site or route, as far as the pages can be found.
    pub(super) fn pages_line(&mut self, all: &[&Directive], scope: &Scope) -> Option<Line> {
        let mut table = InlineTable::new();
        let mut place = None;
        for page in &scope.pages {
            let file = match self.file_of(&page.path, all, scope) {
                Ok(file) => file,
                Err(text) => {
                    self.import.report.correct(page.row, Verdict::Missing, text);
                    continue;
                }
            };
            for status in &page.statuses {
                table.insert(status, file.as_str().into());
            }
            let text = format!(
                "`error_pages`, \"{file}\", for those who ask for HTML; scripts get one line of text"
            );
            self.import.report.correct(page.row, Verdict::Carried, text);
            place = Some(page.place);
        }
        let value = Value::InlineTable(table);
        place.map(|place| Line::said("error_pages", Converted { value, rank: None }, place))
    }

    /// Pages for the application's errors mean nothing where there are none.
    pub(super) fn drop_intercept(&mut self, lines: &mut Vec<Line>) {
        let is_on = |line: &Line| line.key == "intercept" && plain(&line.converted.value) == "true";
        for line in lines.iter().filter(|line| is_on(line)) {
            if let Some(row) = line.row {
                let text = "there are no pages to send in the place of the application's";
                self.import.report.correct(row, Verdict::Default, text);
            }
        }
        lines.retain(|line| !is_on(line));
    }

    fn file_of(&self, path: &str, all: &[&Directive], scope: &Scope) -> Result<String, String> {
        let matching = |location: &&&Directive| {
            let args: Vec<&str> = location.args.iter().map(String::as_str).collect();
            match args.as_slice() {
                ["=", exact] => (*exact == path).then_some(usize::MAX),
                ["^~", prefix] | [prefix] => path.starts_with(prefix).then_some(prefix.len()),
                _ => None,
            }
        };
        let location = all
            .iter()
            .filter_map(|location| matching(&location).map(|len| (len, *location)))
            .max_by_key(|(len, _)| *len)
            .map(|(_, location)| location);
        let inner = location.map_or(&[][..], |location| location.inner());
        let find = |name: &str| inner.iter().rfind(|directive| directive.name == name);
        if passes(inner) {
            return Err(format!(
                "`{path}` was answered by the application; here a page is a file"
            ));
        }
        let is_exact = location.is_some_and(|location| location.arg() == "=");
        let file = match (find("alias"), find("root"), &scope.root) {
            (Some(alias), ..) if is_exact => self.resolve(alias.arg()),
            (Some(alias), ..) => {
                let prefix = location.and_then(|location| location.args.last());
                let below = path
                    .get(prefix.map_or(0, String::len)..)
                    .unwrap_or_default();
                below_folder(&self.resolve(alias.arg()), below)
            }
            (_, Some(root), _) => below_folder(&self.resolve(root.arg()), path),
            (.., Some((root, _))) => below_folder(root, path),
            _ => return Err(format!("nothing says in which folder `{path}` lies")),
        };
        let disk = self.import.disk;
        match disk.exists(Path::new(&file)) && !disk.is_folder(Path::new(&file)) {
            true => Ok(file),
            // A server with a page that is not there would not start; nginx sent its own.
            false => Err(format!(
                "there is no file `{file}` here: `error_pages` names it when there is one"
            )),
        }
    }
}

fn below_folder(folder: &str, path: &str) -> String {
    format!(
        "{}/{}",
        folder.trim_end_matches('/'),
        path.trim_start_matches('/')
    )
}

/// Statuses and a path; or why there is no such page.
fn read(directive: &Directive) -> Result<(Vec<String>, String), String> {
    let Some((path, words)) = directive.args.split_last() else {
        return Err("it names nothing".to_owned());
    };
    if words.iter().any(|word| word.starts_with('=')) {
        return Err(
            "an error keeps its status: `fallback` answers page loads, `respond` a route"
                .to_owned(),
        );
    }
    if path.contains('$') || !path.starts_with('/') {
        return Err(format!("`{path}` is no file: a page is one"));
    }
    // From 494 on they are nginx's own, which clients never see.
    let is_error = |word: &&String| {
        let status = word.parse::<u16>();
        status.is_ok_and(|status| matches!(status, 400..=493 | 500..=599))
    };
    let statuses: Vec<String> = words.iter().filter(is_error).cloned().collect();
    match statuses.is_empty() {
        true => Err("its status is none of an error that clients see".to_owned()),
        false => Ok((statuses, path.clone())),
    }
}
