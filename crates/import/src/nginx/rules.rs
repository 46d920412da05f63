//! What holds for a request or a response whoever answers: `add_header`, `limit_except`, `user`.

use appliance_project::kind;
use toml_edit::{InlineTable, Value};

use crate::convert::{Converted, list};
use crate::draft::Line;
use crate::report::Verdict;

use super::caching::{HASHED, is_cache_control};
use super::level::{Level, Reader};
use super::representation::lines;
use super::scope::Scope;
use super::tree::Directive;

/// Fields of which a response may have several.
const ADDED: [&str; 4] = ["link", "server-timing", "set-cookie", "vary"];
/// Those that say where a message ends; nobody but the server sends them.
const FRAMING: [&str; 6] = [
    "connection",
    "content-length",
    "keep-alive",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

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
        if value.is_empty() {
            return self.row(place, Verdict::Default, "an empty field is not sent");
        }
        if !is_field(name, value) {
            let text = "`headers` takes no such field";
            return self.row(place, Verdict::Missing, text);
        }
        if level != Level::Location
            && is_cache_control(directive)
            && value.contains("max-age") | value.contains("immutable")
        {
            return self.row(place, Verdict::Default, format!("{HASHED}; see `cache`"));
        }
        // Of these there may be several, the application's among them.
        let is_added = ADDED.iter().any(|one| name.eq_ignore_ascii_case(one));
        let value = match is_added {
            true => Value::from_iter([("add", value.as_str())]),
            false => value.as_str().into(),
        };
        let replaced = field(level, (name, value), directive, scope);
        let whose = match level {
            Level::Location => "route",
            _ => "site",
        };
        let text = match replaced {
            true => format!("`headers` of its {whose}, in the place of the line before it"),
            false => format!("`headers` of its {whose}, on every response"),
        };
        self.row(place, Verdict::Carried, text);
    }

    /// `uwsgi_hide_header X-Powered-By`: nobody sends it any more.
    pub(super) fn hide_header(&mut self, level: Level, directive: &Directive, scope: &mut Scope) {
        let name = directive.arg();
        if !is_field(name, "") {
            let text = "`headers` takes no such field";
            return self.row(directive.place, Verdict::Missing, text);
        }
        let said = lines(level, scope)
            .iter()
            .filter(|line| line.key == "headers");
        let is_set = |line: &Line| match &line.converted.value {
            Value::InlineTable(fields) => (fields.iter()).any(|(known, value)| {
                known.eq_ignore_ascii_case(name) && value.as_bool().is_none()
            }),
            _ => false,
        };
        // nginx hides the application's and adds its own.
        if said.into_iter().any(is_set) {
            let text = "`headers` sets it, in the place of the application's";
            return self.row(directive.place, Verdict::Carried, text);
        }
        field(level, (name, false.into()), directive, scope);
        let text = format!("`headers = {{ {name} = false }}`");
        self.row(directive.place, Verdict::Carried, text);
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

/// Sets a field of a level's `headers`; true if one of that name was there.
fn field(
    level: Level,
    (name, value): (&str, Value),
    directive: &Directive,
    scope: &mut Scope,
) -> bool {
    let lines = lines(level, scope);
    let old = lines.iter().find(|line| line.key == "headers");
    let mut fields = match old.map(|line| &line.converted.value) {
        Some(Value::InlineTable(fields)) => fields.clone(),
        _ => InlineTable::new(),
    };
    let known = fields.iter().map(|(known, _)| known.to_owned());
    let same = known.filter(|known| known.eq_ignore_ascii_case(name));
    let same: Vec<_> = same.collect();
    for known in &same {
        fields.remove(known);
    }
    fields.insert(name, value);
    let value = Value::InlineTable(fields);
    let converted = Converted { value, rank: None };
    Scope::put(lines, Line::said("headers", converted, directive.place));
    !same.is_empty()
}

fn is_field(name: &str, value: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !name.is_empty()
        && name.bytes().all(inside)
        && !FRAMING.iter().any(|own| name.eq_ignore_ascii_case(own))
        && !value.bytes().any(|byte| byte.is_ascii_control())
}
