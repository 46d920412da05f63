//! What is done to the fields of every response.

use appliance_message::{Fields, ResponseHead};
use appliance_project::model::{self, FieldRule};

/// What browsers do not do unless they are told: guess types, show the site in frames of others,
/// send whole addresses along, share a window with whoever opened it. Sign-in windows of others
/// still work (`-allow-popups`).
const SECURITY: [(&str, &str); 4] = [
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "SAMEORIGIN"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin-allow-popups"),
];

#[derive(Debug)]
pub(super) struct Headers(Vec<(String, FieldRule)>);

impl Headers {
    pub(super) fn new(written: &model::Rules) -> Headers {
        let usual =
            SECURITY.map(|(name, value)| (name.to_owned(), FieldRule::IfAbsent(value.to_owned())));
        let usual = usual.into_iter().filter(|_| written.security_headers);
        Headers(usual.chain(written.headers.iter().cloned()).collect())
    }

    pub(super) fn apply(&self, head: &mut ResponseHead) {
        for (name, rule) in &self.0 {
            apply(name, rule, &mut head.fields);
            head.dated |= name.eq_ignore_ascii_case("date");
        }
    }
}

fn apply(name: &str, rule: &FieldRule, fields: &mut Fields) {
    match rule {
        FieldRule::Set(value) => {
            fields.remove(name);
            fields.add(name, value);
        }
        FieldRule::Add(value) => fields.add(name, value),
        FieldRule::IfAbsent(value) => {
            if fields.get(name).is_none() {
                fields.add(name, value);
            }
        }
        FieldRule::Remove => fields.remove(name),
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn applied(rules: model::Rules) -> String {
        let mut head = ResponseHead::new(StatusCode::OK);
        head.fields.add("X-Frame-Options", "DENY");
        head.fields.add("Server", "app");
        Headers::new(&rules).apply(&mut head);
        let lines = head.fields.blocks().concat();
        String::from_utf8(lines).expect("text")
    }

    #[test]
    fn each_rule_does_what_it_says() {
        let value = |text: &str| text.to_owned();
        for (name, rule, expected) in [
            ("server", FieldRule::Remove, "X-Frame-Options: DENY\r\n"),
            (
                "server",
                FieldRule::Set(value("us")),
                "X-Frame-Options: DENY\r\nserver: us\r\n",
            ),
            (
                "Server",
                FieldRule::Add(value("us")),
                "X-Frame-Options: DENY\r\nServer: app\r\nServer: us\r\n",
            ),
            (
                "SERVER",
                FieldRule::IfAbsent(value("us")),
                "X-Frame-Options: DENY\r\nServer: app\r\n",
            ),
            (
                "X",
                FieldRule::IfAbsent(value("y")),
                "X-Frame-Options: DENY\r\nServer: app\r\nX: y\r\n",
            ),
        ] {
            let rules = model::Rules {
                headers: vec![(name.to_owned(), rule.clone())],
                ..Default::default()
            };
            assert_eq!(applied(rules), expected, "{name} {rule:?}");
        }
    }

    #[test]
    fn the_preset_leaves_room_for_what_was_said() {
        let rules = model::Rules {
            security_headers: true,
            headers: vec![("Referrer-Policy".to_owned(), FieldRule::Remove)],
            ..Default::default()
        };
        assert_eq!(
            applied(rules),
            "X-Frame-Options: DENY\r\nServer: app\r\nX-Content-Type-Options: nosniff\r\n\
             Cross-Origin-Opener-Policy: same-origin-allow-popups\r\n"
        );
    }
}
