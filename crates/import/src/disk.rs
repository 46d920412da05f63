//! The one way to the file system: parsers get texts, and tests a disk of their own.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What an import may look at. Nothing in it changes anything.
pub trait Disk {
    /// The first `limit` bytes of a file, and one more if it has more.
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>>;
    /// The names in a folder, sorted; none if there is no such folder.
    fn names(&self, folder: &Path) -> Vec<String>;
    /// Whether it is a folder.
    fn is_folder(&self, path: &Path) -> bool;
    /// Whether anything is there.
    fn exists(&self, path: &Path) -> bool;
    /// An environment variable of this process.
    fn variable(&self, name: &str) -> Option<String>;
}

/// The machine's own.
#[derive(Debug, Clone, Copy)]
pub struct System;

impl Disk for System {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        // A pipe or a device might never end, and to open a pipe is to wait for who writes to it.
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let file = File::open(path)?;
        let mut bytes = Vec::new();
        file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn names(&self, folder: &Path) -> Vec<String> {
        let Ok(entries) = fs::read_dir(folder) else {
            return Vec::new();
        };
        let names = entries
            .flatten()
            .filter_map(|e| e.file_name().into_string().ok());
        let sorted: BTreeSet<_> = names.collect();
        sorted.into_iter().collect()
    }

    fn is_folder(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// Whether a path holds characters that a glob gives a meaning.
pub(crate) fn is_glob(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// The paths a pattern matches, sorted as nginx sorts them. `*` and `?` do not match the dot that
/// a hidden file begins with.
pub(crate) fn glob(disk: &dyn Disk, pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let name = component.as_os_str().to_string_lossy();
        found = match is_glob(&name) {
            false => found.into_iter().map(|path| path.join(component)).collect(),
            true => found
                .into_iter()
                .flat_map(|folder| {
                    let names = disk.names(&folder).into_iter();
                    let fitting = names.filter(|entry| fits(&name, entry));
                    fitting
                        .map(move |entry| folder.join(entry))
                        .collect::<Vec<_>>()
                })
                .collect(),
        };
    }
    found.retain(|path| disk.exists(path));
    found
}

/// `*.conf` and the like, of one name.
fn fits(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    // The last star, and how much of the name it has taken: enough to go back to.
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some('[') if let Some((end, true)) = class(&pattern[p..], name[n]) => {
                p += end;
                n += 1;
            }
            Some('?') => (p, n) = (p + 1, n + 1),
            Some(c) if *c == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, taken)) => {
                    (p, n) = (at + 1, taken + 1);
                    star = Some((at, taken + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// The length of `[a-z]`, and whether `c` is in it; none if it does not end.
fn class(pattern: &[char], c: char) -> Option<(usize, bool)> {
    let not = matches!(pattern.get(1), Some('!' | '^'));
    let from = if not { 2 } else { 1 };
    // A `]` that comes first is one of the class.
    let end = from + 1 + pattern.get(from + 1..)?.iter().position(|c| *c == ']')?;
    let inside = &pattern[from..end];
    let mut is_in = inside.contains(&c);
    for range in inside.windows(3) {
        if range[1] == '-' {
            is_in |= (range[0]..=range[2]).contains(&c);
        }
    }
    Some((end + 1, is_in != not))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A disk in memory: paths and texts.
    #[derive(Debug, Default)]
    pub(crate) struct Memory {
        files: BTreeMap<PathBuf, Vec<u8>>,
        variables: BTreeMap<String, String>,
    }

    impl Memory {
        pub(crate) fn with(files: &[(&str, &str)]) -> Memory {
            let files = files.iter();
            let files = files.map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec()));
            Memory {
                files: files.collect(),
                variables: BTreeMap::new(),
            }
        }

        pub(crate) fn bytes(mut self, path: &str, bytes: &[u8]) -> Memory {
            self.files.insert(path.into(), bytes.to_vec());
            self
        }

        pub(crate) fn variable(mut self, name: &str, value: &str) -> Memory {
            self.variables.insert(name.into(), value.into());
            self
        }
    }

    impl Disk for Memory {
        fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
            let bytes = self.files.get(path);
            let bytes = bytes.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
            Ok(bytes[..bytes.len().min(limit + 1)].to_vec())
        }

        fn names(&self, folder: &Path) -> Vec<String> {
            let below = self
                .files
                .keys()
                .filter_map(|path| path.strip_prefix(folder).ok());
            let first = below.filter_map(|path| path.components().next());
            let names = first.map(|name| name.as_os_str().to_string_lossy().into_owned());
            let sorted: BTreeSet<_> = names.collect();
            sorted.into_iter().collect()
        }

        fn is_folder(&self, path: &Path) -> bool {
            let mut paths = self.files.keys();
            paths.any(|file| file != path && file.starts_with(path))
        }

        fn exists(&self, path: &Path) -> bool {
            self.files.keys().any(|file| file.starts_with(path))
        }

        fn variable(&self, name: &str) -> Option<String> {
            self.variables.get(name).cloned()
        }
    }

    #[test]
    fn patterns_fit_names_as_in_a_shell() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.bak", false),
            ("*", ".hidden", false),
            ("*", "shop", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-", false),
            ("?.conf", "é.conf", true),
            ("[0-9]*", "10-shop", true),
            ("[!0-9]*", "10-shop", false),
            ("[]]", "]", true),
            ("[a", "[a", true),
            ("", "", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn patterns_match_in_any_component() {
        let disk = Memory::with(&[
            ("/etc/nginx/b/x.conf", ""),
            ("/etc/nginx/a/x.conf", ""),
            ("/etc/nginx/a/y.txt", ""),
        ]);
        let found = glob(&disk, Path::new("/etc/nginx/*/*.conf"));
        let expected = ["/etc/nginx/a/x.conf", "/etc/nginx/b/x.conf"].map(PathBuf::from);
        assert_eq!(found, expected);
    }
}
