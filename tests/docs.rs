//! What the pages say, tried: every project file is checked, every command run, here or by the test
//! that its block names, and every link followed.
//!
//! Words behind a fence's language say what a block is:
//!
//! - `toml`: a whole project file; `toml site`, `toml routes`, `toml keys`: a part of one;
//! - `sh`: run here, in a folder which holds what the page has shown so far; `sh by=TEST`: run by that
//!   test, which names how each command begins (`tests/deploy/follow`); `sh untried`: see [`UNTRIED`];
//! - a name with a dot in it: the file is there for the commands that follow;
//! - `text output`: what the commands before it print, `…` standing for anything.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

#[path = "docs/page.rs"]
mod page;
#[path = "docs/story.rs"]
mod story;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;

use page::{Block, Page, pages, repository};
use support::{Finished, Project, test_virtualenv};

/// Commands that no test runs, by the page and how the block begins, and why.
const UNTRIED: [(&str, &str, &str); 5] = [
    (
        "docs/first-server.md",
        "sudo apt install certbot",
        "certbot is Let's Encrypt's, which has to reach the machine",
    ),
    (
        "docs/first-server.md",
        "sudo systemctl reload appliance\nsudo certbot",
        "the same; the hook that it calls is tried",
    ),
    (
        "docs/kubernetes.md",
        "kubectl apply -f",
        "a cluster; what is applied is held against its schemas",
    ),
    (
        "docs/kubernetes.md",
        "kubectl -n lantern-lane delete",
        "the same",
    ),
    (
        "docs/kubernetes.md",
        "kubectl -n lantern-lane exec",
        "the same",
    ),
];

/// Folders and files that pages take for granted.
const SCAFFOLD: [&str; 12] = [
    "backend/static_root/x",
    "backend/requirements.txt",
    "backend/requirements-postgresql.txt",
    "backma/requirements.txt",
    "requirements.txt",
    "django_static/x",
    "frontend/dist/index.html",
    "dist/index.html",
    "media/x",
    "public/index.html",
    "acme/.well-known/acme-challenge/x",
    "logs/x",
];

fn scaffold(toml: &str) -> Project {
    let project = Project::new(toml);
    let project = SCAFFOLD
        .iter()
        .fold(project, |project, name| project.file(name, ""));
    let virtualenv = test_virtualenv().expect("APPLIANCE_TEST_PYTHON is a virtualenv's");
    symlink(virtualenv, project.path(".venv")).unwrap();
    let names = vec!["example.com".to_owned()];
    let certified = rcgen::generate_simple_self_signed(names).unwrap();
    project
        .file("tls/fullchain.pem", certified.cert.pem())
        .file("tls/privkey.pem", certified.signing_key.serialize_pem())
}

/// The whole file that a block is a part of.
fn whole(block: &Block) -> String {
    let text = &block.text;
    match &*block.about {
        "routes" => format!("[[site]]\nlisten = 8080\nsendfile_roots = []\n[site.routes]\n{text}"),
        "site" => format!("{text}\n[site.routes]\n\"/\" = {{ respond = 404 }}\n"),
        "keys" => format!("{text}\n[[site]]\nlisten = 8080\nroutes.\"/\" = {{ respond = 404 }}\n"),
        _ => text.clone(),
    }
}

#[test]
fn every_project_file_is_right() {
    let mut wrong = String::new();
    let mut tried = 0;
    for block in blocks("toml") {
        let mut text = whole(&block);
        if text.contains("wsgi = ") && !text.contains("[python]") {
            text.insert_str(0, "[python]\nmodule = \"config.wsgi\"\n");
        }
        let checked = Finished::of(scaffold(&text).command("check"));
        if checked.status != 0 {
            wrong += &format!("{}:\n{}\n", block.place(), checked.stderr);
        }
        tried += 1;
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(tried > 15, "{tried} project files in all the pages");
}

#[test]
fn every_command_does_what_its_page_says() {
    let followed: usize = pages().iter().map(story::follow).sum();
    assert!(followed > 10, "{followed} commands in all the pages");
}

#[test]
fn nobody_reads_a_block_that_nobody_tries() {
    let mut wrong = Vec::new();
    let mut untried = BTreeSet::new();
    for block in pages().iter().flat_map(|page| &page.blocks) {
        match (&*block.language, block.about.split_once('=')) {
            ("sh", Some(("by", test))) => {
                let script = script(test);
                let named = followed(&script, &block.page);
                let commands = match block.text.starts_with("#!") {
                    true => vec![block.text.clone()],
                    false => story::commands(&block.text),
                };
                for command in commands {
                    if !named.iter().any(|begins| command.starts_with(begins)) {
                        let place = block.place();
                        wrong.push(format!("{place}: {test} does not follow `{command}`"));
                    }
                }
            }
            ("sh", None) if block.about == "untried" => {
                let is_it = |(page, begins, _): &&(&str, &str, &str)| {
                    *page == block.page && block.text.starts_with(begins)
                };
                match UNTRIED.iter().find(is_it) {
                    Some(entry) => _ = untried.insert(entry),
                    None => wrong.push(format!("{}: not in UNTRIED", block.place())),
                }
            }
            ("sh", None) if block.about.is_empty() => {}
            ("toml", None)
                if ["", "routes", "site", "keys"].contains(&&*block.about)
                    || block.about.ends_with(".toml") => {}
            ("text", None) if ["", "output"].contains(&&*block.about) => {}
            ("json", None) if serde_json::from_str::<serde_json::Value>(&block.text).is_ok() => {}
            // Files: for the commands of a page, or to be read.
            ("ini" | "nginx" | "html" | "python" | "dockerfile" | "yaml" | "promql", None) => {}
            _ => wrong.push(format!("{}: what is this block?", block.place())),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let gone: Vec<_> = UNTRIED
        .iter()
        .filter(|entry| !untried.contains(entry))
        .collect();
    assert!(gone.is_empty(), "no page has these any more: {gone:#?}");
}

/// A script, with those beside it that it sources.
fn script(name: &str) -> String {
    let read = |name: &str| fs::read_to_string(repository().join(name)).unwrap_or_default();
    let text = read(name);
    let sourced = text.lines().filter_map(|line| line.strip_prefix(". "));
    let sourced: String = sourced.map(read).collect();
    text + &sourced
}

/// How the commands begin that a script takes from a page: `follow docs/install.md 'tar xf'`.
fn followed<'a>(script: &'a str, page: &str) -> Vec<&'a str> {
    let quoted = script.split(page).skip(1);
    quoted
        .filter_map(|rest| rest.strip_prefix(" '")?.split('\'').next())
        .filter(|begins| !begins.is_empty())
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    let root = repository();
    let mut wrong = Vec::new();
    let mut followed = 0;
    for page in &pages {
        for (line, target) in page.links() {
            if target.starts_with("http") {
                continue;
            }
            followed += 1;
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let folder = root.join(&page.name).parent().unwrap().to_owned();
            let file = match path {
                "" => root.join(&page.name),
                path => folder.join(path),
            };
            let Ok(file) = file.canonicalize() else {
                wrong.push(format!("{}:{line}: there is no {target}", page.name));
                continue;
            };
            let name = file.strip_prefix(&root).unwrap().display().to_string();
            if !anchor.is_empty() && !anchors(&pages, &name).contains(&anchor.to_owned()) {
                wrong.push(format!("{}:{line}: no heading for {target}", page.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(followed > 50, "{followed} links in all the pages");
}

fn anchors(pages: &[Page], name: &str) -> Vec<String> {
    let Some(page) = pages.iter().find(|page| page.name == name) else {
        return Vec::new();
    };
    match page.included() {
        Some(other) => anchors(pages, other),
        None => page.anchors(),
    }
}

#[test]
fn every_page_is_in_the_book() {
    let pages = pages();
    let summary = pages.iter().find(|page| page.name == "docs/SUMMARY.md");
    let summary = summary.expect("docs/SUMMARY.md");
    let listed: Vec<String> = summary.links().into_iter().map(|(_, to)| to).collect();
    let distinct: BTreeSet<&String> = listed.iter().collect();
    assert_eq!(listed.len(), distinct.len(), "a page is listed twice");
    for page in &pages {
        let name = page.name.strip_prefix("docs/");
        let name = name.filter(|name| *name != "SUMMARY.md").map(str::to_owned);
        if let Some(name) = name {
            assert!(listed.contains(&name), "{name} is not in docs/SUMMARY.md");
        }
        if let Some(other) = page.included() {
            assert!(repository().join(other).is_file(), "{}: {other}", page.name);
        }
    }
}

#[test]
fn errors_in_the_readme_are_those_that_are_printed() {
    let block = blocks("text")
        .into_iter()
        .find(|block| block.page == "README.md");
    let shown = block.expect("the README's errors").text;
    let mut lines = vec![String::new(); 19];
    lines[3] = "[python]".to_owned();
    lines[4] = "module = \"config.wsgi\"".to_owned();
    lines[5] = "workers = 4".to_owned();
    lines[16] = "[[site]]".to_owned();
    lines[17] = "listen = 8080".to_owned();
    lines[18] = "client_max_body_size = \"20M\"".to_owned();
    let toml = format!("{}\nroutes.\"/\" = {{ respond = 404 }}\n", lines.join("\n"));
    let checked = Finished::of(scaffold(&toml).command("check"));
    assert_eq!(checked.stderr.trim_end(), shown.trim_end());
}

#[test]
fn log_lines_are_those_of_the_source() {
    let mut source = String::new();
    let mut folders = vec![repository().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                source += &fs::read_to_string(path).unwrap();
            }
        }
    }
    // A long string goes on in the next line, behind a backslash.
    let source: String = source.split("\\\n").map(str::trim_start).collect();
    let page = fs::read_to_string(repository().join("docs/operations.md")).unwrap();
    let table = page.split("| phrase |").nth(1).unwrap();
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let mut looked_for = 0;
    for row in rows {
        let phrase = row.split('`').nth(1).unwrap();
        for part in phrase
            .split('…')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            assert!(source.contains(part), "nobody says `{part}`: {row}");
        }
        looked_for += 1;
    }
    assert!(looked_for > 20, "{looked_for} log lines");
}

fn blocks(language: &str) -> Vec<Block> {
    let all = pages().into_iter().flat_map(|page| page.blocks);
    all.filter(|block| block.language == language).collect()
}
