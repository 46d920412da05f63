//! `server.read_write_paths`: an ordinary site works within them, and nothing leaves them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::fs;

use support::{Appliance, Connection, Finished, Project, eventually};

const APP: &str = include_str!("apps/writable.py");

/// The temporary folder, which may be written to, is not where the project lies.
fn project(server: &str) -> Project {
    let sites = format!(
        "[server]\nread_write_paths = [\"media\", \"data\"]\n{server}\n[[site]]\nlisten = [\"127.0.0.1:0\"]\n\
         access_log = \"logs/access.log\"\n[site.routes]\n\"/\" = {{ wsgi = true }}\n"
    );
    let project = Project::with_sites(APP, "processes = 1", &sites)
        .file("media/here", "")
        .file("data/here", "")
        .file("logs/here", "")
        .file("tmp/here", "")
        .file("kept.txt", "what must stay");
    let tmp = project.path("tmp");
    project.env("TMPDIR", tmp.to_str().unwrap())
}

#[track_caller]
fn works(site: &Appliance) {
    let body = vec![b'x'; 3_000_000];
    let mut connection = Connection::open(site.address());
    connection.send(format!(
        "POST / HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n",
        body.len()
    ));
    connection.send(&body);
    let answer = connection.response();
    assert_eq!((answer.status, answer.text()), (200, "[]"));
}

#[track_caller]
fn is_refused(site: &Appliance, path: &str) {
    let answer = site.get(path);
    assert_eq!(answer.status, 500, "{path}");
    site.wait_for_log("PermissionError: [Errno 13] Permission denied");
}

#[test]
fn an_ordinary_site_works_and_nothing_is_written_elsewhere() {
    let site = project("").start();
    works(&site);
    for path in [
        "/outside/new.txt",
        "/outside/kept.txt",
        "/outside/logs/access.log",
        "/removes",
        "/truncates",
    ] {
        is_refused(&site, path);
    }
    // Python takes EXDEV for a reason to copy, and then may not remove.
    assert_eq!(site.get("/moves").status, 500);
    assert_eq!(
        fs::read(site.project.path("kept.txt")).unwrap(),
        b"what must stay"
    );
    assert!(!site.project.path("new.txt").exists());
    works(&site);

    // So do those of the next generations, and of the next binary.
    for (verb, probe) in [("reload", "/outside/a"), ("upgrade", "/outside/b")] {
        let done = Finished::of(site.project.command(verb));
        assert_eq!(done.status, 0, "{done:?}");
        works(&site);
        is_refused(&site, probe);
    }
    assert!(!site.log().contains("HAS NO EFFECT"));
}

#[test]
fn a_worker_without_a_supervisor_keeps_its_logs_and_nothing_else() {
    let sites =
        "log = \"logs/site.log\"\nlog_max_size = \"64KB\"\nmaster = false\npidfile = \"run/a.pid\"";
    let project = project(sites).file("run/here", "");
    let mut site = Appliance::launch(project, &[]);
    site.wait_until_listening_by("logs/site.log");
    works(&site);
    for path in ["/outside/new.txt", "/removes"] {
        assert_eq!(site.get(path).status, 500, "{path}");
    }
    assert!(site.project.path("run/a.pid").exists());
    // Begun anew where it is moved away, too.
    let first = site.project.path("logs/site.log.1");
    eventually("second log file", || {
        (0..20).for_each(|_| _ = site.get("/removes"));
        first.exists().then_some(())
    });
    assert_eq!(site.stop(), 0);
    assert!(!site.project.path("run/a.pid").exists());
}

#[test]
fn a_reload_takes_other_folders_and_gives_them_up() {
    let site = project("").start();
    fs::create_dir(site.project.path("more")).unwrap();
    is_refused(&site, "/outside/more/a.txt");
    let file = site.project.path("project.toml");
    let toml = fs::read_to_string(&file).unwrap();
    fs::write(&file, toml.replace("\"data\"]", "\"data\", \"more\"]")).unwrap();
    assert_eq!(Finished::of(site.project.command("reload")).status, 0);
    assert_eq!(site.get("/outside/more/a.txt").status, 200);

    // A folder that is gone keeps no worker from starting; it is said, and the others hold.
    fs::remove_dir_all(site.project.path("more")).unwrap();
    let before = site.workers();
    site.signal_worker(before[0], libc::SIGKILL);
    site.wait_for_log("nothing can be written there (`server.read_write_paths`)");
    eventually("successor", || (site.get("/").status == 200).then_some(()));
    is_refused(&site, "/outside/c.txt");
}

/// Becomes its arguments, without Landlock: seccomp answers ENOSYS to landlock_create_ruleset (444).
const WITHOUT_LANDLOCK: &str = r#"
import ctypes, os, struct, sys

rules = [(0x20, 0, 0, 0), (0x15, 0, 1, 444), (0x06, 0, 0, 0x00050000 | 38), (0x06, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(rules), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.c_void_p(ctypes.addressof(program)), 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"#;

#[test]
fn without_landlock_it_serves_and_says_loudly_that_nothing_is_kept() {
    let project = project("").file("without.py", WITHOUT_LANDLOCK);
    let serve = project.command("serve");
    let mut command = std::process::Command::new("/usr/bin/python3");
    command
        .arg("without.py")
        .arg(serve.get_program())
        .args(serve.get_args())
        .current_dir(project.path(""))
        .env("TMPDIR", project.path("tmp"))
        .env_remove("APPLIANCE_TEST_PYTHON");
    let mut site = Appliance::spawn(project, command);
    site.wait_until_ready();
    site.wait_for_log(
        " WARN supervisor: this kernel has no Landlock, or it is switched off: `server.read_write_paths` HAS NO \
         EFFECT, and workers write wherever their user may",
    );
    // Nothing else goes wrong, and what it would have refused is done.
    assert_eq!(site.get("/outside/new.txt").status, 200);
}
