//! A page: its blocks, headings and links. As much of Markdown as the pages use.

use std::fs;
use std::path::{Path, PathBuf};

/// A fenced block.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    /// The page, relative to the repository.
    pub(crate) page: String,
    /// Of its fence.
    pub(crate) line: usize,
    /// The word behind the fence.
    pub(crate) language: String,
    /// The words behind that: a file's name, or who runs it.
    pub(crate) about: String,
    pub(crate) text: String,
}

impl Block {
    /// For messages.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.page, self.line)
    }
}

/// A page, without the text of its blocks.
pub(crate) struct Page {
    pub(crate) name: String,
    pub(crate) blocks: Vec<Block>,
    /// Line by line; lines of blocks are empty.
    prose: Vec<String>,
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// Everything that is written for readers.
pub(crate) fn pages() -> Vec<Page> {
    let root = repository();
    let mut names: Vec<String> = [
        "README.md",
        "ARCHITECTURE.md",
        "SECURITY.md",
        "CHANGELOG.md",
    ]
    .map(str::to_owned)
    .to_vec();
    for folder in ["docs", "config/demo", "tests/bench", "tests/conformance"] {
        let entries = fs::read_dir(root.join(folder)).unwrap();
        let found = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let found = found.filter(|name| name.ends_with(".md"));
        names.extend(found.map(|name| format!("{folder}/{name}")));
    }
    names.sort();
    names.iter().map(|name| read(&root, name)).collect()
}

fn read(root: &Path, name: &str) -> Page {
    let text = fs::read_to_string(root.join(name)).unwrap();
    let mut page = Page {
        name: name.to_owned(),
        blocks: Vec::new(),
        prose: Vec::new(),
    };
    let mut open: Option<Block> = None;
    for (at, line) in text.lines().enumerate() {
        page.prose.push(String::new());
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => page.blocks.extend(open.take()),
            (Some(words), None) => {
                let (language, about) = words.split_once(' ').unwrap_or((words, ""));
                open = Some(Block {
                    page: name.to_owned(),
                    line: at + 1,
                    language: language.to_owned(),
                    about: about.to_owned(),
                    text: String::new(),
                });
            }
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => line.clone_into(&mut page.prose[at]),
        }
    }
    assert!(open.is_none(), "{name}: a block does not end");
    page
}

impl Page {
    /// Targets of links, each with its line.
    pub(crate) fn links(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for (at, line) in self.prose.iter().enumerate() {
            let text = without_code(line);
            for part in text.split("](").skip(1) {
                let target = part.split(')').next().unwrap();
                found.push((at + 1, target.to_owned()));
            }
        }
        found
    }

    /// What a link may name behind `#`, as GitHub and mdBook make it of headings.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let headings = self.prose.iter().filter_map(|line| line.strip_prefix('#'));
        headings
            .map(|line| {
                let title = line.trim_start_matches('#').trim().to_lowercase();
                let kept = title
                    .chars()
                    .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
                kept.map(|c| if c == ' ' { '-' } else { c }).collect()
            })
            .collect()
    }

    /// The page that this one consists of, as `{{#include ../SECURITY.md}}` says.
    pub(crate) fn included(&self) -> Option<&str> {
        let line = self.prose.iter().find(|line| line.contains("{{#include"))?;
        let path = line.split("{{#include ").nth(1)?.split("}}").next()?;
        path.strip_prefix("../")
    }
}

/// A line without what stands in backticks; the text of a link may.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}
