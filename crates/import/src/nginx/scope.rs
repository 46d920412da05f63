//! What a level passes down to the levels inside it.

use crate::draft::Line;
use crate::source::Place;

use super::caching::Keeping;
use super::error_pages::ErrorPage;
use super::tree::Directive;

/// The directives in force at a level. nginx's rule: what a level says itself replaces what was
/// passed down.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    /// `root`, resolved.
    pub(crate) root: Option<(String, Place)>,
    /// `index`.
    pub(crate) index: Option<(Vec<String>, Place)>,
    /// How long files are kept.
    pub(crate) keeping: Option<(Keeping, Place)>,
    /// `error_page`, until it is known where its files are.
    pub(crate) pages: Vec<ErrorPage>,
    /// Keys of `[[site]]`, for every site inside.
    pub(crate) site: Vec<Line>,
    /// Keys of `[site.tls]`, likewise.
    pub(crate) tls: Vec<Line>,
    /// Keys of routes, for every route inside that they fit.
    pub(crate) route: Vec<Line>,
    /// What `proxy_ssl_…` say, for the routes to servers of `https://`.
    pub(crate) secure: Vec<Line>,
    /// Whose name `proxy_set_header Host` sends; nginx's default is the server's.
    pub(crate) host: Option<Host>,
    /// Restrictions of access that cannot be carried over.
    pub(crate) guards: Vec<Place>,
    /// The pages of `error_page`: locations that exist for them alone.
    pub(crate) error_pages: Vec<String>,
}

/// Whose name a server is sent in the Host field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Host {
    /// `$host`, `$http_host` and their like.
    Client,
    /// `$proxy_host`
    Server,
}

impl Scope {
    /// Replaces a line of the same key.
    pub(crate) fn put(lines: &mut Vec<Line>, line: Line) {
        lines.retain(|other| other.key != line.key);
        lines.push(line);
    }

    /// Whose name the `proxy_set_header Host` of a block sends. One `proxy_set_header` of any field
    /// replaces all that were passed down.
    pub(crate) fn note_host(&mut self, block: &[Directive]) {
        let mut fields = block
            .iter()
            .filter(|directive| directive.name == "proxy_set_header")
            .peekable();
        if fields.peek().is_none() {
            return;
        }
        let of_host = fields.rfind(|field| field.arg().eq_ignore_ascii_case("host"));
        self.host = of_host.map(|field| match field.args.get(1).map(String::as_str) {
            Some("$proxy_host") => Host::Server,
            _ => Host::Client,
        });
    }

    /// The pages that `error_page` directives of a block name.
    pub(crate) fn note_error_pages(&mut self, block: &[Directive]) {
        let pages = block
            .iter()
            .filter(|directive| directive.name == "error_page");
        let pages = pages.filter_map(|directive| directive.args.last());
        self.error_pages.extend(pages.cloned());
    }
}
