//! How one binary's supervisor becomes another's: same process, same children, same descriptors.
//!
//! exec(2) keeps the process and its children; what the new program must know lies in a memory
//! file whose number is on its command line. The descriptors named in it stay open across exec,
//! and signals that stop or reload wait until the new program listens for them.
//!
//! It may be read by an older or a newer version: keys are added, not changed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use appliance_figures::Totals;
use appliance_project::wire::Reason;
use serde::{Deserialize, Serialize};

use crate::lifecycle::State;
use crate::logs::HandedLog;
use crate::sys::{self, Execution};

/// What a binary must understand to take over; [`crate::rehearse`] asks it.
pub const VERSION: u32 = 1;

/// Everything the next program must know.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Handover {
    pub(crate) version: u32,
    /// Why the old binary gets its server back; none on the way to the new one.
    pub(crate) returned: Option<String>,
    pub(crate) generation: u64,
    pub(crate) uptime_ms: u64,
    pub(crate) python: String,
    pub(crate) replaced: BTreeMap<String, u64>,
    #[serde(default)]
    pub(crate) counted: BTreeMap<usize, Totals>,
    pub(crate) started: u64,
    pub(crate) lanes: Vec<HandedLanes>,
    #[serde(default)]
    pub(crate) unix: Vec<HandedUnix>,
    /// Workers the lanes are spread over.
    pub(crate) spread: usize,
    pub(crate) slots: Vec<HandedSlot>,
    pub(crate) workers: Vec<HandedWorker>,
    pub(crate) instance: HandedInstance,
    /// Pipes of the log that workers write to.
    #[serde(default)]
    pub(crate) logs: Vec<HandedLog>,
    /// Connections of those who asked for the upgrade.
    pub(crate) asked: Vec<RawFd>,
    /// The old binary.
    pub(crate) binary: RawFd,
    /// Its command line, without its name.
    pub(crate) arguments: Vec<OsString>,
    /// What workers share.
    #[serde(default)]
    pub(crate) shared: Option<RawFd>,
    /// What the server writes to in the background.
    #[serde(default)]
    pub(crate) background: Option<PathBuf>,
    /// What only the old binary needs to understand.
    pub(crate) own: serde_json::Value,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HandedLanes {
    pub(crate) address: SocketAddr,
    #[serde(default)]
    pub(crate) shared: bool,
    #[serde(default)]
    pub(crate) unused: bool,
    pub(crate) sockets: Vec<RawFd>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HandedUnix {
    pub(crate) path: PathBuf,
    pub(crate) fd: RawFd,
    /// Device and inode; of no file where it is not this server's.
    pub(crate) file: (u64, u64),
    #[serde(default)]
    pub(crate) outlives: bool,
    #[serde(default)]
    pub(crate) unused: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HandedSlot {
    pub(crate) holder: Option<u64>,
    pub(crate) wish: Option<Reason>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HandedWorker {
    pub(crate) id: u64,
    /// From 0; none for the stand-in.
    pub(crate) slot: Option<usize>,
    pub(crate) generation: u64,
    pub(crate) pid: u32,
    pub(crate) state: State,
    pub(crate) age_ms: u64,
    pub(crate) deadline_in_ms: Option<u64>,
    pub(crate) control: RawFd,
    #[serde(default)]
    pub(crate) figures: Option<RawFd>,
    pub(crate) served: bool,
    pub(crate) drained: bool,
    /// Whether it can be asked which requests run.
    #[serde(default)]
    pub(crate) can_look: bool,
    /// From 0.
    pub(crate) covers: Vec<usize>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HandedInstance {
    pub(crate) listener: RawFd,
    #[serde(default)]
    pub(crate) admin: Option<RawFd>,
    pub(crate) socket: PathBuf,
    pub(crate) lock: HandedLock,
    pub(crate) pidfile: Option<HandedLock>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HandedLock {
    pub(crate) file: RawFd,
    pub(crate) path: PathBuf,
}

impl Handover {
    /// Reads what descriptor `fd` holds; nothing is taken over yet.
    pub(crate) fn read(fd: RawFd) -> io::Result<Handover> {
        let mut file = File::from(sys::adopt(fd)?);
        file.rewind()?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Becomes `binary`. Returns only when that fails; then nothing has changed.
    pub(crate) fn exec(&self, binary: &Path) -> io::Error {
        self.try_exec(binary).unwrap_or_else(|error| error)
    }

    /// The error of exec, or of what comes before it.
    fn try_exec(&self, binary: &Path) -> Result<io::Error, io::Error> {
        let mut file = sys::memory_file(c"appliance_handover", Execution::Denied)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        let mut descriptors = self.descriptors();
        descriptors.push(file.as_raw_fd());
        let mut command = Command::new(binary);
        command
            .arg0("appliance")
            .args(&self.arguments)
            .arg("--handover")
            .arg(file.as_raw_fd().to_string());
        sys::keep_across_exec(&mut command, descriptors.clone());
        let error = command.exec();
        // The program is still this one, and its children are not to inherit anything.
        sys::unblock_signals()?;
        for fd in descriptors {
            sys::close_on_exec(fd)?;
        }
        Ok(error)
    }

    /// Goes back to the old binary. Returns only when that fails.
    pub(crate) fn give_back(&mut self, why: String) -> io::Error {
        self.returned = Some(why);
        let binary = format!("/proc/self/fd/{}", self.binary);
        self.exec(Path::new(&binary))
    }

    fn descriptors(&self) -> Vec<RawFd> {
        let mut all = self.asked.clone();
        all.push(self.binary);
        all.extend(self.shared);
        all.extend(self.lanes.iter().flat_map(|lanes| &lanes.sockets));
        all.extend(self.unix.iter().map(|unix| unix.fd));
        all.extend(self.workers.iter().map(|worker| worker.control));
        all.extend(self.workers.iter().filter_map(|worker| worker.figures));
        all.extend(self.logs.iter().map(|log| log.fd));
        let instance = &self.instance;
        all.extend([instance.listener, instance.lock.file]);
        all.extend(instance.admin);
        all.extend(instance.pidfile.as_ref().map(|pidfile| pidfile.file));
        all
    }
}

/// This program's own arguments, without those of a handover that led to it.
pub(crate) fn arguments() -> Vec<OsString> {
    let mut arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let Some(at) = arguments.iter().position(|one| one == "--handover") {
        arguments.drain(at..(at + 2).min(arguments.len()));
    }
    arguments
}
