//! The reference of keys, as docs/project-file.md has it: written from the table of keys, so
//! that a range or a default stands in one place.

use crate::alias::{INSTEAD, OURS};
use crate::keys::{Default, Key, SECTIONS, Section};

/// Every key with its type, range, default, meaning and foreign names, in Markdown.
pub fn reference() -> String {
    let tables: String = SECTIONS.iter().map(|section| table(section)).collect();
    format!("{tables}{}", without_key())
}

/// What has no key here, for those who come with a uwsgi.ini and an nginx.conf.
fn without_key() -> String {
    let row = |(program, name, text): &(&str, &str, &str)| match *program {
        OURS => String::new(),
        program => format!("| `{name}` | {program} | {text} |\n"),
    };
    let rows: String = INSTEAD.iter().map(row).collect();
    format!("\n## Names without a key\n\n| name | of | instead |\n| --- | --- | --- |\n{rows}")
}

fn table(section: &Section) -> String {
    let keys: String = section.keys.iter().map(entry).collect();
    format!("\n## `{}`\n\n{}\n{keys}", section.header, section.about)
}

fn entry(key: &Key) -> String {
    let mut facts = vec![key.kind.expected(), default(key.default)];
    for (program, names) in [("nginx", key.nginx), ("uWSGI", key.uwsgi)] {
        if !names.is_empty() {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            facts.push(format!("{program}: {}", names.join(", ")));
        }
    }
    format!(
        "\n### `{}`\n\n{}\n\n{}\n",
        key.name,
        facts.join(" · "),
        key.meaning
    )
}

fn default(default: Default) -> String {
    match default {
        Default::Toml(text) => format!("default: `{text}`"),
        Default::Said(phrase) => format!("default: {phrase}"),
        Default::Required => "required".to_owned(),
    }
}
