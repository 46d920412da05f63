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
    /// Restrictions of access that cannot be carried over.
    pub(crate) guards: Vec<Place>,
    /// The pages of `error_page`: locations that exist for them alone.
    pub(crate) error_pages: Vec<String>,
}

impl Scope {
    /// Replaces a line of the same key.
    pub(crate) fn put(lines: &mut Vec<Line>, line: Line) {
        lines.retain(|other| other.key != line.key);
        lines.push(line);
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
