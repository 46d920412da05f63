//! `include`, as nginx resolves it: relative to the folder of the first file, globs sorted, each
//! included file in the place of its directive.

use std::path::{Path, PathBuf};

use crate::disk::{self, Disk};
use crate::fault::{Fault, Problem};
use crate::read;
use crate::report::{Report, Verdict};
use crate::source::{Place, Sources};

use super::tree::{self, Directive};

/// Files that one configuration may include, and how many of them in each other.
const MOST: usize = 500;
const DEEPEST: usize = 16;
/// Bytes that all of them may have.
const BYTES: usize = 16 << 20;

/// Files that come with nginx, and what holds in their place.
const KNOWN: [(&str, Verdict, &str); 7] = [
    (
        "mime.types",
        Verdict::Default,
        "types of files are built in",
    ),
    (
        "uwsgi_params",
        Verdict::NotNeeded,
        "environ holds all of it: nothing lies between front and application",
    ),
    (
        "fastcgi_params",
        Verdict::NotNeeded,
        "nothing speaks FastCGI",
    ),
    ("fastcgi.conf", Verdict::NotNeeded, "nothing speaks FastCGI"),
    ("scgi_params", Verdict::NotNeeded, "nothing speaks SCGI"),
    (
        "proxy_params",
        Verdict::NotNeeded,
        "the application sees host, scheme and client's address as they are",
    ),
    (
        "modules-enabled",
        Verdict::NotNeeded,
        "appliance has no modules",
    ),
];

/// Puts the files of every `include` in its place.
pub(crate) struct Includer<'a> {
    pub(crate) disk: &'a dyn Disk,
    pub(crate) sources: &'a mut Sources,
    pub(crate) report: &'a mut Report,
    /// The folder of the first file.
    pub(crate) folder: PathBuf,
}

impl Includer<'_> {
    /// The directives of a text, its includes resolved. `chain`: the files that lead here.
    pub(crate) fn expand(
        &mut self,
        number: usize,
        chain: &mut Vec<PathBuf>,
    ) -> Result<Vec<Directive>, Fault> {
        let text = self.sources.get(number).text.clone();
        let tree = tree::parse(number, &text)?;
        self.level(tree, chain)
    }

    fn level(
        &mut self,
        tree: Vec<Directive>,
        chain: &mut Vec<PathBuf>,
    ) -> Result<Vec<Directive>, Fault> {
        let mut out = Vec::with_capacity(tree.len());
        for mut directive in tree {
            if directive.name == "include" {
                self.include(&directive, chain, &mut out)?;
                continue;
            }
            if let Some(block) = directive.block.take() {
                directive.block = Some(self.level(block, chain)?);
            }
            out.push(directive);
        }
        Ok(out)
    }

    fn include(
        &mut self,
        directive: &Directive,
        chain: &mut Vec<PathBuf>,
        out: &mut Vec<Directive>,
    ) -> Result<(), Fault> {
        let pattern = directive.arg();
        if let Some((_, verdict, text)) = KNOWN.iter().find(|(name, ..)| names(pattern, name)) {
            self.report.row(directive.place, *verdict, *text);
            return Ok(());
        }
        let files = self.files(pattern);
        if files.is_empty() {
            let (verdict, text) = match disk::is_glob(pattern) {
                true => (Verdict::NotNeeded, "matches no file"),
                false => (
                    Verdict::Missing,
                    "there is no such file here: what it holds is not carried over",
                ),
            };
            self.report.row(directive.place, verdict, text);
            return Ok(());
        }
        let text = format!(
            "read: {} {}",
            files.len(),
            if files.len() == 1 { "file" } else { "files" }
        );
        self.report.row(directive.place, Verdict::Carried, text);
        for path in files {
            self.enter(&path, directive.place, chain, out)?;
        }
        Ok(())
    }

    fn enter(
        &mut self,
        path: &Path,
        place: Place,
        chain: &mut Vec<PathBuf>,
        out: &mut Vec<Directive>,
    ) -> Result<(), Fault> {
        if let Some(at) = chain.iter().position(|earlier| earlier == path) {
            let by = chain[at..].iter().skip(1);
            let by = by.map(|path| path.display().to_string()).collect();
            return Err(Fault::at(place, Problem::Loop { by }));
        }
        if chain.len() == DEEPEST || self.sources.len() >= MOST || self.sources.bytes() > BYTES {
            return Err(Fault::at(place, Problem::TooMuch { limit: MOST }));
        }
        let name = path.display().to_string();
        let number = read::read(self.disk, path, &name, self.sources).map_err(|fault| Fault {
            place: Some(place),
            ..fault
        })?;
        chain.push(path.to_owned());
        out.extend(self.expand(number, chain)?);
        chain.pop();
        Ok(())
    }

    /// The files which a pattern names. A copy of `/etc/nginx` in another folder includes from
    /// that folder.
    fn files(&self, pattern: &str) -> Vec<PathBuf> {
        let here = self.folder.join(pattern);
        let copied = pattern
            .strip_prefix("/etc/nginx/")
            .map(|rest| self.folder.join(rest));
        let candidates = [Some(here), copied];
        let mut found = candidates.into_iter().flatten().map(|path| {
            let files = match disk::is_glob(&path.to_string_lossy()) {
                true => disk::glob(self.disk, &path),
                false if self.disk.exists(&path) => vec![path],
                false => Vec::new(),
            };
            files
                .into_iter()
                .filter(|path| !self.disk.is_folder(path))
                .collect::<Vec<_>>()
        });
        found.find(|files| !files.is_empty()).unwrap_or_default()
    }
}

/// Whether the pattern's file, or its folder, has this name.
fn names(pattern: &str, name: &str) -> bool {
    pattern.split('/').any(|part| part == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::tests::Memory;

    fn expand(files: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let disk = Memory::with(files);
        let (mut sources, mut report) = (Sources::default(), Report::default());
        let number = sources.add(files[0].0, files[0].1);
        let mut includer = Includer {
            disk: &disk,
            sources: &mut sources,
            report: &mut report,
            folder: "/etc/nginx".into(),
        };
        let tree = includer.expand(number, &mut vec![files[0].0.into()]);
        match tree {
            Ok(tree) => Ok(tree.into_iter().map(|directive| directive.name).collect()),
            Err(fault) => Err(fault.render(&sources, false)),
        }
    }

    #[test]
    fn files_stand_in_the_place_of_their_include() {
        let names = expand(&[
            (
                "/etc/nginx/nginx.conf",
                "a; include conf.d/*.conf; include mime.types; z;",
            ),
            ("/etc/nginx/conf.d/2.conf", "c;"),
            ("/etc/nginx/conf.d/1.conf", "b;"),
            ("/etc/nginx/conf.d/no.txt", "}"),
        ]);
        assert_eq!(names.unwrap(), ["a", "b", "c", "z"]);
    }

    #[test]
    fn loops_are_shown_with_the_files_they_go_through() {
        let refusal = expand(&[
            ("/etc/nginx/nginx.conf", "include a;"),
            ("/etc/nginx/a", "x; include b;"),
            ("/etc/nginx/b", "\ninclude nginx.conf;"),
        ]);
        assert!(refusal.unwrap_err().starts_with(
            "error: /etc/nginx/b:2:1: this file includes itself, by way of `/etc/nginx/a`, `/etc/nginx/b`\n"
        ));
        let refusal = expand(&[("/etc/nginx/nginx.conf", "include nginx.conf;")]);
        assert!(
            refusal
                .unwrap_err()
                .starts_with("error: /etc/nginx/nginx.conf:1:1: this file includes itself\n")
        );
    }

    #[test]
    fn a_broken_file_is_shown_in_itself() {
        let refusal = expand(&[
            ("/etc/nginx/nginx.conf", "include a;"),
            ("/etc/nginx/a", "x {"),
        ]);
        assert!(
            refusal
                .unwrap_err()
                .starts_with("error: /etc/nginx/a:1:1: this block does not end\n")
        );
    }
}
