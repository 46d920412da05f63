//! What names of nginx's and uWSGI's are here, for an importer: the same tables from which the
//! messages take their suggestions, so that the two cannot disagree.

use crate::alias::{INSTEAD, NGINX, UWSGI, same};
use crate::keys::{Key, Kind, SECTIONS};

/// Whose name it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// nginx.
    Nginx,
    /// uWSGI.
    Uwsgi,
}

/// What a name is here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Foreign {
    /// A key.
    Key {
        /// Its table: `[python]`.
        header: &'static str,
        /// Its name.
        name: &'static str,
        /// Its type and range.
        kind: Kind,
    },
    /// Something without a key.
    Instead {
        /// What holds in its place.
        text: &'static str,
        /// Whether that is no more than that it is missing.
        missing: bool,
    },
}

/// What the name is here; none if nobody has said so.
pub fn foreign(program: Program, name: &str) -> Option<Foreign> {
    let names = |key: &Key| match program {
        Program::Nginx => key.nginx,
        Program::Uwsgi => key.uwsgi,
    };
    for section in SECTIONS {
        let key = section.keys.iter();
        if let Some(key) = key
            .clone()
            .find(|key| names(key).iter().any(|n| same(n, name)))
        {
            return Some(Foreign::Key {
                header: section.header,
                name: key.name,
                kind: key.kind,
            });
        }
    }
    let whose = match program {
        Program::Nginx => NGINX,
        Program::Uwsgi => UWSGI,
    };
    let (.., text) = INSTEAD
        .iter()
        .find(|(of, n, _)| *of == whose && same(n, name))?;
    // `there is no … yet` is how that table speaks of what will get a key.
    let missing = text
        .split(' ')
        .any(|word| word.trim_end_matches([',', ':', ';']) == "yet");
    Some(Foreign::Instead { text, missing })
}

/// The type and range of a key, by its table's header and its name.
pub fn kind(header: &str, name: &str) -> Option<Kind> {
    let section = SECTIONS
        .into_iter()
        .find(|section| section.header == header)?;
    Some(section.key(name)?.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_keys_or_explained() {
        let key = foreign(Program::Uwsgi, "limit_as");
        assert!(matches!(
            key,
            Some(Foreign::Key {
                header: "[python]",
                name: "memory_limit",
                ..
            })
        ));
        let other = foreign(Program::Nginx, "limit-as");
        assert_eq!(other, None);
        let missing = foreign(Program::Uwsgi, "vacuum");
        assert!(matches!(
            missing,
            Some(Foreign::Instead { missing: false, .. })
        ));
    }
}
