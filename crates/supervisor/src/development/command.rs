//! `dev.command`: the front's development server, as a process of its own.
//!
//! It has a process group, so that what it has started (npm starts a shell, which starts Vite) ends
//! with it, and a Ctrl-C reaches it through us alone. What it prints is marked.

use std::io::{self, IsTerminal};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use appliance_project::model::Dev;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;
use tokio::process::Child;
use tokio::task::JoinHandle;

use crate::process::Exit;
use crate::sys::{self, Inheritance};

/// How long it may take to end.
const GRACE: Duration = Duration::from_secs(3);

/// It runs, or has run. Asked to end when dropped.
pub(super) struct FrontCommand {
    words: Vec<String>,
    /// Its process group.
    group: i32,
    follower: JoinHandle<()>,
}

impl FrontCommand {
    /// Starts the command, if there is one. That it cannot be started keeps nobody from developing the rest.
    pub(super) fn start(dev: &Dev, folder: &Path) -> Option<FrontCommand> {
        let (program, _) = dev.command.split_first()?;
        match start(&dev.command, folder) {
            Ok(started) => Some(started),
            Err(error) => {
                appliance_log::text(&format!(
                    "error: cannot start `{program}` (`dev.command`): {error}\n\
                     hint: it is looked for in `PATH`, and runs in `{}`\n",
                    folder.display()
                ));
                None
            }
        }
    }

    pub(super) fn runs(&self) -> bool {
        !self.follower.is_finished()
    }

    pub(super) fn is(&self, words: &[String]) -> bool {
        self.words == words
    }

    /// Ends it, with all that it has started.
    pub(super) async fn stop(mut self) {
        if self.runs() {
            self.signal(libc::SIGTERM);
            // It is followed to its end.
            let _ = tokio::time::timeout(GRACE, &mut self.follower).await;
            self.signal(libc::SIGKILL);
        }
    }

    /// There may be nobody any more.
    fn signal(&self, signal: i32) {
        let _ = sys::kill(-self.group, signal);
    }
}

impl Drop for FrontCommand {
    fn drop(&mut self) {
        if self.runs() {
            self.signal(libc::SIGTERM);
        }
    }
}

fn start(words: &[String], folder: &Path) -> io::Result<FrontCommand> {
    let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let (reader, writer) = io::pipe()?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0);
    if io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        // It sees a pipe; what it says ends in a terminal.
        command.env("FORCE_COLOR", "1");
    }
    sys::inherit(
        &mut command,
        Inheritance {
            keep: Vec::new(),
            die_with_parent: true,
        },
    );
    let child = tokio::process::Command::from(command).spawn()?;
    let group = child.id().and_then(|pid| i32::try_from(pid).ok());
    let group = group.ok_or(io::ErrorKind::NotFound)?;
    let reader = pipe::Receiver::from_owned_fd(reader.into())?;
    Ok(FrontCommand {
        words: words.to_vec(),
        group,
        follower: tokio::spawn(follow(child, reader, words.join(" "))),
    })
}

/// Passes on what it prints, until it has ended.
async fn follow(mut child: Child, reader: pipe::Receiver, words: String) {
    let mut lines = BufReader::new(reader).split(b'\n');
    let status = loop {
        tokio::select! {
            biased;
            Ok(Some(line)) = lines.next_segment() => show(&line),
            status = child.wait() => break status,
        }
    };
    let last = async {
        while let Ok(Some(line)) = lines.next_segment().await {
            show(&line);
        }
    };
    // What it has left behind may hold the pipe open for ever.
    let _ = tokio::time::timeout(Duration::from_millis(200), last).await;
    let cause = match status {
        Ok(status) => Exit::of(status).to_string(),
        Err(error) => error.to_string(),
    };
    appliance_log::text(&format!("front: `{words}` has ended: {cause}\n"));
}

fn show(line: &[u8]) {
    let line = String::from_utf8_lossy(line);
    appliance_log::text(&format!("front | {}\n", line.trim_end()));
}
