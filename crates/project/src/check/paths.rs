//! Paths of the project: relative to its file, made absolute by text alone. Symbolic links stay:
//! `current -> releases/42` must be resolved anew after every deployment.

use std::path::{Component, Path, PathBuf};

use crate::fault::Fault;
use crate::key_path::quoted;
use crate::reader::{Entry, Table};

use super::Check;
use super::server::print_list;

/// `path` below `folder`, without `.` and with `..` applied by text.
pub(crate) fn absolute(folder: &Path, path: &str) -> PathBuf {
    let mut out = PathBuf::new();
    for component in folder.join(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

impl Check<'_, '_> {
    /// The absolute path which the key holds.
    pub(super) fn path<'d>(
        &mut self,
        table: &Table<'d>,
        name: &str,
    ) -> Option<(PathBuf, Entry<'d>)> {
        let (text, entry) = self.reader.text(table, name)?;
        let path = absolute(&self.folder, &text);
        let printed = quoted(&path.display().to_string());
        Some((self.reader.accept(&entry, printed, path), entry))
    }

    /// The folder which the key holds; it must exist.
    pub(super) fn folder_of(&mut self, table: &Table<'_>, name: &str) -> Option<PathBuf> {
        let (path, entry) = self.path(table, name)?;
        self.must_be_folder(path, &entry)
    }

    /// A list of folders, which must exist.
    pub(super) fn folders(&mut self, table: &Table<'_>, name: &str) -> Option<Vec<PathBuf>> {
        let texts = self.reader.list(table, name)?;
        let (mut folders, count) = (Vec::new(), texts.len());
        for (text, entry) in texts {
            let folder = absolute(&self.folder, &text);
            folders.extend(self.must_be_folder(folder, &entry));
        }
        let shown = folders.iter().map(|folder: &PathBuf| folder.display());
        let printed: Vec<String> = shown.map(|path| path.to_string()).collect();
        let entry = table.entry(name)?;
        (folders.len() == count).then(|| self.reader.accept(&entry, print_list(&printed), folders))
    }

    pub(super) fn must_be_folder(&mut self, path: PathBuf, entry: &Entry<'_>) -> Option<PathBuf> {
        if path.is_dir() {
            return Some(path);
        }
        let exists = path.exists();
        let key = entry.path.clone();
        self.reader.fault_at(
            Fault::NoFolder {
                key,
                path,
                exists,
                hooks: false,
            },
            entry,
        );
        None
    }

    pub(super) fn must_be_file(&mut self, path: PathBuf, entry: &Entry<'_>) -> Option<PathBuf> {
        if path.is_file() {
            return Some(path);
        }
        let exists = path.exists();
        let key = entry.path.clone();
        self.reader.fault_at(
            Fault::NoRegularFile {
                key,
                path,
                exists,
                hooks: false,
            },
            entry,
        );
        None
    }

    /// Something served is not what it must be: an error, or a warning if it is missing and a
    /// hook may still create it. Whether the start may go on.
    pub(super) fn not_served(&mut self, fault: Fault, exists: bool, entry: &Entry<'_>) -> bool {
        let place = self.reader.value_place(entry);
        let may_come = self.hooks && !exists;
        match may_come {
            true => self.reader.warn(fault, place),
            false => self.reader.error(fault, place),
        }
        may_come
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_absolute_by_text() {
        for (path, expected) in [
            ("dist", "/srv/shop/dist"),
            ("./a/./b", "/srv/shop/a/b"),
            ("../x", "/srv/x"),
            ("../../../../x", "/x"),
            ("/var/www/", "/var/www"),
            (".", "/srv/shop"),
        ] {
            assert_eq!(
                absolute(Path::new("/srv/shop"), path),
                Path::new(expected),
                "{path}"
            );
        }
    }
}
