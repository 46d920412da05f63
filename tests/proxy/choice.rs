//! Which of several servers gets a request.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::support::eventually;
use super::{Backend, Goes, nobody, passing_to, respond, url};

#[test]
fn requests_go_by_weight_or_stay_where_their_field_sends_them() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let server = passing_to(&format!("{{ {} = 3, {} = 1 }}", url(&one), url(&two)));
    for _ in 0..40 {
        server.get("/");
    }
    assert_eq!((one.count(), two.count()), (30, 10));

    let to = format!("to = [{}, {}]", url(&one), url(&two));
    let server = passing_to(&format!("{{ {to}, balance = \"field:X-User\" }}"));
    let mut answers = std::collections::BTreeSet::new();
    for user in 0..20 {
        let mut connection = server.connect();
        let mut ask = || {
            connection.send(format!(
                "GET / HTTP/1.1\r\nHost: a\r\nx-user: {user}\r\n\r\n"
            ));
            connection.response().text().to_owned()
        };
        let first = ask();
        assert_eq!((ask(), ask()), (first.clone(), first.clone()));
        answers.insert(first);
    }
    assert_eq!(answers.len(), 2);
}

#[test]
fn a_health_check_takes_servers_out_and_back_in() {
    let is_well = Arc::new(AtomicUsize::new(1));
    let seen = Arc::clone(&is_well);
    let sick = Backend::start(move |head, stream| {
        if head.starts_with("GET /up ") && seen.load(Ordering::SeqCst) == 0 {
            let _ =
                stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
        } else {
            respond(stream, "sick");
        }
        Goes::On
    });
    let well = Backend::saying("well");
    let to = format!("to = [{}, {}]", url(&sick), url(&well));
    let checked = "health_check = \"/up\", health_interval = \"100ms\"";
    let server = passing_to(&format!("{{ {to}, {checked} }}"));
    let answers = || -> Vec<String> { (0..6).map(|_| server.get("/").text().to_owned()).collect() };
    assert!(answers().contains(&"sick".to_owned()));
    is_well.store(0, Ordering::SeqCst);
    server.wait_for_log("fails its health check: it answered 503 Service Unavailable");
    assert_eq!(answers(), ["well"; 6]);
    is_well.store(1, Ordering::SeqCst);
    server.wait_for_log("passes its health check again");
    eventually("the server's return", || {
        answers().contains(&"sick".to_owned()).then_some(())
    });
}

#[test]
fn a_backup_is_asked_only_while_no_other_server_can_be() {
    let is_well = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&is_well);
    let sick = Backend::start(move |_, stream| match seen.load(Ordering::SeqCst) {
        0 => Goes::Ends,
        _ => {
            respond(stream, "first");
            Goes::On
        }
    });
    let backup = Backend::saying("backup");
    let to = format!("to = [{}, {}]", url(&sick), nobody());
    let rest = "max_failures = 1, fail_timeout = \"300ms\"";
    let server = passing_to(&format!("{{ {to}, backup = {}, {rest} }}", url(&backup)));
    for _ in 0..6 {
        assert_eq!(server.get("/").text(), "backup");
    }
    is_well.store(1, Ordering::SeqCst);
    eventually("the server's return", || {
        (server.get("/").text() == "first").then_some(())
    });
    let before = backup.count();
    for _ in 0..6 {
        assert_eq!(server.get("/").text(), "first");
    }
    assert_eq!(backup.count(), before);
}

#[test]
fn an_address_stays_with_its_server_and_the_busier_of_two_gets_less() {
    let servers = [Backend::saying("one"), Backend::saying("two")];
    let to = format!("to = [{}, {}]", url(&servers[0]), url(&servers[1]));
    let server = passing_to(&format!("{{ {to}, balance = \"address\" }}"));
    let first = server.get("/").text().to_owned();
    for _ in 0..10 {
        assert_eq!(server.get("/").text(), first);
    }

    let holding = |text: &'static str| {
        Backend::start(move |head, stream| {
            if head.starts_with("GET /hold ") {
                // Until the client has left.
                let _ = stream.read(&mut [0]);
                return Goes::Ends;
            }
            respond(stream, text);
            Goes::On
        })
    };
    let servers = [holding("one"), holding("two")];
    let to = format!("to = [{}, {}]", url(&servers[0]), url(&servers[1]));
    let server = passing_to(&format!("{{ {to}, balance = \"least_requests\" }}"));
    let mut held = server.connect();
    held.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    let busy = eventually("the request that is held", || {
        servers.iter().position(|one| one.count() == 1)
    });
    for _ in 0..60 {
        assert_eq!(server.get("/").status, 200);
    }
    // It is taken where both draws hit it: a quarter of the time.
    let more = servers[busy].count() - 1;
    assert!((1..30).contains(&more), "{more}");
    drop(held);
}
