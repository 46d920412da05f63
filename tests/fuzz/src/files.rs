//! A request's target → a file: never one that is hidden or lies outside, and never a redirect to
//! another site. The first byte picks a Range and whether files lie in memory, the rest is the
//! target.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::LazyLock;

use appliance_front::fuzzing::{Found, Listener};
use appliance_front::{Body, Response};
use tokio::runtime::{Builder, Runtime};

use crate::{head, scratch};

const PROJECT: &str = r#"
[[site]]
listen = ["127.0.0.1:8080"]
[site.routes]
"/" = { files = "dist", fallback = "/index.html" }
"/static/" = { files = "dist/sub" }
"/plain" = { files = "dist" }
"= /robots.txt" = { files = "dist" }
"#;

/// What may be seen begins with this, and nothing else holds [`SECRET`].
const OPEN: &str = "open";
const SECRET: &str = "secret";

static LISTENER: LazyLock<Listener> = LazyLock::new(|| {
    plant(&scratch::folder());
    let loaded = scratch::project(PROJECT.as_bytes());
    let loaded = loaded.unwrap_or_else(|report| panic!("{report}"));
    Listener::new(&loaded.project.sites).expect("a listener")
});

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime"));

pub(crate) fn fuzz(bytes: &[u8]) {
    let Some((&choice, target)) = bytes.split_first() else {
        return;
    };
    let range: &[u8] = match choice % 4 {
        0 => b"Range: bytes=1-\r\n",
        1 => b"Range: bytes=-3\r\nAccept-Encoding: gzip\r\n",
        _ => b"",
    };
    let text = [b"GET ", target, b" HTTP/1.1\r\nHost: x\r\n", range, b"\r\n"].concat();
    let Some(head) = head::of(&text) else {
        return;
    };
    let Found::Files(folder, below) = LISTENER.find(&head) else {
        return;
    };
    let response = RUNTIME.block_on(folder.reply(&head, &below));
    check(response);
    if let Some(hot) = folder.reply_at_once(&head, &below) {
        check(hot);
    }
}

fn check(response: Response) {
    let status = response.head.status.as_u16();
    assert!([200, 206, 301, 400, 404, 416].contains(&status), "{status}");
    let block = response.head.fields.blocks().concat();
    let breaks = block
        .iter()
        .filter(|byte| matches!(byte, b'\r' | b'\n' | 0))
        .count();
    assert_eq!(breaks, response.head.fields.iter().count() * 2);
    if let Some(location) = response.head.fields.get("location") {
        assert_eq!(status, 301);
        assert!(location.starts_with(b"/"));
        assert!(
            !matches!(location.get(1), Some(b'/' | b'\\')),
            "another site"
        );
    }
    let length = response.head.length;
    let body = bytes_of(response.body);
    assert_eq!(length.unwrap_or(0), body.len() as u64);
    let text = String::from_utf8_lossy(&body);
    // Parts of the word as well, since there are ranges.
    assert!(!text.contains("ecret"), "what is hidden or outside: {text}");
    if status == 200 {
        assert!(text.starts_with(OPEN), "{text}");
    }
}

fn bytes_of(body: Body) -> Vec<u8> {
    match body {
        Body::Empty => Vec::new(),
        Body::Memory(bytes) | Body::Page(bytes, _) => bytes.to_vec(),
        Body::File(part) => {
            let mut file = part.file.try_clone().expect("a descriptor");
            file.seek(SeekFrom::Start(part.offset)).expect("a file");
            let mut bytes = Vec::new();
            file.take(part.len)
                .read_to_end(&mut bytes)
                .expect("its bytes");
            bytes
        }
    }
}

/// Names that are what they look like, names that only look like something else, and every kind
/// of way out.
fn plant(folder: &Path) {
    let (dist, outside) = (folder.join("dist"), folder.join("outside"));
    for made in ["sub/deep", ".git", "sub/.hidden", ".well-known"] {
        fs::create_dir_all(dist.join(made)).expect("a folder");
    }
    fs::create_dir_all(&outside).expect("a folder");
    let large = format!("{OPEN}{}", "x".repeat(40 << 10));
    for name in [
        "index.html",
        "app.js",
        "app.js.gz",
        "robots.txt",
        "a b",
        "%2e%2e",
        "a..b",
    ] {
        fs::write(dist.join(name), OPEN).expect("a file");
    }
    for name in [
        "sub/index.html",
        "sub/app.css",
        "sub/deep/x",
        ".well-known/security.txt",
    ] {
        fs::write(dist.join(name), &large).expect("a file");
    }
    for name in [".env", ".git/config", "sub/.hidden/x", "sub/deep/.x"] {
        fs::write(dist.join(name), SECRET).expect("a file");
    }
    fs::write(outside.join("x"), SECRET).expect("a file");
    fs::write(folder.join("x"), SECRET).expect("a file");
    for (link, to) in [
        ("out", "../outside"),
        ("sub/up", "../.."),
        ("out-file", "../outside/x"),
        ("in", "sub"),
        ("loop", "loop"),
        ("root", "/"),
    ] {
        symlink(to, dist.join(link)).expect("a link");
    }
    symlink(&outside, dist.join("absolute")).expect("a link");
    symlink(dist.join("sub"), dist.join("absolute-in")).expect("a link");
}
