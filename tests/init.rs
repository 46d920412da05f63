//! `appliance init` and `appliance doctor` over the real binary: a folder becomes a project that
//! serves, and its traps are named.
//!
//! `APPLIANCE_TEST_PYTHON` must be a virtualenv's interpreter that has `tests/requirements.txt`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use support::{Appliance, Finished, Project, test_virtualenv};

const MANAGE: &str = "import os, sys
os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'config.settings')
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
";

const SETTINGS: &str = "from pathlib import Path
BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = 'django-insecure-of-the-template-of-startproject'
DEBUG = True
ALLOWED_HOSTS = ['*']
INSTALLED_APPS = ['django.contrib.admin', 'django.contrib.auth', 'django.contrib.contenttypes',
                  'django.contrib.sessions', 'django.contrib.messages', 'django.contrib.staticfiles']
MIDDLEWARE = ['django.contrib.sessions.middleware.SessionMiddleware',
              'django.contrib.auth.middleware.AuthenticationMiddleware',
              'django.contrib.messages.middleware.MessageMiddleware']
ROOT_URLCONF = 'config.urls'
TEMPLATES = [{'BACKEND': 'django.template.backends.django.DjangoTemplates', 'APP_DIRS': True,
              'OPTIONS': {'context_processors': [
                  'django.template.context_processors.request',
                  'django.contrib.auth.context_processors.auth',
                  'django.contrib.messages.context_processors.messages']}}]
DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': BASE_DIR / 'db.sqlite3'}}
STATIC_URL = '/static/'
STATIC_ROOT = BASE_DIR / 'static_root'
DEFAULT_AUTO_FIELD = 'django.db.models.BigAutoField'
";

const URLS: &str = "from django.contrib import admin
from django.http import HttpResponse
from django.urls import path
urlpatterns = [path('admin/', admin.site.urls),
               path('api/hello', lambda request: HttpResponse('hello'))]
";

const WSGI: &str = "import os
from django.core.wsgi import get_wsgi_application
os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'config.settings')
application = get_wsgi_application()
";

/// A Django project with a built front, as a clone would have it, and a virtual environment.
fn clone() -> Project {
    let project = Project::new("")
        .file("backend/manage.py", MANAGE)
        .file("backend/config/__init__.py", "")
        .file("backend/config/settings.py", SETTINGS)
        .file("backend/config/urls.py", URLS)
        .file("backend/config/wsgi.py", WSGI)
        .file(
            "frontend/package.json",
            "{\"scripts\": {\"build\": \"vite build\"}}",
        )
        .file("frontend/src/main.js", "run()")
        .file("frontend/dist/index.html", "<!doctype html>the front");
    fs::remove_file(project.path("project.toml")).unwrap();
    let virtualenv = test_virtualenv().expect("APPLIANCE_TEST_PYTHON is a virtualenv's");
    symlink(virtualenv, project.path(".venv")).unwrap();
    project
}

/// `appliance COMMAND` in this folder.
fn run(folder: &Path, arguments: &[&str]) -> Finished {
    let mut command = Command::new(env!("CARGO_BIN_EXE_appliance"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("APPLIANCE_")) {
        command.env_remove(name);
    }
    command.args(arguments).current_dir(folder);
    Finished::of(command)
}

#[test]
fn a_clone_is_served_by_what_init_writes() {
    let project = clone();
    let folder = project.path("");
    let made = run(&folder, &["init"]);
    assert_eq!(made.status, 0, "{}", made.stderr);
    assert!(
        made.stderr.contains("found backend/manage.py: Django"),
        "{}",
        made.stderr
    );
    assert!(
        made.stderr.contains("found .venv: a virtual environment"),
        "{}",
        made.stderr
    );

    let mut command = project.command("serve");
    command.args([
        "--set",
        "site.0.listen=127.0.0.1:0",
        "--set",
        "python.processes=1",
    ]);
    let mut site = Appliance::spawn(project, command);
    site.wait_until_ready();
    assert_eq!(site.get("/").body(), b"<!doctype html>the front");
    assert_eq!(site.get("/deep/link").body(), b"<!doctype html>the front");
    assert_eq!(site.get("/api/hello").body(), b"hello");
    assert_eq!(site.get("/admin/login/").status, 200);
    assert_eq!(site.get("/static/admin/css/base.css").status, 200);
    assert_eq!(site.stop(), 0);

    let again = run(&folder, &["init"]);
    assert_eq!(again.status, 1);
    assert!(
        again
            .stderr
            .starts_with("error: `./project.toml` is there already"),
        "{}",
        again.stderr
    );
}

#[test]
fn a_folder_with_nothing_to_serve_is_told_so() {
    let project = Project::new("").file("empty/README", "x");
    let made = run(&project.path("empty"), &["init"]);
    assert_eq!(made.status, 1);
    assert!(
        made.stderr.starts_with("error: nothing to serve in `.`"),
        "{}",
        made.stderr
    );
    let made = run(&project.path(""), &["init", "gone"]);
    assert_eq!(
        (made.status, made.stderr.as_str()),
        (1, "error: there is no folder `gone`\n")
    );
}

#[test]
fn the_traps_are_named_with_their_fixes() {
    let project = clone();
    let folder = project.path("");
    assert_eq!(run(&folder, &["init"]).status, 0);
    // Without its hook, nobody has collected anything.
    let text = fs::read_to_string(project.path("project.toml")).unwrap();
    let text = text.replace("    \"python manage.py collectstatic --noinput\",\n", "");
    let text = text.replace(
        "    \"python manage.py migrate --noinput\",\n",
        "    \"true\",\n",
    );
    let text = text.replace("max_requests = 10000\n", "");
    fs::write(project.path("project.toml"), text).unwrap();
    let mut world = fs::metadata(project.path("backend")).unwrap().permissions();
    world.set_mode(0o777);
    fs::set_permissions(project.path("backend"), world).unwrap();
    // Built before its source was changed.
    let index = fs::File::options()
        .append(true)
        .open(project.path("frontend/dist/index.html"))
        .unwrap();
    let yesterday = std::time::SystemTime::now() - std::time::Duration::from_secs(86_400);
    index.set_modified(yesterday).unwrap();

    let looked = run(&folder, &["doctor"]);
    assert_eq!(looked.status, 1, "{}{}", looked.stdout, looked.stderr);
    for expected in [
        "problem: debugging is on",
        "problem: the secret key is a default or a short one",
        "advice: `ALLOWED_HOSTS` takes any name",
        "backend/static_root` is empty: nobody has run collectstatic",
        "backend` may be written by everybody on this machine",
        "frontend/dist` is older than its source",
        "fix: `npm run build` in ",
    ] {
        assert!(
            looked.stdout.contains(expected),
            "{expected}\n{}",
            looked.stdout
        );
    }
    assert!(
        !looked.stdout.contains("django-insecure"),
        "{}",
        looked.stdout
    );
}

#[test]
fn a_sound_project_has_no_problems() {
    let settings = SETTINGS
        .replace("DEBUG = True", "DEBUG = False")
        .replace("['*']", "['shop.test']")
        .replace(
            "django-insecure-of-the-template-of-startproject",
            "kD8-2mVq9Zr1Xw7Lb5Tn3Hs6Fy4Jc0Gp",
        );
    let project = clone().file("backend/config/settings.py", settings);
    let folder = project.path("");
    assert_eq!(run(&folder, &["init"]).status, 0);
    let looked = run(&folder, &["doctor", "--set", "server.connections=100"]);
    assert_eq!(looked.status, 0, "{}{}", looked.stdout, looked.stderr);
    assert_eq!(looked.stdout, "no problems, 0 pieces of advice\n");
}

#[test]
fn an_application_that_cannot_be_imported_is_a_problem() {
    let project = clone().file("backend/config/wsgi.py", "import nowhere_to_be_found\n");
    let folder = project.path("");
    assert_eq!(run(&folder, &["init"]).status, 0);
    let looked = run(&folder, &["doctor"]);
    assert_eq!(looked.status, 1);
    let expected = "problem: `config.wsgi:application` cannot be imported: ModuleNotFoundError: No module named 'nowhere_to_be_found'\n";
    assert!(looked.stdout.contains(expected), "{}", looked.stdout);
}

#[test]
fn a_doctor_without_a_project_says_so() {
    let project = Project::new("").file("empty/README", "x");
    let looked = run(&project.path("empty"), &["doctor"]);
    assert_eq!(looked.status, 1);
    assert!(looked.stderr.contains("project.toml"), "{}", looked.stderr);
}

/// `appliance …` in a file system without room, with a project file there or not; then the names in it
/// and the project file, as far as there is one.
fn on_a_full_disk(there: bool, arguments: &[&str]) -> Finished {
    let project = Project::new("").file("app.py", "application = print\n");
    let project = project.file("uwsgi.ini", "[uwsgi]\nmodule = app\nhttp = :8080\n");
    fs::create_dir(project.path("disk")).unwrap();
    let first = if there {
        "echo '# mine' > project.toml; "
    } else {
        ""
    };
    let script = format!(
        "mount -t tmpfs -o size=32k none disk && cp app.py uwsgi.ini disk && cd disk && {first}\
         cat /dev/zero > fill 2>/dev/null || :; \"$@\"; status=$?; ls; cat project.toml; exit $status"
    );
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", &script, "sh"])
        .arg(env!("CARGO_BIN_EXE_appliance"))
        .args(arguments)
        .current_dir(project.path(""));
    Finished::of(command)
}

#[test]
fn a_full_disk_costs_no_project_file_and_leaves_no_half_of_one() {
    let import = ["import", "uwsgi.ini", "--output", "project.toml"];
    for (arguments, name) in [(&["init"][..], "./project.toml"), (&import, "project.toml")] {
        let error =
            format!("error: cannot write `{name}`: No space left on device (os error 28)\n");
        let new = on_a_full_disk(false, arguments);
        assert_eq!(new.status, 1, "{new:?}");
        assert!(new.stderr.starts_with(&error), "{}", new.stderr);
        assert_eq!(new.stdout, "app.py\nfill\nuwsgi.ini\n");

        let forced = on_a_full_disk(true, &[arguments, &["--force"]].concat());
        assert_eq!(forced.status, 1, "{forced:?}");
        assert!(forced.stderr.starts_with(&error), "{}", forced.stderr);
        assert_eq!(
            forced.stdout,
            "app.py\nfill\nproject.toml\nuwsgi.ini\n# mine\n"
        );
    }
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let project = Project::new("").file("uwsgi.ini", "[uwsgi]\nmodule = app\nhttp = :8080\n");
    let printed = Command::new(env!("CARGO_BIN_EXE_appliance"))
        .args(["import", "uwsgi.ini"])
        .current_dir(project.path(""))
        .stdout(full)
        .output()
        .unwrap();
    let error = "error: cannot write to standard output: No space left on device (os error 28)\n";
    assert_eq!(printed.status.code(), Some(1));
    assert_eq!(String::from_utf8(printed.stderr).unwrap(), error);
}

#[test]
fn a_full_disk_or_a_reader_that_has_gone_is_no_panic() {
    let project = Project::new(
        "[[site]]\nlisten = \"127.0.0.1:0\"\nroutes = { \"/\" = { files = \"dist\" } }\n",
    );
    let project = project
        .file("dist/index.html", "hi")
        .file("wrong.toml", "x = 1\n");
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    let command = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_appliance"));
        command
            .args(arguments)
            .current_dir(project.path(""))
            .env_remove("APPLIANCE_TEST_PYTHON");
        command
    };
    for arguments in [
        &["check"][..],
        &["check", "--show"],
        &["doctor"],
        &["completions", "zsh"],
    ] {
        let printed = command(arguments).stdout(full()).output().unwrap();
        let error = String::from_utf8(printed.stderr).unwrap();
        assert_eq!(printed.status.code(), Some(1), "{arguments:?}: {error}");
        assert!(
            error.ends_with(
                "error: cannot write to standard output: No space left on device (os error 28)\n"
            ),
            "{arguments:?}: {error}"
        );
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let printed = command(arguments).stdout(writer).output().unwrap();
        let error = String::from_utf8(printed.stderr).unwrap();
        assert_eq!(printed.status.code(), Some(0), "{arguments:?}: {error}");
        assert!(!error.contains("write"), "{arguments:?}: {error}");
    }
    for (arguments, status) in [
        (&["check", "wrong.toml"][..], 1),
        (&["import", "wrong.toml"], 1),
        (&["init", "nowhere"], 1),
        (&["man", "wrong.toml"], 1),
        (&["status"], 5),
        (&["top"], 2),
    ] {
        let failed = command(arguments).stderr(full()).output().unwrap();
        assert_eq!(failed.status.code(), Some(status), "{arguments:?}");
    }
}

#[test]
fn a_folder_without_a_project_file_is_told_apart_from_a_server_that_does_not_run() {
    let project = Project::new("").file("empty/README", "x");
    for arguments in [&["status"][..], &["reload"], &["top", "--once"]] {
        let asked = run(&project.path("empty"), arguments);
        assert_eq!(asked.status, 5, "{arguments:?}");
        assert_eq!(
            asked.stderr,
            "error: no server of this project is running\n\
             hint: there is no `project.toml`: go to the project's folder, or name its project file\n"
        );
    }
    let endless = run(&project.path("empty"), &["check", "/dev/zero"]);
    assert_eq!(endless.status, 1);
    assert_eq!(
        endless.stderr,
        "error: /dev/zero: cannot be read: it has more than 4 MB\n"
    );
}
