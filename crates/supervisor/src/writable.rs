//! `server.read_write_paths`: workers, and what they start, write there and nowhere else (Landlock).
//!
//! The rules are made here and hold from the worker's exec on, before any Python: for each of its
//! threads, and for what is imported. Hooks and pip, which are there to write, are not held to them.
//!
//! Reading is not restricted. An interpreter reads its library, its virtualenv, time zones, certificates
//! and whatever the system's resolver is made of: a list of that would be wrong somewhere, and found
//! out late. What `server.user` must not read, its rights keep from it.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use appliance_project::Project;
use appliance_project::model::LogTarget;
use landlock::{
    ABI, AccessFs, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr,
};

/// What is restricted where the kernel can: with its version 2 moving a file from one folder to another is
/// not forbidden outright any more, from 3 on truncate(2) is covered.
const WRITING: ABI = ABI::V3;

/// What programs write to without leaving anything behind: devices, the terminal, shared memory
/// (`multiprocessing` has its locks there).
const ALWAYS: [&str; 6] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/tty",
    "/dev/pts",
    "/dev/shm",
];

/// Rules for a worker of `project`; none if it may write wherever its user may, or the kernel has no
/// Landlock.
pub(crate) fn rules(project: &Project, is_supervised: bool) -> io::Result<Option<OwnedFd>> {
    let Some(paths) = &project.server.read_write_paths else {
        return Ok(None);
    };
    let mut rules = restricting()?;
    for path in paths {
        if let Err(error) = path.metadata() {
            let path = path.display();
            tracing::warn!(%path, %error, "nothing can be written there (`server.read_write_paths`)");
        }
    }
    let own = own(project, is_supervised);
    let fixed = ALWAYS.iter().map(PathBuf::from);
    let all: BTreeSet<PathBuf> = paths.iter().cloned().chain(own).chain(fixed).collect();
    for path in all.iter().filter(|path| path.exists()) {
        rules = allow(rules, path)?;
    }
    Ok(rules.into())
}

/// Says that the key has no effect, where it has none.
pub(crate) fn warn_if_without_effect(project: &Project) -> io::Result<()> {
    if project.server.read_write_paths.is_some()
        && Option::<OwnedFd>::from(restricting()?).is_none()
    {
        tracing::warn!(
            "this kernel has no Landlock, or it is switched off: `server.read_write_paths` HAS NO EFFECT, \
             and workers write wherever their user may"
        );
    }
    Ok(())
}

fn restricting() -> io::Result<RulesetCreated> {
    let rules = Ruleset::default().handle_access(AccessFs::from_write(WRITING));
    rules.and_then(Ruleset::create).map_err(io::Error::other)
}

fn allow(rules: RulesetCreated, path: &Path) -> io::Result<RulesetCreated> {
    let failed = |error: &dyn std::fmt::Display| {
        io::Error::other(format!("no rule for `{}`: {error}", path.display()))
    };
    let all = AccessFs::from_write(WRITING);
    let access: BitFlags<AccessFs> = match path.is_dir() {
        true => all,
        false => all & AccessFs::from_file(WRITING),
    };
    let file = PathFd::new(path).map_err(|error| failed(&error))?;
    rules
        .add_rule(PathBeneath::new(file, access))
        .map_err(|error| failed(&error))
}

/// What the worker itself writes: large bodies, and what else is temporary. One without a supervisor
/// writes and rotates log files, and takes away its pidfile and its sockets.
fn own(project: &Project, is_supervised: bool) -> Vec<PathBuf> {
    let mut own = vec![std::env::temp_dir(), project.python.spool.clone()];
    if is_supervised {
        return own;
    }
    let server = &project.server;
    let logs = project
        .access_logs()
        .into_iter()
        .chain([server.log.target.clone()]);
    let logs = logs.filter_map(|target| match target {
        LogTarget::File(path) => Some(path),
        _ => None,
    });
    let sockets = project.sites.iter().flat_map(|site| site.unix.clone());
    let files = logs.chain(sockets).chain(server.pidfile.clone());
    own.extend(files.filter_map(|file| Some(file.parent()?.to_owned())));
    own
}
