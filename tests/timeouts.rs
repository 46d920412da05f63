//! `python.request_timeout` and `python.queue_timeout`: only the request at fault fails.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::time::Duration;

use support::{Appliance, Connection, Load, Project, Question, Stopwatch, eventually, is_running};

const TIMEOUTS: &str = include_str!("apps/timeouts.py");

const NEIGHBOURS: [Question; 2] = [("/fine", "fine"), ("/drops", "drop drop drop ")];

fn site(settings: &str) -> Appliance {
    Project::wsgi_with(&format!("request_timeout = \"2s\"\n{settings}"), TIMEOUTS).start()
}

/// Sends `GET path` and does not wait for the answer.
fn ask(site: &Appliance, path: &str) -> Connection {
    let mut connection = site.connect();
    connection.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n"));
    connection
}

/// Asks for `path` and checks that the answer is 504, in time.
#[track_caller]
fn times_out(site: &Appliance, path: &str) {
    let watch = Stopwatch::start();
    let mut connection = site.connect();
    let response = connection.get(path);
    let (took, undisturbed) = (watch.elapsed(), watch.undisturbed());
    assert_eq!(
        (response.status, response.text()),
        (504, "504 Gateway Timeout\n")
    );
    assert!(took >= Duration::from_secs(2), "{took:?}");
    assert!(undisturbed <= Duration::from_secs(3), "{took:?}");
    // The connection goes on, whoever answers on it.
    connection.send("GET /report HTTP/1.1\r\nhost: test\r\n\r\n");
}

/// What the log says of the request to `path` that timed out, up to the next entry.
#[track_caller]
fn entry(site: &Appliance, outcome: &str, path: &str) -> String {
    let begin = format!(
        " ERROR worker 1: a request took longer than its 2s and {outcome}: GET {path} (request "
    );
    site.wait_for_log(&begin);
    let log = site.log();
    let (_, entry) = log.split_once(&begin).unwrap();
    let lines = entry.lines().take_while(|line| !line.starts_with("20"));
    lines.fold(String::new(), |text, line| text + line + "\n")
}

/// How old a request was that ended after it had been given up, in seconds.
#[track_caller]
fn end_of_what_was_given_up(site: &Appliance) -> f64 {
    let begin = " INFO worker 1: a request that had been given up has ended after ";
    site.wait_for_log(begin);
    let log = site.log();
    let age = log.split_once(begin).unwrap().1;
    age.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_loop_in_python_gets_504_and_its_thread_serves_on() {
    let site = site("threads = 1");
    assert_eq!(site.get("/thread").text(), "1");
    times_out(&site, "/loop");
    let entry = entry(&site, "was answered 504", "/loop");
    let (first, stack) = entry.split_once('\n').unwrap();
    assert!(first.ends_with(" s old, in thread appliance-1"), "{entry}");
    let file = site.project.path("app.py");
    assert!(
        stack.starts_with("Stack (most recent call last):\n"),
        "{entry}"
    );
    assert!(
        stack.contains(&format!(
            "  File {file:?}, line 22, in loop\n    sum(range(100))\n"
        )) || stack.contains(&format!(
            "  File {file:?}, line 21, in loop\n    while time.monotonic() < end:\n"
        )),
        "{entry}"
    );
    // The same thread, and the exception went through `except Exception`.
    assert_eq!(site.get("/thread").text(), "2");
    assert_eq!(site.get("/report").text(), "finally");
    // A loop that nobody ended would go on for a minute.
    assert!((2.0..30.0).contains(&end_of_what_was_given_up(&site)));
    assert!(
        !site.log().contains("the application raised"),
        "{}",
        site.log()
    );
}

#[test]
fn one_that_sleeps_gets_504_and_its_neighbours_are_served() {
    let site = site("threads = 2");
    let mut sleeper = ask(&site, "/sleep?4");
    let began = Stopwatch::start();
    let mut served = 0;
    let mut neighbour = site.connect();
    while began.elapsed() < Duration::from_secs(5) {
        let watch = Stopwatch::start();
        assert_eq!(neighbour.get("/fine").text(), "fine");
        let waited = watch.undisturbed();
        assert!(waited < Duration::from_millis(500), "{waited:?}");
        served += 1;
    }
    assert!(served > 10, "{served}");
    assert_eq!(sleeper.response().status, 504);
    assert!(entry(&site, "was answered 504", "/sleep?4").contains(", in sleep\n    time.sleep("));
    // It ended as soon as it ran bytecode again, before the grace.
    assert!((4.0..14.0).contains(&end_of_what_was_given_up(&site)));
    assert_eq!(site.get("/report").text(), "");
}

#[test]
fn the_exception_never_hits_another_request() {
    // Calls that end about when they time out.
    let site = site("threads = 2");
    let mut statuses = [0; 2];
    for round in 0..8 {
        let sleep = format!("/sleep?{}", 1.86 + f64::from(round) * 0.06);
        let mut sleepers = [ask(&site, &sleep), ask(&site, &sleep)];
        for sleeper in &mut sleepers {
            match sleeper.response().status {
                200 => statuses[0] += 1,
                504 => statuses[1] += 1,
                status => panic!("unexpected: {status}"),
            }
            for _ in 0..20 {
                assert_eq!(sleeper.get("/fine").text(), "fine");
            }
        }
    }
    assert!(statuses[0] > 0 && statuses[1] > 0, "{statuses:?}");
}

#[test]
fn one_that_keeps_the_gil_gets_504_all_the_same() {
    for (path, why, frame) in [
        (
            "/keep-gil?4",
            "it keeps the GIL, so no other request of this worker gets on",
            "line 49 in keep_gil",
        ),
        (
            "/wait-with-gil?4",
            "the GIL is not to be had, so no request of this worker gets on",
            " in wait_with_gil",
        ),
    ] {
        let site = site("threads = 2\ntimeout_grace = \"60s\"");
        times_out(&site, path);
        let entry = entry(&site, "was answered 504", path);
        let begin = format!("{why}\nStack (most recent call first):\n");
        assert!(entry.contains(&begin), "{entry}");
        assert!(entry.contains(frame), "{entry}");
        // Nobody else has failed when it is over.
        assert_eq!(site.get("/fine").text(), "fine");
    }
}

#[test]
fn a_thread_that_does_not_come_back_costs_its_worker_and_no_other_request() {
    let settings = "processes = 2\nthreads = 3\ntimeout_grace = \"1s\"";
    for path in ["/sleep?40", "/swallow"] {
        let site = site(settings);
        let load = Load::start(site.address(), &NEIGHBOURS);
        let workers = site.workers();
        times_out(&site, path);
        site.wait_for_log("s after it was given up, and its thread is lost: GET /s");
        site.wait_for_log("worker replaced; it drains worker=");
        let replaced = Stopwatch::start();
        // It does not wait for what will not come back.
        eventually("end of the worker", || {
            workers
                .iter()
                .any(|worker| !is_running(*worker))
                .then_some(())
        });
        assert!(replaced.undisturbed() < Duration::from_secs(10));
        let counted = load.stop();
        assert!(
            counted.failed.is_empty() && counted.answered > 50,
            "{counted:?}"
        );
        let log = site.log();
        assert!(log.contains(" reason=stuck "), "{log}");
        assert!(
            !log.contains("unfinished") && !log.contains("died"),
            "{log}"
        );
    }
}

#[test]
fn while_one_keeps_the_gil_the_others_wait_and_none_fails() {
    let site = site("processes = 2\nthreads = 3\ntimeout_grace = \"60s\"");
    let load = Load::start(site.address(), &NEIGHBOURS);
    times_out(&site, "/keep-gil?4");
    site.wait_for_log("it keeps the GIL, so no other request of this worker gets on");
    site.wait_for_log("worker replaced; it drains worker=");
    site.wait_for_log("a request that had been given up has ended after ");
    // Those whose connection was in that worker waited for it; they go on.
    std::thread::sleep(Duration::from_secs(1));
    let counted = load.stop();
    assert!(
        counted.failed.is_empty() && counted.answered > 50,
        "{counted:?}"
    );
    let log = site.log();
    assert_eq!(
        log.matches(" a request took longer than ").count(),
        1,
        "{log}"
    );
    assert!(log.contains(" reason=stuck "), "{log}");
}

#[test]
fn one_that_keeps_the_gil_has_its_worker_replaced_before_it_times_out() {
    let settings = "request_timeout = \"60s\"\nthreads = 2\ntimeout_grace = \"1s\"";
    for (path, what) in [
        (
            "/keep-gil?4",
            "a request has kept the GIL for 1 s, so no other request of this worker gets on",
        ),
        (
            "/wait-with-gil?4",
            "the GIL has not been to be had for 1 s, so no request of this worker gets on, the \
             oldest",
        ),
    ] {
        let site = Project::wsgi_with(settings, TIMEOUTS).start();
        let mut keeper = ask(&site, path);
        site.wait_for_log(&format!("{what}: GET {path} (request "));
        site.wait_for_log("worker replaced; it drains worker=1 reason=stuck ");
        let watch = Stopwatch::start();
        assert_eq!(site.get("/fine").text(), "fine");
        assert!(watch.undisturbed() < Duration::from_secs(1));
        // It had its time, and is answered.
        assert_eq!(keeper.response().text(), "fine");
        let shows_stack = site.log().contains(" in keep_gil\n");
        assert_eq!(shows_stack, path.starts_with("/keep-gil"));
    }
}

#[test]
fn a_route_may_have_a_timeout_of_its_own() {
    let sites = "[[site]]\nlisten = [\"127.0.0.1:0\"]\n\n[site.routes]\n\
                 \"/\" = { wsgi = true }\n\
                 \"/sleep\" = { wsgi = true, request_timeout = \"20s\" }\n\
                 \"/loop\" = { wsgi = true, request_timeout = \"1s\" }\n";
    let site = Project::with_sites(TIMEOUTS, "request_timeout = \"2s\"", sites).start();
    let mut sleeper = ask(&site, "/sleep?4");
    let watch = Stopwatch::start();
    assert_eq!(site.get("/loop").status, 504);
    assert!(watch.undisturbed() < Duration::from_secs(2));
    times_out(&site, "/catch");
    assert_eq!(sleeper.response().text(), "fine");
}

#[test]
fn an_application_may_catch_the_exception() {
    let site = site("threads = 1");
    times_out(&site, "/catch");
    assert_eq!(site.get("/report").text(), "caught BaseException");
}

#[test]
fn a_module_of_the_projects_own_keeps_its_name() {
    let project = Project::wsgi(
        "import appliance\n\ndef application(environ, start_response):\n    start_response('200 OK', [])\n    return [appliance.own]\n",
    );
    let site = project.file("appliance.py", "own = b'mine'\n").start();
    assert_eq!(site.get("/").text(), "mine");
}

#[test]
fn without_a_supervisor_a_worker_whose_threads_are_all_lost_ends() {
    let settings = "request_timeout = \"1s\"\nthreads = 2\ntimeout_grace = \"1s\"";
    let project = Project::wsgi_with(settings, TIMEOUTS);
    let mut site = Appliance::launch(project, &["--no-supervisor"]);
    site.wait_until_listening();
    assert_eq!(site.get("/sleep?40").status, 504);
    site.wait_for_log("this worker should be replaced, and there is no supervisor to do it");
    // One thread is left.
    assert_eq!(site.get("/fine").text(), "fine");
    assert_eq!(site.get("/sleep?40").status, 504);
    site.wait_for_log("no thread of this worker serves any more: stopping");
    assert_eq!(site.wait(), 4);
}

#[test]
fn a_response_that_stalls_is_cut() {
    let site = site("threads = 1");
    let mut connection = ask(&site, "/stall");
    let response = connection.response();
    assert_eq!((response.status, response.complete), (200, false));
    assert_eq!(response.text(), "begun");
    entry(&site, "was cut", "/stall");
    eventually("the generator's end", || {
        (site.get("/report").text() == "closed").then_some(())
    });
}

#[test]
fn a_response_that_gets_on_may_take_longer() {
    let site = site("threads = 2\nresponse_spool = 0");
    let response = site.get("/drip");
    assert_eq!(
        (response.text(), response.complete),
        ("drop ".repeat(8).as_str(), true)
    );
    // Nor is a slow client the application's fault.
    let mut slow = ask(&site, "/flood");
    std::thread::sleep(Duration::from_secs(4));
    let response = slow.response();
    assert_eq!((response.status, response.complete), (200, true));
    assert!(!site.log().contains("ERROR"), "{}", site.log());
}

#[test]
fn waiting_in_the_queue_has_a_bound_of_its_own() {
    let settings = "request_timeout = \"60s\"\nthreads = 1\nqueue_timeout = \"1s\"";
    let site = Project::wsgi_with(settings, TIMEOUTS).start();
    let mut first = ask(&site, "/hold");
    let begun = site.project.path("begun");
    eventually("first request", || begun.exists().then_some(()));
    let watch = Stopwatch::start();
    let response = ask(&site, "/fine").response();
    let (waited, undisturbed) = (watch.elapsed(), watch.undisturbed());
    assert!(waited >= Duration::from_secs(1), "{waited:?}");
    assert!(undisturbed < Duration::from_millis(1600), "{waited:?}");
    assert_eq!(
        (response.status, response.header("retry-after")),
        (503, Some("1"))
    );
    std::fs::write(site.project.path("go"), "").unwrap();
    assert_eq!(first.response().status, 200);
    site.wait_for_log(" WARN worker 1: requests waited 1s for a thread and were answered 503, the first: GET /fine (request ");
    assert!(!site.log().contains("queue is full"));
}
