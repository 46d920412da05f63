//! Nothing outside the folder is ever opened, by either of the two ways of opening.
#![allow(clippy::unwrap_used)] // a failed step is a failed test

use std::fs;
use std::os::unix::fs::symlink;

use super::*;
use crate::files::path::Below;
use crate::request_path::normalize;

/// Every kind of way out, and names that only look like one.
const PIECES: [&str; 26] = [
    "..", "..", ".", "/", "/", "/", "%2e", "%2f", "%5c", "\\", "%00", "%25", "%252e", "a", "sub",
    "x", "out", "in", "up", "self", "loop", "absolute", "outside", "é", "%ff", "root",
];

fn plant(top: &Path) {
    let (dist, outside) = (top.join("dist"), top.join("outside"));
    fs::create_dir_all(dist.join("sub/a")).unwrap();
    fs::create_dir_all(dist.join("%2e%2e")).unwrap();
    fs::create_dir_all(outside.join("a")).unwrap();
    for inside in ["a", "x", "sub/x", "sub/a/x", "%2e%2e/x"] {
        fs::write(dist.join(inside), "inside").unwrap();
    }
    for secret in ["x", "outside/x", "outside/a/x"] {
        fs::write(top.join(secret), "outside").unwrap();
    }
    for (link, to) in [
        ("out", "../outside"),
        ("sub/out", "../../outside/x"),
        ("sub/up", "../.."),
        ("up", ".."),
        ("in", "sub"),
        ("sub/in", "../sub/a"),
        ("self", "../dist"),
        ("loop", "loop"),
        ("root", "/"),
    ] {
        symlink(to, dist.join(link)).unwrap();
    }
    symlink(&outside, dist.join("absolute")).unwrap();
    symlink(dist.join("sub"), dist.join("sub/absolute")).unwrap();
}

/// xorshift64: the same sequence in every run.
fn random_path(state: &mut u64) -> String {
    let mut below = |bound: u64| {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state % bound
    };
    let mut path = String::from("/");
    for _ in 0..=below(9) {
        path.push_str(PIECES[below(PIECES.len() as u64) as usize]);
        // Mostly whole segments, or few of them would exist.
        if below(3) > 0 {
            path.push('/');
        }
    }
    path.truncate(path.trim_end_matches('/').len().max(1));
    path
}

/// Contents of a file; none for a folder.
fn contents(opened: io::Result<File>) -> Option<Result<Vec<u8>, ()>> {
    let Ok(file) = opened else {
        return Some(Err(()));
    };
    match kind(&file).unwrap() {
        Kind::File(stamp) => Some(Ok(
            read_from(&file, 0, stamp.len as usize, Access::Wait).unwrap()
        )),
        Kind::Folder | Kind::Other => None,
    }
}

#[test]
fn no_path_leaves_the_folder_by_any_spelling_or_link() {
    let top = tempfile::tempdir().unwrap();
    plant(top.path());
    let folder = top.path().join("dist");
    let root = Root::open(&folder, Access::Wait).unwrap();
    let (mut state, mut files) = (0x9E37_79B9_7F4A_7C15, 0);
    for _ in 0..40_000 {
        let path = random_path(&mut state);
        let Ok(normal) = normalize(path.as_bytes()) else {
            continue;
        };
        // Routes see the normal form; what it was made of must be as harmless.
        for spelled in [&*normal, &*path] {
            let Ok(below) = Below::parse(spelled, false) else {
                continue;
            };
            let opened = contents(root.file(below.name(), Purpose::Read));
            let walked = contents(root.file_by_walking(below.name(), Purpose::Read));
            assert_eq!(opened, walked, "{spelled}");
            if let Some(Ok(bytes)) = opened {
                assert_eq!(bytes, b"inside", "{spelled}");
                files += 1;
            }
        }
    }
    assert!(files > 1000, "only {files} of the paths named a file");
}

#[test]
fn links_out_are_refused_and_links_within_are_followed() {
    let top = tempfile::tempdir().unwrap();
    plant(top.path());
    let folder = top.path().join("dist");
    let root = Root::open(&folder, Access::Wait).unwrap();
    for (name, inside) in [
        ("in/x", true),
        ("self/sub/x", true),
        ("sub/absolute/x", true),
        ("sub/in/x", true),
        ("out/x", false),
        ("up/x", false),
        ("sub/up/x", false),
        ("sub/out", false),
        ("absolute/x", false),
        ("root/etc/passwd", false),
        ("loop", false),
        // What no request can ask for, since paths hold no dots: the kernel refuses it all the same.
        ("../x", false),
        ("sub/../../x", false),
    ] {
        let opened = [
            root.file(name.as_bytes(), Purpose::Read),
            root.file_by_walking(name.as_bytes(), Purpose::Read),
        ];
        assert_eq!(opened.map(|file| file.is_ok()), [inside; 2], "{name}");
    }
}
