//! Configurations as they are met in the wild, and what becomes of them: whole project files and
//! whole reports, compared with those beside this file. `UPDATE=1` writes them anew, to be read.

use std::path::{Path, PathBuf};
use std::{env, fs};

use appliance_project::Sources;

use crate::disk::tests::Memory;

/// A deployment's folder, its files by the paths they have on their machine (the first ones named
/// to the importer, up to the number), and files that lie there besides.
struct Deployment {
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    named: usize,
    besides: &'static [&'static str],
}

static DEPLOYMENTS: [Deployment; 5] = [
    Deployment {
        name: "django",
        files: &[
            (
                "/etc/nginx/nginx.conf",
                include_str!("deployments/django/nginx.conf"),
            ),
            (
                "/etc/systemd/system/shop.service",
                include_str!("deployments/django/shop.service"),
            ),
            (
                "/etc/nginx/sites-enabled/shop",
                include_str!("deployments/django/shop"),
            ),
        ],
        named: 2,
        besides: &[],
    },
    Deployment {
        name: "flask",
        files: &[
            (
                "/srv/blog/nginx.conf",
                include_str!("deployments/flask/nginx.conf"),
            ),
            (
                "/srv/blog/blog.ini",
                include_str!("deployments/flask/uwsgi.ini"),
            ),
        ],
        named: 2,
        besides: &[
            "/srv/blog/public/favicon.ico",
            "/srv/blog/public/img/logo.svg",
        ],
    },
    Deployment {
        name: "wagtail",
        files: &[
            (
                "/srv/magazine/nginx.conf",
                include_str!("deployments/wagtail/nginx.conf"),
            ),
            (
                "/srv/magazine/uwsgi.yaml",
                include_str!("deployments/wagtail/uwsgi.yaml"),
            ),
        ],
        named: 2,
        besides: &[],
    },
    Deployment {
        name: "netbox",
        files: &[
            (
                "/opt/inventory/nginx.conf",
                include_str!("deployments/netbox/nginx.conf"),
            ),
            (
                "/opt/inventory/inventory.service",
                include_str!("deployments/netbox/inventory.service"),
            ),
        ],
        named: 2,
        besides: &[],
    },
    Deployment {
        name: "unit",
        files: &[(
            "/srv/shop/unit.json",
            include_str!("deployments/unit/unit.json"),
        )],
        named: 1,
        besides: &[],
    },
];

impl Deployment {
    fn check(&self) {
        let besides = self.besides.iter().map(|path| (*path, ""));
        let files: Vec<_> = self.files.iter().copied().chain(besides).collect();
        let disk = Memory::with(&files);
        let named: Vec<_> = self.files[..self.named]
            .iter()
            .map(|(path, _)| PathBuf::from(path))
            .collect();
        let imported =
            crate::import(&named, &disk).map_err(|refused| refused.render(false).to_owned());
        let imported = imported.unwrap();
        let notes: String = imported
            .notes
            .iter()
            .map(|note| format!("note: {note}\n"))
            .collect();
        self.compare("project.toml", &imported.project);
        self.compare("report.txt", &format!("{}{notes}", imported.report));
        let sources = Sources {
            file: "/project.toml".into(),
            ..Sources::default()
        };
        if let Err(report) = appliance_project::load_text(&sources, imported.project) {
            assert_eq!(report.errors_besides_missing(), 0, "{report}");
        }
    }

    fn compare(&self, name: &str, text: &str) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/deployments");
        let path = folder.join(self.name).join(name);
        if env::var_os("UPDATE").is_some() {
            fs::write(&path, text).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            text == expected,
            "{} is not what it was:\n{text}",
            path.display()
        );
    }
}

#[test]
fn a_django_shop_behind_gunicorn() {
    DEPLOYMENTS[0].check();
}

#[test]
fn a_flask_blog_under_uwsgi() {
    DEPLOYMENTS[1].check();
}

#[test]
fn a_wagtail_magazine() {
    DEPLOYMENTS[2].check();
}

#[test]
fn a_netbox_inventory_behind_tls() {
    DEPLOYMENTS[3].check();
}

#[test]
fn a_site_of_nginx_unit() {
    DEPLOYMENTS[4].check();
}
