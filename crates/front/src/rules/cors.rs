//! Which other sites' scripts may read responses (the Fetch standard's "CORS protocol").
//!
//! A preflight request asks before a script's own is sent; it comes without cookies and
//! passwords, so it is answered before those are asked for, and never by the application.

use std::collections::HashSet;

use appliance_message::{Fields, Head, Name, is_token, list};
use appliance_project::model;
use http::{Method, StatusCode};

use crate::response::Response;

#[derive(Debug)]
pub(super) struct Cors {
    everybody: bool,
    origins: HashSet<String>,
    /// Scheme, and the end of the host with its dot: `https://`, `.example.com`.
    below: Vec<(String, String)>,
    credentials: bool,
    methods: String,
    /// None: those that are asked for.
    headers: Option<String>,
    expose: Option<String>,
    max_age: String,
}

impl Cors {
    pub(super) fn new(written: &model::Cors) -> Cors {
        let listed = |names: &[String]| (!names.is_empty()).then(|| names.join(", "));
        let (below, exact): (Vec<_>, Vec<_>) =
            written.origins.iter().partition(|one| one.contains("://*"));
        let below = below.into_iter().filter_map(|origin| {
            let (scheme, host) = origin.split_once('*')?;
            Some((scheme.to_owned(), host.to_owned()))
        });
        Cors {
            everybody: exact.iter().any(|one| *one == "*"),
            below: below.collect(),
            origins: exact.into_iter().cloned().collect(),
            credentials: written.credentials,
            methods: written.methods.join(", "),
            headers: listed(&written.headers),
            expose: listed(&written.expose),
            max_age: written.max_age.as_secs().to_string(),
        }
    }

    /// The origin that the answer names, if the request's may read it.
    pub(super) fn admit(&self, head: &Head) -> Option<Box<str>> {
        let origin = std::str::from_utf8(head.get(Name::Origin)?).ok()?;
        if self.everybody {
            return Some("*".into());
        }
        let is_below = |(scheme, end): &(String, String)| {
            let host = origin.strip_prefix(scheme.as_str());
            let name = host.and_then(|host| host.strip_suffix(end.as_str()));
            name.is_some_and(|name| {
                let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
                !name.is_empty() && name.bytes().all(inside)
            })
        };
        let admitted = self.origins.contains(origin) || self.below.iter().any(is_below);
        admitted.then(|| origin.into())
    }

    /// The answer to a preflight request; [`tell`](Self::tell) adds what every response has.
    pub(super) fn preflight(&self, head: &Head, admitted: bool) -> Option<Response> {
        if head.method != Method::OPTIONS || !head.has(Name::Origin) {
            return None;
        }
        field(head, "access-control-request-method")?;
        let response = Response::new(StatusCode::NO_CONTENT);
        if !admitted {
            return Some(response);
        }
        let mut response = response
            .with("Access-Control-Allow-Methods", &self.methods)
            .with("Access-Control-Max-Age", &self.max_age);
        if let Some(headers) = &self.headers {
            response = response.with("Access-Control-Allow-Headers", headers);
        } else if let Some(asked) = field(head, "access-control-request-headers")
            && list(asked).all(is_token)
        {
            response = response
                .with("Access-Control-Allow-Headers", asked)
                .with("Vary", "Access-Control-Request-Headers");
        }
        Some(response)
    }

    /// Adds what browsers look for, in the place of what the application says.
    pub(super) fn tell(&self, admitted: Option<&str>, fields: &mut Fields) {
        for name in [
            "access-control-allow-origin",
            "access-control-allow-credentials",
            "access-control-expose-headers",
        ] {
            fields.remove(name);
        }
        if !self.everybody {
            // Or a cache would give one origin the answer to another.
            fields.add("Vary", "Origin");
        }
        let Some(origin) = admitted else {
            return;
        };
        fields.add("Access-Control-Allow-Origin", origin);
        if self.credentials {
            fields.add("Access-Control-Allow-Credentials", "true");
        }
        if let Some(names) = &self.expose {
            fields.add("Access-Control-Expose-Headers", names);
        }
    }
}

fn field<'h>(head: &'h Head, name: &str) -> Option<&'h [u8]> {
    let mut fields = head.fields();
    fields
        .find(|(_, spelled, _)| spelled.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, _, value)| value)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::test_request::request;

    fn cors(origins: &[&str]) -> Cors {
        Cors::new(&model::Cors {
            origins: origins.iter().map(|one| (*one).to_owned()).collect(),
            credentials: false,
            methods: vec!["GET".to_owned()],
            headers: Vec::new(),
            expose: Vec::new(),
            max_age: Duration::from_secs(60),
        })
    }

    #[test]
    fn only_listed_origins_are_admitted() {
        let listed = cors(&[
            "https://a.example",
            "https://*.b.example",
            "http://localhost:3000",
        ]);
        for (origin, expected) in [
            ("https://a.example", true),
            ("https://x.b.example", true),
            ("https://x.y.b.example", true),
            ("http://localhost:3000", true),
            ("http://a.example", false),
            ("https://a.example.evil", false),
            ("https://a.example:8443", false),
            ("https://evil-a.example", false),
            ("https://b.example", false),
            ("https://evilb.example", false),
            ("https://.b.example", false),
            ("https://evil/.b.example", false),
            ("https://evil:80@x.b.example", false),
            ("http://localhost", false),
            ("null", false),
            ("", false),
        ] {
            let admitted = listed.admit(&request("/", &[("origin", origin)]));
            assert_eq!(admitted.is_some(), expected, "{origin}");
            assert!(admitted.is_none_or(|named| &*named == origin));
        }
        assert_eq!(listed.admit(&request("/", &[])), None);
        let named = cors(&["*"]).admit(&request("/", &[("origin", "null")]));
        assert_eq!(named.as_deref(), Some("*"));
    }
}
