//! `wsgi.input` (PEP 3333, "Input and Error Streams").

use crate::support::{Appliance, Project};
use crate::{post, post_chunked, respond};

#[test]
fn input_reads_like_a_file_in_memory() {
    compare_with_bytes_io(&Project::wsgi(include_str!("../apps/input.py")).start());
}

#[test]
fn spooled_input_reads_like_a_file_in_memory() {
    let spooled = Project::wsgi_with("body_buffer = \"0B\"", include_str!("../apps/input.py"));
    compare_with_bytes_io(&spooled.start());
}

fn compare_with_bytes_io(site: &Appliance) {
    let mut connection = site.connect();
    for size in [0, 1, 20, 3000, 65_536, 200_000] {
        for seed in 0..if size > 10_000 { 8 } else { 25 } {
            let query = format!("?seed={seed}&size={size}");
            let body = connection.get(&format!("/body{query}")).body().to_vec();
            assert_eq!(body.len(), size);
            let path = format!("/compare{query}");
            for request in [post(&path, &body), post_chunked(&path, &body, 1 + size / 3)] {
                connection.send(request);
                assert_eq!(connection.response().text(), "the same", "{path}");
            }
        }
    }
}

#[test]
fn what_is_no_size_is_a_type_error() {
    let site = Project::wsgi(
        r#"
def application(environ, start_response):
    raised = []
    for name in "read", "readline", "readlines":
        for argument in "1", 1.5, b"":
            try:
                getattr(environ["wsgi.input"], name)(argument)
            except TypeError as error:
                raised.append(name)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [" ".join(raised).encode(), b" ", environ["wsgi.input"].read()]
"#,
    )
    .start();
    assert_eq!(
        respond(&site, post("/", "body")).text(),
        "read read read readline readline readline readlines readlines readlines body"
    );
}

#[test]
fn input_that_nobody_reads_does_not_reach_the_next_request() {
    let site = Project::wsgi(
        r#"
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode()]
"#,
    )
    .start();
    let mut connection = site.connect();
    for size in [10, 100_000, 1_000_000] {
        connection.send(post("/unread", vec![b'x'; size]));
        assert_eq!(connection.response().text(), "/unread");
        assert_eq!(connection.get("/next").text(), "/next");
    }
}
