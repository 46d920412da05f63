//! Command lines: words with their places, and the program that they start.

use std::path::Path;

use crate::Import;
use crate::fault::Fault;
use crate::gunicorn;
use crate::report::Verdict;
use crate::setting::Setting;
use crate::source::Place;
use crate::uwsgi::{self, table};

/// A word of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) place: Place,
}

/// The words from `start` on, up to the end of the line that no backslash continues; and where
/// that is. Quotes as in a shell; nothing else of a shell's is meant by systemd.
pub(crate) fn words(number: usize, text: &str, start: usize) -> (Vec<Word>, usize) {
    let mut words = Vec::new();
    let (mut word, mut begin, mut quote) = (String::new(), None, None);
    let mut at = start;
    let mut chars = text[start..].chars().peekable();
    while let Some(c) = chars.next() {
        let here = at;
        at += c.len_utf8();
        match (c, quote) {
            ('\n', _) => {
                at = here;
                break;
            }
            ('\\', _) if chars.peek() == Some(&'\n') => {
                chars.next();
                at += 1;
                push(&mut words, &mut word, &mut begin, number, here);
            }
            ('\\', quote) if quote != Some('\'') => {
                begin.get_or_insert(here);
                if let Some(next) = chars.next() {
                    at += next.len_utf8();
                    word.push(next);
                }
            }
            (c, Some(open)) if c == open => quote = None,
            (c, Some(_)) => word.push(c),
            ('"' | '\'', None) => {
                begin.get_or_insert(here);
                quote = Some(c);
            }
            (c, None) if c.is_whitespace() => push(&mut words, &mut word, &mut begin, number, here),
            (c, None) => {
                begin.get_or_insert(here);
                word.push(c);
            }
        }
    }
    push(&mut words, &mut word, &mut begin, number, at);
    (words, at)
}

fn push(
    words: &mut Vec<Word>,
    word: &mut String,
    begin: &mut Option<usize>,
    text: usize,
    end: usize,
) {
    if let Some(start) = begin.take() {
        words.push(Word {
            text: std::mem::take(word),
            place: Place { text, start, end },
        });
    }
}

/// Reads a command that starts an application server.
pub(crate) fn import(import: &mut Import<'_>, words: &[Word]) -> Result<(), Fault> {
    let Some((program, rest)) = words.split_first() else {
        return Ok(());
    };
    let path = Path::new(&program.text);
    let name = path
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let is_python = name.starts_with("python");
    let module = match rest {
        [flag, module, ..] if is_python && flag.text == "-m" => module.text.as_str(),
        _ => "",
    };
    match (name.as_str(), module) {
        (name, _) if name.starts_with("uwsgi") => {
            virtualenv(import, path, program.place);
            let settings = uwsgi_options(import, rest);
            uwsgi::command(import, settings)
        }
        (name, _) if name.starts_with("gunicorn") => {
            virtualenv(import, path, program.place);
            gunicorn::import(import, rest);
            Ok(())
        }
        (_, "gunicorn" | "gunicorn.app.wsgiapp") => {
            virtualenv(import, path, program.place);
            gunicorn::import(import, &rest[2..]);
            Ok(())
        }
        ("bash" | "sh" | "dash", _) => inside_shell(import, rest, program.place),
        ("env", _) => {
            let assignments = rest
                .iter()
                .take_while(|word| word.text.contains('='))
                .count();
            for word in &rest[..assignments] {
                import.variable(&word.text, word.place);
            }
            self::import(import, &rest[assignments..])
        }
        _ => {
            let text = "the importer reads commands of uwsgi and gunicorn: set `python.module` to what this one runs";
            import.row(program.place, Verdict::Missing, text);
            Ok(())
        }
    }
}

/// The virtual environment that a program lies in, if it does: what stands in `/usr` lies in none.
fn virtualenv(import: &mut Import<'_>, program: &Path, place: Place) {
    let folder = program
        .parent()
        .filter(|folder| folder.ends_with("bin"))
        .and_then(Path::parent);
    match folder {
        Some(folder) if folder.starts_with("/usr") || folder == Path::new("/") => {
            let text = "the system's own: set `python.virtualenv`, or `python.interpreter`";
            import.row(place, Verdict::Default, text);
        }
        Some(folder) => {
            let folder = folder.display().to_string();
            import.set(
                ("[python]", "virtualenv"),
                &[&folder],
                crate::convert::Bare::Bytes,
                place,
            );
        }
        None => import.row(place, Verdict::NotNeeded, "appliance runs in its place"),
    }
}

/// `bash -c "cd /srv && exec gunicorn …"`: the last command, if the others only prepare.
fn inside_shell(import: &mut Import<'_>, rest: &[Word], shell: Place) -> Result<(), Fault> {
    let script = rest.iter().find(|word| !word.text.starts_with('-'));
    let Some(script) = script.filter(|_| rest.first().is_some_and(|word| word.text.contains('c')))
    else {
        import.row(
            shell,
            Verdict::Missing,
            "a script is not read: set `python.module` to what it runs",
        );
        return Ok(());
    };
    let last = script.text.rsplit("&&").next().unwrap_or_default().trim();
    let last = last.strip_prefix("exec ").unwrap_or(last);
    let (words, _) = words(script.place.text, last, 0);
    if script.text.contains("&&") {
        let text =
            "of a shell's commands the last one is read: look at what those before it prepare";
        import.row(script.place, Verdict::Trap, text);
    }
    // Places inside the script are not those of the file.
    let words: Vec<_> = words
        .into_iter()
        .map(|word| Word {
            place: script.place,
            ..word
        })
        .collect();
    let nested = words.first().is_some_and(|word| word.text.ends_with("sh"));
    match nested {
        true => {
            import.row(shell, Verdict::Missing, "a shell in a shell is not read");
            Ok(())
        }
        false => self::import(import, &words),
    }
}

/// uWSGI's options: `--name value`, `--name=value`, `-p 4`, and files that stand alone.
fn uwsgi_options(import: &mut Import<'_>, words: &[Word]) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        at += 1;
        let next = words.get(at).filter(|next| !next.text.starts_with("--"));
        let (name, inline) = match word.text.strip_prefix("--") {
            Some(long) => match long.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (long.to_owned(), None),
            },
            None => match short(&word.text) {
                Some((name, inline)) => (name.to_owned(), inline),
                None => {
                    settings.extend(alone(import, word));
                    continue;
                }
            },
        };
        let is_flag = table::FLAGS.contains(&name.as_str());
        let (value, place) = match (inline, next) {
            (Some(value), _) => (Some(value), word.place),
            (None, Some(next)) if !is_flag => {
                at += 1;
                (Some(next.text.clone()), word.place.to(next.place))
            }
            (None, _) => (None, word.place),
        };
        settings.push(Setting { name, value, place });
    }
    settings
}

/// `-p` and `-p4`.
fn short(word: &str) -> Option<(&'static str, Option<String>)> {
    let rest = word.strip_prefix('-')?;
    let letter = rest.chars().next()?;
    let (_, name) = table::SHORT.iter().find(|(short, _)| *short == letter)?;
    let value = &rest[letter.len_utf8()..];
    Some((name, (!value.is_empty()).then(|| value.to_owned())))
}

/// A word without option: a configuration, or the application's file.
fn alone(import: &mut Import<'_>, word: &Word) -> Option<Setting> {
    let name = match word.text.rsplit('.').next().unwrap_or_default() {
        "ini" => "ini",
        "xml" => "xml",
        "yaml" | "yml" => "yaml",
        "json" => "json",
        "py" | "wsgi" => "wsgi-file",
        _ => {
            import.row(
                word.place,
                Verdict::Missing,
                "the importer does not know what it is",
            );
            return None;
        }
    };
    Some(Setting {
        name: name.to_owned(),
        value: Some(word.text.clone()),
        place: word.place,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_systemd_splits_them() {
        let text = "x='a b' \"c\\\"d\" \\\n  e '' f\\ g\nnext";
        let (words, end) = words(0, text, 0);
        let seen: Vec<_> = words.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(seen, ["x=a b", "c\"d", "e", "", "f g"]);
        assert_eq!(&text[words[2].place.start..words[2].place.end], "e");
        assert_eq!(&text[end..], "\nnext");
    }
}
