//! How much memory this process and its children may use: the machine's, or what a container's
//! control groups leave of it.

use std::fs;
use std::path::Path;

/// Bytes; none where `/proc` says nothing.
pub(super) fn bytes() -> Option<u64> {
    let machine = machine(&fs::read_to_string("/proc/meminfo").ok()?)?;
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    Some(group(&groups, Path::new("/sys/fs/cgroup")).map_or(machine, |group| group.min(machine)))
}

fn machine(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// The tightest limit from this process's control group up, of version 2 and of version 1. Inside
/// a container the group's path may be the host's, and lead nowhere: the root's holds then.
fn group(groups: &str, root: &Path) -> Option<u64> {
    let limits = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        match controllers {
            "" => tightest(root, path, "memory.max"),
            "memory" => tightest(&root.join("memory"), path, "memory.limit_in_bytes"),
            _ => None,
        }
    });
    limits.min()
}

fn tightest(root: &Path, path: &str, file: &str) -> Option<u64> {
    let below = path.trim_start_matches('/');
    let folders = Path::new(below).ancestors();
    folders
        // `max`, or nothing at the root, is no limit.
        .filter_map(|folder| {
            let text = fs::read_to_string(root.join(folder).join(file)).ok()?;
            text.trim().parse().ok()
        })
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(groups: &str, files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = root.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        group(groups, root.path())
    }

    #[test]
    fn the_tightest_group_counts() {
        let files = [
            ("a/b/memory.max", "max\n"),
            ("a/memory.max", "1000\n"),
            ("memory.max", "2000\n"),
        ];
        assert_eq!(limit("0::/a/b\n", &files), Some(1000));
        assert_eq!(limit("0::/\n", &files), Some(2000));
        assert_eq!(limit("0::/of/the/host\n", &files), Some(2000));
        assert_eq!(limit("0::/\n", &[]), None);
    }

    #[test]
    fn groups_of_version_1_count_too() {
        let files = [
            ("memory/a/memory.limit_in_bytes", "3000\n"),
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ];
        let groups = "5:devices:/\n4:memory:/a\n0::/\n";
        assert_eq!(limit(groups, &files), Some(3000));
    }

    #[test]
    fn a_machine_says_what_it_has() {
        assert_eq!(
            machine("MemTotal:       16384 kB\nMemFree: 1 kB\n"),
            Some(16 << 20)
        );
        assert!(bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
