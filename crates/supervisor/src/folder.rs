//! The folder the server was started in, by the name it had then.
//!
//! `cd /srv/shop/current && appliance serve`: when `current` has come to point to another release,
//! a reload must read that one. The kernel keeps the folder, the name finds the new one.

use std::path::{Path, PathBuf};

use crate::place;

/// A folder by its name.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// The current one, by the name the shell used.
    pub(crate) fn current() -> Folder {
        Folder(place::logical(Path::new(".")))
    }

    /// Enters whatever has the name now.
    pub(crate) fn enter(&self) {
        if let Err(error) = std::env::set_current_dir(&self.0) {
            let folder = self.0.display();
            tracing::warn!(%folder, %error, "the folder it was started in cannot be entered again");
        }
    }
}
