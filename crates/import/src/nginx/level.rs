//! One level of the configuration: each directive by its row.

use std::path::PathBuf;

use appliance_project::{Foreign, Kind, kind};

use crate::Import;
use crate::convert::{Bare, Unfit, convert};
use crate::draft::{self, Line};
use crate::fate::Fate;
use crate::report::Verdict;
use crate::source::Place;

use super::backend::Backends;
use super::scope::Scope;
use super::table::{Construct, fate};
use super::tree::Directive;

/// Where a directive stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Outside of every block, and `events`.
    Main,
    /// `http`.
    Http,
    /// `server`.
    Server,
    /// `location`.
    Location,
}

/// Reads a whole configuration.
pub(crate) struct Reader<'a, 'd> {
    pub(crate) import: &'a mut Import<'d>,
    /// From where relative paths count.
    pub(crate) prefix: PathBuf,
    /// From where those of a few directives do.
    pub(crate) conf: PathBuf,
    pub(crate) backends: Backends,
}

impl Reader<'_, '_> {
    /// Reads what stands directly in a level into its scope. Blocks that make sites come last, since
    /// the order of directives means nothing to nginx.
    pub(crate) fn level(&mut self, level: Level, block: &[Directive], scope: &mut Scope) {
        scope.note_error_pages(block);
        scope.note_host(block);
        self.access(level, block, scope);
        self.caching(level, block, scope);
        self.error_pages(block, scope);
        for directive in block.iter().filter(|directive| !is_inner(directive)) {
            self.directive(level, directive, scope);
        }
        for directive in block.iter().filter(|directive| is_inner(directive)) {
            match directive.name.as_str() {
                "http" => {
                    self.row(
                        directive.place,
                        Verdict::Carried,
                        "what holds for all sites",
                    );
                    self.level(Level::Http, directive.inner(), &mut scope.clone());
                }
                "events" => {
                    self.row(directive.place, Verdict::Carried, "see its lines");
                    self.level(Level::Main, directive.inner(), &mut scope.clone());
                }
                "server" if level == Level::Http => self.server(directive, scope),
                _ => self.row(
                    directive.place,
                    Verdict::Missing,
                    "stands where nginx does not read it",
                ),
            }
        }
    }

    /// One directive that is not a block of sites.
    pub(crate) fn directive(&mut self, level: Level, directive: &Directive, scope: &mut Scope) {
        let place = directive.place;
        match fate(&directive.name) {
            Fate::Key(foreign) => self.key(level, directive, foreign, scope),
            Fate::Construct(construct) => self.construct(level, construct, directive, scope),
            Fate::Default(text) => self.row(place, Verdict::Default, text),
            Fate::NotNeeded(text) => self.row(place, Verdict::NotNeeded, text),
            Fate::Missing(text) => self.row(place, Verdict::Missing, text),
            Fate::Guard(text) => self.guard(place, text, scope),
            Fate::Unknown => self.row(
                place,
                Verdict::Missing,
                "the importer does not know it: see whether you need it",
            ),
        }
    }

    /// A restriction that has no counterpart: what it guards is written as a comment.
    pub(crate) fn guard(&mut self, place: Place, text: &str, scope: &mut Scope) {
        scope.guards.push(place);
        let text =
            format!("{text}, which cannot be carried over: its routes are written as comments");
        self.row(place, Verdict::Trap, text);
    }

    /// A directive that the table of keys has.
    fn key(&mut self, level: Level, directive: &Directive, foreign: Foreign, scope: &mut Scope) {
        let Foreign::Key {
            header,
            name,
            kind: of,
        } = foreign
        else {
            return;
        };
        // One directive for both; the routes of other servers take it from there.
        let of_application = kind("[python]", "request_timeout");
        let (header, name, of) = match (directive.name.as_str(), of_application) {
            ("proxy_read_timeout", Some(of)) => ("[python]", "request_timeout", of),
            _ => (header, name, of),
        };
        let mut words = words(directive);
        // Those of certificates count from the configuration's own folder.
        let path = self.conf.join(directive.arg()).display().to_string();
        if matches!((of, words.as_slice()), (Kind::Path, [_])) {
            words = vec![&path];
        }
        self.set(level, directive, (header, name, of), &words, scope);
    }

    /// Sets a key by these words, where the level has it set.
    pub(crate) fn set(
        &mut self,
        level: Level,
        directive: &Directive,
        (header, name, of): (&'static str, &'static str, Kind),
        words: &[&str],
        scope: &mut Scope,
    ) {
        let place = directive.place;
        let converted = match convert(of, words, Bare::Bytes) {
            Ok(converted) => converted,
            Err(unfit) => return self.unfit(place, header, name, &unfit),
        };
        // A location has keys of its own, some of them under the name that a site or `[python]` has.
        let in_route = kind("[site.routes]", name).is_some();
        if in_route && (level == Level::Location || header == "[site.routes]") {
            let shown = format!("`{name} = {}` of its route", draft::plain(&converted.value));
            let row = self.import.report.row(place, Verdict::Carried, shown);
            Scope::put(
                &mut scope.route,
                Line::inherited(name, converted, place, row),
            );
        } else if header == "[site.tls]" {
            let shown = format!("`site.tls.{name} = {}`", draft::plain(&converted.value));
            let row = self.import.report.row(place, Verdict::Carried, shown);
            let line = Line::inherited(name, converted, place, row);
            Scope::put(&mut scope.tls, line);
        } else if header == "[[site]]" && level == Level::Location {
            let text = format!("`{name}` is one for the whole site: it would hold for every route");
            self.row(place, Verdict::Missing, text);
        } else if header == "[[site]]" {
            let shown = format!("`site.{name} = {}`", draft::plain(&converted.value));
            let row = self.import.report.row(place, Verdict::Carried, shown);
            Scope::put(
                &mut scope.site,
                Line::inherited(name, converted, place, row),
            );
        } else {
            let import = &mut *self.import;
            let says = (&mut import.report, &import.sources);
            match import.draft.table(header) {
                Some(table) => table.set((header, name), converted, place, says),
                None => {
                    let text = format!("write `{name}` of {header} by hand");
                    self.row(place, Verdict::Missing, text);
                }
            }
        }
    }

    /// Says why a directive has no value here.
    pub(crate) fn unfit(&mut self, place: Place, header: &str, name: &str, unfit: &Unfit) {
        let key = format!("{}.{name}", draft::path(header));
        let text = match unfit {
            Unfit::Form(found) => {
                format!("`{found}` is no value that `{key}` takes: write it by hand")
            }
            Unfit::Range(range) => format!("`{key}` takes {range}: its default holds"),
            Unfit::Complex => format!("write `{key}` by hand: see docs/project-file.md"),
        };
        self.row(place, Verdict::Missing, text);
    }

    /// A line of the report.
    pub(crate) fn row(&mut self, place: Place, verdict: Verdict, text: impl Into<String>) {
        self.import.report.row(place, verdict, text);
    }

    /// Constructs that mean the same at every level; the others by the level that has them.
    fn construct(
        &mut self,
        level: Level,
        construct: Construct,
        directive: &Directive,
        scope: &mut Scope,
    ) {
        match construct {
            Construct::AddHeader => self.add_header(level, directive, scope),
            Construct::LimitExcept => self.limit_except(level, directive, scope),
            Construct::VerifyClient => self.verify_client(level, directive, scope),
            Construct::User => self.user(directive),
            Construct::Root => self.root(directive, scope),
            Construct::Index => self.index(directive, scope),
            Construct::ClientMaxBodySize => self.body_size(level, directive, scope),
            // `access`, `caching` and `error_pages` have looked at all of a level's together.
            Construct::Access | Construct::ErrorPage | Construct::Expires => {}
            Construct::LimitReq => self.limit_req(level, directive, scope),
            Construct::ErrorLog => self.error_log(level, directive, scope),
            Construct::Gzip => self.compression(level, directive, scope),
            Construct::Charset => self.charset(level, directive, scope),
            Construct::Types => self.types(level, directive, scope),
            Construct::HideHeader => self.hide_header(level, directive, scope),
            Construct::KeepaliveTimeout => self.keepalive_timeout(level, directive, scope),
            Construct::LargeHeaders => self.large_headers(level, directive, scope),
            Construct::LimitConn => self.limit_conn(level, directive, scope),
            Construct::Map => self.map(directive),
            Construct::Params => self.params(directive),
            Construct::ProxySsl => self.proxy_ssl(directive, scope),
            Construct::RealIpHeader => self.real_ip_header(directive),
            Construct::TempPath => self.temp_path(level, directive, scope),
            Construct::Upstream => self.upstream(directive),
            Construct::WorkerProcesses => self.worker_processes(directive),
            Construct::If => self.condition(directive),
            // Read by `server` and `location` themselves, before they come here with the rest.
            Construct::Alias
            | Construct::Backend
            | Construct::Internal
            | Construct::Listen
            | Construct::Location
            | Construct::Return
            | Construct::Rewrite
            | Construct::ServerName
            | Construct::TryFiles => {
                self.row(
                    directive.place,
                    Verdict::Missing,
                    "stands where nginx does not read it",
                );
            }
        }
    }
}

/// Whether sites lie inside.
fn is_inner(directive: &Directive) -> bool {
    matches!(directive.name.as_str(), "http" | "events" | "server") && directive.block.is_some()
}

/// The arguments.
pub(crate) fn words(directive: &Directive) -> Vec<&str> {
    directive.args.iter().map(String::as_str).collect()
}
