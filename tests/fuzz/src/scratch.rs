//! The folder that targets write to, and project files in it.

use std::path::PathBuf;

use appliance_project::{Loaded, Report, Sources, load};

/// `FUZZ_FOLDER`, which `tests/fuzz/run` makes anew for each target and removes.
pub(crate) fn folder() -> PathBuf {
    std::env::var_os("FUZZ_FOLDER")
        .expect("`FUZZ_FOLDER` must name a folder")
        .into()
}

/// Loads this text as a project file. Only the file counts, not the environment.
pub(crate) fn project(text: &[u8]) -> Result<Loaded, Report> {
    let file = folder().join("project.toml");
    std::fs::write(&file, text).expect("a file in the folder");
    load(&Sources {
        file,
        ..Sources::default()
    })
}
