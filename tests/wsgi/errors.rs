//! What becomes of an application's failures, and of what it writes to `wsgi.errors`.

use crate::support::{Appliance, Project};

const ERRORS: &str = include_str!("../apps/errors.py");

/// What the log says of a request that raised, its first line checked and left out.
#[track_caller]
fn traceback(site: &Appliance, path: &str) -> String {
    let begin = format!("the application raised an exception: GET {path} (request ");
    site.wait_for_log(&begin);
    let log = site.log();
    let (before, entry) = log.split_once(&begin).unwrap();
    assert!(before.ends_with(" ERROR worker 1: "), "{log}");
    let (id, entry) = entry.split_once(")\n").unwrap();
    assert_eq!(id.len(), 16);
    assert!(id.bytes().all(|digit| digit.is_ascii_hexdigit()), "{id}");
    // Up to the next entry, which begins with its time.
    let lines = entry.lines().take_while(|line| !line.starts_with("20"));
    lines.fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn an_exception_before_the_head_is_a_500_and_a_whole_traceback() {
    let site = Project::wsgi(ERRORS).start();
    let mut connection = site.connect();
    for (path, exception) in [
        ("/before-the-head", "ValueError: the message"),
        ("/after-start-response", "ValueError: the message"),
        ("/chained", "RuntimeError: the consequence"),
        ("/in-generator", "ValueError: the message"),
        ("/no-such-function", "KeyError: 'no_such_function'"),
        ("/exit", "SystemExit: leaving"),
        ("/interrupt", "KeyboardInterrupt"),
        ("/two-lines?a=b", "ValueError: one\ntwo"),
    ] {
        let response = connection.get(path);
        assert_eq!(response.status, 500, "{path}");
        assert_eq!(response.text(), "500 Internal Server Error\n");
        let traceback = traceback(&site, path);
        assert!(
            traceback.starts_with("Traceback (most recent call last):\n  File \"")
                && traceback.ends_with(&format!("\n{exception}\n")),
            "{traceback}"
        );
        assert_eq!(connection.get("/fine").text(), "fine", "after {path}");
    }
}

#[test]
fn a_traceback_names_every_frame_and_every_cause() {
    let site = Project::wsgi(ERRORS).start();
    assert_eq!(site.get("/chained").status, 500);
    let traceback = traceback(&site, "/chained");
    let file = site.project.path("app.py");
    let deep = format!("  File {file:?}, line 9, in deep\n    raise ValueError(\"the message\")\n");
    assert!(traceback.contains(&deep), "{traceback}");
    for function in ["application", "chained"] {
        let frame = format!(", in {function}\n");
        assert!(traceback.contains(&frame), "{traceback}");
    }
    assert!(
        traceback.contains("The above exception was the direct cause of the following exception:"),
        "{traceback}"
    );
}

#[test]
fn exceptions_that_are_hard_to_print_are_logged_all_the_same() {
    let site = Project::wsgi(ERRORS).start();
    assert_eq!(site.get("/recursion").status, 500);
    let recursion = traceback(&site, "/recursion");
    assert!(recursion.contains("RecursionError: maximum recursion depth exceeded"));
    assert!(
        recursion.contains("[Previous line repeated "),
        "{recursion}"
    );
    assert_eq!(site.get("/unprintable").status, 500);
    let unprintable = traceback(&site, "/unprintable");
    // What Python itself makes of it differs from version to version.
    assert!(unprintable.contains("Unprintable: <"), "{unprintable}");
    assert_eq!(site.get("/fine").text(), "fine");
}

#[test]
fn visitors_see_nothing_of_a_traceback() {
    let site = Project::wsgi(ERRORS).start();
    for accept in ["*/*", "text/html"] {
        let bytes = site.exchange(format!(
            "GET /before-the-head HTTP/1.1\r\nhost: test\r\naccept: {accept}\r\n\
             connection: close\r\n\r\n"
        ));
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with("HTTP/1.1 500 "), "{text}");
        for secret in ["Traceback", "ValueError", "the message", "app.py"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn an_exception_while_sending_cuts_the_connection() {
    let site = Project::wsgi(ERRORS).start();
    for path in ["/while-sending", "/while-sending-counted"] {
        let mut connection = site.connect();
        let response = connection.get(path);
        assert_eq!((response.status, response.text()), (200, "begun"), "{path}");
        assert!(!response.complete, "{path}");
        assert_eq!(connection.read_to_end(), b"", "{path}");
        assert!(traceback(&site, path).ends_with("ValueError: the message\n"));
    }
    assert_eq!(site.get("/fine").text(), "fine");
}

#[test]
fn a_process_that_ends_in_a_view_costs_its_own_requests() {
    for (path, cause) in [
        ("/process-exit", "exit status 3"),
        ("/process-abort", "SIGABRT"),
    ] {
        let site = Project::wsgi(ERRORS).start();
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n");
        assert_eq!(site.exchange(request), b"", "{path}");
        assert_eq!(site.get("/fine").text(), "fine", "after {path}");
        site.wait_for_log(&format!("cause={cause} "));
    }
}

#[test]
fn a_response_that_its_process_does_not_live_to_finish_is_seen_to_be_cut() {
    let site = Project::wsgi(ERRORS).start();
    let mut connection = site.connect();
    connection.send("GET /process-exit-while-sending HTTP/1.1\r\nhost: test\r\n\r\n");
    let mut head = [0; 15];
    std::io::Read::read_exact(&mut connection.stream(), &mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    std::fs::write(site.project.path("received"), "").unwrap();
    let rest = String::from_utf8(connection.read_to_end()).unwrap();
    assert!(rest.ends_with("\r\n\r\n5\r\nbegun\r\n"), "{rest}");
    assert_eq!(site.get("/fine").text(), "fine");
}

#[test]
fn what_is_written_to_wsgi_errors_is_logged_line_by_line() {
    let site = Project::wsgi_with("threads = 1", ERRORS).start();
    assert_eq!(site.get("/errors").text(), "fine");
    for line in [
        "a line of the application",
        "two lines,",
        "in one write",
        "in two writes",
        "with writelines",
        "without its end",
        "caf\u{e9} \u{20ac} \\udcff",
    ] {
        site.wait_for_log(&format!(" WARN worker 1: {line}\n"));
    }
    // The end of a request ends its lines.
    assert_eq!(site.get("/unfinished-line").text(), "fine");
    site.wait_for_log(" WARN worker 1: a line that is never finished\n");
}
