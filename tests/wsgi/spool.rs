//! Responses that their clients do not read, or read slowly: they wait in files without a name,
//! within a bound, and no Python thread waits with them.

use std::fs;
use std::io::Read;
use std::thread::sleep;
use std::time::Duration;

use crate::support::{Appliance, Project, eventually};

/// 20 MB whose bytes tell their place, in chunks of all sizes.
const LEN: usize = 20_000_000;

const APP: &str = r#"
pattern = bytes((i * 7 + i // 256) % 251 for i in range(65521))
data = memoryview(pattern * (20_000_000 // len(pattern) + 1))[:20_000_000]
sizes = (1, 4096, 5000, 70_000, 17, 262_144, 1_000_000, 65_536, 100_000)
ended = 0


def made():
    global ended
    at = turn = 0
    try:
        while at < len(data):
            size = sizes[turn % len(sizes)]
            yield bytes(data[at:at + size])
            at, turn = at + size, turn + 1
    finally:  # one whose length is known is not asked again after its last chunk
        ended += 1


def endless():
    while True:
        yield b"x" * 100_000


def application(environ, start_response):
    path = environ["PATH_INFO"]
    counted = [("Content-Length", str(len(data)))] if path == "/counted" else []
    write = start_response("200 OK", counted)
    if path == "/written":
        for chunk in made():
            write(chunk)
        return []
    if path in ("/made", "/counted"):
        return made()
    if path == "/endless":
        return endless()
    return [str(ended).encode()]
"#;

fn site(settings: &str) -> Appliance {
    Project::wsgi_with(&format!("spool = \"spool\"\n{settings}"), APP)
        .file("spool/kept", "")
        .start()
}

fn expected() -> Vec<u8> {
    let pattern: Vec<u8> = (0..65521_usize)
        .map(|i| u8::try_from((i * 7 + i / 256) % 251).unwrap())
        .collect();
    pattern.iter().copied().cycle().take(LEN).collect()
}

/// The lengths of the files without a name that the worker has in the folder.
fn spooled(site: &Appliance) -> Vec<u64> {
    let folder = site.project.path("spool");
    let descriptors = fs::read_dir(format!("/proc/{}/fd", site.workers()[0])).unwrap();
    let paths = descriptors.filter_map(|descriptor| Some(descriptor.ok()?.path()));
    let of_folder = paths.filter(|path| {
        let target = fs::read_link(path).unwrap_or_default();
        target.starts_with(&folder) && target.to_string_lossy().ends_with(" (deleted)")
    });
    of_folder
        .filter_map(|path| Some(fs::metadata(path).ok()?.len()))
        .collect()
}

#[test]
fn clients_that_do_not_read_hold_no_thread() {
    let site = site("threads = 1");
    let paths = ["/made", "/counted", "/written", "/made", "/counted"];
    let mut connections = paths.map(|path| {
        let mut connection = site.connect();
        connection.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n"));
        connection
    });
    eventually("end of all, by the one thread", || {
        (site.get("/ended").text() == "5").then_some(())
    });
    assert_eq!(spooled(&site).len(), 5);
    let expected = expected();
    for (path, connection) in paths.iter().zip(&mut connections) {
        let response = connection.response();
        assert!(response.complete, "{path}");
        assert!(response.body() == expected, "{path}");
        // The connection goes on.
        assert_eq!(connection.get("/ended").text(), "5");
    }
    eventually("end of the files", || {
        spooled(&site).is_empty().then_some(())
    });
    assert!(!site.log().contains("ERROR"), "{}", site.log());
}

#[test]
fn a_slow_reader_gets_every_byte_in_its_place() {
    // So small a bound makes the response change between memory, file and waiting many times.
    let site = site("threads = 2\nresponse_buffer = \"16KB\"\nresponse_spool = \"300KB\"");
    let mut connection = site.connect();
    connection.send("GET /counted HTTP/1.0\r\n\r\n");
    let mut stream = connection.stream();
    let mut received = Vec::new();
    let mut piece = vec![0; 256 << 10];
    let mut pieces = 0;
    let mut longest = 0;
    loop {
        match stream.read(&mut piece).unwrap() {
            0 => break,
            read => received.extend_from_slice(&piece[..read]),
        }
        pieces += 1;
        // Now a pause, then a burst.
        if pieces % 16 < 8 {
            sleep(Duration::from_millis(15));
            longest = spooled(&site).into_iter().max().max(Some(longest)).unwrap();
        }
    }
    let head = received
        .windows(4)
        .position(|end| end == b"\r\n\r\n")
        .unwrap()
        + 4;
    assert!(received[head..] == expected());
    assert!(longest > 0, "nothing was spooled");
    assert!(longest <= 300 << 10, "{longest} bytes on the disk");
}

#[test]
fn an_endless_response_stays_within_its_bound_and_ends_with_its_client() {
    let site = site("threads = 1\nresponse_spool = \"4MB\"");
    let mut connection = site.connect();
    connection.send("GET /endless HTTP/1.1\r\nhost: test\r\n\r\n");
    let full = (4 << 20) - 100_000;
    eventually("full file", || {
        spooled(&site).first().filter(|len| **len > full).copied()
    });
    sleep(Duration::from_millis(200));
    assert!(spooled(&site)[0] <= 4 << 20);
    drop(connection);
    assert_eq!(site.get("/").status, 200);
    eventually("end of the file", || {
        spooled(&site).is_empty().then_some(())
    });
    assert!(!site.log().contains("ERROR"), "{}", site.log());
}

#[test]
fn without_a_folder_to_write_to_the_thread_waits() {
    let site = site("threads = 3");
    fs::remove_dir_all(site.project.path("spool")).unwrap();
    let mut connections = ["/made", "/counted"].map(|path| {
        let mut connection = site.connect();
        connection.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n"));
        connection
    });
    let message = "cannot spool a response, so its thread waits for the client; `python.spool`";
    site.wait_for_log(message);
    sleep(Duration::from_millis(300));
    assert_eq!(site.get("/ended").text(), "0");
    let expected = expected();
    for connection in &mut connections {
        assert!(connection.response().body() == expected);
    }
    assert_eq!(site.get("/ended").text(), "2");
    // Once a minute.
    assert_eq!(site.log().matches(message).count(), 1);
}

#[test]
fn nothing_is_spooled_where_that_is_switched_off() {
    let site = site("threads = 2\nresponse_spool = 0");
    let mut connection = site.connect();
    connection.send("GET /made HTTP/1.1\r\nhost: test\r\n\r\n");
    sleep(Duration::from_millis(500));
    assert_eq!(site.get("/ended").text(), "0");
    assert!(spooled(&site).is_empty());
    assert!(connection.response().body() == expected());
}
