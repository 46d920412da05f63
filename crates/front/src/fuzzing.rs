//! What `tests/fuzz` calls and nothing else may: the steps of a request from Host and path to the
//! folder that answers, and the reading of a Range.
//!
//! They are internal, and public modules for the sake of a test would make promises of them. So
//! there is this one narrow door, compiled only with the feature `fuzzing`, which no other crate
//! of the workspace asks for. It decides nothing: each function calls what requests go through.

use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use appliance_message::Head;
use appliance_project::model;
use appliance_project::tickets::TicketSecret;

use crate::files::{Cache, Folder, range_of};
use crate::request_path;
use crate::route::{Handler, Match};
use crate::site::{ListenAt, Sites};
use crate::tls::Tickets;

/// A path in the form that routes compare; none if it is malformed.
pub fn normalize(path: &[u8]) -> Option<String> {
    let normal = request_path::normalize(path).ok()?;
    Some(normal.into_owned())
}

/// The part of a file of `len` bytes that a Range field gets; none for the whole file, and for
/// what cannot be satisfied.
pub fn range(field: &[u8], len: u64) -> Option<Range<u64>> {
    range_of(field, len)
}

/// The sites of one address.
#[derive(Debug)]
pub struct Listener(Arc<Sites>);

/// Where a request leads.
#[derive(Debug)]
pub enum Found<'a> {
    /// 400: the Host field.
    BadHost,
    /// 400: the path.
    Malformed,
    /// 404.
    Nothing,
    /// A redirect to the path with a slash.
    AddSlash,
    /// The application. The route's body limit tells which route it was.
    Application(u64),
    /// A redirect or rewrite to there, if there is somewhere.
    Elsewhere(Option<String>),
    /// An answer with this status.
    Status(u16),
    /// Other servers.
    OtherServers,
    /// A folder, and the rest of the path for [`Folder::reply`].
    Files(&'a Folder, String),
}

impl Listener {
    /// The address that the first of `sites` names first; none if it names none.
    pub fn new(sites: &[model::Site]) -> Option<Listener> {
        const CACHE_BYTES: usize = 1 << 20;
        let address = sites.first()?.listen.first()?;
        let tickets = Tickets::new(TicketSecret::new(SystemTime::now()).ok()?);
        let cache = Arc::new(Cache::new(CACHE_BYTES));
        let listeners = Sites::by_listener(sites, &cache, &tickets).ok()?;
        listeners
            .get(&ListenAt::Address(*address))
            .cloned()
            .map(Listener)
    }

    /// Host and path → who answers.
    pub fn find(&self, head: &Head) -> Found<'_> {
        let Ok(site) = self.0.find(head) else {
            return Found::BadHost;
        };
        let Ok(path) = request_path::normalize(head.path()) else {
            return Found::Malformed;
        };
        match site.routes.find(&path) {
            Match::Route(route, prefix) => match &route.handler {
                Handler::Files(folder) | Handler::FilesThenWsgi(folder, _) => {
                    Found::Files(folder, path[prefix..].to_owned())
                }
                Handler::Wsgi(bounds) => Found::Application(bounds.body_limit_bytes),
                Handler::Redirect(_, place) | Handler::Rewrite(place) => {
                    Found::Elsewhere(place.expand(head, &path).ok())
                }
                Handler::Respond(status, _) => Found::Status(status.as_u16()),
                Handler::Proxy(_) => Found::OtherServers,
            },
            Match::AddSlash => Found::AddSlash,
            Match::Nothing => Found::Nothing,
        }
    }
}
