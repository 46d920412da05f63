//! What users rely on while the server lives: it starts, replaces what dies, and stops as asked.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use support::{Appliance, Finished, Project, eventually, is_running};

const HELLO: &str = r#"
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"#;

/// `/pid`: who answers. `/slow`: an answer after a while. `/exit`, `/abort`: the end.
const MORTAL: &str = r#"
import os, time

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/exit":
        os._exit(7)
    if path == "/abort":
        os.abort()
    if path == "/slow":
        with open("running", "w"):
            pass
        time.sleep(1)
    if path == "/stuck":
        with open("running", "w"):
            pass
        time.sleep(600)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"#;

#[test]
fn a_started_server_answers_on_the_port_it_reports() {
    let mut site = Project::wsgi(HELLO).start();
    assert_ne!(site.address().port(), 0);
    assert_eq!(site.get("/").body(), b"hello");
    assert_eq!(site.stop(), 0);
}

#[test]
fn every_worker_is_ready_when_the_server_says_so() {
    let site = Project::wsgi_with("processes = 3", HELLO).start();
    assert_eq!(site.workers().len(), 3);
    let log = site.log();
    for worker in 1..=3 {
        assert_eq!(
            log.matches(&format!("worker ready worker={worker} "))
                .count(),
            1,
            "{log}"
        );
    }
}

#[test]
fn workers_are_named_for_ps() {
    let site = Project::wsgi(HELLO).start();
    let pid = site.workers()[0];
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    let command = String::from_utf8(command).unwrap().replace('\0', " ");
    let file = site.project.path("project.toml");
    let label = format!(" appliance: worker 1 of {} /proc/self/fd/", file.display());
    assert!(command.contains(&label), "{command}");
}

#[test]
fn the_application_sees_no_trace_of_how_it_was_started() {
    let site = Project::wsgi(
        r#"
import sys

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [repr((sys.argv, "" in sys.path)).encode()]
"#,
    )
    // It would shadow Python's own if the working folder came first while starting.
    .file("threading.py", "raise SystemExit('the wrong threading')")
    .start();
    assert_eq!(site.get("/").text(), "(['appliance'], False)");
}

#[test]
fn a_worker_that_exits_is_replaced() {
    let site = Project::wsgi(MORTAL).start();
    let first = site.get("/pid").text().to_owned();
    let cut = site.exchange("GET /exit HTTP/1.1\r\nhost: test\r\n\r\n");
    assert_eq!(cut, b"", "its own request is lost");
    let second = site.get("/pid").text().to_owned();
    assert_ne!(second, first);
    let line = format!("worker died worker=1 pid={first} cause=exit status 7 lived=\"");
    site.wait_for_log(&line);
}

#[test]
fn a_worker_that_aborts_is_replaced() {
    let site = Project::wsgi(MORTAL).start();
    let first = site.get("/pid").text().to_owned();
    site.exchange("GET /abort HTTP/1.1\r\nhost: test\r\n\r\n");
    assert_ne!(site.get("/pid").text(), first);
    site.wait_for_log(&format!(
        "worker died worker=1 pid={first} cause=SIGABRT lived=\""
    ));
}

#[test]
fn connections_wait_while_their_worker_is_replaced() {
    let site = Project::wsgi(MORTAL).start();
    let pid = site.workers()[0];
    site.signal_worker(pid, libc::SIGKILL);
    eventually("dead worker", || (!is_running(pid)).then_some(()));
    // Nobody accepts at this moment, yet the connection is made and answered.
    for _ in 0..20 {
        assert_eq!(site.get("/pid").status, 200);
    }
}

#[test]
fn a_killed_worker_costs_only_its_own_requests() {
    let site = Project::wsgi_with("processes = 2\nthreads = 2", MORTAL).start();
    let address = site.address();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (mut answered, mut lost) = (0, 0);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let (mut answered, mut lost) = (0, 0);
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        let mut connection = support::Connection::open(address);
                        connection
                            .send("GET /pid HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
                        match connection.try_response() {
                            Some(response) if response.status == 200 && response.complete => {
                                answered += 1
                            }
                            _ => lost += 1,
                        }
                    }
                    (answered, lost)
                })
            })
            .collect();
        for killed in 1..=5 {
            site.signal_worker(site.workers()[0], libc::SIGKILL);
            eventually("successor", || {
                (site.log().matches("worker ready").count() == 2 + killed).then_some(())
            });
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        for client in clients {
            let (more_answered, more_lost) = client.join().unwrap();
            answered += more_answered;
            lost += more_lost;
        }
    });
    // A killed worker takes what it runs and what it has accepted: at most the eight clients'
    // current requests.
    assert!(answered > 50, "{answered} answered");
    assert!(lost <= 5 * 8, "{lost} lost");
}

#[test]
fn an_application_that_dies_at_once_is_started_at_a_slowing_pace() {
    // It imports once, for the start; then never again.
    let app = format!("{MORTAL}\nif os.path.exists('broken'):\n    os._exit(9)\n");
    let site = Project::wsgi(&app).start();
    std::fs::write(site.project.path("broken"), "").unwrap();
    site.signal_worker(site.workers()[0], libc::SIGKILL);
    site.wait_for_log("starting the next worker after a pause worker=1 wait=100ms");
    site.wait_for_log("starting the next worker after a pause worker=1 wait=200ms");
    site.wait_for_log("worker died before it was ready worker=1 pid=");
    std::fs::remove_file(site.project.path("broken")).unwrap();
    eventually("worker that stays", || {
        (site.get("/pid").status == 200).then_some(())
    });
}

#[test]
fn no_worker_survives_a_killed_supervisor() {
    let mut site = Project::wsgi_with("processes = 2", HELLO).start();
    let workers = site.workers();
    assert_eq!(workers.len(), 2);
    site.signal(libc::SIGKILL);
    assert_eq!(site.wait(), -libc::SIGKILL);
    eventually("end of the workers", || {
        (!workers.iter().any(|pid| is_running(*pid))).then_some(())
    });
}

#[test]
fn a_stop_lets_running_requests_finish() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT] {
        let mut site = Project::wsgi(MORTAL).start();
        let mut connection = site.connect();
        connection.send("GET /slow HTTP/1.1\r\nhost: test\r\n\r\n");
        wait_until_running(&site);
        site.signal(signal);
        let response = connection.response();
        assert_eq!(response.status, 200);
        assert_eq!(site.wait(), 0);
    }
}

#[test]
fn a_signal_to_the_whole_group_stops_as_gracefully() {
    let mut site = Project::wsgi(MORTAL).start();
    let mut connection = site.connect();
    connection.send("GET /slow HTTP/1.1\r\nhost: test\r\n\r\n");
    wait_until_running(&site);
    // As a terminal does for Ctrl-C.
    for pid in site.workers() {
        site.signal_worker(pid, libc::SIGINT);
        site.signal_worker(pid, libc::SIGTERM);
    }
    site.signal(libc::SIGINT);
    assert_eq!(connection.response().status, 200);
    assert_eq!(site.wait(), 0);
    assert!(!site.log().contains("worker died"), "{}", site.log());
    assert!(!site.log().contains("KeyboardInterrupt"), "{}", site.log());
}

#[test]
fn a_second_signal_stops_at_once() {
    let mut site = Project::wsgi(MORTAL).start();
    let mut connection = site.connect();
    connection.send("GET /stuck HTTP/1.1\r\nhost: test\r\n\r\n");
    wait_until_running(&site);
    site.signal(libc::SIGTERM);
    site.wait_for_log("stopping signal=SIGTERM");
    // Two signals in quick succession count as one.
    std::thread::sleep(Duration::from_millis(350));
    let asked = Instant::now();
    site.signal(libc::SIGTERM);
    assert_eq!(site.wait(), 0);
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "{:?}",
        asked.elapsed()
    );
    assert!(site.log().contains("stopping at once signal=SIGTERM"));
}

#[test]
fn a_request_that_outlasts_the_stop_timeout_is_cut_and_the_exit_status_says_so() {
    let mut site = Project::wsgi(MORTAL)
        .also("[server]\nstop_timeout = \"1s\"")
        .start();
    let mut connection = site.connect();
    connection.send("GET /stuck HTTP/1.1\r\nhost: test\r\n\r\n");
    wait_until_running(&site);
    let asked = Instant::now();
    assert_eq!(site.stop(), 4);
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(connection.read_to_end(), b"");
}

#[test]
fn a_stop_during_the_import_stops() {
    let mut site = Appliance::launch(
        Project::wsgi("import time\nopen('running', 'w').close()\ntime.sleep(600)\n"),
        &[],
    );
    wait_until_running(&site);
    assert_eq!(site.stop(), 0);
    assert!(
        site.log()
            .contains("stopped before the start was complete signal=SIGTERM")
    );
}

#[test]
fn a_stop_during_a_hook_stops_the_hook() {
    let project = Project::wsgi(HELLO)
        .also("[hooks]\nbefore_start = [\"echo $$ > pid && touch running && sleep 600; true\"]");
    let mut site = Appliance::launch(project, &[]);
    wait_until_running(&site);
    let pid: i32 = std::fs::read_to_string(site.project.path("pid"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert!(is_running(pid));
    assert_eq!(site.stop(), 0);
    assert!(!is_running(pid));
}

#[test]
fn without_a_supervisor_the_process_is_the_worker() {
    for arguments in [&["--no-supervisor"][..], &["--set", "server.master=false"]] {
        let mut site = Appliance::launch(Project::wsgi(MORTAL), arguments);
        site.wait_until_listening();
        let pid = site.get("/pid").text().parse::<i32>().unwrap();
        assert_eq!(pid, site.pid());
        assert!(site.workers().is_empty());
        let mut connection = site.connect();
        connection.send("GET /slow HTTP/1.1\r\nhost: test\r\n\r\n");
        wait_until_running(&site);
        site.signal(libc::SIGTERM);
        assert_eq!(connection.response().status, 200);
        assert_eq!(site.wait(), 0);
    }
}

#[test]
fn two_addresses_are_two_listeners() {
    let project = Project::wsgi(HELLO);
    let toml = std::fs::read_to_string(project.path("project.toml")).unwrap();
    let toml = toml.replace("[\"127.0.0.1:0\"]", "[\"127.0.0.1:0\", \"[::1]:0\"]");
    let site = project.file("project.toml", toml).start();
    assert_eq!(site.addresses().len(), 2);
    for address in site.addresses() {
        let mut connection = support::Connection::open(*address);
        assert_eq!(connection.get("/").body(), b"hello");
    }
}

#[test]
fn a_taken_port_names_its_owner() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let project = Project::wsgi(HELLO);
    let toml = std::fs::read_to_string(project.path("project.toml")).unwrap();
    let toml = toml.replace("127.0.0.1:0", &address.to_string());
    let finished = project.file("project.toml", toml).serve_in_vain();
    let pid = std::process::id();
    let name = std::fs::read_to_string("/proc/self/comm").unwrap();
    assert_eq!(
        finished.message(),
        format!(
            "error: cannot listen on `{address}`: process {pid} (`{}`) has it\n \
             --> project.toml:8: site.0.listen = [\"{address}\"]\n\
             hint: stop it (`kill {pid}`) or choose another port\n",
            name.trim()
        )
    );
    assert_eq!(finished.status, 3);
}

#[test]
fn a_second_server_does_not_share_the_port_of_the_first() {
    let first = Project::wsgi(HELLO).start();
    let address = first.address();
    let project = Project::wsgi(HELLO);
    let toml = std::fs::read_to_string(project.path("project.toml")).unwrap();
    let toml = toml.replace("127.0.0.1:0", &address.to_string());
    let finished = project.file("project.toml", toml).serve_in_vain();
    let pid = first.pid();
    assert_eq!(
        finished.message(),
        format!(
            "error: cannot listen on `{address}`: process {pid} (`appliance`) has it\n \
             --> project.toml:8: site.0.listen = [\"{address}\"]\n\
             hint: stop it (`kill {pid}`) or choose another port\n"
        )
    );
    assert_eq!(finished.status, 3);
}

/// Denies, by seccomp, memory files from which code may be executed, then becomes the command it
/// is given: what `vm.memfd_noexec=2` does, without the privilege to set that.
const DENY_EXECUTION_FROM_MEMORY: &str = r#"
import ctypes, os, platform, struct, sys

MEMFD_CREATE = {"x86_64": 319, "aarch64": 279}[platform.machine()]
MFD_EXEC, EACCES = 0x10, 13

def operation(code, value, if_true=0, if_false=0):
    return struct.pack("HBBI", code, if_true, if_false, value)

program = b"".join([
    operation(0x20, 0),                      # the system call's number
    operation(0x15, MEMFD_CREATE, 0, 3),     # another one: allow
    operation(0x20, 24),                     # its second argument: the flags
    operation(0x45, MFD_EXEC, 0, 1),         # without MFD_EXEC: allow
    operation(0x06, 0x00050000 | EACCES),
    operation(0x06, 0x7FFF0000),
])

class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("program", ctypes.c_char_p)]

libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0       # PR_SET_NO_NEW_PRIVS
denial = Filter(len(program) // 8, program)
assert libc.prctl(22, 2, ctypes.byref(denial)) == 0, os.strerror(ctypes.get_errno())
os.execv(sys.argv[1], sys.argv[1:])
"#;

#[test]
fn where_memory_may_not_be_executed_the_library_lies_in_a_file_without_a_name() {
    let project = Project::wsgi(HELLO).file("deny.py", DENY_EXECUTION_FROM_MEMORY);
    let temporary = project.path("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let mut command = std::process::Command::new(support::test_interpreter());
    command
        .arg("deny.py")
        .args([env!("CARGO_BIN_EXE_appliance"), "serve", "project.toml"])
        .current_dir(project.path(""))
        .env_remove("APPLIANCE_TEST_PYTHON")
        .env("TMPDIR", &temporary);
    let mut site = Appliance::spawn(project, command);
    site.wait_until_ready();
    assert_eq!(site.get("/").body(), b"hello");
    // A file that was mapped from memory would be called `/memfd:appliance_worker (deleted)`.
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", site.workers()[0])).unwrap();
    let from = maps
        .lines()
        .find(|line| line.contains("appliance_worker") && line.contains(" r-xp "))
        .unwrap();
    assert!(from.contains(temporary.to_str().unwrap()), "{from}");
    assert!(from.ends_with("/appliance_worker.so (deleted)"), "{from}");
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
}

#[test]
fn exit_statuses_tell_what_went_wrong() {
    let project = Project::wsgi(HELLO);
    let status = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_appliance"));
        command
            .args(arguments)
            .current_dir(project.path(""))
            .env_remove("APPLIANCE_TEST_PYTHON");
        support::Finished::of(command).status
    };
    assert_eq!(status(&["check"]), 0);
    assert_eq!(status(&["check", "gone.toml"]), 1);
    assert_eq!(status(&["serve", "gone.toml"]), 1);
    assert_eq!(status(&["serve", "--set", "python.processes=0"]), 1);
    assert_eq!(status(&["serve", "--no-such-flag"]), 2);
    assert_eq!(status(&["serve", "--set", "python.module=gone"]), 3);
    assert_eq!(
        status(&["serve", "--no-supervisor", "--set", "python.module=gone"]),
        3
    );
}

#[test]
fn a_missing_folder_of_files_stops_the_start() {
    let project = Project::files(&[]);
    std::fs::remove_dir_all(project.path("dist")).unwrap();
    let finished = project.serve_in_vain();
    let first = finished.stderr.lines().next().unwrap();
    assert!(first.starts_with("error: project.toml:"), "{first}");
    assert!(
        first.contains(&format!("`{}`", project.path("dist").display())),
        "{first}"
    );
    assert_eq!(finished.status, 1);
}

#[test]
fn ctrl_c_ends_a_lone_worker_without_a_traceback() {
    let mut site = Appliance::launch(Project::wsgi(HELLO), &["--no-supervisor"]);
    site.wait_until_listening();
    assert_eq!(site.get("/").status, 200);
    site.signal(libc::SIGINT);
    assert_eq!(site.wait(), 0);
    assert!(!site.log().contains("KeyboardInterrupt"), "{}", site.log());
}

#[test]
fn a_lone_worker_ends_although_a_thread_keeps_the_gil() {
    // One regular expression that takes years, all of it in C.
    let app = "import pathlib, re\n\
               def application(environ, start_response):\n\
               \x20   pathlib.Path('running').touch()\n\
               \x20   re.match('(a+)+$', 'a' * 60 + 'b')\n";
    let project = Project::wsgi(app).also("[server]\nstop_timeout = \"300ms\"");
    let mut site = Appliance::launch(project, &["--no-supervisor"]);
    site.wait_until_listening();
    let mut connection = site.connect();
    connection.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n");
    wait_until_running(&site);
    site.signal(libc::SIGTERM);
    assert_eq!(site.wait(), 4, "{}", site.log());
}

#[test]
fn the_supervisor_stays_small() {
    let site = Project::wsgi_with("processes = 2", HELLO).start();
    for _ in 0..100 {
        site.get("/");
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", site.pid())).unwrap();
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    let kilobytes: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kilobytes < 10_000, "{kilobytes} kB");
}

#[test]
fn workers_are_bound_to_cpus_in_turn() {
    let all = cpus_of(i32::try_from(std::process::id()).unwrap());
    for preload in [false, true] {
        let python = format!("processes = 3\ncpu_affinity = 1\npreload = {preload}");
        let site = Project::wsgi_with(&python, HELLO).start();
        let in_turn: Vec<Vec<Vec<usize>>> = (0..3)
            .map(|slot| vec![vec![all[slot % all.len()]]])
            .collect();
        assert_eq!(cpus_of_workers(&site), in_turn, "preload = {preload}");
        assert_eq!(cpus_of(site.pid()), all);

        let killed = site.serving()[0];
        site.signal_worker(killed, 9);
        eventually("a successor", || {
            let pids = site.serving();
            (pids.len() == 3 && pids[0] != killed).then_some(())
        });
        assert_eq!(cpus_of_workers(&site), in_turn, "preload = {preload}");

        let toml = site.project.path("project.toml");
        let text = std::fs::read_to_string(&toml).unwrap();
        std::fs::write(&toml, text.replace("cpu_affinity = 1", "")).unwrap();
        assert_eq!(Finished::of(site.project.command("reload")).status, 0);
        assert_eq!(cpus_of_workers(&site), vec![vec![all.clone()]; 3]);
    }
}

/// For each worker the different sets of CPUs that its threads may use.
fn cpus_of_workers(site: &Appliance) -> Vec<Vec<Vec<usize>>> {
    let threads = |pid: i32| {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        let ids = tasks.map(|task| task.unwrap().file_name().to_str().unwrap().parse().unwrap());
        let mut sets: Vec<Vec<usize>> = ids.map(cpus_of).collect();
        sets.dedup();
        sets
    };
    site.serving().into_iter().map(threads).collect()
}

/// The CPUs that a thread may use; a process's first thread has its number.
fn cpus_of(thread: i32) -> Vec<usize> {
    let status = std::fs::read_to_string(format!("/proc/{thread}/status")).unwrap();
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let ranges = list.unwrap().trim().split(',').map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        first.parse().unwrap()..=last.parse().unwrap()
    });
    ranges.flatten().collect()
}

fn wait_until_running(site: &Appliance) {
    let flag = site.project.path("running");
    eventually("running request", || flag.exists().then_some(()));
    let _ = std::fs::remove_file(flag);
}
