//! Static files through the public interface: a folder on disk, a request in, a response out.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

use std::fs;
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use appliance_front::files::{Cache, Folder};
use appliance_front::{Body, Response};
use appliance_message::{Head, Limits, parse};
use appliance_project::model::{FileRules, Files, Immutable};
use http::StatusCode;
use tempfile::TempDir;

const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");

/// A folder with a single-page front in it, and what should never get out beside it.
struct Site {
    dir: TempDir,
    folder: Folder,
}

/// An answer, read to its end.
struct Answer {
    status: StatusCode,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn field(&self, name: &str) -> &str {
        let mut fields = self.fields.iter();
        fields
            .find(|(known, _)| known == name)
            .map_or("", |(_, value)| value)
    }
}

impl Site {
    fn new() -> Site {
        let dir = tempfile::tempdir().unwrap();
        let dist = dir.path().join("dist");
        fs::create_dir_all(dist.join("assets")).unwrap();
        fs::create_dir(dist.join("docs")).unwrap();
        fs::write(dist.join("index.html"), "<h1>home</h1>").unwrap();
        fs::write(dist.join("docs/index.html"), "<h1>docs</h1>").unwrap();
        fs::write(dist.join("assets/index-DiwrgTda.js"), "let a = 1;").unwrap();
        fs::write(dist.join("data.bin"), (0..100).collect::<Vec<u8>>()).unwrap();
        fs::write(dist.join(".env"), "SECRET").unwrap();
        fs::write(dir.path().join("secret.txt"), "SECRET").unwrap();
        let folder = folder(&dist, Some("/index.html"));
        Site { dir, folder }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join("dist").join(name)
    }

    async fn send(&self, method: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        send(&self.folder, method, path, fields).await
    }

    async fn get(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send("GET", path, fields).await
    }

    /// Repeats a GET until the answer is as wanted: staleness is bounded by a second.
    async fn until(&self, path: &str, wanted: impl Fn(&Answer) -> bool) -> Duration {
        let start = Instant::now();
        loop {
            let answer = self.get(path, &[HTML]).await;
            if wanted(&answer) {
                return start.elapsed();
            }
            assert!(
                start.elapsed() < Duration::from_secs(5),
                "{path}: {}",
                answer.status
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn folder(root: &Path, fallback: Option<&str>) -> Folder {
    Folder::new(
        &settings(root, fallback),
        &FileRules::default(),
        ("/", false),
        Arc::new(Cache::default()),
    )
}

fn settings(root: &Path, fallback: Option<&str>) -> Files {
    Files {
        root: root.to_owned(),
        fallback: fallback.map(str::to_owned),
        extensions: Vec::new(),
        then_wsgi: false,
        index: vec!["index.html".to_owned()],
        immutable: Immutable::Hashed,
    }
}

async fn send(folder: &Folder, method: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
    let head = request(method, path, fields);
    let below = path.split('?').next().unwrap().strip_prefix('/').unwrap();
    read(&head, folder.reply(&head, below).await)
}

fn request(method: &str, path: &str, fields: &[(&str, &str)]) -> Head {
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    for (name, value) in fields {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let limits = Limits {
        bytes: 64 << 10,
        fields: 100,
    };
    parse(text.as_bytes(), &mut 0, limits).unwrap().unwrap().0
}

fn read(request: &Head, response: Response) -> Answer {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let fields = response.head.fields.iter();
    let mut fields: Vec<_> = fields
        .map(|(name, value)| (text(name).to_lowercase(), text(value)))
        .collect();
    let length = response.head.length.unwrap_or(0);
    fields.push(("content-length".to_owned(), length.to_string()));
    let body = match response.body {
        _ if request.method == "HEAD" => Vec::new(),
        Body::Empty => Vec::new(),
        Body::Memory(bytes) | Body::Page(bytes, _) => bytes.to_vec(),
        Body::File(part) => {
            let mut bytes = vec![0; part.len as usize];
            part.file.read_exact_at(&mut bytes, part.offset).unwrap();
            bytes
        }
    };
    Answer {
        status: response.head.status,
        fields,
        body,
    }
}

#[tokio::test]
async fn files_come_with_their_type_validators_and_freshness() {
    let site = Site::new();
    let home = site.get("/", &[]).await;
    assert_eq!(home.status, 200);
    assert_eq!(home.body, b"<h1>home</h1>");
    assert_eq!(home.field("content-type"), "text/html; charset=utf-8");
    assert_eq!(home.field("cache-control"), "no-cache");
    assert_eq!(home.field("content-length"), "13");
    assert_eq!(home.field("accept-ranges"), "bytes");
    assert_eq!(home.field("x-content-type-options"), "nosniff");
    assert!(home.field("etag").starts_with('"') && home.field("etag").ends_with('"'));
    assert!(httpdate::parse_http_date(home.field("last-modified")).unwrap() <= SystemTime::now());
    let script = site.get("/assets/index-DiwrgTda.js", &[]).await;
    assert_eq!(
        script.field("content-type"),
        "text/javascript; charset=utf-8"
    );
    assert_eq!(
        script.field("cache-control"),
        "public, max-age=31536000, immutable"
    );
    assert_eq!(
        site.get("/%69ndex%2ehtml", &[]).await.body,
        b"<h1>home</h1>"
    );
}

#[tokio::test]
async fn head_has_the_fields_of_get_and_no_body() {
    let site = Site::new();
    fs::write(site.path("large.bin"), vec![7; 3 << 20]).unwrap();
    for path in [
        "/",
        "/assets/index-DiwrgTda.js",
        "/large.bin",
        "/deep/link",
        "/no.js",
        "/docs",
    ] {
        let get = site.get(path, &[HTML]).await;
        let head = site.send("HEAD", path, &[HTML]).await;
        assert_eq!(
            (head.status, &head.fields),
            (get.status, &get.fields),
            "{path}"
        );
        assert_eq!(
            head.field("content-length"),
            get.body.len().to_string(),
            "{path}"
        );
        assert!(head.body.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn other_methods_are_told_which_ones_there_are() {
    let site = Site::new();
    for method in ["POST", "PUT", "DELETE", "PATCH", "BREW"] {
        let answer = site.send(method, "/", &[]).await;
        assert_eq!(
            (answer.status.as_u16(), answer.field("allow")),
            (405, "GET, HEAD, OPTIONS")
        );
    }
    let options = site.send("OPTIONS", "/", &[]).await;
    assert_eq!(
        (options.status.as_u16(), options.field("allow")),
        (204, "GET, HEAD, OPTIONS")
    );
}

#[tokio::test]
async fn nothing_outside_the_folder_or_hidden_in_it_gets_out() {
    let site = Site::new();
    symlink("../secret.txt", site.path("relative")).unwrap();
    symlink(site.dir.path().join("secret.txt"), site.path("absolute")).unwrap();
    symlink("..", site.path("up")).unwrap();
    symlink("/", site.path("top")).unwrap();
    symlink("loop", site.path("loop")).unwrap();
    symlink("../secret.txt", site.path("index.html.gz")).unwrap();
    make_fifo(&site.path("fifo"));
    let socket = std::os::unix::net::UnixListener::bind(site.path("socket")).unwrap();
    for (path, status) in [
        ("/relative", 404),
        ("/absolute", 404),
        ("/up/secret.txt", 404),
        ("/up/", 404),
        ("/top/etc/passwd", 404),
        ("/fifo", 404),
        ("/socket", 404),
        ("/.env", 404),
        ("/assets/../.env", 404),
        ("/../secret.txt", 404),
        ("/..%2fsecret.txt", 404),
        ("/%2e%2e/secret.txt", 404),
        ("/..%5csecret.txt", 404),
        ("/assets/..%2f..%2f..%2fsecret.txt", 404),
        ("/a%00.html", 400),
        ("/a%zz", 400),
        ("/%", 400),
    ] {
        let answer = site.get(path, &[HTML]).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
        assert!(
            !String::from_utf8_lossy(&answer.body).contains("SECRET"),
            "{path}"
        );
    }
    // Without the fallback a loop and an over-long name are plain 404s too.
    let plain = folder(&site.path(""), None);
    for path in [
        "/loop".to_owned(),
        format!("/{}", "a".repeat(300)),
        "/a/".repeat(2000),
    ] {
        assert_eq!(send(&plain, "GET", &path, &[HTML]).await.status, 404);
    }
    let home = site.get("/", &[("accept-encoding", "gzip")]).await;
    assert_eq!(home.body, b"<h1>home</h1>");
    drop(socket);
}

fn make_fifo(path: &Path) {
    let status = std::process::Command::new("mkfifo")
        .arg(path)
        .status()
        .unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn made_up_paths_never_leave_the_folder() {
    const PIECES: [&str; 16] = [
        "..",
        ".",
        "/",
        "%2e",
        "%2F",
        "%5c",
        "up",
        "secret.txt",
        "dist",
        "assets",
        "//",
        "%25",
        "top",
        "%2e%2e/",
        "index.html",
        "../",
    ];
    let site = Site::new();
    symlink("..", site.path("up")).unwrap();
    symlink("/", site.path("top")).unwrap();
    let mut state: u64 = 7;
    let mut served = 0;
    for _ in 0..3000 {
        let mut path = String::from("/");
        for _ in 0..6 {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            path.push_str(PIECES[(state >> 60) as usize]);
        }
        let answer = site.get(&path, &[]).await;
        assert!(
            !String::from_utf8_lossy(&answer.body).contains("SECRET"),
            "{path}"
        );
        served += usize::from(answer.status == 200);
    }
    assert!(served > 0, "the loop must reach files as well");
}

#[tokio::test]
async fn links_inside_the_folder_and_the_folder_as_a_link_are_followed() {
    let site = Site::new();
    symlink("index.html", site.path("relative.html")).unwrap();
    symlink(site.path("index.html"), site.path("absolute.html")).unwrap();
    symlink("docs", site.path("manual")).unwrap();
    for path in ["/relative.html", "/absolute.html"] {
        assert_eq!(site.get(path, &[]).await.body, b"<h1>home</h1>", "{path}");
    }
    assert_eq!(site.get("/manual/", &[]).await.body, b"<h1>docs</h1>");
    let current = site.dir.path().join("current");
    symlink("dist", &current).unwrap();
    let folder = folder(&current, None);
    assert_eq!(send(&folder, "GET", "/", &[]).await.body, b"<h1>home</h1>");
}

#[tokio::test]
async fn a_name_need_not_be_utf8() {
    use std::os::unix::ffi::OsStrExt;
    let site = Site::new();
    fs::write(
        site.path("")
            .join(std::ffi::OsStr::from_bytes(b"caf\xe9.txt")),
        "latin",
    )
    .unwrap();
    assert_eq!(site.get("/caf%e9.txt", &[]).await.body, b"latin");
}

#[tokio::test]
async fn a_folder_gets_its_slash_only_where_that_leads_somewhere() {
    let site = Site::new();
    for (path, location) in [
        ("/docs", "/docs/"),
        ("/docs?a=%2F&b", "/docs/?a=%2F&b"),
        ("//docs", "/docs/"),
    ] {
        let answer = site.get(path, &[]).await;
        assert_eq!(
            (answer.status.as_u16(), answer.field("location")),
            (301, location),
            "{path}"
        );
    }
    // `assets` has no index: a client-side route of that name wins.
    assert_eq!(site.get("/assets", &[HTML]).await.body, b"<h1>home</h1>");
    assert_eq!(site.get("/assets/", &[HTML]).await.body, b"<h1>home</h1>");
    let plain = folder(&site.path(""), None);
    assert_eq!(send(&plain, "GET", "/assets/", &[HTML]).await.status, 404);
    assert_eq!(
        send(&plain, "GET", "/index.html/", &[HTML]).await.status,
        404
    );
}

#[tokio::test]
async fn the_fallback_answers_navigations_only() {
    let site = Site::new();
    for path in ["/users/42", "/users/42/", "/search/a%2Fb", "/index.html/x"] {
        let answer = site.get(path, &[HTML]).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body[..]),
            (200, &b"<h1>home</h1>"[..]),
            "{path}"
        );
        assert_eq!(answer.field("cache-control"), "no-cache");
    }
    for path in [
        "/assets/gone-DiwrgTdb.js",
        "/logo.png",
        "/style.css",
        "/app.js.map",
        "/x.json",
    ] {
        assert_eq!(site.get(path, &[HTML]).await.status, 404, "{path}");
    }
    let script = [("accept", "*/*"), ("sec-fetch-dest", "script")];
    assert_eq!(site.get("/users/42", &script).await.status, 404);
    assert_eq!(
        site.get("/users/42", &[("accept", "application/json")])
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn conditions_spare_the_body() {
    let site = Site::new();
    let first = site.get("/", &[]).await;
    let (etag, date) = (
        first.field("etag").to_owned(),
        first.field("last-modified").to_owned(),
    );
    let weak = format!("W/{etag}");
    for fields in [
        [("if-none-match", &*etag)],
        [("if-none-match", &*weak)],
        [("if-modified-since", &*date)],
    ] {
        let answer = site.get("/", &fields).await;
        assert_eq!(answer.status, 304, "{fields:?}");
        assert_eq!(answer.field("etag"), etag);
        assert_eq!(answer.field("cache-control"), "no-cache");
        assert!(answer.body.is_empty());
    }
    assert_eq!(
        site.get("/", &[("if-match", "\"other\"")]).await.status,
        412
    );
    assert_eq!(
        site.get("/", &[("if-none-match", "\"other\"")])
            .await
            .status,
        200
    );
    assert_eq!(
        site.get("/deep", &[HTML, ("if-none-match", &etag)])
            .await
            .status,
        304
    );
}

#[tokio::test]
async fn ranges_are_parts_of_the_file() {
    let site = Site::new();
    let all: Vec<u8> = (0..100).collect();
    let etag = site.get("/data.bin", &[]).await.field("etag").to_owned();
    for (range, part, content_range) in [
        ("bytes=0-0", 0..1, "bytes 0-0/100"),
        ("bytes=10-19", 10..20, "bytes 10-19/100"),
        ("bytes=90-", 90..100, "bytes 90-99/100"),
        ("bytes=-3", 97..100, "bytes 97-99/100"),
        ("bytes=0-99", 0..100, "bytes 0-99/100"),
    ] {
        let answer = site
            .get("/data.bin", &[("range", range), ("if-range", &etag)])
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.field("content-range")),
            (206, content_range)
        );
        assert_eq!(answer.body, all[part.clone()], "{range}");
        assert_eq!(
            answer.field("content-length"),
            part.len().to_string(),
            "{range}"
        );
    }
    let beyond = site.get("/data.bin", &[("range", "bytes=100-")]).await;
    assert_eq!(
        (beyond.status.as_u16(), beyond.field("content-range")),
        (416, "bytes */100")
    );
    for fields in [
        &[("range", "bytes=0-1,3-4")][..],
        &[("range", "bytes=5-2")],
        &[("range", "bytes=0-1"), ("if-range", "\"other\"")],
    ] {
        let whole = site.get("/data.bin", fields).await;
        assert_eq!(
            (whole.status.as_u16(), whole.body.len()),
            (200, 100),
            "{fields:?}"
        );
    }
    let head = site
        .send("HEAD", "/data.bin", &[("range", "bytes=0-1")])
        .await;
    assert_eq!(
        (head.status.as_u16(), head.field("content-length")),
        (200, "100")
    );
}

#[tokio::test]
async fn precompressed_neighbours_are_negotiated() {
    let site = Site::new();
    let original = site.path("assets/index-DiwrgTda.js");
    for (suffix, contents) in [("br", "BROTLI"), ("gz", "GZ"), ("zst", "ZSTANDARD")] {
        fs::write(format!("{}.{suffix}", original.display()), contents).unwrap();
    }
    let path = "/assets/index-DiwrgTda.js";
    let mut tags = Vec::new();
    for (accept, coding, body) in [
        ("gzip, deflate, br, zstd", "br", "BROTLI"),
        ("gzip, zstd", "zstd", "ZSTANDARD"),
        ("gzip", "gzip", "GZ"),
        ("br;q=0, gzip;q=0.1", "gzip", "GZ"),
        ("identity", "", "let a = 1;"),
        ("gzip;q=0", "", "let a = 1;"),
    ] {
        let answer = site.get(path, &[("accept-encoding", accept)]).await;
        assert_eq!(answer.field("content-encoding"), coding, "{accept}");
        assert_eq!(answer.body, body.as_bytes(), "{accept}");
        assert_eq!(answer.field("vary"), "Accept-Encoding");
        assert_eq!(
            answer.field("content-type"),
            "text/javascript; charset=utf-8"
        );
        tags.push(answer.field("etag").to_owned());
    }
    tags.dedup();
    assert_eq!(tags.len(), 4, "br, zstd, gzip, identity: {tags:?}");
    let part = site
        .get(path, &[("accept-encoding", "br"), ("range", "bytes=0-1")])
        .await;
    assert_eq!(
        (&part.body[..], part.field("content-range")),
        (&b"BR"[..], "bytes 0-1/6")
    );
    let itself = site
        .get(
            "/assets/index-DiwrgTda.js.gz",
            &[("accept-encoding", "gzip")],
        )
        .await;
    assert_eq!(itself.field("content-type"), "application/gzip");
    assert_eq!(
        (itself.field("content-encoding"), &itself.body[..]),
        ("", &b"GZ"[..])
    );
    assert_eq!(
        site.get("/", &[("accept-encoding", "br")])
            .await
            .field("vary"),
        ""
    );
}

#[tokio::test]
async fn a_neighbour_older_than_the_original_is_ignored() {
    let site = Site::new();
    fs::write(site.path("index.html.gz"), "OLD").unwrap();
    let neighbour = fs::File::options()
        .write(true)
        .open(site.path("index.html.gz"))
        .unwrap();
    neighbour
        .set_modified(SystemTime::now() - Duration::from_secs(3600))
        .unwrap();
    let answer = site.get("/", &[("accept-encoding", "gzip")]).await;
    assert_eq!(
        (answer.field("content-encoding"), &answer.body[..]),
        ("", &b"<h1>home</h1>"[..])
    );
}

#[tokio::test]
async fn a_deployment_is_seen_within_a_second() {
    let site = Site::new();
    let bound = Duration::from_millis(1300);
    site.get("/", &[]).await;
    // Same length, same modification time: only the inode's change time tells.
    let before = fs::metadata(site.path("index.html"))
        .unwrap()
        .modified()
        .unwrap();
    fs::write(site.path("new.html"), "<h1>HOME</h1>").unwrap();
    let new = fs::File::options()
        .write(true)
        .open(site.path("new.html"))
        .unwrap();
    new.set_modified(before).unwrap();
    let tag = site.get("/", &[]).await.field("etag").to_owned();
    fs::rename(site.path("new.html"), site.path("index.html")).unwrap();
    assert!(
        site.until("/", |answer| answer.body == b"<h1>HOME</h1>")
            .await
            < bound
    );
    assert_ne!(site.get("/", &[]).await.field("etag"), tag);
    fs::write(site.path("index.html.br"), "BR").unwrap();
    assert!(
        site.until("/", |answer| answer.field("vary") == "Accept-Encoding")
            .await
            < bound
    );
    fs::remove_file(site.path("data.bin")).unwrap();
    site.get("/data.bin", &[]).await;
    assert!(site.until("/data.bin", |answer| answer.status == 404).await < bound);
    fs::rename(site.path(""), site.dir.path().join("old")).unwrap();
    assert!(site.until("/", |answer| answer.status == 404).await < bound);
}

#[tokio::test]
async fn an_exact_route_answers_with_its_file() {
    let site = Site::new();
    let cache = Arc::new(Cache::default());
    let of_folder = Folder::new(
        &settings(&site.path(""), None),
        &FileRules::default(),
        ("/data.bin", true),
        cache.clone(),
    );
    let head = request("GET", "/data.bin", &[]);
    let answer = read(&head, of_folder.reply(&head, "").await);
    assert_eq!(answer.body.len(), 100);
    let link = site.dir.path().join("link.txt");
    symlink(site.path("data.bin"), &link).unwrap();
    let of_file = Folder::new(
        &settings(&link, None),
        &FileRules::default(),
        ("/anything", true),
        cache,
    );
    let head = request("GET", "/anything", &[]);
    for _ in 0..2 {
        let answer = read(&head, of_file.reply(&head, "").await);
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 100));
    }
}

#[tokio::test]
async fn an_empty_file_is_an_empty_answer() {
    let site = Site::new();
    fs::write(site.path("empty.txt"), "").unwrap();
    let answer = site.get("/empty.txt", &[]).await;
    assert_eq!(
        (answer.status.as_u16(), answer.field("content-length")),
        (200, "0")
    );
    assert_eq!(
        site.get("/empty.txt", &[("range", "bytes=0-")])
            .await
            .status,
        416
    );
}

#[tokio::test]
async fn a_small_cache_serves_everything_and_forgets() {
    let site = Site::new();
    let cache = Arc::new(Cache::new(64 << 10));
    let folder = Folder::new(
        &settings(&site.path(""), None),
        &FileRules::default(),
        ("/", false),
        cache,
    );
    for round in 0..2 {
        for number in 0..100 {
            let name = format!("f{number}.txt");
            if round == 0 {
                fs::write(site.path(&name), format!("{number}").repeat(1000)).unwrap();
            }
            let answer = send(&folder, "GET", &format!("/{name}"), &[]).await;
            assert_eq!(
                answer.body,
                format!("{number}").repeat(1000).as_bytes(),
                "{name}"
            );
        }
    }
}

/// Where the bytes of a body are, so that two can be told to be the same ones.
fn whereabouts(response: &Response) -> usize {
    match &response.body {
        Body::Empty => panic!("no body"),
        Body::Memory(bytes) | Body::Page(bytes, _) => bytes.as_ptr().addr(),
        Body::File(part) => Arc::as_ptr(&part.file).addr(),
    }
}

/// A site with two files under absolute links, which are never looked up on the front's thread,
/// whatever the kernel has in memory.
fn site_of_the_pool() -> Site {
    let site = Site::new();
    for (name, len) in [("small", 20_000), ("large", 300_000)] {
        fs::write(site.path(name), vec![b'x'; len]).unwrap();
        symlink(site.path(name), site.path(&format!("{name}.bin"))).unwrap();
    }
    site
}

#[tokio::test]
async fn a_file_that_many_want_at_once_is_read_once() {
    let Site { folder, dir } = site_of_the_pool();
    let folder = Arc::new(folder);
    for name in ["small.bin", "large.bin"] {
        let clients: Vec<_> = (0..100)
            .map(|_| {
                let folder = Arc::clone(&folder);
                let head = request("GET", &format!("/{name}"), &[]);
                tokio::spawn(async move { folder.reply(&head, name).await })
            })
            .collect();
        let mut responses = Vec::new();
        for client in clients {
            responses.push(client.await.unwrap());
        }
        let first = whereabouts(&responses[0]);
        for response in &responses {
            assert_eq!(response.head.status, StatusCode::OK);
            assert_eq!(whereabouts(response), first, "{name}");
        }
    }
    // What all of them got is believed no longer than anything else.
    fs::remove_file(dir.path().join("dist/small")).unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let head = request("GET", "/small.bin", &[]);
    let outdated = folder.reply(&head, "small.bin").await;
    assert_eq!(outdated.head.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn who_reads_a_file_for_others_may_leave() {
    let site = site_of_the_pool();
    let head = request("GET", "/large.bin", &[]);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut leader = Box::pin(site.folder.reply(&head, "large.bin"));
    let mut next = Box::pin(site.folder.reply(&head, "large.bin"));
    let mut last = Box::pin(site.folder.reply(&head, "large.bin"));
    assert!(leader.as_mut().poll(&mut context).is_pending());
    assert!(next.as_mut().poll(&mut context).is_pending());
    assert!(last.as_mut().poll(&mut context).is_pending());
    drop(leader);
    let both = async { (next.await, last.await) };
    let both = tokio::time::timeout(Duration::from_secs(10), both);
    let (next, last) = both.await.expect("somebody takes over");
    assert_eq!(next.head.status, StatusCode::OK);
    assert_eq!(whereabouts(&next), whereabouts(&last));
}
