//! From the merged layers to a [`Project`]: every table read, every range and path checked, every
//! contradiction found, before anything starts.
//!
//! 1. The top of the file, `[server]`, `[python]`, `[hooks]`.
//! 2. Each `[[site]]` by itself, with its routes.
//! 3. What only shows in the whole: clashing sites, an application that a route needs.

mod account;
mod address;
mod application;
mod circle;
mod development;
mod host_name;
mod identity;
mod log;
mod machine_memory;
mod paths;
mod proxy;
mod proxy_tls;
mod recycling;
mod redirect;
mod route;
mod rules;
mod server;
mod site;
mod sites;
mod template;
mod tls;
mod url_path;
mod whole;

use std::path::PathBuf;

use figment::value::Dict;

pub use self::rules::cache_directives;
use crate::Setting;
use crate::development::Development;
use crate::fault::Fault;
use crate::key_path::KeyPath;
use crate::keys::{DEV, HOOKS, PYTHON, SERVER, Section, TOP};
use crate::layers::Layers;
use crate::model::{Application, OtherApplication, Project, Site};
use crate::reader::{Reader, Table};
use crate::report::Problem;
use crate::toml::is_indexed;

/// The project, if nothing is wrong with it, and every setting that could be read.
pub(crate) fn project(
    file: PathBuf,
    layers: &Layers,
    development: Option<&Development>,
    problems: &mut Vec<Problem>,
) -> (Option<Project>, Vec<Setting>) {
    let mut merged = layers.merged();
    if development.is_some() {
        development::to_front(&mut merged);
    }
    let mut reader = Reader {
        layers,
        problems,
        settings: Vec::new(),
    };
    let folder = file.parent().map(PathBuf::from).unwrap_or_default();
    let mut check = Check {
        reader: &mut reader,
        folder,
        development,
        hooks: false,
        rate_limits: 0,
        module: None,
        others: Vec::new(),
    };
    let project = check.whole(file, &merged);
    (project, reader.settings)
}

/// The state of a check.
struct Check<'r, 'a> {
    reader: &'r mut Reader<'a>,
    /// The project file's folder.
    folder: PathBuf,
    development: Option<&'r Development>,
    /// Whether a hook may still create the files that are served.
    hooks: bool,
    /// Rate limits that were read so far.
    rate_limits: u32,
    /// `python.module`.
    module: Option<Application>,
    /// The applications that routes have named so far.
    others: Vec<OtherApplication>,
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
        let mut python = python.and_then(|table| self.python(&table, server.as_ref()));
        if let Some(python) = &python {
            self.module.clone_from(&python.application);
        }
        let hooks = self
            .section(&top, "hooks", &HOOKS)
            .and_then(|table| self.hooks(&table));
        self.hooks = hooks
            .as_ref()
            .is_some_and(|hooks| !hooks.before_start.is_empty());
        let dev = self.section(&top, "dev", &DEV);
        let dev = dev.and_then(|table| self.dev(&table));
        let (sites, all_good) = self.sites(&top);
        if let Some(python) = &mut python {
            python.others = std::mem::take(&mut self.others);
        }
        self.across_sites(&sites, &top);
        if let Some(server) = &server {
            self.proxies_of_sites(&sites, server, &top);
        }
        self.application_of_routes(&top);
        let mut sites: Vec<Site> = all_good
            .then_some(sites)?
            .into_iter()
            .map(|(_, site)| site)
            .collect();
        let dev = Some(dev?).filter(|_| self.development.is_some());
        if let Some(dev) = &dev {
            let routes = sites.iter_mut().flat_map(|site| &mut site.routes);
            routes.for_each(|route| development::be_patient(&mut route.target, dev));
        }
        Some(Project {
            file,
            server: server?,
            python: python?,
            hooks: hooks?,
            sites,
            dev,
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
}
