//! What holds on a route whoever answers: before a request is handled ([`Rules::admit`]) and when
//! its response's head is known ([`Visit::finish`]). A route without rules has none of this.
//!
//! A request is asked, in this order, what is cheapest to find out and to abuse:
//!
//! 1. whether anybody is served ([`maintenance`]): 503;
//! 2. its address ([`address`]): 403;
//! 3. how many there were ([`rate_limit`]): 429, before a password costs anything;
//! 4. whether it only asks what another site's script may do ([`cors`]): 204;
//! 5. its method: 405;
//! 6. its password ([`passwords`]): 401.
//!
//! A response passes [`error_pages`], and then what has a say about its fields, the project's own
//! words ([`headers`]) last.

mod address;
pub(crate) mod compress;
mod cors;
mod error_pages;
mod headers;
pub(crate) mod maintenance;
pub(crate) mod passwords;
mod rate_limit;
mod shared_memory;

use std::net::IpAddr;
use std::sync::Arc;

use appliance_message::{Head, ResponseHead};
use appliance_project::model;
use bytes::Bytes;
use http::StatusCode;

pub use shared_memory::share_counts;

use crate::compression::Encoded;
use crate::error_page::Form;
use crate::files::encoding::Coding;
use crate::respond::refuse;
use crate::response::Response;
use address::Addresses;
use compress::Compress;
use cors::Cors;
use error_pages::ErrorPages;
use headers::Headers;
use maintenance::Maintenance;
use passwords::Passwords;
use rate_limit::{RateLimit, Standing};

/// The rules of a route, or of a site where no route answers.
#[derive(Debug)]
pub(crate) struct Rules {
    maintenance: Maintenance,
    addresses: Option<Addresses>,
    rate_limit: Option<RateLimit>,
    /// Those that are answered; empty: any.
    methods: Vec<String>,
    passwords: Option<Passwords>,
    cors: Option<Cors>,
    error_pages: Option<ErrorPages>,
    /// `error_pages` stand for the application's errors as well.
    intercept: bool,
    compress: Option<Compress>,
    headers: Headers,
}

/// A request under rules, until its response is sent.
#[derive(Debug)]
pub(crate) struct Visit<'a> {
    rules: &'a Rules,
    /// Who has given the right password.
    pub(crate) user: Option<Box<str>>,
    standing: Option<Standing>,
    /// Who may read the response, if the request is another site's script's.
    origin: Option<Box<str>>,
    /// In which form an error is wanted, where the application's may be replaced.
    form: Option<Form>,
    /// What the client takes, where responses are compressed.
    coding: Option<&'static Coding>,
}

impl Rules {
    /// None, if nothing is ruled. (How files are served is for their folder to know.)
    pub(crate) fn new(written: &model::Rules) -> Option<Arc<Rules>> {
        let nothing = model::Rules {
            files: written.files.clone(),
            ..Default::default()
        };
        (*written != nothing).then(|| {
            let pages = &written.error_pages;
            Arc::new(Rules {
                maintenance: Maintenance::new(written),
                addresses: Addresses::new(written),
                rate_limit: written.rate_limit.as_ref().map(RateLimit::new),
                methods: written.methods.clone(),
                passwords: written.passwords.as_ref().map(Passwords::new),
                cors: written.cors.as_ref().map(Cors::new),
                error_pages: (!pages.is_empty()).then(|| ErrorPages::new(pages)),
                intercept: written.intercept,
                compress: Compress::new(&written.compress),
                headers: Headers::new(written),
            })
        })
    }

    /// Whether the request may be answered; an error is the answer if not. The visit has the last
    /// word about the response in either case.
    pub(crate) async fn admit(
        &self,
        head: &Head,
        client: IpAddr,
    ) -> (Visit<'_>, Result<(), Response>) {
        let mut visit = Visit {
            rules: self,
            user: None,
            standing: None,
            origin: self.cors.as_ref().and_then(|cors| cors.admit(head)),
            form: self.intercept.then(|| Form::asked_by(head)),
            coding: self
                .compress
                .as_ref()
                .and_then(|_| Compress::negotiate(head)),
        };
        let admitted = match visit.admit_at_once(head, client) {
            Ok(()) => visit.log_in(head).await,
            refused => refused,
        };
        (visit, admitted)
    }

    fn admit_method(&self, head: &Head) -> Result<(), Response> {
        let method = head.method.as_str();
        if self.methods.is_empty() || self.methods.iter().any(|allowed| allowed == method) {
            return Ok(());
        }
        let refused = refuse(StatusCode::METHOD_NOT_ALLOWED, head);
        Err(refused.with("Allow", self.methods.join(", ")))
    }
}

impl Visit<'_> {
    fn admit_at_once(&mut self, head: &Head, client: IpAddr) -> Result<(), Response> {
        let rules = self.rules;
        rules.maintenance.admit(head, client)?;
        if let Some(addresses) = &rules.addresses
            && !addresses.admit(client)
        {
            return Err(refuse(StatusCode::FORBIDDEN, head));
        }
        if let Some(limit) = &rules.rate_limit {
            let standing = limit.count(head, client);
            self.standing = Some(standing);
            if let Some(seconds) = standing.come_again_in {
                let refused = refuse(StatusCode::TOO_MANY_REQUESTS, head);
                return Err(refused.with("Retry-After", seconds.to_string()));
            }
        }
        if let Some(cors) = &rules.cors
            && let Some(answer) = cors.preflight(head, self.origin.is_some())
        {
            return Err(answer);
        }
        rules.admit_method(head)
    }

    async fn log_in(&mut self, head: &Head) -> Result<(), Response> {
        if let Some(passwords) = &self.rules.passwords {
            self.user = Some(passwords.user_of(head).await?);
        }
        Ok(())
    }

    /// What is sent in the place of the application's response, if something is.
    pub(crate) fn intercept(&self, head: &ResponseHead) -> Option<Response> {
        let (pages, form) = (self.rules.error_pages.as_ref()?, self.form?);
        pages.intercept(head, form)
    }

    /// The application's body as it is to be sent, and what its head has to say of that.
    pub(crate) fn encode<B>(&self, head: &mut ResponseHead, body: B) -> Encoded<B>
    where
        B: http_body::Body<Data = Bytes>,
    {
        let Some(compress) = &self.rules.compress else {
            return Encoded::plain(body);
        };
        let length = head.length.or_else(|| body.size_hint().exact());
        if !compress.fits(head, length) {
            return Encoded::plain(body);
        }
        Compress::vary(&mut head.fields);
        let Some(coding) = self.coding else {
            return Encoded::plain(body);
        };
        match Encoded::new(body, coding.name) {
            Ok(encoded) => {
                Compress::mark(head, coding);
                encoded
            }
            Err(body) => Encoded::plain(body),
        }
    }

    /// The last word about a response whose body is at hand.
    pub(crate) fn finish_whole(&self, response: &mut Response) {
        if let Some(pages) = &self.rules.error_pages {
            pages.replace(response);
        }
        self.finish(&mut response.head);
    }

    /// The last word about a response's head, the application's or our own.
    pub(crate) fn finish(&self, head: &mut ResponseHead) {
        if let (Some(limit), Some(standing)) = (&self.rules.rate_limit, self.standing) {
            limit.tell(standing, &mut head.fields);
        }
        if self.rules.passwords.is_some() {
            passwords::keep_private(&mut head.fields);
        }
        if let Some(cors) = &self.rules.cors {
            cors.tell(self.origin.as_deref(), &mut head.fields);
        }
        self.rules.headers.apply(head);
    }
}
