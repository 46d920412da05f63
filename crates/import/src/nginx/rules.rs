//! What holds for a request or a response whoever answers: `add_header`, `limit_except`, `user`.

use appliance_project::kind;
use toml_edit::{InlineTable, Value};

use crate::convert::{Converted, list};
use crate::draft::Line;
use crate::report::Verdict;

use super::level::{Level, Reader};
use super::scope::Scope;
use super::tree::Directive;

impl Reader<'_, '_> {
    /// nginx forgets the fields of a server where a location adds one of its own; here both hold.
    pub(super) fn add_header(&mut self, level: Level, directive: &Directive, scope: &mut Scope) {
        let place = directive.place;
        let [name, value, ..] = directive.args.as_slice() else {
            return self.row(place, Verdict::Missing, "needs a name and a value");
        };
        if value.contains('$') {
            let text = "a field has one value: let the application send it";
            return self.row(place, Verdict::Missing, text);
        }
        if name.eq_ignore_ascii_case("cache-control")
            && value.contains("max-age") | value.contains("immutable")
        {
            let text = "files with a hash in their name are kept for a year, others asked about by their validators; see `immutable`";
            return self.row(place, Verdict::Default, text);
        }
        let lines = match level {
            Level::Location => &mut scope.route,
            _ => &mut scope.site,
        };
        let old = lines.iter().find(|line| line.key == "headers");
        let mut fields = match old.map(|line| &line.converted.value) {
            Some(Value::InlineTable(fields)) => fields.clone(),
            _ => InlineTable::new(),
        };
        fields.insert(name, value.as_str().into());
        let value = Value::InlineTable(fields);
        let line = Line::said("headers", Converted { value, rank: None }, place);
        Scope::put(lines, line);
        let whose = if level == Level::Location {
            "route"
        } else {
            "site"
        };
        let text = format!("`headers` of its {whose}, on every response");
        self.row(place, Verdict::Carried, text);
    }

    /// `limit_except GET { deny all; }`: GET brings HEAD with it.
    pub(super) fn limit_except(&mut self, level: Level, directive: &Directive, scope: &mut Scope) {
        let denies = |inner: &Directive| inner.name == "deny" && inner.arg() == "all";
        let denies_all = directive.inner().iter().all(denies) && !directive.inner().is_empty();
        if !denies_all || level != Level::Location {
            return self.guard(directive.place, "methods were restricted here", scope);
        }
        for inner in directive.inner() {
            self.row(
                inner.place,
                Verdict::Carried,
                "belongs to its `limit_except`",
            );
        }
        let mut methods: Vec<&str> = directive.args.iter().map(String::as_str).collect();
        if methods.contains(&"GET") && !methods.contains(&"HEAD") {
            methods.push("HEAD");
        }
        let converted = Converted {
            value: list(&methods),
            rank: None,
        };
        let line = Line::said("methods", converted, directive.place);
        Scope::put(&mut scope.route, line);
        self.row(directive.place, Verdict::Carried, "`methods` of its route");
    }

    /// A certificate that visitors have to show.
    pub(super) fn verify_client(&mut self, level: Level, directive: &Directive, scope: &mut Scope) {
        let word = match directive.arg() {
            "on" => "required",
            word @ ("optional" | "off") => word,
            _ => "",
        };
        match kind("[site.tls]", "client_certificate") {
            Some(of) if !word.is_empty() => {
                let key = ("[site.tls]", "client_certificate", of);
                self.set(level, directive, key, &[word], scope);
            }
            _ if word == "off" => {
                self.row(directive.place, Verdict::Default, "nobody is asked for one")
            }
            _ => self.guard(
                directive.place,
                "visitors had to show a certificate here",
                scope,
            ),
        }
    }

    /// nginx's user read files; the application had one of its own.
    pub(super) fn user(&mut self, directive: &Directive) {
        let place = directive.place;
        if self.import.draft.server.get("user").is_some() {
            let text = "files are sent by the application's processes, as `server.user`";
            return self.row(place, Verdict::Default, text);
        }
        if self.import.python.has_user {
            let text = "the service's own user runs everything: see that it may read the files";
            return self.row(place, Verdict::Default, text);
        }
        if self.import.python.program.is_some() {
            let text = format!(
                "nginx read files as `{}`, the application ran as whoever started it: set `server.user` to one who may do both",
                directive.arg()
            );
            return self.row(place, Verdict::Trap, text);
        }
        for (name, word) in ["user", "group"].into_iter().zip(&directive.args) {
            if let Some(of) = kind("[server]", name) {
                let key = ("[server]", name, of);
                self.set(Level::Main, directive, key, &[word], &mut Scope::default());
            }
        }
    }
}
