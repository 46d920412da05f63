//! What `deploy/install.sh` promises: it says what it does, does it once, and takes it away again.
//!
//! Below a folder, as for images; there it creates no user and starts nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::Finished;
use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/install.sh");

fn install(root: &Path, arguments: &[&str]) -> Finished {
    let mut command = Command::new("sh");
    command
        .arg(SCRIPT)
        .arg("--root")
        .arg(root)
        .args(["--binary", env!("CARGO_BIN_EXE_appliance")])
        .args(arguments);
    Finished::of(command)
}

#[track_caller]
fn installed(root: &Path, arguments: &[&str]) -> String {
    let finished = install(root, arguments);
    assert_eq!(
        (finished.status, &*finished.stderr),
        (0, ""),
        "{finished:?}"
    );
    finished.stdout
}

/// Every file below a folder, with its mode and what is in it.
fn files(folder: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let mode = path.metadata().unwrap().permissions().mode() & 0o777;
            found.insert(path.clone(), (mode, fs::read(path).unwrap()));
        }
    }
    found
}

fn names(root: &TempDir) -> Vec<String> {
    let relative = |path: &PathBuf| {
        path.strip_prefix(root.path())
            .unwrap()
            .display()
            .to_string()
    };
    files(root.path()).keys().map(relative).collect()
}

const BINARY: &str = "usr/local/bin/appliance";
const UNIT: &str = "etc/systemd/system/appliance.service";
const PROJECT: &str = "srv/project/project.toml";
const PAGE: &str = "srv/project/public/index.html";

#[test]
fn a_rehearsal_changes_nothing_and_an_installation_happens_once() {
    let root = tempfile::tempdir().unwrap();
    let planned = installed(root.path(), &["--dry-run"]);
    assert!(
        planned.contains("usr/local/bin/appliance.new\n"),
        "{planned}"
    );
    assert_eq!(names(&root), [""; 0]);

    installed(root.path(), &[]);
    assert_eq!(names(&root), [UNIT, PROJECT, PAGE, BINARY]);
    let before = files(root.path());
    let (mode, binary) = &before[&root.path().join(BINARY)];
    assert_eq!(*mode, 0o755);
    assert_eq!(binary, &fs::read(env!("CARGO_BIN_EXE_appliance")).unwrap());
    let again = installed(root.path(), &[]);
    assert!(
        again.starts_with("everything is as it should be\n"),
        "{again}"
    );
    assert_eq!(files(root.path()), before);

    // What it starts with is a project.
    let mut check = Command::new(root.path().join(BINARY));
    check.args(["check", "project.toml"]);
    check.current_dir(root.path().join("srv/project"));
    check.env_remove("APPLIANCE_TEST_PYTHON");
    let checked = Finished::of(check);
    assert_eq!(checked.stdout, "project.toml is fine\n", "{checked:?}");
}

#[test]
fn what_differs_is_replaced_and_projects_are_not() {
    let root = tempfile::tempdir().unwrap();
    installed(root.path(), &[]);
    fs::write(root.path().join(BINARY), "older").unwrap();
    fs::write(root.path().join(PROJECT), "# mine").unwrap();
    fs::remove_file(root.path().join(PAGE)).unwrap();
    let done = installed(root.path(), &["--user", "shop", "--project", "/srv/shop.d"]);
    assert!(done.contains("usr/local/bin/appliance.new"), "{done}");
    assert_eq!(fs::read(root.path().join(PROJECT)).unwrap(), b"# mine");
    assert!(!root.path().join(PAGE).exists());
    assert_ne!(fs::read(root.path().join(BINARY)).unwrap(), b"older");
    let unit = fs::read_to_string(root.path().join(UNIT)).unwrap();
    for line in [
        "\nUser=shop\n",
        "\nWorkingDirectory=/srv/shop.d\n",
        "\nReadWritePaths=/srv/shop.d\n",
        "\nExecStart=/usr/local/bin/appliance serve project.toml\n",
    ] {
        assert!(unit.contains(line), "{line}: {unit}");
    }
    assert!(!unit.contains("/srv/project"), "{unit}");
}

#[test]
fn an_uninstallation_leaves_projects_and_what_others_need() {
    let root = tempfile::tempdir().unwrap();
    installed(root.path(), &[]);
    installed(root.path(), &["--name", "shop", "--project", "/srv/shop"]);
    installed(root.path(), &["--uninstall", "--dry-run"]);
    assert!(root.path().join(UNIT).exists());
    installed(root.path(), &["--uninstall"]);
    assert!(!root.path().join(UNIT).exists());
    assert!(root.path().join(BINARY).exists(), "shop still runs it");
    installed(root.path(), &["--uninstall", "--name", "shop"]);
    let left = names(&root);
    assert!(left.iter().all(|name| name.starts_with("srv/")), "{left:?}");
    assert!(left.contains(&PROJECT.to_owned()));
    let nothing = installed(root.path(), &["--uninstall"]);
    assert!(nothing.starts_with("nothing is installed\n"), "{nothing}");
}

#[test]
fn units_of_others_are_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let unit = root.path().join(UNIT);
    fs::create_dir_all(unit.parent().unwrap()).unwrap();
    fs::write(&unit, "[Service]\n").unwrap();
    for arguments in [&[][..], &["--uninstall"]] {
        let refused = install(root.path(), arguments);
        assert_eq!(refused.status, 1, "{refused:?}");
        let shown = unit.display().to_string();
        assert!(
            refused.stderr.contains(&format!("error: `{shown}` ")),
            "{refused:?}"
        );
        assert_eq!(fs::read(&unit).unwrap(), b"[Service]\n");
    }
}

#[test]
fn wrong_arguments_are_named_and_change_nothing() {
    let root = tempfile::tempdir().unwrap();
    let broken = root.path().join("broken");
    fs::write(&broken, "#!/bin/sh\nexit 1\n").unwrap();
    fs::set_permissions(&broken, fs::Permissions::from_mode(0o755)).unwrap();
    let broken = broken.display().to_string();
    let before = files(root.path());
    for (arguments, message) in [
        (&["--no-such"][..], "error: unknown option `--no-such`\n"),
        (
            &["--user"],
            "error: `--user` needs a value\nhint: see --help\n",
        ),
        (
            &["--user", ""],
            "error: `--user` needs a value\nhint: see --help\n",
        ),
        (
            &["--user", "root"],
            "error: `--user` must not be root: the point of it is that the site is not\n",
        ),
        (
            &["--user", "-x"],
            "error: `--user` must begin with a small letter, found `-x`\n",
        ),
        (
            &["--name", "a;b"],
            "error: `--user` and `--name` may have letters, digits, `_` and `-`\n",
        ),
        (
            &["--project", "shop"],
            "error: `--project` must be an absolute path, found `shop`\n",
        ),
        (
            &["--project", "/"],
            "error: `--project` may have letters, digits and `/._-`, found `/`\n",
        ),
        (
            &["--project", "/srv/my shop"],
            "error: `--project` may have letters, digits and `/._-`, found `/srv/my shop`\n",
        ),
        (
            &["--binary", "/nowhere/appliance"],
            "error: `/nowhere/appliance` is not an executable file\n",
        ),
        (
            &["--binary", &broken],
            &format!(
                "error: `{broken}` does not run here\nhint: another processor, or an older C library?\n"
            ),
        ),
    ] {
        let refused = install(root.path(), arguments);
        assert!(
            refused.stderr.ends_with(message),
            "{arguments:?}: {refused:?}"
        );
        assert_eq!(refused.status, 1, "{refused:?}");
        assert_eq!(files(root.path()), before, "{arguments:?}");
    }
}
