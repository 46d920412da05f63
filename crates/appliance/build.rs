//! Builds the worker library (`crates/worker`, an extension module for Python) and leaves it in
//! `OUT_DIR`, where `src/library.rs` takes it into the binary.
//!
//! Cargo cannot yet depend on another package's cdylib (RFC 3028, artifact dependencies, is
//! unstable), so this runs a cargo of its own. It has its own target folder: the outer cargo
//! holds the lock of the ordinary one while it waits for us.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the library is made of beside the crates, relative to the workspace.
const SOURCES: [&str; 3] = ["Cargo.toml", "Cargo.lock", ".cargo/config.toml"];

/// The crates that have no part in it.
const OTHERS: [&str; 4] = ["appliance", "import", "supervisor", "survey"];

fn main() {
    let workspace = PathBuf::from(required("CARGO_MANIFEST_DIR")).join("../..");
    let target_dir = PathBuf::from(required("OUT_DIR")).join("worker");
    let crates = std::fs::read_dir(workspace.join("crates")).expect("the workspace's crates");
    let crates = crates.map(|entry| entry.expect("a crate").path());
    let others = |path: &PathBuf| OTHERS.iter().any(|other| path.ends_with(other));
    let sources = SOURCES.iter().map(|source| workspace.join(source));
    for source in sources.chain(crates.filter(|path| !others(path))) {
        println!("cargo:rerun-if-changed={}", source.display());
    }
    let library = build(&workspace, &target_dir);
    // Not `APPLIANCE_…`: cargo passes it on to `cargo run` and `cargo test`, and variables of that
    // name are settings.
    println!("cargo:rustc-env=WORKER_LIBRARY={}", library.display());
}

/// Runs the nested build and returns the library's path. Its messages go to standard error,
/// which cargo shows when a build script fails.
fn build(workspace: &Path, target_dir: &Path) -> PathBuf {
    let release = required("PROFILE") == "release";
    let mut cargo = Command::new(required("CARGO"));
    cargo
        .current_dir(workspace)
        .args([
            "build",
            "--package",
            "appliance-worker",
            "--locked",
            "--target-dir",
        ])
        .arg(target_dir)
        .env("PYO3_NO_PYTHON", "1")
        .env("PYO3_BUILD_EXTENSION_MODULE", "1")
        // `cargo clippy` sets it, and would lint here instead of building.
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("CLIPPY_ARGS");
    if release {
        cargo.arg("--release");
    }
    let mut built = target_dir.to_path_buf();
    if required("TARGET") != required("HOST") {
        cargo.arg("--target").arg(required("TARGET"));
        built.push(required("TARGET"));
    }
    let status = cargo
        .status()
        .unwrap_or_else(|error| panic!("cannot run cargo for the worker library: {error}"));
    assert!(
        status.success(),
        "the worker library did not build ({status})"
    );
    built
        .join(if release { "release" } else { "debug" })
        .join("libappliance_worker.so")
}

fn required(name: &str) -> String {
    env::var(name).unwrap_or_else(|error| panic!("cargo did not set {name}: {error}"))
}
