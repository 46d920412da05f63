//! Runs one command of the start (a hook, `venv`, `pip`) and minds a stop meanwhile.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use appliance_log::Streams;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;
use tokio::process::Child;

use crate::error::Halt;
use crate::stage::Stage;
use crate::sys::{self, Inheritance};

/// How long a command may take to end when the start is called off.
const GRACE: Duration = Duration::from_secs(5);

/// Output that is still in the pipe when the command has ended arrives within this time. (A
/// process that the command left behind may hold the pipe open for ever.)
const LAST_OUTPUT: Duration = Duration::from_millis(200);

/// Runs `command`; what it prints goes to the log as it is.
pub(crate) async fn run(mut command: Command, stage: &mut Stage) -> Result<Ended, Halt> {
    let [stdout, stderr] =
        appliance_log::stdio("hook", None, Streams::Together).map_err(Halt::from)?;
    command.stdout(stdout).stderr(stderr);
    let child = match start(command) {
        Ok(child) => child,
        Err(error) => return Ok(Ended::NotStarted(error)),
    };
    wait(child, stage).await
}

/// The same; who watches is shown the output, too.
pub(crate) async fn run_watched(command: Command, stage: &mut Stage) -> Result<Ended, Halt> {
    let audience = stage.audience().to_vec();
    if audience.is_empty() {
        return run(command, stage).await;
    }
    let show = |line: &str| {
        appliance_log::text(&format!("{line}\n"));
        audience.iter().for_each(|reply| reply.progress(line));
    };
    run_with_output(command, stage, show).await
}

/// Runs `command` and hands each line it writes, to standard output or error, to `line`.
pub(crate) async fn run_with_output(
    mut command: Command,
    stage: &mut Stage,
    mut line: impl FnMut(&str),
) -> Result<Ended, Halt> {
    let (reader, writer) = io::pipe().map_err(Halt::from)?;
    command
        .stdout(writer.try_clone().map_err(Halt::from)?)
        .stderr(writer);
    let child = match start(command) {
        Ok(child) => child,
        Err(error) => return Ok(Ended::NotStarted(error)),
    };
    let reader = pipe::Receiver::from_owned_fd(reader.into()).map_err(Halt::from)?;
    let mut lines = BufReader::new(reader).split(b'\n');
    let mut show = |bytes: &[u8]| line(String::from_utf8_lossy(bytes).trim_end());

    let mut ended = std::pin::pin!(wait(child, stage));
    let result = loop {
        tokio::select! {
            biased;
            Ok(Some(bytes)) = lines.next_segment() => show(&bytes),
            result = &mut ended => break result,
        }
    };
    while let Ok(Ok(Some(bytes))) = tokio::time::timeout(LAST_OUTPUT, lines.next_segment()).await {
        show(&bytes);
    }
    result
}

/// How a command went.
#[derive(Debug)]
pub(crate) enum Ended {
    NotStarted(io::Error),
    With(ExitStatus),
}

/// Its own process group, so that a stop reaches what the command has started, too; and
/// nothing to read: a question on a terminal would wait for an answer for ever.
///
/// The command is dropped here, and with it our copies of the descriptors it was given.
fn start(mut command: Command) -> io::Result<Child> {
    command.stdin(Stdio::null()).process_group(0);
    sys::inherit(
        &mut command,
        Inheritance {
            keep: Vec::new(),
            die_with_parent: true,
        },
    );
    tokio::process::Command::from(command).spawn()
}

async fn wait(mut child: Child, stage: &mut Stage) -> Result<Ended, Halt> {
    tokio::select! {
        biased;
        status = child.wait() => Ok(Ended::With(status?)),
        stop = stage.stop() => {
            call_off(&mut child, stage).await;
            Err(Halt::Stopped(stop))
        }
    }
}

async fn call_off(child: &mut Child, stage: &mut Stage) {
    signal_group(child, libc::SIGTERM);
    let ended = tokio::select! {
        ended = tokio::time::timeout(GRACE, child.wait()) => ended.is_ok(),
        () = again(stage) => false,
    };
    if !ended {
        signal_group(child, libc::SIGKILL);
        if let Err(error) = child.wait().await {
            tracing::debug!(%error, "a command cannot be waited for");
        }
    }
}

async fn again(stage: &mut Stage) {
    while stage.stop().await.is_patient() {}
}

/// `id` is none once the child has been waited for: its number is not used after that.
fn signal_group(child: &Child, signal: i32) {
    let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) else {
        return;
    };
    if let Err(error) = sys::kill(-pid, signal) {
        tracing::debug!(%error, "a command cannot be stopped");
    }
}
