//! What routes and sites say holds for requests of HTTP/2 as well: other servers, hand-off, the
//! access log, what is counted.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use crate::support::http2::{END_HEADERS, END_STREAM, HEADERS, Http2, block, frame};
use crate::support::{Appliance, Project, eventually};
use crate::{curl, large, project, text};

/// Another server, which says what it was asked and how much of a body came. One that is asked for
/// `/refuse` answers without reading any of it.
struct Other {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
}

impl Other {
    fn start() -> Other {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        std::thread::spawn(move || {
            for tcp in listener.incoming() {
                if stopped.load(Relaxed) {
                    return;
                }
                let tcp = tcp.unwrap();
                std::thread::spawn(move || answer(tcp));
            }
        });
        Other { address, stop }
    }

    /// `"/"` of a site is answered by it.
    fn behind(&self, more: &str) -> Appliance {
        let sites = format!(
            "[[site]]\nlisten = [\"127.0.0.1:0\"]\nhttp2 = \"always\"\nbody_limit = \"20MB\"\n{more}\n\
             [site.routes]\n\"/\" = {{ proxy = \"http://{}\" }}\n",
            self.address
        );
        Project::with_sites("application = print", "", &sites)
            .file("large.bin", large())
            .start()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

fn answer(mut tcp: TcpStream) {
    tcp.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    while let Some(head) = head(&mut tcp) {
        if head.starts_with("POST /refuse") {
            let refusal =
                "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
            let _ = tcp.write_all(refusal.as_bytes());
            return;
        }
        let Some(len) = body(&head, &mut tcp) else {
            return;
        };
        let text = format!("{len}\n{head}");
        let (status, body) = match head.starts_with("HEAD ") {
            true => ("200 OK", ""),
            false => ("201 Created", text.as_str()),
        };
        let response = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n\
             X-Own: a\r\n\r\n{body}",
            text.len()
        );
        if tcp.write_all(response.as_bytes()).is_err() {
            return;
        }
    }
}

fn line(tcp: &mut TcpStream) -> Option<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        tcp.read_exact(&mut byte).ok()?;
        line.push(byte[0]);
    }
    Some(String::from_utf8(line).unwrap())
}

fn head(tcp: &mut TcpStream) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push_str(&line(tcp)?);
    }
    Some(head)
}

/// Reads a body, and says how long it was; none if it broke off.
fn body(head: &str, tcp: &mut TcpStream) -> Option<usize> {
    let head = head.to_ascii_lowercase();
    if let Some((_, rest)) = head.split_once("content-length: ") {
        let len = rest.lines().next()?.parse().ok()?;
        let mut bytes = vec![0; len];
        tcp.read_exact(&mut bytes).ok()?;
        return Some(len);
    }
    if !head.contains("transfer-encoding: chunked") {
        return Some(0);
    }
    let mut all = 0;
    loop {
        let len = usize::from_str_radix(line(tcp)?.trim(), 16).ok()?;
        let mut bytes = vec![0; len + 2];
        tcp.read_exact(&mut bytes).ok()?;
        all += len;
        if len == 0 {
            return Some(all);
        }
    }
}

#[test]
fn a_request_is_passed_on_to_another_server() {
    let other = Other::start();
    let site = other.behind("");
    let told = text(&curl(&site, &["-D-", "-H", "X-Drop: 1"], "/a%2Fb?x=1"));
    for expected in [
        "HTTP/2 201",
        "x-own: a\r\n",
        "0\nGET /a%2Fb?x=1 HTTP/1.1\r\n",
        "x-forwarded-for: 127.0.0.1\r\n",
        "x-forwarded-proto: http\r\n",
        "x-drop: 1\r\n",
        &format!("host: {}\r\n", site.address()),
    ] {
        assert!(told.contains(expected), "{expected:?}: {told}");
    }
    assert!(!told.contains("x-hop"), "{told}");
    let mut client = Http2::open(site.address());
    let stream = client.request("HEAD", "/", &[], END_STREAM);
    let answer = client.answer(stream);
    assert_eq!((answer.status(), answer.body.len()), (200, 0));
    assert!(answer.complete);
    // Many at once, in as many connections to the other server as it needs.
    let streams: Vec<u32> = (0..50).map(|_| client.get("/")).collect();
    for stream in streams {
        assert_eq!(client.answer(stream).status(), 201);
    }
}

#[test]
fn a_body_is_passed_on_as_it_comes() {
    let other = Other::start();
    let site = other.behind("");
    let mut client = Http2::open(site.address());
    for (length, flags) in [(Some("8388608"), 0), (None, 0)] {
        let length: Vec<(&str, &str)> = length
            .map(|len| ("content-length", len))
            .into_iter()
            .collect();
        let stream = client.request("POST", "/up", &length, flags);
        client.upload(stream, &large(), 16_000);
        let answer = client.answer(stream);
        assert_eq!(answer.status(), 201);
        assert!(answer.text().starts_with("8388608\n"), "{}", answer.text());
    }
    let upload = format!("@{}", site.project.path("large.bin").display());
    let told = text(&curl(&site, &["--data-binary", &upload], "/up"));
    assert!(told.starts_with("8388608\n"), "{told}");
}

#[test]
fn a_body_that_nobody_takes_or_that_breaks_off_costs_its_stream_alone() {
    let other = Other::start();
    let site = other.behind("");
    let mut client = Http2::open(site.address());
    let refused = client.request("POST", "/refuse", &[], 0);
    client.data(refused, &[b'x'; 10_000], 0);
    let answer = client.answer(refused);
    assert_eq!((answer.status(), answer.text()), (403, "no"));
    let broken = client.request("POST", "/up", &[("content-length", "100")], 0);
    client.data(broken, b"begun", 0);
    client.reset(broken);
    let too_much = client.request("POST", "/up", &[("content-length", "30000000")], 0);
    assert_eq!(client.answer(too_much).status(), 413);
    assert_eq!(client.ask("/").status(), 201);
}

#[test]
fn a_server_that_is_not_there_is_a_bad_gateway() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let sites = format!(
        "[[site]]\nlisten = [\"127.0.0.1:0\"]\nhttp2 = \"always\"\n[site.routes]\n\
         \"/\" = {{ proxy = \"http://{}\" }}\n",
        gone.unwrap()
    );
    let site = Project::with_sites("application = print", "", &sites).start();
    let mut client = Http2::open(site.address());
    assert_eq!(client.ask("/").status(), 502);
    assert_eq!(client.ask("/").status(), 502);
}

#[test]
fn the_access_log_has_a_line_for_each_request() {
    let format =
        "$request $status $body_bytes_sent $server_protocol $http_user_agent $sent_http_x_rule";
    let keys = format!("access_log = \"access.log\"\naccess_log_format = \"{format}\"");
    let site = project("", &keys, "").start();
    let mut client = Http2::open(site.address());
    for (method, path, status) in [
        ("GET", "/n/12345", 200),
        ("POST", "/n/1", 405),
        ("GET", "/files/a.txt", 200),
        ("HEAD", "/files/a.txt", 200),
        ("GET", "/files/none?x", 404),
        ("GET", "/files/large.bin", 200),
    ] {
        let stream = client.request(method, path, &[("user-agent", "t\"")], END_STREAM);
        assert_eq!(client.answer(stream).status(), status, "{path}");
    }
    // One that its client takes back, and one that is no request.
    let endless = client.get("/endless");
    while client.so_far(endless).body.is_empty() {
        client.frame().unwrap();
    }
    client.reset(endless);
    let malformed = client.request("GET", "/", &[("connection", "close")], END_STREAM);
    let _ = client.answer(malformed);
    let lines = eventually("lines of the access log", || {
        let text = std::fs::read_to_string(site.project.path("access.log")).unwrap_or_default();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        (lines.len() >= 7).then_some(lines)
    });
    for expected in [
        "GET /n/12345 HTTP/2.0 200 5 HTTP/2.0 t\\x22 holds",
        "POST /n/1 HTTP/2.0 405 23 HTTP/2.0 t\\x22 holds",
        "GET /files/a.txt HTTP/2.0 200 6 HTTP/2.0 t\\x22 -",
        "HEAD /files/a.txt HTTP/2.0 200 0 HTTP/2.0 t\\x22 -",
        "GET /files/none?x HTTP/2.0 404 14 HTTP/2.0 t\\x22 -",
        "GET /files/large.bin HTTP/2.0 200 8388608 HTTP/2.0 t\\x22 -",
    ] {
        let count = lines.iter().filter(|line| *line == expected).count();
        assert_eq!(count, 1, "{expected}: {lines:#?}");
    }
    let taken_back = |line: &&String| line.starts_with("GET /endless HTTP/2.0 200 ");
    assert_eq!(lines.iter().filter(taken_back).count(), 1, "{lines:#?}");
}

#[test]
fn requests_are_counted_one_by_one() {
    let admin = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let admin = admin.unwrap();
    let site = project(&format!("admin = \"{admin}\""), "server_timing = true", "").start();
    let mut client = Http2::open(site.address());
    for (path, status) in [("/n/1", 200), ("/files/none", 404), ("/raise", 500)] {
        assert_eq!(client.ask(path).status(), status);
    }
    let told = text(&curl(&site, &["-D-"], "/n/1"));
    assert!(told.contains("server-timing: queue;dur="), "{told}");
    eventually("figures", || {
        let mut tcp = TcpStream::connect(admin).unwrap();
        tcp.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut metrics = String::new();
        tcp.read_to_string(&mut metrics).unwrap();
        let counted = |class: &str| -> usize {
            let class = format!("code=\"{class}\"");
            let lines = metrics.lines().filter(|line| {
                line.starts_with("appliance_http_requests_total{") && line.contains(&class)
            });
            lines
                .map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap())
                .sum()
        };
        (["2xx", "4xx", "5xx"].map(counted) == [2, 1, 1]).then_some(())
    });
}

#[test]
fn what_is_made_of_responses_holds_for_http_2() {
    let keys = "compress = true\nerror_pages = { 404 = \"404.html\", 500 = \"500.html\" }\n\
headers = { X-One = \"1\", Proxy-Connection = \"x\", TE = \"gzip\" }";
    let site = project("", keys, "")
        .file("404.html", "<p>our own 404")
        .file("500.html", "<p>our own 500")
        .file("files/long.txt", "so it goes on, and ".repeat(1000))
        .start();
    let browser = ["-D-", "-H", "Accept: text/html"];
    for (path, status, page) in [
        ("/files/none", "HTTP/2 404", "<p>our own 404"),
        ("/raise", "HTTP/2 500", "<p>our own 500"),
    ] {
        let told = text(&curl(&site, &browser, path));
        for expected in [status, "x-one: 1\r\n", page] {
            assert!(told.contains(expected), "{expected}: {told}");
        }
        // Of a connection of HTTP/1.1, and in HTTP/2 a fault.
        for gone in ["\nproxy-connection: ", "\nte: "] {
            assert!(!told.contains(gone), "{gone}: {told}");
        }
    }
    let plain = curl(&site, &[], "/files/long.txt").stdout;
    assert_eq!(plain.len(), 19_000);
    let (head, got) = ("head.txt", "got.bin");
    let (head, got) = (site.project.path(head), site.project.path(got));
    let arguments = [
        "--compressed",
        "-D",
        head.to_str().unwrap(),
        "-o",
        got.to_str().unwrap(),
    ];
    // Long enough to be compressed: the environ holds the query.
    let environ = format!("/environ/long?{}", "q".repeat(2000));
    for path in ["/files/long.txt", &environ] {
        let asked = curl(&site, &arguments, path);
        assert!(asked.status.success(), "{path}: {}", text(&asked));
        let head = std::fs::read_to_string(&head).unwrap();
        assert!(head.contains("content-encoding: "), "{path}: {head}");
        assert!(head.contains("x-one: 1\r\n"), "{path}: {head}");
        let body = std::fs::read(&got).unwrap();
        match path {
            "/files/long.txt" => assert!(body == plain),
            _ => assert!(
                String::from_utf8(body)
                    .unwrap()
                    .contains("PATH_INFO=/environ/long")
            ),
        }
    }
}

/// Fields behind the body (RFC 9113 §8.1) come when the request has been judged, and pass for
/// fields of its head nowhere.
#[test]
fn trailers_are_no_part_of_the_environ() {
    let site = project("", "", "").start();
    let mut client = Http2::open(site.address());
    for announced in [&[][..], &[("trailer", "x-late")]] {
        let stream = client.request("POST", "/environ/", announced, 0);
        client.data(stream, b"a body", 0);
        let late = block(&[("x-late", "1"), ("x-forwarded-for", "192.0.2.9")]);
        client.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &late));
        let answer = client.answer(stream);
        assert_eq!(answer.status(), 200);
        let text = answer.text().to_ascii_lowercase();
        assert!(text.contains("request_method=post"), "{text}");
        assert!(!text.contains("http_x_late"), "{text}");
        assert!(!text.contains("192.0.2.9"), "{text}");
    }
    // What belongs to a head alone (§8.3.1) changes nothing behind a body.
    let stream = client.request("POST", "/environ/", &[], 0);
    let late = block(&[(":path", "/other")]);
    client.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &late));
    let text = client.answer(stream).text().to_owned();
    assert!(!text.contains("/other"), "{text}");
}
