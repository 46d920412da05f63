//! A systemd unit: the command it starts, where and with which variables. Everything else in it
//! stays in the unit that will run appliance.

use std::path::PathBuf;

use crate::Import;
use crate::command::{self, Word};
use crate::fault::{Fault, Problem};
use crate::read;
use crate::report::Verdict;
use crate::source::Place;

/// A line `key=…` of `[Service]`: its key, the place of all of it, and where its value begins.
struct Assignment {
    section: String,
    key: String,
    words: Vec<Word>,
    place: Place,
}

/// Reads a unit into the draft.
pub(crate) fn import(import: &mut Import<'_>, number: usize) -> Result<(), Fault> {
    let text = import.sources.get(number).text.clone();
    let assignments = parse(number, &text)?;
    if !assignments.iter().any(|line| line.key == "ExecStart") {
        let name = import.sources.get(number).name.clone();
        return Err(Fault {
            place: Some(read::whole(&import.sources, number)),
            problem: Problem::Empty { name },
        });
    }
    // Paths of the command count from there.
    for line in assignments
        .iter()
        .filter(|line| line.key == "WorkingDirectory")
    {
        let folder = value(line).trim_start_matches('-').to_owned();
        import.python.base = Some(PathBuf::from(folder));
        import.row(
            line.place,
            Verdict::Carried,
            "where relative paths count from, and `python.chdir`",
        );
    }
    for line in &assignments {
        match (line.section.as_str(), line.key.as_str()) {
            ("Service", "WorkingDirectory") => {}
            ("Service", "ExecStart") => exec_start(import, line)?,
            ("Service", "ExecStartPre") => exec_start_pre(import, line),
            ("Service", "Environment") => {
                for word in &line.words {
                    import.variable(&word.text, word.place);
                }
            }
            ("Service", "EnvironmentFile" | "PassEnvironment" | "LoadCredential") => {
                import.row(line.place, Verdict::NotNeeded, "keep it in the unit that runs appliance: the application sees the service's variables");
            }
            ("Service", "User" | "Group" | "SupplementaryGroups" | "DynamicUser") => {
                import.python.has_user = true;
                import.row(line.place, Verdict::NotNeeded, "keep it in the unit that runs appliance; ports below 1024 need `AmbientCapabilities=CAP_NET_BIND_SERVICE`");
            }
            ("Service", key)
                if key.starts_with("Exec")
                    || matches!(
                        key,
                        "PIDFile"
                            | "KillSignal"
                            | "KillMode"
                            | "Type"
                            | "NotifyAccess"
                            | "RuntimeDirectory"
                    ) =>
            {
                import.row(
                    line.place,
                    Verdict::NotNeeded,
                    "appliance's own unit, deploy/systemd/appliance.service, has what it needs",
                );
            }
            _ => import.row(
                line.place,
                Verdict::NotNeeded,
                "keep it in the unit that runs appliance",
            ),
        }
    }
    Ok(())
}

fn exec_start(import: &mut Import<'_>, line: &Assignment) -> Result<(), Fault> {
    let mut words = line.words.clone();
    if let Some(first) = words.first_mut() {
        // `-` and the like say how systemd takes the command.
        first.text = first
            .text
            .trim_start_matches(['-', '@', ':', '+', '!'])
            .to_owned();
    }
    if let Some(word) = words.iter().find(|word| has_specifier(&word.text)) {
        let text = "systemd puts something in here that is not known: write the setting by hand";
        import.row(word.place, Verdict::Trap, text);
    }
    command::import(import, &words)
}

/// `%i`, `%h`, `$VARIABLE`.
fn has_specifier(word: &str) -> bool {
    let after =
        |c: char, fits: fn(char) -> bool| word.split(c).skip(1).any(|rest| rest.starts_with(fits));
    after('%', |c| c.is_ascii_alphabetic()) || after('$', |c| c == '{' || c.is_ascii_alphabetic())
}

fn exec_start_pre(import: &mut Import<'_>, line: &Assignment) {
    let plain = line
        .words
        .first()
        .is_some_and(|word| word.text.starts_with('/'));
    let command = import.sources.excerpt_whole(line.place);
    let command = command
        .split_once('=')
        .map(|(_, command)| command.trim().to_owned());
    match (plain, command) {
        (true, Some(command)) if !has_specifier(&command) => {
            import.draft.before_start.push((command, line.place));
            import.row(line.place, Verdict::Carried, "`hooks.before_start`");
        }
        _ => import.row(
            line.place,
            Verdict::Missing,
            "keep it in the unit, or write it into `hooks.before_start`",
        ),
    }
}

fn value(line: &Assignment) -> &str {
    line.words.first().map_or("", |word| word.text.as_str())
}

fn parse(number: usize, text: &str) -> Result<Vec<Assignment>, Fault> {
    let mut lines = Vec::new();
    let (mut section, mut at) = (String::new(), 0);
    while at < text.len() {
        let line_end = text[at..]
            .find('\n')
            .map_or(text.len(), |newline| at + newline);
        let line = &text[at..line_end];
        let start = at + (line.len() - line.trim_start().len());
        let trimmed = line.trim();
        let place = Place {
            text: number,
            start,
            end: start + trimmed.len(),
        };
        if trimmed.is_empty() || trimmed.starts_with(['#', ';', '\u{feff}']) {
            at = line_end + 1;
        } else if let Some(name) = trimmed.strip_prefix('[') {
            let name = name.strip_suffix(']');
            let name = name.ok_or_else(|| {
                Fault::at(
                    place,
                    Problem::Unfinished {
                        what: "section's name",
                    },
                )
            })?;
            section = name.to_owned();
            at = line_end + 1;
        } else if let Some(equals) = trimmed.find('=') {
            let (words, end) = command::words(number, text, start + equals + 1);
            lines.push(Assignment {
                section: section.clone(),
                key: trimmed[..equals].trim().to_owned(),
                words,
                place: Place { end, ..place },
            });
            at = end + 1;
        } else {
            let found = format!(
                "`{}`",
                trimmed.chars().take(40).collect::<String>().escape_debug()
            );
            let expected = "`Key=value`";
            return Err(Fault::at(place, Problem::Expected { expected, found }));
        }
    }
    Ok(lines)
}
