//! From the merged layers to a [`Project`]: every table read, every range and path checked, every
//! contradiction found, before anything starts.
//!
//! 1. The top of the file, `[server]`, `[python]`, `[hooks]`.
//! 2. Each `[[site]]` by itself, with its routes.
//! 3. What only shows in the whole: clashing sites, an application that a route needs.

mod address;
mod application;
mod host_name;
mod paths;
mod route;
mod server;
mod site;
mod url_path;
mod whole;

use std::path::PathBuf;

use figment::value::{Dict, Value};

use crate::Setting;
use crate::fault::Fault;
use crate::key_path::KeyPath;
use crate::keys::{HOOKS, PYTHON, SERVER, SITE, Section, TOP};
use crate::layers::{FILE, Layers, Origin};
use crate::model::{Project, Site};
use crate::reader::{Reader, Table};
use crate::report::{Place, Problem};
use crate::toml::{index_of, is_indexed};

/// The project, if nothing is wrong with it, and every setting that could be read.
pub(crate) fn project(
    file: PathBuf,
    layers: &Layers,
    problems: &mut Vec<Problem>,
) -> (Option<Project>, Vec<Setting>) {
    let merged = layers.merged();
    let mut reader = Reader {
        layers,
        problems,
        settings: Vec::new(),
    };
    let folder = file.parent().map(PathBuf::from).unwrap_or_default();
    let mut check = Check {
        reader: &mut reader,
        folder,
        hooks: false,
    };
    let project = check.whole(file, &merged);
    (project, reader.settings)
}

/// The state of a check.
struct Check<'r, 'a> {
    reader: &'r mut Reader<'a>,
    /// The project file's folder.
    folder: PathBuf,
    /// Whether a hook may still create the files that are served.
    hooks: bool,
}

impl Check<'_, '_> {
    fn whole(&mut self, file: PathBuf, merged: &Dict) -> Option<Project> {
        let top = Table {
            path: KeyPath::default(),
            section: &TOP,
            dict: merged,
        };
        self.reader.known_keys(&top);
        let server = self
            .section(&top, "server", &SERVER)
            .and_then(|table| self.server(&table));
        let python = self.section(&top, "python", &PYTHON);
        let python = python.and_then(|table| self.python(&table, server.as_ref()));
        let hooks = self
            .section(&top, "hooks", &HOOKS)
            .and_then(|table| self.hooks(&table));
        self.hooks = hooks
            .as_ref()
            .is_some_and(|hooks| !hooks.before_start.is_empty());
        let sites = self.sites(&top);
        if let Some(sites) = &sites {
            self.across_sites(sites, &top);
        }
        self.application_of_routes(&top);
        let sites = sites?.into_iter().map(|(_, site)| site).collect();
        Some(Project {
            file,
            server: server?,
            python: python?,
            hooks: hooks?,
            sites,
        })
    }

    /// The table `name` of the top; none, and reported, if it is something else.
    fn section<'d>(
        &mut self,
        top: &Table<'d>,
        name: &str,
        section: &'static Section,
    ) -> Option<Table<'d>> {
        let dict = self.reader.table(top, name)?;
        let path = top.path.join(name);
        if is_indexed(dict) {
            let place = self.reader.header_place(&path, top.dict.get(name)?);
            self.reader.error(
                Fault::TableList {
                    header: section.header,
                },
                place,
            );
            return None;
        }
        let table = Table {
            path,
            section,
            dict,
        };
        self.reader.known_keys(&table);
        Some(table)
    }

    /// Every site with its number; none if one of them is wrong.
    fn sites(&mut self, top: &Table<'_>) -> Option<Vec<(usize, Site)>> {
        let dict = match top.dict.get("site") {
            None => {
                self.reader.error(
                    Fault::NoSite,
                    Place {
                        layer: FILE,
                        span: None,
                    },
                );
                return None;
            }
            Some(_) => self.reader.table(top, "site")?,
        };
        let mut numbered: Vec<(usize, &str, &Value)> = Vec::new();
        let mut good = true;
        for (key, value) in dict {
            match index_of(key) {
                Some(index) => numbered.push((index, key, value)),
                None => good = self.not_a_site(&top.path.join("site").join(key.as_str()), value),
            }
        }
        numbered.sort_by_key(|(index, ..)| *index);
        let mut sites = Vec::new();
        for (position, (index, key, value)) in numbered.into_iter().enumerate() {
            let path = top.path.join("site").join(key);
            let site = match index == position {
                true => self.one_site(&path, value),
                false => self.no_such_site(&path, value, key, position),
            };
            match site {
                Some(site) => sites.push((index, site)),
                None => good = false,
            }
        }
        good.then_some(sites)
    }

    fn one_site(&mut self, path: &KeyPath, value: &Value) -> Option<Site> {
        match value {
            Value::Dict(_, dict) => {
                let table = Table {
                    path: path.clone(),
                    section: &SITE,
                    dict,
                };
                self.reader.known_keys(&table);
                self.site(&table, value)
            }
            other => {
                let entry = crate::reader::Entry {
                    path: path.clone(),
                    value: other,
                };
                self.reader.expected(&entry, path.clone(), "a table".into());
                None
            }
        }
    }

    /// A key of a site where its number should be.
    fn not_a_site(&mut self, path: &KeyPath, value: &Value) -> bool {
        let place = self.reader.key_place(path, value);
        let in_file = matches!(self.reader.layers.get(place.layer).origin, Origin::File(_));
        match (in_file, path.parent()) {
            (true, Some(site)) => {
                let place = Place {
                    layer: place.layer,
                    span: self.reader.header_place(&site, value).span,
                };
                self.reader.error(Fault::SingleSite, place);
            }
            _ => self.reader.error(Fault::SiteWithoutNumber, place),
        }
        false
    }

    fn no_such_site(
        &mut self,
        path: &KeyPath,
        value: &Value,
        key: &str,
        sites: usize,
    ) -> Option<Site> {
        let place = self.reader.key_place(path, value);
        self.reader.error(
            Fault::NoSuchSite {
                number: key.to_owned(),
                sites,
            },
            place,
        );
        None
    }
}
