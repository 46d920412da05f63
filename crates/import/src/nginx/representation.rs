//! What becomes of bodies: `gzip`, `charset`, `types`.

use toml_edit::{InlineTable, Value};

use crate::convert::{Converted, flag};
use crate::draft::Line;
use crate::report::Verdict;

use super::level::{Level, Reader};
use super::scope::Scope;
use super::tree::Directive;

impl Reader<'_, '_> {
    /// `gzip`, `brotli` and `zstd`: one key for all of them.
    pub(super) fn compression(&mut self, level: Level, directive: &Directive, scope: &mut Scope) {
        let place = directive.place;
        let is_on = flag(directive.arg()).unwrap_or_default();
        let is_site_on = scope.site.iter().any(|line| line.key == "compress");
        let key = |value: bool| said("compress", value.into(), directive);
        match (is_on, level) {
            (true, Level::Location) => Scope::put(&mut scope.route, key(true)),
            (true, _) => Scope::put(&mut scope.site, key(true)),
            (false, Level::Location) if is_site_on => Scope::put(&mut scope.route, key(false)),
            // Of a server, or one of brotli's where gzip is on.
            (false, _) if is_site_on && directive.name == "gzip" => {
                scope.site.retain(|line| line.key != "compress");
            }
            _ => {
                let text = "nothing is compressed on the fly unless `compress` says so";
                return self.row(place, Verdict::Default, text);
            }
        }
        let text = match is_on {
            true => {
                "`compress = true`: what gains by it, in gzip, br or zstd; about secrets in pages see SECURITY.md"
            }
            false => "`compress = false`",
        };
        self.row(place, Verdict::Carried, text);
    }

    pub(super) fn charset(&mut self, level: Level, directive: &Directive, scope: &mut Scope) {
        let name = directive.arg();
        let is_token = |c: char| c.is_ascii_alphanumeric() || "-_.:+".contains(c);
        let value: Value = match name {
            _ if name.eq_ignore_ascii_case("utf-8") => {
                let text = "text files are sent as UTF-8";
                return self.row(directive.place, Verdict::Default, text);
            }
            "off" => false.into(),
            _ if name.is_empty() || !name.chars().all(is_token) => {
                let text = "`charset` takes a name: write it by hand";
                return self.row(directive.place, Verdict::Missing, text);
            }
            name => name.into(),
        };
        let text = format!("`charset = {}` of its files", crate::draft::plain(&value));
        self.row(directive.place, Verdict::Carried, text);
        Scope::put(lines(level, scope), said("charset", value, directive));
    }

    /// A table that stands in the configuration itself; mime.types is built in.
    pub(super) fn types(&mut self, level: Level, directive: &Directive, scope: &mut Scope) {
        let mut table = InlineTable::new();
        for inner in directive.inner() {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_+".contains(c);
            let fit = |word: &&String| !word.is_empty() && word.chars().all(plain);
            let is_type = inner.name.split('/').count() == 2
                && inner.name.chars().all(|c| plain(c) || "/.".contains(c))
                && !inner.name.starts_with('/')
                && !inner.name.ends_with('/');
            let extensions: Vec<_> = inner.args.iter().filter(fit).collect();
            if !is_type || extensions.len() < inner.args.len() {
                let text = "`types` takes a type for an extension without dots";
                self.row(inner.place, Verdict::Missing, text);
                continue;
            }
            for extension in extensions {
                table.insert(format!(".{extension}"), inner.name.as_str().into());
            }
            self.row(inner.place, Verdict::Carried, "belongs to its `types`");
        }
        if table.is_empty() {
            let text = "the types that are built in are added to, never taken away";
            return self.row(directive.place, Verdict::Missing, text);
        }
        let text = "`types` of its files, before those that are built in";
        self.row(directive.place, Verdict::Carried, text);
        Scope::put(lines(level, scope), said("types", table.into(), directive));
    }
}

/// Where a level's keys go.
pub(super) fn lines(level: Level, scope: &mut Scope) -> &mut Vec<Line> {
    match level {
        Level::Location => &mut scope.route,
        _ => &mut scope.site,
    }
}

fn said(key: &str, value: Value, directive: &Directive) -> Line {
    Line::said(key, Converted { value, rank: None }, directive.place)
}
