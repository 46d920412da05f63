//! Pages of the project's own for errors: read when a worker starts, sent in the place of ours
//! and, if asked, of the application's.
//!
//! HTML is for those who ask for it, as browsers do when they navigate. Scripts and curl get a page
//! of another type, if there is one, or the line of text that they always get.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use appliance_message::ResponseHead;
use appliance_project::model;
use bytes::Bytes;

use crate::error_page::Form;
use crate::files::media_type;
use crate::response::{Body, Response};

/// A page, ready to be sent.
#[derive(Debug, Clone)]
pub(super) struct Page {
    media_type: String,
    body: Bytes,
}

#[derive(Debug)]
pub(super) struct ErrorPages(Vec<((u16, u16), Page)>);

impl ErrorPages {
    pub(super) fn new(written: &[model::ErrorPage]) -> ErrorPages {
        let read = |page: &model::ErrorPage| Some((page.statuses, Page::read(&page.path)?));
        ErrorPages(written.iter().filter_map(read).collect())
    }

    fn find(&self, status: u16, form: Form) -> Option<&Page> {
        let fitting = || {
            let fits = |(first, last): (u16, u16)| (first..=last).contains(&status);
            let pages = self.0.iter().filter(move |(statuses, _)| fits(*statuses));
            pages.map(|(_, page)| page)
        };
        let html = fitting().find(|page| page.is_html());
        let other = || fitting().find(|page| !page.is_html());
        match form {
            Form::Page => html.or_else(other),
            Form::Line => other(),
        }
    }

    /// Puts the page for its status in the place of our own.
    pub(super) fn replace(&self, response: &mut Response) {
        let status = response.head.status.as_u16();
        if let Body::Page(_, form) = response.body
            && let Some(page) = self.find(status, form)
        {
            page.replace(response);
        }
    }

    /// What is sent in the place of the application's error.
    pub(super) fn intercept(&self, head: &ResponseHead, form: Form) -> Option<Response> {
        let page = self.find(head.status.as_u16(), form)?;
        let mut response = Response::new(head.status);
        response.head = head.clone();
        // What describes the body that is not sent.
        for name in [
            "content-encoding",
            "content-language",
            "content-range",
            "etag",
            "last-modified",
            "accept-ranges",
        ] {
            response.head.fields.remove(name);
        }
        page.replace(&mut response);
        Some(response)
    }
}

impl Page {
    /// None, and reported, if it cannot be read.
    pub(super) fn read(path: &Path) -> Option<Page> {
        // The routes of a site share theirs.
        static PAGES: Mutex<Option<HashMap<PathBuf, Page>>> = Mutex::new(None);
        let mut pages = PAGES.lock().unwrap_or_else(PoisonError::into_inner);
        let pages = pages.get_or_insert_default();
        if let Some(page) = pages.get(path) {
            return Some(page.clone());
        }
        let body = match std::fs::read(path) {
            Ok(body) => body.into(),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot read a page; our own is sent");
                return None;
            }
        };
        let name = path.as_os_str().as_bytes();
        let media_type = media_type(name, &model::FileRules::default()).into_owned();
        let page = Page { media_type, body };
        pages.insert(path.to_owned(), page.clone());
        Some(page)
    }

    fn is_html(&self) -> bool {
        self.media_type.starts_with("text/html")
    }

    pub(super) fn replace(&self, response: &mut Response) {
        response.head.fields.remove("content-type");
        response.head.fields.add("Content-Type", &self.media_type);
        response.head.length = Some(self.body.len() as u64);
        response.body = Body::Memory(self.body.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_for_who_can_read_it() {
        let page = |media_type: &str, body: &'static str| Page {
            media_type: media_type.to_owned(),
            body: Bytes::from_static(body.as_bytes()),
        };
        let pages = ErrorPages(vec![
            ((404, 404), page("text/html; charset=utf-8", "404 html")),
            (
                (404, 404),
                page("application/json; charset=utf-8", "404 json"),
            ),
            ((403, 403), page("text/plain; charset=utf-8", "403 text")),
            ((400, 499), page("text/html; charset=utf-8", "4xx html")),
        ]);
        for (status, form, expected) in [
            (404, Form::Page, "404 html"),
            (404, Form::Line, "404 json"),
            (403, Form::Page, "4xx html"),
            (403, Form::Line, "403 text"),
            (405, Form::Page, "4xx html"),
            (405, Form::Line, ""),
            (500, Form::Page, ""),
        ] {
            let found = pages.find(status, form).map(|page| page.body.as_ref());
            let text = found.map(|body| String::from_utf8_lossy(body).into_owned());
            assert_eq!(text.unwrap_or_default(), expected, "{status} {form:?}");
        }
    }
}
