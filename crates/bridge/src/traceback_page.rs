//! An exception as a page, for whoever develops: what was raised, where, and the source around each
//! frame. Values of variables are left out: they hold secrets.
//!
//! Only `appliance dev` has it ([`Development`]). Everything that comes from the project is escaped,
//! and the page runs no script.

mod frames;
mod html;

use std::net::IpAddr;

use appliance_gateway::{GatewayError, Reply, ReplyBody, Timing};
use appliance_message::{Head, Name, ResponseHead};
use bytes::Bytes;
use http::StatusCode;
use pyo3::prelude::*;

use crate::application::ImportError;
use crate::development::Development;
use crate::exchange::Exchange;
use crate::traceback;

use frames::Raised;

/// What the page's markup may do: nothing but look like something.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

/// An exception that was looked at.
pub(crate) struct Page {
    html: Bytes,
    text: Bytes,
    /// Whether it is shown whatever name the server goes by.
    remote: bool,
}

/// What stands above the frames.
struct Heading<'a> {
    title: &'a str,
    about: Option<&'a str>,
}

impl Page {
    /// What a request has raised.
    pub(crate) fn of_request(py: Python<'_>, development: &Development, raised: &PyErr) -> Page {
        let text = traceback::format(py, raised);
        let chain = frames::chain(py, raised, &development.folder);
        Page::new(development, None, &chain, text)
    }

    /// What the import of the application has raised, or why there is none.
    pub(crate) fn of_import(
        py: Python<'_>,
        development: &Development,
        error: &ImportError,
        raised: Option<&PyErr>,
    ) -> Page {
        let mut text = match &error.traceback {
            Some(traceback) => format!("{traceback}\n\n{}", error.error),
            None => error.error.clone(),
        };
        if let Some(hint) = &error.hint {
            text = format!("{text}\nhint: {hint}");
        }
        // A module that is not there has frames of the import machinery alone.
        let raised = raised.filter(|_| error.traceback.is_some());
        let chain = raised.map_or_else(Vec::new, |raised| {
            frames::chain(py, raised, &development.folder)
        });
        let heading = Heading {
            title: &error.error,
            about: error.hint.as_deref(),
        };
        Page::new(development, Some(heading), &chain, text)
    }

    fn new(
        development: &Development,
        heading: Option<Heading<'_>>,
        chain: &[Raised],
        text: String,
    ) -> Page {
        let html = html::page(heading, chain, &text, &development.folder);
        Page {
            html: html.into(),
            text: (text + "\n").into(),
            remote: development.remote,
        }
    }

    /// Answers with it, unless an answer has begun already.
    pub(crate) fn send(&self, exchange: &Exchange) {
        if !self.remote && !is_local(&exchange.request) {
            exchange.fail(GatewayError::Failed);
            return;
        }
        let is_browser = exchange.request.all(Name::Accept).any(names_html);
        let (media_type, body) = match is_browser {
            true => ("text/html; charset=utf-8", &self.html),
            false => ("text/plain; charset=utf-8", &self.text),
        };
        let mut head = ResponseHead::new(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in [
            ("Content-Type", media_type),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Content-Security-Policy", POLICY),
        ] {
            head.fields.add(name, value);
        }
        head.length = Some(body.len() as u64);
        let reply = Reply {
            head,
            body: ReplyBody::Stream(()),
            timing: Timing::default(),
        };
        exchange.answer(reply, body.clone());
    }
}

/// Only who names HTML gets HTML: `*/*` is curl and fetch().
fn names_html(value: &[u8]) -> bool {
    let mut parts = value.windows(9);
    parts.any(|part| part.eq_ignore_ascii_case(b"text/html"))
}

/// Whether the server is asked by a name that nobody else can have. A page of another site may let
/// its own name lead here, and its scripts would read what it answers (DNS rebinding).
fn is_local(head: &Head) -> bool {
    let Some(host) = head.host() else { return true };
    let host = String::from_utf8_lossy(host).to_ascii_lowercase();
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(':').next().unwrap_or_default(),
    };
    // RFC 6761 §6.2 and §6.3.
    let reserved = |end: &str| {
        name.strip_suffix(end)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    name.is_empty() || name.parse::<IpAddr>().is_ok() || reserved("localhost") || reserved("test")
}
