//! What `server.daemonize` promises: the command returns when the site serves, or says why it does not.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use support::{Connection, Finished, Project, eventually, is_running};

const HELLO: &str = r#"
def application(environ, start_response):
    print("a word of the application", flush=True)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"#;

const IN_BACKGROUND: &str = "[server]\ndaemonize = \"server.log\"\npidfile = \"a.pid\"\n";

/// Stops what runs in the background when the test ends, however it ends.
struct Daemon(Project);

impl Daemon {
    #[track_caller]
    fn start(project: Project) -> (Daemon, Finished) {
        let daemon = Daemon(project);
        let started = Finished::of(daemon.0.command("serve"));
        (daemon, started)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.0.path("server.log")).unwrap()
    }

    fn pid(&self) -> i32 {
        let text = fs::read_to_string(self.0.path("a.pid")).unwrap();
        text.trim().parse().unwrap()
    }

    fn get(&self, path: &str) -> String {
        let address = address_in(&self.log());
        Connection::open(address).get(path).text().to_owned()
    }
}

fn address_in(log: &str) -> SocketAddr {
    let address = log.lines().find_map(|line| line.split_once("http://"));
    address.unwrap().1.parse().unwrap()
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let stopped = Finished::of(self.0.command("stop"));
        if std::thread::panicking() {
            eprintln!("{stopped:?}\n--- the log\n{}---", self.log());
        }
    }
}

#[test]
fn the_command_returns_when_the_site_serves() {
    let project =
        Project::wsgi(&format!("import time; time.sleep(1)\n{HELLO}")).also(IN_BACKGROUND);
    let (daemon, started) = Daemon::start(project);
    assert_eq!(started.status, 0, "{started:?}");
    let (pid, log) = (daemon.pid(), daemon.0.path("server.log"));
    assert_eq!(
        started.stdout,
        format!(
            "process {pid} serves in the background; it writes to {}\n",
            log.display()
        )
    );
    // No waiting, no second attempt.
    assert_eq!(daemon.get("/"), "hello");
    assert!(started.stderr.contains("ready in "), "{started:?}");
    assert_eq!(fs::metadata(&log).unwrap().mode() & 0o777, 0o640);
    let said = || daemon.log().contains("a word of the application\n");
    eventually("word of the application", || said().then_some(()));

    // Neither a terminal nor the one who has started it can reach it any more.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let [_, _, group, session, terminal, ..] = fields[..] else {
        panic!("{stat}");
    };
    let own = pid.to_string();
    assert_eq!((group, session, terminal), (&*own, &*own, "0"));
    let descriptor = |number| fs::read_link(format!("/proc/{pid}/fd/{number}")).unwrap();
    assert_eq!(descriptor(0).to_str(), Some("/dev/null"));
    assert_eq!((descriptor(1), descriptor(2)), (log.clone(), log));

    // It is a server like any other, across upgrades too.
    for command in ["reload", "upgrade"] {
        let done = Finished::of(daemon.0.command(command));
        assert_eq!(done.status, 0, "{done:?}");
        assert_eq!((daemon.pid(), daemon.get("/").as_str()), (pid, "hello"));
    }
    let stopped = Finished::of(daemon.0.command("stop"));
    assert_eq!(stopped.stdout, "stopped\n");
    assert!(!is_running(pid));
    assert!(!daemon.0.path("a.pid").exists());
}

/// The files that a server and its workers have open, by name.
fn open_files(pid: i32) -> Vec<String> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let pids = children.split(' ').filter_map(|child| child.parse().ok());
    let open = pids.chain([pid]).flat_map(|pid: i32| {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd"));
        let descriptors = descriptors.into_iter().flatten().flatten();
        descriptors.filter_map(|one| fs::read_link(one.path()).ok())
    });
    open.map(|path| path.display().to_string()).collect()
}

#[test]
fn its_file_is_opened_anew_where_logs_are_and_nobody_keeps_the_old_one() {
    for (set, files) in [("", 1), ("log = \"site.log\"\n", 2)] {
        let project = Project::wsgi(HELLO).also(&format!("{IN_BACKGROUND}{set}"));
        let (daemon, started) = Daemon::start(project);
        assert_eq!(started.status, 0, "{started:?}");
        let (pid, log) = (daemon.pid(), daemon.0.path("server.log"));
        let words = daemon
            .0
            .path(if files == 1 { "server.log" } else { "site.log" });
        let address = address_in(&fs::read_to_string(&words).unwrap());
        for round in ["first", "after an upgrade"] {
            let moved = daemon.0.path(&format!("moved {round}"));
            fs::rename(&log, &moved).unwrap();
            let reopened = Finished::of(daemon.0.command("reopen"));
            let expected = match files {
                1 => "1 log file opened anew\n",
                _ => "2 log files opened anew\n",
            };
            assert_eq!(reopened.stdout, expected, "{reopened:?}");
            let before = fs::metadata(&moved).unwrap().len();
            fs::write(&words, "").unwrap();
            assert_eq!(Connection::open(address).get("/").text(), "hello");
            eventually("word of the application", || {
                let text = fs::read_to_string(&words).unwrap();
                text.contains("a word of the application\n").then_some(())
            });
            let descriptor = |number| fs::read_link(format!("/proc/{pid}/fd/{number}")).unwrap();
            assert_eq!((descriptor(1), descriptor(2)), (log.clone(), log.clone()));
            let open = open_files(pid);
            assert!(open.iter().all(|name| !name.contains("moved")), "{open:?}");
            assert_eq!(fs::metadata(&moved).unwrap().len(), before);
            let upgraded = Finished::of(daemon.0.command("upgrade"));
            assert_eq!(upgraded.status, 0, "{upgraded:?}");
        }
    }
}

#[test]
fn its_file_is_begun_anew_where_logs_are() {
    let app = HELLO.replace("\"a word of the application\"", "\"x\" * 9000");
    let project = Project::wsgi(&app).also(&format!("{IN_BACKGROUND}log_max_size = \"64KB\"\n"));
    let (daemon, started) = Daemon::start(project);
    assert_eq!(started.status, 0, "{started:?}");
    let address = address_in(&daemon.log());
    for _ in 0..10 {
        assert_eq!(Connection::open(address).get("/").text(), "hello");
    }
    let first = daemon.0.path("server.log.1");
    eventually("second file", || first.exists().then_some(()));
    let open = open_files(daemon.pid());
    assert!(open.iter().all(|name| !name.ends_with(".1")), "{open:?}");
    let lines = [fs::read_to_string(first).unwrap(), daemon.log()].concat();
    let printed = lines.lines().filter(|line| line.starts_with('x'));
    assert!(printed.map(str::len).all(|len| len == 9000));
}

#[test]
fn a_start_that_fails_is_told_with_traceback_and_status() {
    let broken = Project::wsgi("def application(environ, start_response):\n    return no such\n");
    let before = "what another run has written\n";
    let broken = broken.also(IN_BACKGROUND).file("server.log", before);
    let finished = Finished::of(broken.command("serve"));
    assert_eq!(finished.status, 3, "{finished:?}");
    for text in [
        "    return no such\n",
        "SyntaxError: invalid syntax",
        "error: cannot import `app:application`: ",
        " --> project.toml:",
    ] {
        assert!(finished.stderr.contains(text), "{text}: {finished:?}");
    }
    assert!(!finished.stderr.contains(before), "{finished:?}");
    assert_eq!(finished.stdout, "");
    let log = fs::read_to_string(broken.path("server.log")).unwrap();
    assert_eq!(log, format!("{before}{}", finished.stderr));

    let hook = Project::wsgi(HELLO)
        .also(IN_BACKGROUND)
        .also("[hooks]\nbefore_start = [\"echo a word of the hook; exit 7\"]");
    let finished = Finished::of(hook.command("serve"));
    assert_eq!(finished.status, 3);
    for text in ["a word of the hook\n", "failed: exit status 7\n"] {
        assert!(finished.stderr.contains(text), "{text}: {finished:?}");
    }

    let wrong = Project::wsgi(HELLO).also(&format!("{IN_BACKGROUND}\numask = \"9\""));
    let finished = Finished::of(wrong.command("serve"));
    assert_eq!(finished.status, 1, "{finished:?}");
    assert!(!wrong.path("server.log").exists());
}

#[test]
fn a_second_server_is_refused_and_the_first_serves_on() {
    let (daemon, started) = Daemon::start(Project::wsgi(HELLO).also(IN_BACKGROUND));
    assert_eq!(started.status, 0, "{started:?}");
    let second = Finished::of(daemon.0.command("serve"));
    assert_eq!(second.status, 3);
    let says = format!(
        "error: this project is being served already, by process {}\n",
        daemon.pid()
    );
    assert!(second.stderr.contains(&says), "{second:?}");
    assert_eq!(daemon.get("/"), "hello");
}

#[test]
fn a_ctrl_c_before_it_serves_stops_it() {
    let app = format!("import time\nopen('running', 'w').close()\ntime.sleep(600)\n{HELLO}");
    let project = Project::wsgi(&app).also(IN_BACKGROUND);
    let mut command = project.command("serve");
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let flag = project.path("running");
    eventually("import that runs", || flag.exists().then_some(()));
    let pid: i32 = fs::read_to_string(project.path("a.pid"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let sent = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
    let status = eventually("end of the command", || child.try_wait().unwrap());
    let mut text = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(status.code(), Some(0), "{text}");
    assert!(
        text.contains("stopped before the start was complete signal=SIGTERM"),
        "{text}"
    );
    assert!(!is_running(pid));
}

#[test]
fn a_server_that_is_killed_before_it_serves_is_told() {
    let app = format!("import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n{HELLO}");
    let project = Project::wsgi(&app).also(IN_BACKGROUND);
    let finished = Finished::of(project.command("serve"));
    assert_eq!(finished.status, 3, "{finished:?}");
    let says = "error: the server died before it was ready: SIGKILL\n";
    assert!(finished.stderr.contains(says), "{finished:?}");
}

#[test]
fn files_that_cannot_be_written_are_refused() {
    let message = |set: &str, arguments: &[&str]| {
        let project = Project::wsgi(HELLO).also("[server]\ndaemonize = \"server.log\"");
        let mut command = project.command("serve");
        command.args(["--set", &format!("server.daemonize={set}")]);
        command.args(arguments);
        let finished = Finished::of(command);
        assert_eq!(finished.status, 3, "{finished:?}");
        let folder = project.path("").display().to_string();
        finished
            .message()
            .replace(folder.trim_end_matches('/'), "/srv")
    };
    assert_eq!(
        message("/dev/null", &[]),
        "error: `/dev/null` is not a regular file\n --> --set: server.daemonize = \"/dev/null\"\n\
         hint: a start that fails is told from there: name a file\n"
    );
    assert_eq!(
        message(".", &[]),
        "error: `/srv` is not a regular file\n --> --set: server.daemonize = \"/srv\"\n\
         hint: a start that fails is told from there: name a file\n"
    );
    assert_eq!(
        message("gone/server.log", &[]),
        "error: cannot write to `/srv/gone/server.log`: No such file or directory (os error 2)\n \
         --> --set: server.daemonize = \"/srv/gone/server.log\"\n"
    );
    assert_eq!(
        message("server.log", &["--no-supervisor"]),
        "error: without a supervisor nobody can say when the server serves, so it stays in the foreground\n \
         --> --set: server.daemonize = \"/srv/server.log\"\nhint: leave out one of the two\n"
    );
}

#[test]
fn the_first_process_of_a_container_stays_in_the_foreground() {
    let project = Project::wsgi(HELLO).also(IN_BACKGROUND);
    let serve = project.command("serve");
    let mut command = Command::new("unshare");
    command
        .args([
            "--user",
            "--map-root-user",
            "--pid",
            "--fork",
            "--mount-proc",
            "--",
        ])
        .arg(serve.get_program())
        .args(serve.get_args())
        .current_dir(project.path(""))
        .env_remove("APPLIANCE_TEST_PYTHON");
    let finished = Finished::of(command);
    let message = finished.message();
    assert!(
        message.starts_with("error: a container ends with its first process, which this is\n"),
        "{finished:?}"
    );
    assert_eq!(finished.status, 3);
}
