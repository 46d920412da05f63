//! Restrictions: carried over as they were, and never lost without a word.

use std::path::PathBuf;

use crate::disk::tests::Memory;

fn project(locations: &str) -> String {
    let text = format!(
        "limit_req_zone $binary_remote_addr zone=slow:1m rate=5r/m; server {{ listen 80; root /srv; {locations} }}"
    );
    let disk = Memory::with(&[("/c/nginx.conf", &text)]);
    crate::import(&[PathBuf::from("/c/nginx.conf")], &disk)
        .unwrap()
        .project
}

#[test]
fn restrictions_become_rules_of_the_route() {
    for (location, expected) in [
        (
            "location /a/ { allow 10.0.0.0/8; deny all; }",
            "\"/a/\" = { files = \"/srv/a\", allow = [\"10.0.0.0/8\"], deny = [] }",
        ),
        (
            "location /a/ { deny all; }",
            "\"/a/\" = { files = \"/srv/a\", deny = [\"0.0.0.0/0\", \"::/0\"] }",
        ),
        (
            "location /a/ { auth_basic \"staff\"; auth_basic_user_file users; }",
            "\"/a/\" = { files = \"/srv/a\", password_file = \"/c/users\", realm = \"staff\" }",
        ),
        (
            "location /a/ { limit_req zone=slow burst=3; }",
            "\"/a/\" = { files = \"/srv/a\", rate_limit = { rate = \"5/m\", burst = 4 } }",
        ),
        (
            "location /a/ { limit_except GET { deny all; } }",
            "\"/a/\" = { files = \"/srv/a\", methods = [\"GET\", \"HEAD\"] }",
        ),
    ] {
        let project = project(location);
        assert!(
            project.lines().any(|line| line.starts_with(expected)),
            "{expected}\n{project}"
        );
    }
}

#[test]
fn what_cannot_be_restricted_is_not_served() {
    for location in [
        "location /a/ { auth_request /auth; }",
        "location /a/ { auth_basic \"no file\"; }",
        "location /a/ { allow $home; deny all; }",
        "location /a/ { limit_except GET { allow 10.0.0.1; deny all; } }",
    ] {
        let project = project(location);
        assert!(
            project
                .lines()
                .any(|line| line.starts_with("# \"/a/\" = {")),
            "{location}\n{project}"
        );
        assert!(
            !project.lines().any(|line| line.starts_with("\"/a/\"")),
            "{location}\n{project}"
        );
    }
}
