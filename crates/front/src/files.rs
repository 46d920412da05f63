//! Static files: a request → a file below the route's folder → a response.
//!
//! 1. Method: GET and HEAD; OPTIONS says so; others are 405.
//! 2. A hot file is answered from memory by its path as written: no system call.
//! 3. Otherwise the path is decoded ([`path`]) and looked up ([`lookup`], [`open`]), on this
//!    thread if the kernel has all of it in memory, else in the blocking pool, once for all who
//!    want the same ([`single_flight`]).
//! 4. A folder without its final slash is redirected; what is not there gets the fallback
//!    ([`fallback`]) or a 404.
//! 5. A representation is picked ([`encoding`]), conditions ([`conditions`]) and range ([`range`])
//!    are applied, and the response says where its bytes are: in memory or in an open file.

mod cache;
mod conditions;
pub(crate) mod encoding;
mod fallback;
mod freshness;
mod lookup;
mod media_type;
mod open;
mod path;
pub(crate) mod range;
mod single_flight;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use appliance_message::{Head, Name};
use appliance_project::model::{FileRules, Files};
use http::{Method, StatusCode};

pub use cache::Cache;
pub(crate) use media_type::media_type;

use crate::error_page::{Form, error_page};
use crate::request_path::escape_raw;
use crate::response::{Body, FilePart, Response};
use cache::{FolderId, Known};
use conditions::Verdict;
use lookup::{Content, Entry, Found, Source, Variant};
use open::Access;
use path::{Below, PathError};
use range::RangeRequest;
use single_flight::Flights;

const ALLOW: &str = "GET, HEAD, OPTIONS";

/// A `files` route.
#[derive(Debug)]
pub struct Folder {
    source: Arc<Source>,
    fallback: Option<Below>,
    cache: Arc<Cache>,
    id: FolderId,
    flights: Flights<At>,
}

impl Folder {
    /// A route with these settings. `pattern` is the route's path, which an `exact` route needs
    /// to know which file of a folder it names.
    pub fn new(
        files: &Files,
        rules: &FileRules,
        (pattern, exact): (&str, bool),
        cache: Arc<Cache>,
    ) -> Folder {
        let last = pattern.rsplit('/').next().unwrap_or(pattern);
        let parse = |path: &str, folder| Below::parse(path, folder).ok();
        let source = Source {
            root: files.root.clone(),
            exact: exact.then(|| parse(last, last.is_empty()).unwrap_or_default()),
            extensions: files.extensions.clone(),
            index: files.index.clone(),
            immutable: files.immutable,
            rules: rules.clone(),
        };
        Folder {
            source: Arc::new(source),
            fallback: files
                .fallback
                .as_deref()
                .and_then(|path| parse(path, path.ends_with('/'))),
            id: cache.add_folder(),
            cache,
            flights: Flights::default(),
        }
    }

    /// The same as [`reply`](Self::reply) for a hot file: one that needs neither a system call nor
    /// a future. None for anything else.
    pub fn reply_at_once(&self, head: &Head, path_below: &str) -> Option<Response> {
        if head.method != Method::GET && head.method != Method::HEAD {
            return None;
        }
        let key = plain_key(path_below, names_folder(head, path_below))?;
        let entry = self.cache.fresh(self.id, key.as_bytes())?;
        match compose(head, &entry) {
            Composed::Whole(response) => Some(response),
            Composed::Needs { .. } => None,
        }
    }

    /// Answers a request. `path_below` is what follows the route's prefix in the request's path,
    /// percent-encoded.
    pub async fn reply(&self, head: &Head, path_below: &str) -> Response {
        if head.method != Method::GET && head.method != Method::HEAD {
            return other_method(head);
        }
        let result = self.answer(head, path_below).await;
        result.unwrap_or_else(|error| failure(head, path_below, &error))
    }

    /// The same, but none where no file answers.
    pub(crate) async fn reply_if_there(&self, head: &Head, path_below: &str) -> Option<Response> {
        let is_folder = names_folder(head, path_below);
        let below = match Below::parse(path_below, is_folder) {
            Ok(below) => below,
            Err(PathError::Malformed) => return Some(error(head, StatusCode::BAD_REQUEST)),
            Err(PathError::Hidden | PathError::NoFile) => return None,
        };
        let found = self.serve(head, &below).await;
        found.unwrap_or_else(|error| Some(failure(head, path_below, &error)))
    }

    async fn answer(&self, head: &Head, path_below: &str) -> io::Result<Response> {
        let is_folder = names_folder(head, path_below);
        if let Some(key) = plain_key(path_below, is_folder)
            && let Some(entry) = self.cache.fresh(self.id, key.as_bytes())
            && let Some(response) = self.send(head, &entry).await?
        {
            return Ok(response);
        }
        let found = match Below::parse(path_below, is_folder) {
            Ok(below) => self.serve(head, &below).await?,
            Err(PathError::Malformed) => return Ok(error(head, StatusCode::BAD_REQUEST)),
            Err(PathError::Hidden) => return Ok(error(head, StatusCode::NOT_FOUND)),
            Err(PathError::NoFile) => None,
        };
        if let Some(response) = found {
            return Ok(response);
        }
        if let Some(fallback) = &self.fallback
            && fallback::is_navigation(head)
            && let Some(response) = self.serve(head, fallback).await?
        {
            return Ok(response);
        }
        Ok(error(head, StatusCode::NOT_FOUND))
    }

    /// The response for what is at `below`, if anything is.
    async fn serve(&self, head: &Head, below: &Below) -> io::Result<Option<Response>> {
        // Twice, in case a large file is replaced between the look at it and its opening.
        for _ in 0..2 {
            let entry = match self.find(below).await? {
                At::File(entry) => entry,
                At::Folder => return Ok(Some(redirect_to_folder(head))),
                At::Refused => return Ok(Some(error(head, StatusCode::NOT_FOUND))),
                At::Nothing => return Ok(None),
            };
            if let Some(response) = self.send(head, &entry).await? {
                return Ok(Some(response));
            }
            self.cache.remove(self.id, below.as_bytes());
        }
        Ok(None)
    }

    async fn find(&self, below: &Below) -> io::Result<At> {
        let known = match self.cache.get(self.id, below.as_bytes()) {
            Known::Fresh(entry) => return Ok(At::File(entry)),
            Known::Due(entry) => Some(entry),
            Known::Unknown => None,
        };
        let (source, below_too, known_too) = (self.source.clone(), below.clone(), known.clone());
        let look = move |access| source.find(&below_too, known_too.as_deref(), access);
        if let Some(found) = at_once(&look) {
            return self.settle(below, found, known);
        }
        let wait = async {
            // Somebody may have been quicker, from what the kernel has in memory by now.
            match self.cache.fresh(self.id, below.as_bytes()) {
                Some(entry) if known.is_none() => Ok(At::File(entry)),
                _ => self.settle(below, in_pool(look).await, known),
            }
        };
        self.flights.share(below.as_bytes(), wait).await
    }

    /// Keeps in the cache what is there, and nothing else.
    fn settle(
        &self,
        below: &Below,
        found: io::Result<Found>,
        known: Option<Arc<Entry>>,
    ) -> io::Result<At> {
        Ok(match (found, known) {
            (Ok(Found::Unchanged), Some(entry)) => At::File(entry),
            (Ok(Found::File(entry)), _) => {
                let entry: Arc<Entry> = Arc::from(entry);
                self.cache.put(self.id, below.as_bytes(), entry.clone());
                At::File(entry)
            }
            (other, _) => {
                self.cache.remove(self.id, below.as_bytes());
                match other? {
                    Found::Folder => At::Folder,
                    Found::Refused => At::Refused,
                    _ => At::Nothing,
                }
            }
        })
    }

    /// None if the entry turns out to be outdated.
    async fn send(&self, head: &Head, entry: &Arc<Entry>) -> io::Result<Option<Response>> {
        let (index, part) = match compose(head, entry) {
            Composed::Whole(response) => return Ok(Some(response)),
            Composed::Needs { index, part } => (index, part),
        };
        let (source, entry_too) = (self.source.clone(), entry.clone());
        let open = move |access| source.reopen(&entry_too, &entry_too.variants[index], access);
        let Some(file) = anywhere(open).await? else {
            return Ok(None);
        };
        let variant = &entry.variants[index];
        let bytes = part.clone().unwrap_or(0..variant.len);
        let body = file_body(Arc::new(file), bytes);
        Ok(Some(with_fields(variant, part, body)))
    }
}

/// A response as far as memory holds it.
enum Composed {
    Whole(Response),
    /// The file of this variant must be opened, to send this part of it, or all.
    Needs {
        index: usize,
        part: Option<Range<u64>>,
    },
}

fn compose(head: &Head, entry: &Entry) -> Composed {
    let index = pick(head, &entry.variants);
    let variant = &entry.variants[index];
    match conditions::evaluate(head, variant.validators()) {
        Verdict::Proceed => {}
        Verdict::NotModified => return Composed::Whole(not_modified(variant)),
        Verdict::Failed => {
            return Composed::Whole(error(head, StatusCode::PRECONDITION_FAILED));
        }
    }
    let part = match requested_range(head, variant) {
        RangeRequest::Whole => None,
        RangeRequest::Part(part) => Some(part),
        RangeRequest::Unsatisfiable => return Composed::Whole(unsatisfiable(head, variant.len)),
    };
    let bytes = part.clone().unwrap_or(0..variant.len);
    let body = match &variant.content {
        _ if head.method == Method::HEAD => Body::Empty,
        Content::Memory(_, Some(file)) => file_body(file.clone(), bytes),
        Content::Memory(all, None) => {
            Body::Memory(all.slice(bytes.start as usize..bytes.end as usize))
        }
        Content::Disk => return Composed::Needs { index, part },
    };
    Composed::Whole(with_fields(variant, part, body))
}

fn file_body(file: Arc<std::fs::File>, bytes: Range<u64>) -> Body {
    Body::File(FilePart {
        file,
        offset: bytes.start,
        len: bytes.end - bytes.start,
    })
}

fn with_fields(variant: &Variant, part: Option<Range<u64>>, body: Body) -> Response {
    let mut response = Response::new(StatusCode::OK);
    response.head.fields = variant.fields.clone();
    response.head.length = Some(variant.len);
    response.body = body;
    if let Some(part) = part {
        response.head.status = StatusCode::PARTIAL_CONTENT;
        response.head.length = Some(part.end - part.start);
        let range = format!("bytes {}-{}/{}", part.start, part.end - 1, variant.len);
        response.head.fields.add("Content-Range", range);
    }
    response
}

#[derive(Debug, Clone)]
enum At {
    File(Arc<Entry>),
    Folder,
    Refused,
    Nothing,
}

/// Runs `look` here if it need not wait for a disk, otherwise where waiting is allowed.
async fn anywhere<T: Send + 'static>(
    look: impl Fn(Access) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match at_once(&look) {
        Some(result) => result,
        None => in_pool(look).await,
    }
}

/// Reads a part of a file, for protocols that cannot leave that to the kernel: up to `len` bytes,
/// fewer only where the file has shrunk. Never waits for a disk on this thread.
pub(crate) async fn read_piece(file: &Arc<File>, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let file = Arc::clone(file);
    anywhere(move |access| open::read_from(&file, offset, len, access)).await
}

/// None if it would have to wait for a disk.
fn at_once<T>(look: &impl Fn(Access) -> io::Result<T>) -> Option<io::Result<T>> {
    match look(Access::Cached) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        result => Some(result),
    }
}

async fn in_pool<T: Send + 'static>(
    look: impl Fn(Access) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let waiting = tokio::task::spawn_blocking(move || look(Access::Wait));
    waiting
        .await
        .unwrap_or_else(|failed| Err(io::Error::other(failed)))
}

fn names_folder(head: &Head, path_below: &str) -> bool {
    match path_below {
        "" => head.path().ends_with(b"/"),
        below => below.ends_with('/'),
    }
}

/// The cache key of a path that needs no decoding. A wrong one only misses: keys hold no empty
/// segments and no dots.
fn plain_key(path_below: &str, is_folder: bool) -> Option<&str> {
    if path_below.contains('%') {
        return None;
    }
    match path_below.strip_prefix('/').unwrap_or(path_below) {
        "" if is_folder => Some("/"),
        key => Some(key),
    }
}

fn pick(request: &Head, variants: &[Variant]) -> usize {
    if variants.len() == 1 {
        return 0;
    }
    // A part of what was compressed here could not be joined to one that another version made.
    let in_parts = request.method == Method::GET && request.has(Name::Range);
    let offered = variants
        .iter()
        .filter(|variant| !(in_parts && variant.is_made_here));
    let offered = offered.filter_map(|variant| variant.coding);
    let coding = encoding::negotiate(request, offered);
    variants
        .iter()
        .position(|variant| variant.coding == coding)
        .unwrap_or(0)
}

/// The part of a file of `len` bytes that a Range field gets, if it gets one.
#[cfg(feature = "fuzzing")]
pub(crate) fn range_of(field: &[u8], len: u64) -> Option<Range<u64>> {
    match range::parse(field, len) {
        RangeRequest::Part(part) => Some(part),
        RangeRequest::Whole | RangeRequest::Unsatisfiable => None,
    }
}

/// A range is defined for GET alone (RFC 9110 §14.2).
fn requested_range(head: &Head, variant: &Variant) -> RangeRequest {
    match head.get(Name::Range) {
        Some(field)
            if head.method == Method::GET
                && conditions::range_applies(head, variant.validators()) =>
        {
            range::parse(field, variant.len)
        }
        _ => RangeRequest::Whole,
    }
}

fn not_modified(variant: &Variant) -> Response {
    let mut response = Response::new(StatusCode::NOT_MODIFIED);
    response.head.fields = variant.fields_of_304.clone();
    response
}

fn unsatisfiable(head: &Head, len: u64) -> Response {
    error(head, StatusCode::RANGE_NOT_SATISFIABLE).with("Content-Range", format!("bytes */{len}"))
}

/// With one slash in front, whatever the request had: `//host/` would be another site, and so
/// would `/\host/`, which browsers read the same way.
fn redirect_to_folder(head: &Head) -> Response {
    let path = escape_raw(head.path());
    let path = path.trim_start_matches(['/', '\\']);
    let query = head
        .query()
        .map(|query| format!("?{}", escape_raw(query)))
        .unwrap_or_default();
    Response::new(StatusCode::MOVED_PERMANENTLY)
        .with("Location", format!("/{path}/{query}"))
        // Else browsers keep it for good, past the day the folder is gone.
        .with("Cache-Control", "no-cache")
}

fn other_method(head: &Head) -> Response {
    let response = match head.method {
        Method::OPTIONS => Response::new(StatusCode::NO_CONTENT),
        _ => error(head, StatusCode::METHOD_NOT_ALLOWED),
    };
    response.with("Allow", ALLOW)
}

/// What the operator must repair is logged; the visitor learns no more than the status.
fn failure(head: &Head, path_below: &str, cause: &io::Error) -> Response {
    let status = match cause.raw_os_error() {
        Some(libc::EACCES) => StatusCode::FORBIDDEN,
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    tracing::warn!(path = path_below, error = %cause, status = status.as_u16(), "cannot read a file");
    let response = error(head, status);
    match status {
        StatusCode::SERVICE_UNAVAILABLE => response.with("Retry-After", "1"),
        _ => response,
    }
}

fn error(head: &Head, status: StatusCode) -> Response {
    error_page(status, Form::asked_by(head))
}
