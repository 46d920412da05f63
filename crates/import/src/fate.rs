//! What becomes of a directive of nginx or an option of uWSGI.

use appliance_project::{Foreign, Program, foreign};

/// What becomes of it; `C` names what is more than a setting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fate<C> {
    /// A key says the same.
    Key(Foreign),
    /// Code of its own reads it.
    Construct(C),
    /// Replaced by a default.
    Default(&'static str),
    /// Not needed any more.
    NotNeeded(&'static str),
    /// Not supported, and what to do.
    Missing(&'static str),
    /// Not supported, and without it something would be open that was closed.
    Guard(&'static str),
    /// Nobody knows it.
    Unknown,
}

/// Names that share a fate.
pub(crate) type Row<C> = (&'static [&'static str], Fate<C>);

/// What becomes of what `program` calls `name`. Where a row says that there is no key and the table
/// of keys has one after all, the latter is believed.
pub(crate) fn find<C: Copy>(rows: &[Row<C>], program: Program, name: &str) -> Fate<C> {
    let row = rows.iter().find(|(names, _)| names.contains(&name));
    match (row.map(|(_, fate)| *fate), foreign(program, name)) {
        (Some(fate @ (Fate::Construct(_) | Fate::Default(_) | Fate::NotNeeded(_))), _) => fate,
        (_, Some(key @ Foreign::Key { .. })) => Fate::Key(key),
        (Some(fate), _) => fate,
        (None, Some(Foreign::Instead { text, missing })) => match missing {
            true => Fate::Missing(text),
            false => Fate::Default(text),
        },
        (None, None) => Fate::Unknown,
    }
}

/// Panics where a name has two rows.
#[cfg(test)]
pub(crate) fn assert_one_row_each<C>(rows: &[Row<C>]) {
    let mut seen = std::collections::BTreeSet::new();
    for name in rows.iter().flat_map(|(names, _)| *names) {
        assert!(seen.insert(name), "{name} stands twice");
    }
}
