//! Clients that keep to the letter of HTTP/2 and mean harm: each is cut off, at a bounded cost, and
//! nobody else notices. SECURITY.md names these tests.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::time::{Duration, Instant};

use support::http2::{
    CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, Http2,
    INITIAL_WINDOW_SIZE, NO_ERROR, PING, PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, block,
    fields, frame, string,
};
use support::{Appliance, Project, eventually};

const APP: &str = include_str!("apps/http2.py");
/// Larger than what the sockets between server and client hold.
const LARGE: usize = 20_000_000;
/// More than any flood may cost: what it would send if nobody stopped it.
const FLOOD_BYTES: usize = 64 << 20;

fn start_with(server: &str, site: &str) -> Appliance {
    let sites = format!(
        "[server]\n{server}\n\n[[site]]\nlisten = [\"127.0.0.1:0\"]\nhttp2 = \"always\"\n{site}\n\
         [site.routes]\n\"/\" = {{ wsgi = true }}\n\"/files/\" = {{ files = \"files\" }}\n"
    );
    Project::with_sites(APP, "", &sites)
        .file("files/a.txt", "a file")
        .file("files/large.bin", vec![b'x'; LARGE])
        .start()
}

fn start() -> Appliance {
    start_with("", "")
}

/// Sends the same bytes until the server does not take them any more. Returns how many it took,
/// and the client.
#[track_caller]
fn flood(site: &Appliance, first: &[u8], again: &[u8]) -> (usize, Http2) {
    let mut client = Http2::open(site.address());
    client.send(first);
    let many = again.repeat((64 << 10) / again.len() + 1);
    let mut taken = 0;
    // Answers are read on the way, as by a client that keeps its connection going.
    let mut reader = client.reader();
    let reading = std::thread::spawn(move || while reader.frame().is_some() {});
    while taken < FLOOD_BYTES && client.send(&many) {
        taken += many.len();
    }
    reading.join().unwrap();
    (taken, client)
}

/// The resident memory of all workers, in bytes.
fn memory(site: &Appliance) -> usize {
    let pages = |pid: i32| {
        let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
        statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap()
    };
    site.workers().into_iter().map(pages).sum::<usize>() * 4096
}

/// Whether the neighbours of an attack are served, and soon.
#[track_caller]
fn others_are_served(site: &Appliance, neighbour: &mut Http2) {
    let begun = Instant::now();
    assert_eq!(neighbour.ask("/n/7").text(), "7");
    assert_eq!(
        Http2::open(site.address()).ask("/files/a.txt").text(),
        "a file"
    );
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    assert!(!site.log().contains("panicked"), "{}", site.log());
}

#[test]
fn requests_taken_back_at_once_end_the_connection() {
    let site = start();
    let mut neighbour = Http2::open(site.address());
    let mut client = Http2::open(site.address());
    let mut sent = 0;
    for _ in 0..20_000 {
        let stream = client.get("/called");
        sent += 1;
        if !client.reset(stream) {
            break;
        }
    }
    assert!(client.read_to_end());
    let codes: Vec<u32> = client.goaways.iter().map(|goaway| goaway.1).collect();
    assert!(
        codes.is_empty() || codes.contains(&ENHANCE_YOUR_CALM),
        "{codes:?}"
    );
    assert!(sent < 20_000, "nobody stopped it");
    let called: usize = neighbour.ask("/calls").text().parse().unwrap();
    assert!(called < 1_000, "{called} calls for {sent} requests");
    others_are_served(&site, &mut neighbour);
}

/// The same, each request taken back only when the application has begun with it.
#[test]
fn requests_taken_back_later_end_the_connection_as_well() {
    let site = start();
    let mut neighbour = Http2::open(site.address());
    let mut client = Http2::open(site.address());
    let mut begun = 0;
    'connection: while begun < 1_000 {
        let stream = client.get("/endless");
        while client.so_far(stream).body.is_empty() {
            if client.frame().is_none() {
                break 'connection;
            }
        }
        begun += 1;
        client.reset(stream);
    }
    assert!((100..200).contains(&begun), "{begun}");
    assert!(
        client
            .goaways
            .iter()
            .any(|goaway| goaway.1 == ENHANCE_YOUR_CALM)
    );
    // The client need not have seen every one that the application has begun: the next request may have
    // come in with what ended the connection.
    eventually("the end of every response", || {
        let ended = neighbour.ask("/closed").text().to_owned();
        let (closed, of) = ended.split_once(" of ").unwrap();
        let all: usize = of.parse().unwrap();
        (closed == of && (begun..=begun + 1).contains(&all)).then_some(())
    });
    others_are_served(&site, &mut neighbour);
}

/// Whoever waits for most answers may take back as many requests as that.
#[test]
fn who_takes_back_every_second_request_is_served_on() {
    let site = start();
    let mut client = Http2::open(site.address());
    for number in 0..400 {
        let stream = client.get("/endless");
        while client.so_far(stream).body.is_empty() {
            assert!(client.frame().is_some(), "{number}");
        }
        client.reset(stream);
        assert_eq!(client.ask("/n/7").text(), "7", "{number}");
    }
}

/// The server resets streams for the client's errors: "MadeYouReset".
#[test]
fn requests_that_make_the_server_reset_them_end_the_connection() {
    let site = start();
    let mut neighbour = Http2::open(site.address());
    let mut client = Http2::open(site.address());
    let mut sent = 0;
    for _ in 0..5_000 {
        let stream = client.request("POST", "/called", &[], 0);
        sent += 1;
        if !client.grant(stream, 0) {
            break;
        }
    }
    assert!(client.read_to_end());
    assert!(sent < 5_000 || !client.goaways.is_empty());
    let called: usize = neighbour.ask("/calls").text().parse().unwrap();
    assert_eq!(called, 0, "no body has come to its end");
    others_are_served(&site, &mut neighbour);
}

#[test]
fn a_head_that_never_ends_is_cut_off() {
    let site = start();
    let mut neighbour = Http2::open(site.address());
    let before = memory(&site);
    let get = block(&fields("GET", "/n/1", &[]));
    let first = frame(HEADERS, END_STREAM, 1, &get);
    for (name, piece) in [
        ("nothing", vec![]),
        ("one field", block(&[("a", "b")])),
        ("many fields", block(&vec![("x-own", "value"); 1_000])),
        ("a long field", block(&[("x-own", &"x".repeat(16_000))])),
    ] {
        let (taken, _) = flood(&site, &first, &frame(CONTINUATION, 0, 1, &piece));
        assert!(taken < FLOOD_BYTES / 4, "{name}: {taken} bytes");
    }
    let more = memory(&site).saturating_sub(before);
    assert!(more < 16 << 20, "{more} bytes more");
    others_are_served(&site, &mut neighbour);
}

/// A field of 4 KB is put into the table and asked for again and again, by one byte each.
#[test]
fn fields_from_the_table_count_as_often_as_they_are_named() {
    let site = start();
    let mut neighbour = Http2::open(site.address());
    let before = memory(&site);
    let mut client = Http2::open(site.address());
    let mut bomb = block(&fields("GET", "/called", &[]));
    bomb.push(0x40);
    string(&mut bomb, b"x-bomb");
    string(&mut bomb, &[b'x'; 4_000]);
    for (times, expected) in [(5, 200), (20, 431)] {
        let stream = client.stream();
        let block = [&bomb[..], &vec![0xbe; times]].concat();
        client.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &block));
        assert_eq!(client.answer(stream).status(), expected, "{times}");
    }
    let stream = client.stream();
    let block = [&bomb[..], &[0xbe; 10_000]].concat();
    client.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &block));
    let answer = client.answer(stream);
    assert!([0, 431].contains(&answer.status()), "{answer:?}");
    assert_eq!(neighbour.ask("/calls").text(), "1");
    let more = memory(&site).saturating_sub(before);
    assert!(more < 16 << 20, "{more} bytes more");
    others_are_served(&site, &mut neighbour);
}

#[test]
fn more_fields_than_the_limit_are_refused_whatever_their_size() {
    let site = start_with("head_fields = 10", "");
    let mut client = Http2::open(site.address());
    for (more, expected) in [(9, 200), (10, 431)] {
        let stream = client.request("GET", "/n/7", &vec![("a", "b"); more], END_STREAM);
        assert_eq!(client.answer(stream).status(), expected, "{more}");
        let stream = client.request("GET", "/n/7", &vec![("cookie", "b"); more], END_STREAM);
        assert_eq!(client.answer(stream).status(), expected, "{more}");
    }
}

#[test]
fn floods_of_frames_that_ask_for_nothing_end_the_connection() {
    let site = start();
    let mut neighbour = Http2::open(site.address());
    let before = memory(&site);
    let post = block(&fields("POST", "/sum", &[]));
    let open = frame(HEADERS, END_HEADERS, 1, &post);
    for (name, first, again) in [
        ("PING", vec![], frame(PING, 0, 0, b"abcdefgh")),
        ("SETTINGS", vec![], frame(SETTINGS, 0, 0, b"")),
        (
            "SETTINGS of a window",
            vec![],
            frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]),
        ),
        ("PRIORITY", vec![], frame(PRIORITY, 0, 1, b"\0\0\0\0\x10")),
        ("unknown frames", vec![], frame(0xfe, 0, 0, b"")),
        ("empty DATA", open.clone(), frame(DATA, 0, 1, b"")),
        ("DATA of one byte", open.clone(), frame(DATA, 0, 1, b"x")),
        (
            "padding",
            open.clone(),
            frame(DATA, 8, 1, &[[200].to_vec(), vec![0; 200]].concat()),
        ),
        (
            "WINDOW_UPDATE",
            vec![],
            frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
        ),
        (
            "WINDOW_UPDATE of a stream",
            open.clone(),
            frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]),
        ),
        (
            "RST_STREAM",
            open,
            frame(RST_STREAM, 0, 1, &CANCEL.to_be_bytes()),
        ),
    ] {
        let begun = Instant::now();
        let (taken, _) = flood(&site, &first, &again);
        assert!(taken < FLOOD_BYTES / 4, "{name}: {taken} bytes");
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{name}: {:?}",
            begun.elapsed()
        );
        others_are_served(&site, &mut neighbour);
    }
    let more = memory(&site).saturating_sub(before);
    assert!(more < 24 << 20, "{more} bytes more");
}

#[test]
fn a_flood_whose_answers_are_not_read_takes_no_memory() {
    let site = start_with("keep_alive_timeout = \"1s\"", "send_timeout = \"1s\"");
    let mut neighbour = Http2::open(site.address());
    let before = memory(&site);
    let mut client = Http2::open(site.address());
    let many = frame(PING, 0, 0, b"abcdefgh").repeat(4_000);
    client.patience(Duration::from_secs(2));
    let mut taken = 0;
    while taken < FLOOD_BYTES && client.send(&many) {
        taken += many.len();
    }
    assert!(taken < FLOOD_BYTES / 4, "{taken} bytes");
    let more = memory(&site).saturating_sub(before);
    assert!(more < 16 << 20, "{more} bytes more");
    others_are_served(&site, &mut neighbour);
}

/// A window of 0 is legal, and no reason to keep a response for ever.
#[test]
fn responses_that_nobody_takes_are_reset_one_by_one() {
    let site = start_with("", "send_timeout = \"1s\"");
    let mut client = Http2::open_with(site.address(), &[(INITIAL_WINDOW_SIZE, 0)]);
    client.grant(0, 1 << 30);
    let paths = [
        "/files/a.txt",
        "/files/large.bin",
        "/large",
        "/n/7",
        "/none",
    ];
    let streams = paths.map(|path| client.get(path));
    let read = client.get("/n/8");
    client.grant(read, 100);
    assert_eq!(client.answer(read).text(), "8");
    let begun = Instant::now();
    for (path, stream) in paths.into_iter().zip(streams) {
        let answer = client.answer(stream);
        assert_eq!(answer.reset, Some(CANCEL), "{path}: {answer:?}");
        assert!(answer.body.is_empty(), "{path}");
    }
    let elapsed = begun.elapsed();
    assert!((500..10_000).contains(&elapsed.as_millis()), "{elapsed:?}");
    client.ping();
}

/// The same by a client that reads nothing at all.
#[test]
fn a_connection_that_is_not_read_is_closed() {
    let site = start_with("keep_alive_timeout = \"1s\"", "send_timeout = \"1s\"");
    let mut neighbour = Http2::open(site.address());
    let mut clients: Vec<Http2> = (0..10).map(|_| Http2::open(site.address())).collect();
    for client in &mut clients {
        client.ping(); // It has been accepted.
        for path in ["/files/large.bin", "/large", "/files/large.bin"] {
            client.get(path);
        }
    }
    let open = || {
        let pid = site.workers()[0];
        let links = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        let sockets = links
            .flatten()
            .filter_map(|link| std::fs::read_link(link.path()).ok());
        sockets
            .filter(|link| link.to_string_lossy().starts_with("socket:"))
            .count()
    };
    let many = open();
    assert!(many >= 10, "{many}");
    eventually("the end of the connections", || {
        (open() + 10 <= many).then_some(())
    });
    let again = neighbour.ask("/n/7");
    assert!(again.text() == "7" || neighbour.goaways.iter().all(|goaway| goaway.1 == NO_ERROR));
    assert_eq!(Http2::open(site.address()).ask("/n/7").text(), "7");
}

#[test]
fn a_body_may_pause_as_long_as_it_may() {
    let site = start_with("", "body_timeout = \"1s\"");
    let mut client = Http2::open(site.address());
    let slow = client.request("POST", "/called", &[("content-length", "10")], 0);
    let empty = client.request("POST", "/called", &[("content-length", "10")], 0);
    let steady = client.request("POST", "/sum", &[("content-length", "10")], 0);
    client.data(slow, b"half", 0);
    let begun = Instant::now();
    for number in 0..10 {
        client.data(steady, &[1], if number == 9 { END_STREAM } else { 0 });
        client.data(empty, b"", 0);
        std::thread::sleep(Duration::from_millis(400));
    }
    assert_eq!(client.answer(steady).text(), "10 10");
    for stream in [slow, empty] {
        assert_eq!(client.answer(stream).status(), 408);
    }
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(client.ask("/calls").text(), "0");
}

#[test]
fn who_does_not_shake_hands_is_not_waited_for() {
    let site = start_with("head_timeout = \"1s\"\nkeep_alive_timeout = \"1s\"", "");
    let whole = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for sent in [&whole[..5], &whole[..18], &whole[..20], whole] {
        let begun = Instant::now();
        let mut connection = site.connect();
        connection.send(sent);
        connection.read_to_end();
        assert!(
            begun.elapsed() < Duration::from_secs(15),
            "{sent:?}: {:?}",
            begun.elapsed()
        );
    }
    // Half a head: the connection goes when its time is up.
    let mut client = Http2::open_with(site.address(), &[]);
    let get = block(&fields("GET", "/n/1", &[]));
    client.send(&frame(HEADERS, 0, 1, &get));
    let begun = Instant::now();
    assert!(client.read_to_end());
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
}

/// What an idle connection takes: told in docs/performance.md.
#[test]
fn an_idle_connection_takes_some_kilobytes() {
    const COUNT: usize = 400;
    let site = start();
    let open = |count| {
        let mut clients: Vec<Http2> = (0..count)
            .map(|_| Http2::open_with(site.address(), &[]))
            .collect();
        for client in &mut clients {
            assert_eq!(client.ask("/files/a.txt").text(), "a file");
        }
        clients
    };
    drop(open(100));
    let before = memory(&site);
    let clients = open(COUNT);
    let each = memory(&site).saturating_sub(before) / COUNT;
    println!(
        "{each} bytes for each of {} idle connections",
        clients.len()
    );
    assert!(each < 64 << 10, "{each} bytes each");
}
