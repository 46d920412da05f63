//! From a project file to an interpreter that can import the application, and every way in
//! which that fails: each message whole.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use support::{Appliance, Finished, Project, test_interpreter};

const HELLO: &str = r#"
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"#;

/// A project whose `[python]` holds these lines; the first of them is line 3 of the file.
fn project(python: &str) -> Project {
    Project::new(&format!(
        "[python]\nmodule = \"app\"\n{python}\nprocesses = 1\n\n\
         [[site]]\nlisten = [\"127.0.0.1:0\"]\n\n[site.routes]\n\"/\" = {{ wsgi = true }}\n"
    ))
    .file("app.py", HELLO)
}

/// Adds an executable file.
fn script(project: Project, name: &str, text: &str) -> Project {
    let project = project.file(name, format!("#!/bin/sh\n{text}\n"));
    fs::set_permissions(project.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    project
}

/// An interpreter which says this of itself.
fn impostor(implementation: &str, version: &str, free_threaded: bool) -> String {
    format!(
        "echo '{{\"implementation\": \"{implementation}\", \"version\": [{version}], \
         \"free_threaded\": {free_threaded}, \"ensurepip\": true}}'"
    )
}

#[track_caller]
fn refused(project: &Project, expected: &str) -> Finished {
    let finished = project.serve_in_vain();
    assert_eq!(finished.message(), expected);
    assert_eq!(finished.status, 3);
    finished
}

#[test]
fn an_interpreter_that_is_not_in_path_is_named() {
    refused(
        &project("interpreter = \"python3.99\""),
        "error: there is no interpreter `python3.99`\n \
         --> project.toml:3: python.interpreter = \"python3.99\"\n\
         hint: it is in no folder of `PATH`: install it (Debian: `apt install python3.99`) or set \
         `python.interpreter` to its path\n",
    );
}

#[test]
fn interpreters_that_cannot_run_workers_are_refused() {
    let cases = [
        (
            impostor("cpython", "3, 9, 18", false),
            "Python 3.9.18, which is too old",
        ),
        (
            impostor("pypy", "3, 10, 14", false),
            "PyPy 3.10.14, not CPython",
        ),
        (
            impostor("cpython", "3, 14, 0", true),
            "a free-threaded build of Python 3.14.0",
        ),
    ];
    for (says, flaw) in cases {
        let project = project("interpreter = \"./python\"");
        let python = project.path("python").display().to_string();
        let toml = fs::read_to_string(project.path("project.toml")).unwrap();
        let project = project.file("project.toml", toml.replace("./python", &python));
        refused(
            &script(project, "python", &says),
            &format!(
                "error: `{python}` is {flaw}\n \
                 --> project.toml:3: python.interpreter = \"{python}\"\n\
                 hint: appliance runs CPython 3.10 and newer with the GIL: set `python.interpreter` \
                 to such a Python\n"
            ),
        );
    }
}

#[test]
fn a_program_that_is_no_python_is_refused() {
    refused(
        &project("interpreter = \"/bin/echo\""),
        "error: cannot run the interpreter `/bin/echo`: it does not answer like Python\n \
         --> project.toml:3: python.interpreter = \"/bin/echo\"\n",
    );
    refused(
        &project("interpreter = \"/bin/false\""),
        "error: cannot run the interpreter `/bin/false`: it printed nothing\n \
         --> project.toml:3: python.interpreter = \"/bin/false\"\n",
    );
}

/// The check of the project file finds it: nothing is started.
#[test]
fn a_missing_virtualenv_is_not_invented() {
    let project = project("virtualenv = \".venv\"");
    let folder = project.path(".venv");
    let finished = project.serve_in_vain();
    let first = finished.stderr.lines().next().unwrap();
    assert_eq!(
        first,
        format!(
            "error: project.toml:3:14: `python.virtualenv`: there is no virtual environment `{}`",
            folder.display()
        )
    );
    assert_eq!(finished.status, 1);
    assert!(!folder.exists());
}

#[test]
fn a_virtualenv_whose_python_is_gone_says_where_it_was() {
    let project = project("virtualenv = \".venv\"").file(".venv/pyvenv.cfg", "");
    let folder = project.path(".venv").display().to_string();
    fs::create_dir(project.path(".venv/bin")).unwrap();
    symlink("/nowhere/python3.9", project.path(".venv/bin/python")).unwrap();
    refused(
        &project,
        &format!(
            "error: the virtualenv `{folder}` is broken: its `bin/python` points to \
             `/nowhere/python3.9`, which does not exist\n \
             --> project.toml:3: python.virtualenv = \"{folder}\"\n\
             hint: its Python was removed or upgraded: delete the folder and create it again, or \
             set `python.requirements` and appliance does\n"
        ),
    );
}

#[test]
fn a_virtualenv_of_an_old_python_is_refused() {
    let project = project("virtualenv = \".venv\"").file(".venv/pyvenv.cfg", "");
    let folder = project.path(".venv").display().to_string();
    let project = script(
        project,
        ".venv/bin/python",
        &impostor("cpython", "3, 8, 18", false),
    );
    refused(
        &project,
        &format!(
            "error: `{folder}/bin/python` is Python 3.8.18, which is too old\n \
             --> project.toml:3: python.virtualenv = \"{folder}\"\n\
             hint: appliance runs CPython 3.10 and newer with the GIL: create the virtualenv again \
             with such a Python\n"
        ),
    );
}

#[test]
fn a_folder_of_something_else_is_never_replaced() {
    let project = ours().file(".venv/thesis.tex", "precious");
    let folder = project.path(".venv").display().to_string();
    refused(
        &project,
        &format!(
            "error: `{folder}` is not a virtualenv: it has no `pyvenv.cfg`\n \
             --> project.toml:4: python.virtualenv = \"{folder}\"\n\
             hint: appliance replaces virtualenvs only: choose another folder or empty this one\n"
        ),
    );
    assert_eq!(
        fs::read(project.path(".venv/thesis.tex")).unwrap(),
        b"precious"
    );
}

#[test]
fn an_interpreter_without_ensurepip_names_the_package_to_install() {
    let project = project(
        "interpreter = \"PYTHON\"\nvirtualenv = \".venv\"\nrequirements = \"requirements.txt\"",
    )
    .file("requirements.txt", "");
    let python = project.path("python").display().to_string();
    let toml = fs::read_to_string(project.path("project.toml")).unwrap();
    let project = project.file("project.toml", toml.replace("PYTHON", &python));
    let says = impostor("cpython", "3, 11, 2", false)
        .replace("\"ensurepip\": true", "\"ensurepip\": false");
    refused(
        &script(project, "python", &says),
        &format!(
            "error: `{python}` cannot create virtualenvs: its `ensurepip` is not installed\n \
             --> project.toml:3: python.interpreter = \"{python}\"\n\
             hint: on Debian and Ubuntu: `apt install python3.11-venv`\n"
        ),
    );
}

#[test]
fn a_hook_that_fails_stops_the_start() {
    let project = Project::wsgi(HELLO)
        .also("[hooks]\nbefore_start = [\"echo one >> ran\", \"echo two >> ran; exit 5\", \"echo three >> ran\"]");
    let folder = project.path("").display().to_string();
    let folder = folder.trim_end_matches('/');
    let finished = project.serve_in_vain();
    let (first, rest) = finished.stderr.split_once("error: ").unwrap();
    assert!(
        first
            .lines()
            .filter(|line| !line.contains("the workers run as root"))
            .all(|line| line.contains("running a hook command=")),
        "{first}"
    );
    assert!(
        rest.starts_with("the hook `echo two >> ran; exit 5` failed: exit status 5\n"),
        "{rest}"
    );
    assert!(
        rest.ends_with(&format!(
            "hint: what it printed stands above; it ran in `{folder}`\n"
        )),
        "{rest}"
    );
    assert_eq!(finished.status, 3);
    assert_eq!(
        fs::read_to_string(project.path("ran")).unwrap(),
        "one\ntwo\n"
    );
}

#[test]
fn hooks_run_in_order_as_if_the_virtualenv_were_activated() {
    let mut site = Project::wsgi_with("[python.env]\nSHOP = \"open\"", HELLO)
        .also("[hooks]\nbefore_start = [\"pwd > ran\", \"echo $SHOP >> ran\"]")
        .start();
    let ran = fs::read_to_string(site.project.path("ran")).unwrap();
    let folder = site.project.path("").canonicalize().unwrap();
    assert_eq!(ran, format!("{}\nopen\n", folder.display()));
    assert_eq!(site.get("/").status, 200);
    assert_eq!(site.stop(), 0);
}

#[test]
fn a_module_that_is_not_there_stops_the_start_with_a_hint() {
    let project = Project::wsgi_with("", HELLO);
    let toml = fs::read_to_string(project.path("project.toml")).unwrap();
    let project = project.file("project.toml", toml.replace("\"app\"", "\"shop.wsgi\""));
    refused(
        &project,
        "error: cannot import `shop.wsgi:application`: no module named `shop`\n \
         --> project.toml:2: python.module = \"shop.wsgi:application\"\n\
         hint: `python.chdir` is the folder which holds `shop`\n",
    );
}

#[test]
fn a_callable_that_is_not_there_or_not_callable_stops_the_start() {
    let cases = [
        (
            "app = 1\n",
            "module `app` has no `application` (AttributeError: module 'app' has no attribute \
             'application')",
        ),
        (
            "application = 1\n",
            "`app:application` is a `int`, which cannot be called",
        ),
    ];
    for (app, error) in cases {
        refused(
            &Project::wsgi(app),
            &format!(
                "error: {error}\n \
                 --> project.toml:2: python.module = \"app:application\"\n\
                 hint: `python.module` names a WSGI callable: `package.module:callable`\n"
            ),
        );
    }
}

#[test]
fn an_exception_in_the_module_stops_the_start_with_its_traceback() {
    let project = Project::wsgi("def f():\n    return 1 / 0\n\nf()\n");
    let app = project.path("app.py").display().to_string();
    let finished = project.serve_in_vain();
    // Newer Pythons underline the expression.
    let is_underline = |line: &str| line.trim_matches([' ', '~', '^']).is_empty();
    let message = finished.message();
    let lines: Vec<&str> = message.lines().filter(|line| !is_underline(line)).collect();
    assert_eq!(
        lines.join("\n"),
        format!(
            "Traceback (most recent call last):\n  \
               File \"{app}\", line 4, in <module>\n    \
                 f()\n  \
               File \"{app}\", line 2, in f\n    \
                 return 1 / 0\n\
             ZeroDivisionError: division by zero\n\
             error: cannot import `app:application`: ZeroDivisionError: division by zero\n \
             --> project.toml:2: python.module = \"app:application\""
        )
    );
    assert_eq!(finished.status, 3);
}

#[test]
fn a_module_that_ends_the_interpreter_stops_the_start() {
    refused(
        &Project::wsgi("import os\nos._exit(9)\n"),
        "error: worker 1 died before it was ready: exit status 9\n\
         hint: the application's module ended the interpreter while it was imported; what it \
         printed stands above\n",
    );
    refused(
        &Project::wsgi("import os\nos.abort()\n"),
        "error: worker 1 died before it was ready: SIGABRT\n\
         hint: the application's module ended the interpreter while it was imported; what it \
         printed stands above\n",
    );
}

/// A project whose virtualenv is appliance's to create, from one wheel; `./python` counts how
/// often an interpreter is started to look after it.
fn ours() -> Project {
    let project = project(
        "interpreter = \"PYTHON\"\nvirtualenv = \".venv\"\nrequirements = \"requirements.txt\"",
    )
    .file("requirements.txt", "--no-index\n-r base.txt\n")
    .file("base.txt", "./tiny-1.0-py3-none-any.whl\n")
    .file(
        "app.py",
        r#"
import tiny

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [tiny.VERSION.encode()]
"#,
    );
    wheel(&project, "1.0");
    wheel(&project, "2.0");
    let python = project.path("python").display().to_string();
    let toml = fs::read_to_string(project.path("project.toml")).unwrap();
    let project = project.file("project.toml", toml.replace("PYTHON", &python));
    let calls = project.path("calls").display().to_string();
    let real = test_interpreter().display().to_string();
    script(
        project,
        "python",
        &format!("echo \"$@\" >> {calls}\nexec {real} \"$@\""),
    )
}

/// Writes a wheel of one module (PEP 427): nothing to download, nothing to build.
fn wheel(project: &Project, version: &str) {
    const MAKE: &str = r#"
import sys, zipfile
path, version = sys.argv[1:]
info = f"tiny-{version}.dist-info/"
files = {
    "tiny.py": f"VERSION = {version!r}\n",
    info + "METADATA": f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n",
    info + "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}
files[info + "RECORD"] = "".join(f"{name},,\n" for name in [*files, info + "RECORD"])
with zipfile.ZipFile(path, "w") as wheel:
    for name, text in files.items():
        wheel.writestr(name, text)
"#;
    let path = project.path(&format!("tiny-{version}-py3-none-any.whl"));
    let status = Command::new(test_interpreter())
        .args(["-c", MAKE])
        .arg(path)
        .arg(version)
        .status();
    assert!(status.unwrap().success());
}

fn calls(project: &Project) -> usize {
    fs::read_to_string(project.path("calls")).map_or(0, |text| text.lines().count())
}

/// Starts the same project again.
fn again(mut site: Appliance) -> Appliance {
    assert_eq!(site.stop(), 0);
    site.into_project().start()
}

#[test]
fn a_virtualenv_is_created_once_and_follows_its_requirements() {
    let site = ours().start();
    assert_eq!(site.get("/").text(), "1.0");
    assert!(
        site.log().contains("creating the virtualenv folder="),
        "{}",
        site.log()
    );
    assert_ne!(calls(&site.project), 0);

    // Nothing changed: no interpreter, no pip.
    fs::remove_file(site.project.path("calls")).unwrap();
    let site = again(site);
    assert_eq!(site.get("/").text(), "1.0");
    assert_eq!(calls(&site.project), 0);
    assert!(
        !site.log().contains("installing requirements"),
        "{}",
        site.log()
    );

    // An included file changed: pip, in the same virtualenv.
    fs::write(
        site.project.path("base.txt"),
        "./tiny-2.0-py3-none-any.whl\n",
    )
    .unwrap();
    let site = again(site);
    assert_eq!(site.get("/").text(), "2.0");
    assert!(
        site.log().contains("installing requirements file="),
        "{}",
        site.log()
    );
    assert!(
        !site.log().contains("creating the virtualenv"),
        "{}",
        site.log()
    );

    // pip fails: its words, and a start that does not go on.
    fs::write(
        site.project.path("base.txt"),
        "./tiny-3.0-py3-none-any.whl\n",
    )
    .unwrap();
    let mut site = site;
    assert_eq!(site.stop(), 0);
    let project = site.into_project();
    let finished = project.serve_in_vain();
    let file = project.path("requirements.txt").display().to_string();
    assert_eq!(
        finished.message(),
        format!(
            "error: cannot install `{file}`: pip failed: exit status 1\n \
             --> project.toml:5: python.requirements = \"{file}\"\n\
             hint: what it printed stands above\n"
        )
    );
    assert!(
        finished.stderr.contains("tiny-3.0-py3-none-any.whl"),
        "{}",
        finished.stderr
    );
    assert_eq!(finished.status, 3);

    // Its Python is gone: created again.
    fs::write(project.path("base.txt"), "./tiny-1.0-py3-none-any.whl\n").unwrap();
    for name in ["python", "python3"] {
        let link = project.path(".venv/bin").join(name);
        fs::remove_file(&link).unwrap();
        symlink("/nowhere/python", link).unwrap();
    }
    let site = project.start();
    assert!(
        site.log().contains("creating the virtualenv folder="),
        "{}",
        site.log()
    );
    assert_eq!(site.get("/").text(), "1.0");
}

#[test]
fn an_installation_that_was_cut_off_is_done_again() {
    let project = ours();
    // As a power cut would leave it.
    let mut first = Appliance::launch(project, &[]);
    first.wait_for_log("installing requirements");
    first.signal(libc::SIGKILL);
    assert_eq!(first.wait(), -libc::SIGKILL);
    let site = first.into_project().start();
    assert!(
        site.log().contains("creating the virtualenv"),
        "{}",
        site.log()
    );
    assert_eq!(site.get("/").text(), "1.0");
}

#[test]
fn of_two_starts_at_once_one_installs_and_the_other_waits() {
    let project = ours();
    let folder = project.path("");
    let mut first = Appliance::launch(project, &[]);
    first.wait_for_log("creating the virtualenv");
    let mut second = Command::new(env!("CARGO_BIN_EXE_appliance"));
    // `APPLIANCE_…` are settings; this one is the tests' own.
    second.env_remove("APPLIANCE_TEST_PYTHON");
    second.args([
        "serve",
        "project.toml",
        "--set",
        "hooks.before_start=[\"exit 42\"]",
        // A project has one server, unless it is told to have two.
        "--set",
        "server.control=second.sock",
    ]);
    second.current_dir(Path::new(&folder));
    let second = Finished::of(second);
    assert!(
        second.stderr.contains("waiting for another process"),
        "{}",
        second.stderr
    );
    assert!(
        !second.stderr.contains("installing requirements"),
        "{}",
        second.stderr
    );
    assert!(
        second.stderr.contains("the hook `exit 42` failed"),
        "{}",
        second.stderr
    );
    first.wait_until_ready();
    assert_eq!(first.get("/").text(), "1.0");
}
