//! What uWSGI puts in before it looks at an option: included files, `%(name)`, `%d`, `$(VAR)`.
//! Conditions and loops are reported, not followed: they ask about a machine that this need not be.

use std::path::{Path, PathBuf};

use crate::Import;
use crate::fault::{Fault, Problem};
use crate::json::{self, Node};
use crate::kind::{self, Kind};
use crate::read;
use crate::report::Verdict;
use crate::setting::Setting;
use crate::source::Place;

use super::{ini, xml, yaml};

/// Files that load files, and values in values.
const DEEPEST: usize = 16;
const LONGEST: usize = 64 << 10;

/// The settings of a file, in the form that its name and text have.
pub(super) fn file(
    import: &mut Import<'_>,
    number: usize,
    path: &Path,
) -> Result<Vec<Setting>, Fault> {
    let mut chain = vec![path.to_owned()];
    load(import, number, path, "uwsgi", &mut chain)
}

fn load(
    import: &mut Import<'_>,
    number: usize,
    path: &Path,
    section: &str,
    chain: &mut Vec<PathBuf>,
) -> Result<Vec<Setting>, Fault> {
    let text = import.sources.get(number).text.clone();
    let raw = match kind::of(path, &text) {
        Some(Kind::UwsgiXml) => xml::parse(number, &text)?,
        Some(Kind::UwsgiYaml) => yaml::parse(number, &text)?,
        Some(Kind::UwsgiJson) => of_json(&json::parse(number, &text)?),
        _ => of_section(import, ini::parse(number, &text)?, section),
    };
    settings(import, raw, path, chain)
}

/// The named section; the others are not read.
fn of_section(import: &mut Import<'_>, sections: Vec<ini::Section>, name: &str) -> Vec<Setting> {
    let mut settings = Vec::new();
    for section in sections {
        match section.name == name {
            true => settings.extend(section.settings),
            false => {
                let text =
                    format!("uWSGI reads `[{name}]` alone, unless another section is asked for");
                import.row(section.place, Verdict::NotNeeded, text);
            }
        }
    }
    settings
}

/// `{"uwsgi": {"option": value, "option": [value, value]}}`
fn of_json(node: &Node) -> Vec<Setting> {
    let members = node.get("uwsgi").map_or(&[][..], Node::members);
    let of_member = |(name, node): &(String, Node)| {
        let elements = node.elements().iter();
        let settings = elements.map(|element| Setting {
            name: name.clone(),
            value: element.word(),
            place: node.place,
        });
        settings.collect::<Vec<_>>()
    };
    members.iter().flat_map(of_member).collect()
}

/// Puts in what stands for something else.
pub(super) fn settings(
    import: &mut Import<'_>,
    raw: Vec<Setting>,
    path: &Path,
    chain: &mut Vec<PathBuf>,
) -> Result<Vec<Setting>, Fault> {
    let raw = without_conditions(import, raw);
    let mut out = Vec::new();
    for setting in &raw {
        let mut value = setting.value.clone();
        if let Some(text) = &value {
            match value_of(import, text, &raw, path, 0) {
                Ok(text) => value = Some(text),
                Err(unknown) => {
                    let text = format!("`{unknown}` is not known here: write the setting by hand");
                    import.row(setting.place, Verdict::Missing, text);
                    continue;
                }
            }
        }
        let setting = Setting {
            value,
            ..setting.clone()
        };
        if is_own_name(&setting, &raw) {
            import.row(
                setting.place,
                Verdict::NotNeeded,
                "a name of one's own, put in where it is used",
            );
        } else if loads(&setting.name) {
            out.extend(included(import, &setting, path, chain)?);
        } else {
            out.push(setting);
        }
    }
    Ok(out)
}

fn loads(name: &str) -> bool {
    matches!(
        name,
        "ini" | "include" | "inherit" | "config" | "xml" | "yaml" | "yml" | "json"
    )
}

/// `other.ini` or `other.ini:section`.
fn included(
    import: &mut Import<'_>,
    setting: &Setting,
    path: &Path,
    chain: &mut Vec<PathBuf>,
) -> Result<Vec<Setting>, Fault> {
    let text = setting.text();
    let (name, section) = match text.rsplit_once(':') {
        Some((name, section)) if !section.contains('/') => (name, section),
        _ => (text, "uwsgi"),
    };
    let same = name.is_empty();
    let file = match same {
        true => path.to_owned(),
        false => path.parent().unwrap_or(Path::new("/")).join(name),
    };
    let place = setting.place;
    let key = PathBuf::from(format!("{}:{section}", file.display()));
    if section == "uwsgi" && chain.contains(&file) || chain.contains(&key) || chain.len() > DEEPEST
    {
        let by = chain
            .iter()
            .skip(1)
            .map(|path| path.display().to_string())
            .collect();
        return Err(Fault::at(place, Problem::Loop { by }));
    }
    if import.named.contains(&file) {
        import.row(place, Verdict::Carried, "read, as it was named");
        return Ok(Vec::new());
    }
    if !import.disk.exists(&file) {
        let text = format!(
            "there is no `{}` here: name the file as well",
            file.display()
        );
        import.row(place, Verdict::Missing, text.clone());
        import.notes.push(text);
        return Ok(Vec::new());
    }
    let shown = file.display().to_string();
    let at = |fault: Fault| Fault {
        place: fault.place.or(Some(place)),
        ..fault
    };
    let number = read::read(import.disk, &file, &shown, &mut import.sources).map_err(at)?;
    import.row(place, Verdict::Carried, "read");
    chain.push(if section == "uwsgi" {
        file.clone()
    } else {
        key
    });
    let settings = load(import, number, &file, section, chain);
    chain.pop();
    settings
}

/// Leaves out what stands between `if-…` or `for` and its end.
fn without_conditions(import: &mut Import<'_>, raw: Vec<Setting>) -> Vec<Setting> {
    let mut open: Option<(String, Place)> = None;
    let mut out = Vec::new();
    for setting in raw {
        let name = setting.name.replace('_', "-");
        let begins = name.starts_with("if-") || name == "for" || name.starts_with("for-");
        let ends = matches!(name.as_str(), "endif" | "end-if" | "endfor" | "end-for");
        match (&open, begins, ends) {
            (_, true, _) => {
                let text = "conditions and loops are not followed: write what is meant by hand";
                import.row(setting.place, Verdict::Missing, text);
                open = Some((name, setting.place));
            }
            (_, _, true) => open = None,
            (Some((condition, place)), ..) => {
                let line = import.sources.line(*place);
                let text = format!("stands in the `{condition}` of {line}");
                import.row(setting.place, Verdict::Missing, text);
            }
            (None, ..) => out.push(setting),
        }
    }
    out
}

/// Whether the name is used as `%(name)` and is no option.
fn is_own_name(setting: &Setting, all: &[Setting]) -> bool {
    let used = format!("%({})", setting.name);
    super::table::fate(&setting.name) == crate::fate::Fate::Unknown
        && !loads(&setting.name)
        && all.iter().any(|other| other.text().contains(&used))
}

/// The value with everything put in, or what is not known.
fn value_of(
    import: &Import<'_>,
    text: &str,
    all: &[Setting],
    path: &Path,
    depth: usize,
) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['%', '$', '@']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if out.len() > LONGEST || depth > DEEPEST {
            return Err(text.chars().take(40).collect());
        }
        if let Some((name, after)) = bracketed(rest, "%(") {
            let placeholder = all.iter().find_map(|setting| own_value(setting, name));
            let value = placeholder.ok_or_else(|| format!("%({name})"))?;
            out.push_str(&value_of(import, &value, all, path, depth + 1)?);
            rest = after;
        } else if let Some((name, after)) = bracketed(rest, "$(") {
            let value = import
                .disk
                .variable(name)
                .ok_or_else(|| format!("$({name})"))?;
            out.push_str(&value);
            rest = after;
        } else if let Some((name, _)) = bracketed(rest, "@(") {
            return Err(format!("@({name})"));
        } else if rest.starts_with('%') {
            rest = &rest[1..];
            let Some(letter) = rest.chars().next() else {
                out.push('%');
                break;
            };
            match magic(letter, path) {
                Some(value) => out.push_str(&value),
                None if letter.is_ascii_alphabetic() => return Err(format!("%{letter}")),
                None => {
                    // `%%` and `100% of`.
                    out.push('%');
                    if letter != '%' {
                        continue;
                    }
                }
            }
            rest = &rest[letter.len_utf8()..];
        } else {
            out.push_str(&rest[..1]);
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// What stands for `%(name)`: the option of this name, or `set-placeholder = name=value`.
fn own_value(setting: &Setting, name: &str) -> Option<String> {
    if setting.name == name {
        return Some(setting.text().to_owned());
    }
    if !matches!(setting.name.as_str(), "set-placeholder" | "set-ph" | "set") {
        return None;
    }
    let (own, value) = setting.text().split_once('=')?;
    (own == name).then(|| value.to_owned())
}

fn bracketed<'t>(text: &'t str, open: &str) -> Option<(&'t str, &'t str)> {
    text.strip_prefix(open)?.split_once(')')
}

/// uWSGI's magic variables, those that the file's own path answers.
fn magic(letter: char, path: &Path) -> Option<String> {
    let lossy =
        |name: Option<&std::ffi::OsStr>| name.map(|name| name.to_string_lossy().into_owned());
    let folder = path.parent().unwrap_or(Path::new("/"));
    match letter {
        'p' | 'o' => Some(path.display().to_string()),
        // With its final slash, as in `%dapp`.
        'd' => Some(format!(
            "{}/",
            folder.display().to_string().trim_end_matches('/')
        )),
        's' => lossy(path.file_name()),
        'n' => lossy(path.file_stem()),
        'e' => lossy(path.extension()),
        'c' => lossy(folder.file_name()),
        _ => None,
    }
}
