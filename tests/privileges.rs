//! What a start as root promises: nothing of the project runs as root, and all of it works.
//!
//! These tests start servers as root, so they must be run by root: each fails, and says so, where
//! it is somebody else.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;
use std::process::Command;

use support::{Appliance, Connection, Finished, Load, Project, eventually};

/// Every Linux has them, with a group of a name that differs.
const NOBODY: u32 = 65534;
const DAEMON: u32 = 1;

/// `/who`: the kernel's word on the process. `/child`: the effective user of a setuid program it
/// starts. `/write`: the mode of a file it makes. Else: how much was sent.
const APP: &str = r#"
import os, subprocess

def application(environ, start_response):
    path, body = environ["PATH_INFO"], environ["wsgi.input"].read()
    if path == "/who":
        answer = open("/proc/self/status").read() + "\nHOME:" + os.environ.get("HOME", "") + "\nUSER:" \
            + os.environ.get("USER", "") + "\n"
    elif path == "/child":
        answer = subprocess.run(["var/id", "-u"], capture_output=True, text=True).stdout
    elif path == "/write":
        if os.path.exists("var/made"):
            os.unlink("var/made")
        open("var/made", "w").close()
        answer = oct(os.stat("var/made").st_mode & 0o777)
    else:
        answer = "%d bytes" % len(body)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [answer.encode()]
"#;

/// The system's Python: root's own folder may hold the others.
fn project(server: &str) -> Project {
    project_on("127.0.0.1:0", server, "")
}

/// `var` is the user's, everything else root's.
fn project_on(listen: &str, server: &str, python: &str) -> Project {
    assert_eq!(
        fs::metadata("/proc/self").unwrap().uid(),
        0,
        "run these tests as root"
    );
    let toml = format!(
        "[server]\npidfile = \"a.pid\"\n{server}\n\n\
         [python]\nmodule = \"app\"\ninterpreter = \"/usr/bin/python3\"\nprocesses = 2\nthreads = 2\n\
         spool = \"var\"\nbody_buffer = \"16KB\"\n{python}\n\n\
         [[site]]\nlisten = [\"{listen}\"]\n\n[site.routes]\n\"/\" = {{ wsgi = true }}\n"
    );
    let project = Project::new(&toml).file("app.py", APP).file("var/made", "");
    fs::set_permissions(project.path(""), Permissions::from_mode(0o755)).unwrap();
    for path in ["var", "var/made"] {
        chown(project.path(path), Some(NOBODY), None).unwrap();
    }
    project
}

/// `/proc/PID/status` by field.
fn status(text: &str) -> BTreeMap<String, String> {
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    let words = |value: &str| value.split_whitespace().collect::<Vec<_>>().join(" ");
    fields
        .map(|(name, value)| (name.to_owned(), words(value)))
        .collect()
}

fn status_of(pid: i32) -> BTreeMap<String, String> {
    status(&fs::read_to_string(format!("/proc/{pid}/status")).unwrap())
}

const NO_CAPABILITIES: &str = "0000000000000000";

/// The kernel says that each of the workers is this user, and can never be anybody else.
#[track_caller]
fn assert_confined(site: &Appliance, uid: u32, gid: u32) {
    for pid in site.workers() {
        let status = status_of(pid);
        let four = |id: u32| [id.to_string().as_str(); 4].join(" ");
        assert_eq!(status["Uid"], four(uid), "{status:?}");
        assert_eq!(status["Gid"], four(gid), "{status:?}");
        assert_eq!(status["Groups"], gid.to_string(), "{status:?}");
        assert_eq!(status["NoNewPrivs"], "1", "{status:?}");
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(status[set], NO_CAPABILITIES, "{set}: {status:?}");
        }
    }
}

/// A command as another user, without root's groups.
fn as_user(uid: u32, command: &Command) -> Command {
    let id = uid.to_string();
    let mut changed = Command::new("setpriv");
    changed
        .args(["--reuid", &id, "--regid", &id, "--clear-groups"])
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(command.get_current_dir().unwrap())
        .env_remove("APPLIANCE_TEST_PYTHON");
    changed
}

/// An address of this machine alone that no other test has, with a privileged port.
fn privileged(port: u16) -> SocketAddr {
    let pid = std::process::id();
    let [.., high, low] = pid.to_be_bytes();
    SocketAddr::from(([127, 77, high, low.max(1)], port))
}

#[test]
fn workers_of_a_root_start_are_the_user_and_nothing_more() {
    let address = privileged(80);
    let project = project_on(&address.to_string(), "user = \"nobody\"", "");
    let mut site = project.start();
    assert_eq!(site.address(), address);
    assert_eq!(site.workers().len(), 2);
    assert_confined(&site, NOBODY, NOBODY);
    assert_eq!(status_of(site.pid())["Uid"], "0 0 0 0");
    let who = status(site.get("/who").text());
    let home = home_of("nobody");
    assert_eq!((who["USER"].as_str(), &who["HOME"]), ("nobody", &home));

    // A body that is spooled, by the user, in its folder.
    let body = vec![b'x'; 1 << 20];
    let mut connection = site.connect();
    connection.send(format!(
        "POST / HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n",
        body.len()
    ));
    connection.send(&body);
    assert_eq!(connection.response().text(), "1048576 bytes");

    let pidfile = site.project.path("a.pid");
    assert_eq!(fs::metadata(&pidfile).unwrap().uid(), 0);
    assert_eq!(site.stop(), 0);
    assert!(!pidfile.exists());
    assert!(!site.log().contains(" WARN "), "{}", site.log());
}

fn home_of(user: &str) -> String {
    let text = fs::read_to_string("/etc/passwd").unwrap();
    let entry = text
        .lines()
        .find(|line| line.starts_with(&format!("{user}:")));
    entry.unwrap().split(':').nth(5).unwrap().to_owned()
}

#[test]
fn replaced_reloaded_and_upgraded_workers_are_the_user_too() {
    let address = privileged(81);
    let max_requests = "max_requests = 200";
    let project = project_on(&address.to_string(), "user = \"nobody\"", max_requests);
    let site = project.start();
    let first = site.workers();
    let load = Load::start(site.address(), &[("/hello", "0 bytes")]);
    eventually("worker that follows another", || {
        let who = status(site.get("/who").text());
        assert_eq!(who["Uid"], "65534 65534 65534 65534");
        let pid: i32 = who["Pid"].parse().unwrap();
        (!first.contains(&pid)).then_some(())
    });
    assert!(site.log().contains("reason=max_requests"));

    // Only root can listen there: it is root that reloads.
    let further = privileged(82);
    let file = site.project.path("project.toml");
    let text = fs::read_to_string(&file).unwrap();
    let both = format!("\"{address}\", \"{further}\"");
    let text = text.replace(&format!("\"{address}\""), &both);
    fs::write(&file, text.replace(max_requests, "")).unwrap();
    let reloaded = Finished::of(site.project.command("reload"));
    assert_eq!(reloaded.status, 0, "{reloaded:?}");
    let response = Connection::open(further).get("/hello");
    assert_eq!(response.text(), "0 bytes");
    only_two_workers(&site);
    assert_confined(&site, NOBODY, NOBODY);

    let upgraded = Finished::of(site.project.command("upgrade"));
    assert_eq!(upgraded.status, 0, "{upgraded:?}");
    only_two_workers(&site);
    assert_confined(&site, NOBODY, NOBODY);

    let killed = site.workers()[0];
    let ready = || site.log().matches("worker ready").count();
    let before = ready();
    site.signal_worker(killed, libc::SIGKILL);
    eventually("successor", || (ready() > before).then_some(()));
    only_two_workers(&site);
    let counted = load.stop();
    // The killed one took at most what the two clients were asking.
    assert!(counted.failed.len() <= 2, "{counted:?}");
    assert!(counted.answered > 300, "{counted:?}");
    assert_confined(&site, NOBODY, NOBODY);
}

/// Those that were to go are gone.
#[track_caller]
fn only_two_workers(site: &Appliance) {
    eventually("end of the others", || {
        (site.workers().len() == 2).then_some(())
    });
}

#[test]
fn groups_are_the_users_and_none_of_roots() {
    let project = project("user = \"nobody\"");
    let groups = fs::read_to_string("/etc/group").unwrap();
    let project = project.file("group", format!("{groups}\nappliance-test:x:4711:nobody\n"));
    // Root's own supplementary groups; a group database in which the user has one more.
    let script = "mount --bind group /etc/group && exec setpriv --groups 0,4,24 \"$@\"";
    let serve = project.command("serve");
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(serve.get_program())
        .args(serve.get_args())
        .current_dir(project.path(""))
        .env_remove("APPLIANCE_TEST_PYTHON");
    let mut site = Appliance::spawn(project, command);
    site.wait_until_ready();
    let worker = status_of(site.workers()[0]);
    assert_eq!(worker["Groups"], "4711 65534");
    assert_eq!(status_of(site.pid())["Groups"], "0 4 24");
}

#[test]
fn a_group_of_its_own_takes_the_place_of_the_users() {
    let site = project("user = \"nobody\"\ngroup = \"daemon\"").start();
    assert_confined(&site, NOBODY, DAEMON);
    let numbers = project("user = \"65534\"\ngroup = \"1\"").start();
    assert_confined(&numbers, NOBODY, DAEMON);
    let alone = "user = \"3999999999\"\ngroup = \"3999999998\"";
    let strangers = project_on("127.0.0.1:0", alone, "");
    for path in ["var", "var/made"] {
        chown(strangers.path(path), Some(3_999_999_999), None).unwrap();
    }
    assert_confined(&strangers.start(), 3_999_999_999, 3_999_999_998);
}

#[test]
fn the_user_may_look_and_only_root_may_act() {
    let site = project("user = \"nobody\"").start();
    // Wherever this binary was built, others may not be able to reach it.
    let binary = site.project.path("appliance");
    fs::copy(env!("CARGO_BIN_EXE_appliance"), &binary).unwrap();
    let ask = |uid: u32, arguments: &[&str]| {
        let mut command = Command::new(&binary);
        command.args(arguments).current_dir(site.project.path(""));
        Finished::of(as_user(uid, &command))
    };
    let shown = Finished::of(site.project.command("status"));
    assert_eq!(shown.status, 0, "{shown:?}");
    let shown = ask(NOBODY, &["status", "project.toml"]);
    assert_eq!(shown.status, 0, "{shown:?}");
    assert!(
        shown.stdout.contains("serving, generation 1"),
        "{}",
        shown.stdout
    );
    let evil = site.project.path("var/evil").display().to_string();
    for arguments in [
        &["reload", "project.toml"][..],
        &["stop", "project.toml"],
        &["quit", "project.toml"],
        &["upgrade", "--binary", &evil, "project.toml"],
    ] {
        let refused = ask(NOBODY, arguments);
        assert_eq!(
            refused.stderr,
            "error: only root may do this: the supervisor is root's, the workers are this user's\n\
             hint: `sudo appliance …`, or `systemctl reload` of its unit\n"
        );
        assert_eq!(refused.status, 3);
    }
    // To everybody else there is no server.
    assert_eq!(ask(DAEMON, &["status", "project.toml"]).status, 5);
    assert_eq!(site.get("/").status, 200);
}

#[test]
fn hooks_and_the_virtualenv_are_the_users() {
    let hooks = "\n[hooks]\nbefore_start = [\"id -u > var/hook; id -G >> var/hook\"]\n";
    let python = "virtualenv = \"var/venv\"\nrequirements = \"requirements.txt\"";
    let project = project_on("127.0.0.1:0", "user = \"nobody\"\numask = \"027\"", python)
        .file("requirements.txt", "")
        .also(hooks);
    let site = project.start();
    let hook = site.project.path("var/hook");
    assert_eq!(fs::read_to_string(&hook).unwrap(), "65534\n65534\n");
    assert_eq!(fs::metadata(hook).unwrap().mode() & 0o777, 0o640);
    assert_eq!(site.get("/write").text(), "0o640");
    let made = Command::new("find")
        .arg(site.project.path("var"))
        .args(["!", "-user", "nobody"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(made.stdout).unwrap(), "");
    assert_confined(&site, NOBODY, NOBODY);
}

/// What setuid programs do is seen by one.
fn setuid_program(project: &Project) {
    let path = project.path("var/id");
    fs::copy("/usr/bin/id", &path).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o4755)).unwrap();
}

#[test]
fn setuid_programs_have_no_effect_unless_they_are_to() {
    let confined = project("user = \"nobody\"");
    setuid_program(&confined);
    assert_eq!(confined.start().get("/child").text(), "65534\n");

    let free = project("user = \"nobody\"\nno_new_privileges = false");
    setuid_program(&free);
    let site = free.start();
    assert_eq!(site.get("/child").text(), "0\n");
    let worker = status_of(site.workers()[0]);
    assert_eq!(worker["NoNewPrivs"], "0");
    assert_ne!(worker["CapBnd"], NO_CAPABILITIES);
    assert_eq!(worker["CapEff"], NO_CAPABILITIES);
}

#[test]
fn the_one_process_without_a_supervisor_changes_its_user() {
    let project = project_on(
        "127.0.0.1:0",
        "user = \"nobody\"\nmaster = false",
        "processes = 1",
    );
    let toml = fs::read_to_string(project.path("project.toml")).unwrap();
    let project = project.file("project.toml", toml.replace("processes = 2\n", ""));
    let mut site = Appliance::launch(project, &[]);
    site.wait_until_listening();
    let who = status(site.get("/who").text());
    assert_eq!(who["Uid"], "65534 65534 65534 65534");
    assert_eq!(
        (who["NoNewPrivs"].as_str(), &*who["CapBnd"]),
        ("1", NO_CAPABILITIES)
    );
    assert_eq!(who["Pid"], site.pid().to_string());
    assert_eq!(site.stop(), 0);
}

#[test]
fn a_root_start_without_a_user_is_warned_of_once() {
    let mut site = project("").start();
    let reloaded = Finished::of(site.project.command("reload"));
    assert_eq!(reloaded.status, 0, "{reloaded:?}");
    assert_eq!(site.stop(), 0);
    let warning = "WARN supervisor: the workers run as root: whoever finds a hole in the application owns \
                   the machine; `server.user` names another user\n";
    assert_eq!(site.log().matches(warning).count(), 1, "{}", site.log());
}

#[test]
fn a_project_file_that_the_user_may_change_is_warned_of() {
    let warned = |prepare: fn(&Project)| {
        let project = project("user = \"nobody\"");
        prepare(&project);
        let site = project.start();
        site.log().contains(
            "the project file can be changed by the user that workers run as, who becomes root by it",
        )
    };
    assert!(!warned(|_| ()));
    assert!(warned(|project| {
        chown(project.path("project.toml"), Some(NOBODY), None).unwrap();
    }));
    assert!(warned(|project| chown(
        project.path(""),
        Some(NOBODY),
        None
    )
    .unwrap()));
    assert!(warned(|project| {
        let file = project.path("project.toml");
        fs::set_permissions(file, Permissions::from_mode(0o666)).unwrap();
    }));
}

#[test]
fn a_reload_keeps_the_user_and_says_so() {
    let site = project("user = \"nobody\"").start();
    let file = site.project.path("project.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("user = \"nobody\"", "")).unwrap();
    let reloaded = Finished::of(site.project.command("reload"));
    assert_eq!(reloaded.status, 0, "{reloaded:?}");
    site.wait_for_log(
        "a reload does not change this setting; the next start does key=\"server.user\"",
    );
    assert_confined(&site, NOBODY, NOBODY);
}

#[test]
fn who_is_not_root_is_refused_unless_it_is_the_user() {
    let project = project("user = \"nobody\"");
    let binary = project.path("appliance");
    fs::copy(env!("CARGO_BIN_EXE_appliance"), &binary).unwrap();
    let serve = |uid| {
        let mut command = Command::new(&binary);
        command
            .args(["serve", "project.toml", "--set", "server.pidfile=var/a.pid"])
            .current_dir(project.path(""));
        as_user(uid, &command)
    };
    let refused = Finished::of(serve(DAEMON));
    assert_eq!(
        refused.message(),
        "error: only root can start workers as `nobody`: this is user 1\n \
         --> project.toml:3: server.user = \"nobody\"\n\
         hint: start it as root, or as `nobody`; without the key it runs as whoever starts it\n"
    );
    assert_eq!(refused.status, 3);

    let command = serve(NOBODY);
    // As a unit with `AmbientCapabilities=` does.
    let mut ambient = Command::new("setpriv");
    ambient
        .args(["--inh-caps", "+net_bind_service"])
        .args(["--ambient-caps", "+net_bind_service"])
        .args(command.get_args())
        .arg("--set")
        .arg(format!("site.0.listen={}", privileged(83)))
        .current_dir(project.path(""))
        .env_remove("APPLIANCE_TEST_PYTHON");
    let mut site = Appliance::spawn(project, ambient);
    site.wait_until_ready();
    assert_ne!(status_of(site.pid())["CapAmb"], NO_CAPABILITIES);
    let worker = status_of(site.workers()[0]);
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(worker[set], NO_CAPABILITIES, "{set}: {worker:?}");
    }
    assert_eq!(worker["NoNewPrivs"], "1");
    assert_eq!(site.get("/").status, 200);
    assert_eq!(site.stop(), 0);
}

#[test]
fn what_the_user_cannot_reach_is_named() {
    let spool = project("user = \"nobody\"");
    fs::create_dir(spool.path("closed")).unwrap();
    let toml = fs::read_to_string(spool.path("project.toml")).unwrap();
    let spool = spool.file("project.toml", toml.replace("\"var\"", "\"closed\""));
    let closed = spool.path("closed").display().to_string();
    let refused = spool.serve_in_vain();
    assert_eq!(
        refused.message(),
        format!(
            "error: `nobody` (`server.user`) cannot write to `{closed}`\n \
             --> project.toml:10: python.spool = \"{closed}\"\n\
             hint: `chown nobody {closed}`, or name another folder\n"
        )
    );
    assert_eq!(refused.status, 3);

    let python = PathBuf::from("closed/python3");
    let interpreter = project("user = \"nobody\"");
    fs::create_dir(interpreter.path("closed")).unwrap();
    std::os::unix::fs::symlink("/usr/bin/python3", interpreter.path("").join(&python)).unwrap();
    fs::set_permissions(interpreter.path("closed"), Permissions::from_mode(0o700)).unwrap();
    let path = interpreter.path("").join(&python).display().to_string();
    let toml = fs::read_to_string(interpreter.path("project.toml")).unwrap();
    let interpreter = interpreter.file("project.toml", toml.replace("/usr/bin/python3", &path));
    let refused = interpreter.serve_in_vain();
    assert_eq!(
        refused.message(),
        format!(
            "error: cannot run the interpreter `{path}`: Permission denied (os error 13): `nobody` \
             (`server.user`) may not\n --> project.toml:7: python.interpreter = \"{path}\"\n"
        )
    );

    let folder = project("user = \"nobody\"");
    fs::set_permissions(folder.path(""), Permissions::from_mode(0o700)).unwrap();
    let chdir = folder.path("");
    let refused = folder.serve_in_vain();
    assert!(
        refused
            .message()
            .contains("`nobody` (`server.user`) cannot write to `"),
        "{chdir:?}: {refused:?}"
    );
}

#[test]
fn the_log_of_a_root_server_has_the_lines_of_its_users_workers() {
    let project = project("user = \"nobody\"\nlog = \"site.log\"");
    let mut site = Appliance::launch(project, &[]);
    site.wait_until_listening_by("site.log");
    let log = site.project.path("site.log");
    site.get("/");
    assert_eq!(site.stop(), 0);
    assert_eq!(fs::metadata(&log).unwrap().uid(), 0);
    let log = fs::read_to_string(&log).unwrap();
    assert!(log.contains("worker ready worker=2"), "{log}");
}

#[test]
fn root_writes_no_log_to_where_the_user_could_lead_it() {
    let user = "user = \"nobody\"";
    let project = project(&format!("{user}\nlog = \"var/site.log\""));
    fs::write(project.path("secret"), "root's\n").unwrap();
    std::os::unix::fs::symlink("../secret", project.path("var/site.log")).unwrap();
    let finished = project.serve_in_vain();
    assert_eq!(finished.status, 3, "{finished:?}");
    assert!(
        finished.stderr.contains("cannot open the log `"),
        "{finished:?}"
    );
    assert_eq!(
        fs::read_to_string(project.path("secret")).unwrap(),
        "root's\n"
    );

    fs::remove_file(project.path("var/site.log")).unwrap();
    let mut site = Appliance::launch(project, &[]);
    site.wait_until_listening_by("var/site.log");
    assert_eq!(site.stop(), 0);
    let owner = |path: PathBuf| fs::metadata(path).unwrap().uid();
    assert_eq!(owner(site.project.path("var/site.log")), NOBODY);
}

#[test]
fn root_writes_the_log_where_only_root_may() {
    let mut site = Appliance::launch(project("user = \"nobody\"\nlog = \"site.log\""), &[]);
    site.wait_until_listening_by("site.log");
    assert_eq!(site.stop(), 0);
    assert_eq!(
        fs::metadata(site.project.path("site.log")).unwrap().uid(),
        0
    );
}

/// `https://` needs files that mostly root alone may read.
#[test]
fn a_certificate_that_may_not_be_read_is_named_with_what_to_do() {
    let project = project("").file("site.pem", "").file("site.key", "");
    let toml = fs::read_to_string(project.path("project.toml")).unwrap();
    let toml = toml.replace("\"127.0.0.1:0\"", "\"https://127.0.0.1:0\"");
    let tls = "\n[site.tls]\ncertificate = \"site.pem\"\nkey = \"site.key\"\n";
    let line = toml.lines().count() + 3;
    let project = project.file("project.toml", toml + tls);
    let certificate = project.path("site.pem");
    fs::set_permissions(&certificate, Permissions::from_mode(0o600)).unwrap();
    let binary = project.path("appliance");
    fs::copy(env!("CARGO_BIN_EXE_appliance"), &binary).unwrap();
    let mut check = Command::new(&binary);
    check
        .args(["check", "project.toml"])
        .current_dir(project.path(""));
    let check = Finished::of(as_user(NOBODY, &check));
    assert_eq!(check.status, 1, "{check:?}");
    for says in [
        format!(
            "error: project.toml:{line}:15: `site.0.tls.certificate`: `{}` cannot be read: ",
            certificate.display()
        ),
        "help: whoever starts the server must be able to read it".to_owned(),
    ] {
        assert!(check.stderr.contains(&says), "{says}: {check:?}");
    }
}
