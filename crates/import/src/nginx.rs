//! nginx.conf, in these steps:
//!
//! 1. `lexer` and `tree` read the words and blocks of a file, `include` puts further files in.
//! 2. `level` goes through a level's directives, from the outermost inwards, by the rows of
//!    `table`; `scope` is what a level passes down.
//! 3. `server`, `location`, `files`, `passed`, `proxy_ssl` and `backend` turn what is found into sites and routes.

mod access;
mod answer;
mod backend;
mod caching;
mod error_pages;
mod files;
mod include;
mod level;
mod lexer;
mod listen;
mod location;
mod passed;
mod proxy_ssl;
mod representation;
mod rules;
mod scope;
mod server;
mod table;
mod tree;
mod upstream;
mod values;

use std::path::{Path, PathBuf};

use crate::Import;
use crate::fault::{Fault, Problem};
use crate::read;

pub(crate) use self::answer::redirect_target;
use self::backend::Backends;
pub(crate) use self::backend::address;
use self::include::Includer;
use self::level::{Level, Reader};
use self::scope::Scope;

/// Reads one configuration, includes and all, into the draft.
pub(crate) fn import(import: &mut Import<'_>, number: usize, path: &Path) -> Result<(), Fault> {
    let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
    let mut includer = Includer {
        disk: import.disk,
        sources: &mut import.sources,
        report: &mut import.report,
        folder: folder.clone(),
    };
    let tree = includer.expand(number, &mut vec![path.to_owned()])?;
    if tree.is_empty() {
        let name = import.sources.get(number).name.clone();
        return Err(Fault {
            place: Some(read::whole(&import.sources, number)),
            problem: Problem::Empty { name },
        });
    }
    let mut reader = Reader {
        prefix: prefix(&folder),
        conf: folder.clone(),
        backends: Backends::find(&tree),
        import,
    };
    // A file of sites-available has no `http` around its servers.
    let is_whole = tree.iter().any(|directive| directive.name == "http");
    let level = if is_whole { Level::Main } else { Level::Http };
    reader.level(level, &tree, &mut Scope::default());
    Ok(())
}

/// The folder from which nginx counts relative paths: where it was built to, which its
/// configuration only suggests.
fn prefix(folder: &Path) -> PathBuf {
    let below_conf = folder.file_name().is_some_and(|name| name == "conf");
    match (below_conf, folder.parent()) {
        (true, Some(prefix)) => prefix.to_owned(),
        _ if folder.starts_with("/etc/nginx") => "/usr/share/nginx".into(),
        _ => folder.to_owned(),
    }
}
