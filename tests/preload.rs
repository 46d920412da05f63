//! `python.preload`: the application is imported once, and workers are forked from there.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::fs;
use std::process::Command;

use support::{Appliance, Finished, Load, Project, Question, eventually, is_running};

/// Says who imported it, and who answers; what it holds takes memory.
const APP: &str = r#"
import os, random, time

IMPORTED_BY = os.getpid()
HELD = bytes(range(256)) * (40 << 12)
with open("imports", "a") as file:
    file.write("imported\n")
print("half a line", end="")

def application(environ, start_response):
    path = environ["PATH_INFO"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/slow":
        time.sleep(0.01)
    answers = {
        "/who": f"{IMPORTED_BY} {os.getpid()} {os.getppid()} {os.getcwd()}",
        "/random": str(random.random()),
        "/child": os.popen("kill -l $(exit 0) >/dev/null; echo from a child").read() if path == "/child" else "",
    }
    return [answers.get(path, "hello").encode()]
"#;

const QUESTIONS: [Question; 2] = [("/hello", "hello"), ("/slow", "hello")];

fn project(python: &str) -> Project {
    let python = format!("preload = true\nprocesses = 2\n{python}");
    Project::wsgi_with(&python, APP)
}

fn imports(site: &Appliance) -> usize {
    let imports = fs::read_to_string(site.project.path("imports")).unwrap();
    imports.lines().count()
}

/// The process that has imported, as `ps` shows it.
fn origin(site: &Appliance) -> i32 {
    let is_it = |pid: &i32| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline"));
        line.is_ok_and(|line| line.contains("application, for workers to be forked of"))
    };
    eventually("one process that has imported", || {
        let found: Vec<i32> = site.workers().into_iter().filter(is_it).collect();
        (found.len() == 1).then(|| found[0])
    })
}

/// What `appliance status` says of it.
fn said(site: &Appliance) -> String {
    let status = Finished::of(site.project.command("status")).stdout;
    let line = status.lines().find(|line| line.contains("preload: "));
    line.unwrap_or_default().trim().to_owned()
}

const EACH: &str = "preload: each worker imports the application itself, the log says why";

fn who(site: &Appliance) -> (i32, i32, i32) {
    let answer = site.get("/who");
    let mut words = answer.text().split(' ');
    let mut number = || words.next().unwrap().parse().unwrap();
    let found = (number(), number(), number());
    let folder = fs::canonicalize(site.project.path("")).unwrap();
    assert_eq!(words.next().unwrap(), folder.to_str().unwrap());
    found
}

fn reload(site: &Appliance) -> Finished {
    Finished::of(site.project.command("reload"))
}

/// Memory of a process, in KB, of which each page is divided among those that have it.
fn proportional_kb(pid: i32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = rollup.lines().find(|line| line.starts_with("Pss:"));
    line.unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn one_import_serves_all_workers() {
    let mut site = project("").start();
    assert_eq!(imports(&site), 1);
    let (importer, worker, parent) = who(&site);
    let origin = origin(&site);
    assert_eq!((importer, parent), (origin, site.pid()));
    let forked = format!("preload: workers are forked from process {origin}, ");
    assert!(said(&site).starts_with(&forked), "{}", said(&site));
    assert!(site.serving().contains(&worker));
    // 40 MB that all three have, and what each has for itself.
    let all: u64 = site.workers().iter().map(|pid| proportional_kb(*pid)).sum();
    assert!(all < 2 * (40 << 10), "{all} KB");
    // Python sees to it that forks differ.
    let load = Load::start(site.address(), &QUESTIONS);
    let found: Vec<_> = (0..20)
        .map(|_| site.get("/random").text().to_owned())
        .collect();
    let counted = load.stop();
    assert_eq!(counted.failed, Vec::<String>::new());
    let different: std::collections::BTreeSet<_> = found.iter().collect();
    assert_eq!(different.len(), found.len(), "{found:?}");
    assert_eq!(site.get("/child").text(), "from a child\n");
    let processes = site.workers();
    assert_eq!(site.stop(), 0);
    assert!(processes.iter().all(|pid| !is_running(*pid)));
    // Nobody but the process that printed it has said so.
    assert_eq!(site.log().matches("half a line").count(), 1);
}

#[test]
fn a_killed_worker_is_forked_anew() {
    let site = project("").start();
    let origin = origin(&site);
    for _ in 0..5 {
        let before = site.serving();
        site.signal_worker(before[0], libc::SIGKILL);
        eventually("two workers again", || {
            let now = site.serving();
            (now.len() == 2 && !now.contains(&before[0])).then_some(())
        });
    }
    assert_eq!(imports(&site), 1);
    assert_eq!(who(&site).0, origin);
}

#[test]
fn recycling_loses_nothing() {
    let site = project("max_requests = 50").start();
    let load = Load::start(site.address(), &QUESTIONS);
    eventually("ten workers replaced", || {
        (site.log().matches("worker replaced").count() >= 10).then_some(())
    });
    let counted = load.stop();
    assert_eq!(counted.failed, Vec::<String>::new());
    assert!(counted.answered > 500, "{counted:?}");
    assert_eq!(imports(&site), 1);
}

#[test]
fn a_reload_imports_anew_and_a_broken_one_leaves_what_serves() {
    let site = project("").start();
    let first = origin(&site);
    let load = Load::start(site.address(), &QUESTIONS);
    let reloaded = reload(&site);
    assert_eq!(reloaded.status, 0, "{reloaded:?}");
    assert_eq!(imports(&site), 2);
    eventually("the first one is gone", || {
        (!is_running(first)).then_some(())
    });
    let second = who(&site).0;
    assert_ne!(second, first);

    fs::write(site.project.path("app.py"), "import os\nimport nowhere\n").unwrap();
    let refused = reload(&site);
    assert_eq!(refused.status, 3, "{refused:?}");
    let said = format!("{}{}", refused.stdout, refused.stderr);
    for part in [
        "app.py\", line 2, in <module>",
        "ModuleNotFoundError: No module named 'nowhere'",
        "cannot import `app",
        "-->",
        "python.module = ",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(who(&site).0, second);
    let counted = load.stop();
    assert_eq!(counted.failed, Vec::<String>::new());
}

#[test]
fn a_start_that_cannot_import_says_why() {
    let site = project("").file("app.py", "def broken(:\n");
    let finished = site.serve_in_vain();
    assert_eq!(finished.status, 3);
    let said = &finished.stderr;
    assert!(said.contains("SyntaxError"), "{said}");
    assert!(said.contains("cannot import `app"), "{said}");
}

#[test]
fn a_start_that_takes_too_long_or_ends_the_interpreter_says_so() {
    let slow = project("start_timeout = \"1s\"").file("app.py", "import time; time.sleep(30)\n");
    let finished = slow.serve_in_vain();
    assert_eq!(finished.status, 3);
    assert!(
        finished.stderr.contains("was not ready after 1s"),
        "{finished:?}"
    );
    let gone = project("").file("app.py", "import os; os._exit(7)\n");
    let finished = gone.serve_in_vain();
    assert_eq!(finished.status, 3);
    assert!(finished.stderr.contains("exit status 7"), "{finished:?}");
}

#[test]
fn a_stop_during_the_import_is_heard() {
    let project = project("").file(
        "app.py",
        "import time\nopen('begun', 'w').close()\ntime.sleep(30)\n",
    );
    let mut site = Appliance::launch(project, &[]);
    eventually("the import", || {
        site.project.path("begun").exists().then_some(())
    });
    let processes = site.workers();
    assert_eq!(site.stop(), 0);
    assert!(processes.iter().all(|pid| !is_running(*pid)));
}

#[test]
fn threads_of_the_import_are_not_lost() {
    let app = format!(
        "import threading, time\n\
         beats = []\n\
         def beat():\n    while True:\n        beats.append(1)\n        time.sleep(0.01)\n\
         threading.Thread(target=beat, name='heart', daemon=True).start()\n{APP}"
    );
    let app = app.replace(
        "\"/random\":",
        "\"/beats\": str(len(beats)),\n        \"/random\":",
    );
    let site = project("").file("app.py", app).start();
    site.wait_for_log("each worker imports it by itself");
    assert!(site.log().contains("it has started a thread, `heart`"));
    let (importer, worker, _) = who(&site);
    assert_eq!(importer, worker);
    assert_eq!(site.workers().len(), 2);
    assert_eq!(said(&site), EACH);
    eventually("beats", || (site.get("/beats").text() != "0").then_some(()));
}

#[test]
fn workers_outlive_the_process_they_were_forked_from() {
    let site = project("").start();
    let load = Load::start(site.address(), &QUESTIONS);
    site.signal_worker(origin(&site), libc::SIGKILL);
    site.wait_for_log("until the next reload they import the application themselves");
    assert_eq!(said(&site), EACH);
    let workers = site.serving();
    assert_eq!(workers.len(), 2);
    site.signal_worker(workers[0], libc::SIGKILL);
    let successor = eventually("a worker of its own", || {
        let now = site.serving();
        let new = now.iter().find(|pid| !workers.contains(pid));
        (now.len() == 2).then(|| new.copied()).flatten()
    });
    assert_eq!(imports(&site), 2);
    eventually("an answer of the new one", || {
        let (importer, worker, _) = who(&site);
        (worker == successor && importer == successor).then_some(())
    });
    assert_eq!(reload(&site).status, 0);
    assert_eq!(imports(&site), 3);
    assert_eq!(who(&site).0, origin(&site));
    let counted = load.stop();
    // A killed worker takes its own requests with it.
    assert!(counted.failed.len() <= 4, "{:?}", counted.failed);
}

#[test]
fn nothing_survives_the_supervisor() {
    let mut site = project("").start();
    let processes = site.workers();
    assert_eq!(processes.len(), 3);
    site.signal(libc::SIGKILL);
    site.wait();
    eventually("the end of all", || {
        processes.iter().all(|pid| !is_running(*pid)).then_some(())
    });
}

#[test]
fn an_upgrade_preloads_anew() {
    let mut site = project("").start();
    let first = origin(&site);
    let load = Load::start(site.address(), &QUESTIONS);
    let upgraded = Finished::of(site.project.command("upgrade"));
    assert_eq!(upgraded.status, 0, "{upgraded:?}");
    let counted = load.stop();
    assert_eq!(counted.failed, Vec::<String>::new());
    eventually("the first one is gone", || {
        (!is_running(first)).then_some(())
    });
    assert_eq!(who(&site).0, origin(&site));
    eventually("nobody left to wait for", || {
        let mut listed = Command::new("ps");
        listed.args(["--ppid", &site.pid().to_string(), "-o", "stat="]);
        let listed = String::from_utf8(listed.output().unwrap().stdout).unwrap();
        let mut states = listed.lines();
        (!states.any(|state| state.starts_with('Z'))).then_some(())
    });
    assert_eq!(site.stop(), 0);
}

#[test]
fn signals_to_the_whole_group_are_the_supervisors() {
    let mut site = project("").start();
    let origin = origin(&site);
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        site.signal_worker(origin, signal);
    }
    assert_eq!(reload(&site).status, 0);
    assert!(!site.log().contains("is gone"), "{}", site.log());
    assert_eq!(site.stop(), 0);
}

#[test]
fn a_forked_worker_prints_to_the_log_and_has_its_own_name() {
    let app = format!("{APP}\nimport sys\n").replace(
        "    path = environ[\"PATH_INFO\"]\n",
        "    path = environ[\"PATH_INFO\"]\n    print(\"served by\", os.getpid())\n",
    );
    let project = project("").file("app.py", app);
    let mut site = Appliance::launch(project.also("[server]\nlog = \"a.log\"\n"), &[]);
    site.wait_until_listening_by("a.log");
    let (_, worker, _) = who(&site);
    let shown = fs::read_to_string(format!("/proc/{worker}/cmdline")).unwrap();
    assert!(shown.contains("appliance: worker "), "{shown}");
    eventually("the line", || {
        let log = fs::read_to_string(site.project.path("a.log")).unwrap();
        let line = format!("served by {worker}");
        log.lines().any(|found| found == line).then_some(())
    });
}
