//! A requirements file and the files it includes, as text.
//!
//! Their whole text is compared with what was installed last: there is no hash to choose, and
//! the stamp shows what the virtualenv was made from. Local projects (`-e .`) are not looked into.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::PythonError;

/// One requirements or constraints file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RequirementsFile {
    path: PathBuf,
    text: String,
}

/// Reads `file` and whatever it includes by `-r` and `-c`, in the order of their mention.
pub(crate) fn read(file: &Path) -> Result<Vec<RequirementsFile>, PythonError> {
    let mut files: Vec<RequirementsFile> = Vec::new();
    let mut waiting = vec![file.to_owned()];
    while let Some(path) = waiting.pop() {
        if files.iter().any(|known| known.path == path) {
            continue;
        }
        let bytes = fs::read(&path).map_err(|source| PythonError::Requirements {
            file: path.clone(),
            source,
        })?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let folder = path.parent().unwrap_or(Path::new("/"));
        // The last one in is read first.
        waiting.extend(
            text.lines()
                .rev()
                .filter_map(included)
                .map(|name| folder.join(name)),
        );
        files.push(RequirementsFile { path, text });
    }
    Ok(files)
}

/// The file that a line of a requirements file includes (pip, "Requirements File Format"). What
/// lies behind a URL is pip's to fetch.
fn included(line: &str) -> Option<&str> {
    const OPTIONS: [&str; 4] = ["--requirement", "--constraint", "-r", "-c"];
    let line = line.trim();
    let rest = OPTIONS
        .iter()
        .find_map(|option| line.strip_prefix(option))?;
    let name = rest.trim_start_matches(['=', ' ', '\t']);
    let name = name
        .split(" #")
        .next()
        .unwrap_or(name)
        .trim()
        .trim_matches(['"', '\'']);
    (!name.is_empty() && !name.contains("://")).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inclusions_are_found_in_every_spelling() {
        let cases = [
            ("-r base.txt", Some("base.txt")),
            ("-rbase.txt", Some("base.txt")),
            ("  --requirement=base.txt  ", Some("base.txt")),
            ("--requirement base.txt # shared", Some("base.txt")),
            ("-c \"limits of us.txt\"", Some("limits of us.txt")),
            ("--constraint=limits.txt", Some("limits.txt")),
            ("-r https://example.com/base.txt", None),
            ("django==5.2", None),
            ("# -r base.txt", None),
            ("-e .", None),
            ("-r", None),
        ];
        for (line, expected) in cases {
            assert_eq!(included(line), expected, "{line}");
        }
    }

    #[test]
    fn a_change_in_an_included_file_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(
            path("requirements.txt"),
            "-r base.txt\n-c limits.txt\nflask\n",
        )
        .unwrap();
        fs::write(path("base.txt"), "django\n-r requirements.txt\n").unwrap();
        fs::write(path("limits.txt"), "django<6\n").unwrap();
        let before = read(&path("requirements.txt")).unwrap();
        let names: Vec<_> = before
            .iter()
            .map(|file| file.path.file_name().unwrap())
            .collect();
        assert_eq!(names, ["requirements.txt", "base.txt", "limits.txt"]);
        assert_eq!(read(&path("requirements.txt")).unwrap(), before);
        fs::write(path("limits.txt"), "django<7\n").unwrap();
        assert_ne!(read(&path("requirements.txt")).unwrap(), before);
    }

    #[test]
    fn a_missing_included_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("requirements.txt");
        fs::write(&file, "-r gone.txt\n").unwrap();
        assert_eq!(
            read(&file).unwrap_err().to_string(),
            format!(
                "cannot read `{}`: No such file or directory (os error 2)",
                folder.path().join("gone.txt").display()
            )
        );
    }
}
