//! The front's development server, played by a small one.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::support::{Project, eventually, is_running};
use super::{APP, VIEWS, develop, get_as_browser, save, saying, wait_for_answer};

/// Says which path it was asked for; echoes what comes by a WebSocket's connection.
fn front() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || answer(stream.unwrap()));
        }
    });
    address
}

fn answer(mut stream: TcpStream) {
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let mut head = Vec::new();
    let mut bytes = [0; 4096];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut bytes) {
            Ok(len @ 1..) => head.extend_from_slice(&bytes[..len]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    if !head.contains("upgrade: websocket") {
        let path = head.split(' ').nth(1).unwrap_or_default();
        let body = format!("front {path}");
        let response = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let _ = stream.write_all(response.as_bytes());
        return;
    }
    let switched =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let _ = stream.write_all(switched.as_bytes());
    while let Ok(len @ 1..) = stream.read(&mut bytes) {
        let _ = stream.write_all(&bytes[..len]);
    }
}

/// A front that was never built: its folder is not there.
fn project(dev: &str) -> Project {
    let sites = "[[site]]\nlisten = [\"127.0.0.1:0\"]\n\n[site.routes]\n\
                 \"/\" = { files = \"dist\", fallback = \"/index.html\" }\n\
                 \"/assets/\" = { files = \"dist/assets\" }\n\
                 \"/static/\" = { files = \"static\" }\n\"/api\" = { wsgi = true }\n";
    Project::with_sites(APP, "threads = 2", sites)
        .file("views.py", VIEWS)
        .file("static/site.css", "css")
        .also(dev)
}

#[test]
fn the_front_comes_from_its_server_and_the_rest_from_where_it_always_does() {
    let url = format!("http://{}", front());
    let site = develop(project(""), &["--front", &url]);
    for path in [
        "/",
        "/@vite/client",
        "/src/main.js?t=1",
        "/assets/a.js",
        "/deep/link",
    ] {
        assert_eq!(site.get(path).text(), format!("front {path}"));
    }
    assert_eq!(site.get("/static/site.css").text(), "css");
    assert_eq!(site.get("/api").text(), "one");
    site.wait_for_log("GET /api 200 ");
    assert!(!site.log().contains("GET /src/main.js"), "{}", site.log());
}

#[test]
fn a_websocket_outlives_reloads_and_a_stop_waits_for_none() {
    let url = format!("http://{}", front());
    let dev = format!("[dev]\nfront = \"{url}/\"\n");
    let mut site = develop(project(&dev), &[]);
    let mut socket = TcpStream::connect(site.address()).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let asked =
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    socket.write_all(asked.as_bytes()).unwrap();
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(
        head.starts_with(b"HTTP/1.1 101 "),
        "{}",
        String::from_utf8_lossy(&head)
    );
    let mut echo = |text: &str| {
        socket.write_all(text.as_bytes()).unwrap();
        let mut echoed = vec![0; text.len()];
        socket.read_exact(&mut echoed).unwrap();
        assert_eq!(echoed, text.as_bytes());
    };
    echo("before");
    save(&site, "views.py", &saying("two"));
    wait_for_answer(&site, "/api", "two");
    // Longer than connections without a request are waited for.
    let quiet = Instant::now() + Duration::from_secs(7);
    while Instant::now() < quiet {
        echo("still there");
        std::thread::sleep(Duration::from_millis(200));
    }
    let began = Instant::now();
    assert_eq!(site.stop(), 0);
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn a_front_that_is_not_running_says_how_to_start_it_and_is_seen_when_it_is() {
    // Its port is taken, and nobody answers yet.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let site = develop(project(""), &["--front", &format!("http://{address}")]);
    for _ in 0..5 {
        let page = get_as_browser(&site, "/", "localhost");
        assert_eq!((page.status, page.header("refresh")), (502, Some("2")));
        let text = page.text();
        assert!(
            text.contains(&format!("does not answer at http://{address}")),
            "{text}"
        );
        assert!(text.contains("npm run dev"), "{text}");
    }
    assert_eq!(site.get("/api").text(), "one");
    let listener = TcpListener::bind(address).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            answer(stream.unwrap());
        }
    });
    assert_eq!(site.get("/x").text(), "front /x");
}

#[test]
fn the_fronts_command_is_started_and_ended_with_all_that_it_starts() {
    let dev = "[dev]\nfront = \"http://127.0.0.1:1\"\n\
               command = [\"sh\", \"-c\", \"sleep 600 & echo its child is $! ; wait\"]\n";
    let mut site = develop(project(dev), &[]);
    let said = "front | its child is ";
    site.wait_for_log(said);
    let log = site.log();
    let pid = log.split(said).nth(1).unwrap().lines().next().unwrap();
    let pid: i32 = pid.trim().parse().unwrap();
    assert!(is_running(pid));
    assert_eq!(site.stop(), 0);
    eventually("end of what the command has started", || {
        (!is_running(pid)).then_some(())
    });
}

#[test]
fn a_command_that_cannot_be_started_is_told_and_the_rest_works() {
    let site = develop(
        project("[dev]\nfront = \"http://127.0.0.1:1\"\ncommand = [\"no-such-program\"]\n"),
        &[],
    );
    site.wait_for_log("error: cannot start `no-such-program` (`dev.command`): No such file");
    assert_eq!(site.get("/api").text(), "one");
}
