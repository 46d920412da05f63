//! Files over real connections: a whole front, without an application.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

use std::fs::{self, File};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use appliance_front::{Front, Tickets};
use appliance_gateway::{Answering, Gateway, GatewayError, Incomplete, News, Request};
use appliance_project::Sources;
use appliance_project::tickets::TicketSecret;
use bytes::Bytes;
use http_body::Frame;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LARGE: usize = 20 << 20;

/// Bytes which tell where they stand: nothing can be lost, doubled or swapped unseen.
fn contents(seed: u64, len: usize) -> Vec<u8> {
    let words =
        (0..len as u64 / 8 + 1).map(|place| place.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seed);
    let mut bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    bytes.truncate(len);
    bytes
}

/// No application.
struct Nobody;

impl Gateway for Nobody {
    type Body = NoBody;

    fn call(&self, _: Request) -> impl Answering<NoBody> + use<> {
        NoAnswer
    }
}

struct NoAnswer;

impl Answering<NoBody> for NoAnswer {
    fn poll_news(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Result<News<NoBody>, GatewayError>> {
        Poll::Ready(Err(GatewayError::Failed))
    }
}

/// The body of what is never answered.
enum NoBody {}

impl http_body::Body for NoBody {
    type Data = Bytes;
    type Error = Incomplete;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Incomplete>>> {
        match *self {}
    }
}

/// A front for the files in `dir`.
fn serve(dir: &TempDir) -> SocketAddr {
    let file = dir.path().join("project.toml");
    let site = "[[site]]\nlisten = \"127.0.0.1:0\"\n[site.routes]\n\"/\" = { files = \".\" }\n";
    fs::write(&file, site).unwrap();
    let sources = Sources {
        file,
        ..Sources::default()
    };
    let project = appliance_project::load(&sources).unwrap().project;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let listeners = vec![(project.sites[0].listen[0], listener)];
    let tickets = Tickets::new(TicketSecret::new(SystemTime::now()).unwrap());
    let front = Front::new(&project, Nobody, &tickets, || ()).unwrap();
    let never = std::future::pending();
    tokio::spawn(appliance_front::serve(
        front,
        listeners,
        never,
        Duration::ZERO,
    ));
    address
}

async fn ask(stream: &mut TcpStream, path: &str, fields: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
}

/// Reads a head, byte by byte so as not to take from the body, and gives its content length.
async fn content_length(stream: &mut TcpStream) -> usize {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let field = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "))
        .unwrap();
    field.parse().unwrap()
}

async fn answer(stream: &mut TcpStream) -> Vec<u8> {
    let mut body = vec![0; content_length(stream).await];
    stream.read_exact(&mut body).await.unwrap();
    body
}

#[tokio::test]
async fn files_of_every_size_arrive_whole() {
    let dir = tempfile::tempdir().unwrap();
    let all = contents(1, LARGE);
    let sizes = [
        0,
        1,
        3000,
        60_000,
        1 << 20,
        (1 << 20) + 1,
        2 << 20,
        (2 << 20) + 1,
        LARGE,
    ];
    for size in sizes {
        fs::write(dir.path().join(size.to_string()), &all[..size]).unwrap();
    }
    let mut stream = TcpStream::connect(serve(&dir)).await.unwrap();
    for size in sizes {
        ask(&mut stream, &format!("/{size}"), "").await;
        assert!(answer(&mut stream).await == all[..size], "{size}");
    }
    let range = "range: bytes=1234567-9876543\r\n";
    ask(&mut stream, &format!("/{LARGE}"), range).await;
    assert!(answer(&mut stream).await == all[1_234_567..=9_876_543]);
}

#[tokio::test]
async fn pipelined_answers_keep_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let (small, large) = (contents(1, 3000), contents(2, 5 << 20));
    fs::write(dir.path().join("small"), &small).unwrap();
    fs::write(dir.path().join("large"), &large).unwrap();
    let mut stream = TcpStream::connect(serve(&dir)).await.unwrap();
    for path in ["/small", "/large", "/small", "/large", "/small"] {
        ask(&mut stream, path, "").await;
    }
    for expected in [&small, &large, &small, &large, &small] {
        assert!(answer(&mut stream).await == **expected);
    }
}

#[tokio::test]
async fn connections_side_by_side_get_each_their_own_file() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..24 {
        fs::write(
            dir.path().join(number.to_string()),
            contents(number, 3 << 20),
        )
        .unwrap();
    }
    let address = serve(&dir);
    let downloads = (0..24).map(|number| {
        tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            for _ in 0..2 {
                ask(&mut stream, &format!("/{number}"), "").await;
                assert!(
                    answer(&mut stream).await == contents(number, 3 << 20),
                    "{number}"
                );
            }
        })
    });
    for download in downloads.collect::<Vec<_>>() {
        download.await.unwrap();
    }
}

#[tokio::test]
async fn a_file_truncated_while_it_is_sent_ends_the_connection() {
    let dir = tempfile::tempdir().unwrap();
    let all = contents(3, LARGE);
    fs::write(dir.path().join("large"), &all).unwrap();
    let address = serve(&dir);
    let mut stream = TcpStream::connect(address).await.unwrap();
    ask(&mut stream, "/large", "").await;
    assert_eq!(content_length(&mut stream).await, LARGE);
    let mut first = vec![0; 1 << 20];
    stream.read_exact(&mut first).await.unwrap();
    File::options()
        .write(true)
        .open(dir.path().join("large"))
        .unwrap()
        .set_len(1000)
        .unwrap();
    let mut rest = Vec::new();
    // The end may come as a reset.
    let _ = stream.read_to_end(&mut rest).await;
    // What waits in the socket are the file's own pages, which truncation may clear: only
    // what was read before is compared. The client must learn that something is missing.
    assert!(first == all[..first.len()]);
    assert!(first.len() + rest.len() < LARGE, "{}", rest.len());
    let mut next = TcpStream::connect(address).await.unwrap();
    ask(&mut next, "/large", "").await;
    assert!(answer(&mut next).await == all[..1000]);
}

#[tokio::test]
async fn clients_that_leave_give_their_places_back() {
    let dir = tempfile::tempdir().unwrap();
    let all = contents(4, LARGE);
    fs::write(dir.path().join("large"), &all).unwrap();
    let address = serve(&dir);
    for _ in 0..50 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        ask(&mut stream, "/large", "").await;
        stream.read_u8().await.unwrap();
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    ask(&mut stream, "/large", "").await;
    assert!(answer(&mut stream).await == all);
    drop(stream);
    // Each connection holds the file open until it is gone.
    for _ in 0..200 {
        if open_files(dir.path()) == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{} descriptors are left", open_files(dir.path()));
}

fn open_files(below: &std::path::Path) -> usize {
    let descriptors = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let targets = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok());
    targets.filter(|target| target.starts_with(below)).count()
}
