//! Servers that are gone, slow, or answer what is no answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::passing_to;
use super::support::free_address;

/// Answers each packet with these bytes after a while, and closes. Counts them.
fn target(answer: &'static [u8], after: Duration) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            read_packet(&mut stream);
            counted.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(after);
            let _ = stream.write_all(answer);
        }
    });
    (address, asked)
}

fn read_packet(stream: &mut TcpStream) {
    let mut head = [0; 4];
    stream.read_exact(&mut head).unwrap();
    assert_eq!((head[0], head[3]), (0, 0));
    let mut block = vec![0; usize::from(u16::from_le_bytes([head[1], head[2]]))];
    stream.read_exact(&mut block).unwrap();
}

#[test]
fn answers_that_are_none_are_502() {
    let none: [&[u8]; 6] = [
        b"",
        b"garbage",
        b"garbage\r\nmore of it\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"\x16\x03\x01",
    ];
    for answer in none {
        let (address, asked) = target(answer, Duration::ZERO);
        let site = passing_to(&format!("\"uwsgi://{address}\""));
        let response = site.get("/");
        assert_eq!(response.status, 502, "{}", String::from_utf8_lossy(answer));
        assert!(asked.load(Ordering::SeqCst) >= 1);
        site.wait_for_log(&format!("no answer from {address}: "));
    }
}

#[test]
fn answers_as_of_cgi_are_understood() {
    for (answer, status, text) in [
        (
            &b"Content-Type: text/plain\r\nStatus: 418 Teapot\r\n\r\nshort"[..],
            418,
            "short",
        ),
        (b"Status: 404 Not Found\r\n\r\nnone", 404, "none"),
        (b"X-Own: 1\r\n\r\nfine", 200, "fine"),
        (b"HTTP/1.0 200 OK\r\n\r\nold", 200, "old"),
    ] {
        let (address, _) = target(answer, Duration::ZERO);
        let site = passing_to(&format!("\"uwsgi://{address}\""));
        let response = site.get("/");
        assert_eq!((response.status, response.text()), (status, text));
        assert_eq!(response.header("status"), None);
    }
}

#[test]
fn a_length_that_is_not_kept_cuts_the_response() {
    let short = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfour";
    let (address, _) = target(short, Duration::ZERO);
    let site = passing_to(&format!("\"uwsgi://{address}\""));
    let response = site.get("/");
    assert_eq!((response.status, response.complete), (200, false));
    let long = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nfour";
    let (address, _) = target(long, Duration::ZERO);
    let site = passing_to(&format!("\"uwsgi://{address}\""));
    assert_eq!(site.get("/").text(), "fo");
}

#[test]
fn one_that_is_slow_is_504_and_one_that_is_gone_502() {
    let (address, asked) = target(b"HTTP/1.1 200 OK\r\n\r\n", Duration::from_secs(20));
    let site = passing_to(&format!(
        "{{ to = \"uwsgi://{address}\", response_timeout = \"1s\" }}"
    ));
    assert_eq!(site.get("/").status, 504);
    assert_eq!(asked.load(Ordering::SeqCst), 1, "asked once");
    let site = passing_to(&format!("\"uwsgi://{}\"", free_address()));
    assert_eq!(site.get("/").status, 502);
}

#[test]
fn another_one_is_asked_where_that_does_no_harm() {
    let (well, _) = target(b"HTTP/1.1 200 OK\r\n\r\nwell", Duration::ZERO);
    let targets = format!("[\"uwsgi://{}\", \"uwsgi://{well}\"]", free_address());
    let site = passing_to(&targets);
    for _ in 0..4 {
        assert_eq!(site.get("/").text(), "well");
    }
    // It has the packet, and may have begun: what is no repeatable request is asked once.
    let (silent, asked) = target(b"", Duration::ZERO);
    let site = passing_to(&format!("\"uwsgi://{silent}\""));
    let answer = site
        .exchange("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with(b"HTTP/1.1 502 "), "{answer:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}
