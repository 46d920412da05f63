//! What systemd and its like rely on: they are told how it goes, and their sockets are used.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::fs;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram, UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::{Duration, Instant};

use support::{Appliance, Connection, Finished, Load, Project, eventually};

const HELLO: &str = r#"
import os

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello" if environ["PATH_INFO"] != "/pid" else str(os.getpid()).encode()]
"#;

/// A manager's socket.
struct Manager(UnixDatagram);

impl Manager {
    fn at(address: &UnixAddress) -> Manager {
        let socket = UnixDatagram::bind_addr(address).unwrap();
        let patience = Some(Duration::from_secs(30));
        socket.set_read_timeout(patience).unwrap();
        Manager(socket)
    }

    /// The next message, as its lines.
    #[track_caller]
    fn hears(&self) -> Vec<String> {
        let mut buffer = [0; 4096];
        let len = self.0.recv(&mut buffer).expect("a message in time");
        let text = std::str::from_utf8(&buffer[..len]).unwrap();
        assert!(text.ends_with('\n'), "{text:?}");
        text.lines().map(str::to_owned).collect()
    }

    /// The next message that has this line; those before it go.
    #[track_caller]
    fn waits_for(&self, line: &str) -> Vec<String> {
        let mut before = Vec::new();
        for _ in 0..1000 {
            let heard = self.hears();
            if heard.iter().any(|one| one == line) {
                return heard;
            }
            before.push(heard);
        }
        panic!("no `{line}` in {before:?}");
    }

    /// Whether there is nothing to hear for this long.
    fn is_silent_for(&self, time: Duration) -> bool {
        self.0.set_read_timeout(Some(time)).unwrap();
        self.0.recv(&mut [0; 4096]).is_err()
    }
}

fn managed(project: Project) -> (Manager, Project) {
    let path = project.path("notify");
    let manager = Manager::at(&UnixAddress::from_pathname(&path).unwrap());
    (
        manager,
        project.env("NOTIFY_SOCKET", path.to_str().unwrap()),
    )
}

/// What the supervisor's own clock says, in microseconds since the machine's start.
fn uptime() -> f64 {
    let text = fs::read_to_string("/proc/uptime").unwrap();
    let seconds = text.split(' ').next().unwrap();
    seconds.parse::<f64>().unwrap() * 1e6
}

#[test]
fn the_manager_hears_of_start_reload_upgrade_and_stop() {
    let (manager, project) = managed(Project::wsgi_with("processes = 2", HELLO));
    let mut site = project.start();
    let me = format!("MAINPID={}", site.pid());
    let serving = |generation| format!("STATUS=serving: 2 workers, generation {generation}");
    assert_eq!(manager.hears(), ["READY=1", &me, &serving(1)]);

    assert_eq!(Finished::of(site.project.command("reload")).status, 0);
    let reloading = manager.hears();
    assert_eq!(reloading[0], "RELOADING=1");
    let at: f64 = reloading[1]
        .strip_prefix("MONOTONIC_USEC=")
        .unwrap()
        .parse()
        .unwrap();
    assert!((uptime() - at).abs() < 60e6, "{at}");
    manager.waits_for("STATUS=reloading: 2 workers, generation 1");
    assert_eq!(manager.waits_for("READY=1"), ["READY=1", &me, &serving(2)]);

    let upgraded = Finished::of(site.project.command("upgrade"));
    assert_eq!(upgraded.status, 0, "{upgraded:?}");
    assert_eq!(manager.waits_for("READY=1"), ["READY=1", &me, &serving(3)]);

    assert_eq!(site.stop(), 0);
    let stopping = manager.waits_for("STOPPING=1");
    assert_eq!(stopping, ["STOPPING=1", "STATUS=stopping"]);
    // Workers, hooks and rehearsals have said nothing.
    assert!(manager.is_silent_for(Duration::from_millis(100)));
}

#[test]
fn a_refused_reload_ends_for_the_manager_too() {
    let (manager, project) = managed(Project::wsgi(HELLO));
    let site = project.start();
    manager.waits_for("READY=1");
    let failed =
        "STATUS=serving: 1 worker, generation 1; the last reload or upgrade failed, see the log";
    for broken in ["def application(", "import gone"] {
        fs::write(site.project.path("app.py"), broken).unwrap();
        assert_eq!(Finished::of(site.project.command("reload")).status, 3);
        assert_eq!(manager.waits_for_start_of_reload(), "RELOADING=1");
        assert_eq!(manager.waits_for("READY=1")[2], failed);
    }
    // One that is refused before anything begins.
    fs::write(site.project.path("project.toml"), "[").unwrap();
    assert_eq!(Finished::of(site.project.command("reload")).status, 1);
    assert_eq!(manager.waits_for_start_of_reload(), "RELOADING=1");
    assert_eq!(manager.waits_for("READY=1")[2], failed);
}

impl Manager {
    #[track_caller]
    fn waits_for_start_of_reload(&self) -> String {
        self.waits_for("RELOADING=1")[0].clone()
    }
}

#[test]
fn an_abstract_socket_will_do_and_children_are_not_told_of_it() {
    let name = format!("appliance-test-{}", std::process::id());
    let manager = Manager::at(&UnixAddress::from_abstract_name(&name).unwrap());
    let app = "import os\n\
               def application(environ, start_response):\n\
               \x20   start_response('200 OK', [('Content-Type', 'text/plain')])\n\
               \x20   return [repr([name for name in os.environ if name.startswith(('NOTIFY', 'WATCHDOG', 'LISTEN'))]).encode()]\n";
    let site = Project::wsgi(app)
        .also("[hooks]\nbefore_start = [\"env > hook\"]")
        .env("NOTIFY_SOCKET", format!("@{name}"))
        .env("WATCHDOG_USEC", "60000000")
        .start();
    manager.waits_for("READY=1");
    assert_eq!(site.get("/").text(), "[]");
    let hook = fs::read_to_string(site.project.path("hook")).unwrap();
    assert!(!hook.contains("NOTIFY_SOCKET"), "{hook}");
}

#[test]
fn a_manager_that_cannot_be_told_keeps_nobody_from_serving() {
    for name in ["", "vsock:2:1234", "/nowhere/notify", "relative"] {
        let mut site = Project::wsgi(HELLO).env("NOTIFY_SOCKET", name).start();
        assert_eq!(site.get("/").text(), "hello");
        assert_eq!(site.stop(), 0);
    }
    // One that does not listen: its queue is soon full.
    let (manager, project) = managed(Project::wsgi(HELLO));
    let site = project.env("WATCHDOG_USEC", "2000").start();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(Finished::of(site.project.command("status")).status, 0);
    assert_eq!(site.get("/").text(), "hello");
    drop(manager);
    assert_eq!(Finished::of(site.project.command("status")).status, 0);
}

#[test]
fn the_watchdog_is_kept_quiet_while_a_worker_answers() {
    let timeout = Duration::from_millis(800);
    let (manager, project) = managed(Project::wsgi_with("processes = 2", HELLO));
    let micros = timeout.as_micros().to_string();
    let site = project.env("WATCHDOG_USEC", micros).start();
    manager.waits_for("READY=1");
    let began = Instant::now();
    for _ in 0..6 {
        manager.waits_for("WATCHDOG=1");
    }
    // At half of the time each, and not more often.
    assert!(began.elapsed() > timeout * 2, "{:?}", began.elapsed());

    // One worker that hangs does not stop the service.
    let [first, second] = site.workers()[..] else {
        panic!("{:?}", site.workers());
    };
    site.signal_worker(first, libc::SIGSTOP);
    for _ in 0..6 {
        manager.waits_for("WATCHDOG=1");
    }
    // All of them do.
    site.signal_worker(second, libc::SIGSTOP);
    site.wait_for_log("no worker answers; the service manager is not told that all is well");
    // On a busy machine it may have been said before, of workers that answered late.
    eventually("silence", || {
        manager.is_silent_for(timeout * 2).then_some(())
    });
    for pid in [first, second] {
        site.signal_worker(pid, libc::SIGCONT);
    }
    manager
        .0
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    manager.waits_for("WATCHDOG=1");
}

#[test]
fn a_worker_without_a_supervisor_tells_the_manager_itself_and_leaves_no_file() {
    let sites = "[server]\nmaster = false\npidfile = \"a.pid\"\n[[site]]\n\
                 listen = [\"127.0.0.1:0\", \"unix:site.sock\"]\n[site.routes]\n\"/\" = { wsgi = true }\n";
    let (manager, project) = managed(Project::with_sites(HELLO, "processes = 1", sites));
    let project = project.env("WATCHDOG_USEC", "400000");
    let mut site = Appliance::launch(project, &[]);
    let ready = manager.hears();
    let me = format!("MAINPID={}", site.pid());
    assert_eq!(ready, ["READY=1", &me, "STATUS=serving: no supervisor"]);
    for _ in 0..3 {
        assert_eq!(manager.hears(), ["WATCHDOG=1"]);
    }
    let files = ["a.pid", "site.sock"].map(|name| site.project.path(name));
    assert!(files.iter().all(|file| file.exists()));
    let mut connection = Connection::open_unix(&files[1]);
    assert_eq!(connection.get("/").text(), "hello");
    assert_eq!(site.stop(), 0);
    let stopping = manager.waits_for("STOPPING=1");
    assert_eq!(stopping, ["STOPPING=1", "STATUS=stopping"]);
    assert!(files.iter().all(|file| !file.exists()), "{files:?}");
}

#[test]
fn a_watchdog_of_another_process_is_not_ours() {
    let (manager, project) = managed(Project::wsgi(HELLO));
    let project = project
        .env("WATCHDOG_USEC", "50000")
        .env("WATCHDOG_PID", "1");
    let _site = project.start();
    manager.waits_for("READY=1");
    assert!(manager.is_silent_for(Duration::from_millis(300)));
}

/// Listens as a service manager does, then becomes the command behind `--`.
const ACTIVATE: &str = r#"
import os, socket, sys

at = sys.argv.index("--")
kept = []
for fd, kind in enumerate(sys.argv[1:at], 3):
    kind, _, address = kind.partition(",")
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if kind in ("unix", "abstract"):
        one = socket.socket(socket.AF_UNIX)
        one.bind(address if kind == "unix" else "\0" + address)
        one.listen()
    elif kind == "file":
        one = open("/dev/null")
    else:
        one = socket.socket(family, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, kind != "dual")
        one.bind((host, int(port)))
        if kind in ("tcp", "dual"):
            one.listen()
    kept.append(one)
    os.dup2(one.fileno(), fd + 100)
for number, one in enumerate(kept):
    one.close()
for number in range(len(kept)):
    os.dup2(number + 103, number + 3)
    os.set_inheritable(number + 3, True)
    os.close(number + 103)
os.environ.setdefault("LISTEN_PID", str(os.getpid()))
os.environ.setdefault("LISTEN_FDS", str(len(kept)))
os.environ.setdefault("LISTEN_FDNAMES", ":".join(["web", "more"][:len(kept)]))
os.execv(sys.argv[at + 1], sys.argv[at + 1:])
"#;

/// An address that no other test of this machine has.
fn own_address() -> SocketAddr {
    static LAST: AtomicU8 = AtomicU8::new(0);
    let pid = std::process::id();
    let [.., high, low] = pid.to_be_bytes();
    let port = 20_000 + u16::from(LAST.fetch_add(1, Relaxed));
    SocketAddr::from(([127, 78, high, low.max(1)], port))
}

fn listening_on(addresses: &[SocketAddr]) -> Project {
    let sites = format!(
        "[[site]]\nlisten = {:?}\n\n[site.routes]\n\"/\" = {{ wsgi = true }}\n",
        addresses
            .iter()
            .map(SocketAddr::to_string)
            .collect::<Vec<_>>()
    );
    Project::with_sites(HELLO, "processes = 2\nthreads = 1", &sites).file("activate.py", ACTIVATE)
}

fn activated(project: &Project, sockets: &[String], variables: &[(&str, &str)]) -> Command {
    let serve = project.command("serve");
    let mut command = Command::new("/usr/bin/python3");
    command
        .arg("activate.py")
        .args(sockets)
        .arg("--")
        .arg(serve.get_program())
        .args(serve.get_args())
        .current_dir(project.path(""))
        .env_remove("APPLIANCE_TEST_PYTHON")
        .envs(variables.iter().copied());
    command
}

#[test]
fn a_passed_socket_is_used_by_all_workers_and_kept() {
    let [address, further] = [own_address(), own_address()];
    let project = listening_on(&[address]);
    let command = activated(&project, &[format!("tcp,{address}")], &[]);
    let mut site = Appliance::spawn(project, command);
    // Before any worker is there, and it waits for one.
    let early = eventually("listening socket", || Connection::try_open(address).ok());
    let mut early = early;
    early.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n");
    assert_eq!(early.response().text(), "hello");
    site.wait_until_ready();
    let load = Load::start(address, &[("/", "hello")]);
    let both = eventually("two workers that answer", || {
        let mut pids: Vec<_> = (0..50)
            .map(|_| site.get("/pid").text().to_owned())
            .collect();
        pids.sort();
        pids.dedup();
        (pids.len() == 2).then_some(pids)
    });
    assert_eq!(both.len(), 2);

    // Another address comes and goes; this one stays, and so it does across an upgrade.
    let file = site.project.path("project.toml");
    let text = fs::read_to_string(&file).unwrap();
    let both = text.replace(&address.to_string(), &format!("{address}\", \"{further}"));
    for (text, also_there) in [(both, true), (text.clone(), false)] {
        fs::write(&file, text).unwrap();
        let reloaded = Finished::of(site.project.command("reload"));
        assert_eq!(reloaded.status, 0, "{reloaded:?}");
        eventually("address as it was asked for", || {
            (Connection::try_open(further).is_ok() == also_there).then_some(())
        });
    }
    let upgraded = Finished::of(site.project.command("upgrade"));
    assert_eq!(upgraded.status, 0, "{upgraded:?}");
    let counted = load.stop();
    assert!(counted.failed.is_empty(), "{counted:?}");

    // Not served for a while, and served again.
    for (listen, upgrade) in [(&further, true), (&address, false)] {
        fs::write(
            &file,
            text.replace(&address.to_string(), &listen.to_string()),
        )
        .unwrap();
        let reloaded = Finished::of(site.project.command("reload"));
        assert_eq!(reloaded.status, 0, "{reloaded:?}");
        assert_eq!(Connection::open(*listen).get("/").text(), "hello");
        if upgrade {
            let upgraded = Finished::of(site.project.command("upgrade"));
            assert_eq!(upgraded.status, 0, "{upgraded:?}");
        }
    }
    assert_eq!(site.stop(), 0);
}

#[test]
fn a_passed_unix_socket_stays_the_managers() {
    let folder = tempfile::tempdir().unwrap();
    // systemd writes `/run`, the project may write `/var/run`.
    let real = folder.path().join("run");
    let path = folder.path().join("var-run/site.sock");
    fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, path.parent().unwrap()).unwrap();
    let bound = real.join("site.sock");
    let sites = format!(
        "[server]\nsocket_mode = \"600\"\n[[site]]\nlisten = [\"127.0.0.1:0\", \"unix:{}\"]\n\n\
         [site.routes]\n\"/\" = {{ wsgi = true }}\n",
        path.display()
    );
    let project = Project::with_sites(HELLO, "processes = 2\nthreads = 1", &sites);
    let project = project.file("activate.py", ACTIVATE);
    let command = activated(&project, &[format!("unix,{}", bound.display())], &[]);
    let mut site = Appliance::spawn(project, command);
    let mut early = eventually("listening socket", || {
        UnixStream::connect(&bound).ok()?;
        Some(Connection::open_unix(&bound))
    });
    let file = || {
        let found = fs::metadata(&bound).unwrap();
        (found.ino(), found.mode())
    };
    let made = file();
    early.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n");
    assert_eq!(early.response().text(), "hello");
    site.wait_until_ready();
    assert_eq!(file(), made, "its rights are the manager's affair");

    // Not listened on for a while, across an upgrade: what comes waits in it.
    let toml = site.project.path("project.toml");
    let text = fs::read_to_string(&toml).unwrap();
    let without = text.replace(&format!(", \"unix:{}\"", path.display()), "");
    assert_ne!(without, text);
    for (text, verb) in [
        (&without, "reload"),
        (&without, "upgrade"),
        (&text, "reload"),
    ] {
        fs::write(&toml, text).unwrap();
        let done = Finished::of(site.project.command(verb));
        assert_eq!(done.status, 0, "{done:?}");
        assert_eq!(file(), made);
    }
    assert_eq!(Connection::open_unix(&bound).get("/").text(), "hello");

    let upgraded = Finished::of(site.project.command("upgrade"));
    assert_eq!(upgraded.status, 0, "{upgraded:?}");
    assert_eq!(Connection::open_unix(&bound).get("/").text(), "hello");
    assert_eq!(site.stop(), 0);
    assert_eq!(file(), made, "the next server is passed it again");
}

#[test]
fn a_unix_socket_outlives_a_server_that_did_not_make_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site.sock");
    let manager = UnixListener::bind(&path).unwrap();
    let sites = format!(
        "[[site]]\nlisten = [\"127.0.0.1:0\", \"unix:{}\"]\n\n[site.routes]\n\"/\" = {{ wsgi = true }}\n",
        path.display()
    );
    for arguments in [&[] as &[&str], &["--no-supervisor"]] {
        let project = Project::with_sites(HELLO, "processes = 1", &sites);
        let mut command = project.command("serve");
        command.args(arguments);
        let (program, given) = (command.get_program(), command.get_args());
        let mut shell = Command::new("/bin/sh");
        shell
            .args([
                "-c",
                "export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$@\" 3<&0 </dev/null",
                "sh",
            ])
            .arg(program)
            .args(given)
            .current_dir(project.path(""))
            .env_remove("APPLIANCE_TEST_PYTHON")
            .stdin(Stdio::from(manager.try_clone().map(OwnedFd::from).unwrap()));
        let mut site = Appliance::spawn(project, shell);
        site.wait_until_listening();
        assert_eq!(Connection::open_unix(&path).get("/").text(), "hello");
        assert_eq!(site.stop(), 0);
        // It listens still: a connection waits in it for the next server.
        let waits = UnixStream::connect(&path).unwrap();
        drop(manager.accept().unwrap());
        drop(waits);
    }
}

#[test]
fn a_front_without_application_answers_on_a_passed_socket() {
    let address = own_address();
    let project = listening_on(&[address]);
    let command = activated(&project, &[format!("tcp,{address}")], &[]);
    let mut site = Appliance::spawn(project, command);
    site.wait_until_ready();
    fs::write(site.project.path("app.py"), "import os; os._exit(1)").unwrap();
    for pid in site.workers() {
        site.signal_worker(pid, libc::SIGKILL);
    }
    eventually("answer in the application's place", || {
        (site.get("/").status == 503).then_some(())
    });
}

#[test]
fn without_a_supervisor_a_passed_socket_is_used_too() {
    let address = own_address();
    let project = listening_on(&[address]);
    let toml = fs::read_to_string(project.path("project.toml")).unwrap();
    let project = project.file("project.toml", toml.replace("processes = 2\n", ""));
    let mut command = activated(&project, &[format!("tcp,{address}")], &[]);
    command.arg("--no-supervisor");
    let mut site = Appliance::spawn(project, command);
    site.wait_until_listening();
    assert_eq!(site.get("/").text(), "hello");
    assert_eq!(site.stop(), 0);
}

#[test]
fn sockets_meant_for_somebody_else_are_left_alone() {
    let address = own_address();
    let project = listening_on(&[address]);
    let other = format!("tcp,{}", own_address());
    let mut site = Appliance::spawn(
        listening_on(&[address]),
        activated(&project, &[other], &[("LISTEN_PID", "1")]),
    );
    site.wait_until_ready();
    assert_eq!(site.get("/").text(), "hello");
}

#[test]
fn sockets_that_cannot_be_used_are_refused_with_the_reason() {
    let [address, stray] = [own_address(), own_address()];
    let folder = tempfile::tempdir().unwrap();
    let unix = folder.path().join("web.sock");
    let prefix = "error: the service manager has passed a socket that cannot be used (`web`): ";
    let cases = [
        (
            vec![format!("tcp,{address}"), format!("tcp,{stray}")],
            vec![],
            format!(
                "error: the service manager has passed a socket on `{stray}` (`more`), where no site listens\n\
                 hint: add `\"{stray}\"` to the `listen` of a site, or take `ListenStream={stray}` out of the \
                 socket unit\n"
            ),
        ),
        (
            vec![format!("udp,{address}")],
            vec![],
            format!("{prefix}`{address}` is no stream socket: write `ListenStream=`\n"),
        ),
        (
            vec![format!("bound,{address}")],
            vec![],
            format!("{prefix}`{address}` does not listen: write `Accept=no`\n"),
        ),
        (
            vec![format!("unix,{}", unix.display())],
            vec![],
            format!(
                "error: the service manager has passed a socket on `unix:{path}` (`web`), where no site listens\n\
                 hint: add `\"unix:{path}\"` to the `listen` of a site, or take `ListenStream={path}` out of the \
                 socket unit\n",
                path = unix.display()
            ),
        ),
        (
            vec![String::from("abstract,appliance-test")],
            vec![],
            format!("{prefix}`listen` is an address and a port, or the path of a unix socket\n"),
        ),
        (
            vec![String::from("file,")],
            vec![],
            format!("{prefix}it is no socket\n"),
        ),
        (
            vec![format!("dual,:::{}", address.port())],
            vec![],
            format!(
                "{prefix}`[::]:{port}` takes IPv4 connections as well, which `listen` keeps apart: write \
                 `BindIPv6Only=ipv6-only`, and `ListenStream=0.0.0.0:{port}` for the others\n",
                port = address.port()
            ),
        ),
        (
            vec![format!("tcp,{address}")],
            vec![("LISTEN_FDS", "two")],
            "error: `LISTEN_FDS` must be a number of descriptors, found `two`\n".to_owned(),
        ),
        (
            vec![format!("tcp,{address}")],
            vec![("LISTEN_FDS", "9")],
            "error: the service manager has passed a socket that cannot be used (`descriptor 4`): \
             Bad file descriptor (os error 9)\n"
                .to_owned(),
        ),
    ];
    for (sockets, variables, message) in cases {
        let project = listening_on(&[address]);
        let finished = Finished::of(activated(&project, &sockets, &variables));
        assert_eq!(finished.message(), message, "{sockets:?}");
        assert_eq!(finished.status, 3);
    }
}
