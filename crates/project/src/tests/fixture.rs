//! A small project on disk.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::{Loaded, Report, Sources, load};

/// What messages show instead of the temporary folder.
const SHOWN: &str = "/srv/shop";

/// A folder with a front, a back and a virtual environment, and no project file yet.
pub(super) struct Shop(TempDir);

impl Shop {
    pub(super) fn new() -> Shop {
        let shop = Shop(tempfile::tempdir().expect("a folder"));
        for folder in ["backend", "dist/assets", "media", ".venv"] {
            fs::create_dir_all(shop.path().join(folder)).expect("created");
        }
        for file in ["dist/index.html", "media/robots.txt", "requirements.txt"] {
            fs::write(shop.path().join(file), "x").expect("written");
        }
        let hash = "$2y$05$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234";
        for (file, text) in [
            ("staff", format!("ann:{hash}\n")),
            (
                "old",
                format!("# staff\nann:{hash}\nbob:$apr1$lZL6V/ci$eIMz/iKDkbtys/\n"),
            ),
            ("none", "# nobody yet\n".to_owned()),
        ] {
            let path = shop.path().join(format!("{file}.htpasswd"));
            fs::write(path, text).expect("written");
        }
        shop
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Loads `text` under these variables and flags.
    pub(super) fn load(
        &self,
        text: impl AsRef<[u8]>,
        environment: &[(&str, &str)],
        overrides: &[&str],
    ) -> Result<Loaded, Report> {
        let file = self.path().join("project.toml");
        fs::write(&file, text).expect("written");
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        load(&Sources {
            file,
            environment: environment.iter().map(owned).collect(),
            overrides: overrides.iter().map(|flag| (*flag).to_owned()).collect(),
            development: None,
        })
    }

    /// `text` as it would read if the project stood in `/srv/shop` and were checked from there.
    pub(super) fn shown(&self, text: &str) -> String {
        let folder = self.path().display().to_string();
        text.replace(&format!("{folder}/project.toml:"), "project.toml:")
            .replace(&folder, SHOWN)
    }
}
