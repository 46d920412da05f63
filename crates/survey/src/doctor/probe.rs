//! Asks the project's own Python: it imports the application and prints one line of JSON.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use appliance_project::Project;
use serde_json::Value;

const SCRIPT: &str = include_str!("probe.py");
/// An import that takes longer would be none that a reload waits for gladly.
const PATIENCE: Duration = Duration::from_secs(60);
/// What of its output is looked at.
const MOST: u64 = 1 << 20;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Silence {
    /// There is no such program; the system's reason.
    NotStarted(String),
    /// It ended without an answer; what it printed last.
    Ended(String),
    /// It did not end.
    Hangs,
}

/// The interpreter that would run the workers.
pub(super) fn interpreter(project: &Project) -> PathBuf {
    match &project.python.virtualenv {
        Some(virtualenv) => virtualenv.join("bin/python"),
        None => PathBuf::from(&project.python.interpreter),
    }
}

/// What the application says about itself.
pub(super) fn ask(project: &Project, module: &str, callable: &str) -> Result<Value, Silence> {
    // Files rather than pipes: whatever the application prints, nobody waits for a reader.
    let reason = |error: std::io::Error| Silence::NotStarted(error.to_string());
    let folder = std::env::temp_dir();
    let (out, mut read_out) = unnamed(&folder, "out").map_err(reason)?;
    let (err, mut read_err) = unnamed(&folder, "err").map_err(reason)?;
    let mut command = Command::new(interpreter(project));
    command
        .args(["-c", SCRIPT, module, callable])
        .current_dir(&project.python.chdir)
        .envs(&project.python.env)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err);
    if let Some(user) = &project.server.account {
        // What an import writes must not be root's afterwards.
        command.uid(user.uid).gid(user.gid);
    }
    let mut child = command.spawn().map_err(reason)?;
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().map_err(reason)?.is_none() {
        if Instant::now() > deadline {
            // A child that is gone by now needs no more of it.
            let _ = child.kill();
            let _ = child.wait();
            return Err(Silence::Hangs);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let answer = text(&mut read_out);
    let line = answer
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("appliance-doctor "));
    match line.and_then(|line| serde_json::from_str(line).ok()) {
        Some(value) => Ok(value),
        None => {
            let complaint = text(&mut read_err);
            let last = complaint.lines().rev().find(|line| !line.trim().is_empty());
            Err(Silence::Ended(last.unwrap_or_default().to_owned()))
        }
    }
}

/// A file without a name, open twice: for the child, and for its reader.
fn unnamed(folder: &std::path::Path, which: &str) -> std::io::Result<(File, File)> {
    let name = format!("appliance-doctor-{}-{which}", std::process::id());
    let path = folder.join(name);
    let file = File::options().write(true).create_new(true).open(&path)?;
    let reader = File::open(&path);
    std::fs::remove_file(&path)?;
    Ok((file, reader?))
}

fn text(file: &mut File) -> String {
    let mut bytes = Vec::new();
    // What cannot be read is shown as nothing.
    let _ = file.take(MOST).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}
