//! What is passed to other servers: `proxy`, with what an `upstream` says of them.

use std::path::PathBuf;

use crate::disk::tests::Memory;

const INI: (&str, &str) = (
    "/c/uwsgi.ini",
    "[uwsgi]\nsocket = 127.0.0.1:3031\nmodule = shop\n",
);

fn imported(files: &[(&str, &str)]) -> (String, String) {
    let disk = Memory::with(files);
    let named: Vec<PathBuf> = files.iter().map(|(name, _)| PathBuf::from(name)).collect();
    let imported = crate::import(&named, &disk).unwrap();
    (imported.project, imported.report)
}

#[track_caller]
fn has(project: &str, line: &str) {
    let found = project.lines().any(|other| other.starts_with(line));
    assert!(found, "{line}\n{project}");
}

#[test]
fn a_uwsgi_pass_elsewhere_stays_one() {
    let nginx = "upstream farm { least_conn; keepalive 8; server 10.0.0.1:3031 weight=3 max_fails=2; \
                 server 10.0.0.2:3031; server 10.0.0.3:3031 backup; } \
                 server { listen 80; \
                 location / { include uwsgi_params; uwsgi_pass 127.0.0.1:3031; } \
                 location /farm/ { uwsgi_pass farm; uwsgi_connect_timeout 3; uwsgi_read_timeout 90; \
                 uwsgi_param REMOTE_PORT $remote_port; uwsgi_param X_OWN 1; } \
                 location /legacy/ { uwsgi_pass unix:/run/legacy.sock; } }";
    let (project, report) = imported(&[("/c/nginx.conf", nginx), INI]);
    has(&project, "\"/\" = { wsgi = true }");
    has(
        &project,
        "\"/legacy/\" = { proxy = \"uwsgi://unix:/run/legacy.sock\" }",
    );
    let farm = "\"/farm/\" = { proxy = { to = { \"uwsgi://10.0.0.1:3031\" = 3, \"uwsgi://10.0.0.2:3031\" = 1 }, \
                backup = \"uwsgi://10.0.0.3:3031\", balance = \"least_requests\", idle_connections = 8, \
                max_failures = 2, connect_timeout = \"3s\", response_timeout = \"1m30s\" } }";
    has(&project, farm);
    for said in [
        "`balance = \"least_requests\"` of its `proxy`",
        "`connect_timeout = \"3s\"` of its `proxy`",
        "`response_timeout = \"1m30s\"` of its `proxy`",
        "the project's application does not listen there",
        "sends the variables of uwsgi_params and no others",
    ] {
        assert!(report.contains(said), "{said}\n{report}");
    }
}

#[test]
fn several_without_a_word_about_the_application_are_to_be_looked_at() {
    let nginx = "upstream farm { ip_hash; server 10.0.0.1:3031; server 10.0.0.2:3031; } \
                 server { listen 80; location / { uwsgi_pass farm; } }";
    let (project, report) = imported(&[("/c/nginx.conf", nginx)]);
    has(
        &project,
        "\"/\" = { proxy = { to = [\"uwsgi://10.0.0.1:3031\", \"uwsgi://10.0.0.2:3031\"], balance = \"address\" } }",
    );
    assert!(
        report.contains("is the project's own application, write `wsgi = true`"),
        "{report}"
    );
    let nginx = "server { listen 80; location / { uwsgi_pass 127.0.0.1:3031; } }";
    has(
        &imported(&[("/c/nginx.conf", nginx)]).0,
        "\"/\" = { wsgi = true }",
    );
}

#[test]
fn servers_of_https_are_trusted_as_nginx_trusts_them() {
    let nginx = "upstream farm { server 10.0.0.1:8443 weight=2; server 10.0.0.2; } \
                 server { listen 80; proxy_ssl_trusted_certificate ca.pem; proxy_ssl_session_reuse on; \
                 location / { include uwsgi_params; uwsgi_pass 127.0.0.1:3031; } \
                 location /lax/ { proxy_pass https://api.example.com/v1/; } \
                 location /named/ { proxy_pass https://10.0.0.9; proxy_ssl_verify on; proxy_ssl_name api.internal; \
                 proxy_set_header Host $host; } \
                 location /farm/ { proxy_pass https://farm; proxy_ssl_verify on; proxy_read_timeout 9; } \
                 location /sni/ { proxy_pass https://farm; proxy_ssl_server_name on; proxy_ssl_name $host; } \
                 location /plain/ { proxy_pass http://10.0.0.9; proxy_set_header Host $proxy_host; proxy_ssl_verify on; } \
                 location /own/ { proxy_pass http://10.0.0.8; proxy_set_header Host shop; } }";
    let (project, report) = imported(&[("/c/nginx.conf", nginx), INI]);
    let farm =
        "to = { \"https://10.0.0.1:8443\" = 2, \"https://10.0.0.2:80\" = 1 }, host = \"server\"";
    let own_name = "host = \"server\"";
    for route in [
        format!("\"/lax/\" = {{ proxy = {{ to = \"https://api.example.com/v1/\", {own_name}, verify = false }} }}"),
        "\"/named/\" = { proxy = { to = \"https://10.0.0.9\", ca = \"/c/ca.pem\", server_name = \"api.internal\" } }".to_owned(),
        format!("\"/farm/\" = {{ proxy = {{ {farm}, ca = \"/c/ca.pem\", server_name = \"farm\", response_timeout = \"9s\" }} }}"),
        format!("\"/sni/\" = {{ proxy = {{ {farm}, verify = false, server_name = \"farm\" }} }}"),
        format!("\"/plain/\" = {{ proxy = {{ to = \"http://10.0.0.9\", {own_name} }} }}"),
        "\"/own/\" = { proxy = \"http://10.0.0.8\" }".to_owned(),
    ] {
        has(&project, &route);
    }
    for said in [
        "nginx does not look at this server's certificate",
        "`ca = \"/c/ca.pem\"` of its `proxy`",
        "`server_name = \"api.internal\"` of its `proxy`",
        "sessions are always resumed",
        "there are no variables: `server_name` of `proxy` is one name",
        "holds for no route to a server of `https://`",
        "Host is the client's, or with `host = \"server\"`",
    ] {
        assert!(report.contains(said), "{said}\n{report}");
    }
}

#[test]
fn a_server_of_https_is_not_taken_for_the_application() {
    let nginx = "server { listen 80; location / { proxy_pass https://api.example.com; proxy_ssl_verify on; } \
                 location /app/ { proxy_pass http://127.0.0.1:8000; } }";
    let (project, _) = imported(&[("/c/nginx.conf", nginx)]);
    has(
        &project,
        "\"/\" = { proxy = { to = \"https://api.example.com\", host = \"server\" } }",
    );
    has(&project, "\"/app/\" = { wsgi = true }");
}

#[test]
fn the_log_has_its_place() {
    let site = "server { listen 80; root /srv; error_log /var/log/site.log; }";
    for (line, log) in [
        (
            "error_log /var/log/nginx/error.log warn;",
            "log = \"/var/log/nginx/error.log\"",
        ),
        (
            "error_log syslog:server=192.0.2.1:5140,tag=a;",
            "log = \"syslog://192.0.2.1:5140\"",
        ),
        (
            "error_log syslog:server=unix:/dev/log info;",
            "log = \"syslog:/dev/log\"",
        ),
    ] {
        let text = format!("{line} http {{ {site} }}");
        let (project, report) = imported(&[("/c/nginx.conf", &text)]);
        has(&project, log);
        assert!(!project.contains("\nlog_level"), "{project}");
        assert!(
            report.contains("there is one log for the whole server"),
            "{report}"
        );
    }
    for line in [
        "error_log stderr;",
        "error_log /dev/null crit;",
        "error_log memory:32m debug;",
    ] {
        let text = format!("{line} http {{ {site} }}");
        let (project, _) = imported(&[("/c/nginx.conf", &text)]);
        assert!(!project.contains("\nlog = "), "{project}");
        let is_debug = project.contains("\nlog_level = \"debug\"");
        assert_eq!(is_debug, line.contains("debug"), "{project}");
    }
}

#[test]
fn units_fixed_answers_are_routes() {
    let text = r#"{ "listeners": { "*:80": { "pass": "routes" } }, "routes": [
        { "match": { "uri": "/old" }, "action": { "return": 301, "location": "/new" } },
        { "match": { "uri": "/moved/*" }, "action": { "return": 302, "location": "https://new.example$request_uri" } },
        { "match": { "uri": "/gone/*" }, "action": { "return": 410 } },
        { "match": { "uri": "/odd/*" }, "action": { "return": 301, "location": "/${arg_to}" } },
        { "match": { "uri": "/none/*" }, "action": { "return": 304 } } ] }"#;
    let (project, report) = imported(&[("/c/unit.json", text)]);
    has(
        &project,
        "\"= /old\" = { redirect = \"/new?\", status = 301 }",
    );
    has(
        &project,
        "\"/moved/\" = { redirect = \"https://new.example$request_uri\" }",
    );
    has(&project, "\"/gone/\" = { respond = 410 }");
    assert!(
        !project.contains("\"/odd/\" =") && !project.contains("\"/none/\" ="),
        "{project}"
    );
    assert!(
        report.contains("a variable that redirects do not have"),
        "{report}"
    );
}

#[test]
fn units_upstreams_are_servers() {
    let text = r#"{ "listeners": { "*:80": { "pass": "routes" }, "*:81": { "pass": "upstreams/two" } },
        "upstreams": {
            "two": { "servers": { "10.0.0.1:8080": {}, "10.0.0.2:8080": { "weight": 3 }, "10.0.0.3:80": { "weight": 0 } } },
            "half": { "servers": { "10.0.0.1:8080": { "weight": 0.5 }, "10.0.0.2:8080": {}, "10.0.0.3:8080": { "weight": 1.25 } } },
            "odd": { "servers": { "10.0.0.1:8080": { "weight": 3.14159 }, "10.0.0.2:8080": { "weight": 5000 }, "10.0.0.3:8080": { "weight": 0.0001 } } },
            "none": { "servers": { "10.0.0.1:8080": { "weight": "much" }, "10.0.0.2:8080": { "weight": -1 } } } },
        "routes": [
            { "match": { "uri": "/two/*" }, "action": { "pass": "upstreams/two" } },
            { "match": { "uri": "/half/*" }, "action": { "pass": "upstreams/half" } },
            { "match": { "uri": "/odd/*" }, "action": { "pass": "upstreams/odd" } },
            { "match": { "uri": "/none/*" }, "action": { "pass": "upstreams/none" } },
            { "match": { "uri": "/one/*" }, "action": { "proxy": "http://127.0.0.1:9000" } },
            { "action": { "proxy": "http://unix:/run/app.sock" } } ] }"#;
    let (project, report) = imported(&[("/c/unit.json", text)]);
    let two = "{ proxy = { \"http://10.0.0.1:8080\" = 1, \"http://10.0.0.2:8080\" = 3 } }";
    has(&project, &format!("\"/two/\" = {two}"));
    has(&project, &format!("\"/\" = {two}"));
    has(
        &project,
        "\"/one/\" = { proxy = \"http://127.0.0.1:9000\" }",
    );
    has(&project, "\"/\" = { proxy = \"unix:/run/app.sock\" }");
    has(
        &project,
        "\"/half/\" = { proxy = { \"http://10.0.0.1:8080\" = 2, \"http://10.0.0.2:8080\" = 4, \"http://10.0.0.3:8080\" = 5 } }",
    );
    // In their proportion, as far as a thousand goes.
    has(
        &project,
        "\"/odd/\" = { proxy = { \"http://10.0.0.1:8080\" = 1, \"http://10.0.0.2:8080\" = 1000, \"http://10.0.0.3:8080\" = 1 } }",
    );
    assert!(!project.contains("\"/none/\" ="), "{project}");
    for said in [
        "the nearest to these are written",
        "a weight is a number from 0 to 1000000",
    ] {
        assert!(report.contains(said), "{said}\n{report}");
    }
}
