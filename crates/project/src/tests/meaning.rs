//! Good projects, and what they come to mean.

use std::fs;
use std::time::Duration;

use super::fixture::Shop;
use crate::model::{
    FieldRule, Forwarded, Immutable, LogFormat, LogLevel, LogTarget, Pattern, Recycling, Target,
};
use crate::{Colour, Loaded, Network, Sources, load, show};

fn loaded(shop: &Shop, text: &str) -> Loaded {
    shop.load(text, &[], &[])
        .unwrap_or_else(|report| panic!("{report}"))
}

const SMALL: &str = "[[site]]\nlisten = 8080\nroutes.\"/\" = { files = \"dist\" }\n";

const WHOLE: &str = r#"
[server]
master = true
stop_timeout = "1m30s"
log_level = "debug"
head_limit = "8KB"
head_fields = 50
head_timeout = "5s"
keep_alive_timeout = "10s"
connections = 1000
connections_per_address = 20
requests_per_connection = 10_000

[python]
chdir = "backend"
module = "config.wsgi:shop.app"
virtualenv = ".venv"
requirements = "requirements.txt"
env = { DJANGO_DEBUG = "0", SECRET_KEY = "hunter2", DATABASE = "postgres://a:b@c/d" }
processes = 3
threads = 2
queue = 10
body_buffer = "1MB"
response_buffer = 65536
response_spool = "2MB"
spool = "backend"
request_timeout = "2m"
timeout_grace = "5s"
queue_timeout = "10s"
max_requests = 5000
max_lifetime = "24h"
memory_soft_limit = "512MB"
memory_limit = "1GB"

[hooks]
before_start = ["python manage.py migrate"]

[[site]]
listen = ["127.0.0.1:8080", "[::1]:8080", 0]
server_name = "Example.com"
body_limit = 0
body_timeout = "30s"
send_timeout = "15s"

[site.routes]
"/static/" = { files = "./backend/../dist", immutable = "all", index = ["a.html", "b.html"] }
"/" = { files = "dist", fallback = "/index.html" }
"= /robots.txt" = { files = "media/robots.txt" }
"/api" = { wsgi = true, body_limit = "1GB", request_timeout = "10m" }
"#;

#[test]
fn every_key_reaches_the_model() {
    let shop = Shop::new();
    let project = loaded(&shop, WHOLE).project;
    assert_eq!(project.file, shop.path().join("project.toml"));
    assert_eq!(project.server.stop_timeout, Duration::from_secs(90));
    assert_eq!(project.server.log.level, LogLevel::Debug);
    let python = &project.python;
    let application = python.application.as_ref().expect("an application");
    assert_eq!(
        (application.module.as_str(), application.callable.as_str()),
        ("config.wsgi", "shop.app")
    );
    assert_eq!(python.chdir, shop.path().join("backend"));
    assert_eq!(python.virtualenv, Some(shop.path().join(".venv")));
    assert_eq!(
        python.requirements,
        Some(shop.path().join("requirements.txt"))
    );
    assert_eq!(python.interpreter, "python3");
    assert_eq!(python.env["SECRET_KEY"], "hunter2");
    assert_eq!((python.processes, python.threads, python.queue), (3, 2, 10));
    assert_eq!(
        (python.body_buffer_bytes, python.response_buffer_bytes),
        (1 << 20, 65536)
    );
    assert_eq!(python.response_spool_bytes, 2 << 20);
    assert_eq!(
        (
            python.request_timeout,
            python.timeout_grace,
            python.queue_timeout
        ),
        (
            Duration::from_secs(120),
            Duration::from_secs(5),
            Duration::from_secs(10)
        )
    );
    let recycling = Recycling {
        max_requests: Some(5000),
        max_lifetime: Some(Duration::from_secs(86400)),
        memory_soft_limit_bytes: Some(512 << 20),
    };
    assert_eq!(python.recycling, recycling);
    assert_eq!(python.memory_limit_bytes, Some(1 << 30));
    assert_eq!(project.hooks.before_start, ["python manage.py migrate"]);
    let site = &project.sites[0];
    let listen: Vec<String> = site.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["127.0.0.1:8080", "[::1]:8080", "0.0.0.0:0"]);
    assert_eq!(
        (site.server_name.as_slice(), site.body_limit_bytes),
        (&["example.com".to_owned()][..], 0)
    );
}

#[test]
fn every_limit_reaches_the_model() {
    let project = loaded(&Shop::new(), WHOLE).project;
    let (server, site) = (&project.server, &project.sites[0]);
    assert_eq!((server.head_limit_bytes, server.head_fields), (8 << 10, 50));
    assert_eq!(server.head_timeout, Duration::from_secs(5));
    assert_eq!(server.keep_alive_timeout, Duration::from_secs(10));
    assert_eq!(server.connections, 1000);
    assert_eq!(server.connections_per_address, Some(20));
    assert_eq!(server.requests_per_connection, Some(10_000));
    assert_eq!(site.body_timeout, Duration::from_secs(30));
    assert_eq!(site.send_timeout, Duration::from_secs(15));
    let timeouts: Vec<_> = site
        .routes
        .iter()
        .map(|route| route.request_timeout)
        .collect();
    assert_eq!(timeouts, [None, None, None, Some(Duration::from_secs(600))]);
    let of_routes = site.routes.iter().map(|route| route.body_limit_bytes);
    assert_eq!(of_routes.collect::<Vec<_>>(), [0, 0, 0, 1 << 30]);
}

const PROXIED: &str = r#"
[server]
trusted_proxies = ["10.0.0.0/8", "::1"]
forwarded = "forwarded"
[[site]]
listen = 8080
proxy_protocol = true
routes."/" = { files = "dist" }
"#;

#[test]
fn who_may_say_who_the_client_is() {
    let shop = Shop::new();
    let nobody = loaded(&shop, SMALL).project;
    assert_eq!(nobody.server.trusted_proxies, []);
    assert_eq!(nobody.server.forwarded, Forwarded::XForwarded);
    assert!(!nobody.sites[0].proxy_protocol);
    let loaded = loaded(&shop, PROXIED);
    let server = &loaded.project.server;
    let networks: Vec<String> = server
        .trusted_proxies
        .iter()
        .map(Network::to_string)
        .collect();
    assert_eq!(networks, ["10.0.0.0/8", "::1"]);
    assert_eq!(server.forwarded, Forwarded::Forwarded);
    assert!(loaded.project.sites[0].proxy_protocol);
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
}

#[test]
fn routes_keep_the_order_of_the_file() {
    let shop = Shop::new();
    let routes = loaded(&shop, WHOLE).project.sites.remove(0).routes;
    let patterns: Vec<_> = routes.iter().map(|route| route.pattern.clone()).collect();
    let prefix = |path: &str| Pattern::Prefix(path.to_owned());
    let robots = Pattern::Exact("/robots.txt".to_owned());
    assert_eq!(
        patterns,
        [prefix("/static/"), prefix("/"), robots, prefix("/api")]
    );
    let Target::Files(files) = &routes[0].target else {
        panic!("files")
    };
    assert_eq!(
        (&files.root, files.immutable),
        (&shop.path().join("dist"), Immutable::All)
    );
    assert_eq!((files.index.len(), &files.fallback), (2, &None));
    assert_eq!(routes[3].target, Target::Wsgi);
}

#[test]
fn what_is_left_out_has_its_default() {
    let shop = Shop::new();
    let project = loaded(&shop, SMALL).project;
    let (server, python) = (&project.server, &project.python);
    assert_eq!(
        (server.master, server.stop_timeout, server.log.level),
        (true, Duration::from_secs(30), LogLevel::Info)
    );
    let log = &server.log;
    assert_eq!(
        (&log.target, log.format),
        (&LogTarget::Stderr, LogFormat::Text)
    );
    assert_eq!(log.rotation.keep, 5);
    assert_eq!(
        (log.rotation.max_size_bytes, log.rotation.max_age),
        (None, None)
    );
    assert_eq!(
        (log.syslog.facility, log.syslog.tag.as_str()),
        (3, "appliance")
    );
    assert_eq!(
        (server.head_limit_bytes, server.head_fields),
        (64 << 10, 100)
    );
    assert_eq!(server.head_timeout, Duration::from_secs(20));
    assert_eq!(server.keep_alive_timeout, Duration::from_secs(75));
    assert_eq!(server.connections, 16384);
    assert_eq!(
        (
            server.connections_per_address,
            server.requests_per_connection
        ),
        (None, None)
    );
    assert_eq!((python.threads, python.queue), (4, 512));
    assert_eq!(
        (
            python.request_timeout,
            python.timeout_grace,
            python.queue_timeout
        ),
        (
            Duration::from_secs(60),
            Duration::from_secs(10),
            Duration::from_secs(30)
        )
    );
    let recycling = &python.recycling;
    assert_eq!(
        (recycling.max_requests, recycling.max_lifetime),
        (None, None)
    );
    // All workers and one successor leave a fifth of the machine to others.
    let most = recycling.memory_soft_limit_bytes.expect("a machine");
    assert!(most * (python.processes as u64 + 1) < 1 << 50 && most >= 1 << 20);
    assert_eq!(python.memory_limit_bytes, None);
    assert_eq!(python.response_spool_bytes, 1 << 30);
    assert_eq!(
        (python.body_buffer_bytes, python.response_buffer_bytes),
        (64 << 10, 256 << 10)
    );
    assert_eq!(
        python.processes,
        std::thread::available_parallelism().map_or(1, usize::from)
    );
    assert_eq!(
        (&python.chdir, &python.application),
        (&shop.path().to_owned(), &None)
    );
    let site = &project.sites[0];
    assert_eq!(
        (site.body_limit_bytes, site.routes[0].body_limit_bytes),
        (20 << 20, 20 << 20)
    );
    assert_eq!(
        (site.body_timeout, site.send_timeout),
        (Duration::from_secs(60), Duration::from_secs(60))
    );
    let Target::Files(files) = &project.sites[0].routes[0].target else {
        panic!("files")
    };
    assert_eq!(
        (files.index.as_slice(), files.immutable),
        (&["index.html".to_owned()][..], Immutable::Hashed)
    );
}

#[test]
fn without_a_supervisor_auto_is_one_process_that_nobody_replaces() {
    let shop = Shop::new();
    let alone = loaded(&shop, &format!("server.master = false\n{SMALL}"));
    let python = alone.project.python;
    assert_eq!(python.processes, 1);
    assert_eq!(python.recycling, Recycling::default());
}

#[test]
fn a_symlink_to_a_release_is_not_resolved() {
    let shop = Shop::new();
    std::os::unix::fs::symlink("dist", shop.path().join("current")).expect("linked");
    let project = loaded(&shop, &SMALL.replace("dist", "current")).project;
    let Target::Files(files) = &project.sites[0].routes[0].target else {
        panic!("files")
    };
    assert_eq!(files.root, shop.path().join("current"));
}

#[test]
fn the_model_survives_the_way_to_a_worker() {
    let project = loaded(&Shop::new(), WHOLE).project;
    let json = serde_json::to_string(&project).expect("JSON");
    assert_eq!(
        serde_json::from_str::<crate::Project>(&json).expect("a project"),
        project
    );
}

#[test]
fn show_names_the_layer_of_each_setting_and_hides_secrets() {
    let shop = Shop::new();
    let environment = [("APPLIANCE_PYTHON__QUEUE", "7"), ("PATH", "/bin")];
    let loaded = shop
        .load(WHOLE, &environment, &["site.0.body_limit=1MB"])
        .expect("a project");
    let table = shop.shown(&show(&loaded));
    let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = table.lines().map(squeeze).collect();
    for line in [
        r#"server.stop_timeout = "1m30s" # project.toml:4"#,
        r#"python.chdir = "/srv/shop/backend" # project.toml:15"#,
        r#"python.module = "config.wsgi:shop.app" # project.toml:16"#,
        r#"python.env.DATABASE = "…" # project.toml:19"#,
        r#"python.env.DJANGO_DEBUG = "0" # project.toml:19"#,
        r#"python.env.SECRET_KEY = "…" # project.toml:19"#,
        "python.queue = 7 # environment APPLIANCE_PYTHON__QUEUE",
        r#"site.0.body_limit = "1MB" # --set"#,
        r#"site.0.routes."/".immutable = "hashed" # default"#,
        r#"site.0.routes."/api".wsgi = true # project.toml:49"#,
    ] {
        assert!(
            lines.contains(&line.to_owned()),
            "no line {line} in\n{table}"
        );
    }
}

#[test]
fn show_aligns_its_columns() {
    let shop = Shop::new();
    let table = show(&loaded(&shop, SMALL));
    let column = |sign: &str| {
        let mut at: Vec<_> = table.lines().filter_map(|line| line.find(sign)).collect();
        at.dedup();
        at.len()
    };
    assert_eq!(
        (column(" = "), table.lines().count() > 15),
        (1, true),
        "{table}"
    );
    assert!(table.contains("python.processes"), "{table}");
    assert!(table.contains("# default, \"auto\"\n"), "{table}");
}

#[test]
fn a_report_for_a_terminal_has_colours_and_a_plain_one_has_none() {
    let report = Shop::new().load("x = 1", &[], &[]).expect_err("a report");
    assert!(report.render(Colour::Ansi).contains("\u{1b}["));
    assert!(!report.render(Colour::Plain).contains('\u{1b}'));
    assert_eq!((report.len(), report.is_empty()), (2, false));
}

fn unreadable(file: std::path::PathBuf) -> String {
    load(&Sources {
        file,
        ..Sources::default()
    })
    .expect_err("a report")
    .to_string()
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let shop = Shop::new();
    let report = |name: &str| shop.shown(&unreadable(shop.path().join(name)));
    assert_eq!(
        report("nowhere.toml"),
        "error: /srv/shop/nowhere.toml: no such file: `/srv/shop/nowhere.toml`\n |\n \
         = help: name the path of a project.toml; `appliance init` writes one by what lies in a folder\n"
    );
    assert_eq!(
        report("dist"),
        "error: /srv/shop/dist: this is a folder, not a project file\n |\n = help: name a project.toml\n"
    );
    fs::write(shop.path().join("dist/project.toml"), SMALL).expect("written");
    assert_eq!(
        report("dist"),
        "error: /srv/shop/dist: this is a folder, not a project file\n |\n \
         = help: name the file in it, `project.toml`\n"
    );
    assert_eq!(
        report("requirements.txt/x"),
        "error: /srv/shop/requirements.txt/x: cannot be read: Not a directory (os error 20)\n"
    );
}

#[test]
fn text_that_is_not_utf8_is_pointed_at() {
    let shop = Shop::new();
    let report = shop
        .load(b"[server]\nlog_level = \"\xffx\"\n", &[], &[])
        .expect_err("a report");
    assert_eq!(
        shop.shown(&report.to_string()),
        "error: project.toml:2:14: not UTF-8 text: the byte 0xFF stands for no character\n  \
         |\n2 | log_level = \"\u{fffd}x\"\n  |              ^\n  |\n  = help: save the file as UTF-8\n"
    );
}

#[test]
fn one_port_for_both_families_and_port_zero_twice_are_no_clash() {
    let shop = Shop::new();
    let text = SMALL.replace(
        "8080",
        "[\"0.0.0.0:80\", \"[::]:80\", \"0.0.0.0:0\", \"127.0.0.1:0\"]",
    );
    assert_eq!(loaded(&shop, &text).project.sites[0].listen.len(), 4);
}

#[test]
fn sites_of_one_address_are_told_apart_by_name() {
    let shop = Shop::new();
    let named = |name: &str| SMALL.replace("routes", &format!("server_name = \"{name}\"\nroutes"));
    let text = format!("{}{}{SMALL}", named("a.example"), named("b.example"));
    assert_eq!(loaded(&shop, &text).project.sites.len(), 3);
}

#[test]
fn a_route_has_its_sites_rules_where_it_has_no_own() {
    let text = r#"
[[site]]
listen = 8080
methods = ["GET", "HEAD"]
headers = { X-Frame-Options = "DENY", X-Site = "a" }
[site.routes]
"/" = { files = "dist" }
"/api" = { wsgi = true, methods = ["POST"], headers = { x-site = "b" } }
"#;
    let text = format!("[python]\nmodule = \"shop\"\n{text}");
    let project = loaded(&Shop::new(), &text).project;
    let site = &project.sites[0];
    assert_eq!(site.rules, site.routes[0].rules);
    assert_eq!(site.rules.methods, ["GET", "HEAD"]);
    let api = &site.routes[1].rules;
    assert_eq!(api.methods, ["POST"]);
    let fields = [("X-Frame-Options", "DENY"), ("x-site", "b")];
    let fields = fields.map(|(name, value)| (name.to_owned(), FieldRule::Set(value.to_owned())));
    assert_eq!(api.headers, fields);
}

#[test]
fn the_log_goes_where_it_is_told() {
    let shop = Shop::new();
    let target = |written: &str| {
        let text = format!("[server]\nlog = {written:?}\n{SMALL}");
        loaded(&shop, &text).project.server.log.target
    };
    assert_eq!(target("stdout"), LogTarget::Stdout);
    assert_eq!(
        target("media/site.log"),
        LogTarget::File(shop.path().join("media/site.log"))
    );
    assert_eq!(
        target("/var/log/shop.log"),
        LogTarget::File("/var/log/shop.log".into())
    );
    assert_eq!(target("syslog"), LogTarget::SyslogSocket("/dev/log".into()));
    assert_eq!(
        target("syslog://10.0.0.1"),
        LogTarget::SyslogUdp("10.0.0.1:514".into())
    );

    let text = "[server]\nlog_format = \"json\"\nlog_max_size = \"10MB\"\nlog_max_age = \"24h\"\n\
                log_keep = 9\nlog_facility = \"local3\"\nlog_tag = \"shop\"\n";
    let log = loaded(&shop, &format!("{text}{SMALL}")).project.server.log;
    assert_eq!(log.format, LogFormat::Json);
    let day = Duration::from_secs(86_400);
    assert_eq!(
        (log.rotation.max_size_bytes, log.rotation.max_age),
        (Some(10 << 20), Some(day))
    );
    assert_eq!(
        (
            log.rotation.keep,
            log.syslog.facility,
            log.syslog.tag.as_str()
        ),
        (9, 19, "shop")
    );
}
