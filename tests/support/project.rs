//! A project in a temporary folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::appliance::{Appliance, Finished};

/// A folder with a `project.toml`.
pub struct Project {
    folder: TempDir,
    environment: Vec<(String, String)>,
}

impl Project {
    /// With this text as its `project.toml`.
    pub fn new(toml: &str) -> Project {
        let folder = tempfile::Builder::new()
            .prefix("appliance-test-")
            .tempdir()
            .unwrap();
        Project {
            folder,
            environment: Vec::new(),
        }
        .file("project.toml", toml)
    }

    /// One that answers every path by `app.py`, with this text, in one worker.
    pub fn wsgi(app: &str) -> Project {
        Project::wsgi_with("", app)
    }

    /// The same with further settings of `[python]`.
    pub fn wsgi_with(python: &str, app: &str) -> Project {
        let test_python = python_settings();
        let processes = one_process_unless_said(python);
        let toml = format!(
            "[python]\nmodule = \"app\"\n{test_python}\n{processes}\n{python}\n\n\
             [[site]]\nlisten = [\"127.0.0.1:0\"]\n\n[site.routes]\n\"/\" = {{ wsgi = true }}\n"
        );
        Project::new(&toml).file("app.py", app)
    }

    /// One that serves these files and no application.
    pub fn files(files: &[(&str, &str)]) -> Project {
        let toml = "[[site]]\nlisten = [\"127.0.0.1:0\"]\n\n[site.routes]\n\
                    \"/\" = { files = \"dist\", fallback = \"/index.html\" }\n";
        let toml = format!("[python]\n{}\nprocesses = 1\n\n{toml}", python_settings());
        let project = Project::new(&toml).file("dist/index.html", "<!doctype html>");
        files.iter().fold(project, |project, (name, text)| {
            project.file(&format!("dist/{name}"), text)
        })
    }

    /// One with these `[[site]]`s and, for `wsgi` routes, `app.py`, in one worker.
    pub fn with_sites(app: &str, python: &str, sites: &str) -> Project {
        let test_python = python_settings();
        let processes = one_process_unless_said(python);
        let toml =
            format!("[python]\nmodule = \"app\"\n{processes}\n{test_python}\n{python}\n\n{sites}");
        Project::new(&toml).file("app.py", app)
    }

    /// Adds a file, its folders included.
    pub fn file(self, name: &str, text: impl AsRef<[u8]>) -> Project {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// Adds text to the end of `project.toml`.
    pub fn also(self, toml: &str) -> Project {
        let text = fs::read_to_string(self.path("project.toml")).unwrap();
        self.file("project.toml", format!("{text}\n{toml}"))
    }

    /// Adds a variable to the environment of the server.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Project {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `appliance COMMAND project.toml` in the project's folder.
    pub fn command(&self, command: &str) -> Command {
        let mut appliance = Command::new(env!("CARGO_BIN_EXE_appliance"));
        // `APPLIANCE_…` are settings; those of the tests themselves are not meant for it.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("APPLIANCE_")) {
            appliance.env_remove(name);
        }
        appliance
            .args([command, "project.toml"])
            .current_dir(self.folder.path())
            .env_remove("RUST_LOG")
            .env_remove("NO_COLOR")
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        appliance
    }

    /// Starts a server that is expected to become ready.
    #[track_caller]
    pub fn start(self) -> Appliance {
        Appliance::start(self)
    }

    /// Starts a server that is expected to end by itself.
    #[track_caller]
    pub fn serve_in_vain(&self) -> Finished {
        Finished::of(self.command("serve"))
    }
}

/// The interpreter to test with: `APPLIANCE_TEST_PYTHON`, a virtualenv's `bin/python`, or else
/// `python3`.
pub fn test_interpreter() -> PathBuf {
    std::env::var_os("APPLIANCE_TEST_PYTHON").map_or_else(|| "python3".into(), PathBuf::from)
}

/// The virtualenv it belongs to, if it does.
pub fn test_virtualenv() -> Option<PathBuf> {
    let python = test_interpreter();
    let folder = python.parent().and_then(Path::parent)?;
    folder
        .join("pyvenv.cfg")
        .exists()
        .then(|| folder.to_owned())
}

fn one_process_unless_said(python: &str) -> &'static str {
    match python.contains("processes") {
        true => "",
        false => "processes = 1",
    }
}

/// The lines of `[python]` which choose it.
fn python_settings() -> String {
    match test_virtualenv() {
        Some(folder) => format!("virtualenv = {folder:?}"),
        None => format!("interpreter = {:?}", test_interpreter()),
    }
}
