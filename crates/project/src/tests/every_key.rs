//! Every key of the table refuses what it should, and says so well: file, line and column, a caret
//! under the value itself, and a line of help.
//!
//! Wrong values stand in `every_key.txt`, where a new key has to have one. Wrong types are tried
//! for each key by what it takes.

use std::collections::BTreeSet;
use std::fs;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::fixture::Shop;
use crate::keys::{Kind, SECTIONS, Section};

/// A line of a project with something wrong in it.
#[derive(Debug)]
struct Wrong {
    header: &'static str,
    key: &'static str,
    /// `key = value`, and lines around it.
    line: String,
    around: Vec<String>,
    /// Where the caret begins and ends, in characters from 1.
    caret: (usize, usize),
}

#[test]
fn every_key_says_what_is_wrong_with_its_value() {
    let shop = shop();
    let listed = listed();
    let known: BTreeSet<_> = listed.iter().map(|one| (one.header, one.key)).collect();
    for section in SECTIONS {
        for key in section.keys.iter().filter(|key| !only_types(key.kind)) {
            let (header, name) = (section.header, key.name);
            assert!(
                known.contains(&(header, name)),
                "every_key.txt lacks a wrong value of `{name}` in {header}"
            );
        }
    }
    check(&shop, &listed);
}

#[test]
fn every_key_says_which_type_it_takes() {
    let mut all = Vec::new();
    for section in SECTIONS {
        for key in section.keys {
            let (wrong, name) = (types(key.kind), key.name);
            assert!(wrong.len() >= 3, "{name}");
            let users = match name {
                "realm" => " | password_file = \"staff.htpasswd\"",
                _ => "",
            };
            let lines = wrong.iter().map(|value| format!("{name} = {value}{users}"));
            all.extend(lines.map(|line| wrong_line(section, &line)));
        }
    }
    assert!(all.len() > 700, "{}", all.len());
    check(&shop(), &all);
}

/// Whether a value of the right type is always right.
fn only_types(kind: Kind) -> bool {
    matches!(kind, Kind::Flag | Kind::Table)
}

/// Values of other types. A marked one is the element that is wrong.
fn types(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Flag => &["1", "\"true\"", "1.5", "[true]", "{ a = 1 }", "1979-05-27"],
        Kind::Count(..) => &[
            "true",
            "1.5",
            "-1",
            "\"4\"",
            "[4]",
            "{ a = 1 }",
            "1979-05-27",
        ],
        Kind::Size(..) => &[
            "true",
            "1.5",
            "-1",
            "\"4x\"",
            "[4]",
            "{ a = 1 }",
            "1979-05-27",
        ],
        Kind::Duration(..) => &[
            "true",
            "1.5",
            "30",
            "\"30\"",
            "[4]",
            "{ a = 1 }",
            "1979-05-27",
        ],
        Kind::Text | Kind::Path | Kind::Choice(_) => {
            &["true", "1.5", "4", "[\"a\"]", "{ a = 1 }", "1979-05-27"]
        }
        Kind::List => &[
            "true",
            "4",
            "\"a\"",
            "[«1»]",
            "[«[\"a\"]»]",
            "{ a = 1 }",
            "1979-05-27",
        ],
        Kind::TextOrList => &[
            "true",
            "4",
            "[«1»]",
            "[«[\"a\"]»]",
            "{ a = 1 }",
            "1979-05-27",
        ],
        Kind::StatusOrText => &["true", "1.5", "[4]", "{ a = 1 }", "1979-05-27"],
        Kind::TrueOrCallable => &["4", "1.5", "[\"a\"]", "{ a = 1 }", "1979-05-27"],
        Kind::Listen => &["true", "1.5", "{ a = 1 }", "[«true»]", "1979-05-27"],
        Kind::Strings | Kind::Headers | Kind::ErrorPages | Kind::Routes | Kind::Table => {
            &["true", "4", "\"a\"", "[\"a\"]", "1979-05-27"]
        }
        Kind::PathOrFalse | Kind::TextOrFalse => {
            &["true", "4", "[\"a\"]", "{ a = 1 }", "1979-05-27"]
        }
        Kind::RateLimit => &["true", "4", "[\"10/s\"]", "1979-05-27"],
        Kind::Targets => &["true", "4", "[«1»]", "1979-05-27"],
        Kind::Cors => &["true", "4", "[«1»]", "1979-05-27"],
        Kind::FlagOrTypes => &["4", "\"text/html\"", "[«1»]", "{ a = 1 }", "1979-05-27"],
    }
}

/// The lines of `every_key.txt`.
fn listed() -> Vec<Wrong> {
    let text = include_str!("every_key.txt");
    let (_, text) = text.split_once("\n\n").expect("what it is about");
    let mut section: Option<&'static Section> = None;
    let mut all = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        match SECTIONS
            .iter()
            .find(|known| in_brackets(known.header) == line)
        {
            Some(known) => section = Some(known),
            None => all.push(wrong_line(section.expect("a header"), line)),
        }
    }
    all
}

/// `[rate_limit]`; most are written so anyway.
fn in_brackets(header: &str) -> String {
    match header.starts_with('[') {
        true => header.to_owned(),
        false => format!("[{header}]"),
    }
}

fn wrong_line(section: &'static Section, written: &str) -> Wrong {
    let (line, around) = written.split_once(" | ").unwrap_or((written, ""));
    let plain = line.replace(['«', '»'], "");
    let at = |mark| line.chars().position(|c| c == mark);
    let (name, _) = plain.split_once(" = ").expect("key = value");
    let caret = match (at('«'), at('»')) {
        // The marks are no part of the line.
        (Some(from), Some(to)) => (from + 1, to),
        _ => (name.len() + " = ".len() + 1, plain.chars().count() + 1),
    };
    let key = section
        .key(name)
        .unwrap_or_else(|| panic!("no key: {line}"));
    Wrong {
        header: section.header,
        key: key.name,
        line: plain,
        around: around.lines().map(str::to_owned).collect(),
        caret,
    }
}

impl Wrong {
    /// The project around the line, which needs `defaults` unless it says them itself.
    fn project(&self) -> String {
        let with = |defaults: &[&str]| {
            let said = |default: &&&str| {
                let name = default.split(" = ").next().unwrap_or_default();
                let names = |line: &String| line.split(" = ").next() == Some(name);
                !names(&self.line) && !self.around.iter().any(names)
            };
            let defaults: Vec<&str> = defaults.iter().filter(said).copied().collect();
            let around: Vec<&str> = self.around.iter().map(String::as_str).collect();
            let lines = [vec![self.line.as_str()], around, defaults].concat();
            lines.join("\n")
        };
        let site = "[[site]]\nlisten = 8080\n[site.routes.\"/\"]\nfiles = \"dist\"\n";
        match self.header {
            "[[site]]" if self.key == "routes" => {
                format!(
                    "[python]\nmodule = \"shop\"\n[[site]]\n{}\n",
                    with(&["listen = 8080"])
                )
            }
            "[[site]]" => format!(
                "[[site]]\n{}\n[site.routes.\"/\"]\nfiles = \"dist\"\n",
                with(&["listen = 8080"])
            ),
            "[site.tls]" => format!(
                "[[site]]\nlisten = \"https://:443\"\n[site.routes.\"/\"]\nfiles = \"dist\"\n\
                 [site.tls]\n{}\n",
                with(&["certificate = \"site.pem\"", "key = \"site.key\""])
            ),
            "[site.routes]" => {
                let table = with(self.answers());
                format!(
                    "[python]\nmodule = \"shop\"\n[[site]]\nlisten = 8080\n\
                     [site.routes.\"/\"]\n{table}\n"
                )
            }
            "[site.routes.\"/path\".proxy]" => {
                let secure = ["ca", "verify", "server_name"].contains(&self.key);
                let to: &[&str] = match secure {
                    true => &["to = \"https://127.0.0.1\"", "ca = \"site.pem\""],
                    false => &["to = \"http://127.0.0.1\""],
                };
                format!(
                    "[[site]]\nlisten = 8080\n[site.routes.\"/\".proxy]\n{}\n",
                    with(to)
                )
            }
            "rate_limit" => format!("{site}[site.rate_limit]\n{}\n", with(&["rate = \"10/s\""])),
            "cors" => format!("{site}[site.cors]\n{}\n", with(&["origins = \"*\""])),
            header => format!("{header}\n{}\n{site}", with(self.beside())),
        }
    }

    /// What the key means nothing without.
    fn beside(&self) -> &'static [&'static str] {
        match self.key {
            "group" => &["user = \"root\""],
            "requirements" => &["virtualenv = \".venv\""],
            _ => &[],
        }
    }

    /// Who answers on the route, if the line does not say it.
    fn answers(&self) -> &'static [&'static str] {
        let said = |line: &String| {
            let name = line.split(" = ").next().unwrap_or_default();
            ["wsgi", "proxy", "redirect", "rewrite", "respond"].contains(&name)
        };
        match self.key {
            _ if said(&self.line) || self.around.iter().any(said) => &[],
            "mount" | "body_limit" | "request_timeout" => &["wsgi = true"],
            "status" => &["redirect = \"/new\""],
            _ => &["files = \"dist\""],
        }
    }

    /// What is not as it should be in the report.
    fn complaint(&self, project: &str, report: &str) -> Option<String> {
        let number = project.lines().position(|line| line == self.line)? + 1;
        let (from, to) = self.caret;
        let errors: Vec<&str> = report.split("\n\n").collect();
        let [error] = errors[..] else {
            return Some(format!("{} errors instead of one", errors.len()));
        };
        let start = format!("error: project.toml:{number}:{from}: ");
        let margin = error.lines().find(|line| line.ends_with('|'))?.len();
        let carets = error
            .lines()
            .find(|line| line.trim_start_matches([' ', '|']).starts_with('^'))
            .unwrap_or_default();
        let expected = format!("{}{}", " ".repeat(margin + from), "^".repeat(to - from));
        let is_under = carets.replace('|', " ").trim_end() == expected;
        let helps = error.contains("= help: ");
        match (error.starts_with(&start), is_under, helps) {
            (false, ..) => Some(format!("does not begin with `{start}`")),
            (_, false, _) => Some(format!("the caret should be\n{expected}")),
            (.., false) => Some("there is no help".to_owned()),
            _ => None,
        }
    }
}

fn check(shop: &Shop, all: &[Wrong]) {
    let mut complaints = String::new();
    let mut count = 0;
    for wrong in all {
        let project = wrong.project();
        let report = match shop.load(&project, &[], &[]) {
            // What is only warned of is well told, too.
            Ok(loaded) if !loaded.warnings.is_empty() => {
                shop.shown(&loaded.warnings.to_string().replace("warning: ", "error: "))
            }
            Ok(_) => {
                count += 1;
                complaints.push_str(&format!("{} `{}` is taken\n\n", wrong.header, wrong.line));
                continue;
            }
            Err(report) => shop.shown(&report.to_string()),
        };
        if let Some(complaint) = wrong.complaint(&project, report.trim_end()) {
            count += 1;
            complaints.push_str(&format!(
                "{} {}\n{complaint}\n{report}\n",
                wrong.header, wrong.line
            ));
        }
    }
    assert!(
        complaints.is_empty(),
        "{count} of {}:\n{complaints}",
        all.len()
    );
}

/// A shop with certificates: one that is good, one that is out of date, and a key of neither.
fn shop() -> Shop {
    let shop = Shop::new();
    let write = |name: &str, text: &str| {
        fs::write(shop.path().join(name), text).expect("written");
    };
    for (name, until) in [("site", 2120), ("expired", 2021)] {
        let mut params = CertificateParams::new(["shop.test".to_owned()]).expect("parameters");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        write(&format!("{name}.pem"), &certificate.pem());
        write(&format!("{name}.key"), &key.serialize_pem());
    }
    write(
        "other.key",
        &KeyPair::generate().expect("a key").serialize_pem(),
    );
    shop
}
