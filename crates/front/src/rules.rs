//! What holds on a route whoever answers: before a request is handled ([`Rules::admit`]) and when
//! its response's head is known ([`Visit::finish`]). A route without rules has none of this.

use std::sync::Arc;

use appliance_message::{Head, ResponseHead};
use appliance_project::model;
use http::StatusCode;

use crate::respond::refuse;
use crate::response::Response;

/// The rules of a route, or of a site where no route answers.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Those that are answered; empty: any.
    methods: Vec<String>,
    headers: Vec<(String, String)>,
}

/// A request under rules, until its response is sent.
#[derive(Debug)]
pub(crate) struct Visit<'a> {
    rules: &'a Rules,
}

impl Rules {
    /// None, if nothing is ruled.
    pub(crate) fn new(written: &model::Rules) -> Option<Arc<Rules>> {
        (*written != model::Rules::default()).then(|| {
            Arc::new(Rules {
                methods: written.methods.clone(),
                headers: written.headers.clone(),
            })
        })
    }

    /// Whether the request may be answered; an error is the answer if not. The visit has the last
    /// word about the response in either case.
    pub(crate) async fn admit(&self, head: &Head) -> (Visit<'_>, Result<(), Response>) {
        let admitted = self.admit_method(head);
        (Visit { rules: self }, admitted)
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
    /// The last word about a response, the application's or our own.
    pub(crate) fn finish(&self, head: &mut ResponseHead) {
        for (name, value) in &self.rules.headers {
            head.fields.remove(name);
            head.fields.add(name, value);
            head.dated |= name.eq_ignore_ascii_case("date");
        }
    }
}
