//! A virtualenv's folder: is it one, does it work, what may be done to it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::PythonError;

/// The interpreter of the virtualenv in `folder`.
pub(crate) fn python_of(folder: &Path) -> Result<PathBuf, PythonError> {
    if !folder.exists() {
        return Err(PythonError::VenvMissing {
            folder: folder.to_owned(),
        });
    }
    if !is_venv(folder) {
        return Err(PythonError::NotAVenv {
            folder: folder.to_owned(),
        });
    }
    let python = folder.join("bin/python");
    if python.exists() {
        return Ok(python);
    }
    let target = last_link(&python);
    Err(PythonError::VenvBroken {
        folder: folder.to_owned(),
        target,
    })
}

pub(crate) fn is_venv(folder: &Path) -> bool {
    folder.join("pyvenv.cfg").is_file()
}

/// Where a chain of symbolic links ends in nothing. (`python` → `python3` → `/usr/bin/python3`.)
fn last_link(path: &Path) -> Option<PathBuf> {
    // As many as Linux follows.
    const LONGEST_CHAIN: usize = 40;
    let mut target = None;
    let mut path = path.to_owned();
    for _ in 0..LONGEST_CHAIN {
        let Ok(link) = fs::read_link(&path) else {
            break;
        };
        path = path.parent()?.join(link);
        target = Some(path.clone());
    }
    target
}

/// Removes a virtualenv, so that one can be created in its place. Nothing else is removed: a
/// slip in `python.virtualenv` must not cost anyone a folder.
pub(crate) fn remove(folder: &Path, ours: bool) -> Result<(), PythonError> {
    let mut entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => {
            return Err(PythonError::NotWritable {
                path: folder.to_owned(),
                source,
            });
        }
    };
    if entries.next().is_none() {
        return Ok(());
    }
    if !ours && !is_venv(folder) {
        return Err(PythonError::NotAVenv {
            folder: folder.to_owned(),
        });
    }
    fs::remove_dir_all(folder).map_err(|source| PythonError::NotWritable {
        path: folder.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_missing_folder_and_a_folder_of_something_else_are_told_apart() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join(".venv");
        assert!(matches!(
            python_of(&folder),
            Err(PythonError::VenvMissing { .. })
        ));
        fs::create_dir(&folder).unwrap();
        assert!(matches!(
            python_of(&folder),
            Err(PythonError::NotAVenv { .. })
        ));
        fs::write(folder.join("pyvenv.cfg"), "").unwrap();
        assert!(matches!(
            python_of(&folder),
            Err(PythonError::VenvBroken { target: None, .. })
        ));
    }

    #[test]
    fn a_dangling_interpreter_names_the_end_of_its_links() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("pyvenv.cfg"), "").unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        symlink("python3", folder.path().join("bin/python")).unwrap();
        symlink("/nowhere/python3.9", folder.path().join("bin/python3")).unwrap();
        let error = python_of(folder.path()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "the virtualenv `{}` is broken: its `bin/python` points to `/nowhere/python3.9`, which does not exist",
                folder.path().display()
            )
        );
    }

    #[test]
    fn only_virtualenvs_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("precious");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("thesis.tex"), "").unwrap();
        assert!(matches!(
            remove(&folder, false),
            Err(PythonError::NotAVenv { .. })
        ));
        assert!(folder.join("thesis.tex").exists());
        fs::write(folder.join("pyvenv.cfg"), "").unwrap();
        remove(&folder, false).unwrap();
        assert!(!folder.exists());
    }
}
