//! Defaults, file, environment, `--set`: the later wins, key by key.

use super::fixture::Shop;
use crate::model::Target;
use crate::{Project, Sources};

const FILE: &str = "[python]\nthreads = 2\n[[site]]\nlisten = 8080\nroutes.\"/\" = { files = \"dist\" }\n\
                    [[site]]\nlisten = 8081\nroutes.\"/\" = { files = \"media\" }\n";

fn project(environment: &[(&str, &str)], overrides: &[&str]) -> Project {
    let loaded = Shop::new().load(FILE, environment, overrides);
    loaded.unwrap_or_else(|report| panic!("{report}")).project
}

#[test]
fn a_variable_beats_the_file_and_a_flag_beats_both() {
    assert_eq!(project(&[], &[]).python.threads, 2);
    let variable = [("APPLIANCE_PYTHON__THREADS", "3")];
    assert_eq!(project(&variable, &[]).python.threads, 3);
    assert_eq!(project(&variable, &["python.threads=4"]).python.threads, 4);
    assert_eq!(
        project(&[], &["python.threads=4", "python.threads=5"])
            .python
            .threads,
        5
    );
}

#[test]
fn one_key_of_one_site_can_be_set() {
    let project = project(
        &[("APPLIANCE_SITE__1__LISTEN", "127.0.0.1:0")],
        &["site.0.server_name=[\"a.b\"]"],
    );
    assert_eq!(project.sites[0].listen[0].to_string(), "0.0.0.0:8080");
    assert_eq!(project.sites[0].server_name, ["a.b"]);
    assert_eq!(project.sites[1].listen[0].to_string(), "127.0.0.1:0");
}

#[test]
fn a_list_is_replaced_as_a_whole() {
    let both = [
        "site.0.listen=[8080, 8090]",
        "site.0.listen=[\"127.0.0.1:9000\"]",
    ];
    assert_eq!(project(&[], &both).sites[0].listen.len(), 1);
}

#[test]
fn the_next_site_can_be_added() {
    let added = ["site.2.listen=9000", "site.2.routes.\"/\".files=dist"];
    assert_eq!(project(&[], &added).sites.len(), 3);
}

#[test]
fn a_route_can_be_added_and_follows_those_of_the_file() {
    let routes = project(&[], &["site.0.routes.\"= /a=b\".files=dist/index.html"])
        .sites
        .remove(0)
        .routes;
    assert_eq!(routes.len(), 2);
    assert!(
        matches!(&routes[1].target, Target::Files(files) if files.root.ends_with("index.html"))
    );
}

#[test]
fn ten_sites_and_more_stay_in_order() {
    let flags: Vec<String> = (2..12)
        .flat_map(|i| {
            [
                format!("site.{i}.listen={}", 9000 + i),
                format!("site.{i}.routes.\"/\".files=dist"),
            ]
        })
        .collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let ports: Vec<u16> = project(&[], &flags)
        .sites
        .iter()
        .map(|site| site.listen[0].port())
        .collect();
    assert_eq!(ports[2..], (9002..9012).collect::<Vec<u16>>());
}

#[test]
fn text_needs_no_quotes_in_variables_and_flags() {
    for listen in [
        "127.0.0.1:9000",
        "\"127.0.0.1:9000\"",
        "[\"127.0.0.1:9000\"]",
    ] {
        let project = project(&[("APPLIANCE_SITE__0__LISTEN", listen)], &[]);
        assert_eq!(
            project.sites[0].listen[0].to_string(),
            "127.0.0.1:9000",
            "{listen}"
        );
    }
    let ipv6 = project(
        &[("APPLIANCE_SITE__0__LISTEN", "[::]:9000")],
        &["site.1.server_name=[::1]"],
    );
    assert_eq!(ipv6.sites[0].listen[0].to_string(), "[::]:9000");
    assert_eq!(ipv6.sites[1].server_name, ["[::1]"]);
}

#[test]
fn environment_variables_of_the_application_keep_their_case_and_their_digits() {
    let environment = [
        ("APPLIANCE_PYTHON__ENV__Debug", "1"),
        ("APPLIANCE_PYTHON__ENV__EMPTY", ""),
    ];
    let env = project(
        &environment,
        &["python.env.A=1 # no comment", "python.env.B=\"x # y\""],
    )
    .python
    .env;
    let pairs: Vec<_> = env
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        pairs,
        [
            ("A", "1 # no comment"),
            ("B", "x # y"),
            ("Debug", "1"),
            ("EMPTY", "")
        ]
    );
}

#[test]
fn a_value_cannot_smuggle_in_other_keys() {
    let env = project(&[], &["python.env.A=1\n[server]\nmaster=false"]);
    assert_eq!(
        (env.python.env["A"].as_str(), env.server.master),
        ("1\n[server]\nmaster=false", true)
    );
}

#[test]
fn other_variables_are_none_of_our_business() {
    assert_eq!(
        project(&[("APPLIANCES", "1"), ("PYTHON__THREADS", "9")], &[])
            .python
            .threads,
        2
    );
}

#[test]
fn the_process_itself_is_a_source() {
    let sources = Sources::of_process("project.toml".into(), vec!["a=1".into()]);
    assert!(
        sources
            .environment
            .iter()
            .all(|(name, _)| name.starts_with("APPLIANCE_"))
    );
    assert_eq!(
        (sources.file.to_str(), sources.overrides.len()),
        (Some("project.toml"), 1)
    );
}
