//! A folder's files, as far down as a project's own go.

use std::fs;
use std::path::{Path, PathBuf};

/// Levels below the folder, and files in all: a project's own files lie in the upper few.
const DEEPEST: usize = 3;
const MOST: usize = 5000;
/// Longer files are no sources.
const LARGEST: u64 = 1 << 20;

/// Every file of the folder that may be of interest, the upper levels first.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut level) = (Vec::new(), vec![folder.to_owned()]);
    for _ in 0..=DEEPEST {
        let mut below = Vec::new();
        for folder in level {
            let Ok(entries) = fs::read_dir(&folder) else {
                continue;
            };
            let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
            paths.sort();
            for path in paths {
                // A link may lead out of the project, and in circles.
                let is_link = path.is_symlink();
                if path.is_dir() && !is_link && !is_foreign(&path) {
                    below.push(path);
                } else if path.is_file() && found.len() < MOST {
                    found.push(path);
                }
            }
        }
        level = below;
    }
    found
}

/// Folders of other people's files, or of none.
fn is_foreign(folder: &Path) -> bool {
    let name = folder
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    name.starts_with('.')
        || matches!(
            name.as_str(),
            "node_modules"
                | "__pycache__"
                | "site-packages"
                | "migrations"
                | "static_root"
                | "staticfiles"
        )
        || folder.join("pyvenv.cfg").is_file()
}

/// A file's text; nothing of one that is too long or no text.
pub(crate) fn text(path: &Path) -> String {
    let fits = fs::metadata(path).is_ok_and(|data| data.is_file() && data.len() <= LARGEST);
    match fits {
        true => fs::read_to_string(path).unwrap_or_default(),
        false => String::new(),
    }
}

/// `path` as it is written in a project file of `folder`.
pub(crate) fn relative(folder: &Path, path: &Path) -> String {
    match path.strip_prefix(folder) {
        Ok(below) if below.as_os_str().is_empty() => ".".to_owned(),
        Ok(below) => below.display().to_string(),
        Err(_) => path.display().to_string(),
    }
}
