//! uWSGI's `mount`: a route with the rules of the one that answered there.

use std::path::PathBuf;

use crate::disk::tests::Memory;

fn project(files: &[(&str, &str)]) -> String {
    let disk = Memory::with(files);
    let named: Vec<PathBuf> = files.iter().map(|(name, _)| PathBuf::from(name)).collect();
    crate::import(&named, &disk).unwrap().project
}

#[track_caller]
fn has(project: &str, route: &str) {
    let found = project.lines().any(|line| line.starts_with(route));
    assert!(found, "{route}\n{project}");
}

const INI: (&str, &str) = (
    "/c/uwsgi.ini",
    "[uwsgi]\nhttp-socket = :80\nmount = /admin=admin.wsgi:app\nmount = /=shop:app\nmanage-script-name = true\n",
);

#[test]
fn a_mount_becomes_a_route() {
    let project = project(&[INI]);
    has(&project, "module = \"shop:app\"");
    has(&project, "\"/\" = { wsgi = true }");
    has(
        &project,
        "\"/admin\" = { wsgi = \"admin.wsgi:app\", mount = true }",
    );
}

#[test]
fn a_mount_keeps_what_holds_there() {
    let nginx = "server { listen 80; \
                 location / { uwsgi_pass 127.0.0.1:3031; allow 10.0.0.0/8; deny all; } }";
    let found = project(&[("/c/nginx.conf", nginx), INI]);
    let admin = "\"/admin\" = { wsgi = \"admin.wsgi:app\", allow = [\"10.0.0.0/8\"]";
    has(&found, admin);
    let nginx = "server { listen 80; location / { uwsgi_pass 127.0.0.1:3031; } \
                 location /admin/ { uwsgi_pass 127.0.0.1:3031; client_max_body_size 7m; } }";
    let found = project(&[("/c/nginx.conf", nginx), INI]);
    has(
        &found,
        "\"/admin/\" = { wsgi = \"admin.wsgi:app\", body_limit = \"7MB\", mount = true }",
    );
    assert!(!found.contains("\"/admin\" ="), "{found}");
}
