//! The access log: what its lines say, that each request has one, and that nobody forges any.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::fs;

use support::{Appliance, Finished, Load, Project, Question, eventually};

const APP: &str = r#"
import time

def application(environ, start_response):
    list(environ["wsgi.input"])
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.2)
    status = "404 Not Found" if environ["PATH_INFO"] == "/missing" else "200 OK"
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", "11"), ("X-Cache", 'a"b')])
    return [b"hello ", b"world"]
"#;

fn project(site: &str) -> Project {
    let sites = format!(
        "[[site]]\nlisten = [\"127.0.0.1:0\"]\n{site}\n\n[site.routes]\n\
         \"/\" = {{ wsgi = true }}\n\"/files/\" = {{ files = \"files\" }}\n"
    );
    Project::with_sites(APP, "", &sites).file("files/page.txt", "a file")
}

fn lines(site: &Appliance, name: &str) -> Vec<String> {
    let text = fs::read_to_string(site.project.path(name)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[track_caller]
fn wait_for_lines(site: &Appliance, name: &str, count: usize) -> Vec<String> {
    eventually("lines of the access log", || {
        Some(lines(site, name)).filter(|lines| lines.len() >= count)
    })
}

/// Sends a request on a connection of its own; with `\r\n` after each of its lines.
fn ask(site: &Appliance, request: &[&str]) -> String {
    let text = format!("{}\r\n\r\n", request.join("\r\n"));
    String::from_utf8_lossy(&site.exchange(text)).into_owned()
}

#[test]
fn combined_says_what_nginx_would() {
    let mut site = project("access_log = \"access.log\"").start();
    ask(
        &site,
        &[
            "POST /a%20b?c=d HTTP/1.1",
            "host: test",
            "referer: http://x/\"\\",
            "user-agent: t\u{e9}st",
            "content-length: 2",
            "connection: close",
            "",
            "ab",
        ],
    );
    ask(&site, &["GET /files/page.txt HTTP/1.0"]);
    ask(
        &site,
        &[
            "HEAD /files/none HTTP/1.1",
            "host: test",
            "connection: close",
        ],
    );
    ask(&site, &["GET / HTTP/1.1", "host: a/b"]);
    ask(&site, &["GE\u{1b}T / HTTP/1.1"]);
    // Those that come at once may be flushed at once: a second at most.
    let found = wait_for_lines(&site, "access.log", 5);
    let without_time = |line: &String| {
        let (before, rest) = line.split_once(" [").unwrap();
        let (time, after) = rest.split_once("] ").unwrap();
        assert_eq!((time.len(), &time[20..]), (26, " +0000"), "{line}");
        format!("{before} {after}")
    };
    let found: Vec<String> = found.iter().map(without_time).collect();
    assert_eq!(
        found,
        [
            r#"127.0.0.1 - - "POST /a%20b?c=d HTTP/1.1" 200 11 "http://x/\x22\x5C" "t\xC3\xA9st""#,
            r#"127.0.0.1 - - "GET /files/page.txt HTTP/1.0" 200 6 "-" "-""#,
            r#"127.0.0.1 - - "HEAD /files/none HTTP/1.1" 404 0 "-" "-""#,
            r#"127.0.0.1 - - "GET / HTTP/1.1" 400 "#,
            r#"127.0.0.1 - - "-" 400 "#,
        ]
        .iter()
        .zip(&found)
        .map(|(expected, line)| match expected.ends_with(' ') {
            // The length of our own pages is not what this is about.
            true if line.starts_with(expected) => line.clone(),
            _ => (*expected).to_owned(),
        })
        .collect::<Vec<_>>()
    );
    assert_eq!(site.stop(), 0);
}

#[test]
fn json_is_json_whatever_comes() {
    let mut site = project("access_log = \"access.log\"\naccess_log_format = \"json\"").start();
    ask(
        &site,
        &[
            "GET /slow HTTP/1.1",
            "host: test",
            "user-agent: a\"\\\t\u{2028}",
            "connection: close",
        ],
    );
    site.exchange(
        b"GET /files/page.txt HTTP/1.1\r\nhost: test\r\nreferer: \xff\r\nconnection: close\r\n\r\n",
    );
    let found = wait_for_lines(&site, "access.log", 2);
    let found: Vec<serde_json::Value> = found
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (slow, file) = (&found[0], &found[1]);
    assert_eq!(slow["user_agent"], "a\"\\\t\u{2028}");
    assert_eq!(
        (&slow["status"], &slow["worker"], &slow["bytes"]),
        (&200.into(), &1.into(), &11.into())
    );
    let seconds = |line: &serde_json::Value, name: &str| line[name].as_f64().unwrap();
    assert!(seconds(slow, "application_time") >= 0.2 && seconds(slow, "request_time") >= 0.2);
    assert!(seconds(slow, "queue_time") < 0.2);
    assert_eq!(slow["request_id"].as_str().unwrap().len(), 16);
    assert_eq!(
        (&file["application_time"], &file["referer"]),
        (&serde_json::Value::Null, &"\u{fffd}".into())
    );
    assert_eq!(
        (&file["uri"], &file["host"], &file["method"]),
        (&"/files/page.txt".into(), &"test".into(), &"GET".into())
    );
    assert_eq!(site.stop(), 0);
}

#[test]
fn a_format_of_ones_own_has_fields_of_both_sides() {
    let format = "$status ${request_method}:$uri?$args $http_x_a $sent_http_x_cache $sent_http_x_site $scheme $server_port $remote_user";
    let more = format!(
        "access_log = \"access.log\"\naccess_log_format = \"{format}\"\nheaders = {{ X-Site = \"s\" }}"
    );
    let mut site = project(&more).start();
    ask(
        &site,
        &[
            "GET /a?b=c HTTP/1.1",
            "host: test",
            "x-a: 1",
            "connection: close",
        ],
    );
    let port = site.address().port();
    let found = wait_for_lines(&site, "access.log", 1);
    assert_eq!(found, [format!("200 GET:/a?b=c 1 a\\x22b s http {port} -")]);
    assert_eq!(site.stop(), 0);
}

#[test]
fn errors_alone_or_one_of_many_are_logged_if_asked() {
    let mut errors = project("access_log = \"access.log\"\naccess_log_errors = true\naccess_log_format = \"$status $uri\"").start();
    let mut sample = project(
        "access_log = \"access.log\"\naccess_log_sample = 4\naccess_log_format = \"$status $uri\"",
    )
    .start();
    for site in [&errors, &sample] {
        for _ in 0..8 {
            site.get("/");
        }
        site.get("/missing");
    }
    for site in [&mut errors, &mut sample] {
        assert_eq!(site.stop(), 0);
    }
    assert_eq!(lines(&errors, "access.log"), ["404 /missing"]);
    assert_eq!(
        lines(&sample, "access.log"),
        ["200 /", "200 /", "404 /missing"]
    );
}

#[test]
fn each_request_has_its_line_through_reloads_rotations_and_the_end() {
    const QUESTIONS: [Question; 2] = [("/hello", "hello"), ("/files/page.txt", "a file")];
    let log = "access_log = \"access.log\"\naccess_log_format = \"$status $request_uri $request_id $bytes_sent\"";
    let mut site = project(log)
        .also("[server]\nlog_max_size = \"64KB\"\nlog_keep = 1000\n")
        .start();
    let load = Load::start(site.address(), &QUESTIONS);
    let command = |verb: &str| Finished::of(site.project.command(verb)).status;
    eventually("rotated file", || {
        site.project.path("access.log.2").exists().then_some(())
    });
    assert_eq!(command("reload"), 0);
    fs::rename(
        site.project.path("access.log"),
        site.project.path("access.log.moved"),
    )
    .unwrap();
    assert_eq!(command("reopen"), 0);
    eventually("rotated file", || {
        site.project.path("access.log.4").exists().then_some(())
    });
    let counted = load.stop();
    assert!(counted.failed.is_empty(), "{:?}", counted.failed);
    assert_eq!(site.stop(), 0);
    let folder = site.project.path("access.log");
    let names = fs::read_dir(folder.parent().unwrap()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut logged = 0;
    for name in names.filter(|name| name.starts_with("access.log")) {
        for line in lines(&site, &name) {
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!(
                (words.len(), words[0], words[2].len()),
                (4, "200", 16),
                "{line}"
            );
            logged += 1;
        }
    }
    assert_eq!(logged, counted.answered);
}

#[test]
fn standard_output_takes_an_access_log_with_and_without_a_supervisor() {
    for master in [true, false] {
        let project = project("access_log = \"stderr\"\naccess_log_format = \"line $uri $pid\"")
            .also(&format!("[server]\nmaster = {master}\n"));
        let mut site = Appliance::launch(project, &[]);
        site.wait_until_listening();
        eventually("answer", || {
            let mut connection = support::Connection::try_open(site.address()).ok()?;
            connection.try_send("GET /a HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")?;
            connection.try_response()
        });
        site.wait_for_log("line /a ");
        assert_eq!(site.stop(), 0);
    }
}

#[test]
fn a_client_that_leaves_is_499() {
    let mut site =
        project("access_log = \"access.log\"\naccess_log_format = \"$status $uri\"").start();
    let mut connection = site.connect();
    connection.send("GET /slow HTTP/1.1\r\nhost: test\r\n\r\n");
    // The request is there when one that came after it is answered.
    site.get("/");
    drop(connection);
    let found = wait_for_lines(&site, "access.log", 2);
    assert!(found.contains(&"499 /slow".to_owned()), "{found:?}");
    assert_eq!(site.stop(), 0);
}

#[test]
fn server_timing_is_for_those_who_ask_for_it() {
    let site = project("server_timing = true").start();
    let response = site.get("/slow");
    let timing = response.header("server-timing").unwrap();
    let (queue, application) = timing.split_once(", app;dur=").unwrap();
    assert!(
        queue
            .strip_prefix("queue;dur=")
            .unwrap()
            .parse::<f64>()
            .is_ok(),
        "{timing}"
    );
    assert!(application.parse::<f64>().unwrap() >= 200.0, "{timing}");
    assert!(
        site.get("/files/page.txt")
            .header("server-timing")
            .is_none()
    );
    assert!(
        project("")
            .start()
            .get("/")
            .header("server-timing")
            .is_none()
    );
}

#[test]
fn what_is_logged_is_what_was_sent() {
    let format = "$uri $status $sent_http_content_type $sent_http_content_encoding \
                  $sent_http_content_length $body_bytes_sent";
    let sites = format!(
        "[[site]]\nlisten = [\"127.0.0.1:0\"]\naccess_log = \"access.log\"\n\
         access_log_format = '{format}'\nerror_pages = {{ 404 = \"lost.json\" }}\n\n[site.routes]\n\
         \"/\" = {{ wsgi = true, compress = true, intercept = true }}\n\"/files/\" = {{ files = \"files\" }}\n"
    );
    let large = APP.replace("\"11\"", "\"2200\"");
    let large = large.replace("b\"world\"]", "b\"world\", b\"hello world\" * 199]");
    let mut site = Project::with_sites(&large, "", &sites)
        .file("lost.json", "{\"lost\":true}")
        .file("files/page.txt", "a file")
        .start();
    let mut bodies = Vec::new();
    for path in ["/", "/missing", "/files/none"] {
        let mut connection = site.connect();
        connection.send(format!(
            "GET {path} HTTP/1.1\r\nhost: test\r\naccept-encoding: gzip\r\nconnection: close\r\n\r\n"
        ));
        let sent = connection.read_to_end();
        let head = sent
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        bodies.push(sent.len() - head - 4);
    }
    assert!(bodies[0] < 200, "{bodies:?}");
    let json = "application/json; charset=utf-8";
    assert_eq!(
        wait_for_lines(&site, "access.log", 3),
        [
            format!("/ 200 text/plain gzip - {}", bodies[0]),
            format!("/missing 404 {json} - 13 {}", bodies[1]),
            format!("/files/none 404 {json} - 13 13"),
        ]
    );
    assert_eq!(bodies[1..], [13, 13]);
    assert_eq!(site.stop(), 0);
}
