//! The crate as its callers see it.

use super::*;

#[test]
fn a_whole_project_loads() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("index.html"), "x").expect("written");
    let file = folder.path().join("project.toml");
    let text =
        "[[site]]\nlisten = 0\nroutes.\"/\" = { files = \".\", fallback = \"/index.html\" }\n";
    fs::write(&file, text).expect("written");
    let loaded = load(&Sources {
        file,
        ..Sources::default()
    })
    .expect("a project");
    assert_eq!(loaded.project.sites[0].listen[0].to_string(), "0.0.0.0:0");
}
