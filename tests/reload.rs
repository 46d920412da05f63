//! Generations and workers follow each other, and nobody who asks meanwhile notices.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use support::{Appliance, Counted, Finished, Load, Project, Question, eventually};

/// `/hello`: a short answer; `/stream`: one in pieces; `/pid`: who answers. `/replace`: the worker
/// asks the supervisor for a successor, on the socket that it has for that.
const APP: &str = r#"
import os, socket, time

def ask_for_successor():
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            control = socket.socket(fileno=os.dup(fd))
        except OSError:
            continue
        if control.family == socket.AF_UNIX and control.type == socket.SOCK_STREAM:
            control.sendall(b'{"type":"replace","reason":"memory"}\n')

def application(environ, start_response):
    path = environ["PATH_INFO"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/stream":
        return (piece for piece in [time.sleep(0.005) or b"one ", time.sleep(0.005) or b"two ", b"three"])
    if path == "/replace":
        ask_for_successor()
    if path == "/slow":
        open("running", "w").close()
        time.sleep(1.5)
    return [{"/pid": str(os.getpid()).encode()}.get(path, b"hello")]
"#;

const QUESTIONS: [Question; 3] = [
    ("/hello", "hello"),
    ("/stream", "one two three"),
    ("/files/page.txt", "a file"),
];

fn project(python: &str) -> Project {
    let sites = "[[site]]\nlisten = [\"127.0.0.1:0\"]\n\n[site.routes]\n\
                 \"/\" = { wsgi = true }\n\"/files/\" = { files = \"files\" }\n";
    Project::with_sites(APP, python, sites).file("files/page.txt", "a file")
}

#[track_caller]
fn nothing_failed(counted: &Counted) {
    assert!(counted.failed.is_empty(), "{counted:?}");
    assert_eq!(counted.asked_again, 0, "{counted:?}");
    assert!(counted.answered > 100, "{counted:?}");
}

/// Reloads by signal and waits for the end of it.
#[track_caller]
fn reload(site: &Appliance, generation: usize) {
    site.signal(libc::SIGHUP);
    site.wait_for_log(&format!("reloaded generation={generation} "));
}

#[test]
fn twenty_reloads_lose_no_request() {
    let site = project("processes = 2\nthreads = 2").start();
    let load = Load::start(site.address(), &QUESTIONS);
    let first: BTreeSet<i32> = site.workers().into_iter().collect();
    for generation in 2..=21 {
        reload(&site, generation);
    }
    let counted = load.stop();
    nothing_failed(&counted);
    eventually("end of the old workers", || {
        let now = site.workers();
        (now.len() == 2 && now.iter().all(|pid| !first.contains(pid))).then_some(())
    });
}

#[test]
fn fifty_replacements_lose_no_request() {
    let site = project("processes = 2\nthreads = 2").start();
    let load = Load::start(site.address(), &QUESTIONS);
    for replaced in 1..=50 {
        site.get("/replace");
        eventually("replacement", || {
            (site.log().matches("worker replaced; it drains").count() >= replaced).then_some(())
        });
    }
    nothing_failed(&load.stop());
}

#[test]
fn a_request_that_runs_during_a_reload_is_finished() {
    let site = project("threads = 2").start();
    let mut connection = site.connect();
    connection.send("GET /slow HTTP/1.1\r\nhost: test\r\n\r\n");
    let flag = site.project.path("running");
    eventually("running request", || flag.exists().then_some(()));
    let before = site.get("/pid").text().to_owned();
    reload(&site, 2);
    assert_ne!(site.get("/pid").text(), before);
    assert_eq!(connection.response().text(), "hello");
    site.wait_for_log(&format!(
        "worker drained and gone worker=1 pid={before} generation=1 "
    ));
}

#[test]
fn a_kept_connection_gets_its_last_answer_from_the_old_generation() {
    let site = project("").start();
    let mut kept = site.connect();
    let before = kept.get("/pid");
    assert_eq!(before.header("connection"), None);
    reload(&site, 2);
    let last = kept.get("/pid");
    assert_eq!(last.text(), before.text());
    assert_eq!(last.header("connection"), Some("close"));
    assert_eq!(kept.read_to_end(), b"");
    // Nobody waits for those who do not ask again.
    let _idle = site.connect();
    let old: i32 = site.get("/pid").text().parse().unwrap();
    reload(&site, 3);
    eventually("end of the old worker", || {
        (!support::is_running(old)).then_some(())
    });
}

#[test]
fn idle_connections_are_no_unfinished_requests() {
    let site = project("").also("[server]\nstop_timeout = \"1s\"").start();
    let mut idle = site.connect();
    idle.get("/hello");
    let old = site.workers()[0];
    reload(&site, 2);
    site.wait_for_log(&format!(
        "worker drained and gone worker=1 pid={old} generation=1 "
    ));
    assert_eq!(idle.read_to_end(), b"");
}

#[test]
fn a_reload_takes_up_code_and_settings() {
    let site = project("").start();
    assert_eq!(site.get("/hello").text(), "hello");
    fs::write(
        site.project.path("app.py"),
        APP.replace("b\"hello\"", "b\"news\""),
    )
    .unwrap();
    let file = site.project.path("project.toml");
    let toml = fs::read_to_string(&file).unwrap();
    fs::write(&file, toml.replace("processes = 1", "processes = 3")).unwrap();
    let address = site.address();
    reload(&site, 2);
    assert_eq!(site.address(), address);
    eventually("three workers", || {
        (site.workers().len() == 3).then_some(())
    });
    for _ in 0..30 {
        assert_eq!(site.get("/hello").text(), "news");
    }
}

/// What the import takes is nobody's waiting time.
#[test]
fn a_slow_import_slows_nobody_down() {
    let app = format!("import time\ntime.sleep(6)\n{APP}");
    let sites = "[[site]]\nlisten = [\"127.0.0.1:0\"]\n\n[site.routes]\n\
                 \"/\" = { wsgi = true }\n\"/files/\" = { files = \"files\" }\n";
    let project = Project::with_sites(&app, "processes = 2\nthreads = 2", sites);
    let site = project.file("files/page.txt", "a file").start();
    let load = Load::start(site.address(), &QUESTIONS);
    reload(&site, 2);
    site.get("/replace");
    site.wait_for_log("worker replaced; it drains");
    let counted = load.stop();
    nothing_failed(&counted);
    assert!(counted.slowest < Duration::from_millis(500), "{counted:?}");
}

#[test]
fn an_import_without_end_is_given_up() {
    let site = project("start_timeout = \"1s\"").start();
    fs::write(
        site.project.path("app.py"),
        "import time\ntime.sleep(600)\n",
    )
    .unwrap();
    let refused = reload_in_vain(&site);
    assert_eq!(
        refused.stderr,
        "error: worker 1 was not ready after 1s\n \
         --> project.toml:5: python.start_timeout = \"1s\"\n\
         hint: the application was still being imported or warmed up; a longer `python.start_timeout` gives it more time\n"
    );
    assert_eq!(refused.status, 3);
    assert_eq!(site.get("/hello").text(), "hello");
}

#[test]
fn a_reload_changes_addresses() {
    let site = project("").start();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let other = free.local_addr().unwrap();
    drop(free);
    let file = site.project.path("project.toml");
    let toml = fs::read_to_string(&file).unwrap();
    let load = Load::start(site.address(), &QUESTIONS);
    let both = format!("127.0.0.1:0\", \"{other}");
    fs::write(&file, toml.replace("127.0.0.1:0", &both)).unwrap();
    reload(&site, 2);
    assert_eq!(
        support::Connection::open(other).get("/hello").text(),
        "hello"
    );
    // The load goes on after the change too, and is long enough to count.
    std::thread::sleep(Duration::from_secs(1));
    nothing_failed(&load.stop());
    fs::write(&file, toml.replace("127.0.0.1:0", &other.to_string())).unwrap();
    reload(&site, 3);
    assert_eq!(
        support::Connection::open(other).get("/hello").text(),
        "hello"
    );
    let gone = site.address();
    eventually("end of the first address", || {
        std::net::TcpStream::connect(gone).is_err().then_some(())
    });
}

#[test]
fn reloads_asked_for_together_are_all_answered() {
    let site = project("").start();
    let finished: Vec<Finished> = std::thread::scope(|scope| {
        let reload = || scope.spawn(|| Finished::of(site.project.command("reload")));
        let running: Vec<_> = (0..4).map(|_| reload()).collect();
        running.into_iter().map(|one| one.join().unwrap()).collect()
    });
    for one in &finished {
        assert_eq!(one.status, 0, "{finished:?}");
        assert!(
            one.stdout.starts_with("reloaded: generation "),
            "{finished:?}"
        );
    }
}

#[test]
fn fewer_workers_serve_the_connections_of_all() {
    let site = project("processes = 4").start();
    let file = site.project.path("project.toml");
    let toml = fs::read_to_string(&file).unwrap();
    let load = Load::start(site.address(), &QUESTIONS);
    for (generation, processes) in [(2, 1), (3, 3), (4, 2)] {
        let toml = toml.replace("processes = 4", &format!("processes = {processes}"));
        fs::write(&file, toml).unwrap();
        reload(&site, generation);
        std::thread::sleep(Duration::from_millis(100));
    }
    nothing_failed(&load.stop());
}

/// `appliance reload`, and what it says.
#[track_caller]
fn reload_in_vain(site: &Appliance) -> Finished {
    let finished = Finished::of(site.project.command("reload"));
    assert_eq!(finished.stdout, "");
    finished
}

/// What cannot serve is refused, and what served serves on, whoever asks meanwhile.
#[test]
fn a_reload_that_fails_says_why_and_changes_nothing() {
    let site = project("processes = 2\nthreads = 2").start();
    let before = site.workers();
    let load = Load::start(site.address(), &QUESTIONS);
    let toml = fs::read_to_string(site.project.path("project.toml")).unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let (test, pid) = (
        fs::read_to_string("/proc/self/comm").unwrap(),
        std::process::id(),
    );
    let app = site.project.path("app.py").display().to_string();
    let cases = [
        (
            "app.py",
            "def application(:\n".to_owned(),
            3,
            format!(
                "  File \"{app}\", line 1\n    def application(:\n                    ^\n\
                 SyntaxError: invalid syntax\n\
                 error: cannot import `app:application`: SyntaxError: invalid syntax (app.py, line 1)\n \
                 --> project.toml:2: python.module = \"app:application\"\n"
            ),
        ),
        (
            "app.py",
            "import gone\n".to_owned(),
            3,
            format!(
                "Traceback (most recent call last):\n  File \"{app}\", line 1, in <module>\n    import gone\n\
                 ModuleNotFoundError: No module named 'gone'\n\
                 error: cannot import `app:application`: ModuleNotFoundError: No module named 'gone'\n \
                 --> project.toml:2: python.module = \"app:application\"\n\
                 hint: is that package in `python.requirements`?\n"
            ),
        ),
        (
            "app.py",
            "import os\nos._exit(9)\n".to_owned(),
            3,
            "error: worker 1 died before it was ready: exit status 9\n\
             hint: the application's module ended the interpreter while it was imported; \
             what it printed stands above\n"
                .to_owned(),
        ),
        (
            "project.toml",
            toml.replace("threads = 2", "threads = 0"),
            1,
            "error: project.toml:6:11: `python.threads` must be from 1 to 1024, found `0`\n  |\n\
             6 | threads = 0\n  |           ^\n  |\n  = help: `threads = 4` is the default\n"
                .to_owned(),
        ),
        (
            "project.toml",
            toml.replace("127.0.0.1:0", &taken.to_string()),
            3,
            format!(
                "error: cannot listen on `{taken}`: process {pid} (`{}`) has it\n \
                 --> project.toml:9: site.0.listen = [\"{taken}\"]\n\
                 hint: stop it (`kill {pid}`) or choose another port\n",
                test.trim()
            ),
        ),
        (
            "project.toml",
            format!("{toml}\n[hooks]\nbefore_start = [\"echo no database; exit 5\"]\n"),
            3,
            format!(
                "no database\nerror: the hook `echo no database; exit 5` failed: exit status 5\n \
                 --> project.toml:16: hooks.before_start = [\"echo no database; exit 5\"]\n\
                 hint: what it printed stands above; it ran in `{}`\n",
                site.project
                    .path("")
                    .display()
                    .to_string()
                    .trim_end_matches('/')
            ),
        ),
    ];
    for (file, text, exit_status, message) in &cases {
        let path = site.project.path(file);
        let good = fs::read_to_string(&path).unwrap();
        fs::write(&path, text).unwrap();
        let failed = reload_in_vain(&site);
        assert_eq!(&failed.stderr, message);
        assert_eq!(failed.status, *exit_status);
        fs::write(&path, good).unwrap();
    }
    nothing_failed(&load.stop());
    eventually("end of what failed", || {
        (site.workers() == before).then_some(())
    });
    let good = Finished::of(site.project.command("reload"));
    let told = "reloaded: generation 2, 2 workers, ready in ";
    assert!(good.stdout.starts_with(told), "{good:?}");
    assert_eq!((good.status, good.stderr.as_str()), (0, ""));
}

#[test]
fn a_missing_requirement_refuses_a_reload() {
    let toml = format!(
        "[python]\nmodule = \"app\"\nprocesses = 1\nvirtualenv = \".venv\"\n\
         requirements = \"requirements.txt\"\ninterpreter = {:?}\n\n\
         [[site]]\nlisten = [\"127.0.0.1:0\"]\n\n[site.routes]\n\
         \"/\" = {{ wsgi = true }}\n\"/files/\" = {{ files = \"files\" }}\n",
        support::test_interpreter()
    );
    let project = Project::new(&toml)
        .file("app.py", APP)
        .file("files/page.txt", "a file");
    let site = project.file("requirements.txt", "").start();
    let load = Load::start(site.address(), &QUESTIONS);
    let missing = "--no-index\nno-such-package==1.0\n";
    fs::write(site.project.path("requirements.txt"), missing).unwrap();
    let failed = reload_in_vain(&site);
    let said = "ERROR: No matching distribution found for no-such-package==1.0\n\
                error: cannot install `";
    assert!(failed.stderr.contains(said), "{}", failed.stderr);
    assert_eq!(failed.status, 3);
    nothing_failed(&load.stop());
}

#[test]
fn a_reload_follows_the_link_to_a_new_release() {
    let site = project("");
    let release = |number: &str| {
        let folder = site.path(&format!("releases/{number}"));
        fs::create_dir_all(folder.join("files")).unwrap();
        fs::copy(site.path("project.toml"), folder.join("project.toml")).unwrap();
        let app = APP.replace("b\"hello\"", &format!("b\"release {number}\""));
        fs::write(folder.join("app.py"), app).unwrap();
        folder
    };
    let (one, two) = (release("1"), release("2"));
    let current = site.path("current");
    std::os::unix::fs::symlink(one, &current).unwrap();
    let inside = |command: &str| {
        let mut command = site.command(command);
        // As a shell does that goes there.
        command.current_dir(&current).env("PWD", &current);
        command
    };
    let (serve, mut reload) = (inside("serve"), inside("reload"));
    let next = site.path("next");
    std::os::unix::fs::symlink(two, &next).unwrap();
    let mut site = Appliance::spawn(site, serve);
    site.wait_until_ready();
    assert_eq!(site.get("/hello").text(), "release 1");
    fs::rename(next, &current).unwrap();
    reload.env("PWD", &current);
    assert_eq!(Finished::of(reload).status, 0);
    assert_eq!(site.get("/hello").text(), "release 2");
}
