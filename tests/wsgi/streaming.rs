//! Responses while they are being made: each chunk leaves as it is yielded, and, where nothing is
//! spooled, no faster than the client takes it.

use std::fs;
use std::io::Read;
use std::time::Duration;

use crate::support::{Appliance, Project, eventually};

fn site() -> Appliance {
    Project::wsgi_with(
        "threads = 2\nresponse_spool = 0",
        include_str!("../apps/streaming.py"),
    )
    .start()
}

#[test]
fn a_chunk_arrives_while_the_application_waits_with_the_next() {
    let site = site();
    let mut connection = site.connect();
    connection.send("GET /step-by-step HTTP/1.1\r\nhost: test\r\n\r\n");
    let mut received = Vec::new();
    while !received.ends_with(b"\r\n\r\n5\r\nfirst\r\n") {
        let mut byte = [0];
        connection.stream().read_exact(&mut byte).unwrap();
        received.push(byte[0]);
    }
    // Only this lets it go on.
    site.get("/go-on");
    let mut rest = [0; 16];
    connection.stream().read_exact(&mut rest).unwrap();
    assert_eq!(&rest, b"6\r\nsecond\r\n0\r\n\r\n");
}

/// The most memory that the worker has ever held, in MB.
fn peak_memory(site: &Appliance) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", site.workers()[0])).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse::<u64>().unwrap() / 1024
}

/// Until the application has yielded no more for a while: it is held.
fn wait_until_held(site: &Appliance) -> u32 {
    let yielded = || site.get("/yielded").text().parse::<u32>().unwrap();
    let mut before = 0;
    eventually("pause of the application", || {
        let now = yielded();
        let held = now > 0 && now == before;
        before = now;
        std::thread::sleep(Duration::from_millis(100));
        held.then_some(now)
    })
}

#[test]
fn an_application_waits_for_a_client_that_does_not_read() {
    let site = site();
    for path in ["/large", "/written"] {
        let memory = peak_memory(&site);
        let mut connection = site.connect();
        connection.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n"));
        let held_at = wait_until_held(&site);
        // The kernel's buffers take some.
        assert!(held_at < 200, "{path}: {held_at} of 2000 chunks have left");
        let growth = peak_memory(&site) - memory;
        assert!(growth < 20, "{path}: {growth} MB more");
        let response = connection.response();
        assert!(response.complete);
        assert_eq!(response.body().len(), 200_000_000);
        let chunks = response.body().chunks(100_000).enumerate();
        for (number, chunk) in chunks {
            let expected = u8::try_from(number % 251).unwrap();
            assert!(
                chunk.iter().all(|byte| *byte == expected),
                "{path}: chunk {number}"
            );
        }
        let growth = peak_memory(&site) - memory;
        assert!(growth < 20, "{path}: {growth} MB more in the end");
    }
}

#[test]
fn a_client_that_does_not_read_and_leaves_frees_its_thread() {
    let site = Project::wsgi_with(
        "threads = 1\nresponse_spool = 0",
        include_str!("../apps/streaming.py"),
    )
    .start();
    for path in ["/large", "/written"] {
        let mut connection = site.connect();
        connection.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n"));
        assert_eq!(connection.stream().peek(&mut [0]).unwrap(), 1);
        drop(connection);
        assert_ne!(site.get("/yielded").text(), "0", "{path}");
    }
    assert!(!site.log().contains("ERROR"), "{}", site.log());
}

#[test]
fn what_is_written_for_nobody_is_not_kept() {
    let site = Project::wsgi(
        "def application(environ, start_response):\n\
         \x20   write = start_response('200 OK', [])\n\
         \x20   for _ in range(200 if environ['PATH_INFO'] == '/large' else 1):\n\
         \x20       write(b'x' * (1 << 20))\n\
         \x20   return []\n",
    )
    .start();
    let mut connection = site.connect();
    connection.send("HEAD / HTTP/1.1\r\nhost: test\r\n\r\n");
    assert_eq!(connection.response().status, 200);
    let memory = peak_memory(&site);
    connection.send("HEAD /large HTTP/1.1\r\nhost: test\r\n\r\n");
    assert_eq!(connection.response().status, 200);
    // The one thread answers this when it has done with the 200 MB.
    assert_eq!(site.get("/").status, 200);
    let growth = peak_memory(&site) - memory;
    assert!(growth < 50, "{growth} MB");
}
