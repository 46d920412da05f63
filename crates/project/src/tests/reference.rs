//! docs/project-file.md says what the code does.

use std::path::Path;
use std::{env, fs};

use super::fixture::Shop;
use crate::keys::SECTIONS;
use crate::reference;

/// What precedes it is written by hand.
const MARK: &str =
    "<!-- From here on written by `UPDATE=1 cargo test -p appliance-project reference`. -->\n";

#[test]
fn the_reference_lists_every_key_with_its_default() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/project-file.md");
    let text = fs::read_to_string(&file).expect("the reference");
    let (by_hand, keys) = text.split_once(MARK).expect("the mark");
    let written = reference();
    if env::var_os("UPDATE").is_some() {
        fs::write(&file, format!("{by_hand}{MARK}{written}")).expect("written");
    } else {
        assert_eq!(keys, written, "UPDATE=1 writes it anew");
    }
    let parts: Vec<&str> = written.split("\n## ").skip(1).collect();
    for (section, part) in SECTIONS.iter().zip(parts) {
        assert!(part.starts_with(&format!("`{}`\n", section.header)));
        for key in section.keys {
            let heading = format!("\n### `{}`\n", key.name);
            assert_eq!(part.matches(&heading).count(), 1, "{}", key.name);
            assert!(!key.meaning.is_empty(), "{}", key.name);
        }
    }
}

#[test]
fn the_example_of_the_reference_loads() {
    let text = include_str!("../../../../docs/project-file.md");
    let example = text
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let shop = Shop::new();
    for folder in ["frontend/dist", "backend/static_root"] {
        fs::create_dir_all(shop.path().join(folder)).expect("created");
    }
    fs::write(shop.path().join("frontend/dist/index.html"), "x").expect("written");
    let loaded = shop
        .load(example.expect("an example"), &[], &[])
        .unwrap_or_else(|r| panic!("{r}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
}

#[test]
fn every_example_of_routes_loads() {
    let text = include_str!("../../../../docs/routes.md");
    let examples: Vec<&str> = text
        .split("```toml")
        .skip(1)
        // Behind the fence it may say what the example is part of.
        .filter_map(|rest| rest.split_once('\n')?.1.split("```").next())
        .collect();
    assert!(examples.len() >= 5, "{}", examples.len());
    for example in examples {
        let before = match example.contains("[[site]]") {
            true => "[python]\nmodule = \"config.wsgi\"\n",
            false => "[python]\nmodule = \"config.wsgi\"\n[[site]]\nlisten = 8080\n[site.routes]\n",
        };
        let shop = Shop::new();
        let loaded = shop.load(format!("{before}{example}"), &[], &[]);
        let loaded = loaded.unwrap_or_else(|report| panic!("{example}\n{report}"));
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    }
}
