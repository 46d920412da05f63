//! `X-Accel-Redirect` and `X-Sendfile`: the application decides, and a file answers, with Range,
//! validators and `sendfile`. So may other servers, where their route lets them.
//!
//! 1. The path that the application names is looked up like a request's, `internal` routes
//!    included; a file name, in the folders of `sendfile_roots`. Only files can be handed to.
//! 2. Conditions, range and coding of the client's request hold for the file.
//! 3. The application's fields stay (cookies, Content-Disposition, Cache-Control, Vary, …) but for
//!    those that describe the body it did not send; nginx keeps a few of them. An error has none.
//!
//! The fields themselves never leave the server, whatever becomes of them; but those of other
//! servers that may not hand over are fields like any other.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use appliance_message::{Head, ResponseHead};
use appliance_project::model;
use http::{Method, StatusCode};

use crate::error_page::{Form, error_page};
use crate::files::{Cache, Folder};
use crate::request_path::{self, escape};
use crate::respond::rewrite;
use crate::response::Response;
use crate::route::{Handler, Match};
use crate::site::Site;

const REDIRECT: &str = "x-accel-redirect";
const SENDFILE: &str = "x-sendfile";

/// What else nginx takes from an application. Responses are never held back for a buffer
/// (Buffering), never cached (Expires), and charset and pace are not for it to choose.
const DROPPED: [&str; 4] = [
    "x-accel-buffering",
    "x-accel-charset",
    "x-accel-expires",
    "x-accel-limit-rate",
];

/// Fields about the body that the application did not send.
const OF_THE_BODY: [&str; 7] = [
    "accept-ranges",
    "content-encoding",
    "content-range",
    "date",
    "etag",
    "last-modified",
    "x-content-type-options",
];

/// Of a file that the application has decided about, if it says nothing else: caches that many
/// share must not keep what one was allowed to see.
const PRIVATE: &str = "private, no-cache";

/// A request that may be handed over: the application has its own copy.
#[derive(Debug)]
pub(crate) struct Pending {
    head: Head,
    site: Arc<Site>,
}

/// The response in the place of the application's, if that hands over; its fields about it are
/// gone in either case.
pub(crate) async fn answer(
    told: &mut ResponseHead,
    pending: Option<Box<Pending>>,
    form: Form,
) -> Option<Response> {
    let (redirect, file) = (take(told, REDIRECT), take(told, SENDFILE));
    for name in DROPPED {
        told.fields.remove(name);
    }
    let (field, target) = match (redirect, file) {
        (Some(target), _) => (REDIRECT, target),
        (None, Some(target)) => (SENDFILE, target),
        (None, None) => return None,
    };
    let response = match pending {
        Some(pending) => pending.answer(field, &target).await,
        None => None,
    };
    Some(match response {
        Some(response) => merge(told, response),
        None => lost(field, &target, form),
    })
}

/// Whether another server hands over. (Of the application's responses that is known.)
pub(crate) fn is_wanted(told: &ResponseHead) -> bool {
    [REDIRECT, SENDFILE]
        .iter()
        .any(|name| told.fields.get(name).is_some())
}

fn take(told: &mut ResponseHead, name: &str) -> Option<Vec<u8>> {
    let value = told.fields.get(name)?.to_vec();
    told.fields.remove(name);
    Some(value)
}

fn lost(field: &str, target: &[u8], form: Form) -> Response {
    let target = String::from_utf8_lossy(target);
    let wanted = match field {
        REDIRECT => "which no `files` route answers, or no route of the site is `internal`",
        _ => "which is in no folder of the site's `sendfile_roots`",
    };
    tracing::error!("the application handed over ({field}) to `{target}`, {wanted}");
    error_page(StatusCode::INTERNAL_SERVER_ERROR, form)
}

impl Pending {
    /// None where nothing can be handed over: there, this costs nothing.
    pub(crate) fn new(head: &Head, site: &Arc<Site>) -> Option<Box<Self>> {
        if !site.routes.has_internal && site.sendfile.0.is_empty() {
            return None;
        }
        let (head, site) = (head.clone(), Arc::clone(site));
        Some(Box::new(Pending { head, site }))
    }

    /// The file's response; none if there is no folder for it.
    async fn answer(mut self, field: &str, target: &[u8]) -> Option<Response> {
        // What the application was sent may have been a POST; a file is always got.
        if self.head.method != Method::HEAD {
            self.head.method = Method::GET;
        }
        let site = Arc::clone(&self.site);
        let (folder, below) = match field {
            REDIRECT => self.redirect(&site, target)?,
            _ => site.sendfile.find(target)?,
        };
        // A path that ends in a slash, as the client's own may, asks for an index.
        self.head.rewrite(format!("/{below}").as_bytes(), None);
        let response = folder.reply(&self.head, &below).await;
        // A folder without its slash: where it is must not show.
        (response.head.status != StatusCode::MOVED_PERMANENTLY).then_some(response)
    }

    /// The folder for the path that the application names.
    fn redirect<'s>(&mut self, site: &'s Site, target: &[u8]) -> Option<(&'s Folder, String)> {
        let (path, query) = match target.iter().position(|byte| *byte == b'?') {
            Some(at) => (&target[..at], Some(&target[at + 1..])),
            None => (target, None),
        };
        // Frameworks that quote it and those that do not: what no path may hold is escaped.
        let path = escape(path, u8::is_ascii_graphic);
        self.head.rewrite(path.as_bytes(), query);
        rewrite(site, &mut self.head).ok()?;
        let path = request_path::normalize(self.head.path()).ok()?;
        let Match::Route(route, prefix) = site.routes.find(&path) else {
            return None;
        };
        match &route.handler {
            Handler::Files(folder) | Handler::FilesThenWsgi(folder, _) => {
                Some((folder, path[prefix..].to_owned()))
            }
            _ => None,
        }
    }
}

/// The folders of `sendfile_roots`.
#[derive(Debug)]
pub(crate) struct SendfileRoots(Vec<(PathBuf, Folder)>);

impl SendfileRoots {
    pub(crate) fn new(roots: &[PathBuf], cache: &Arc<Cache>) -> Self {
        let folder = |root: &PathBuf| {
            let files = model::Files {
                root: root.clone(),
                fallback: None,
                extensions: Vec::new(),
                then_wsgi: false,
                index: Vec::new(),
                immutable: model::Immutable::Never,
            };
            let rules = model::FileRules::default();
            let folder = Folder::new(&files, &rules, ("", false), Arc::clone(cache));
            (root.clone(), folder)
        };
        SendfileRoots(roots.iter().map(folder).collect())
    }

    /// The folder of a file's absolute name, and the rest of it as a path spells it. What leaves
    /// the folder by `..` or a link is refused there.
    fn find(&self, file: &[u8]) -> Option<(&Folder, String)> {
        let file = Path::new(OsStr::from_bytes(file));
        self.0.iter().find_map(|(root, folder)| {
            let below = file.strip_prefix(root).ok()?.as_os_str();
            let plain = |byte: &u8| byte.is_ascii_graphic() && !b"%?#".contains(byte);
            Some((folder, escape(below.as_bytes(), plain)))
        })
    }
}

/// The file's response with the application's fields.
fn merge(told: &ResponseHead, mut response: Response) -> Response {
    let is_error = response.head.status.is_client_error() || response.head.status.is_server_error();
    let is_file = response.head.status == StatusCode::OK
        || response.head.status == StatusCode::PARTIAL_CONTENT;
    let fields = &mut response.head.fields;
    if !is_error {
        fields.remove("cache-control");
        if told.fields.get("cache-control").is_none() {
            fields.add("Cache-Control", PRIVATE);
        }
    }
    for (name, value) in told.fields.iter() {
        let Ok(text) = std::str::from_utf8(name) else {
            continue;
        };
        let is = |known: &str| text.eq_ignore_ascii_case(known);
        let stays = match () {
            () if OF_THE_BODY.into_iter().any(is) => false,
            () if is("set-cookie") => true,
            () if is_error => false,
            // Frameworks leave it empty for the server to fill in.
            () if is("content-type") => is_file && !value.is_empty(),
            () => true,
        };
        if !stays {
            continue;
        }
        // A file's own Vary (its codings) stays beside the application's.
        if !is("set-cookie") && !is("vary") && fields.get(text).is_some() {
            let first = told
                .fields
                .iter()
                .filter(|(other, _)| other.eq_ignore_ascii_case(name));
            if first.count() == 1 {
                fields.remove(text);
            }
        }
        fields.add(text, value);
    }
    response
}
