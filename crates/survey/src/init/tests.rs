use std::fs;

use tempfile::TempDir;

use super::*;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

const MANAGE: &str =
    "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'config.settings')\n";
const SETTINGS: &str = "ROOT_URLCONF = \"config.urls\"\nWSGI_APPLICATION = \"config.wsgi.application\"\nSTATIC_URL = \"/static/\"\nSTATIC_ROOT = BASE_DIR / \"static_root\"\nMEDIA_URL = \"media/\"\nMEDIA_ROOT = BASE_DIR / \"media\"\n";

#[test]
fn a_django_project_with_a_built_front() {
    let folder = folder(&[
        ("backend/manage.py", MANAGE),
        ("backend/config/settings.py", SETTINGS),
        (
            "backend/config/urls.py",
            "urlpatterns = [path('admin/', a), path('api/v1/', b), path('<int:id>', c)]",
        ),
        (
            "backend/config/wsgi.py",
            "application = get_wsgi_application()",
        ),
        ("backend/requirements.txt", "Django"),
        ("frontend/dist/index.html", "x"),
        ("frontend/node_modules/x/dist/index.html", "x"),
    ]);
    let made = project(folder.path()).unwrap();
    assert_eq!(
        made.project,
        r#"# Made by `appliance init`: look through it. Every key: docs/project-file.md

[python]
chdir = "backend"
module = "config.wsgi"
virtualenv = ".venv"
requirements = "backend/requirements.txt"
processes = "auto"  # one for each CPU
threads = 4
max_requests = 10000

[hooks]
before_start = [
    "python manage.py migrate --noinput",
    "python manage.py collectstatic --noinput",
]

[[site]]
listen = "127.0.0.1:8080"  # `"0.0.0.0:80"` for everybody

[site.routes]
"/" = { files = "frontend/dist", fallback = "/index.html" }
"/admin" = { wsgi = true }
"/api" = { wsgi = true }
"/static/" = { files = "backend/static_root" }
"/media/" = { files = "backend/media" }
"#
    );
    assert_eq!(
        made.found,
        [
            "backend/manage.py: Django, settings `config.settings`, application `config.wsgi`",
            "frontend/dist: a built front",
            "backend/requirements.txt: requirements, for a virtual environment in .venv",
            "backend/static_root: what is served at `/static/`",
            "backend/media: what is served at `/media/`",
        ]
    );
    assert_eq!(
        made.notes,
        ["make the folder backend/media, to which the application uploads"]
    );
}

#[test]
fn a_flask_application_alone() {
    let folder = folder(&[
        (
            "shop/__init__.py",
            "from flask import Flask\nserver = Flask(__name__)\n",
        ),
        ("uv.lock", ""),
        ("pyproject.toml", ""),
    ]);
    let made = project(folder.path()).unwrap();
    assert!(
        made.project
            .contains("module = \"shop:server\"\nvirtualenv = \".venv\"\n"),
        "{}",
        made.project
    );
    assert!(
        made.project.ends_with("\"/\" = { wsgi = true }\n"),
        "{}",
        made.project
    );
    assert_eq!(
        made.notes,
        ["uv.lock: run `uv sync` so that there is a .venv"]
    );
}

#[test]
fn a_factory_is_asked_to_be_called() {
    let folder = folder(&[
        (
            "shop/__init__.py",
            "from flask import Flask\ndef create_app():\n    return Flask(__name__)\n",
        ),
        ("dist/index.html", "x"),
    ]);
    let made = project(folder.path()).unwrap();
    assert!(
        made.notes[0].contains("from shop import create_app"),
        "{:?}",
        made.notes
    );
    assert!(!made.project.contains("[python]"));
}

#[test]
fn a_front_alone_needs_no_python() {
    let folder = folder(&[("dist/index.html", "x")]);
    let made = project(folder.path()).unwrap();
    assert!(
        made.project
            .ends_with("[site.routes]\n\"/\" = { files = \"dist\", fallback = \"/index.html\" }\n")
    );
}

#[test]
fn an_empty_folder_makes_nothing() {
    assert_eq!(project(folder(&[("README", "x")]).path()), None);
    // FastAPI's application is no WSGI callable.
    assert_eq!(
        project(folder(&[("main.py", "app = FastAPI()\n")]).path()),
        None
    );
}
