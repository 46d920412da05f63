//! Who may come in: by address, by password, and how often.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::fs;

use support::{Appliance, Project, Response};

const APPLICATION: &str = r#"
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    names = ["REMOTE_USER", "AUTH_TYPE", "HTTP_REMOTE_USER"]
    return ["|".join(environ.get(name, "-") for name in names).encode("latin-1")]
"#;

/// Of `secret`, cost 10, as `htpasswd -B` writes it.
const ANN: &str = "ann:$2y$10$zC5YoR6WsWXm.J9kGG7Uq.Krwc5v2EOl/WazJ6szxlOXFFI33JmE.";
/// Of `secret`.
const BOB: &str = "bob:$argon2id$v=19$m=19456,t=2,p=1$J/q5VFjGK8I8tbglzu6ipA$mxWgyk7nkTlBP8ZybqryXHYN7QXez5sn5vdEf0l7UOg";

fn get(server: &Appliance, path: &str, fields: &str) -> Response {
    let mut connection = server.connect();
    connection.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
    connection.response()
}

#[test]
fn an_address_that_is_not_allowed_gets_a_403() {
    let sites = r#"
[[site]]
listen = ["127.0.0.1:0"]
deny = "127.0.0.0/8"
[site.routes]
"/closed" = { wsgi = true }
"/open" = { wsgi = true, allow = "127.0.0.1" }
"/office" = { wsgi = true, allow = "10.0.0.0/8", deny = [] }
"/files" = { files = "dist", deny = [] }
"#;
    let server = Project::with_sites(APPLICATION, "", sites)
        .file("dist/a.txt", "a")
        .also("[server]\ntrusted_proxies = \"127.0.0.1\"\n")
        .start();
    for (path, client, status) in [
        ("/closed", "127.0.0.1", 403),
        ("/nowhere", "127.0.0.1", 403),
        ("/closed", "10.0.0.1", 200),
        ("/open", "127.0.0.1", 200),
        ("/open", "10.0.0.1", 403),
        ("/office", "10.0.0.1", 200),
        ("/office", "11.0.0.1", 403),
        // What stands left of the client is its own word.
        ("/office", "10.0.0.1, 11.0.0.1", 403),
        ("/files/a.txt", "127.0.0.1", 200),
    ] {
        let fields = format!("X-Forwarded-For: {client}\r\n");
        assert_eq!(
            get(&server, path, &fields).status,
            status,
            "{path} {client}"
        );
    }
}

/// `ann` with bcrypt, `bob` with Argon2, the password of both being `secret`.
fn with_passwords() -> Appliance {
    let sites = r#"
[[site]]
listen = ["127.0.0.1:0"]
password_file = "staff"
realm = "Staff"
[site.routes]
"/" = { wsgi = true }
"/files" = { files = "dist", immutable = "all" }
"/open" = { wsgi = true, password_file = false }
"#;
    Project::with_sites(APPLICATION, "", sites)
        .file("dist/a.txt", "a")
        .file("staff", format!("{ANN}\n{BOB}\n"))
        .start()
}

fn basic(text: &str) -> String {
    format!("Authorization: Basic {}\r\n", base64(text.as_bytes()))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk
            .iter()
            .fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        let word = word << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= chunk.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    text
}

#[test]
fn who_gives_the_right_password_comes_in_and_nobody_else() {
    let server = with_passwords();
    for login in ["ann:secret", "bob:secret", "ann:secret"] {
        let response = get(&server, "/", &basic(login));
        assert_eq!(response.status, 200, "{login}");
        let user = login.split(':').next().unwrap();
        assert_eq!(response.text(), format!("{user}|Basic|-"));
        assert_eq!(get(&server, "/files/a.txt", &basic(login)).status, 200);
    }
    for fields in [
        String::new(),
        basic("ann:Secret"),
        basic("bob:"),
        basic("carol:secret"),
        basic("secret"),
        "Authorization: Basic !\r\n".to_owned(),
        "Remote-User: ann\r\nREMOTE_USER: ann\r\n".to_owned(),
        basic("ann:secret") + &basic("bob:secret"),
    ] {
        for path in ["/", "/files/a.txt", "/files/none"] {
            let response = get(&server, path, &fields);
            assert_eq!(response.status, 401, "{path} {fields}");
            assert_eq!(
                response.header("www-authenticate"),
                Some("Basic realm=\"Staff\", charset=\"UTF-8\"")
            );
        }
    }
    let response = get(&server, "/open", &basic("ann:secret"));
    assert_eq!(response.text(), "-|-|-");
    let spoofed = get(
        &server,
        "/",
        &(basic("ann:secret") + "Remote-User: root\r\n"),
    );
    assert_eq!(spoofed.text(), "ann|Basic|-");
}

#[test]
fn a_file_behind_a_password_is_kept_from_shared_caches() {
    let server = with_passwords();
    let response = get(&server, "/files/a.txt", &basic("ann:secret"));
    let cached = response.header("cache-control").unwrap();
    assert!(cached.starts_with("private"), "{cached}");
    assert!(!cached.contains("public"), "{cached}");
}

/// Processor time that a process has taken so far, in ticks of 10 ms: how long it waited for it is the
/// machine's affair.
fn cpu_ticks(pid: i32) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    fields[11].parse::<u32>().unwrap() + fields[12].parse::<u32>().unwrap()
}

/// A wrong password costs a computation, the right one of somebody known none.
#[test]
fn a_known_password_is_not_computed_again() {
    let server = with_passwords();
    let worker = server.workers()[0];
    let ticks = |login: &str| {
        let before = cpu_ticks(worker);
        for _ in 0..20 {
            get(&server, "/files/a.txt", &basic(login));
        }
        cpu_ticks(worker) - before
    };
    get(&server, "/files/a.txt", &basic("ann:secret"));
    let known = ticks("ann:secret");
    let wrong = ticks("ann:wrong");
    let unknown = ticks("nobody:wrong");
    assert!(known * 3 < wrong, "{known} {wrong}");
    assert!(known * 3 < unknown, "{known} {unknown}");
}

const LIMITED: &str = r#"
[[site]]
listen = ["127.0.0.1:0"]
rate_limit = { rate = "20/h", burst = 5 }
[site.routes]
"/" = { wsgi = true }
"/files" = { files = "dist" }
"/free" = { files = "dist", rate_limit = false }
"/key" = { wsgi = true, rate_limit = { rate = "1/h", by = "field X-Api-Key" } }
"/all" = { wsgi = true, rate_limit = { rate = "1/h", by = "route" } }
"#;

#[test]
fn who_comes_too_often_is_told_when_to_come_again() {
    let server = Project::with_sites(APPLICATION, "", LIMITED)
        .file("dist/a.txt", "a")
        .also("[server]\ntrusted_proxies = \"127.0.0.1\"\n")
        .start();
    let from = |address: &str, path: &str, fields: &str| {
        get(
            &server,
            path,
            &format!("X-Forwarded-For: {address}\r\n{fields}"),
        )
    };
    // One account for all that inherits the limit.
    for (left, path) in [
        (4, "/"),
        (3, "/files/a.txt"),
        (2, "/files/none"),
        (1, "/"),
        (0, "/"),
    ] {
        let response = from("10.0.0.1", path, "");
        assert_ne!(response.status, 429, "{path}");
        assert_eq!(
            response.header("ratelimit-policy"),
            Some("\"default\";q=5;w=900")
        );
        let limit = response.header("ratelimit").unwrap();
        assert!(
            limit.starts_with(&format!("\"default\";r={left};t=")),
            "{limit}"
        );
    }
    let refused = from("10.0.0.1", "/files/a.txt", "");
    assert_eq!(refused.status, 429);
    let wait: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((170..=180).contains(&wait), "{wait}");
    assert!(refused.header("ratelimit").unwrap().contains("r=0"));
    assert_eq!(from("10.0.0.1", "/free/a.txt", "").status, 200);
    assert_eq!(from("10.0.0.2", "/", "").status, 200);
    // An IPv6 client is its network.
    for number in 0..5 {
        assert_eq!(from(&format!("2001:db8::{number}"), "/", "").status, 200);
    }
    assert_eq!(from("2001:db8::ffff:1", "/", "").status, 429);
    assert_eq!(from("2001:db8:0:1::1", "/", "").status, 200);
    assert_eq!(from("10.0.0.3", "/key", "X-Api-Key: a\r\n").status, 200);
    assert_eq!(from("10.0.0.4", "/key", "x-api-key: a\r\n").status, 429);
    assert_eq!(from("10.0.0.4", "/key", "X-Api-Key: b\r\n").status, 200);
    assert_eq!(from("10.0.0.3", "/all", "").status, 200);
    assert_eq!(from("10.0.0.4", "/all", "").status, 429);
}

/// Each connection goes to some worker: the sum is what is written down, over reloads too.
#[test]
fn all_workers_count_together() {
    let sites = LIMITED.replace("burst = 5", "burst = 20");
    let server = Project::with_sites(APPLICATION, "processes = 3", &sites)
        .file("dist/a.txt", "a")
        .start();
    let served = |count: usize| {
        let answers = (0..count).map(|_| get(&server, "/files/a.txt", "").status);
        answers.filter(|status| *status == 200).count()
    };
    let before = served(15);
    server.signal(libc::SIGHUP);
    server.wait_for_log("reloaded generation=2 ");
    let after = served(30);
    assert_eq!(before, 15);
    assert_eq!(after, 5);
}
