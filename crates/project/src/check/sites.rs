//! The list of sites, and what stands where a site should be.

use figment::value::{Dict, Value};

use crate::fault::Fault;
use crate::key_path::KeyPath;
use crate::keys::SITE;
use crate::layers::{FILE, Origin};
use crate::model::Site;
use crate::reader::{Entry, Table};
use crate::report::Place;
use crate::toml::index_of;

use super::Check;

impl Check<'_, '_> {
    /// Every good site with its number, and whether there is no other.
    pub(super) fn sites(&mut self, top: &Table<'_>) -> (Vec<(usize, Site)>, bool) {
        let Some(dict) = self.site_tables(top) else {
            return (Vec::new(), false);
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
        (sites, good)
    }

    fn site_tables<'d>(&mut self, top: &Table<'d>) -> Option<&'d Dict> {
        let Some(entry) = top.entry("site") else {
            let place = Place {
                layer: FILE,
                span: None,
            };
            self.reader.error(Fault::NoSite, place);
            return None;
        };
        let Value::Dict(_, dict) = entry.value else {
            let expected = "a list of tables, `[[site]]`".to_owned();
            self.reader.expected(&entry, entry.path.clone(), expected);
            return None;
        };
        Some(dict)
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
                let entry = Entry {
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
