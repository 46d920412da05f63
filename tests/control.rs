//! Commands to a running server, its pidfile, and that a project has one server only.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use support::{Appliance, Finished, Project, eventually, is_running};

const APP: &str = r#"
import time

def application(environ, start_response):
    if environ["PATH_INFO"] == "/stuck":
        open("running", "w").close()
        time.sleep(600)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"#;

/// Runs `appliance COMMAND project.toml` to its end.
#[track_caller]
fn command(site: &Appliance, command: &str, arguments: &[&str]) -> Finished {
    let mut command = site.project.command(command);
    command.args(arguments);
    Finished::of(command)
}

#[test]
fn status_tells_of_the_server_and_its_workers() {
    let site = Project::wsgi_with("processes = 2", APP).start();
    let status = site.status();
    assert_eq!(status["state"], "serving");
    assert_eq!(status["pid"], site.pid());
    assert_eq!(status["generation"], 1);
    assert_eq!(status["addresses"][0], site.address().to_string());
    let pids = |worker: usize| status["workers"][worker]["pid"].as_i64().unwrap();
    let mut told = [0, 1].map(|worker| i32::try_from(pids(worker)).unwrap());
    told.sort_unstable();
    assert_eq!(told.as_slice(), site.workers());
    assert!(status["workers"][1]["memory_bytes"].as_u64().unwrap() > 1_000_000);

    let text = command(&site, "status", &[]).stdout;
    assert!(
        text.contains(&format!("  {}  serving", site.workers()[0])),
        "{text}"
    );
}

#[test]
fn the_status_tells_every_kind_of_listener() {
    let sites = "[[site]]\nlisten = [\"127.0.0.1:0\", \"uwsgi://127.0.0.2:0\", \"unix:a.sock\", \
                 \"uwsgi://unix:b.sock\"]\n[site.routes]\n\"/\" = { wsgi = true }\n";
    let site = Project::with_sites(APP, "processes = 1", sites).start();
    let text = command(&site, "status", &[]).stdout;
    let plain = site.address().to_string();
    let log = site.log();
    let uwsgi = log
        .lines()
        .find_map(|line| line.split_once("listening on uwsgi://1"));
    let uwsgi = format!("1{}", uwsgi.unwrap().1);
    let [a, b] = ["a.sock", "b.sock"].map(|name| site.project.path(name).display().to_string());
    let listed: Vec<&str> = text.lines().skip(2).take(4).map(str::trim).collect();
    let expected = [
        format!("http://{plain}"),
        format!("uwsgi://{uwsgi}"),
        format!("unix:{a}"),
        format!("uwsgi://unix:{b}"),
    ];
    assert_eq!(listed, expected, "{text}");
    let json = site.status();
    assert_eq!(json["addresses"], serde_json::json!([plain, uwsgi]));
    assert_eq!(json["uwsgi"], serde_json::json!([uwsgi]));
    assert_eq!(json["unix"], serde_json::json!([a, b]));
    assert_eq!(json["uwsgi_unix"], serde_json::json!([b]));
}

#[test]
fn status_counts_who_was_replaced_and_why() {
    let site = Project::wsgi(APP).start();
    site.signal_worker(site.workers()[0], libc::SIGKILL);
    eventually("successor", || {
        (site.status()["workers"][0]["state"] == "serving").then_some(())
    });
    assert_eq!(command(&site, "reload", &[]).status, 0);
    let status = site.status();
    assert_eq!(
        status["replaced"],
        serde_json::json!({ "crash": 1, "reload": 1 })
    );
}

#[test]
fn stop_returns_when_the_server_is_gone() {
    for verb in ["stop", "quit"] {
        let mut site = Project::wsgi(APP)
            .also("[server]\npidfile = \"a.pid\"")
            .start();
        let pid = site.pid();
        let pidfile = site.project.path("a.pid");
        assert_eq!(fs::read_to_string(&pidfile).unwrap(), format!("{pid}\n"));
        let finished = command(&site, verb, &[]);
        assert!(!is_running(pid));
        assert!(!pidfile.exists());
        assert_eq!(
            (finished.status, finished.stdout.as_str()),
            (0, "stopped\n"),
            "{finished:?}"
        );
        assert_eq!(site.wait(), 0);
        assert!(
            site.log()
                .contains(&format!("stopping signal=`appliance {verb}`"))
        );
    }
}

#[test]
fn a_stop_that_cuts_requests_off_says_so() {
    let mut site = Project::wsgi(APP)
        .also("[server]\nstop_timeout = \"200ms\"")
        .start();
    let mut connection = site.connect();
    connection.send("GET /stuck HTTP/1.1\r\nhost: test\r\n\r\n");
    let flag = site.project.path("running");
    eventually("running request", || flag.exists().then_some(()));
    let finished = command(&site, "stop", &[]);
    assert_eq!(
        finished.stderr,
        "error: stopped, but requests were cut off when `server.stop_timeout` had passed\n"
    );
    assert_eq!(finished.status, 4);
    assert_eq!(site.wait(), 4);
}

#[test]
fn a_second_stop_ends_requests_at_once() {
    let mut site = Project::wsgi(APP).start();
    let mut connection = site.connect();
    connection.send("GET /stuck HTTP/1.1\r\nhost: test\r\n\r\n");
    let flag = site.project.path("running");
    eventually("running request", || flag.exists().then_some(()));
    site.signal(libc::SIGTERM);
    site.wait_for_log("stopping signal=SIGTERM");
    // What comes within 0.3 s counts as the same request.
    std::thread::sleep(std::time::Duration::from_millis(350));
    assert_eq!(command(&site, "stop", &[]).status, 0);
    assert_eq!(site.wait(), 0);
    assert!(
        site.log()
            .contains("stopping at once signal=`appliance stop`")
    );
}

#[test]
fn commands_find_no_server_where_there_is_none() {
    let project = Project::wsgi(APP).also("[server]\ncontrol = \"a.sock\"");
    let path = project.path("a.sock");
    for command in ["status", "reload", "stop", "quit"] {
        let finished = Finished::of(project.command(command));
        assert_eq!(finished.status, 5);
        assert_eq!(
            finished.stderr,
            format!(
                "error: no server of this project is running\n\
                 hint: looked for its control socket at `{}`; `server.control` says where it is if not there\n",
                path.display()
            )
        );
    }
}

#[test]
fn a_server_is_reached_whatever_has_become_of_its_project_file() {
    let mut site = Project::wsgi(APP).start();
    fs::write(site.project.path("project.toml"), "nonsense").unwrap();
    assert_eq!(site.status()["state"], "serving");
    assert_eq!(command(&site, "stop", &[]).status, 0);
    assert_eq!(site.wait(), 0);
}

#[test]
fn a_project_has_one_server() {
    let site = Project::wsgi(APP).start();
    let second = site.project.serve_in_vain();
    assert_eq!(
        second.message(),
        format!(
            "error: this project is being served already, by process {}\n\
             hint: `appliance reload` makes it take up changes, `appliance stop` ends it; \
             two at once need two `server.control`\n",
            site.pid()
        )
    );
    assert_eq!(second.status, 3);
    assert_eq!(site.get("/").text(), "hello");
}

#[test]
fn only_its_owner_may_use_the_control_socket() {
    let site = Project::wsgi(APP)
        .also("[server]\ncontrol = \"a.sock\"")
        .start();
    let found = fs::metadata(site.project.path("a.sock")).unwrap();
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_a_killed_server_leaves_is_no_obstacle() {
    let project = Project::wsgi(APP).also("[server]\npidfile = \"a.pid\"\ncontrol = \"a.sock\"");
    let mut site = project.start();
    site.signal(libc::SIGKILL);
    site.wait();
    let first = site.pid();
    let project = site.into_project();
    assert!(project.path("a.pid").exists() && project.path("a.sock").exists());
    let mut site = project.start();
    site.wait_for_log(&format!(
        "a server has left this file behind file={} pid={first}",
        site.project.path("a.pid").display()
    ));
    assert_eq!(command(&site, "stop", &[]).status, 0);
    site.wait();
    assert!(!site.project.path("a.pid").exists());
    assert!(!site.project.path("a.sock").exists());
}

#[test]
fn a_pidfile_of_another_server_is_refused() {
    let pidfile = tempfile::tempdir().unwrap();
    let pidfile = pidfile.path().join("both.pid");
    let project = || Project::wsgi(APP).also(&format!("[server]\npidfile = {pidfile:?}"));
    let site = project().start();
    let second = project().serve_in_vain();
    let message = second.message();
    let first = message.lines().next().unwrap();
    assert_eq!(
        first,
        format!(
            "error: the pidfile `{}` belongs to process {}, which is running",
            pidfile.display(),
            site.pid()
        )
    );
    assert_eq!(second.status, 3);
}

#[test]
fn a_file_that_is_no_pidfile_is_not_overwritten() {
    let project = Project::wsgi(APP).also("[server]\npidfile = \"app.py\"");
    let finished = project.serve_in_vain();
    let path = project.path("app.py");
    assert_eq!(
        finished.message(),
        format!(
            "error: `{path}` is no pidfile: it holds something else than a process id\n \
             --> project.toml:14: server.pidfile = \"{path}\"\n\
             hint: it is not overwritten: choose another path, or remove `{path}`\n",
            path = path.display()
        )
    );
    assert_eq!(fs::read_to_string(path).unwrap(), APP);
}

#[test]
fn a_file_is_not_overwritten_by_the_control_socket() {
    let project = Project::wsgi(APP).also("[server]\ncontrol = \"app.py\"");
    let path = project.path("app.py").display().to_string();
    assert_eq!(
        project.serve_in_vain().message(),
        format!(
            "error: `{path}` is in the way of the control socket: it is a file of something else\n \
             --> project.toml:14: server.control = \"{path}\"\n\
             hint: it is not overwritten: choose another path, or remove `{path}`\n"
        )
    );
    assert_eq!(fs::read_to_string(project.path("app.py")).unwrap(), APP);
}

#[test]
fn a_lone_worker_holds_its_pidfile() {
    let project = Project::wsgi(APP).also("[server]\npidfile = \"a.pid\"");
    let mut site = Appliance::launch(project, &["--no-supervisor"]);
    site.wait_until_listening();
    assert_eq!(site.get("/").text(), "hello");
    let pid = fs::read_to_string(site.project.path("a.pid")).unwrap();
    assert_eq!(pid, format!("{}\n", site.pid()));
    let mut second = site.project.command("serve");
    second.arg("--no-supervisor");
    let second = Finished::of(second);
    assert!(second.stderr.contains("belongs to process"), "{second:?}");
}
