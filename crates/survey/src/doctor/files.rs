//! Who may read and write what, and whether what is served is what was built last.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use appliance_project::Project;
use appliance_project::model::Target;

use super::Findings;
use crate::folder;

/// Whom workers run as.
#[derive(Debug, Clone)]
pub(super) struct Who {
    pub(super) uid: u32,
    pub(super) gids: Vec<u32>,
}

impl Who {
    /// `server.user`, or else this process.
    pub(super) fn of(project: &Project) -> Who {
        if let Some(user) = &project.server.account {
            let mut gids = vec![user.gid];
            gids.extend(user.groups.iter());
            return Who {
                uid: user.uid,
                gids,
            };
        }
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let numbers = |name: &str| -> Vec<u32> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default()
                .split_whitespace()
                .filter_map(|word| word.parse().ok())
                .collect()
        };
        let effective = |numbers: Vec<u32>| numbers.get(1).copied().unwrap_or(u32::MAX);
        let mut gids = numbers("Groups:");
        gids.push(effective(numbers("Gid:")));
        Who {
            uid: effective(numbers("Uid:")),
            gids,
        }
    }

    /// Whether the bits (4 read, 2 write, 1 enter) are granted.
    fn may(&self, data: &Metadata, bits: u32) -> bool {
        let mode = data.mode();
        let granted = match () {
            () if self.uid == 0 => return true,
            () if data.uid() == self.uid => mode >> 6,
            () if self.gids.contains(&data.gid()) => mode >> 3,
            () => mode,
        };
        granted & bits == bits
    }

    /// The first part of the path that is closed, if any.
    fn closed(&self, path: &Path, bits: u32) -> Option<String> {
        let mut above: Vec<_> = path.ancestors().skip(1).collect();
        above.reverse();
        let data = |path: &Path| fs::metadata(path).ok();
        let shut = above
            .into_iter()
            .find(|folder| data(folder).is_some_and(|data| !self.may(&data, 1)));
        let last = || {
            data(path)
                .filter(|data| !self.may(data, bits))
                .map(|_| path)
        };
        shut.or_else(last).map(|path| path.display().to_string())
    }
}

pub(super) fn examine(project: &Project, findings: &mut Findings) {
    let who = Who::of(project);
    readable(project, &who, findings);
    writable(project, &who, findings);
    for site in &project.sites {
        for route in &site.routes {
            if let Target::Files(files) = &route.target
                && files.fallback.is_some()
            {
                stale(&files.root, findings);
            }
        }
    }
}

fn readable(project: &Project, who: &Who, findings: &mut Findings) {
    let mut closed = Vec::new();
    for site in &project.sites {
        for route in &site.routes {
            if let Target::Files(files) = &route.target {
                let bits = if files.root.is_dir() { 5 } else { 4 };
                closed.extend(
                    who.closed(&files.root, bits)
                        .map(|path| (path, "visitors get a 403 or 404")),
                );
            }
        }
    }
    if project.python.has_application() {
        closed.extend(
            who.closed(&project.python.chdir, 5)
                .map(|path| (path, "the application cannot be imported")),
        );
        let virtualenv = project.python.virtualenv.as_ref();
        closed.extend(
            virtualenv
                .and_then(|path| who.closed(path, 5))
                .map(|path| (path, "Python cannot start")),
        );
    }
    closed.sort();
    closed.dedup();
    for (path, then) in closed {
        findings.problem(
            format!("`{path}` is closed to user {}: {then}", who.uid),
            format!("`chmod o+x` folders above and `chmod -R o+rX` what is served, or `chown -R {} {path}`", who.uid),
        );
    }
}

fn writable(project: &Project, who: &Who, findings: &mut Findings) {
    let pidfile = project
        .server
        .pidfile
        .as_ref()
        .and_then(|path| path.parent());
    // The supervisor, which may be root, writes the pidfile.
    let pidfile = pidfile.filter(|_| project.server.account.is_none());
    let python = &project.python;
    let spool = python.has_application().then_some(python.spool.as_path());
    for (path, key) in [(pidfile, "server.pidfile"), (spool, "python.spool")] {
        if let Some(shut) = path.and_then(|path| who.closed(path, 3)) {
            findings.problem(
                format!(
                    "`{shut}` is closed to user {}, and `{key}` is to be written there",
                    who.uid
                ),
                format!("`chown {} {shut}`, or another folder in `{key}`", who.uid),
            );
        }
    }
    // Whoever may write the code becomes the application.
    let open = |path: &Path| {
        fs::metadata(path).is_ok_and(|data| data.mode() & 0o002 != 0 && data.mode() & 0o1000 == 0)
    };
    for path in [project.file.as_path(), project.python.chdir.as_path()] {
        if open(path) {
            findings.problem(
                format!(
                    "`{}` may be written by everybody on this machine",
                    path.display()
                ),
                format!("`chmod o-w {}`", path.display()),
            );
        }
    }
}

/// A front whose sources have changed since it was built.
fn stale(root: &Path, findings: &mut Findings) {
    let Some(above) = root
        .parent()
        .filter(|above| above.join("package.json").is_file())
    else {
        return;
    };
    let changed = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
    let built = changed(&root.join("index.html"));
    let sources = folder::files(&above.join("src"));
    let newest: Option<(SystemTime, _)> = sources
        .iter()
        .filter_map(|path| Some((changed(path)?, path)))
        .max();
    if let (Some(built), Some((newest, path))) = (built, newest)
        && newest > built
    {
        findings.advice(
            format!(
                "`{}` is older than its source: `{}` has changed since",
                root.display(),
                path.display()
            ),
            format!("`npm run build` in {}", above.display()),
        );
    }
}
