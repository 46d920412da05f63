//! What holds on a route whoever answers: before a request is handled ([`Rules::admit`]) and when
//! its response's head is known ([`Visit::finish`]). A route without rules has none of this.
//!
//! A request is asked, in this order, what is cheapest to find out and to abuse:
//!
//! 1. its address ([`address`]): 403;
//! 2. how many there were ([`rate_limit`]): 429, before a password costs anything;
//! 3. its method: 405;
//! 4. its password ([`passwords`]): 401.

mod address;
pub(crate) mod passwords;
mod rate_limit;
mod shared_memory;

use std::net::IpAddr;
use std::sync::Arc;

use appliance_message::{Head, ResponseHead};
use appliance_project::model;
use http::StatusCode;

pub use shared_memory::share_counts;

use crate::respond::refuse;
use crate::response::Response;
use address::Addresses;
use passwords::Passwords;
use rate_limit::{RateLimit, Standing};

/// The rules of a route, or of a site where no route answers.
#[derive(Debug)]
pub(crate) struct Rules {
    addresses: Option<Addresses>,
    rate_limit: Option<RateLimit>,
    /// Those that are answered; empty: any.
    methods: Vec<String>,
    passwords: Option<Passwords>,
    headers: Vec<(String, String)>,
}

/// A request under rules, until its response is sent.
#[derive(Debug)]
pub(crate) struct Visit<'a> {
    rules: &'a Rules,
    /// Who has given the right password.
    pub(crate) user: Option<Box<str>>,
    standing: Option<Standing>,
}

impl Rules {
    /// None, if nothing is ruled.
    pub(crate) fn new(written: &model::Rules) -> Option<Arc<Rules>> {
        (*written != model::Rules::default()).then(|| {
            Arc::new(Rules {
                addresses: Addresses::new(written),
                rate_limit: written.rate_limit.as_ref().map(RateLimit::new),
                methods: written.methods.clone(),
                passwords: written.passwords.as_ref().map(Passwords::new),
                headers: written.headers.clone(),
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
        rules.admit_method(head)
    }

    async fn log_in(&mut self, head: &Head) -> Result<(), Response> {
        if let Some(passwords) = &self.rules.passwords {
            self.user = Some(passwords.user_of(head).await?);
        }
        Ok(())
    }

    /// The last word about a response, the application's or our own.
    pub(crate) fn finish(&self, head: &mut ResponseHead) {
        if let (Some(limit), Some(standing)) = (&self.rules.rate_limit, self.standing) {
            limit.tell(standing, &mut head.fields);
        }
        if self.rules.passwords.is_some() {
            passwords::keep_private(&mut head.fields);
        }
        for (name, value) in &self.rules.headers {
            head.fields.remove(name);
            head.fields.add(name, value);
            head.dated |= name.eq_ignore_ascii_case("date");
        }
    }
}
