//! Clients that do not speak TLS, speak it badly, slowly, or leave.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::support::{Appliance, Project};
use crate::{APPLICATION, Authority, server, with_listen};

fn raw(server: &Appliance) -> TcpStream {
    let tcp = TcpStream::connect(server.address()).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    tcp
}

/// Sends bytes, and returns what comes until the end.
fn exchange(server: &Appliance, bytes: &[u8]) -> Vec<u8> {
    let mut tcp = raw(server);
    tcp.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    // A reset is an end as well.
    let _ = tcp.read_to_end(&mut answer);
    answer
}

/// The first message of a handshake.
fn hello(client: &Client) -> Vec<u8> {
    let name = "localhost".try_into().unwrap();
    let mut tls = rustls::ClientConnection::new(std::sync::Arc::clone(&client.0), name).unwrap();
    let mut bytes = Vec::new();
    tls.write_tls(&mut bytes).unwrap();
    bytes
}

#[test]
fn plain_http_is_told_that_this_is_https() {
    let (server, client) = server("");
    let line = exchange(&server, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let line = String::from_utf8(line).unwrap();
    assert!(line.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{line}");
    assert!(line.contains("\r\nConnection: close\r\n"), "{line}");
    let says = "400 Bad Request: This port speaks HTTPS, and the request came in plain HTTP.\n";
    assert!(line.ends_with(says), "{line}");
    let page = exchange(
        &server,
        b"GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n",
    );
    let page = String::from_utf8(page).unwrap();
    assert!(page.contains("<title>400 Bad Request</title>"), "{page}");
    assert!(page.contains("This port speaks HTTPS"), "{page}");
    assert_eq!(client.get(server.address(), "/").status, 200);
}

#[test]
fn what_is_neither_gets_an_alert_and_the_end() {
    let (server, client) = server("");
    // A record of a handshake with nonsense in it; a record that says it is longer than any may
    // be; an old hello; bytes of no meaning.
    let cases: [&[u8]; 4] = [
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
        b"\x16\x03\x01\xff\xff\x01",
        b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10",
        b"\x00\x00\x00\x00\x00\x00",
    ];
    for bytes in cases {
        let answer = exchange(&server, bytes);
        let is_alert = answer.len() == 7 && answer[0] == 21;
        assert!(answer.is_empty() || is_alert, "{bytes:?}: {answer:?}");
    }
    // A hello that never ends by saying that it is very long.
    let mut endless = vec![0x16, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff];
    endless.resize(20 << 10, 0);
    let _ = exchange(&server, &endless);
    assert_eq!(client.get(server.address(), "/").status, 200);
}

#[test]
fn a_hello_at_a_plain_port_gets_a_400() {
    let server = Project::wsgi(APPLICATION).start();
    let client = Client::trusting(&Authority::new());
    let answer = exchange(&server, &hello(&client));
    assert!(answer.starts_with(b"HTTP/1.1 400 "), "{answer:?}");
}

/// A hello in single bytes is a hello; one that does not come to its end is not waited for.
#[test]
fn handshakes_are_under_the_clock_of_heads() {
    let authority = Authority::new();
    let (listen, clock) = ("\"https://127.0.0.1:0\"", "[server]\nhead_timeout = \"1s\"");
    let server = with_listen(&authority, listen, clock, "").start();
    let client = Client::trusting(&authority);
    let hello = hello(&client);
    let mut slow: Vec<(TcpStream, Instant)> = [0, 1, 5, hello.len() / 2, hello.len()]
        .into_iter()
        .map(|len| {
            let mut tcp = raw(&server);
            tcp.write_all(&hello[..len]).unwrap();
            (tcp, Instant::now())
        })
        .collect();
    // Meanwhile others are served.
    assert_eq!(client.get(server.address(), "/").status, 200);
    for (tcp, began) in &mut slow {
        let mut answer = Vec::new();
        let _ = tcp.read_to_end(&mut answer);
        assert!(began.elapsed() < Duration::from_secs(20), "{began:?}");
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
    // One that drips does not gain time by it.
    let (mut tcp, began) = (raw(&server), Instant::now());
    for byte in hello.iter().cycle() {
        if began.elapsed() > Duration::from_secs(25) || tcp.write_all(&[*byte]).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_hello_in_single_bytes_is_understood() {
    let (server, client) = server("");
    let hello = hello(&client);
    let mut tcp = raw(&server);
    tcp.set_nodelay(true).unwrap();
    for byte in &hello {
        tcp.write_all(&[*byte]).unwrap();
    }
    let mut first = [0; 6];
    tcp.read_exact(&mut first).unwrap();
    // A record of a handshake, and in it a server's hello.
    assert_eq!((first[0], first[5]), (22, 2), "{first:?}");
}

#[test]
fn an_upload_that_is_cut_off_never_reaches_the_application() {
    let (server, client) = server("");
    for announced in [false, true] {
        let mut connection = client.open(server.address());
        connection
            .send("POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf");
        let stream = connection.reader.get_mut();
        if announced {
            stream.conn.send_close_notify();
            stream.flush().unwrap();
        }
        stream.sock.shutdown(Shutdown::Write).unwrap();
        assert!(connection.answer().is_err(), "announced: {announced}");
    }
    assert_eq!(client.get(server.address(), "/").status, 200);
}

#[test]
fn clients_that_leave_at_any_point_leave_nothing_behind() {
    let (server, client) = server("");
    let hello = hello(&client);
    let worker = server.workers()[0];
    let descriptors = || {
        std::fs::read_dir(format!("/proc/{worker}/fd"))
            .unwrap()
            .count()
    };
    assert_eq!(client.get(server.address(), "/files/small.txt").status, 200);
    let before = descriptors();
    for round in 0..40 {
        let mut tcp = raw(&server);
        tcp.write_all(&hello[..hello.len() * round / 40]).unwrap();
        drop(tcp);
        let mut connection = client.open(server.address());
        connection.send("GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
        drop(connection);
    }
    crate::support::eventually("end of all connections", || {
        (descriptors() <= before).then_some(())
    });
    assert_eq!(client.get(server.address(), "/files/small.txt").status, 200);
}
